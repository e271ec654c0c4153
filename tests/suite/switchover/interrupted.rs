//! Runs that an earlier one, of either strategy, left unfinished.

use failback_cli::definitions::machine_arn;
use failback_cli::drill::Setup;
use serde_json::json;

use super::{assert_good, planned, run, stale, stop_at, switchovers};
use crate::support::begin;

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
