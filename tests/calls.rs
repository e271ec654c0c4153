//! A function makes the API calls that its header names, all of them and no others.

#[path = "lockstep/source.rs"]
#[allow(dead_code, reason = "only what the headers say of calls is needed")]
mod source;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use failback_cli::drill::Drill;
use failback_sandbox::Behaviour;
use failback_states::Status;

use support::given::Given;
use support::rehearse_well;
use support::rich::rich;

type Calls = BTreeMap<String, BTreeSet<String>>;

fn note(made: &mut Calls, drill: &Drill) {
    for invocation in drill.invocations.borrow().iter() {
        let calls = made.entry(invocation.function.clone()).or_default();
        let names = invocation.calls.iter().map(|c| format!("{}:{}", c.service, c.operation));
        calls.extend(names);
    }
}

#[tokio::test(start_paused = true)]
async fn functions_make_exactly_the_calls_that_their_headers_name() {
    let mut made = Calls::new();

    let (drill, _) = rehearse_well(&rich()).await;
    note(&mut made, &drill);
    // Without samples nothing is promoted and the fence is lifted while home is a reader.
    let given = Given::workshop();
    let drill = given.drill();
    let silent = Behaviour { metric_data_missing: true, ..Behaviour::default() };
    drill.sandbox.set_behaviour(silent);
    let ended = drill.run("test", given.input.clone()).await.expect("it starts");
    assert_eq!(ended.outcome.status, Status::Failed);
    note(&mut made, &drill);

    let named: Calls =
        failback::FUNCTIONS.iter().map(|f| (f.name.to_owned(), source::calls(f.name))).collect();
    assert_eq!(made, named);
}
