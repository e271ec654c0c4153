//! The whole failback under every switch of the sandbox, one at a time: where AWS's documentation
//! leaves a choice, the run ends well under either value, or in a refusal that is named here.

use failback_cli::drill::{Drill, Setup};
use failback_cli::report::invariants;
use failback_sandbox::{Behaviour, Check, WorldSpec};
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
        ("item_reads_lag_ms", json!(0), Succeeded),
        ("data_api_is_fenced", json!(true), Succeeded),
        ("check_order", json!(Check::reversed()), Succeeded),
        ("global_clusters_max", json!(2), Succeeded),
        ("global_clusters_max", json!(0), Refused("HomeNotRebuilt")),
        ("encrypts_by_default", json!(false), Succeeded),
        ("default_encryption_joins_unencrypted", json!(false), Succeeded),
        ("encrypted_join_needs_a_presigned_url", json!(true), Refused("HomeNotRebuilt")),
        ("first_writer_needs_a_user", json!(false), Succeeded),
        ("members_share_a_storage_type", json!(true), Succeeded),
        ("endpoints_are_made_anew", json!(true), Succeeded),
        ("promoting_a_replica_detaches", json!(false), Succeeded),
        ("removal_is_bound_to_a_region", json!(true), Succeeded),
        ("global_modification_shows", json!(true), Succeeded),
        ("new_global_modifies_its_source", json!(true), Succeeded),
        ("instances_wait_for_their_cluster", json!(false), Succeeded),
        ("deletion_is_prechecked", json!(true), Succeeded),
        ("switchover_shows_modifying", json!(false), Succeeded),
        ("former_writer_stays_listed", json!(false), Succeeded),
        ("failover_fences_writes", json!(false), Succeeded),
        ("documented_iam_status", json!(true), Succeeded),
        ("maintained_weekly", json!(false), Succeeded),
        ("maintained_when_available", json!(true), Succeeded),
        ("throttled_percent", json!(3), Succeeded),
    ]
}

fn workshop(seed: u64) -> Setup {
    let input = include_str!("../../statemachine/examples/workshop.json");
    let input = serde_json::from_str(input).expect("the example is JSON");
    Setup { world: WorldSpec::workshop(), input, seed }
}

/// How the failback of the workshop ends under a behaviour, and what is wrong with that.
async fn run(behaviour: Behaviour, seed: u64, expected: Ends) -> Result<(), String> {
    run_in(&workshop(seed), behaviour, expected).await
}

async fn run_in(setup: &Setup, behaviour: Behaviour, expected: Ends) -> Result<(), String> {
    crate::permissions::watch();
    let drill = Drill::new(setup).map_err(|error| error.to_string())?;
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
        // These two have tests of their own below.
        assert!(tried || field == "timings" || field == "codes", "{field} is not tried");
    }
}

/// Codes that the service may refuse with for almost any reason.
const CODES: [&str; 3] =
    ["InvalidParameterValue", "InvalidDBClusterStateFault", "InvalidGlobalClusterStateFault"];

#[tokio::test(start_paused = true)]
async fn failback_keeps_its_promises_whatever_the_unknown_codes_are() {
    let all = serde_json::to_value(Behaviour::default()).expect("switches are JSON");
    let cases = CODES.map(|code| {
        let mut behaviour = all.clone();
        for (_, unknown) in behaviour["codes"].as_object_mut().expect("a structure") {
            *unknown = json!(code);
        }
        let behaviour = serde_json::from_value(behaviour).expect("a behaviour");
        (format!("codes = {code}"), behaviour, Succeeded)
    });
    run_all(&[1, 2], cases.into()).await;
}

#[tokio::test(start_paused = true)]
async fn failback_keeps_its_promises_in_whatever_order_checks_come() {
    // Every kind of check comes first once.
    let orders = (0..Check::USUAL.len()).map(|by| {
        let mut order = Check::USUAL;
        order.rotate_left(by);
        (format!("{order:?}"), with("check_order", &json!(order)), Succeeded)
    });
    run_all(&[1], orders.collect()).await;
}

/// The workshop without a key: what is encrypted by default depends on switches.
#[tokio::test(start_paused = true)]
async fn failback_of_clusters_without_a_key_keeps_its_promises_under_every_default_encryption() {
    let mut setup = workshop(1);
    for cluster in setup.world.regions.iter_mut().flat_map(|region| &mut region.clusters) {
        cluster.kms_key = None;
    }
    let refused = Refused("HomeNotRebuilt");
    for (by_default, joins, ends) in
        [(false, true, Succeeded), (true, true, Succeeded), (true, false, refused)]
    {
        let behaviour = Behaviour {
            encrypts_by_default: by_default,
            default_encryption_joins_unencrypted: joins,
            ..Behaviour::default()
        };
        let ended = run_in(&setup, behaviour, ends).await;
        assert_eq!(ended, Ok(()), "by default: {by_default}, joins: {joins}");
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
