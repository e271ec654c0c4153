//! Looks whether a cluster has left its global cluster and stands on its own.
//!
//! - **State:** `CheckDetachment`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING, FAILED.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DescribeDBClusters`.

use failback_plan::Answer;
use failback_plan::steps::{LeavesAs, detachment, still_listed};
use failback_plan::task::ClusterRef;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The global cluster it leaves.
    pub global_cluster_id: String,
    /// The cluster.
    pub cluster: ClusterRef,
    /// The role in which it leaves.
    pub r#as: LeavesAs,
}

/// Looks.
pub async fn check_detachment(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { global_cluster_id, cluster, r#as } = input;
    let global = observe::global_cluster(aws, &cluster.region, &global_cluster_id).await?;
    // Most polls end here. What the cluster's own status says can only matter once it has left.
    if let Some(pending) = still_listed(global.as_ref(), &cluster) {
        return Ok(pending);
    }
    let seen = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
    Ok(detachment(global.as_ref(), seen.as_ref(), &cluster, r#as))
}
