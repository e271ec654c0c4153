//! Lambda, as far as a Task state can tell: invokes the functions in this process.

use std::cell::RefCell;
use std::rc::Rc;

use failback::{Aws, FailbackError};
use failback_sandbox::{Call, Sandbox};
use failback_states::{Clock, TaskCall, TaskError, TaskFuture, TaskRunner};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::definitions::function_name;
use crate::stopwatch::Stopwatch;

/// Virtual milliseconds a warm invocation takes by itself, and each API call it makes. Measured of
/// such functions and calls across Regions; they only have to be of the right size.
const INVOCATION_MS: std::ops::Range<i64> = 8..25;
const API_CALL_MS: std::ops::Range<i64> = 35..110;

/// What one invocation did.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The machine whose state invoked it.
    pub machine: String,
    /// That state.
    pub state: String,
    /// The function.
    pub function: String,
    /// The API calls it made.
    pub calls: Vec<Call>,
    /// What it answered, or the name of its error.
    pub answer: Result<Value, String>,
}

/// Called after every invocation, before its answer reaches the state.
pub type AfterInvocation =
    Rc<dyn for<'a> Fn(&'a Invocation) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>>;

/// Invokes functions against a sandbox.
pub struct Lambda {
    aws: Aws,
    sandbox: Sandbox,
    clock: Clock,
    random: RefCell<SmallRng>,
    /// Every invocation so far.
    pub invocations: Rc<RefCell<Vec<Invocation>>>,
    after: RefCell<Option<AfterInvocation>>,
    /// Real time spent in functions, the SDK and the sandbox included.
    pub time: Stopwatch,
}

impl Lambda {
    /// Functions that reach this sandbox and nothing else.
    pub fn new(aws: Aws, sandbox: Sandbox, clock: Clock, seed: u64) -> Self {
        Self {
            aws,
            sandbox,
            clock,
            random: RefCell::new(SmallRng::seed_from_u64(seed)),
            invocations: Rc::default(),
            after: RefCell::default(),
            time: Stopwatch::default(),
        }
    }

    /// Has `after` called after every invocation.
    pub fn after_each(&self, after: AfterInvocation) {
        *self.after.borrow_mut() = Some(after);
    }

    async fn invoke(&self, call: TaskCall) -> Result<Value, TaskError> {
        let function = function_name(call.arguments["FunctionName"].as_str().unwrap_or_default());
        // What anyone else called in between is not this function's.
        let before = self.sandbox.calls_made();
        let began = std::time::Instant::now();
        let answer = failback::call(function, &self.aws, call.arguments["Payload"].clone()).await;
        self.time.add_since(began);
        let calls = self.sandbox.calls_after(before);
        let latency_ms = self.latency_ms(calls.len());
        let invocation = Invocation {
            machine: call.machine_name,
            state: call.state_name,
            function: function.to_owned(),
            calls,
            answer: answer.as_ref().cloned().map_err(|e| e.name().to_owned()),
        };
        self.clock.sleep_ms(latency_ms).await;
        let after = self.after.borrow().clone();
        if let Some(after) = after {
            after(&invocation).await;
        }
        self.invocations.borrow_mut().push(invocation);
        answer.map(invoked).map_err(|error| unanswered(&error))
    }

    fn latency_ms(&self, calls: usize) -> i64 {
        let mut random = self.random.borrow_mut();
        let api_ms: i64 = (0..calls).map(|_| random.random_range(API_CALL_MS)).sum();
        random.random_range(INVOCATION_MS) + api_ms
    }
}

/// What a Task state sees of an invocation that answered.
pub(crate) fn invoked(payload: Value) -> Value {
    json!({ "ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": 200 })
}

/// What a Task state sees of a function's error, as Lambda reports it: the name, and a cause that
/// is JSON text.
pub(crate) fn unanswered(error: &FailbackError) -> TaskError {
    let cause = json!({ "errorMessage": error.message(), "errorType": error.name() });
    TaskError::new(error.name(), cause.to_string())
}

impl TaskRunner for Lambda {
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a> {
        Box::pin(self.invoke(call))
    }
}
