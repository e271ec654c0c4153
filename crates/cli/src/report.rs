//! What a rehearsal did, measured in the sandbox.

use std::collections::BTreeMap;

use failback_sandbox::{Sandbox, SplitMoment, WorldSpec};
use failback_states::Status;
use serde::Serialize;
use serde_json::Value;

use crate::drill::{Drill, Ended, TableShown};
use crate::floor::Floor;

/// Dollars for one state transition of a Standard workflow.
/// Source: AWS Step Functions pricing, US East: $0.025 for 1,000.
const DOLLARS_A_TRANSITION: f64 = 0.025 / 1000.0;

/// The report of a rehearsal; `--json` prints it as it is.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Decides everything that was left to chance: the same seed gives the same report.
    pub seed: u64,
    /// How the execution ended.
    pub execution: Execution,
    /// Whether the lines of SAFETY.md that a run can break held.
    pub invariants: Vec<Invariant>,
    /// Phases that ran, in their order.
    pub phases: Vec<PhaseLength>,
    /// The runbook's tables, read through the SDK after each phase.
    pub tables: Vec<TableShown>,
    /// Endpoints, old and new.
    pub endpoints: Value,
    /// Names, secrets and whatever else leads clients to the endpoints: old and new, the proof that was
    /// had, and the seconds after the promotion.
    pub consumers: Value,
    /// Data sources of applications, moved or not.
    pub data_sources: Value,
    /// Final snapshots of the deleted clusters.
    pub final_snapshots: Value,
    /// What the clients saw.
    pub clients: Clients,
    /// From the fence to the first row written at home; `null` if the run did not come that far.
    pub floor: Option<Floor>,
    /// State transitions of all executions.
    pub transitions: u64,
    /// What AWS asks for them, in dollars.
    pub transitions_dollars: f64,
    /// API calls that the functions made.
    pub api_calls: ApiCalls,
}

/// How the execution ended.
#[derive(Debug, Clone, Serialize)]
pub struct Execution {
    /// Its status, by AWS's name.
    pub status: &'static str,
    /// The name of the error it failed with.
    pub error: Option<String>,
    /// What is true and what to do.
    pub cause: Option<String>,
    /// Virtual seconds from its start to its end.
    pub virtual_s: f64,
}

/// A line of SAFETY.md and whether it held.
#[derive(Debug, Clone, Serialize)]
pub struct Invariant {
    /// The line.
    pub name: &'static str,
    /// Whether it held.
    pub held: bool,
    /// What was seen.
    pub seen: String,
}

/// A phase and how long it took.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseLength {
    /// Title of the phase.
    pub phase: &'static str,
    /// Virtual seconds.
    pub virtual_s: f64,
}

/// What the simulated clients saw.
#[derive(Debug, Clone, Serialize)]
pub struct Clients {
    /// Rows acknowledged during the run.
    pub rows_written: u64,
    /// Rows acknowledged, ever, that the writer at the end does not hold.
    pub rows_lost: u64,
    /// Seconds in which no row was acknowledged, in interruptions of more than two seconds.
    pub seconds_without_writes: f64,
    /// The longest of them.
    pub longest_interruption_s: f64,
    /// Times in which clients could write to more than one cluster.
    pub moments_with_two_writable_clusters: Vec<SplitMoment>,
}

/// API calls.
#[derive(Debug, Clone, Serialize)]
pub struct ApiCalls {
    /// All.
    pub total: usize,
    /// Those that change something.
    pub mutating: usize,
    /// By operation.
    pub by_operation: BTreeMap<String, usize>,
}

impl Report {
    /// Gathers everything once the execution has ended.
    pub fn gather(drill: &Drill, ended: &Ended, seed: u64, world: &WorldSpec) -> Self {
        let measured = drill.sandbox.measured();
        let output = ended.outcome.output.clone().unwrap_or_default();
        let end_ms = ended.outcome.stopped_ms.unwrap_or(ended.outcome.started_ms);
        let transitions = drill.transitions();
        let gap_s = measured.longest_gap.map_or(0.0, |g| seconds(g.length_ms()));
        Self {
            seed,
            execution: Execution {
                status: ended.outcome.status.name(),
                error: ended.outcome.error.clone(),
                cause: ended.outcome.cause.clone(),
                virtual_s: seconds(end_ms - ended.outcome.started_ms),
            },
            invariants: invariants(&drill.sandbox, ended, world),
            phases: Drill::phase_lengths(ended)
                .into_iter()
                .map(|(phase, ms)| PhaseLength { phase, virtual_s: seconds(ms) })
                .collect(),
            tables: ended.tables.clone(),
            endpoints: output["endpoints"].clone(),
            consumers: output["consumers"].clone(),
            data_sources: output["data_sources"].clone(),
            final_snapshots: output["final_snapshots"].clone(),
            clients: Clients {
                rows_written: measured.rows_written,
                rows_lost: measured.rows_lost,
                seconds_without_writes: measured.seconds_without_writes,
                longest_interruption_s: gap_s,
                moments_with_two_writable_clusters: measured.moments_with_two_writable_clusters,
            },
            floor: drill.home_region().and_then(|home| ended.moments.floor(&drill.sandbox, home)),
            transitions,
            transitions_dollars: transitions as f64 * DOLLARS_A_TRANSITION,
            api_calls: api_calls(drill),
        }
    }

    /// The run succeeded and every invariant held.
    pub fn is_good(&self) -> bool {
        self.execution.status == Status::Succeeded.name() && self.invariants.iter().all(|i| i.held)
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The lines of SAFETY.md that can be seen to hold from outside when a run has ended.
pub fn invariants(sandbox: &Sandbox, ended: &Ended, world: &WorldSpec) -> Vec<Invariant> {
    let measured = sandbox.measured();
    let split = measured.moments_with_two_writable_clusters.len();
    let unsaved = clusters_without_snapshot(sandbox, world);
    let writable = sandbox.with_world(|w| w.writable_clusters());
    let open: Vec<_> =
        writable.iter().map(|c| format!("{} in {}", c.cluster_id, c.region)).collect();
    vec![
        Invariant {
            name: "at no moment could clients write to two clusters",
            held: split == 0,
            seen: format!("{split} moments with two writable clusters"),
        },
        Invariant {
            name: "no committed write is lost",
            held: measured.rows_lost == 0,
            seen: format!("{} rows lost of {} written", measured.rows_lost, measured.rows_written),
        },
        Invariant {
            name: "no cluster is deleted without an available final snapshot",
            held: unsaved.is_empty(),
            seen: if unsaved.is_empty() {
                "every deleted cluster left one".to_owned()
            } else {
                format!("no snapshot of {}", unsaved.join(", "))
            },
        },
        Invariant {
            name: "every execution ends",
            held: ended.outcome.status != Status::Running,
            seen: format!("it ended {}", ended.outcome.status.name()),
        },
        Invariant {
            name: "clients have exactly one cluster to write to when the run has ended",
            held: open.len() == 1,
            seen: if open.is_empty() { "none".to_owned() } else { open.join(", ") },
        },
    ]
}

/// Clusters of the world at its start that are gone, or going, and left no available snapshot.
fn clusters_without_snapshot(sandbox: &Sandbox, world: &WorldSpec) -> Vec<String> {
    let at_start = world
        .regions
        .iter()
        .flat_map(|region| region.clusters.iter().map(move |c| (&region.name, &c.id)));
    sandbox.with_world(|now| {
        let gone = |(region, id): &(&String, &String)| now.rds.cluster(region, id).is_none();
        let saved = |region: &str, id: &str| {
            now.rds.regions.get(region).is_some_and(|r| {
                r.snapshots.values().any(|s| s.cluster_id == id && s.status == "available")
            })
        };
        at_start
            .filter(gone)
            .filter(|(region, id)| !saved(region, id))
            .map(|(region, id)| format!("{id} in {region}"))
            .collect()
    })
}

fn api_calls(drill: &Drill) -> ApiCalls {
    let invocations = drill.invocations.borrow();
    let calls = || invocations.iter().flat_map(|i| &i.calls);
    let mut by_operation = BTreeMap::new();
    for call in calls() {
        *by_operation.entry(format!("{}:{}", call.service, call.operation)).or_insert(0) += 1;
    }
    ApiCalls {
        total: calls().count(),
        mutating: calls().filter(|c| c.mutating).count(),
        by_operation,
    }
}
