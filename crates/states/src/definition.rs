//! A state machine as loaded: checked, and with its expressions found.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::template::Template;

/// A state machine that the loader accepted.
///
/// Cheap to clone. Made by [`Definition::load`].
#[derive(Debug, Clone)]
pub struct Definition {
    pub(crate) name: String,
    pub(crate) comment: Option<String>,
    pub(crate) timeout_s: Option<u64>,
    pub(crate) machine: Rc<Machine>,
    pub(crate) source: Rc<Value>,
}

impl Definition {
    /// The name it was loaded under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `Comment` at the top.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The `TimeoutSeconds` at the top.
    pub fn timeout_s(&self) -> Option<u64> {
        self.timeout_s
    }

    /// The definition as it was written.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// The names of all states, nested ones included, each with its `Type`.
    pub fn states(&self) -> BTreeMap<&str, &'static str> {
        let mut all = BTreeMap::new();
        collect(&self.machine, &mut all);
        all
    }
}

fn collect<'a>(machine: &'a Machine, all: &mut BTreeMap<&'a str, &'static str>) {
    for state in machine.states.values() {
        all.insert(&state.name, state.kind.type_name());
        match &state.kind {
            Kind::Parallel { branches, .. } => {
                branches.iter().for_each(|inner| collect(inner, all))
            }
            Kind::Map(map) => collect(&map.processor, all),
            _ => {}
        }
    }
}

/// States and where they start: the whole machine, a branch or an item processor.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) start_at: String,
    pub(crate) states: BTreeMap<String, State>,
}

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
    /// `None` is `"End": true`, or a type that ends or chooses by itself.
    pub(crate) next: Option<String>,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Task(Task),
    Pass,
    Choice { rules: Vec<Rule>, default: Option<String> },
    Wait(Wait),
    Parallel { branches: Vec<Machine>, arguments: Option<Template> },
    Map(MapState),
    Succeed,
    Fail { error: Option<Template>, cause: Option<Template> },
}

impl Kind {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Task(_) => "Task",
            Self::Pass => "Pass",
            Self::Choice { .. } => "Choice",
            Self::Wait(_) => "Wait",
            Self::Parallel { .. } => "Parallel",
            Self::Map(_) => "Map",
            Self::Succeed => "Succeed",
            Self::Fail { .. } => "Fail",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) resource: Resource,
    pub(crate) arguments: Option<Template>,
    pub(crate) timeout: Option<Template>,
    pub(crate) heartbeat: Option<Template>,
}

/// What a Task asks, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// As written.
    pub(crate) arn: String,
    pub(crate) pattern: Pattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The answer is the result.
    Request,
    /// The result is what is sent with the token.
    TaskToken,
    /// Another execution, started and left to itself.
    StartExecution,
    /// Another execution, waited for.
    NestedExecution,
    /// A function named by its own ARN, which AWS records under older event types.
    Function,
}

impl Resource {
    /// The `resourceType` and `resource` of history events: `lambda`, `invoke`.
    pub(crate) fn parts(&self) -> (&str, &str) {
        let rest = self.arn.splitn(6, ':').nth(5).unwrap_or(&self.arn);
        let parted =
            if rest.starts_with("aws-sdk:") { rest.rsplit_once(':') } else { rest.split_once(':') };
        parted.unwrap_or(("", rest))
    }

    /// What a task runner is asked for: the pattern's suffix is the engine's business.
    pub(crate) fn without_suffix(&self) -> &str {
        self.arn.strip_suffix(TASK_TOKEN_SUFFIX).unwrap_or(&self.arn)
    }
}

pub(crate) const TASK_TOKEN_SUFFIX: &str = ".waitForTaskToken";

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) condition: Template,
    pub(crate) next: String,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
}

#[derive(Debug, Clone)]
pub(crate) enum Wait {
    Seconds(Template),
    Timestamp(Template),
}

#[derive(Debug, Clone)]
pub(crate) struct MapState {
    pub(crate) items: Option<Template>,
    pub(crate) selector: Option<Template>,
    pub(crate) max_concurrency: Option<Template>,
    pub(crate) processor: Machine,
}

#[derive(Debug, Clone)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<String>,
    pub(crate) interval_s: u64,
    pub(crate) attempts_max: u64,
    pub(crate) backoff_rate: f64,
    pub(crate) delay_max_s: Option<u64>,
    pub(crate) full_jitter: bool,
}

impl Retrier {
    /// The longest pause before retry number `retry` (from 0), in milliseconds.
    pub(crate) fn delay_ms(&self, retry: u64) -> i64 {
        let exponent = i32::try_from(retry).unwrap_or(i32::MAX);
        let delay_s = self.interval_s as f64 * self.backoff_rate.powi(exponent);
        let capped_s = self.delay_max_s.map_or(delay_s, |max_s| delay_s.min(max_s as f64));
        (capped_s * 1000.0).min(1e15) as i64
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Catcher {
    pub(crate) errors: Vec<String>,
    pub(crate) next: String,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
}
