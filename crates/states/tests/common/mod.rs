//! A bench to run small machines on.
#![allow(dead_code, reason = "each test file uses its own part of the bench")]

use std::cell::RefCell;
use std::rc::Rc;

use failback_states::{
    Clock, Definition, Engine, EventType, HistoryEvent, LoadOptions, Outcome, TaskCall, TaskError,
    TaskFuture, TaskRunner,
};
use serde_json::{Value, json};

pub const EPOCH_MS: i64 = 1_800_000_000_000;
pub const INVOKE: &str = "arn:aws:states:::lambda:invoke";
pub const WAIT_FOR_TOKEN: &str = "arn:aws:states:::lambda:invoke.waitForTaskToken";
pub const START_EXECUTION: &str = "arn:aws:states:::states:startExecution.sync:2";

/// What a scripted task does.
pub enum Does {
    Answer(Value),
    Fail(&'static str),
    /// The same, this many milliseconds later.
    After(i64, Box<Does>),
    Never,
}

pub fn after(ms: i64, does: Does) -> Does {
    Does::After(ms, Box::new(does))
}

type Script = Box<dyn Fn(&TaskCall) -> Does>;

struct Scripted {
    clock: Clock,
    script: Script,
    calls: Rc<RefCell<Vec<(i64, TaskCall)>>>,
}

impl TaskRunner for Scripted {
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a> {
        let does = (self.script)(&call);
        self.calls.borrow_mut().push((self.clock.now_ms() - EPOCH_MS, call));
        Box::pin(self.perform(does))
    }
}

impl Scripted {
    async fn perform(&self, mut does: Does) -> Result<Value, TaskError> {
        loop {
            match does {
                Does::Answer(value) => return Ok(value),
                Does::Fail(error) => return Err(TaskError::new(error, "as the script says")),
                Does::After(ms, then) => {
                    self.clock.sleep_ms(ms).await;
                    does = *then;
                }
                Does::Never => std::future::pending().await,
            }
        }
    }
}

pub struct Bench {
    pub engine: Engine,
    calls: Rc<RefCell<Vec<(i64, TaskCall)>>>,
}

impl Bench {
    pub fn new(script: impl Fn(&TaskCall) -> Does + 'static) -> Self {
        Self::seeded(1, script)
    }

    pub fn seeded(seed: u64, script: impl Fn(&TaskCall) -> Does + 'static) -> Self {
        let clock = Clock::new(EPOCH_MS);
        let calls = Rc::new(RefCell::new(Vec::new()));
        let script = Box::new(script);
        let runner = Scripted { clock: clock.clone(), script, calls: Rc::clone(&calls) };
        Self { engine: Engine::new(clock, Rc::new(runner), seed), calls }
    }

    /// A bench for machines without tasks.
    pub fn idle() -> Self {
        Self::new(|call| panic!("no task was expected, but {call:?} came"))
    }

    pub fn create(&self, name: &str, definition: Value) -> String {
        let options = LoadOptions { require_timeouts: false, ..LoadOptions::default() };
        let json = definition.to_string();
        let definition = Definition::load_with(name, &json, &options).expect("a good definition");
        self.engine.create_state_machine(arn(name), definition);
        arn(name)
    }

    pub fn start(&self, definition: Value, input: Value) -> String {
        let machine = self.create("machine", definition);
        self.engine.start_execution(&machine, None, input).expect("it starts")
    }

    pub async fn run(&self, definition: Value, input: Value) -> Ran {
        let execution = self.start(definition, input);
        let outcome = self.engine.wait(&execution).await;
        Ran { outcome, history: self.engine.history(&execution), execution }
    }

    /// When each call came, in milliseconds since the start.
    pub fn called_at_ms(&self) -> Vec<i64> {
        self.calls.borrow().iter().map(|(at_ms, _)| *at_ms).collect()
    }

    pub fn calls(&self) -> Vec<TaskCall> {
        self.calls.borrow().iter().map(|(_, call)| call.clone()).collect()
    }
}

pub struct Ran {
    pub outcome: Outcome,
    pub history: Vec<HistoryEvent>,
    pub execution: String,
}

impl Ran {
    pub fn types(&self) -> Vec<EventType> {
        self.history.iter().map(|event| event.event_type).collect()
    }

    pub fn output(&self) -> Value {
        self.outcome.output.clone().unwrap_or_else(|| panic!("no output: {:?}", self.outcome))
    }

    pub fn error(&self) -> &str {
        self.outcome.error.as_deref().unwrap_or_else(|| panic!("no error: {:?}", self.outcome))
    }

    pub fn cause(&self) -> &str {
        self.outcome.cause.as_deref().unwrap_or_default()
    }

    pub fn took_ms(&self) -> i64 {
        self.outcome.stopped_ms.expect("it ended") - self.outcome.started_ms
    }

    pub fn entered(&self) -> Vec<&str> {
        let entered = |event: &&HistoryEvent| event.event_type.name().ends_with("StateEntered");
        self.history.iter().filter(entered).filter_map(|event| event.state_name()).collect()
    }
}

pub fn arn(name: &str) -> String {
    format!("arn:aws:states:eu-west-1:111122223333:stateMachine:{name}")
}

/// A machine that starts at the first of `states`.
pub fn machine(states: Value) -> Value {
    let mut machine = branch(states);
    machine["QueryLanguage"] = "JSONata".into();
    machine
}

/// A branch or item processor that starts at the first of `states`.
pub fn branch(states: Value) -> Value {
    let start_at = states.as_object().and_then(|s| s.keys().next()).expect("a state").clone();
    json!({ "StartAt": start_at, "States": states })
}

/// A machine of one state.
pub fn one(state: Value) -> Value {
    machine(json!({ "Only": with(state, json!({ "End": true })) }))
}

/// A Task that invokes a function, with further fields.
pub fn task(fields: Value) -> Value {
    let base = json!({ "Type": "Task", "Resource": INVOKE, "Arguments": { "FunctionName": "f" } });
    with(base, fields)
}

/// `base` with the fields of `more`.
pub fn with(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

/// A machine of one Pass state with this output.
pub fn says(output: Value) -> Value {
    one(json!({ "Type": "Pass", "Output": output }))
}
