//! What several test binaries share: worlds to start from, and rehearsals to look into.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod given;
pub mod http;
pub mod probe;
pub mod rich;
pub mod runtime_api;
pub mod superset;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use failback::FailbackError;
use failback_cli::drill::{Drill, Ended, Setup};
use failback_sandbox::Call;
use failback_states::Status;
use serde_json::Value;

use given::Given;

/// The Region of the workshop's home cluster.
pub const HOME: &str = "us-east-1";
/// The Region of the workshop's away cluster.
pub const AWAY: &str = "us-west-2";

/// A drill in which every function is held to its role.
pub fn begin(setup: &Setup) -> Drill {
    crate::permissions::watch();
    Drill::new(setup).expect("the world can be built")
}

/// Calls a function by itself, held to its role like those that a machine invokes.
pub async fn call(drill: &Drill, function: &str, payload: Value) -> Result<Value, FailbackError> {
    let before = drill.sandbox.calls_made();
    let answer = failback::call(function, &drill.aws, payload).await;
    crate::permissions::hold(function, &drill.sandbox.calls_after(before));
    answer
}

/// Runs the whole machine with the input that was given.
pub async fn rehearse(given: &Given) -> (Drill, Ended) {
    let drill = given.drill();
    let ended = drill.run("test", given.input.clone()).await.expect("the execution starts");
    (drill, ended)
}

/// The same, and the execution must succeed.
pub async fn rehearse_well(given: &Given) -> (Drill, Ended) {
    let (drill, ended) = rehearse(given).await;
    let outcome = &ended.outcome;
    assert_eq!(outcome.status, Status::Succeeded, "{:?}: {:?}", outcome.error, outcome.cause);
    (drill, ended)
}

/// Whether a call changed something: one whose reply was lost did, too.
pub fn took_effect(call: &Call) -> bool {
    call.mutating && call.error.as_deref().is_none_or(|error| error == "LostReply")
}

/// How often each operation changed something.
pub fn effects(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls.iter().filter(|call| took_effect(call)) {
        *counts.entry(format!("{}:{}", call.service, call.operation)).or_default() += 1;
    }
    counts
}

/// Drives until a state of that name is entered.
pub async fn drive_to(drill: &Drill, state: &'static str) {
    let entered = Rc::new(Cell::new(false));
    let seen = entered.clone();
    drill.engine.subscribe(Box::new(move |_, event| {
        if event.state_name() == Some(state) {
            seen.set(true);
        }
    }));
    for _ in 0..100_000 {
        if entered.get() {
            return;
        }
        drill.engine.drive_for(1_000).await;
    }
    panic!("{state} was never entered");
}
