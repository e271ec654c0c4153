//! Switches a cluster's deletion protection on or off.
//!
//! - **State:** `SetDeletionProtection`.
//! - **Requires:** the cluster is available.
//! - **Ensures:** the describe call shows the protection as asked for.
//! - **Idempotent because** it looks first, and setting the same value again changes nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:ModifyDBCluster`.

use failback_plan::Answer;
use failback_plan::steps::{Step, deletion_protection};
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
    /// The cluster.
    pub cluster: ClusterRef,
    /// Its resource id when the plan was made; `null` of a cluster that was made since.
    pub cluster_resource_id: Option<String>,
    /// Whether it shall be protected.
    pub enabled: bool,
}

/// Looks, decides, modifies at most once.
pub async fn set_deletion_protection(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { cluster, cluster_resource_id, enabled } = input;
    let seen = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
    match deletion_protection(seen.as_ref(), enabled, cluster_resource_id.as_deref())? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    let request = aws
        .rds(&cluster.region)
        .modify_db_cluster()
        .db_cluster_identifier(&cluster.cluster_id)
        .deletion_protection(enabled)
        .apply_immediately(true);
    let reply = reply("rds:ModifyDBCluster", request.send().await, &[])?;
    Ok(reply.pending(format!("deletion protection of {} is being changed", cluster.cluster_id)))
}
