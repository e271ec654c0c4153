//! The command `failback scenario`: files that say what is given, what goes wrong, and how it must
//! end. Whatever a file says, the invariants of `chaos::invariants` are checked after every state.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use failback_plan::Request;
use failback_sandbox::{Behaviour, Call, Fault, Verb};
use failback_states::{EventType, HistoryEvent, Outcome, Status};
use serde::Deserialize;
use serde_json::Value;

use crate::chaos::invariants::{Invariants, Violation};
use crate::chaos::names::Names;
use crate::definitions::{self, machine_arn};
use crate::drill::{Drill, Setup, in_virtual_time};
use crate::lambda::mishap::{Mishap, Planned};
use crate::rehearse::BAD_USAGE;

/// What `failback scenario` is told.
#[derive(Debug, clap::Args)]
pub struct Scenarios {
    /// The scenarios to play.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// A scenario as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence.
    pub title: String,
    /// What it is about, and where it was seen.
    pub story: String,
    /// The workshop's world and request, but for this.
    #[serde(default)]
    pub given: Given,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<Wrong>,
    /// Who else starts the same failback meanwhile.
    #[serde(default)]
    pub also_started: Vec<AlsoStarted>,
    /// How the run must end.
    pub expect: Expect,
    /// When it did not succeed: the faults are over, this changes in the request, and it is started
    /// again, which must succeed.
    #[serde(default)]
    pub then: Option<BTreeMap<String, Value>>,
}

/// In what the world and the request differ from the workshop's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// Fields of the world's file, by path: `regions.0.clusters.0.settings.port`.
    pub world: BTreeMap<String, Value>,
    /// How the services behave, by the names of docs/sandbox.md.
    pub behaviour: BTreeMap<String, Value>,
    /// Fields of the request, by path.
    pub request: BTreeMap<String, Value>,
    /// How many instances home's stale cluster has.
    pub home_instances: Option<usize>,
    /// How many instances away's cluster has.
    pub away_instances: Option<usize>,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// The call it meets.
    #[serde(default)]
    pub call: Option<String>,
    /// The function it meets.
    #[serde(default)]
    pub function: Option<String>,
    /// What happens: to a call `throttle`, `internal error`, `reply lost`, `request lost`, `stuck`,
    /// `slow`, `failed` or `stale`; to a function `crash`, `time-out`, `late` or `twice`.
    pub what: String,
    /// How many pass first.
    #[serde(default)]
    pub after: u32,
    /// How many it meets.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// The same failback, started once more while it is at work.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsoStarted {
    /// So many seconds after the first.
    pub after_s: i64,
    /// The name of the error by which it must end.
    pub error: String,
}

/// How a run must end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// `SUCCEEDED` or `FAILED`.
    pub ends: String,
    /// The name of the error.
    #[serde(default)]
    pub error: Option<String>,
    /// Words of its cause.
    #[serde(default)]
    pub cause_says: Vec<String>,
    /// In at most so many virtual minutes.
    #[serde(default)]
    pub within_minutes: Option<i64>,
    /// How many calls of these operations succeed, exactly.
    #[serde(default)]
    pub calls: BTreeMap<String, usize>,
    /// How many calls of these operations are made at most, refused ones included.
    #[serde(default)]
    pub calls_max: BTreeMap<String, usize>,
    /// Nothing but the lock is changed: no call that could succeeds.
    #[serde(default)]
    pub changes_nothing: bool,
    /// Calls in this order: `Operation thing`, of which the first of each counts.
    #[serde(default)]
    pub order: Vec<String>,
    /// What exists at the end, or does not: `cluster`, `status` and role as in the runbook's tables.
    #[serde(default)]
    pub table: Vec<[String; 3]>,
    /// Settings of these old clusters' kind that the rebuilt ones must have: field names.
    #[serde(default)]
    pub settings_carried: Vec<String>,
}

/// What playing a scenario came to: everything that was not as expected.
pub type Wrongs = Vec<String>;

/// Plays scenarios; answers the exit code that `--help` promises.
pub fn main(arguments: &Scenarios) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in &arguments.files {
        let text = std::fs::read_to_string(file).map_err(|e| e.to_string());
        match text.and_then(|text| read(&text)).and_then(|s| Ok((play(&s)?, s))) {
            Ok((wrongs, scenario)) if wrongs.is_empty() => println!("ok      {}", scenario.title),
            Ok((wrongs, scenario)) => {
                println!("FAILED  {}", scenario.title);
                wrongs.iter().for_each(|wrong| println!("        {wrong}"));
                code = ExitCode::FAILURE;
            }
            Err(problem) => {
                eprintln!("failback: {}: {problem}", file.display());
                return ExitCode::from(BAD_USAGE);
            }
        }
    }
    code
}

/// Reads a scenario's file.
///
/// # Errors
/// What the file has that it may not have, or lacks.
pub fn read(text: &str) -> Result<Scenario, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}

/// Plays a scenario, in virtual time.
///
/// # Errors
/// A scenario that cannot be set up: a path that leads nowhere, a fault that does not exist.
pub fn play(scenario: &Scenario) -> Result<Wrongs, String> {
    in_virtual_time(played(scenario))?
}

async fn played(scenario: &Scenario) -> Result<Wrongs, String> {
    let setup = setup(&scenario.given)?;
    let machines = definitions::load().map_err(|e| e.to_string())?;
    let drill = Drill::unwatched(&setup, machines).map_err(|e| e.to_string())?;
    let behaviour = changed(&Behaviour::default(), &scenario.given.behaviour)?;
    drill.sandbox.set_behaviour(behaviour);
    let before = drill.sandbox.with_world(|w| w.rds.clone());
    let invariants = watch(&drill, &setup);
    for wrong in &scenario.faults {
        arm(&drill, wrong)?;
    }
    let mut wrongs = Vec::new();
    let (outcome, refused) = tokio::join!(
        run(&drill, "scenario", &setup.input),
        refused(&drill, &scenario.also_started, &setup.input)
    );
    let outcome = outcome?;
    wrongs.extend(refused?);
    compare(&drill, &scenario.expect, &outcome, &mut wrongs);
    let mut last = outcome;
    if let Some(changes) = &scenario.then {
        drill.lambda().mishaps.withdraw();
        drill.sandbox.change_world(|world| {
            world.faults.retain(|_| false);
            world.unstick();
            world.behaviour = Behaviour::default();
        });
        let input = changed(&setup.input, changes)?;
        last = run(&drill, "again", &input).await?;
        if last.status != Status::Succeeded {
            wrongs.push(format!("started again it ended {:?}: {:?}", last.error, last.cause));
        }
    }
    if last.status == Status::Succeeded
        && let Some(invariants) = &invariants
    {
        carried(&drill, &before, &scenario.expect.settings_carried, invariants, &mut wrongs);
    }
    if let Some(invariants) = invariants {
        let mut invariants = invariants.borrow_mut();
        drill.sandbox.with_world(|world| {
            invariants.look(world);
            invariants.look_closely(world);
            match last.status {
                Status::Succeeded => invariants.judge_success(world, false),
                _ => invariants.judge_failure(world, last.error.as_deref().unwrap_or_default()),
            }
        });
        let broken = |v: &Violation| format!("BROKEN {}: {}", v.invariant, v.seen);
        wrongs.extend(invariants.violations.iter().map(broken));
    }
    Ok(wrongs)
}

fn setup(given: &Given) -> Result<Setup, String> {
    let workshop = Setup::workshop(1);
    let mut world = changed(&workshop.world, &given.world)?;
    for (region, count) in
        world.regions.iter_mut().zip([given.home_instances, given.away_instances])
    {
        let Some(count) = count else { continue };
        let cluster = &mut region.clusters[0];
        let model = cluster.instances[0].clone();
        cluster.instances = (1..=count)
            .map(|i| {
                let mut instance = model.clone();
                instance.id = format!("{}-node{i}", &cluster.id[..4]);
                instance
            })
            .collect();
    }
    Ok(Setup { world, input: changed(&workshop.input, &given.request)?, seed: workshop.seed })
}

/// The same with other values at some paths; a path's last part may be new.
fn changed<T>(of: &T, changes: &BTreeMap<String, Value>) -> Result<T, String>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let mut value = serde_json::to_value(of).map_err(|e| e.to_string())?;
    for (path, to) in changes {
        let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
        let pointer: String = parent
            .split('.')
            .filter(|p| !p.is_empty())
            .fold(String::new(), |pointer, part| pointer + "/" + part);
        let parent = value.pointer_mut(&pointer).ok_or_else(|| format!("there is no {path}"))?;
        let slot = match parent {
            Value::Array(list) => last.parse().ok().and_then(|i: usize| list.get_mut(i)),
            Value::Object(map) => Some(map.entry(last.to_owned()).or_insert(Value::Null)),
            _ => None,
        };
        *slot.ok_or_else(|| format!("there is no {path}"))? = to.clone();
    }
    serde_json::from_value(value).map_err(|e| e.to_string())
}

/// Checks the invariants after every state; not of a request that cannot be read.
fn watch(drill: &Drill, setup: &Setup) -> Option<Rc<RefCell<Invariants>>> {
    let request = Request::parse(&setup.input).ok()?;
    let invariants = drill.sandbox.with_world(|w| Invariants::new(w, Names::of(&request, w)));
    let invariants = Rc::new(RefCell::new(invariants));
    let (looking, sandbox) = (invariants.clone(), drill.sandbox.clone());
    drill.engine.subscribe(Box::new(move |_: &str, event: &HistoryEvent| {
        use EventType as E;
        if matches!(
            event.event_type,
            E::TaskStateEntered | E::TaskStateExited | E::FailStateEntered
        ) {
            sandbox.with_world(|w| looking.borrow_mut().look(w));
        }
    }));
    Some(invariants)
}

fn arm(drill: &Drill, wrong: &Wrong) -> Result<(), String> {
    let unknown = || format!("nothing of the kind `{}` can go wrong", wrong.what);
    if let Some(call) = &wrong.call {
        let verb = match wrong.what.as_str() {
            "throttle" => Verb::Throttle,
            "internal error" => Verb::InternalError,
            "reply lost" => Verb::LoseReply,
            "request lost" => Verb::LoseRequest,
            "stuck" => Verb::Stuck,
            "slow" => Verb::Slow { factor: 4.0 },
            "stale" => Verb::StaleRead { age_ms: 15_000 },
            "failed" => Verb::Fail { status: "failed".to_owned() },
            _ => return Err(unknown()),
        };
        drill.sandbox.inject(Fault::next(verb, call).after(wrong.after).repeated(wrong.times));
        return Ok(());
    }
    let mishap = match wrong.what.as_str() {
        "crash" => Mishap::CrashAfter,
        "time-out" => Mishap::Unanswered,
        "twice" => Mishap::Twice,
        _ => return Err(unknown()),
    };
    for _ in 0..wrong.times {
        let planned = Planned { mishap, function: wrong.function.clone(), skip: wrong.after };
        drill.lambda().mishaps.plan(planned);
    }
    Ok(())
}

async fn run(drill: &Drill, name: &str, input: &Value) -> Result<Outcome, String> {
    let arn = drill.engine.start_execution(&machine_arn("failback"), Some(name), input.clone());
    Ok(drill.engine.wait(&arn.map_err(|e| e.to_string())?).await)
}

/// Starts the same failback again and again while it is at work; answers what was not as expected.
async fn refused(drill: &Drill, others: &[AlsoStarted], input: &Value) -> Result<Wrongs, String> {
    let began_ms = drill.clock.now_ms();
    let mut wrongs = Vec::new();
    for (number, AlsoStarted { after_s, error }) in others.iter().enumerate() {
        drill.clock.sleep_until_ms(began_ms + after_s * 1_000).await;
        let outcome = run(drill, &format!("also-{number}"), input).await?;
        if outcome.error.as_ref() != Some(error) {
            let ended = outcome.error.as_deref().unwrap_or(outcome.status.name());
            wrongs.push(format!("started after {after_s} s it ended {ended}, not {error}"));
        }
    }
    Ok(wrongs)
}

/// Notes in what the run differs from what is expected.
fn compare(drill: &Drill, expect: &Expect, outcome: &Outcome, wrongs: &mut Wrongs) {
    let mut note = |wrong: String| wrongs.push(wrong);
    let cause = outcome.cause.as_deref().unwrap_or_default();
    if outcome.status.name() != expect.ends {
        note(format!("ended {}: {:?}: {cause}", outcome.status.name(), outcome.error));
    }
    if expect.error.is_some() && outcome.error != expect.error {
        note(format!("ended {:?}, not {:?}: {cause}", outcome.error, expect.error));
    }
    for words in expect.cause_says.iter().filter(|words| !cause.contains(words.as_str())) {
        note(format!("the cause does not say `{words}`: {cause}"));
    }
    let took = (outcome.stopped_ms.unwrap_or(i64::MAX) - outcome.started_ms) / 60_000;
    if let Some(limit) = expect.within_minutes.filter(|limit| took > *limit) {
        note(format!("took {took} minutes, more than {limit}"));
    }
    let calls = drill.sandbox.calls();
    let named = |c: &&Call, operation: &str| c.operation == operation;
    for (operation, wanted) in &expect.calls {
        let made = calls.iter().filter(|c| named(c, operation) && done(c)).count();
        if made != *wanted {
            note(format!("{operation} succeeded {made} times, not {wanted}"));
        }
    }
    for (operation, most) in &expect.calls_max {
        let made = calls.iter().filter(|c| named(c, operation)).count();
        if made > *most {
            note(format!("{operation} was called {made} times, more than {most}"));
        }
    }
    // A run that is refused takes its lock and gives it back.
    let change = calls.iter().find(|c| c.mutating && done(c) && c.service != "dynamodb");
    if let Some(call) = change.filter(|_| expect.changes_nothing) {
        note(format!("{} of {} changed something", call.operation, call.resource));
    }
    in_order(&calls, &expect.order, &mut note);
    for [cluster, status, role] in &expect.table {
        let seen = seen(drill, cluster);
        if seen != (status.as_str(), role.as_str()) {
            note(format!("{cluster} is {} and {}, not {status} and {role}", seen.0, seen.1));
        }
    }
}

/// It changed what it was to change, whether or not anybody was told.
fn done(call: &Call) -> bool {
    matches!(call.error.as_deref(), None | Some("LostReply"))
}

fn in_order(calls: &[Call], order: &[String], note: &mut impl FnMut(String)) {
    let first = |wanted: &String| {
        let (operation, thing) = wanted.split_once(' ').unwrap_or((wanted, ""));
        let is = |c: &Call| {
            let ends = thing.is_empty() || c.resource == thing;
            c.operation == operation
                && (ends || c.resource.ends_with(&format!(":{thing}")))
                && done(c)
        };
        calls.iter().position(is)
    };
    let places: Vec<_> = order.iter().map(|wanted| (wanted, first(wanted))).collect();
    for (wanted, place) in &places {
        if place.is_none() {
            note(format!("{wanted} was never done"));
        }
    }
    for pair in places.windows(2) {
        if pair[0].1 > pair[1].1 {
            note(format!("{} was done after {}", pair[0].0, pair[1].0));
        }
    }
}

/// Status and role of a cluster, as the runbook's tables have them.
fn seen(drill: &Drill, id: &str) -> (&'static str, &'static str) {
    drill.sandbox.with_world(|world| {
        let Some(cluster) = world.rds.clusters().find(|c| c.id == id) else {
            return ("Deleted", "Deleted");
        };
        let status = match cluster.status.as_str() {
            "available" | "backing-up" => "Available",
            _ => "Not available",
        };
        (status, if cluster.is_reader() { "Reader" } else { "Writer" })
    })
}

/// Compares settings of the old clusters with those of the rebuilt ones.
fn carried(
    drill: &Drill,
    before: &failback_sandbox::rds::Rds,
    fields: &[String],
    invariants: &RefCell<Invariants>,
    wrongs: &mut Wrongs,
) {
    let invariants = invariants.borrow();
    let names = invariants.names();
    let pairs = [(&names.home, &names.home_restored), (&names.away, &names.away_restored)];
    drill.sandbox.with_world(|world| {
        for (old, new) in pairs {
            let settings = |rds: &failback_sandbox::rds::Rds, n: &(String, String)| {
                let cluster = rds.cluster(&n.0, &n.1)?;
                serde_json::to_value(&cluster.settings).ok()
            };
            let (then, now) = (settings(before, old), settings(&world.rds, new));
            for field in fields {
                let (then, now) =
                    (then.as_ref().map(|s| &s[field]), now.as_ref().map(|s| &s[field]));
                if then != now || then.is_none() {
                    wrongs.push(format!("{}: {field} was {then:?} and is {now:?}", new.1));
                }
            }
        }
    });
}
