//! Looks whether the world is still what the plan was made from.
//!
//! - **State:** `CheckDrift`, before the first change: an approval may have taken hours.
//! - **Requires:** the facts that the plan rests on are the same.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:DescribeGlobalClusters`,
//!   `rds:DescribeDBClusterSnapshots`, `rds:DescribeDBSubnetGroups`,
//!   `rds:DescribeDBClusterParameterGroups`, `rds:DescribeDBParameterGroups`,
//!   `rds:DescribeDBClusterEndpoints`, `ec2:DescribeNetworkAcls`, `ec2:DescribeSecurityGroups`,
//!   `route53:GetHostedZone`, `route53:ListResourceRecordSets`, `secretsmanager:DescribeSecret`,
//!   `secretsmanager:GetSecretValue`.

use failback_plan::{Answer, Basis, Memory};
use serde::Deserialize;
use serde_json::Value;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::{plan_failback, request};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The execution's input.
    pub request: Value,
    /// What the plan rests on.
    pub basis: Basis,
}

/// Looks again and compares.
pub async fn check_drift(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { request, basis } = input;
    let request = request::complete(aws, request)?;
    let seen = plan_failback::look(aws, &request, Memory::default()).await?;
    let differences = basis.drift(&Basis::of(&request, &seen));
    if differences.is_empty() {
        return Ok(Answer::done(format!("all is as planned ({})", basis.hash)));
    }
    Err(FailbackError::TopologyDrifted { differences: differences.join("; ") })
}
