//! Errors of states: their names, and which retriers and catchers they match.

use serde_json::{Map, Value};

/// Names that the Amazon States Language reserves.
pub(crate) const ALL: &str = "States.ALL";
pub(crate) const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
pub(crate) const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";
pub(crate) const NO_CHOICE_MATCHED: &str = "States.NoChoiceMatched";
pub(crate) const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
pub(crate) const RUNTIME: &str = "States.Runtime";
pub(crate) const TASK_FAILED: &str = "States.TaskFailed";
pub(crate) const TIMEOUT: &str = "States.Timeout";

/// Why a state failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    /// A time-out that came from a missing heartbeat, which has a name of its own besides.
    pub(crate) heartbeat: bool,
}

impl Failure {
    pub(crate) fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: Some(error.to_owned()), cause: Some(cause.into()), heartbeat: false }
    }

    /// Whether an entry that lists `names` retries or catches this.
    pub(crate) fn matches(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.is(name))
    }

    fn is(&self, name: &str) -> bool {
        let error = self.error.as_deref().unwrap_or_default();
        match error {
            // An execution that AWS cannot run any further is beyond its own definition.
            RUNTIME => false,
            DATA_LIMIT_EXCEEDED => name == DATA_LIMIT_EXCEEDED,
            _ => match name {
                ALL => true,
                TASK_FAILED => error != TIMEOUT,
                HEARTBEAT_TIMEOUT => self.heartbeat || error == HEARTBEAT_TIMEOUT,
                _ => name == error,
            },
        }
    }

    /// What a catcher sees as `$states.errorOutput`.
    pub(crate) fn output(&self) -> Value {
        let mut output = Map::new();
        for (key, value) in [("Error", &self.error), ("Cause", &self.cause)] {
            if let Some(value) = value {
                output.insert(key.to_owned(), value.clone().into());
            }
        }
        Value::Object(output)
    }
}
