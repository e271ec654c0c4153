//! SNS: topics, and the messages that were published to them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::wire::{AwsError, Params, Request, Response, SNS_NAMESPACE, Xml};
use crate::world::World;

/// The largest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 100;
/// How many messages are kept; the oldest are forgotten first.
const MESSAGES_MAX: usize = 10_000;

/// A message that a topic took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When, in epoch milliseconds.
    pub at_ms: i64,
    /// The topic's ARN.
    pub topic_arn: String,
    /// The id that the publisher was told.
    pub id: String,
    /// What an e-mail has as its subject.
    pub subject: Option<String>,
    /// The text.
    pub text: String,
    /// Attributes of type `String`, by name.
    pub attributes: BTreeMap<String, String>,
}

/// The topics of all Regions.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    arns: BTreeSet<String>,
    messages: Vec<Message>,
}

impl Topics {
    /// Makes a topic, unless there is one of this name, and answers its ARN.
    pub fn create(&mut self, account: &str, region: &str, name: &str) -> String {
        let arn = format!("arn:aws:sns:{region}:{account}:{name}");
        self.arns.insert(arn.clone());
        arn
    }

    /// What was published, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }
}

/// Answers an SNS call.
///
/// # Errors
/// What SNS answers to a call it refuses; `InvalidAction` for an operation not modelled.
pub(crate) fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    match request.operation().as_str() {
        "Publish" => publish(world, &request.region, &request.params()),
        other => Err(AwsError::unknown_operation(other)),
    }
}

fn publish(world: &mut World, region: &str, params: &Params) -> Result<Response, AwsError> {
    for other in ["PhoneNumber", "MessageGroupId", "MessageDeduplicationId"] {
        if params.get(other).is_some() {
            return Err(invalid(format!("{other} is not modelled")));
        }
    }
    let arn = params.get("TopicArn").or(params.get("TargetArn"));
    let arn = arn
        .ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?;
    check_arn(arn, region)?;
    let text = params.get("Message").unwrap_or_default();
    let subject = params.get("Subject");
    check_message(text, params.get("MessageStructure"))?;
    subject.map(check_subject).transpose()?;
    let attributes = attributes(params)?;
    if !world.topics.arns.contains(arn) {
        return Err(AwsError::not_found("NotFound", "Topic does not exist"));
    }
    let request_id = world.request_id();
    // As unique as the request, and not the same as its id.
    let id = request_id.replacen("-4000-8000-", "-4000-a000-", 1);
    world.topics.messages.push(Message {
        at_ms: world.now_ms,
        topic_arn: arn.to_owned(),
        id: id.clone(),
        subject: subject.map(str::to_owned),
        text: text.to_owned(),
        attributes,
    });
    let surplus = world.topics.messages.len().saturating_sub(MESSAGES_MAX);
    world.topics.messages.drain(..surplus);
    let mut xml = Xml::new();
    xml.root("PublishResponse", SNS_NAMESPACE, |xml| {
        xml.element("PublishResult", |xml| xml.text("MessageId", &id));
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", &request_id));
    });
    Ok(Response::xml(xml.finish()))
}

/// A topic is asked in its own Region.
fn check_arn(arn: &str, region: &str) -> Result<(), AwsError> {
    let parts: Vec<&str> = arn.split(':').collect();
    let well_formed = matches!(parts[..], ["arn", _, "sns", here, account, name]
        if here == region && account.len() == 12 && !name.is_empty());
    if well_formed { Ok(()) } else { Err(invalid("TopicArn")) }
}

fn check_message(text: &str, structure: Option<&str>) -> Result<(), AwsError> {
    if text.is_empty() {
        return Err(invalid("Empty message"));
    }
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(invalid("Message too long"));
    }
    match structure {
        None => Ok(()),
        Some("json") => {
            let parsed: Value = serde_json::from_str(text)
                .map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
            if parsed["default"].is_string() {
                return Ok(());
            }
            Err(invalid("Message Structure - No default entry in JSON message body"))
        }
        Some(_) => Err(invalid("MessageStructure")),
    }
}

/// Printable ASCII that does not begin with a space.
fn check_subject(subject: &str) -> Result<(), AwsError> {
    let printable = subject.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    let fits = (1..=SUBJECT_CHARS_MAX).contains(&subject.chars().count());
    if printable && fits && !subject.starts_with(' ') { Ok(()) } else { Err(invalid("Subject")) }
}

fn attributes(params: &Params) -> Result<BTreeMap<String, String>, AwsError> {
    let entries = params.structures("MessageAttributes.entry");
    let read = |entry: &Params| {
        let name = entry.get("Name").unwrap_or_default().to_owned();
        match (entry.get("Value.DataType"), entry.get("Value.StringValue")) {
            (Some("String"), Some(value)) if !name.is_empty() && !value.is_empty() => {
                Ok((name, value.to_owned()))
            }
            (Some("String"), _) => Err(AwsError::bad_request(
                "ParameterValueInvalid",
                format!(
                    "The message attribute '{name}' must contain non-empty message attribute value"
                ),
            )),
            (kind, _) => {
                let kind = kind.unwrap_or("null");
                Err(invalid(format!("Message attributes of type {kind} are not modelled")))
            }
        }
    };
    entries.iter().map(read).collect()
}

fn invalid(problem: impl std::fmt::Display) -> AwsError {
    AwsError::bad_request("InvalidParameter", format!("Invalid parameter: {problem}"))
}
