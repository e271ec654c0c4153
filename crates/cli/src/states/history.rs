//! The history of an execution, page by page.

use failback_states::HistoryEvent;
use serde_json::{Value, json};

use super::error::ApiError;
use super::fields::page;
use super::{Answer, Call, StepFunctions, seconds};

/// Details that `includeExecutionData: false` leaves out.
const DATA: [&str; 6] = [
    "input",
    "inputDetails",
    "output",
    "outputDetails",
    "assignedVariables",
    "assignedVariablesDetails",
];

impl StepFunctions {
    pub(super) fn get_execution_history(&self, call: &Call<'_>) -> Answer {
        let fields = &call.fields;
        let arn = self.execution_of(call)?.execution_arn;
        let size = fields.page_size()?;
        let reverse = fields.flag("reverseOrder", false)?;
        let data = fields.flag("includeExecutionData", true)?;
        let after = match fields.maybe_text("nextToken")? {
            None => None,
            Some(token) => Some(read_token(token, reverse).ok_or_else(ApiError::invalid_token)?),
        };
        let events = self.engine.history(&arn);
        let page = if reverse {
            page(events.iter().rev().filter(|e| after.is_none_or(|id| e.id < id)), size)
        } else {
            page(events.iter().filter(|e| after.is_none_or(|id| e.id > id)), size)
        };
        let shown: Vec<Value> = page.entries.iter().map(|event| show(event, data)).collect();
        let mut answer = json!({ "events": shown });
        if let Some(last) = page.entries.last().filter(|_| page.more) {
            answer["nextToken"] = token(last.id, reverse).into();
        }
        Ok(answer)
    }
}

/// The event as awsJson has it: its moment in seconds, where the interpreter writes it out.
fn show(event: &HistoryEvent, data: bool) -> Value {
    let mut shown = serde_json::to_value(event).unwrap_or_default();
    shown["timestamp"] = seconds(event.timestamp_ms);
    if !data && let Some(members) = shown.as_object_mut() {
        for details in members.values_mut().filter_map(Value::as_object_mut) {
            details.retain(|key, _| !DATA.contains(&key.as_str()));
        }
    }
    shown
}

/// Names the last event of a page: events that come later do not move it.
fn token(id: u64, reverse: bool) -> String {
    format!("{}-{id}", if reverse { "before" } else { "after" })
}

fn read_token(token: &str, reverse: bool) -> Option<u64> {
    let (direction, id) = token.split_once('-')?;
    let wanted = if reverse { "before" } else { "after" };
    (direction == wanted).then(|| id.parse().ok()).flatten()
}
