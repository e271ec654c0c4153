//! One execution: what is known about it from outside.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::definition::Definition;
use crate::failure::{Failure, RUNTIME};
use crate::history::HistoryEvent;
use crate::payload::Payload;

/// Where an execution stands. Serializes by AWS's names, such as `TIMED_OUT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It has not ended.
    Running,
    /// It reached an end.
    Succeeded,
    /// A state failed and nothing caught it.
    Failed,
    /// It ran longer than the machine's `TimeoutSeconds`.
    TimedOut,
    /// It was stopped.
    Aborted,
}

impl Status {
    /// AWS's name of the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// How an execution ended, or that it has not.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Where it stands.
    pub status: Status,
    /// The output, once it succeeded.
    pub output: Option<Value>,
    /// The name of the error, if it ended in one that has a name.
    pub error: Option<String>,
    /// The cause of the error, if it has one.
    pub cause: Option<String>,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub stopped_ms: Option<i64>,
}

/// An execution as `DescribeExecution` knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its ARN.
    pub execution_arn: String,
    /// The machine it runs.
    pub state_machine_arn: String,
    /// Its name, unique among the machine's executions.
    pub name: String,
    /// What it was started with.
    pub input: Value,
    /// How it stands.
    pub outcome: Outcome,
}

impl Description {
    /// The description in AWS's shape, with times in milliseconds since the Unix epoch as
    /// `startExecution.sync` answers them. `Input` and `Output` are JSON text, or JSON when
    /// `parsed`.
    pub fn to_aws(&self, parsed: bool) -> Value {
        let payload = |value: &Value| if parsed { value.clone() } else { value.to_string().into() };
        let outcome = &self.outcome;
        let mut map = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        put("Cause", outcome.cause.clone().map(Value::from));
        put("Error", outcome.error.clone().map(Value::from));
        put("ExecutionArn", Some(self.execution_arn.clone().into()));
        put("Input", Some(payload(&self.input)));
        put("InputDetails", Some(json!({ "Included": true })));
        put("Name", Some(self.name.clone().into()));
        put("Output", outcome.output.as_ref().map(payload));
        put("OutputDetails", outcome.output.as_ref().map(|_| json!({ "Included": true })));
        put("RedriveCount", Some(0.into()));
        put("StartDate", Some(outcome.started_ms.into()));
        put("StateMachineArn", Some(self.state_machine_arn.clone().into()));
        put("Status", Some(outcome.status.name().into()));
        put("StopDate", outcome.stopped_ms.map(Value::from));
        Value::Object(map)
    }
}

/// AWS's bound on the events of one execution.
pub(crate) const EVENTS_MAX: usize = 25_000;

/// The record of an execution, shared by the engine and the execution's own job.
pub(crate) struct Execution {
    pub(crate) arn: String,
    pub(crate) machine_arn: String,
    pub(crate) name: String,
    pub(crate) definition: Definition,
    pub(crate) input: Payload,
    pub(crate) started_ms: i64,
    pub(crate) events: RefCell<Vec<Rc<HistoryEvent>>>,
    pub(crate) transitions: Cell<u64>,
    pub(crate) closed: RefCell<Option<Outcome>>,
    pub(crate) closing: Notify,
    /// The id of its job in the executor.
    pub(crate) job: Cell<Option<u64>>,
}

impl Execution {
    pub(crate) fn outcome(&self) -> Outcome {
        self.closed.borrow().clone().unwrap_or(Outcome {
            status: Status::Running,
            output: None,
            error: None,
            cause: None,
            started_ms: self.started_ms,
            stopped_ms: None,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }

    pub(crate) fn describe(&self) -> Description {
        Description {
            execution_arn: self.arn.clone(),
            state_machine_arn: self.machine_arn.clone(),
            name: self.name.clone(),
            input: self.input.value().clone(),
            outcome: self.outcome(),
        }
    }

    /// Waits for the end, from inside another execution.
    pub(crate) async fn ended(&self) -> Outcome {
        loop {
            let closing = self.closing.notified();
            if self.is_closed() {
                return self.outcome();
            }
            closing.await;
        }
    }

    /// Refuses an event that only the last one may follow.
    pub(crate) fn has_room(&self) -> Result<(), Failure> {
        if self.is_closed() {
            return Err(Failure::new(RUNTIME, "The execution has ended."));
        }
        if self.events.borrow().len() + 1 < EVENTS_MAX {
            return Ok(());
        }
        let cause =
            format!("The execution reached the maximum number of history events ({EVENTS_MAX}).");
        Err(Failure::new(RUNTIME, cause))
    }
}
