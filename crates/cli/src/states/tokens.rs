//! Answers to tasks that wait for their token.

use serde_json::{Value, json};

use super::error::ApiError;
use super::executions::bounded;
use super::{Answer, Call, StepFunctions};

/// AWS's bounds on what a failure says, in characters.
const ERROR_CHARS_MAX: usize = 256;
const CAUSE_CHARS_MAX: usize = 32_768;
/// AWS's bound on a payload, in bytes.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

impl StepFunctions {
    pub(super) fn send_task_success(&self, call: &Call<'_>) -> Answer {
        let token = call.fields.text("taskToken")?;
        let output = call.fields.text("output")?;
        let invalid = |problem: String| {
            ApiError::of_states("InvalidOutput", format!("Invalid Output: '{problem}'"))
        };
        if output.len() > OUTPUT_BYTES_MAX {
            return Err(invalid(format!("the output has {} bytes", output.len())));
        }
        let output: Value = serde_json::from_str(output).map_err(|e| invalid(e.to_string()))?;
        self.engine.send_task_success(token, output)?;
        Ok(json!({}))
    }

    pub(super) fn send_task_failure(&self, call: &Call<'_>) -> Answer {
        let token = call.fields.text("taskToken")?;
        let error = bounded(call.fields.maybe_text("error")?, "error", ERROR_CHARS_MAX)?;
        let cause = bounded(call.fields.maybe_text("cause")?, "cause", CAUSE_CHARS_MAX)?;
        let (error, cause) = (error.unwrap_or_default(), cause.unwrap_or_default());
        self.engine.send_task_failure(token, error, cause)?;
        Ok(json!({}))
    }

    pub(super) fn send_task_heartbeat(&self, call: &Call<'_>) -> Answer {
        self.engine.send_task_heartbeat(call.fields.text("taskToken")?)?;
        Ok(json!({}))
    }
}
