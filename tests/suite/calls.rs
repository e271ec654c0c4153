//! A function makes the API calls that its header names, all of them and no others.

use crate::lockstep::source;

use std::collections::{BTreeMap, BTreeSet};

use failback_cli::definitions::machine_arn;
use failback_cli::drill::Drill;
use failback_sandbox::{Behaviour, Call};
use failback_states::Status;

use crate::approvals::{answer, asking, wait_for_question};
use crate::events::put;
use crate::fences::blind_behind_the_fence;
use crate::proof::with_data_api;
use crate::support::given::Given;
use crate::support::rich::rich;
use crate::support::superset::{AWAY, WRITE_2, change, moving_and_removing, removing};
use crate::support::{drive_to, rehearse_well};

/// The calls that each function made.
pub type Calls = BTreeMap<String, Vec<Call>>;

fn note(made: &mut Calls, drill: &Drill) {
    for invocation in drill.invocations.borrow().iter() {
        let calls = made.entry(invocation.function.clone()).or_default();
        calls.extend(invocation.calls.iter().cloned());
    }
}

/// Runs in which every function makes every call that it ever makes.
pub async fn made() -> Calls {
    let mut made = Calls::new();

    let (drill, _) = rehearse_well(&rich()).await;
    note(&mut made, &drill);
    let (drill, _) = rehearse_well(&Given::managed()).await;
    note(&mut made, &drill);
    // Without samples nothing is promoted and the fence is lifted while home is a reader.
    let given = Given::workshop();
    let drill = given.drill();
    let silent = Behaviour { metric_data_missing: true, ..Behaviour::default() };
    drill.sandbox.set_behaviour(silent);
    let ended = drill.run("test", given.input.clone()).await.expect("it starts");
    assert_eq!(ended.outcome.status, Status::Failed);
    note(&mut made, &drill);

    let (drill, _) = rehearse_well(&moving_and_removing()).await;
    note(&mut made, &drill);
    // What is used is not removed, and by what is looked up.
    let given = removing();
    let drill = given.drill();
    change(&drill, AWAY, |i| i.database_mut(WRITE_2).expect("there").datasets = 1);
    drill.run("test", given.input.clone()).await.expect("it starts");
    note(&mut made, &drill);

    let (drill, _) = rehearse_well(&Given::by_security_group()).await;
    note(&mut made, &drill);
    let (drill, _) = blind_behind_the_fence(&Given::by_security_group()).await;
    note(&mut made, &drill);
    note_people(&mut made).await;
    note_left_fence(&mut made, Given::workshop()).await;
    note_left_fence(&mut made, Given::by_security_group()).await;
    note_event(&mut made).await;
    // Name servers of a public zone are asked.
    let mut given = Given::workshop();
    given.world.hosted_zones[0].private_to.clear();
    let (drill, _) = rehearse_well(&given).await;
    note(&mut made, &drill);
    // A position is read where the request says how.
    let drill = with_data_api().drill();
    drill.run("test", with_data_api().input).await.expect("it starts");
    note(&mut made, &drill);

    made
}

#[tokio::test(start_paused = true)]
async fn functions_make_exactly_the_calls_that_their_headers_name() {
    let name = |call: &Call| format!("{}:{}", call.service, call.operation);
    let made = made().await.into_iter();
    let made: BTreeMap<String, BTreeSet<String>> =
        made.map(|(function, calls)| (function, calls.iter().map(name).collect())).collect();

    let named: BTreeMap<String, BTreeSet<String>> =
        failback::FUNCTIONS.iter().map(|f| (f.name.to_owned(), source::calls(f.name))).collect();
    assert_eq!(made, named);
}

/// An event that is heard and followed to the start of a run.
async fn note_event(made: &mut Calls) {
    let drill = Given::workshop().deployed();
    let before = drill.sandbox.calls_made();
    put(&drill, "health-resolved-open").await;
    let calls = drill.sandbox.calls_after(before);
    made.entry("hear_event".to_owned()).or_default().extend(calls);

    drill.engine.drive_for(3_600_000).await;
    note(made, &drill);
}

/// A run that lifts the fence which another one left.
async fn note_left_fence(made: &mut Calls, given: Given) {
    let drill = given.drill();
    let machine = machine_arn("failback");
    let first = drill.engine.start_execution(&machine, Some("first"), given.input.clone());
    drive_to(&drill, "CheckReplicationBehindFence").await;
    drill.engine.stop_execution(&first.expect("it starts"), Some("Stopped"), None);
    drill.run("second", given.input.clone()).await.expect("it starts");
    note(made, &drill);
}

/// Runs that ask, that are answered either way, and that meet a lock which was left.
async fn note_people(made: &mut Calls) {
    let given = asking();
    for decision in ["approve", "reject"] {
        let drill = given.drill();
        let first = wait_for_question(&drill, &given.input).await;
        let before = drill.sandbox.calls_made();
        answer(&drill, decision, "retire-home").await.expect("the run waits for it");
        let calls = drill.sandbox.calls_after(before);
        made.entry("answer_approval".to_owned()).or_default().extend(calls);

        drill.engine.stop_execution(&first, Some("Stopped"), Some("by the operator"));
        drill.run("second", given.input.clone()).await.expect("it starts");
        note(made, &drill);
    }
}
