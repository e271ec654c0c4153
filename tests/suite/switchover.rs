//! The strategies `switchover` and `auto`, as whole runs: after a managed failover, with a stale home
//! cluster, and wherever Aurora keeps the run waiting.

mod called_off;
mod interrupted;
mod returning;

use failback_cli::definitions::machine_arn;
use failback_cli::drill::{Drill, Ended, Setup, plan_of};
use failback_cli::report::invariants;
use failback_plan::verify::Row;
use failback_plan::{Decision, Plan};
use failback_sandbox::{Fault, Verb, World, WorldSpec};
use failback_states::Status;
use serde_json::json;

use crate::support::{AWAY, HOME, begin, drive_to, effects};

const FORMER: &str = "reinvent-dat348-gdb";
const RESTORING: &str = "reinvent-dat348-gdb-restoring";

/// Home's stale cluster stands alone; the strategy is `auto`.
fn stale(seed: u64) -> Setup {
    let mut setup = Setup::workshop(seed);
    setup.input["strategy"] = json!("auto");
    setup
}

async fn run(drill: &Drill, setup: &Setup, name: &str) -> Ended {
    drill.run(name, setup.input.clone()).await.expect("the execution starts")
}

fn assert_kept(drill: &Drill, ended: &Ended, setup: &Setup, text: &str) {
    for invariant in invariants(&drill.sandbox, ended, &setup.world) {
        assert!(invariant.held, "{text}: {}: {}", invariant.name, invariant.seen);
    }
}

fn assert_good(drill: &Drill, ended: &Ended, setup: &Setup, text: &str) {
    let outcome = &ended.outcome;
    let ending = format!("{text}: {:?}: {:?}", outcome.error, outcome.cause);
    assert_eq!(outcome.status, Status::Succeeded, "{ending}");
    assert_kept(drill, ended, setup, &ending);
}

/// It failed by this name, and away serves.
fn assert_refused(drill: &Drill, ended: &Ended, setup: &Setup, error: &str, words: &str) {
    let outcome = &ended.outcome;
    let cause = outcome.cause.clone().unwrap_or_default();
    assert_eq!(outcome.error.as_deref(), Some(error), "{cause}");
    assert!(cause.contains(words), "{cause}");
    assert_kept(drill, ended, setup, error);
    let writer = drill.sandbox.measured().writer.expect("a writer");
    assert_eq!(writer.cluster_id, "gdb2-cluster");
}

/// The tables that were shown, a line for each row.
fn tables(ended: &Ended) -> Vec<Vec<String>> {
    let line =
        |r: &Row| format!("{} {} {} {}", r.cluster_id, r.scope, r.cluster_status, r.node_status);
    ended.tables.iter().map(|t| t.rows.iter().map(line).collect()).collect()
}

fn planned(drill: &Drill, ended: &Ended) -> Plan {
    plan_of(&drill.engine, &ended.arn).expect("a plan")
}

fn deletions(drill: &Drill) -> Vec<String> {
    let calls = drill.sandbox.calls().into_iter().filter(|c| c.mutating && c.service != "dynamodb");
    let destroys = |name: &String| name.starts_with("Delete") || name.starts_with("Remove");
    calls.map(|c| c.operation).filter(destroys).collect()
}

/// How often a switchover took place.
fn switchovers(drill: &Drill) -> usize {
    let done = effects(&drill.sandbox.calls());
    done.get("rds:SwitchoverGlobalCluster").copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn rejoined_home_is_switched_over_and_no_cluster_is_replaced() {
    for strategy in ["auto", "switchover"] {
        let mut setup = Setup::managed(1);
        setup.input["strategy"] = json!(strategy);
        let drill = begin(&setup);

        let ended = run(&drill, &setup, "managed").await;

        assert_good(&drill, &ended, &setup, strategy);
        let expected = [
            ["gdb1-cluster Global Available Reader", "gdb2-cluster Global Available Writer"],
            ["gdb1-cluster Global Available Writer", "gdb2-cluster Global Available Reader"],
            ["gdb1-cluster Global Available Writer", "gdb2-cluster Global Available Reader"],
        ];
        assert_eq!(tables(&ended), expected);
        assert_eq!(deletions(&drill), Vec::<String>::new(), "nothing is deleted or detached");
        assert_eq!(switchovers(&drill), 1);
        let plan = planned(&drill, &ended);
        let skipped = [&plan.phases.retire_home, &plan.phases.rebuild_home];
        assert!(skipped.iter().all(|p| !p.run), "{:?}", plan.phases);
        assert!(plan.phases.retire_home.why.contains("is not stale"), "{:?}", plan.phases);
        assert!(plan.reasons[0].contains("managed"), "{:?}", plan.reasons);
        let output = ended.outcome.output.expect("a report");
        assert_eq!(output["final_snapshots"], json!([]));
        assert_eq!(output["consumers"].as_array().map(Vec::len), Some(2), "{output:#}");
        let writer = drill.sandbox.measured().writer.expect("a writer");
        assert_eq!((writer.region.as_str(), writer.cluster_id.as_str()), (HOME, "gdb1-cluster"));
    }
}

#[tokio::test(start_paused = true)]
async fn managed_world_is_the_workshop_but_for_the_failover() {
    let (managed, mut workshop) = (WorldSpec::managed(), WorldSpec::workshop());
    let away_rows = workshop.regions[1].clusters[0].rows;
    let home = &mut workshop.regions[0].clusters[0];
    (home.rows, home.rows_of_its_own) = (away_rows, 0);
    workshop.global_clusters.clone_from(&managed.global_clusters);

    assert_eq!(managed, workshop);
    let members = managed.global_clusters[0].members.iter();
    let members: Vec<_> = members.map(|m| (m.cluster.as_str(), m.writer)).collect();
    assert_eq!(members, [("gdb2-cluster", true), ("gdb1-cluster", false)]);
}

#[tokio::test(start_paused = true)]
async fn stale_home_is_rebuilt_and_switched_over_and_away_is_kept() {
    let setup = stale(1);
    let drill = begin(&setup);

    let ended = run(&drill, &setup, "stale").await;

    assert_good(&drill, &ended, &setup, "stale");
    let rebuilt = "gdb1-cluster-restored Global Available";
    let switched = [format!("{rebuilt} Writer"), "gdb2-cluster Global Available Reader".to_owned()];
    assert_eq!(
        tables(&ended)[1..],
        [
            [format!("{rebuilt} Reader"), "gdb2-cluster Global Available Writer".to_owned()],
            switched.clone(),
            switched,
        ]
    );
    let globals = drill.sandbox.with_world(|w| w.rds.globals.keys().cloned().collect::<Vec<_>>());
    assert_eq!(globals, [RESTORING]);
    let plan = planned(&drill, &ended);
    assert!(!plan.phases.retire_away.run && !plan.phases.rebuild_away.run, "{:?}", plan.phases);
    let snapshots = &ended.outcome.output.expect("a report")["final_snapshots"];
    assert_eq!(snapshots.as_array().map(Vec::len), Some(1), "of the stale cluster: {snapshots}");
}

#[tokio::test(start_paused = true)]
async fn switchover_needs_no_permission_to_delete_away() {
    let mut setup = stale(1);
    setup.input["clear_deletion_protection"] = json!(false);
    setup.world.regions[0].clusters[0].settings.deletion_protection = false;
    let drill = begin(&setup);

    let ended = run(&drill, &setup, "protected").await;

    assert_good(&drill, &ended, &setup, "protected");
    let protected =
        |w: &World| w.rds.cluster(AWAY, "gdb2-cluster").expect("kept").settings.deletion_protection;
    assert!(drill.sandbox.with_world(protected));
}

/// Before the disaster; the networks are as in the workshop, so that nobody writes at home.
pub fn before_the_disaster() -> Setup {
    let mut setup = Setup::managed(5);
    for member in &mut setup.world.global_clusters[0].members {
        member.writer = !member.writer;
    }
    setup
}

#[tokio::test(start_paused = true)]
async fn detach_refuses_to_delete_a_home_that_follows_away() {
    let mut setup = Setup::managed(1);
    setup.input["strategy"] = json!("detach");
    let drill = begin(&setup);

    let ended = run(&drill, &setup, "detach").await;

    assert_refused(&drill, &ended, &setup, "FailbackRefused", "`switchover` or `auto`");
}

fn set_version(world: &mut World, region: &str, id: &str) {
    let here = world.rds.regions.get_mut(region).expect("the Region");
    let cluster = here.clusters.get_mut(id).expect("the cluster");
    "8.0.mysql_aurora.3.08.2".clone_into(&mut cluster.engine_version);
}

#[tokio::test(start_paused = true)]
async fn versions_that_differ_make_auto_detach_and_say_why() {
    let setup = stale(13);
    let drill = begin(&setup);
    // Away is upgraded while home, rebuilt, waits.
    stop_at(&drill, &setup, "LimitLag").await;
    let input = setup.input.clone();
    drill.sandbox.change_world(|w| set_version(w, AWAY, "gdb2-cluster"));

    let mut insisting = input.clone();
    insisting["strategy"] = json!("switchover");
    let refused = drill.run("insisting", insisting).await.expect("it starts");
    let ended = drill.run("auto", input).await.expect("it starts");

    assert_eq!(refused.outcome.error.as_deref(), Some("FailbackRefused"));
    let cause = refused.outcome.cause.expect("a cause");
    assert!(cause.contains("3.08.2") && cause.contains("`detach` or `auto`"), "{cause}");
    assert_good(&drill, &ended, &setup, "auto");
    let plan = planned(&drill, &ended);
    assert_eq!(json!(plan.strategy), json!("detach"));
    assert!(plan.reasons[0].contains("3.08.2"), "{:?}", plan.reasons);
    assert_eq!(switchovers(&drill), 0);
    let last = tables(&ended).pop().expect("a table");
    assert!(last[1].starts_with("gdb2-cluster-restored Global Available Reader"), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn rejoined_home_of_another_version_is_left_alone() {
    for strategy in ["auto", "switchover"] {
        let mut setup = Setup::managed(1);
        setup.input["strategy"] = json!(strategy);
        let drill = begin(&setup);
        drill.sandbox.change_world(|w| set_version(w, HOME, "gdb1-cluster"));

        let ended = run(&drill, &setup, "versions").await;

        assert_refused(&drill, &ended, &setup, "FailbackRefused", "3.08.2");
        assert_eq!(deletions(&drill), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn switchover_ends_well_although_calls_fail() {
    for world in [Setup::managed(5), stale(5)] {
        let operations = [
            "SwitchoverGlobalCluster",
            "DescribeGlobalClusters",
            "DescribeDBClusters",
            "ChangeResourceRecordSets",
            "ReplaceNetworkAclAssociation",
            "GetMetricData",
        ];
        for operation in operations {
            for verb in [Verb::LoseReply, Verb::LoseRequest, Verb::Throttle, Verb::InternalError] {
                for skip in [0, 5] {
                    let drill = begin(&world);
                    let fault = Fault::next(verb.clone(), operation).after(skip);
                    drill.sandbox.inject(fault);
                    let ended = run(&drill, &world, "faulty").await;
                    let text = format!("{verb:?} {operation} after {skip}");
                    assert_good(&drill, &ended, &world, &text);
                    assert_eq!(switchovers(&drill), 1, "{text}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_seeds_switch_over_well() {
    for seed in 200..210 {
        for setup in [Setup::managed(seed), stale(seed)] {
            let drill = begin(&setup);
            let ended = run(&drill, &setup, "seeded").await;
            assert_good(&drill, &ended, &setup, &format!("seed {seed}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn home_that_is_the_writer_already_leaves_nothing_to_do() {
    for setup in [Setup::managed(3), stale(3)] {
        let drill = begin(&setup);
        run(&drill, &setup, "first").await;
        let before = drill.sandbox.fingerprint();

        for strategy in ["auto", "switchover"] {
            let mut input = setup.input.clone();
            input["strategy"] = json!(strategy);
            let again = drill.run(strategy, input).await.expect("it starts");

            assert_eq!(again.outcome.status, Status::Succeeded, "{:?}", again.outcome.cause);
            let plan = planned(&drill, &again);
            assert_eq!(plan.decision, Decision::NothingToDo, "{:?}", plan.reasons);
            assert_eq!(drill.sandbox.fingerprint(), before);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_an_operator_forgot_after_his_own_switchover_are_moved() {
    let setup = Setup::managed(3);
    let drill = begin(&setup);
    let request = drill.aws.rds(AWAY).switchover_global_cluster().global_cluster_identifier(FORMER);
    let arn = format!("arn:aws:rds:{HOME}:123456789012:cluster:gdb1-cluster");
    request.target_db_cluster_identifier(arn).send().await.expect("accepted");

    // While it is under way, and again when it is over.
    let ended = run(&drill, &setup, "during").await;

    assert_good(&drill, &ended, &setup, "during");
    assert_eq!(switchovers(&drill), 1);
    let plan = planned(&drill, &ended);
    assert!(plan.switch_over.expect("a switchover").under_way);
}

#[tokio::test(start_paused = true)]
async fn dry_run_of_a_switchover_changes_nothing_and_names_the_strategy() {
    let mut setup = Setup::managed(3);
    setup.input["dry_run"] = json!(true);
    let drill = begin(&setup);
    let before = drill.sandbox.fingerprint();

    let ended = run(&drill, &setup, "dry").await;

    let output = ended.outcome.output.expect("an output");
    assert_eq!(
        (&output["decision"], &output["strategy"]),
        (&json!("DRY_RUN"), &json!("switchover"))
    );
    assert_eq!(drill.sandbox.fingerprint(), before);
}

/// Starts the failback and stops it, with its children, when it enters a state.
async fn stop_at(drill: &Drill, setup: &Setup, state: &'static str) {
    let (machine, input) = (machine_arn("failback"), setup.input.clone());
    let arn = drill.engine.start_execution(&machine, Some("stopped"), input).expect("it starts");
    drive_to(drill, state).await;
    drill.engine.stop_execution(&arn, Some("Stopped"), Some("by the operator"));
}
