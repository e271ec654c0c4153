//! Switchovers that Aurora refuses, cancels, or is not asked for.

use failback_cli::drill::Setup;
use failback_sandbox::{Fault, Verb};

use super::{FORMER, assert_good, assert_refused, run, switchovers};
use crate::support::begin;

const SETTING_UP: &str = "The switchover request is not successful because replication setup is \
                          still in progress. Please retry the request later.";

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
