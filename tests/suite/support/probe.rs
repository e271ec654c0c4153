//! Executions in which a test has its hand between the state machines and the functions.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use failback_cli::definitions::{self, function_name, machine_arn};
use failback_cli::drill::Drill;
use failback_cli::lambda::{Invocation, Lambda};
use failback_states::{Engine, Outcome, TaskCall, TaskFuture, TaskRunner};
use serde_json::Value;

use super::given::Given;

/// Called with a function and its payload before the state machine invokes it.
pub type Before = Box<dyn Fn(String, Value) -> Pin<Box<dyn Future<Output = ()>>>>;

struct Probe {
    lambda: Lambda,
    before: Before,
}

impl TaskRunner for Probe {
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a> {
        Box::pin(async move {
            if let Some(arn) = call.arguments["FunctionName"].as_str() {
                let payload = call.arguments["Payload"].clone();
                (self.before)(function_name(arn).to_owned(), payload).await;
            }
            self.lambda.run(call).await
        })
    }
}

/// Runs the whole machine in the drill's world. Answers how it ended and what it invoked itself.
pub async fn run(drill: &Drill, given: &Given, before: Before) -> (Outcome, Vec<Invocation>) {
    let seed = 7;
    let lambda = Lambda::new(drill.aws.clone(), drill.sandbox.clone(), drill.clock.clone(), seed);
    let invocations = lambda.invocations.clone();
    let engine = Engine::new(drill.clock.clone(), Rc::new(Probe { lambda, before }), seed);
    for (arn, definition) in definitions::load().expect("the machines load") {
        engine.create_state_machine(arn, definition);
    }
    let input = given.input.clone();
    let arn = engine
        .start_execution(&machine_arn("failback"), Some("test"), input)
        .expect("the execution starts");
    let outcome = engine.wait(&arn).await;
    let invocations = invocations.borrow().clone();
    (outcome, invocations)
}
