//! Lambda for a served world: the functions in this process, and no record of what they did.

use std::cell::RefCell;

use failback::{Aws, FUNCTIONS};
use failback_sandbox::Sandbox;
use failback_states::{Clock, TaskCall, TaskError, TaskFuture, TaskRunner};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::definitions::function_name;
use crate::lambda::{invoked, unanswered};

/// Milliseconds that an invocation takes on the world's clock, its API calls included.
const INVOCATION_MS: std::ops::Range<i64> = 50..400;

const INVOKE: &str = "arn:aws:states:::lambda:invoke";
const FUNCTION_ARN: &str = "arn:aws:lambda:";

/// Invokes functions against a sandbox.
pub(super) struct Functions {
    aws: Aws,
    sandbox: Sandbox,
    clock: Clock,
    random: RefCell<SmallRng>,
}

impl Functions {
    /// Functions that reach this sandbox.
    pub(super) fn new(aws: Aws, sandbox: Sandbox, clock: Clock, seed: u64) -> Self {
        Self { aws, sandbox, clock, random: RefCell::new(SmallRng::seed_from_u64(seed)) }
    }

    async fn perform(&self, call: TaskCall) -> Result<Value, TaskError> {
        let latency_ms = self.random.borrow_mut().random_range(INVOCATION_MS);
        if call.resource == INVOKE {
            let arn = call.arguments["FunctionName"].as_str().unwrap_or_default();
            let answer = self.call(arn, call.arguments["Payload"].clone()).await;
            self.clock.sleep_ms(latency_ms).await;
            return answer.map(invoked);
        }
        if call.resource.starts_with(FUNCTION_ARN) {
            let answer = self.call(&call.resource, call.arguments).await;
            self.clock.sleep_ms(latency_ms).await;
            return answer;
        }
        let cause = format!("{} is not part of this world", call.resource);
        Err(TaskError::new("States.Runtime", cause))
    }

    /// The function's answer, without what Lambda wraps it in.
    async fn call(&self, arn: &str, payload: Value) -> Result<Value, TaskError> {
        let name = function_name(arn);
        if !FUNCTIONS.iter().any(|function| function.name == name) {
            let cause = format!("Function not found: {arn}");
            return Err(TaskError::new("Lambda.ResourceNotFoundException", cause));
        }
        // Computing, and whatever it reaches outside of this world, takes real time.
        let hold = self.clock.hold();
        let answer = failback::call(name, &self.aws, payload).await;
        drop(hold);
        // Nobody reads the record of a served world, and it would grow for ever.
        drop(self.sandbox.take_calls());
        answer.map_err(|error| unanswered(&error))
    }
}

impl TaskRunner for Functions {
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a> {
        Box::pin(self.perform(call))
    }
}
