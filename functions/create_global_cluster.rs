//! Creates a global cluster whose first writer is an existing cluster.
//!
//! - **State:** `CreateGlobalCluster`, followed by `CheckGlobalCluster`.
//! - **Requires:** the source is available and in no other global cluster.
//! - **Ensures:** RDS has accepted the creation, or the global cluster exists with this writer.
//! - **Idempotent because** an existing one with the same writer is taken as it is; one with another
//!   writer is refused.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DescribeDBClusters`, `rds:CreateGlobalCluster`.

use failback_plan::Answer;
use failback_plan::steps::{self, Step};
use failback_plan::task::ClusterRef;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;
use crate::reply::reply;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The global cluster to create.
    pub global_cluster_id: String,
    /// Its first writer.
    pub source: ClusterRef,
}

/// Looks, decides, creates at most once.
pub async fn create_global_cluster(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { global_cluster_id, source } = input;
    let region = source.region.as_str();
    let globals = observe::global_clusters(aws, region).await?;
    let seen = observe::cluster(aws, region, &source.cluster_id).await?;
    let global = globals.iter().find(|g| g.id == global_cluster_id);
    let listed_in = globals.iter().find(|g| g.member(&source.arn).is_some()).map(|g| g.id.as_str());
    match steps::create_global_cluster(global, seen.as_ref(), listed_in)? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    let request = aws
        .rds(region)
        .create_global_cluster()
        .global_cluster_identifier(&global_cluster_id)
        .source_db_cluster_identifier(&source.arn);
    // "Already exists" after a lost reply: the poll that follows sees whose it is.
    let result = request.send().await;
    let reply = reply("rds:CreateGlobalCluster", result, &["GlobalClusterAlreadyExistsFault"])?;
    Ok(reply.done(format!("{global_cluster_id} is being created from {}", source.cluster_id)))
}
