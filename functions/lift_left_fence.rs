//! Lifts the fence that an earlier execution put up and could not lift, because it was stopped.
//!
//! - **State:** `LiftLeftFence`, before the plan is made: writes are refused until it is done.
//! - **Requires:** nothing.
//! - **Ensures:** if a fence is remembered and its promotion has not begun, nothing is on it.
//! - **Idempotent because** only what is on the fence is moved.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `dynamodb:GetItem`, `rds:DescribeDBClusters`, `rds:DescribeDBInstances`,
//!   `rds:DescribeGlobalClusters`, `ec2:DescribeNetworkAcls`, `ec2:ReplaceNetworkAclAssociation`,
//!   `rds:ModifyDBCluster`.

use failback_plan::Answer;
use serde::Deserialize;
use serde_json::Value;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::lift_fence::promotion_reason;
use crate::{fence, request, table};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The execution's input.
    pub request: Value,
}

/// Looks whether a fence is left and may go, then lifts it.
pub async fn lift_left_fence(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { request } = input;
    let request = request::complete(aws, request)?;
    if request.dry_run {
        return Ok(Answer::done("a dry run changes nothing"));
    }
    let memory = table::recall(aws, &request.global_clusters.former).await?;
    let Some(left) = memory.fence else {
        return Ok(Answer::done("no fence of an earlier run is remembered"));
    };
    if let Some(reason) = promotion_reason(aws, &left.unless_promoted).await? {
        return Ok(Answer::done(format!("the fence stays: {reason}")));
    }
    fence::lift(aws, &left.fence).await
}
