//! Execution history, event by event, in the shape that `GetExecutionHistory` answers.

use std::cell::OnceCell;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::payload::Payload;

/// The types of event that AWS records, by AWS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[expect(missing_docs, reason = "the names are AWS's and documented there")]
pub enum EventType {
    ChoiceStateEntered,
    ChoiceStateExited,
    EvaluationFailed,
    ExecutionAborted,
    ExecutionFailed,
    ExecutionStarted,
    ExecutionSucceeded,
    ExecutionTimedOut,
    FailStateEntered,
    LambdaFunctionFailed,
    LambdaFunctionScheduled,
    LambdaFunctionStarted,
    LambdaFunctionSucceeded,
    LambdaFunctionTimedOut,
    MapIterationAborted,
    MapIterationFailed,
    MapIterationStarted,
    MapIterationSucceeded,
    MapStateAborted,
    MapStateEntered,
    MapStateExited,
    MapStateFailed,
    MapStateStarted,
    MapStateSucceeded,
    ParallelStateAborted,
    ParallelStateEntered,
    ParallelStateExited,
    ParallelStateFailed,
    ParallelStateStarted,
    ParallelStateSucceeded,
    PassStateEntered,
    PassStateExited,
    SucceedStateEntered,
    SucceedStateExited,
    TaskFailed,
    TaskScheduled,
    TaskStarted,
    TaskStateAborted,
    TaskStateEntered,
    TaskStateExited,
    TaskSubmitted,
    TaskSucceeded,
    TaskTimedOut,
    WaitStateAborted,
    WaitStateEntered,
    WaitStateExited,
}

impl EventType {
    /// AWS's name of the type, such as `TaskStateEntered`.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether it says that a state was entered.
    pub fn enters_a_state(self) -> bool {
        use EventType as E;
        matches!(
            self,
            E::ChoiceStateEntered
                | E::FailStateEntered
                | E::MapStateEntered
                | E::ParallelStateEntered
                | E::PassStateEntered
                | E::SucceedStateEntered
                | E::TaskStateEntered
                | E::WaitStateEntered
        )
    }

    /// Whether it says that a state was left.
    pub fn exits_a_state(self) -> bool {
        use EventType as E;
        matches!(
            self,
            E::ChoiceStateExited
                | E::MapStateExited
                | E::ParallelStateExited
                | E::PassStateExited
                | E::SucceedStateExited
                | E::TaskStateExited
                | E::WaitStateExited
        )
    }

    /// The key under which AWS puts the details of an event of this type.
    fn details_key(self) -> String {
        if self.enters_a_state() {
            return "stateEnteredEventDetails".to_owned();
        }
        if self.exits_a_state() {
            return "stateExitedEventDetails".to_owned();
        }
        let mut key = self.name();
        key[..1].make_ascii_lowercase();
        key + "EventDetails"
    }
}

/// One event of an execution's history.
///
/// Serializes as AWS answers it: `id`, `previousEventId`, `timestamp`, `type` and, when there
/// are any, the details under the key of the type. Inputs and outputs in the details are JSON
/// text, as they are at AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// Counts from 1 within the execution.
    pub id: u64,
    /// The event that led to this one; 0 for the first event and for the first state's entry.
    pub previous_event_id: u64,
    /// When it happened, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// What happened.
    pub event_type: EventType,
    /// What AWS says about it; empty when it says nothing.
    pub details: Details,
}

impl HistoryEvent {
    /// The state that was entered or exited, for events that say so.
    pub fn state_name(&self) -> Option<&str> {
        let about_a_state = self.event_type.enters_a_state() || self.event_type.exits_a_state();
        about_a_state.then(|| self.details.get("name")?.as_str()).flatten()
    }

    /// The detail `key`, such as `error` or `cause`, if it is text.
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.details.get(key)?.as_str()
    }

    /// The detail `key`, such as `input` or `output`, read as JSON.
    pub fn json_detail(&self, key: &str) -> Option<Value> {
        serde_json::from_str(self.detail(key)?).ok()
    }
}

impl Serialize for HistoryEvent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &rfc3339(self.timestamp_ms))?;
        map.serialize_entry("type", &self.event_type)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("previousEventId", &self.previous_event_id)?;
        if !self.details.is_empty() {
            map.serialize_entry(&self.event_type.details_key(), &self.details)?;
        }
        map.end()
    }
}

/// What AWS says about an event: names of details and their values, in AWS's order.
///
/// A list, because every event has its own few and thousands are written a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details(Vec<(&'static str, Detail)>);

/// What is said: made of what was recorded when it is first asked for, because most is never.
#[derive(Debug, Clone)]
struct Detail {
    recorded: Recorded,
    said: OnceCell<Value>,
}

#[derive(Debug, Clone)]
enum Recorded {
    /// Said already.
    Value,
    /// A payload, of which the JSON text is said.
    Payload(Payload),
    /// Payloads by name, of each of which the JSON text is said.
    Payloads(Vec<(String, Payload)>),
}

impl Detail {
    fn value(&self) -> &Value {
        self.said.get_or_init(|| match &self.recorded {
            Recorded::Value => Value::Null,
            Recorded::Payload(payload) => payload.text().into(),
            Recorded::Payloads(payloads) => {
                let texts = payloads.iter().map(|(name, p)| (name.clone(), p.text().into()));
                texts.collect::<Map<_, _>>().into()
            }
        })
    }
}

impl PartialEq for Detail {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

/// Details that may be large, of which AWS says beside them whether they are whole.
const PAYLOADS: [(&str, &str); 3] = [
    ("input", "inputDetails"),
    ("output", "outputDetails"),
    ("assignedVariables", "assignedVariablesDetails"),
];

impl Details {
    /// The detail `key`, if the event has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find_map(|(name, detail)| (*name == key).then(|| detail.value()))
    }

    /// Every detail with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, detail)| (*name, detail.value()))
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A detail that is said as it is.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let said = OnceCell::from(value.into());
        self.0.push((key, Detail { recorded: Recorded::Value, said }));
        self
    }

    /// A detail that is left out when there is nothing to say.
    pub(crate) fn maybe(self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// A payload, as JSON text.
    pub(crate) fn payload(self, key: &'static str, payload: &Payload) -> Self {
        self.record(key, Recorded::Payload(payload.clone()))
    }

    /// Payloads by name, each as JSON text.
    pub(crate) fn payloads(self, key: &'static str, payloads: &[(String, Payload)]) -> Self {
        self.record(key, Recorded::Payloads(payloads.to_vec()))
    }

    fn record(mut self, key: &'static str, recorded: Recorded) -> Self {
        self.0.push((key, Detail { recorded, said: OnceCell::new() }));
        self
    }
}

impl Serialize for Details {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
            if let Some((_, about)) = PAYLOADS.iter().find(|(payload, _)| *payload == name) {
                map.serialize_entry(about, &json!({ "truncated": false }))?;
            }
        }
        map.end()
    }
}
