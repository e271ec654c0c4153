//! The errors of Step Functions, by AWS's names.

use failback_sandbox::wire::Response;
use failback_states::{StartError, TokenError};
use serde_json::json;

use super::json_response;

/// The names of the service's own errors.
const STATES: &str = "com.amazonaws.states.v20161123";
/// The names that every service of the protocol has for what it cannot even read.
const CORAL: &str = "com.amazon.coral.service";
/// The name of a parameter that the model refuses.
const VALIDATION: &str = "com.amazon.coral.validate";

/// The longest piece of the caller's own text that a message repeats, in characters.
const QUOTED_CHARS_MAX: usize = 256;

/// A refusal.
#[derive(Debug)]
pub(super) struct ApiError {
    status: u16,
    namespace: &'static str,
    name: &'static str,
    message: String,
}

impl ApiError {
    /// One of the service's own errors.
    pub(super) fn of_states(name: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, namespace: STATES, name, message: message.into() }
    }

    /// `InvalidArn`.
    pub(super) fn invalid_arn(problem: &str, arn: &str) -> Self {
        Self::of_states("InvalidArn", format!("Invalid Arn: '{problem}: {}'", quoted(arn)))
    }

    /// `InvalidToken`: a page or a task that no answer of ours named.
    pub(super) fn invalid_token() -> Self {
        Self::of_states("InvalidToken", "Invalid Token: 'Invalid token'")
    }

    /// `StateMachineDoesNotExist`.
    pub(super) fn no_machine(arn: &str) -> Self {
        let message = format!("State Machine Does Not Exist: '{}'", quoted(arn));
        Self::of_states("StateMachineDoesNotExist", message)
    }

    /// `ExecutionDoesNotExist`.
    pub(super) fn no_execution(arn: &str) -> Self {
        let message = format!("Execution Does Not Exist: '{}'", quoted(arn));
        Self::of_states("ExecutionDoesNotExist", message)
    }

    /// A parameter that is missing or that the model refuses.
    pub(super) fn validation(field: &str, value: &str, constraint: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value {} at '{field}' failed to satisfy constraint: \
             {constraint}",
            quoted(value)
        );
        let name = "ValidationException";
        Self { status: 400, namespace: VALIDATION, name, message }
    }

    /// A body that cannot be read, or a parameter of another type.
    pub(super) fn unreadable(problem: impl Into<String>) -> Self {
        let name = "SerializationException";
        Self { status: 400, namespace: CORAL, name, message: problem.into() }
    }

    /// No operation has this name.
    pub(super) fn unknown_operation() -> Self {
        let name = "UnknownOperationException";
        Self { status: 400, namespace: CORAL, name, message: String::new() }
    }

    /// The answer that carries it.
    pub(super) fn response(&self) -> Response {
        let kind = format!("{}#{}", self.namespace, self.name);
        json_response(self.status, &json!({ "__type": kind, "message": self.message }))
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        let name = error.name();
        match error {
            StartError::StateMachineDoesNotExist(arn) => Self::no_machine(&arn),
            StartError::ExecutionAlreadyExists(arn) => {
                Self::of_states(name, format!("Execution Already Exists: '{arn}'"))
            }
            StartError::InvalidName(text) => {
                Self::of_states(name, format!("Invalid Name: '{}'", quoted(&text)))
            }
            StartError::InvalidExecutionInput(bytes) => {
                let problem = format!("the input has {bytes} bytes");
                let message = format!("Invalid State Machine Execution Input: '{problem}'");
                Self::of_states(name, message)
            }
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::InvalidToken => Self::invalid_token(),
            TokenError::TaskTimedOut => Self::of_states(
                "TaskTimedOut",
                "Task Timed Out: 'Provided task does not exist anymore'",
            ),
        }
    }
}

/// Text of the caller as far as a message repeats it.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}
