//! The last look before something is deleted.

use failback_plan::steps::{Decided, GuardSeen, may_be_deleted};
use failback_plan::task::{ClusterRef, Guard};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::{network, observe, table};

/// Looks at everything a deletion depends on and decides.
pub(crate) async fn check(
    aws: &Aws,
    database: &str,
    guard: &Guard,
    target: &ClusterRef,
    resource_id: &str,
) -> Result<Decided<()>, FailbackError> {
    let region = guard.survivor.region.as_str();
    let survivor = observe::cluster(aws, region, &guard.survivor.cluster_id).await?;
    let globals = observe::global_clusters(aws, region).await?;
    let listing = globals.iter().find_map(|g| Some((g, g.member(&guard.survivor.arn)?)));
    let reader_of = listing.filter(|(_, member)| !member.is_writer).map(|(g, _)| g.id.clone());
    let seen = GuardSeen {
        survivor,
        reader_of,
        target: observe::cluster(aws, &target.region, &target.cluster_id).await?,
        network_acls: network::acls(aws, guard.behind.region()).await?,
        proof: table::recall(aws, database).await?.proof,
    };
    Ok(may_be_deleted(guard, target, resource_id, &seen))
}
