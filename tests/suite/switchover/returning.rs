//! Home while Aurora's managed failover is bringing it back.

use failback::Aws;
use failback_cli::drill::Setup;
use failback_sandbox::World;
use serde_json::json;

use super::{FORMER, assert_good, assert_refused, before_the_disaster, deletions, run};
use crate::support::{AWAY, HOME, begin};

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
