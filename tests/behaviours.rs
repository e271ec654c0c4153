//! The whole failback under every switch of the sandbox, one at a time: where AWS's documentation
//! leaves a choice, the run ends well under either value, or in a refusal that is named here.

use failback_cli::drill::{Drill, Setup};
use failback_cli::report::invariants;
use failback_sandbox::{Behaviour, WorldSpec};
use failback_states::Status;
use serde_json::{Value, json};

/// How a run is expected to end; the invariants hold either way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ends {
    Succeeded,
    /// With this error.
    Refused(&'static str),
}

use Ends::{Refused, Succeeded};

/// A field of [`Behaviour`], a value that is not its default, and how a run under it ends.
fn switches() -> Vec<(&'static str, Value, Ends)> {
    vec![
        ("eventually_consistent", json!(false), Succeeded),
        ("headless_detach_settles", json!(true), Succeeded),
        ("headless_member_may_be_deleted", json!(true), Succeeded),
        ("second_removal_accepted", json!(true), Succeeded),
        ("writer_removal_is_invalid_parameter", json!(false), Succeeded),
        ("writer_removal_modifies", json!(true), Succeeded),
        ("encrypted_join_needs_a_key", json!(false), Succeeded),
        ("joining_drops_insights", json!(false), Succeeded),
        ("backs_up_daily", json!(false), Succeeded),
        ("backs_up_when_available", json!(true), Succeeded),
        ("unknown_statuses", json!(true), Succeeded),
        ("new_instance_backs_up", json!(true), Succeeded),
        ("reader_shows_a_writer_instance", json!(false), Succeeded),
        ("idle_failover_state_is_empty", json!(false), Succeeded),
        ("global_reads_lag_ms", json!(0), Succeeded),
        ("global_reads_lag_ms", json!(60_000), Succeeded),
        ("moves_are_bound_to_a_region", json!(false), Succeeded),
        ("unsuitable_target_is_cluster_state", json!(false), Succeeded),
        ("switchovers_are_cancelled", json!(true), Succeeded),
        ("events_are_unreliable", json!(true), Succeeded),
        ("same_acl_is_associated_anew", json!(false), Succeeded),
        ("second_deletion_refused", json!(false), Succeeded),
        ("failover_takes_snapshot", json!(false), Succeeded),
        ("replication_lag_ms", json!(0), Succeeded),
        ("replication_lag_ms", json!(900), Succeeded),
        ("replication_lag_ms", json!(60_000), Refused("PromotionCalledOff")),
        ("metric_delay_ms", json!(0), Succeeded),
        ("metric_delay_ms", json!(120_000), Succeeded),
        ("metric_without_source_region", json!(true), Succeeded),
        ("metric_data_missing", json!(true), Refused("PromotionCalledOff")),
        ("dns_served_before_sync", json!(true), Succeeded),
        ("dns_busy_ms", json!(20_000), Succeeded),
    ]
}

fn workshop(seed: u64) -> Setup {
    let input = include_str!("../statemachine/examples/workshop.json");
    let input = serde_json::from_str(input).expect("the example is JSON");
    Setup { world: WorldSpec::workshop(), input, seed }
}

/// How the failback of the workshop ends under a behaviour, and what is wrong with that.
async fn run(behaviour: Behaviour, seed: u64, expected: Ends) -> Result<(), String> {
    let setup = workshop(seed);
    let drill = Drill::new(&setup).map_err(|error| error.to_string())?;
    drill.sandbox.set_behaviour(behaviour);
    let ended = drill.run("behaving", setup.input.clone()).await.map_err(|e| e.to_string())?;
    let outcome = &ended.outcome;
    let as_expected = match expected {
        Succeeded => outcome.status == Status::Succeeded,
        Refused(name) => outcome.error.as_deref() == Some(name),
    };
    let text = format!("{:?}: {:?}: {:?}", outcome.status, outcome.error, outcome.cause);
    if !as_expected {
        return Err(format!("expected {expected:?}, ended {text}"));
    }
    match invariants(&drill.sandbox, &ended, &setup.world).into_iter().find(|i| !i.held) {
        Some(broken) => Err(format!("{}: {}; ended {text}", broken.name, broken.seen)),
        None => Ok(()),
    }
}

/// Runs every case under some seeds and tells of all that went wrong.
async fn run_all(seeds: &[u64], cases: Vec<(String, Behaviour, Ends)>) {
    let mut wrong = Vec::new();
    for (name, behaviour, ends) in cases {
        for &seed in seeds {
            if let Err(text) = run(behaviour.clone(), seed, ends).await {
                wrong.push(format!("{name}, seed {seed}: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn with(field: &str, value: &Value) -> Behaviour {
    let mut all = serde_json::to_value(Behaviour::default()).expect("switches are JSON");
    all[field] = value.clone();
    serde_json::from_value(all).expect("a value of the field's type")
}

#[test]
fn every_switch_is_tried_at_another_value_than_its_default() {
    let all = serde_json::to_value(Behaviour::default()).expect("switches are JSON");
    for (field, default) in all.as_object().expect("a structure") {
        let tried = switches().into_iter().any(|(f, value, _)| f == field && value != *default);
        assert!(tried || field == "timings", "{field} is not tried");
    }
}

#[tokio::test(start_paused = true)]
async fn failback_keeps_its_promises_under_every_switch() {
    let case = |(field, value, ends): (&str, Value, Ends)| {
        (format!("{field} = {value}"), with(field, &value), ends)
    };
    run_all(&[1, 2], switches().into_iter().map(case).collect()).await;
}

/// Every duration times a factor, and how far they vary.
fn paced(factor: f64, jitter: f64) -> Behaviour {
    let mut all = serde_json::to_value(Behaviour::default()).expect("switches are JSON");
    for (_, seconds) in all["timings"].as_object_mut().expect("a structure") {
        *seconds = json!(seconds.as_f64().expect("a number") * factor);
    }
    all["timings"]["jitter"] = json!(jitter);
    // Route 53 promises a minute, whatever RDS does.
    let sync_s = all["timings"]["dns_sync_s"].as_f64().expect("a number").min(60.0);
    all["timings"]["dns_sync_s"] = json!(sync_s);
    serde_json::from_value(all).expect("a behaviour")
}

#[tokio::test(start_paused = true)]
async fn failback_keeps_its_promises_however_long_things_take() {
    let cases = [
        ("at once", paced(0.0, 0.0), Succeeded),
        ("ten times faster", paced(0.1, 0.3), Succeeded),
        ("to the second", paced(1.0, 0.0), Succeeded),
        ("unpredictably", paced(1.0, 0.9), Succeeded),
        ("twice as slow", paced(2.0, 0.3), Succeeded),
    ];
    run_all(
        &[1, 2, 3],
        cases.map(|(name, behaviour, ends)| (name.to_owned(), behaviour, ends)).into(),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn failback_keeps_its_promises_when_one_step_is_far_out_of_proportion() {
    let all = serde_json::to_value(Behaviour::default()).expect("switches are JSON");
    let mut cases = Vec::new();
    for (field, seconds) in all["timings"].as_object().expect("a structure") {
        let longest_s = if field == "dns_sync_s" { 60.0 } else { 600.0 };
        let slow_s = seconds.as_f64().expect("a number").max(longest_s);
        for extreme_s in [0.0, slow_s] {
            let mut behaviour = all.clone();
            behaviour["timings"][field] = json!(if field == "jitter" { 0.0 } else { extreme_s });
            let behaviour = serde_json::from_value(behaviour).expect("a behaviour");
            cases.push((format!("{field} = {extreme_s}"), behaviour, Succeeded));
        }
    }
    run_all(&[1], cases).await;
}
