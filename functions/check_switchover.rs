//! Looks how far a switchover to the home cluster has come.
//!
//! - **State:** `CheckSwitchover`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads. While Aurora is at work it never answers DONE, although the
//!   writer may have changed already.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING, FAILED.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DescribeDBClusters`.

use failback_plan::Answer;
use failback_plan::steps::{self, Moving};
use failback_plan::task::SwitchOver;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The switchover.
    pub switch_over: SwitchOver,
    /// When it was accepted, or may have been, in epoch milliseconds.
    pub asked_at_ms: i64,
    /// The present, in epoch milliseconds: the definition's clock is the only one.
    pub now_ms: i64,
}

/// Looks.
pub async fn check_switchover(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let SwitchOver { global_cluster_id, cluster, source, .. } = &input.switch_over;
    let home = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
    let away = observe::cluster(aws, &source.region, &source.cluster_id).await?;
    let global = observe::global_cluster(aws, &source.region, global_cluster_id).await?;
    let seen = Moving {
        global: global.as_ref(),
        home: home.as_ref(),
        home_instances: &[],
        away: away.as_ref(),
    };
    Ok(steps::switchover(seen, &input.switch_over, input.asked_at_ms, input.now_ms)?)
}
