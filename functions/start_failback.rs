//! Starts a failback after an incident, once home is seen to be back for long enough.
//!
//! - **State:** `StartFailback`, which is its own poll.
//! - **Requires:** a request that can be read.
//! - **Ensures:** an execution of `failback` named after the incident was started; or none is, because
//!   another one runs, home has been in trouble again, or away does not hold the writer.
//! - **Idempotent because** a name can be used once.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `dynamodb:GetItem`, `rds:DescribeDBClusters`, `rds:DescribeDBSubnetGroups`,
//!   `rds:DescribeGlobalClusters`, `ec2:DescribeNetworkAcls`, `states:ListExecutions`,
//!   `states:StartExecution`.

use std::ops::ControlFlow;

use failback_plan::recovery::{self, Look, Next, Writer, network_troubles};
use failback_plan::request::Approvals;
use failback_plan::seen::{RegionSeen, Seen};
use failback_plan::{Answer, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe::Read;
use crate::start::{self, Started};
use crate::{network, observe, register, request, table};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The incident after which it is asked, and the name of the execution.
    pub incident: String,
    /// ARN of the machine to start.
    pub machine: String,
    /// Since when every look has been a good one, in epoch milliseconds.
    pub good_since_ms: Option<i64>,
    /// Now, in epoch milliseconds.
    pub now_ms: i64,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// DONE: there is nothing more to wait for.
    #[serde(flatten)]
    pub answer: Answer,
    /// Whether a failback was started for this incident.
    pub started: bool,
    /// Since when every look has been a good one, this one included.
    pub good_since_ms: Option<i64>,
}

/// Looks at everything, decides, starts.
pub async fn start_failback(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { incident, machine, good_since_ms, now_ms } = input;
    let request = request::complete(aws, Value::Object(serde_json::Map::default()))?;
    let register = register::recall(aws, &request.home.region).await?;
    let running = running(aws, &machine).await?;
    let (troubles, writer) = look(aws, &request).await?;
    let look = Look {
        incident: &incident,
        register: &register,
        running: &running,
        troubles: &troubles,
        writer,
        good_since_ms,
        now_ms,
        stable_s: request.limits.stable_s,
    };
    let (answer, started, good_since_ms) = match recovery::next(&look) {
        Next::Wait { good_since_ms, why } => (Answer::pending(why), false, good_since_ms),
        Next::Leave(why) => (Answer::done(why), running.contains(&incident), None),
        Next::Start => {
            let input = overrides(aws);
            let detail = match start::execution(aws, &machine, &incident, &input).await? {
                Started::Now => format!("the failback {incident} is started"),
                Started::Before => format!("the failback {incident} was started before"),
            };
            (Answer::done(detail), true, None)
        }
    };
    Ok(Output { answer, started, good_since_ms })
}

/// What a run that no person started adds to the environment's request.
fn overrides(aws: &Aws) -> Value {
    if aws.stack().events_as_requested {
        return json!({});
    }
    json!({ "approvals": Approvals::all() })
}

/// The executions of a machine that have not ended, by name.
async fn running(aws: &Aws, machine: &str) -> Result<Vec<String>, FailbackError> {
    let mut names = Vec::new();
    let all = start::visit_running(aws, machine, |execution| -> ControlFlow<()> {
        names.push(execution.name().to_owned());
        ControlFlow::Continue(())
    });
    all.await?;
    Ok(names)
}

/// What is wrong with home, and who holds the writer if that can be told.
async fn look(aws: &Aws, request: &Request) -> Result<(Vec<String>, Option<Writer>), FailbackError> {
    let (home, away) = (&request.home.region, &request.away.region);
    // At the same time: a Region that does not answer takes all of a call's patience.
    let (clusters, groups, acls, away_clusters, global_clusters) = tokio::join!(
        observe::clusters(aws, home),
        observe::subnet_groups(aws, home),
        network::acls(aws, home),
        observe::clusters(aws, away),
        observe::global_clusters(aws, away),
    );
    let mut troubles = Vec::new();
    let clusters = answered(clusters, &mut troubles)?;
    let groups = answered(groups, &mut troubles)?;
    let acls = answered(acls, &mut troubles)?;
    let (Some(clusters), Some(groups), Some(acls)) = (clusters, groups, acls) else {
        return Ok((troubles, None));
    };
    let region = |region: &str, clusters| RegionSeen {
        region: region.to_owned(),
        clusters,
        ..RegionSeen::default()
    };
    let seen = Seen {
        home: region(home, clusters),
        away: region(away, away_clusters?),
        global_clusters: global_clusters?,
        ..Seen::default()
    };
    let group = subnet_group(aws, request, &seen).await?;
    troubles.extend(network_troubles(&request.home, group.as_deref(), &groups, &acls));
    Ok((troubles, Some(recovery::writer(request, &seen))))
}

/// A Region that does not answer is not back; one that forbids the call, or that is not understood,
/// will not be by waiting.
fn answered<T>(read: Read<T>, troubles: &mut Vec<String>) -> Read<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error @ (FailbackError::AwsUnavailable { .. } | FailbackError::AwsBusy { .. })) => {
            troubles.push(error.message());
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// The DB subnet group in which home is rebuilt: that of its cluster, or the one that is remembered.
async fn subnet_group(aws: &Aws, request: &Request, seen: &Seen) -> Read<Option<String>> {
    let home = &request.home;
    let ids = [&home.restored_cluster_id, &home.cluster_id];
    let cluster = ids.into_iter().find_map(|id| seen.home.cluster(id));
    if let Some(group) = cluster.and_then(|cluster| cluster.settings.subnet_group.clone()) {
        return Ok(Some(group));
    }
    let remembered = table::recall(aws, &request.global_clusters.former).await?.captured_home;
    let captured = home.captured.clone().or(remembered);
    Ok(captured.and_then(|captured| captured.cluster.subnet_group))
}
