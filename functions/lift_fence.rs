//! Opens the database subnets of a Region again, unless home has been promoted meanwhile.
//!
//! - **State:** `LiftFence`.
//! - **Requires:** where a promotion was intended, home is still a plain reader; otherwise away
//!   and home could both take writes.
//! - **Ensures:** every subnet is back on the ACL the plan recorded, seen by looking afterwards.
//! - **Idempotent because** a subnet that is back already is left alone.
//! - **Answers:** DONE.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeGlobalClusters`, `ec2:DescribeNetworkAcls`,
//!   `ec2:ReplaceNetworkAclAssociation`.

use failback_plan::steps::promotion_begun;
use failback_plan::task::{ClusterRef, Fence};
use failback_plan::Answer;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
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

/// A promotion that was intended.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The cluster that would have been promoted.
    pub cluster: ClusterRef,
    /// The global cluster it would have left.
    pub global_cluster_id: String,
}

/// Looks whether home is still a reader, then moves what is on the fence.
pub async fn lift_fence(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { fence: Fence { region, fence_acl_id: _, restore }, unless_promoted } = input;
    if let Some(Promotion { cluster, global_cluster_id }) = unless_promoted {
        let global = observe::global_cluster(aws, &cluster.region, &global_cluster_id).await?;
        let seen = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
        if let Some(reason) = promotion_begun(global.as_ref(), seen.as_ref(), &cluster) {
            return Err(FailbackError::PromotionBegun { reason });
        }
    }
    let moved = network::associate(aws, &region, &restore).await?;
    Ok(Answer::done(format!("{} subnets in {region} are open, {moved} of them newly", restore.len())))
}
