//! Lambda, as far as a Task state can tell: invokes the functions in this process.

pub mod mishap;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;

use failback::{Aws, FailbackError};
use failback_sandbox::{Call, Sandbox};
use failback_states::{Clock, TaskCall, TaskError, TaskFuture, TaskRunner};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::definitions::function_name;
use crate::stopwatch::Stopwatch;
use mishap::{Mishap, Mishaps};

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

static WITNESS: OnceLock<fn(&Invocation)> = OnceLock::new();

/// Has `witness` told of every invocation in this process, in whoever's world. The first one stays.
pub fn let_witness(witness: fn(&Invocation)) {
    WITNESS.get_or_init(|| witness);
}

/// Invokes functions against a sandbox.
pub struct Lambda {
    aws: Aws,
    sandbox: Sandbox,
    clock: Clock,
    random: RefCell<SmallRng>,
    /// Every invocation so far.
    pub invocations: Rc<RefCell<Vec<Invocation>>>,
    after: RefCell<Option<AfterInvocation>>,
    /// What befalls invocations; nothing unless it is told to.
    pub mishaps: Mishaps,
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
            mishaps: Mishaps::default(),
            time: Stopwatch::default(),
        }
    }

    /// Has `after` called after every invocation.
    pub fn after_each(&self, after: AfterInvocation) {
        *self.after.borrow_mut() = Some(after);
    }

    async fn invoke(&self, call: TaskCall) -> Result<Value, TaskError> {
        let function = function_name(call.arguments["FunctionName"].as_str().unwrap_or_default());
        let Some(mishap) = self.mishaps.meet(function) else { return self.work(&call).await };
        match mishap {
            Mishap::CrashBefore => Err(mishap::crashed()),
            Mishap::CrashAfter => {
                // Nobody learns what it answered.
                drop(self.work(&call).await);
                Err(mishap::crashed())
            }
            Mishap::KilledBefore | Mishap::KilledAfter => {
                if mishap == Mishap::KilledAfter {
                    drop(self.work(&call).await);
                }
                self.clock.sleep_ms(mishap::FUNCTION_TIMEOUT_MS).await;
                Err(mishap::timed_out())
            }
            Mishap::Unanswered => {
                drop(self.work(&call).await);
                std::future::pending().await
            }
            Mishap::Late { by_ms } => {
                let payload = call.arguments["Payload"].clone();
                self.mishaps.straggle(self.clock.now_ms() + by_ms, function, payload);
                std::future::pending().await
            }
            Mishap::Twice => {
                let first = self.work(&call).await;
                drop(self.work(&call).await);
                first
            }
        }
    }

    /// Runs a function whose state has given up on it.
    pub async fn run_late(&self, function: &str, payload: Value) {
        drop(failback::call(function, &self.aws, payload).await);
    }

    async fn work(&self, call: &TaskCall) -> Result<Value, TaskError> {
        let function = function_name(call.arguments["FunctionName"].as_str().unwrap_or_default());
        let payload = call.arguments["Payload"].clone();
        // What anyone else called in between is not this function's.
        let before = self.sandbox.calls_made();
        let began = std::time::Instant::now();
        let answer = match self.mishaps.double_of(function) {
            Some(double) => double(self.aws.clone(), payload).await,
            None => failback::call(function, &self.aws, payload).await,
        };
        self.time.add_since(began);
        let calls = self.sandbox.calls_after(before);
        let latency_ms = self.latency_ms(calls.len());
        let invocation = Invocation {
            machine: call.machine_name.clone(),
            state: call.state_name.clone(),
            function: function.to_owned(),
            calls,
            answer: answer.as_ref().cloned().map_err(|e| e.name().to_owned()),
        };
        if let Some(witness) = WITNESS.get() {
            witness(&invocation);
        }
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
