//! Looks whether a global cluster is available and lists its writer.
//!
//! - **State:** `CheckGlobalCluster`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeGlobalClusters`.

use failback_plan::Answer;
use failback_plan::steps;
use failback_plan::task::ClusterRef;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The global cluster.
    pub global_cluster_id: String,
    /// The writer it must list.
    pub writer: ClusterRef,
}

/// Looks.
pub async fn check_global_cluster(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { global_cluster_id, writer } = input;
    let global = observe::global_cluster(aws, &writer.region, &global_cluster_id).await?;
    Ok(steps::global_cluster(global.as_ref(), &writer))
}
