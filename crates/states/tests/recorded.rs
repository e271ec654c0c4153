//! Replays histories that AWS recorded, when they are present beside the checkout.
//!
//! Each recording holds a definition, an input and the events. The outcomes of its tasks are
//! played back in order, and every event must come out as recorded: ids, previous ids, types
//! and details. Time stamps and what the recording redacted are not compared.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::path::Path;
use std::rc::Rc;

use failback_states::{
    Clock, Definition, Engine, LoadOptions, TaskCall, TaskError, TaskFuture, TaskRunner,
};
use serde_json::Value;

/// Recordings that are known to come out differently, each with the reason.
const KNOWN_DIFFERENCES: [(&str, &str); 0] = [];

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:recorded";

/// Plays the recorded outcomes of tasks back.
struct Playback(RefCell<VecDeque<Result<Value, TaskError>>>);

impl TaskRunner for Playback {
    fn run<'a>(&'a self, call: TaskCall) -> TaskFuture<'a> {
        let outcome = self.0.borrow_mut().pop_front();
        let refusal = || Err(TaskError::new("NotRecorded", call.state_name));
        Box::pin(async { outcome.unwrap_or_else(refusal) })
    }
}

impl Playback {
    fn of(events: &[Value]) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let outcome = |event: &Value| match event["type"].as_str()? {
            "TaskSucceeded" => Some(Ok(event["taskSucceededEventDetails"]["output"].clone())),
            "LambdaFunctionSucceeded" => {
                Some(Ok(event["lambdaFunctionSucceededEventDetails"]["output"].clone()))
            }
            "TaskFailed" => {
                let details = &event["taskFailedEventDetails"];
                Some(Err(TaskError::new(text(&details["error"]), text(&details["cause"]))))
            }
            _ => None,
        };
        Self(RefCell::new(events.iter().filter_map(outcome).collect()))
    }
}

fn recordings() -> Option<Vec<Value>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/asl-oracle/executions.json.gz");
    let file = std::fs::File::open(&path).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip");
    let mut all: Value = serde_json::from_str(&text).expect("JSON");
    Some(serde_json::from_value(all["executions"].take()).expect("a list of executions"))
}

async fn replay(recording: &Value) -> Result<Vec<Value>, String> {
    let options = LoadOptions {
        require_timeouts: false,
        check_variables: false,
        refuse_path_keys: false,
        allow_mixed_query_languages: true,
        ..LoadOptions::default()
    };
    let json = recording["definition"].to_string();
    let definition =
        Definition::load_with("recorded", &json, &options).map_err(|error| error.to_string())?;
    let events = recording["events"].as_array().expect("events");
    let engine = Engine::new(Clock::new(1_750_000_000_000), Rc::new(Playback::of(events)), 7);
    engine.create_state_machine(MACHINE, definition);
    let input = serde_json::from_str(recording["input"].as_str().expect("text")).expect("JSON");
    let arn = engine.start_execution(MACHINE, None, input).map_err(|error| error.to_string())?;
    engine.wait(&arn).await;
    let history = engine.history(&arn);
    Ok(history.iter().map(|event| serde_json::to_value(event).expect("serializes")).collect())
}

/// The first place where `actual` is not what was recorded.
fn difference(place: &str, recorded: &Value, actual: &Value) -> Option<String> {
    match (recorded, actual) {
        (Value::Object(recorded), Value::Object(actual)) => {
            recorded.keys().chain(actual.keys()).find_map(|key| {
                let place = format!("{place}/{key}");
                match (recorded.get(key), actual.get(key)) {
                    _ if ["timestamp", "roleArn", "region", "resource"].contains(&key.as_str()) => {
                        None
                    }
                    (Some(recorded), Some(actual)) => difference(&place, recorded, actual),
                    (recorded, actual) => Some(format!("{place}: {recorded:?} and {actual:?}")),
                }
            })
        }
        (Value::Array(recorded), Value::Array(actual)) if recorded.len() == actual.len() => {
            (recorded.iter().zip(actual).enumerate())
                .find_map(|(index, (r, a))| difference(&format!("{place}[{index}]"), r, a))
        }
        // The recordings show payloads that are objects as objects, not as their text.
        (Value::Object(_), Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::String(_)) | Err(_) => Some(format!("{place}: {recorded} and {text}")),
            Ok(parsed) => difference(place, recorded, &parsed),
        },
        (Value::String(pattern), Value::String(text)) if matches(pattern, text) => None,
        (Value::String(pattern), _) if pattern == "date" => None,
        _ if recorded == actual => None,
        _ => Some(format!("{place}: recorded {recorded}, came out as {actual}")),
    }
}

/// `<…>` in a recording stands for what was redacted.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('<') else {
        return pattern == text || pattern == "date";
    };
    let Some((_, after)) = rest.split_once('>') else { return pattern == text };
    let Some(mut tail) = text.strip_prefix(before) else { return false };
    loop {
        if matches(after, tail) {
            return true;
        }
        let mut chars = tail.chars();
        if chars.next().is_none() {
            return false;
        }
        tail = chars.as_str();
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_histories_come_out_event_by_event() {
    let Some(recordings) = recordings() else {
        // Past the capture of test output: that nothing was compared has to be seen.
        let notice = "the recorded AWS histories are absent: they were NOT compared";
        writeln!(std::io::stderr(), "{notice}").expect("standard error is open");
        return;
    };
    let known: BTreeMap<&str, &str> = KNOWN_DIFFERENCES.into();
    let mut surprises = Vec::new();
    for recording in &recordings {
        let test = recording["test"].as_str().expect("text");
        let name = test.rsplit("::").next().expect("a name");
        let problem = match replay(recording).await {
            Ok(events) => difference("", &recording["events"], &events.into()),
            Err(refusal) => Some(refusal),
        };
        match (problem, known.get(name)) {
            (Some(problem), None) => surprises.push(format!("{name}: {problem}")),
            (None, Some(reason)) => surprises.push(format!("{name}: agrees, but: {reason}")),
            _ => {}
        }
    }
    assert!(recordings.len() >= 70, "only {} recordings", recordings.len());
    assert!(surprises.is_empty(), "{}\n{}", surprises.len(), surprises.join("\n"));
    println!("{} recorded histories came out as recorded.", recordings.len());
}
