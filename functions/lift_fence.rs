//! Opens the database subnets of a Region again, unless home has been promoted meanwhile.
//!
//! - **State:** `LiftFence`.
//! - **Requires:** where a promotion was intended, home is still a plain reader; otherwise away
//!   and home could both take writes.
//! - **Ensures:** no subnet is on the fence: each that was is back on the ACL the plan recorded, seen
//!   by looking afterwards.
//! - **Idempotent because** a subnet that is not on the fence is left alone.
//! - **Answers:** DONE.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeGlobalClusters`, `ec2:DescribeNetworkAcls`,
//!   `ec2:ReplaceNetworkAclAssociation`.

use std::collections::BTreeMap;

use failback_plan::Answer;
use failback_plan::memory::Promotion;
use failback_plan::steps::promotion_begun;
use failback_plan::task::Fence;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe::Read;
use crate::{network, observe};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The subnets, the fence, and where they return to.
    pub fence: Fence,
    /// The promotion that must not have begun; `null` once the fenced cluster is gone.
    pub unless_promoted: Option<Promotion>,
}

/// Looks whether home is still a reader, then moves what is on the fence.
pub async fn lift_fence(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { fence, unless_promoted } = input;
    if let Some(promotion) = unless_promoted
        && let Some(reason) = promotion_reason(aws, &promotion).await?
    {
        return Err(FailbackError::PromotionBegun { reason });
    }
    lift(aws, &fence).await
}

/// Why the fence must stay, if it must.
pub(crate) async fn promotion_reason(aws: &Aws, promotion: &Promotion) -> Read<Option<String>> {
    let Promotion { cluster, global_cluster_id } = promotion;
    let global = observe::global_cluster(aws, &cluster.region, global_cluster_id).await?;
    let seen = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
    Ok(promotion_begun(global.as_ref(), seen.as_ref(), cluster))
}

/// Moves the subnets that are on the fence. One that somebody has put on a third network ACL is not
/// the fence's any more.
pub(crate) async fn lift(aws: &Aws, fence: &Fence) -> Result<Answer, FailbackError> {
    let Fence { region, fence_acl_id, restore } = fence;
    let seen = network::acls(aws, region).await?;
    let fenced = seen.iter().find(|acl| acl.id == *fence_acl_id);
    let targets: BTreeMap<String, String> = restore
        .iter()
        .filter(|(subnet, _)| fenced.is_some_and(|acl| acl.associations.contains_key(*subnet)))
        .map(|(subnet, acl)| (subnet.clone(), acl.clone()))
        .collect();
    let moved = network::associate(aws, region, &targets).await?;
    Ok(Answer::done(format!(
        "{} subnets in {region} are off the fence, {moved} of them newly",
        restore.len()
    )))
}
