//! Safeguards, and how each is switched off: in the rehearsed copy of the machines or by a careless
//! stand-in for a function. Nothing of what is deployed knows of it.

use std::collections::BTreeSet;
use std::rc::Rc;

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use failback::{Aws, FailbackError};
use failback_plan::task::{InstancePlan, Rebuild};
use serde_json::{Value, json};

use crate::lambda::mishap::Mishaps;

/// A safeguard that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Safeguard {
    /// Writes are refused in away before home is promoted.
    Fence,
    /// Sessions that a security group leaves alive are ended before home is promoted.
    Restart,
    /// Home is promoted only when replication is proven to have caught up.
    LagGate,
    /// A cluster is deleted only if it is the very one the plan was made for.
    DeletionGuard,
    /// A cluster is deleted with a final snapshot.
    Snapshot,
    /// One run at a time.
    Lock,
    /// The tables between the phases.
    Verify,
    /// The deadline of every loop.
    Deadline,
    /// Creating instances looks before it acts.
    Idempotency,
}

/// Those that the table is made of.
pub const SAFEGUARDS: [Safeguard; 9] = [
    Safeguard::Fence,
    Safeguard::Restart,
    Safeguard::LagGate,
    Safeguard::DeletionGuard,
    Safeguard::Snapshot,
    Safeguard::Lock,
    Safeguard::Verify,
    Safeguard::Deadline,
    Safeguard::Idempotency,
];

impl Safeguard {
    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Restart => "restart",
            Self::LagGate => "lag-gate",
            Self::DeletionGuard => "deletion-guard",
            Self::Snapshot => "snapshot",
            Self::Lock => "lock",
            Self::Verify => "verify",
            Self::Deadline => "deadline",
            Self::Idempotency => "idempotency",
        }
    }

    /// What is broken without it.
    pub fn how(self) -> &'static str {
        match self {
            Self::Fence => "`FenceWrites` of promote-home does nothing",
            Self::Restart => "`RestartInstances` of promote-home does nothing",
            Self::LagGate => "`CheckReplication…` is not asked",
            Self::DeletionGuard => "`delete_instances` and `delete_cluster` go by the name alone",
            Self::Snapshot => {
                "`delete_cluster` says SkipFinalSnapshot, `check_deletion` does not ask"
            }
            Self::Lock => "`AcquireLock`, `CheckLock` and `ReleaseLock` do nothing",
            Self::Verify => "every `VerifyTopology…` answers DONE",
            Self::Deadline => "no loop compares the time with its deadline",
            Self::Idempotency => "`create_instances` acts without looking",
        }
    }

    /// Rewrites a machine.
    pub fn rewrite(self, machine: &str, definition: &mut Value) {
        let Some(states) = definition["States"].as_object_mut() else { return };
        for (name, state) in states.iter_mut() {
            if self == Self::Deadline {
                without_deadline(state);
            } else if state["Type"] == "Task" && self.skips(machine, name) {
                skip(state);
            }
        }
        without_unreachable(definition);
    }

    /// Whether a Task is what is switched off.
    fn skips(self, machine: &str, task: &str) -> bool {
        let is = |begins: &str| task.starts_with(begins);
        match self {
            Self::Fence => machine == "promote-home" && task == "FenceWrites",
            Self::Restart => machine == "promote-home" && task == "RestartInstances",
            Self::LagGate => is("CheckReplication"),
            Self::DeletionGuard => is("Guard"),
            Self::Verify => is("VerifyTopology"),
            Self::Lock => is("AcquireLock") || is("CheckLock") || is("ReleaseLock"),
            Self::Snapshot | Self::Deadline | Self::Idempotency => false,
        }
    }

    /// Puts careless doubles in place of functions.
    pub fn replace(self, mishaps: &Mishaps) {
        match self {
            Self::Snapshot => {
                mishaps.replace(
                    "delete_cluster",
                    Rc::new(|aws, input| Box::pin(delete_cluster(aws, input, false, true))),
                );
                mishaps.replace(
                    "check_deletion",
                    Rc::new(|aws, input| Box::pin(check_deletion(aws, input))),
                );
            }
            Self::DeletionGuard => {
                mishaps.replace(
                    "delete_instances",
                    Rc::new(|aws, input| Box::pin(delete_instances(aws, input))),
                );
                mishaps.replace(
                    "delete_cluster",
                    Rc::new(|aws, input| Box::pin(delete_cluster(aws, input, true, false))),
                );
            }
            Self::Idempotency => mishaps.replace(
                "create_instances",
                Rc::new(|aws, input| Box::pin(create_instances(aws, input))),
            ),
            _ => {}
        }
    }
}

/// A Pass that answers what the Task would when all is well.
fn skip(state: &mut Value) {
    let answer = json!({
        "state": "DONE",
        "detail": "not asked",
        "database": "nobody's",
        "proof": "lag_samples",
        "position": null,
    });
    let mut pass = json!({ "Type": "Pass", "Next": state["Next"] });
    let mut assign = state["Assign"].as_object().cloned().unwrap_or_default();
    for value in assign.values_mut() {
        if value.as_str().is_some_and(|text| text.contains("$states.result")) {
            *value = answer.clone();
        }
    }
    if !assign.is_empty() {
        pass["Assign"] = Value::Object(assign);
    }
    *state = pass;
}

/// Takes out the states to which only what was switched off led: the loader refuses such.
fn without_unreachable(definition: &mut Value) {
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> =
        definition["StartAt"].as_str().map(str::to_owned).into_iter().collect();
    while let Some(name) = open.pop() {
        let state = &definition["States"][&name];
        let rules = ["Choices", "Catch"].into_iter().flat_map(|f| state[f].as_array()).flatten();
        let next = rules.map(|rule| &rule["Next"]).chain([&state["Next"], &state["Default"]]);
        let next: Vec<String> = next.filter_map(Value::as_str).map(str::to_owned).collect();
        if reached.insert(name) {
            open.extend(next);
        }
    }
    if let Some(states) = definition["States"].as_object_mut() {
        states.retain(|name, _| reached.contains(name));
    }
}

/// No moment is past a deadline any more.
fn without_deadline(state: &mut Value) {
    let choices = state.get_mut("Choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten() {
        if choice["Condition"].as_str().is_some_and(|text| text.contains("> $deadline_ms")) {
            choice["Condition"] = json!("{% false %}");
        }
    }
}

fn done(detail: &str) -> Value {
    json!({ "state": "DONE", "detail": detail })
}

fn pending(detail: &str) -> Value {
    json!({ "state": "PENDING", "detail": detail })
}

fn text<'a>(input: &'a Value, pointer: &str) -> &'a str {
    input.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Deletes whatever bears the name.
async fn delete_cluster(
    aws: Aws,
    input: Value,
    snapshot: bool,
    looks: bool,
) -> Result<Value, FailbackError> {
    if looks {
        // All but the snapshot as it should be: the real function waits until it may act.
        let region = text(&input, "/cluster/region");
        let id = text(&input, "/cluster/cluster_id");
        let seen = aws.rds(region).describe_db_clusters().db_cluster_identifier(id).send().await;
        let listed = seen.ok().and_then(|s| s.db_clusters.and_then(|c| c.into_iter().next()));
        match listed.as_ref().and_then(|c| c.status()) {
            None | Some("deleting") => return Ok(done("it is gone or going")),
            _ => {}
        }
    }
    let request = aws
        .rds(text(&input, "/cluster/region"))
        .delete_db_cluster()
        .db_cluster_identifier(text(&input, "/cluster/cluster_id"))
        .skip_final_snapshot(!snapshot);
    let id = text(&input, "/final_snapshot_id").to_owned();
    let request = request.set_final_db_snapshot_identifier(snapshot.then_some(id));
    match request.send().await {
        Ok(_) => Ok(done("it is being deleted")),
        Err(error) if error.code() == Some("DBClusterNotFoundFault") => Ok(done("it is gone")),
        Err(error) => Ok(pending(error.code().unwrap_or("no answer"))),
    }
}

/// Takes a cluster that is not described for one that left a snapshot.
async fn check_deletion(aws: Aws, input: Value) -> Result<Value, FailbackError> {
    let (region, id) = (text(&input, "/cluster/region"), text(&input, "/cluster/cluster_id"));
    let seen = aws.rds(region).describe_db_clusters().db_cluster_identifier(id).send().await;
    let mut answer = match seen {
        Err(error) if error.code() == Some("DBClusterNotFoundFault") => done("it is gone"),
        _ => pending("it is there"),
    };
    answer["snapshot_arn"] = Value::Null;
    Ok(answer)
}

/// Deletes the instances of whatever bears the name.
async fn delete_instances(aws: Aws, input: Value) -> Result<Value, FailbackError> {
    let (region, id) = (text(&input, "/cluster/region"), text(&input, "/cluster/cluster_id"));
    let rds = aws.rds(region);
    let Ok(seen) = rds.describe_db_instances().send().await else {
        return Ok(pending("no answer"));
    };
    let instances = seen.db_instances.unwrap_or_default();
    let standing: Vec<_> = instances
        .iter()
        .filter(|i| i.db_cluster_identifier() == Some(id))
        .filter(|i| i.db_instance_status() != Some("deleting"))
        .filter_map(|i| i.db_instance_identifier())
        .collect();
    for instance in &standing {
        // What is refused now is asked for again at the next look.
        drop(rds.delete_db_instance().db_instance_identifier(*instance).send().await);
    }
    Ok(if standing.is_empty() { done("none is left") } else { pending("deleting them") })
}

/// Creates all instances, and takes one that exists for an error.
async fn create_instances(aws: Aws, input: Value) -> Result<Value, FailbackError> {
    let unreadable = |e: serde_json::Error| FailbackError::AwsAnswerUnreadable {
        call: "the input",
        what: e.to_string(),
    };
    let rebuild: Rebuild = serde_json::from_value(input["rebuild"].clone()).map_err(unreadable)?;
    let engine = text(&input, "/rebuild/engine");
    for InstancePlan { id, settings } in &rebuild.instances {
        let request = aws
            .rds(&rebuild.target.region)
            .create_db_instance()
            .db_instance_identifier(id)
            .db_cluster_identifier(&rebuild.target.cluster_id)
            .engine(if engine.is_empty() { "aurora-mysql" } else { engine })
            .db_instance_class(&settings.class)
            .set_db_parameter_group_name(settings.parameter_group.clone());
        if let Err(error) = request.send().await {
            let code = error.code().unwrap_or_default().to_owned();
            let call = "rds:CreateDBInstance";
            let source = || Box::new(std::io::Error::other("no answer"));
            return Err(match code.as_str() {
                "" | "Throttling" | "InternalFailure" => {
                    FailbackError::AwsUnavailable { call, source: source() }
                }
                _ => {
                    let message = error.message().unwrap_or_default().to_owned();
                    FailbackError::AwsRejected { call, code, message }
                }
            });
        }
    }
    Ok(done("created"))
}
