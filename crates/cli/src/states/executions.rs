//! Executions: started, described, listed, stopped.

use failback_states::{Description, Outcome, Status};
use serde_json::{Value, json};

use super::error::{ApiError, quoted};
use super::fields::page;
use super::{Answer, Call, StepFunctions, seconds};

/// Every status that can be filtered by; no execution here is ever pending a redrive.
const STATUSES: [&str; 6] =
    ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"];

impl StepFunctions {
    pub(super) fn start_execution(&self, call: &Call<'_>) -> Answer {
        let machine_arn = call.fields.machine_arn()?;
        self.in_region(call, machine_arn).ok_or_else(|| ApiError::no_machine(machine_arn))?;
        let name = call.fields.maybe_text("name")?;
        let input = call.fields.maybe_text("input")?.unwrap_or("{}");
        let input: Value = serde_json::from_str(input).map_err(|e| {
            let message = format!("Invalid State Machine Execution Input: '{e}'");
            ApiError::of_states("InvalidExecutionInput", message)
        })?;
        let arn = self.engine.start_execution(machine_arn, name, input)?;
        let started = self.execution(&arn)?;
        Ok(json!({ "executionArn": arn, "startDate": seconds(started.outcome.started_ms) }))
    }

    pub(super) fn describe_execution(&self, call: &Call<'_>) -> Answer {
        let data = match call.fields.maybe_text("includedData")? {
            None | Some("ALL_DATA") => true,
            Some("METADATA_ONLY") => false,
            Some(other) => {
                let constraint = "Member must satisfy enum value set: [ALL_DATA, METADATA_ONLY]";
                return Err(ApiError::validation("includedData", other, constraint));
            }
        };
        let execution = self.execution_of(call)?;
        let outcome = &execution.outcome;
        let mut answer = listed(&execution);
        answer["redriveStatus"] = "NOT_REDRIVABLE".into();
        answer["redriveStatusReason"] = "Executions are not redriven here".into();
        for (key, text) in [("error", &outcome.error), ("cause", &outcome.cause)] {
            if let Some(text) = text {
                answer[key] = text.as_str().into();
            }
        }
        answer["inputDetails"] = json!({ "included": data });
        if data {
            answer["input"] = execution.input.to_string().into();
        }
        if let Some(output) = &outcome.output {
            answer["outputDetails"] = json!({ "included": data });
            if data {
                answer["output"] = output.to_string().into();
            }
        }
        Ok(answer)
    }

    /// The executions of a machine, the latest first.
    pub(super) fn list_executions(&self, call: &Call<'_>) -> Answer {
        let machine_arn = call.fields.machine_arn()?;
        self.in_region(call, machine_arn).ok_or_else(|| ApiError::no_machine(machine_arn))?;
        let wanted = call.fields.maybe_text("statusFilter")?;
        if let Some(unknown) = wanted.filter(|status| !STATUSES.contains(status)) {
            let constraint = format!("Member must satisfy enum value set: {STATUSES:?}");
            return Err(ApiError::validation("statusFilter", unknown, &constraint));
        }
        let size = call.fields.page_size()?;
        let all = self.engine.list_executions();
        // The token is the last execution of the page before: later ones only come before it.
        let end = match call.fields.maybe_text("nextToken")? {
            None => all.len(),
            Some(token) => all
                .iter()
                .position(|execution| execution.execution_arn == token)
                .ok_or_else(ApiError::invalid_token)?,
        };
        let left = all[..end]
            .iter()
            .rev()
            .filter(|e| e.state_machine_arn == machine_arn)
            .filter_map(|execution| self.as_seen(execution.clone()))
            .filter(|e| wanted.is_none_or(|status| e.outcome.status.name() == status));
        let page = page(left, size);
        let entries: Vec<Value> = page.entries.iter().map(listed).collect();
        let mut answer = json!({ "executions": entries });
        if let Some(last) = page.entries.last().filter(|_| page.more) {
            answer["nextToken"] = last.execution_arn.as_str().into();
        }
        Ok(answer)
    }

    /// Stops an execution; one that has ended stays as it ended.
    pub(super) fn stop_execution(&self, call: &Call<'_>) -> Answer {
        let error = bounded(call.fields.maybe_text("error")?, "error", 256)?;
        let cause = bounded(call.fields.maybe_text("cause")?, "cause", 32_768)?;
        let arn = self.execution_of(call)?.execution_arn;
        self.engine.stop_execution(&arn, error, cause);
        let stopped_ms = self.execution(&arn)?.outcome.stopped_ms;
        Ok(json!({ "stopDate": seconds(stopped_ms.unwrap_or_else(|| self.clock.now_ms())) }))
    }

    /// The execution that a call names, if it is one of the Region that was asked.
    pub(super) fn execution_of(&self, call: &Call<'_>) -> Result<Description, ApiError> {
        let arn = call.fields.execution_arn()?;
        self.in_region(call, arn).ok_or_else(|| ApiError::no_execution(arn))?;
        self.execution(arn)
    }

    fn execution(&self, arn: &str) -> Result<Description, ApiError> {
        let found = self.engine.describe(arn).and_then(|execution| self.as_seen(execution));
        found.ok_or_else(|| ApiError::no_execution(arn))
    }

    /// An execution as the answer in hand sees it: nothing when it had not started then.
    fn as_seen(&self, mut execution: Description) -> Option<Description> {
        let then_ms = self.clock.now_ms() - self.behind_ms.get();
        let outcome = &mut execution.outcome;
        if outcome.stopped_ms.is_some_and(|stopped_ms| stopped_ms > then_ms) {
            let started_ms = outcome.started_ms;
            let (status, stopped_ms) = (Status::Running, None);
            *outcome =
                Outcome { status, output: None, error: None, cause: None, started_ms, stopped_ms };
        }
        (outcome.started_ms <= then_ms).then_some(execution)
    }

    /// Something when the ARN belongs to the Region that the call was signed for.
    fn in_region(&self, call: &Call<'_>, arn: &str) -> Option<()> {
        (arn.split(':').nth(3) == Some(call.region)).then_some(())
    }
}

/// Text of at most so many characters.
pub(super) fn bounded<'a>(
    text: Option<&'a str>,
    field: &str,
    chars_max: usize,
) -> Result<Option<&'a str>, ApiError> {
    match text {
        Some(text) if text.chars().count() > chars_max => {
            let constraint = format!("Member must have length less than or equal to {chars_max}");
            Err(ApiError::validation(field, &quoted(text), &constraint))
        }
        other => Ok(other),
    }
}

/// What a listing says of an execution.
fn listed(execution: &Description) -> Value {
    let outcome = &execution.outcome;
    let mut entry = json!({
        "executionArn": execution.execution_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": outcome.status.name(),
        "startDate": seconds(outcome.started_ms),
        "redriveCount": 0,
    });
    if let Some(stopped_ms) = outcome.stopped_ms.filter(|_| outcome.status != Status::Running) {
        entry["stopDate"] = seconds(stopped_ms);
    }
    entry
}
