//! Closes the cluster of a Region to clients.
//!
//! A network ACL is stateless: established connections are cut, too. Those that a security group
//! leaves alive are `restart_instances`' work. Source: EC2 User Guide, "Security group connection
//! tracking".
//!
//! - **State:** `FenceWrites`, followed by `RestartInstances`.
//! - **Requires:** the fence's network ACL or security group exists; the cluster is the one the plan
//!   was made for, or gone.
//! - **Ensures:** every subnet of the plan is on the fence ACL, or the cluster is in the fence's group and
//!   in no other, seen by looking afterwards. For a cluster that is gone nothing is closed: what takes
//!   its place must be reachable.
//! - **Idempotent because** what is on the fence is left alone; what it returns to is in the
//!   plan, not read from what a first attempt has already changed.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `ec2:DescribeNetworkAcls`,
//!   `ec2:ReplaceNetworkAclAssociation`, `rds:ModifyDBCluster`.

use failback_plan::Answer;
use failback_plan::fence::Fence;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::fence;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster, what closes it, and what it returns to.
    pub fence: Fence,
}

/// Looks, changes what is not on the fence, looks again.
pub async fn fence_writes(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { fence } = input;
    let cluster = fence::cluster(aws, &fence).await?;
    let instances = fence::instances(aws, &fence).await?;
    let step = fence.put_up(cluster.as_ref(), &instances)?;
    fence::make(aws, &fence, step).await
}
