//! Asks Aurora to move the writer to the home cluster within its global cluster. Nothing is lost by
//! it, and another switchover brings the writer back.
//!
//! - **State:** `SwitchOver`, followed by `CheckSwitchover`.
//! - **Requires:** home is a connected reader of away's writer, both are available, of versions
//!   between which Aurora switches over, and no other operation runs.
//! - **Ensures:** Aurora has accepted a switchover to home, or none was needed.
//! - **Idempotent because** it looks first: once a switchover to home is under way, or home is the
//!   writer, it asks for nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DescribeDBClusters`, `rds:DescribeDBInstances`,
//!   `rds:SwitchoverGlobalCluster`.

use failback_plan::Answer;
use failback_plan::steps::{self, Moving, Step};
use failback_plan::task::SwitchOver;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;
use crate::reply::reply;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The switchover.
    pub switch_over: SwitchOver,
}

/// Looks, decides, asks at most once.
pub async fn switch_over(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let SwitchOver { global_cluster_id, cluster, source, .. } = &input.switch_over;
    let (home, away) = (cluster.region.as_str(), source.region.as_str());
    let global = observe::global_cluster(aws, away, global_cluster_id).await?;
    let home_seen = observe::cluster(aws, home, &cluster.cluster_id).await?;
    let home_instances = observe::instances(aws, home, Some(&cluster.cluster_id)).await?;
    let away_seen = observe::cluster(aws, away, &source.cluster_id).await?;
    let seen = Moving {
        global: global.as_ref(),
        home: home_seen.as_ref(),
        home_instances: &home_instances,
        away: away_seen.as_ref(),
    };
    match steps::switch_over(seen, &input.switch_over)? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    // In the writer's Region, and never FailoverGlobalCluster, which may lose data.
    let request = aws
        .rds(away)
        .switchover_global_cluster()
        .global_cluster_identifier(global_cluster_id)
        .target_db_cluster_identifier(&cluster.arn);
    // While "replication setup is still in progress" Aurora refuses by a code of state: not yet.
    let reply = reply("rds:SwitchoverGlobalCluster", request.send().await, &[])?;
    Ok(reply.done(format!("{global_cluster_id} is being switched over to {}", cluster.cluster_id)))
}
