//! The strategies `switchover` and `auto`, as whole runs: after a managed failover, with a stale home
//! cluster, and wherever Aurora keeps the run waiting.

use failback::Aws;
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
const SETTING_UP: &str = "The switchover request is not successful because replication setup is \
                          still in progress. Please retry the request later.";

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

/// Aurora's managed failover to away, as an operator asks for it in the disaster.
async fn fail_over(aws: &Aws) {
    let request = aws.rds(AWAY).failover_global_cluster().global_cluster_identifier(FORMER);
    let target = format!("arn:aws:rds:{AWAY}:123456789012:cluster:gdb2-cluster");
    let request = request.target_db_cluster_identifier(target).allow_data_loss(true);
    request.send().await.expect("the failover is accepted");
}

#[tokio::test(start_paused = true)]
async fn home_that_is_still_resyncing_is_waited_for_and_never_deleted() {
    let setup = before_the_disaster();
    let drill = begin(&setup);
    fail_over(&drill.aws).await;
    drill.clock.sleep_ms(6 * 60_000).await;
    let status =
        |w: &World| w.rds.cluster(HOME, "gdb1-cluster").expect("it is there").status.clone();
    assert_eq!(drill.sandbox.with_world(status), "resyncing");

    let ended = run(&drill, &setup, "resyncing").await;

    assert_good(&drill, &ended, &setup, "resyncing");
    assert_eq!(deletions(&drill), Vec::<String>::new());
    let waited_ms = ended.outcome.stopped_ms.expect("it ended") - ended.outcome.started_ms;
    assert!(waited_ms > 8 * 60_000, "{waited_ms}");
}

#[tokio::test(start_paused = true)]
async fn home_that_never_finishes_resyncing_is_given_up_by_name() {
    let mut setup = before_the_disaster();
    setup.input["limits"] = json!({ "create_s": 600 });
    let drill = begin(&setup);
    drill.sandbox.change_world(|w| w.behaviour.timings.resync_s = 1e6);
    fail_over(&drill.aws).await;
    drill.clock.sleep_ms(6 * 60_000).await;

    let ended = run(&drill, &setup, "resyncing").await;

    assert_refused(&drill, &ended, &setup, "SwitchoverCalledOff", "gdb1-cluster is resyncing");
    assert_eq!(deletions(&drill), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn failover_that_is_under_way_is_not_interfered_with() {
    let setup = before_the_disaster();
    let drill = begin(&setup);
    fail_over(&drill.aws).await;
    drill.clock.sleep_ms(60_000).await;

    let ended = run(&drill, &setup, "early").await;

    assert_eq!(ended.outcome.error.as_deref(), Some("FailbackRefused"));
    let cause = ended.outcome.cause.expect("a cause");
    assert!(cause.contains("an operation runs"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn home_that_aurora_has_not_brought_back_yet_is_refused() {
    let mut setup = Setup::managed(1);
    setup.world.global_clusters[0].members.retain(|m| m.writer);
    let drill = begin(&setup);

    let ended = run(&drill, &setup, "early").await;

    let words = "which does not list home's cluster `gdb1-cluster`";
    assert_refused(&drill, &ended, &setup, "FailbackRefused", words);
}

#[tokio::test(start_paused = true)]
async fn home_that_is_being_detached_from_away_is_not_taken_for_its_reader() {
    let setup = Setup::managed(1);
    let drill = begin(&setup);
    let request = drill.aws.rds(HOME).remove_from_global_cluster();
    let arn = format!("arn:aws:rds:{HOME}:123456789012:cluster:gdb1-cluster");
    let request = request.global_cluster_identifier(FORMER).db_cluster_identifier(arn);
    request.send().await.expect("the removal is accepted");

    let ended = run(&drill, &setup, "detached").await;

    assert_refused(&drill, &ended, &setup, "FailbackRefused", "does not replicate any more");
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
async fn refused_switchover_is_asked_for_again_until_aurora_accepts_it() {
    let setup = Setup::managed(1);
    let drill = begin(&setup);
    drill.sandbox.change_world(|w| {
        let until_ms = w.now_ms + 15 * 60_000;
        w.rds.globals.get_mut(FORMER).expect("it is there").setting_up_until_ms = until_ms;
    });

    let ended = run(&drill, &setup, "refused").await;

    assert_good(&drill, &ended, &setup, "refused");
    let calls = drill.sandbox.calls().into_iter();
    let refused = calls.filter(|c| c.operation == "SwitchoverGlobalCluster" && c.error.is_some());
    assert!(refused.count() > 5);
    assert_eq!(switchovers(&drill), 1);
}

#[tokio::test(start_paused = true)]
async fn switchover_that_is_never_accepted_is_given_up_while_away_serves() {
    let setup = Setup::managed(1);
    let drill = begin(&setup);
    let refuse = Verb::Refuse {
        code: "InvalidDBClusterStateFault".to_owned(),
        message: SETTING_UP.to_owned(),
    };
    drill.sandbox.inject(Fault::next(refuse, "SwitchoverGlobalCluster").repeated(10_000));

    let ended = run(&drill, &setup, "refused").await;

    let words = "replication setup is still in progress";
    assert_refused(&drill, &ended, &setup, "SwitchoverCalledOff", words);
}

#[tokio::test(start_paused = true)]
async fn switchover_that_is_not_allowed_is_told_with_its_reason() {
    let setup = Setup::managed(1);
    let drill = begin(&setup);
    let refuse = Verb::Refuse { code: "AccessDenied".to_owned(), message: "no policy".to_owned() };
    drill.sandbox.inject(Fault::next(refuse, "SwitchoverGlobalCluster"));

    let ended = run(&drill, &setup, "denied").await;

    assert_refused(&drill, &ended, &setup, "SwitchoverCalledOff", "no policy");
}

#[tokio::test(start_paused = true)]
async fn cancelled_switchover_is_refused_by_name_and_done_by_starting_again() {
    let setup = Setup::managed(3);
    let drill = begin(&setup);
    drill.sandbox.change_world(|w| w.behaviour.switchovers_are_cancelled = true);

    let ended = run(&drill, &setup, "cancelled").await;
    assert_refused(&drill, &ended, &setup, "SwitchoverCalledOff", "Aurora has cancelled it");

    drill.sandbox.change_world(|w| w.behaviour.switchovers_are_cancelled = false);
    let ended = run(&drill, &setup, "again").await;
    assert_good(&drill, &ended, &setup, "again");
}

#[tokio::test(start_paused = true)]
async fn without_lag_data_nothing_is_switched_over() {
    let setup = Setup::managed(1);
    let drill = begin(&setup);
    drill.sandbox.change_world(|w| w.behaviour.metric_data_missing = true);

    let ended = run(&drill, &setup, "blind").await;

    assert_refused(&drill, &ended, &setup, "SwitchoverCalledOff", "no lag sample");
    assert_eq!(switchovers(&drill), 0);
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

#[tokio::test(start_paused = true)]
async fn switchover_stopped_in_any_phase_is_finished_by_starting_again() {
    for setup in [Setup::managed(13), stale(13)] {
        let whole = begin(&setup);
        let ended = run(&whole, &setup, "whole").await;
        let length_ms = ended.outcome.stopped_ms.expect("it ended") - ended.outcome.started_ms;
        for part in 1..24 {
            let drill = begin(&setup);
            let machine = machine_arn("failback");
            let started =
                drill.engine.start_execution(&machine, Some("stopped"), setup.input.clone());
            let arn = started.expect("it starts");
            drill.engine.drive_for(length_ms * part / 24).await;
            drill.engine.stop_execution(&arn, Some("Stopped"), Some("by the operator"));
            let input = setup.input.clone();

            let ended = drill.run("continued", input).await.expect("it starts");

            assert_good(&drill, &ended, &setup, &format!("stopped at {part}/24"));
            assert_eq!(switchovers(&drill), 1, "stopped at {part}/24");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fence_of_an_interrupted_detachment_is_lifted_before_the_switchover() {
    let setup = Setup::workshop(13);
    let drill = begin(&setup);
    stop_at(&drill, &setup, "CheckReplicationBehindFence").await;
    let mut input = setup.input.clone();
    input["strategy"] = json!("auto");

    let ended = drill.run("continued", input).await.expect("it starts");

    assert_good(&drill, &ended, &setup, "fenced");
    assert_eq!(switchovers(&drill), 1);
    let longest = drill.sandbox.measured().longest_gap.expect("an outage").length_ms();
    assert!(longest < 4 * 60_000, "away served until the switchover: {longest} ms");
}

#[tokio::test(start_paused = true)]
async fn fence_that_nobody_remembers_is_lifted_before_the_switchover() {
    let mut setup = Setup::managed(13);
    let away = &mut setup.world.regions[1];
    let private = away.subnet_groups[0].subnets.clone();
    for subnet in away.vpcs[0].subnets.iter_mut().filter(|s| private.contains(&s.id)) {
        subnet.network_acl = Some("acl-0fe9ce00a11c105ed".to_owned());
    }
    let drill = begin(&setup);

    let ended = run(&drill, &setup, "fenced").await;

    assert_good(&drill, &ended, &setup, "fenced");
    let plan = planned(&drill, &ended);
    assert!(plan.switch_over.expect("a switchover").fence_left.is_some());
    let lifted = drill
        .invocations
        .borrow()
        .iter()
        .any(|i| i.machine == "switch-over" && i.state == "LiftFence");
    assert!(lifted);
}

#[tokio::test(start_paused = true)]
async fn promotion_of_an_interrupted_detachment_is_finished_by_auto_and_refused_by_switchover() {
    let setup = Setup::workshop(13);
    let drill = begin(&setup);
    stop_at(&drill, &setup, "LimitHomePromoted").await;
    let mut input = setup.input.clone();

    input["strategy"] = json!("switchover");
    let refused = drill.run("insisting", input.clone()).await.expect("it starts");
    input["strategy"] = json!("auto");
    let ended = drill.run("continued", input).await.expect("it starts");

    let cause = refused.outcome.cause.expect("a cause");
    assert!(cause.contains("an earlier run detached it"), "{cause}");
    assert_good(&drill, &ended, &setup, "promoted");
    assert_eq!(json!(planned(&drill, &ended).strategy), json!("detach"));
}
