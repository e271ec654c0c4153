//! How fast the interpreter is, where its time goes, and that its memory stays bounded.
//!
//! ```text
//! cargo run --profile rehearse --package failback-states --example bench
//! ```
//!
//! The machine is of the kind that brings a cluster home: a plan of two kilobytes in a variable,
//! poll loops with a deadline and growing waits, a nested execution, a Parallel and a Map. Its
//! tasks are answered at once, so that what is measured is the interpreter.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use failback_states::{
    Clock, Definition, Engine, Evaluator, Facts, Jlens, Scope, Status, TaskCall, TaskError,
    TaskFuture, TaskRunner,
};
use serde_json::{Value, json};

const EPOCH_MS: i64 = 1_800_000_000_000;
const MACHINE_ARN: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:";
const RUNS: usize = 5;
const EXECUTIONS_A_RUN: u32 = 150;
const POLLS: u32 = 20;
const EXECUTIONS_IN_A_ROW: u32 = 10_000;
const KEPT: usize = 50;

fn main() {
    println!("transitions per second, {RUNS} runs of {EXECUTIONS_A_RUN} executions each:");
    let mut rates: Vec<f64> = (0..RUNS).map(|_| measured_rate()).collect();
    rates.sort_by(f64::total_cmp);
    println!("median: {:.0} transitions per second\n", rates[RUNS / 2]);
    where_the_time_goes();
    memory_stays_bounded();
}

fn measured_rate() -> f64 {
    let run = run(Box::new(Jlens::new()));
    let rate = f64::from(run.transitions) / run.took.as_secs_f64();
    println!("{rate:10.0}  ({} transitions in {:.2?})", run.transitions, run.took);
    rate
}

struct Measured {
    engine: Engine,
    transitions: u32,
    took: Duration,
    in_tasks: Duration,
}

/// Runs executions one after another on an engine of their own.
fn run(evaluator: Box<dyn Evaluator>) -> Measured {
    in_virtual_time(async {
        let clock = Clock::new(EPOCH_MS);
        let tasks = Rc::new(Tasks::new(POLLS));
        let engine = Engine::with_evaluator(clock, Rc::clone(&tasks) as _, 1, evaluator);
        create_machines(&engine);
        let started = Instant::now();
        for number in 0..EXECUTIONS_A_RUN {
            execute(&engine, "parent", number).await;
        }
        let took = started.elapsed();
        let all = engine.list_executions();
        let transitions: u64 = all.iter().map(|e| engine.transitions(&e.execution_arn)).sum();
        let transitions = u32::try_from(transitions).expect("a run is short");
        Measured { engine, transitions, took, in_tasks: tasks.took.get() }
    })
}

fn in_virtual_time<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("no I/O is needed");
    runtime.block_on(future)
}

fn create_machines(engine: &Engine) {
    for (name, json) in [
        ("parent", include_str!("bench/parent.asl.json")),
        ("child", include_str!("bench/child.asl.json")),
    ] {
        let definition = Definition::load(name, json).expect("the definitions beside this file");
        engine.create_state_machine(format!("{MACHINE_ARN}{name}"), definition);
    }
}

async fn execute(engine: &Engine, machine: &str, number: u32) {
    let name = format!("run-{number}");
    let input = if machine == "parent" { request() } else { plan() };
    let machine = format!("{MACHINE_ARN}{machine}");
    let arn = engine.start_execution(&machine, Some(&name), input).expect("the name is new");
    let outcome = engine.wait(&arn).await;
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
}

/// Answers at once; what is polled is done at the last poll.
struct Tasks {
    polls: u32,
    asked: RefCell<BTreeMap<(String, String), u32>>,
    took: Cell<Duration>,
}

impl Tasks {
    fn new(polls: u32) -> Self {
        Self { polls, asked: RefCell::default(), took: Cell::default() }
    }

    fn answer(&self, call: TaskCall) -> Value {
        if call.state_name == "Plan" {
            return json!({ "StatusCode": 200, "Payload": plan() });
        }
        let mut asked = self.asked.borrow_mut();
        let key = (call.execution_arn, call.state_name);
        let times = asked.entry(key.clone()).or_default();
        *times += 1;
        let done = *times >= self.polls;
        if done {
            asked.remove(&key);
        }
        let state = if done { "DONE" } else { "PENDING" };
        let detail = "creating: 1 of 2 instances is available";
        json!({ "StatusCode": 200, "Payload": { "state": state, "detail": detail } })
    }
}

impl TaskRunner for Tasks {
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a> {
        let started = Instant::now();
        let answer: Result<Value, TaskError> = Ok(self.answer(call));
        self.took.set(self.took.get() + started.elapsed());
        Box::pin(std::future::ready(answer))
    }
}

fn request() -> Value {
    let cluster = |region: &str| {
        json!({ "region": region, "cluster_id": format!("orders-{region}"),
            "restored_instances": [{ "id": "orders-1" }, { "id": "orders-2" }],
            "network": { "fence_acl_id": "acl-0deadbeef0a11c105" } })
    };
    json!({ "strategy": "detach", "home": cluster("us-east-1"), "away": cluster("us-west-2") })
}

/// As large as the plan of a failback is: about two kilobytes.
fn plan() -> Value {
    let arn = "arn:aws:rds:us-east-1:111122223333:cluster:orders-us-east-1";
    let expected = json!({ "global_cluster_id": "orders", "writer": arn, "readers": [arn, arn] });
    let record = |number: u32| {
        json!({ "zone_id": "Z04873361KQ3ZLLX2R0JB", "ttl_s": 5,
        "name": format!("db-{number}.orders.internal"), "points_to": arn })
    };
    json!({
        "decision": "PROCEED",
        "request": request(),
        "limits": { "create_s": 14_400, "verify_s": 1_800, "dns_s": 1_800, "detach_s": 3_600 },
        "expect": { "home": expected, "away": expected },
        "rebuild": { "global_cluster_id": "orders", "cluster_id": "orders-us-east-1",
            "source": arn, "instances": [{ "id": "orders-1", "class": "db.r6g.large" }],
            "parameters": { "engine": "aurora-postgresql", "backup_days": 7, "port": 5432 } },
        "records": (1..=4).map(record).collect::<Vec<_>>(),
    })
}

/// Measures the evaluation of expressions inside a run.
struct Timed {
    jlens: Jlens,
    took: Rc<Cell<Duration>>,
    evaluations: Rc<Cell<u32>>,
}

impl Evaluator for Timed {
    fn analyse(&self, source: &str) -> Result<Facts, String> {
        self.jlens.analyse(source)
    }

    fn evaluate(
        &self,
        source: &str,
        scope: Scope<'_>,
        seed: &mut dyn FnMut() -> u64,
    ) -> Result<Option<Value>, String> {
        let started = Instant::now();
        let value = self.jlens.evaluate(source, scope, seed);
        self.took.set(self.took.get() + started.elapsed());
        self.evaluations.set(self.evaluations.get() + 1);
        value
    }
}

fn where_the_time_goes() {
    let (took, evaluations) = (Rc::new(Cell::default()), Rc::new(Cell::default()));
    let timed =
        Timed { jlens: Jlens::new(), took: Rc::clone(&took), evaluations: Rc::clone(&evaluations) };
    let run = run(Box::new(timed));
    let history = copying_the_history(&run.engine);
    let rest = run.took.saturating_sub(took.get() + run.in_tasks + history);
    println!("where the time of a transition goes ({} of them):", run.transitions);
    for (what, part) in [
        (format!("evaluation ({} expressions)", evaluations.get()), took.get()),
        ("history (measured by copying it once more)".to_owned(), history),
        ("the tasks of this benchmark".to_owned(), run.in_tasks),
        ("the rest: JSON text, timers, the walk from state to state".to_owned(), rest),
    ] {
        let share = 100.0 * part.as_secs_f64() / run.took.as_secs_f64();
        let each_us = 1e6 * part.as_secs_f64() / f64::from(run.transitions);
        println!("{each_us:6.1} us {share:4.0} %  {what}");
    }
    println!();
}

/// How long it takes to copy every event of an engine, which allocates what writing it did.
fn copying_the_history(engine: &Engine) -> Duration {
    let mut took = Duration::ZERO;
    for execution in engine.list_executions() {
        let started = Instant::now();
        let copy = engine.history(&execution.execution_arn);
        took += started.elapsed();
        black_box(copy);
    }
    took
}

fn memory_stays_bounded() {
    in_virtual_time(async {
        let engine = Engine::new(Clock::new(EPOCH_MS), Rc::new(Tasks::new(3)), 1);
        create_machines(&engine);
        println!("{EXECUTIONS_IN_A_ROW} executions one after another, of which {KEPT} are kept:");
        for number in 0..EXECUTIONS_IN_A_ROW {
            execute(&engine, "child", number).await;
            engine.forget_closed(KEPT);
            if (number + 1) % (EXECUTIONS_IN_A_ROW / 5) == 0 {
                let known = engine.list_executions().len();
                println!("{:6} done, {known} known, {}", number + 1, resident());
            }
        }
    });
}

/// The memory of this process, where the system tells it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or_else(|| "memory unknown".to_owned(), |size| format!("{} resident", size.trim()))
}
