//! Brings the home subnets back to the network ACLs they had before they were blocked.
//!
//! - **State:** `RestoreNetwork`.
//! - **Requires:** the ACLs named in the plan exist; no other is ever taken instead.
//! - **Ensures:** every subnet is associated with its target, seen by looking afterwards.
//! - **Idempotent because** a subnet that has its target already is left alone, and association ids
//!   are read anew each time.
//! - **Answers:** DONE.
//! - **Calls:** `ec2:DescribeNetworkAcls`, `ec2:ReplaceNetworkAclAssociation`.

use std::collections::BTreeMap;

use failback_plan::Answer;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::network;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The Region of the subnets.
    pub region: String,
    /// Subnet → network ACL.
    pub targets: BTreeMap<String, String>,
}

/// Looks, replaces what differs, looks again.
pub async fn restore_network(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { region, targets } = input;
    let moved = network::associate(aws, &region, &targets).await?;
    Ok(Answer::done(format!("{} subnets in {region} are open, {moved} of them newly", targets.len())))
}
