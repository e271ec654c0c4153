//! Opens the cluster of a Region to clients again, unless home has been promoted meanwhile.
//!
//! - **State:** `LiftFence`.
//! - **Requires:** where a promotion was intended, home is still a plain reader; otherwise away
//!   and home could both take writes.
//! - **Ensures:** nothing is on the fence: each subnet that was is back on the ACL that the plan
//!   recorded, or the cluster is back in its security groups and its instances do not restart any
//!   more, seen by looking afterwards.
//! - **Idempotent because** what is not on the fence is left alone.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:DescribeGlobalClusters`,
//!   `ec2:DescribeNetworkAcls`, `ec2:ReplaceNetworkAclAssociation`, `rds:ModifyDBCluster`.

use failback_plan::Answer;
use failback_plan::fence::Fence;
use failback_plan::memory::Promotion;
use failback_plan::steps::promotion_begun;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe::Read;
use crate::{fence, observe};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster, what closes it, and what it returns to.
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
    fence::lift(aws, &fence).await
}

/// Why the fence must stay, if it must.
pub(crate) async fn promotion_reason(aws: &Aws, promotion: &Promotion) -> Read<Option<String>> {
    let Promotion { cluster, global_cluster_id } = promotion;
    let global = observe::global_cluster(aws, &cluster.region, global_cluster_id).await?;
    let seen = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
    Ok(promotion_begun(global.as_ref(), seen.as_ref(), cluster))
}
