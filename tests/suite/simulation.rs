//! Whole runs: the definitions, the functions and the SDK against two simulated Regions.

use failback_cli::drill::{Drill, Ended, Setup};
use failback_cli::phases::TABLES;
use failback_cli::report::{Report, invariants};
use failback_sandbox::{Fault, Verb};
use failback_states::Status;
use serde_json::json;

use crate::support::begin;

fn workshop(seed: u64) -> Setup {
    Setup::workshop(seed)
}

async fn run(drill: &Drill, setup: &Setup, name: &str) -> Ended {
    drill.run(name, setup.input.clone()).await.expect("the execution starts")
}

fn assert_good(drill: &Drill, ended: &Ended, setup: &Setup) {
    let outcome = &ended.outcome;
    assert_eq!(outcome.status, Status::Succeeded, "{:?}: {:?}", outcome.error, outcome.cause);
    for invariant in invariants(&drill.sandbox, ended, &setup.world) {
        assert!(invariant.held, "{}: {}", invariant.name, invariant.seen);
    }
}

/// The runbook's tables, word for word.
const RUNBOOK: [[[&str; 5]; 2]; 5] = [
    [
        ["us-east-1", "gdb1-cluster", "Regional", "Deleted", "Deleted"],
        ["us-west-2", "gdb2-cluster", "Regional", "Available", "Writer"],
    ],
    [
        ["us-east-1", "gdb1-cluster-restored", "Global", "Available", "Reader"],
        ["us-west-2", "gdb2-cluster", "Global", "Available", "Writer"],
    ],
    [
        ["us-east-1", "gdb1-cluster-restored", "Regional", "Available", "Writer"],
        ["us-west-2", "gdb2-cluster", "Regional", "Available", "Writer"],
    ],
    [
        ["us-east-1", "gdb1-cluster-restored", "Regional", "Available", "Writer"],
        ["us-west-2", "gdb2-cluster", "Regional", "Deleted", "Deleted"],
    ],
    [
        ["us-east-1", "gdb1-cluster-restored", "Global", "Available", "Writer"],
        ["us-west-2", "gdb2-cluster-restored", "Global", "Available", "Reader"],
    ],
];

#[tokio::test(start_paused = true)]
async fn workshop_ends_as_the_runbook_says_with_every_table_on_the_way() {
    let setup = workshop(1);
    let drill = begin(&setup);

    let ended = run(&drill, &setup, "workshop").await;

    assert_good(&drill, &ended, &setup);
    assert_eq!(ended.tables.len(), TABLES.len());
    for (shown, expected) in ended.tables.iter().zip(RUNBOOK) {
        let rows: Vec<[&str; 5]> = shown
            .rows
            .iter()
            .map(|r| {
                let (status, node) = (r.cluster_status.as_str(), r.node_status.as_str());
                [r.region.as_str(), r.cluster_id.as_str(), r.scope.as_str(), status, node]
            })
            .collect();
        assert_eq!(rows, expected, "{}", shown.title);
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_seeds_end_well() {
    for seed in 100..120 {
        let setup = workshop(seed);
        let drill = begin(&setup);
        let ended = run(&drill, &setup, "seeded").await;
        assert_good(&drill, &ended, &setup);
    }
}

#[tokio::test(start_paused = true)]
async fn same_seed_gives_the_same_report() {
    let mut reports = Vec::new();
    for _ in 0..2 {
        let setup = workshop(7);
        let drill = begin(&setup);
        let ended = run(&drill, &setup, "again").await;
        let report = Report::gather(&drill, &ended, setup.seed, &setup.world);
        reports.push(serde_json::to_string(&report).expect("a report is JSON"));
    }
    assert_eq!(reports[0], reports[1]);
}

#[tokio::test(start_paused = true)]
async fn complete_failback_is_left_alone() {
    let setup = workshop(3);
    let drill = begin(&setup);
    run(&drill, &setup, "first").await;
    let before = drill.sandbox.fingerprint();

    let again = run(&drill, &setup, "second").await;

    assert_eq!(again.outcome.status, Status::Succeeded);
    let output = again.outcome.output.expect("an output");
    assert_eq!(output["decision"], "NOTHING_TO_DO", "{output:#}");
    assert_eq!(drill.sandbox.fingerprint(), before);
}

#[tokio::test(start_paused = true)]
async fn dry_run_changes_nothing_and_answers_the_plan() {
    let mut setup = workshop(3);
    setup.input["dry_run"] = json!(true);
    let drill = begin(&setup);
    let before = drill.sandbox.fingerprint();

    let ended = run(&drill, &setup, "dry").await;

    let output = ended.outcome.output.expect("an output");
    assert_eq!(output["decision"], "DRY_RUN");
    assert_eq!(output["retire_home"]["cluster"]["cluster_id"], "gdb1-cluster");
    assert_eq!(drill.sandbox.fingerprint(), before);
    assert!(drill.sandbox.calls().iter().all(|c| !c.mutating));
}

#[tokio::test(start_paused = true)]
async fn every_mutating_call_may_lose_its_reply_or_be_throttled() {
    let setup = workshop(5);
    let quiet = begin(&setup);
    run(&quiet, &setup, "quiet").await;
    let mut operations: Vec<String> =
        quiet.sandbox.calls().into_iter().filter(|c| c.mutating).map(|c| c.operation).collect();
    operations.sort();
    operations.dedup();
    assert!(operations.len() >= 10, "{operations:?}");
    for operation in operations {
        for verb in [Verb::LoseReply, Verb::Throttle, Verb::InternalError] {
            let drill = begin(&setup);
            drill.sandbox.inject(Fault::next(verb.clone(), &operation));
            let ended = run(&drill, &setup, "faulty").await;
            let outcome = &ended.outcome;
            let text = format!("{verb:?} {operation}: {:?} {:?}", outcome.error, outcome.cause);
            assert_eq!(outcome.status, Status::Succeeded, "{text}");
            for invariant in invariants(&drill.sandbox, &ended, &setup.world) {
                assert!(invariant.held, "{text}: {}: {}", invariant.name, invariant.seen);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_lag_data_nothing_is_promoted_and_away_serves_again() {
    let setup = workshop(11);
    let drill = begin(&setup);
    drill.sandbox.change_world(|w| w.behaviour.metric_data_missing = true);

    let ended = run(&drill, &setup, "blind").await;

    assert_eq!(ended.outcome.status, Status::Failed);
    assert_eq!(ended.outcome.error.as_deref(), Some("PromotionCalledOff"));
    for invariant in invariants(&drill.sandbox, &ended, &setup.world) {
        assert!(invariant.held, "{}: {}", invariant.name, invariant.seen);
    }
    let writer = drill.sandbox.measured().writer.expect("a writer");
    assert_eq!(writer.cluster_id, "gdb2-cluster");
}

#[tokio::test(start_paused = true)]
async fn run_that_was_called_off_is_finished_by_starting_again() {
    let setup = workshop(11);
    let drill = begin(&setup);
    drill.sandbox.change_world(|w| w.behaviour.metric_data_missing = true);
    run(&drill, &setup, "blind").await;
    drill.sandbox.change_world(|w| w.behaviour.metric_data_missing = false);

    let ended = run(&drill, &setup, "seeing").await;

    assert_good(&drill, &ended, &setup);
}

#[tokio::test(start_paused = true)]
async fn run_stopped_in_any_phase_is_finished_by_starting_again() {
    let setup = workshop(13);
    let whole = begin(&setup);
    let ended = run(&whole, &setup, "whole").await;
    let length_ms = ended.outcome.stopped_ms.expect("it ended") - ended.outcome.started_ms;
    for part in 1..24 {
        let drill = begin(&setup);
        let machine = failback_cli::definitions::machine_arn("failback");
        let started = drill.engine.start_execution(&machine, Some("stopped"), setup.input.clone());
        let arn = started.expect("it starts");
        drill.engine.drive_for(length_ms * part / 24).await;
        drill.engine.stop_execution(&arn, Some("Stopped"), Some("by the operator"));

        let ended = drill.run("continued", setup.input.clone()).await.expect("it starts");

        let outcome = &ended.outcome;
        let text = format!("stopped at {part}/24: {:?}: {:?}", outcome.error, outcome.cause);
        assert_eq!(outcome.status, Status::Succeeded, "{text}");
        for invariant in invariants(&drill.sandbox, &ended, &setup.world) {
            assert!(invariant.held, "{text}: {}: {}", invariant.name, invariant.seen);
        }
    }
}
