//! Looks whether a cluster is gone and its final snapshot is available.
//!
//! - **State:** `CheckDeletion`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads. Without an available snapshot it never answers DONE.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING, FAILED.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBClusterSnapshots`.

use failback_plan::Answer;
use failback_plan::steps::{self, Deletion};
use failback_plan::task::ClusterRef;
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster.
    pub cluster: ClusterRef,
    /// Its resource id when the plan was made.
    pub cluster_resource_id: String,
    /// The id of the final snapshot.
    pub final_snapshot_id: String,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// How far the deletion has come.
    #[serde(flatten)]
    pub answer: Answer,
    /// ARN of the final snapshot, once the cluster is gone and it is listed.
    pub snapshot_arn: Option<String>,
}

/// Looks.
pub async fn check_deletion(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { cluster, cluster_resource_id, final_snapshot_id } = input;
    let seen = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
    // While the cluster is there it is not deleted, whatever its snapshot is.
    let snapshot = match seen.as_ref().filter(|c| c.resource_id == cluster_resource_id) {
        Some(_) => None,
        None => observe::snapshot(aws, &cluster.region, &final_snapshot_id).await?,
    };
    let answer = steps::deletion(Deletion {
        cluster: seen.as_ref(),
        resource_id: &cluster_resource_id,
        snapshot: snapshot.as_ref(),
        snapshot_id: &final_snapshot_id,
    });
    Ok(Output { answer, snapshot_arn: snapshot.map(|s| s.arn) })
}
