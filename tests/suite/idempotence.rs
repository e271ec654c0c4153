//! Every function, run again, changes nothing more: a state machine may always ask twice.

use crate::lockstep::source;
use crate::support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use failback::Aws;
use failback_cli::lambda::Invocation;
use failback_sandbox::{Call, Fault, Sandbox, Verb};
use failback_states::Status;
use serde_json::Value;

use crate::support::given::Given;
use crate::support::rich::rich;
use crate::support::superset::moving_and_removing;
use crate::support::{probe, took_effect};

/// How often each function changed something by each operation.
type Effects = BTreeMap<(String, String), usize>;

/// What was noted between the invocations.
#[derive(Default)]
struct Notes {
    /// Functions that were tried.
    tried: BTreeSet<String>,
    /// Functions that changed something when tried.
    acted: BTreeSet<String>,
    /// What was changed while trying.
    effects: Effects,
}

/// Clients of one world and what was noted there.
#[derive(Clone)]
struct Bench {
    aws: Aws,
    sandbox: Sandbox,
    notes: Rc<RefCell<Notes>>,
}

impl Bench {
    /// Calls a function; answers what it said and which calls it made.
    async fn call(&self, function: &str, payload: &Value) -> (Result<Value, String>, Vec<Call>) {
        let before = self.sandbox.calls().len();
        let answer = failback::call(function, &self.aws, payload.clone()).await;
        let calls = self.sandbox.calls().split_off(before);
        crate::permissions::hold(function, &calls);
        let mut notes = self.notes.borrow_mut();
        notes.tried.insert(function.to_owned());
        if calls.iter().any(took_effect) {
            notes.acted.insert(function.to_owned());
        }
        note(&mut notes.effects, function, &calls);
        (answer.map_err(|error| error.name().to_owned()), calls)
    }

    fn disarm(&self) {
        self.sandbox.change_world(|world| world.faults = Default::default());
    }
}

fn note(effects: &mut Effects, function: &str, calls: &[Call]) {
    for (operation, times) in support::effects(calls) {
        *effects.entry((function.to_owned(), operation)).or_default() += times;
    }
}

/// Runs the whole machine; `meddle` has its way before each invocation.
async fn run<M, F>(given: &Given, meddle: M) -> (Notes, BTreeSet<String>)
where
    M: Fn(Bench, String, Value) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let drill = given.drill();
    let notes = Rc::new(RefCell::new(Notes::default()));
    let bench =
        Bench { aws: drill.aws.clone(), sandbox: drill.sandbox.clone(), notes: notes.clone() };
    let before: probe::Before =
        Box::new(move |function, payload| Box::pin(meddle(bench.clone(), function, payload)));
    let (outcome, invocations) = probe::run(&drill, given, before).await;
    assert_eq!(outcome.status, Status::Succeeded, "{:?}: {:?}", outcome.error, outcome.cause);
    let mut notes = notes.take();
    for Invocation { function, calls, .. } in &invocations {
        note(&mut notes.effects, function, calls);
    }
    (notes, resources(&drill.sandbox))
}

/// Everything there is that a function could have made once too often.
fn resources(sandbox: &Sandbox) -> BTreeSet<String> {
    sandbox.with_world(|world| {
        let mut out: BTreeSet<String> = world.rds.globals.keys().cloned().collect();
        for (name, region) in &world.rds.regions {
            let ids = region.clusters.keys().chain(region.instances.keys());
            let ids = ids.chain(region.snapshots.keys());
            let endpoints = region.clusters.values().flat_map(|c| c.endpoints.keys());
            // A daily backup leaves an automated snapshot behind, whenever its hour comes.
            let lasting = ids.chain(endpoints).filter(|id| !id.starts_with("rds:"));
            out.extend(lasting.map(|id| format!("{name}/{id}")));
        }
        for (region, name) in world.secrets.names() {
            out.insert(format!(
                "{region}/{name}: {} versions",
                world.secrets.versions(region, name)
            ));
        }
        out
    })
}

/// Runs of both strategies and both fences, and one with applications: between them they invoke every
/// function.
fn ways() -> [Given; 4] {
    [rich(), Given::managed(), moving_and_removing(), Given::by_security_group()]
}

/// What the runs tried and what acted in them.
#[derive(Default)]
struct Covered {
    tried: BTreeSet<String>,
    acted: BTreeSet<String>,
}

impl Covered {
    fn add(&mut self, notes: Notes) {
        self.tried.extend(notes.tried);
        self.acted.extend(notes.acted);
    }
}

/// What a run does when nobody meddles.
async fn undisturbed(given: &Given) -> (Notes, BTreeSet<String>) {
    run(given, |_, _, _| async {}).await
}

/// Asking again replaces the token and publishes once more; who answers is no state. Both are tried
/// in `approvals`, with lost replies.
const WITH_PEOPLE: [&str; 2] = ["request_approval", "answer_approval"];

/// No part of a run; both are tried in `events`, with lost replies.
const BEFORE_A_RUN: [&str; 2] = ["hear_event", "start_failback"];

fn all_functions() -> BTreeSet<String> {
    let names = failback::FUNCTIONS.iter().map(|f| f.name);
    let elsewhere = |name: &&str| WITH_PEOPLE.contains(name) || BEFORE_A_RUN.contains(name);
    names.filter(|name| !elsewhere(name)).map(str::to_owned).collect()
}

/// Finds nothing to do in a run that follows no other: `lift_fence` does the same, by the same code.
const IDLE: &str = "lift_left_fence";

/// Those whose header names a call that changes something.
fn acting_functions() -> BTreeSet<String> {
    let acts = |function: &String| !mutating_calls(function).is_empty() && function != IDLE;
    all_functions().into_iter().filter(acts).collect()
}

/// Operations of a function that change something, without their service.
fn mutating_calls(function: &str) -> Vec<String> {
    let reads = ["Describe", "List", "Get", "Execute", "LogIn", "Test"];
    let calls = source::calls(function);
    let operations = calls.iter().filter_map(|call| call.split_once(':'));
    operations
        .map(|(_, operation)| operation.to_owned())
        .filter(|operation| !reads.iter().any(|verb| operation.starts_with(verb)))
        .collect()
}

/// Calls the function two times before it is invoked.
async fn call_twice(bench: Bench, function: String, payload: Value) {
    let before = bench.sandbox.fingerprint();
    let (_, first) = bench.call(&function, &payload).await;
    let between = bench.sandbox.fingerprint();
    let (_, second) = bench.call(&function, &payload).await;

    if mutating_calls(&function).is_empty() {
        assert_eq!(between, before, "{function} only reads");
    }
    let changes = |calls: &[Call]| -> BTreeSet<String> {
        let changing = calls.iter().filter(|call| took_effect(call));
        changing.map(|call| format!("{} {}", call.operation, call.resource)).collect()
    };
    // Each run of this one applies the next kind of setting that is missing.
    if function == "configure_cluster" {
        let again: Vec<_> = changes(&first).intersection(&changes(&second)).cloned().collect();
        assert_eq!(again, Vec::<String>::new(), "{function}");
    } else {
        assert_eq!(changes(&second), BTreeSet::new(), "{function} after {:?}", changes(&first));
        assert!(bench.sandbox.fingerprint() == between, "{function} changed something");
    }
}

/// A restart that is not known to have been accepted is asked for once more: one too many costs
/// seconds, one too few leaves a session that writes. So they are not counted; asking twice at once
/// still restarts once.
fn but_restarts(mut effects: Effects) -> Effects {
    effects.retain(|(function, _), _| function != "restart_instances");
    effects
}

/// Runs all ways with and without meddling: the same was done, and the same is left.
async fn nothing_more_happens<M, F>(meddle: M) -> Covered
where
    M: Fn(Bench, String, Value) -> F + Copy + 'static,
    F: Future<Output = ()> + 'static,
{
    let mut covered = Covered::default();
    for given in ways() {
        let (once, left_once) = undisturbed(&given).await;
        let (meddled, left_meddled) = run(&given, meddle).await;
        assert_eq!(but_restarts(meddled.effects.clone()), but_restarts(once.effects));
        assert_eq!(left_meddled, left_once);
        covered.add(meddled);
    }
    covered
}

#[tokio::test(start_paused = true)]
async fn second_run_of_a_function_changes_nothing_more() {
    let covered = nothing_more_happens(call_twice).await;
    assert_eq!(covered.tried, all_functions());
    assert_eq!(covered.acted, acting_functions());
}

/// Loses the replies to what the function changes, and calls it again.
async fn call_after_a_lost_reply(bench: Bench, function: String, payload: Value) {
    for operation in mutating_calls(&function) {
        bench.sandbox.inject(Fault::next(Verb::LoseReply, &operation));
    }
    let (answer, calls) = bench.call(&function, &payload).await;
    bench.disarm();
    let lost = calls.iter().find(|call| call.error.as_deref() == Some("LostReply"));
    if let Some(lost) = lost {
        // Trouble with an application is an answer: it must not stop the failback of the database.
        if lost.service == "superset" {
            assert_eq!(answer.expect("an answer")["state"], "PENDING", "{function}");
        } else {
            assert_eq!(answer, Err("AwsUnavailable".to_owned()), "{function}");
        }
        let (answer, _) = bench.call(&function, &payload).await;
        assert!(answer.is_ok(), "{function} after a lost reply: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn run_after_a_lost_reply_changes_nothing_more() {
    let covered = nothing_more_happens(call_after_a_lost_reply).await;
    assert_eq!(covered.tried, all_functions());
    assert_eq!(covered.acted, acting_functions(), "a reply was lost of each");
}

/// Throttles the first call that the function makes, the first time that it is invoked.
async fn call_throttled(bench: Bench, function: String, payload: Value) {
    if bench.notes.borrow().tried.contains(&function) {
        return;
    }
    let before = bench.sandbox.fingerprint();
    let any = Fault {
        verb: Verb::Throttle,
        service: None,
        operation: None,
        region: None,
        skip: 0,
        times: 1,
    };
    bench.sandbox.inject(any);

    let (answer, calls) = bench.call(&function, &payload).await;

    assert!(bench.sandbox.fingerprint() == before, "{function} changed something");
    bench.disarm();
    if calls.is_empty() {
        // It has nothing to ask about in this world: another one shows it.
        bench.notes.borrow_mut().tried.remove(&function);
        return;
    }
    assert_eq!(answer, Err("AwsUnavailable".to_owned()), "{function}");
}

#[tokio::test(start_paused = true)]
async fn throttled_call_is_reported_as_unavailable_and_changes_nothing() {
    let mut covered = Covered::default();
    let given =
        [Given::workshop(), Given::managed(), moving_and_removing(), Given::by_security_group()];
    for mut given in given {
        given.add_secrets();
        let (notes, _) = run(&given, call_throttled).await;
        covered.add(notes);
    }
    assert_eq!(covered.tried, all_functions());
}
