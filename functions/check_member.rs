//! Looks whether a rebuilt cluster, all its instances and its membership are as they must be.
//!
//! - **State:** `CheckMember`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING, FAILED.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DescribeDBClusters`, `rds:DescribeDBInstances`.

use failback_plan::Answer;
use failback_plan::steps;
use failback_plan::task::Rebuild;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster to rebuild.
    pub rebuild: Rebuild,
}

/// Looks.
pub async fn check_member(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { rebuild } = input;
    let target = &rebuild.target;
    let cluster = observe::cluster(aws, &target.region, &target.cluster_id).await?;
    // Most polls end here: its volume is being copied, and nothing else can make it ready.
    if cluster.as_ref().is_none_or(|c| c.status == "creating") {
        return Ok(steps::member(&rebuild, None, cluster.as_ref(), &[]));
    }
    let global = observe::global_cluster(aws, &target.region, &rebuild.global_cluster_id).await?;
    let instances =
        observe::instances(aws, &target.region, Some(&target.cluster_id)).await?;
    Ok(steps::member(&rebuild, global.as_ref(), cluster.as_ref(), &instances))
}
