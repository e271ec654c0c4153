//! What a Task asks of the world.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

/// One attempt of a Task state.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskCall {
    /// The `Resource`, without `.waitForTaskToken`.
    pub resource: String,
    /// The evaluated `Arguments`, or the state's input when the state has none.
    pub arguments: Value,
    /// The token to answer with, when the state waits for one.
    pub task_token: Option<String>,
    /// The execution that asks.
    pub execution_arn: String,
    /// The name of its machine.
    pub machine_name: String,
    /// The state that asks.
    pub state_name: String,
    /// Which attempt this is, from 0.
    pub attempt: u64,
}

/// Why a task failed, as the state's retriers and catchers see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {cause}")]
pub struct TaskError {
    /// The name that `ErrorEquals` matches.
    pub error: String,
    /// What the history says about it.
    pub cause: String,
}

impl TaskError {
    /// An error with a name and a cause.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into() }
    }
}

/// The answer to a [`TaskCall`].
pub type TaskFuture<'a> = Pin<Box<dyn Future<Output = Result<Value, TaskError>> + 'a>>;

/// Does what Task states ask, in place of Lambda and the other services.
///
/// The value answered is the whole `$states.result`: for `lambda:invoke` that is an object with
/// `Payload`. A call that times out, or whose execution is stopped, is dropped.
pub trait TaskRunner {
    /// Performs one attempt.
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a>;
}

impl<F> TaskRunner for F
where
    F: Fn(TaskCall) -> TaskFuture<'static>,
{
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a> {
        self(call)
    }
}

/// Why a task token was not accepted, by the names of AWS's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No task ever had this token.
    #[error("InvalidToken: no task has this token")]
    InvalidToken,
    /// The task with this token has ended.
    #[error("TaskTimedOut: the task with this token has ended")]
    TaskTimedOut,
}
