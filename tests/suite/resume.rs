//! A run is stopped at every state of every machine, and started again with the same input.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::support::AWAY;
use crate::support::given::Given;
use crate::support::superset::{self, moving_and_removing};
use failback::FailbackError;
use failback_cli::approver::Approver;
use failback_cli::definitions::{MACHINES, machine_arn, machine_name};
use failback_cli::drill::{Drill, Ended};
use failback_cli::lambda::mishap::Double;
use failback_cli::report::invariants;
use failback_sandbox::fault::Faults;
use failback_sandbox::rds::{Cluster, Membership};
use failback_sandbox::superset::Mood;
use failback_sandbox::{Fault, Verb, World};
use failback_states::Status;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A machine's state.
type State = (String, String);

/// A way to run: what is given, what goes wrong, and who answers. Together they enter every state.
struct Way {
    name: &'static str,
    given: Given,
    trouble: fn(&Drill),
    approver: Approver,
    /// An earlier run was stopped here.
    earlier: Option<State>,
    /// Somebody stops this machine's execution, and not the whole run, here.
    killed_at: Option<State>,
}

impl Way {
    fn new(name: &'static str, given: Given, trouble: fn(&Drill)) -> Self {
        let (earlier, killed_at) = (None, None);
        Self { name, given, trouble, approver: Approver::Auto, earlier, killed_at }
    }

    fn killed_at(mut self, machine: &str, state: &str) -> Self {
        self.killed_at = Some((machine.to_owned(), state.to_owned()));
        self
    }

    fn after_one_stopped_at(mut self, machine: &str, state: &str) -> Self {
        self.earlier = Some((machine.to_owned(), state.to_owned()));
        self
    }
}

fn asking(mut given: Given) -> Given {
    given.input["approvals"] =
        json!({ "retire_home": true, "promote_home": true, "retire_away": true });
    given
}

fn with(field: &str, value: Value) -> Given {
    let mut given = Given::workshop();
    given.input[field] = value;
    given
}

fn with_secrets(mut given: Given) -> Given {
    given.add_secrets();
    given
}

fn nothing(_: &Drill) {}

fn change(drill: &Drill, change: impl FnOnce(&mut World)) {
    drill.sandbox.change_world(change);
}

/// Lets some calls of an operation pass and has the next ones refused.
fn refuse(drill: &Drill, operation: &str, passing: u32, times: u32) {
    let verb = Verb::Refuse {
        code: "AccessDenied".to_owned(),
        message: "not authorized to perform this".to_owned(),
    };
    drill.sandbox.inject(Fault::next(verb, operation).after(passing).repeated(times));
}

/// What a stand-in does when a state invokes it for the first time, told which one: its execution and
/// name. Afterwards it is the function.
type Instead = fn(&str) -> Option<Result<Value, FailbackError>>;

/// Has functions stand in for themselves, but for the first time each state invokes them.
fn the_first_time(drill: &Drill, functions: &[&'static str], instead: Instead, acts: bool) {
    for function in functions.iter().copied() {
        let invoked = Rc::new(RefCell::new(BTreeSet::new()));
        let double: Double = Rc::new(move |aws, payload: Value| {
            let invoked = invoked.clone();
            Box::pin(async move {
                let context = &payload[failback::CONTEXT];
                let caller = format!("{context}");
                let instead = instead(&caller);
                let first = invoked.borrow_mut().insert(caller);
                let instead = instead.filter(|_| first);
                if instead.is_none() || acts {
                    let answer = failback::call(function, &aws, payload).await;
                    return instead.unwrap_or(answer);
                }
                instead.unwrap_or_else(|| unreachable!("looked at above"))
            })
        });
        drill.lambda().mishaps.replace(function, double);
    }
}

/// Functions that may answer PENDING.
const HESITANT: [&str; 25] = [
    "acquire_lock",
    "check_deletion",
    "check_detachment",
    "check_dns",
    "check_global_cluster",
    "check_member",
    "check_replication",
    "check_switchover",
    "configure_cluster",
    "create_cluster",
    "create_global_cluster",
    "create_instances",
    "cut_over_secret",
    "cut_over_superset",
    "delete_cluster",
    "delete_global_cluster",
    "detach_member",
    "fence_writes",
    "lift_fence",
    "lift_left_fence",
    "remove_superset_source",
    "restart_instances",
    "set_deletion_protection",
    "switch_over",
    "verify_topology",
];

fn not_yet(_: &str) -> Option<Result<Value, FailbackError>> {
    let mut answer = json!({ "state": "PENDING", "detail": "not yet", "asked": {} });
    answer["position"] = Value::Null;
    answer["proof"] = json!("lag_samples");
    answer["from"] = Value::Null;
    answer["to"] = Value::Null;
    Some(Ok(answer))
}

fn hesitate(drill: &Drill) {
    the_first_time(drill, &HESITANT, not_yet, false);
}

fn hesitate_to_lift(drill: &Drill) {
    the_first_time(drill, &["lift_fence", "lift_left_fence"], not_yet, false);
}

fn rejected() -> FailbackError {
    let (code, message) = ("AccessDenied".to_owned(), "not allowed".to_owned());
    FailbackError::AwsRejected { call: "any", code, message }
}

/// After a managed failover, away is behind the fence, and nothing that is remembered says so.
fn fenced() -> Given {
    let mut given = Given::managed();
    let away = given.region(AWAY);
    let private = away.subnet_groups[0].subnets.clone();
    for subnet in away.vpcs[0].subnets.iter_mut().filter(|s| private.contains(&s.id)) {
        subnet.network_acl = Some("acl-0fe9ce00a11c105ed".to_owned());
    }
    given
}

fn ways() -> Vec<Way> {
    let mut rejecting = Way::new("rejected", asking(Given::workshop()), nothing);
    rejecting.approver = Approver::Reject;
    let mut silent = Way::new("unanswered", asking(Given::workshop()), nothing);
    silent.approver = Approver::Nobody;
    vec![
        Way::new("detach", with_secrets(asking(Given::workshop())), nothing),
        Way::new("managed", with_secrets(asking(Given::managed())), nothing),
        Way::new("switchover", with("strategy", json!("switchover")), nothing),
        Way::new("hesitant", asking(Given::workshop()), hesitate),
        Way::new("hesitant switchover", Given::managed(), hesitate),
        Way::new("blind", Given::workshop(), |d| {
            change(d, |w| w.behaviour.metric_data_missing = true);
            hesitate_to_lift(d);
        }),
        Way::new("drifting", Given::workshop(), |d| {
            let drifted = |_: &str| {
                let differences = "a thing: was here, is there".to_owned();
                Some(Err(FailbackError::TopologyDrifted { differences }))
            };
            the_first_time(d, &["check_drift"], drifted, false);
        }),
        Way::new("promotion asked for, and an error", Given::workshop(), |d| {
            let rejected = |caller: &str| caller.contains("promote-home").then(|| Err(rejected()));
            the_first_time(d, &["detach_member"], rejected, true);
        }),
        Way::new("fence that is not lifted", Given::workshop(), |d| {
            refuse(d, "GetMetricData", 8, 1);
            refuse(d, "ReplaceNetworkAclAssociation", 6, 1_000);
        }),
        Way::new("switchover that is not allowed", Given::managed(), |d| {
            the_first_time(d, &["switch_over"], |_| Some(Err(rejected())), false);
        }),
        Way::new("phases stopped", Given::workshop(), hesitate_to_lift)
            .killed_at("bring-home", "RetireHome"),
        Way::new("promotion stopped", Given::workshop(), hesitate_to_lift)
            .killed_at("promote-home", "CheckReplicationBehindFence"),
        Way::new("continued", Given::workshop(), nothing)
            .after_one_stopped_at("bring-home", "LimitHomePromoted"),
        Way::new("switchover behind a fence that nobody remembers", fenced(), hesitate_to_lift),
        Way::new("applications", moving_and_removing(), nothing),
        Way::new("applications, hesitant", moving_and_removing(), hesitate),
        Way::new("an application that is down", moving_and_removing(), |d| {
            superset::change(d, superset::AWAY, |i| i.mood = Mood::Down);
        }),
        Way::new("dry run", with("dry_run", json!(true)), nothing),
        rejecting,
        silent,
    ]
}

/// What one run entered, in order.
#[derive(Default)]
struct Entered {
    states: RefCell<Vec<State>>,
    stop_at: RefCell<Option<State>>,
    kill_at: RefCell<Option<State>>,
    reached: Notify,
    /// The execution to be stopped alone.
    victim: RefCell<Option<String>>,
    found: Notify,
}

fn watch(drill: &Drill, stop_at: Option<&State>, kill_at: Option<&State>) -> Rc<Entered> {
    let entered = Rc::new(Entered {
        stop_at: RefCell::new(stop_at.cloned()),
        kill_at: RefCell::new(kill_at.cloned()),
        ..Entered::default()
    });
    let noted = entered.clone();
    drill.engine.subscribe(Box::new(move |arn: &str, event| {
        let Some(state) = event.state_name() else { return };
        if !event.event_type.enters_a_state() {
            return;
        }
        let state = (machine_name(arn).to_owned(), state.to_owned());
        if noted.stop_at.borrow_mut().take_if(|at| *at == state).is_some() {
            noted.reached.notify_one();
        }
        if noted.kill_at.borrow_mut().take_if(|at| *at == state).is_some() {
            *noted.victim.borrow_mut() = Some(arn.to_owned());
            noted.found.notify_one();
        }
        noted.states.borrow_mut().push(state);
    }));
    entered
}

/// Runs to the end, or to the moment `stop_at` is entered, when the operator stops it.
async fn first_run(drill: &Drill, way: &Way, stop_at: Option<&State>) -> Rc<Entered> {
    if let Some(earlier) = &way.earlier {
        go(drill, way, "earlier", watch(drill, Some(earlier), None)).await;
    }
    (way.trouble)(drill);
    go(drill, way, "first", watch(drill, stop_at, way.killed_at.as_ref())).await
}

async fn go(drill: &Drill, way: &Way, name: &str, entered: Rc<Entered>) -> Rc<Entered> {
    let machine = machine_arn("failback");
    let started = drill.engine.start_execution(&machine, Some(name), way.given.input.clone());
    let arn = started.expect("it starts");
    let stop = |arn: &str| {
        drill.engine.stop_execution(arn, Some("Stopped"), Some("by the operator"));
    };
    loop {
        tokio::select! {
            _ = drill.engine.wait(&arn) => break,
            () = entered.reached.notified() => {
                stop(&arn);
                break;
            }
            () = entered.found.notified() => {
                let victim = entered.victim.borrow_mut().take();
                stop(&victim.expect("it is noted before it is told"));
            }
            never = drill.questions.answer(way.approver, &drill.aws, &drill.clock) => match never {},
        }
    }
    entered
}

/// The trouble is over and somebody starts again.
async fn start_again(drill: &Drill, way: &Way) -> Ended {
    drill.lambda().mishaps.restore();
    change(drill, |world| {
        world.faults = Faults::default();
        world.behaviour.metric_data_missing = false;
        world.supersets.instances.iter_mut().for_each(|i| i.mood = Mood::Up);
    });
    drill.approve_by(Approver::Auto);
    let mut input = way.given.input.clone();
    input["dry_run"] = json!(false);
    drill.run("again", input).await.expect("it starts")
}

fn all_states() -> BTreeSet<State> {
    let states = |(machine, text): &(&str, &str)| {
        let definition: Value = serde_json::from_str(text).expect("the definition is JSON");
        let named = |name: &String| ((*machine).to_owned(), name.clone());
        let states = definition["States"].as_object().expect("states");
        let below = states.values().filter_map(|s| s["ItemProcessor"]["States"].as_object());
        states.keys().chain(below.flat_map(|s| s.keys())).map(named).collect::<Vec<_>>()
    };
    // What waits for home before a run is no part of one.
    MACHINES.iter().filter(|(name, _)| *name != "await-recovery").flat_map(states).collect()
}

/// Whether a run cannot be stopped there any more: it has ended.
fn is_an_end((machine, state): &State) -> bool {
    let (_, text) = MACHINES.iter().find(|(name, _)| name == machine).expect("a machine");
    let definition: Value = serde_json::from_str(text).expect("the definition is JSON");
    let state = &definition["States"][state];
    state["End"] == true
        || ["Succeed", "Fail"].contains(&state["Type"].as_str().unwrap_or_default())
}

/// Ways on which the fence is a security group: it goes up and comes down in several steps.
fn ways_by_group() -> Vec<Way> {
    vec![
        Way::new("by group", asking(Given::by_security_group()), nothing),
        Way::new("by group, and called off", Given::by_security_group(), |d| {
            let behind = |caller: &str| caller.contains("BehindFence").then(|| Err(rejected()));
            the_first_time(d, &["check_replication"], behind, false);
        }),
        Way::new("by group, promotion stopped", Given::by_security_group(), nothing)
            .killed_at("promote-home", "CheckReplicationBehindFence"),
        Way::new("by group, phases stopped", Given::by_security_group(), nothing)
            .killed_at("bring-home", "RetireHome"),
        Way::new("by group, continued", Given::by_security_group(), nothing)
            .after_one_stopped_at("promote-home", "RestartInstances"),
    ]
}

/// Members of a global cluster that anybody may delete: before the disaster there were none.
fn unprotected(world: &World) -> Vec<String> {
    let clusters = world.rds.regions.values().flat_map(|region| region.clusters.values());
    let left_open =
        |c: &&Cluster| c.membership != Membership::Standalone && !c.settings.deletion_protection;
    clusters.filter(left_open).map(|c| c.id.clone()).collect()
}

/// Stops a run at every state that these ways enter, and has it finished by starting again; answers
/// the states.
async fn stop_everywhere(ways: &[Way]) -> BTreeSet<State> {
    let mut way_to: BTreeMap<State, usize> = BTreeMap::new();
    for (index, way) in ways.iter().enumerate() {
        let drill = way.given.drill();
        let entered = first_run(&drill, way, None).await;
        for state in entered.states.borrow().iter() {
            way_to.entry(state.clone()).or_insert(index);
        }
    }
    let mut broken = Vec::new();
    for (state, index) in &way_to {
        let way = &ways[*index];
        let drill = way.given.drill();
        let entered = first_run(&drill, way, Some(state)).await;
        assert!(entered.states.borrow().contains(state), "{}: {state:?}", way.name);
        let ended = start_again(&drill, way).await;
        let outcome = &ended.outcome;
        let text = format!("{state:?} ({}): {:?}: {:?}", way.name, outcome.error, outcome.cause);
        if outcome.status != Status::Succeeded {
            broken.push(text.clone());
        }
        for cluster in drill.sandbox.with_world(unprotected) {
            broken.push(format!("{text}: {cluster} is not protected as the ones before were"));
        }
        for invariant in invariants(&drill.sandbox, &ended, &way.given.world) {
            if !invariant.held {
                broken.push(format!("{text}: {}: {}", invariant.name, invariant.seen));
            }
        }
    }
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), way_to.len(), broken.join("\n"));
    way_to.into_keys().collect()
}

#[tokio::test(start_paused = true)]
async fn run_stopped_at_any_state_is_finished_by_starting_again() {
    let entered = stop_everywhere(&ways()).await;

    let unvisited: Vec<_> = all_states()
        .into_iter()
        .filter(|state| !entered.contains(state) && !is_an_end(state))
        .map(|(machine, state)| format!("{machine}: {state}"))
        .collect();
    println!(
        "stopped at {} states of {}; never entered: {unvisited:#?}",
        entered.len(),
        all_states().len()
    );
    assert!(unvisited.is_empty(), "no way leads to {unvisited:#?}");
}

#[tokio::test(start_paused = true)]
async fn run_fenced_by_a_security_group_and_stopped_at_any_state_is_finished_by_starting_again() {
    let entered = stop_everywhere(&ways_by_group()).await;

    for (machine, state) in [
        ("promote-home", "WaitForFenceWrites"),
        ("promote-home", "WaitForRestartInstances"),
        ("promote-home", "WaitForLiftFence"),
        ("bring-home", "WaitForFenceWritesHome"),
        ("bring-home", "WaitForRestartInstancesHome"),
        ("bring-home", "WaitForLiftFenceOfStoppedChild"),
        ("failback", "WaitForLiftLeftFence"),
    ] {
        assert!(entered.contains(&(machine.to_owned(), state.to_owned())), "{machine}: {state}");
    }
}
