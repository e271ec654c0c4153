//! Deletes a global cluster that its last member has left, and sees it gone.
//!
//! - **State:** `DeleteGlobalCluster`, repeated until it is gone.
//! - **Requires:** it lists no member and is not protected.
//! - **Ensures:** the describe call no longer finds it.
//! - **Idempotent because** one that is gone or being deleted is left alone.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DeleteGlobalCluster`.

use failback_plan::Answer;
use failback_plan::steps::{self, Step};
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;
use crate::reply::reply;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The Region whose endpoint is asked.
    pub region: String,
    /// The global cluster.
    pub global_cluster_id: String,
}

/// Looks, decides, deletes at most once.
pub async fn delete_global_cluster(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { region, global_cluster_id } = input;
    let global = observe::global_cluster(aws, &region, &global_cluster_id).await?;
    match steps::delete_global_cluster(global.as_ref())? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    let request = aws.rds(&region).delete_global_cluster();
    let result = request.global_cluster_identifier(&global_cluster_id).send().await;
    let reply = reply("rds:DeleteGlobalCluster", result, &["GlobalClusterNotFoundFault"])?;
    Ok(reply.pending(format!("{global_cluster_id} is being deleted")))
}
