//! Restarts the instances of a cluster behind its fence, so that no session is older than the fence.
//!
//! A security group keeps new connections out and leaves the established ones alone. A restart that a
//! caller asks for ends them all. Source: Aurora User Guide, "Rebooting an Amazon Aurora DB cluster or
//! Amazon Aurora DB instance", and "Zero-downtime restart", which is for restarts that Aurora makes by
//! itself.
//!
//! - **State:** `RestartInstances`.
//! - **Requires:** the fence is up.
//! - **Ensures:** every instance that can hold a session was restarted behind the fence and serves
//!   again. Behind a network ACL nothing is done: it cuts sessions itself.
//! - **Idempotent because** an instance that was seen restarting, or of which AWS is known to have
//!   accepted it, since the fence went up, is left alone.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:RebootDBInstance`.

use std::collections::BTreeMap;

use failback_plan::Answer;
use failback_plan::fence::{Fence, FenceBy};
use failback_plan::steps::Step;
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::reply::{Reply, reply};
use crate::fence;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The fence that is up.
    pub fence: Fence,
    /// The instances of which a restart was accepted since: id → when, in epoch milliseconds.
    pub asked: BTreeMap<String, i64>,
    /// The present, in epoch milliseconds: the definition's clock is the only one.
    pub now_ms: i64,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Whether no session is left.
    #[serde(flatten)]
    pub answer: Answer,
    /// The instances of which a restart was accepted by now.
    pub asked: BTreeMap<String, i64>,
}

/// Looks, decides, asks for the restarts that are due.
pub async fn restart_instances(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { fence, mut asked, now_ms } = input;
    let (mut cluster, mut instances) = (None, Vec::new());
    if let FenceBy::SecurityGroup { .. } = fence.by {
        cluster = fence::cluster(aws, &fence).await?;
        instances = fence::instances(aws, &fence).await?;
    }
    for instance in fence.restarting(cluster.as_ref(), &instances) {
        asked.entry(instance.id.clone()).or_insert(now_ms);
    }
    let answer = match fence.restarts(cluster.as_ref(), &instances, &asked, now_ms)? {
        Step::Done(why) => Answer::done(why),
        Step::Wait(why) => Answer::pending(why),
        Step::Act(due) => restart(aws, fence.region(), &due, &mut asked, now_ms).await?,
    };
    Ok(Output { answer, asked })
}

async fn restart(
    aws: &Aws,
    region: &str,
    due: &[String],
    asked: &mut BTreeMap<String, i64>,
    now_ms: i64,
) -> Result<Answer, FailbackError> {
    let mut said = format!("{} are being restarted", due.join(", "));
    for id in due {
        let request = aws.rds(region).reboot_db_instance().db_instance_identifier(id);
        let result = request.force_failover(false).send().await;
        // One that went meanwhile holds no session; the next look does not find it.
        match reply("rds:RebootDBInstance", result, &["DBInstanceNotFound"])? {
            Reply::Accepted => drop(asked.insert(id.clone(), now_ms)),
            Reply::NotYet(why) => said = why,
        }
    }
    Ok(Answer::pending(said))
}
