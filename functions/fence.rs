//! Making the changes by which a fence goes up or comes down, and seeing that they are through.

use failback_plan::fence::{Change, Fence, FenceBy};
use failback_plan::seen::{ClusterSeen, InstanceSeen};
use failback_plan::steps::Step;
use failback_plan::{Answer, Progress};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe::Read;
use crate::reply::{another, reply};
use crate::{network, observe};

/// The cluster that a fence is about.
pub(crate) async fn cluster(aws: &Aws, fence: &Fence) -> Read<Option<ClusterSeen>> {
    observe::cluster(aws, fence.region(), &fence.cluster.cluster_id).await
}

/// Its instances, where they matter: a network ACL needs none of them.
pub(crate) async fn instances(aws: &Aws, fence: &Fence) -> Read<Vec<InstanceSeen>> {
    match &fence.by {
        FenceBy::NetworkAcl { .. } => Ok(Vec::new()),
        FenceBy::SecurityGroup { .. } => {
            let id = &fence.cluster.cluster_id;
            observe::instances(aws, fence.region(), Some(id)).await
        }
    }
}

/// Lets clients in again: what is not on the fence is left as it is. `infra/watch.yaml` takes "off the
/// fence" for the word that it is down.
pub(crate) async fn lift(aws: &Aws, fence: &Fence) -> Result<Answer, FailbackError> {
    let region = fence.region();
    let id = &fence.cluster.cluster_id;
    let step = match &fence.by {
        FenceBy::NetworkAcl { .. } => {
            fence.take_down(&network::acls(aws, region).await?, None, &[])
        }
        FenceBy::SecurityGroup { .. } => {
            let cluster = cluster(aws, fence).await?;
            let instances = instances(aws, fence).await?;
            fence.take_down(&[], cluster.as_ref(), &instances)
        }
    };
    let answer = make(aws, fence, step).await?;
    if answer.state == Progress::Done {
        return Ok(Answer::done(format!("{id} is off the fence: {}", answer.detail)));
    }
    Ok(answer)
}

/// Makes the change that was decided on. Subnets are moved at once; security groups take a while.
pub(crate) async fn make(
    aws: &Aws,
    fence: &Fence,
    step: Step<Change>,
) -> Result<Answer, FailbackError> {
    let region = fence.region();
    match step {
        Step::Done(why) => Ok(Answer::done(why)),
        Step::Wait(why) => Ok(Answer::pending(why)),
        Step::Act(Change::Subnets(targets)) => {
            let moved = network::associate(aws, region, &targets).await?;
            let acls: std::collections::BTreeSet<&str> =
                targets.values().map(String::as_str).collect();
            let acls: Vec<&str> = acls.into_iter().collect();
            let subnets = targets.len();
            Ok(Answer::done(format!(
                "{subnets} subnets in {region} are on [{}], {moved} newly",
                acls.join(", ")
            )))
        }
        Step::Act(Change::Groups(groups)) => {
            const CALL: &str = "rds:ModifyDBCluster";
            let id = &fence.cluster.cluster_id;
            let request = aws
                .rds(region)
                .modify_db_cluster()
                .db_cluster_identifier(id)
                .set_vpc_security_group_ids(Some(groups.clone()))
                .apply_immediately(true);
            let result = request.send().await;
            let changed = result.as_ref().ok().and_then(|answer| answer.db_cluster());
            if let Some(found) = another(changed, &fence.cluster_resource_id) {
                return Err(FailbackError::AnotherClusterMet {
                    call: CALL,
                    found,
                    cluster: id.clone(),
                    region: region.to_owned(),
                    effect: format!(
                        "ITS SECURITY GROUPS ARE [{}] NOW. Give it back its own at once",
                        groups.join(", ")
                    ),
                });
            }
            let reply = reply(CALL, result, &[])?;
            Ok(reply.pending(format!("{id} is being given [{}]", groups.join(", "))))
        }
    }
}
