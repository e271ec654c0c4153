//! What can befall an invocation, and who can stand in for a function. Off unless told otherwise.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;

use failback::{Aws, FailbackError};
use failback_states::TaskError;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Lambda's own time-out of every function, below the Task's. Held to `template.yaml` by a test.
pub const FUNCTION_TIMEOUT_MS: i64 = 50_000;

/// What befalls one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Its process dies before it did anything.
    CrashBefore,
    /// Its process dies when all is done and nothing is answered.
    CrashAfter,
    /// It hangs before it did anything, until Lambda ends it.
    KilledBefore,
    /// It hangs when all is done, until Lambda ends it.
    KilledAfter,
    /// It does its work and the answer is lost: the Task runs into its time-out.
    Unanswered,
    /// The Task runs into its time-out, and the function works all the same, so long after it was
    /// asked.
    Late {
        /// Milliseconds.
        by_ms: i64,
    },
    /// It is delivered twice.
    Twice,
}

impl Mishap {
    /// Its kind, as reports count it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::CrashBefore | Self::CrashAfter => "function crash",
            Self::KilledBefore | Self::KilledAfter | Self::Unanswered | Self::Late { .. } => {
                "function time-out"
            }
            Self::Twice => "duplicate invocation",
        }
    }
}

/// A mishap and the invocation it befalls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What happens.
    pub mishap: Mishap,
    /// The function; any when absent.
    pub function: Option<String>,
    /// How many invocations of it pass first.
    pub skip: u32,
}

/// A function that does its work although nobody waits for it any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Straggler {
    /// When, in epoch milliseconds.
    pub at_ms: i64,
    /// The function.
    pub function: String,
    /// What it was given.
    pub payload: Value,
}

/// Stands in for a function.
pub type Double =
    Rc<dyn Fn(Aws, Value) -> Pin<Box<dyn Future<Output = Result<Value, FailbackError>>>>>;

/// All mishaps that are planned and that happened, and the stand-ins.
#[derive(Default)]
pub struct Mishaps {
    planned: RefCell<Vec<Planned>>,
    befell: RefCell<Vec<(Mishap, String)>>,
    stragglers: RefCell<Vec<Straggler>>,
    /// Told when a straggler has come: whoever waits for something else has not counted on it.
    pub straggling: Notify,
    doubles: RefCell<BTreeMap<&'static str, Double>>,
}

impl Mishaps {
    /// Plans a mishap.
    pub fn plan(&self, planned: Planned) {
        self.planned.borrow_mut().push(planned);
    }

    /// Forgets what is planned.
    pub fn withdraw(&self) {
        self.planned.borrow_mut().clear();
    }

    /// Has `double` stand in for a function.
    pub fn replace(&self, function: &'static str, double: Double) {
        self.doubles.borrow_mut().insert(function, double);
    }

    /// Has every function stand for itself again.
    pub fn restore(&self) {
        self.doubles.borrow_mut().clear();
    }

    /// What befell whom, in its order.
    pub fn befell(&self) -> Vec<(Mishap, String)> {
        self.befell.borrow().clone()
    }

    /// When the next straggler is due.
    pub fn next_straggler_ms(&self) -> Option<i64> {
        self.stragglers.borrow().iter().map(|s| s.at_ms).min()
    }

    /// Takes a straggler that is due.
    pub fn due_straggler(&self, now_ms: i64) -> Option<Straggler> {
        let mut stragglers = self.stragglers.borrow_mut();
        let due = stragglers.iter().position(|s| s.at_ms <= now_ms)?;
        Some(stragglers.remove(due))
    }

    pub(super) fn straggle(&self, at_ms: i64, function: &str, payload: Value) {
        let function = function.to_owned();
        self.stragglers.borrow_mut().push(Straggler { at_ms, function, payload });
        self.straggling.notify_one();
    }

    pub(super) fn double_of(&self, function: &str) -> Option<Double> {
        self.doubles.borrow().get(function).cloned()
    }

    /// What befalls this invocation. Every mishap that matches counts it.
    pub(super) fn meet(&self, function: &str) -> Option<Mishap> {
        let mut planned = self.planned.borrow_mut();
        if planned.is_empty() {
            return None;
        }
        let mut met = None;
        planned.retain_mut(|p| {
            if p.function.as_deref().is_some_and(|wanted| wanted != function) {
                return true;
            }
            if p.skip > 0 {
                p.skip -= 1;
                return true;
            }
            let free = met.is_none();
            if free {
                met = Some(p.mishap);
            }
            !free
        });
        if let Some(mishap) = met {
            self.befell.borrow_mut().push((mishap, function.to_owned()));
        }
        met
    }
}

/// What a state sees of a process that died. Source: Step Functions reports it so.
pub(super) fn crashed() -> TaskError {
    let cause = json!({ "errorType": "Runtime.ExitError", "errorMessage": "signal: killed" });
    TaskError::new("Runtime.ExitError", cause.to_string())
}

/// What a state sees of a function that Lambda ended.
pub(super) fn timed_out() -> TaskError {
    let cause = json!({
        "errorType": "Sandbox.Timedout",
        "errorMessage": "Task timed out after 50.00 seconds",
    });
    TaskError::new("Sandbox.Timedout", cause.to_string())
}
