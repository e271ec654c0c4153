//! Closes the database subnets of a Region to clients.
//!
//! A network ACL is stateless: established connections are cut, too, which revoking a security
//! group's rules would not do. Source: EC2 User Guide, "Security group connection tracking".
//!
//! - **State:** `FenceWrites`.
//! - **Requires:** the fence ACL exists.
//! - **Ensures:** every subnet of the plan is on the fence ACL, seen by looking afterwards.
//! - **Idempotent because** a subnet on the fence is left alone; where subnets return to is in the
//!   plan, not read from what a first attempt has already changed.
//! - **Answers:** DONE.
//! - **Calls:** `ec2:DescribeNetworkAcls`, `ec2:ReplaceNetworkAclAssociation`.

use failback_plan::Answer;
use failback_plan::task::Fence;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::network;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The subnets, the fence, and where they return to.
    pub fence: Fence,
}

/// Looks, moves what is not on the fence, looks again.
pub async fn fence_writes(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { fence: Fence { region, fence_acl_id, restore } } = input;
    let targets = restore.keys().map(|s| (s.clone(), fence_acl_id.clone())).collect();
    let moved = network::associate(aws, &region, &targets).await?;
    let subnets = targets.len();
    Ok(Answer::done(format!("{subnets} subnets in {region} are on {fence_acl_id}, {moved} newly")))
}
