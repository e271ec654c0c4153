//! The stack's DynamoDB table: locks, approvals, and what executions leave to be known.
//!
//! One item for each thing, under the string key `id`; documents are kept as JSON text.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use failback_plan::Memory;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::{Aws, region_of};
use crate::error::{FailbackError, classify};
use crate::observe::required;

/// An item: attribute → value.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// What DynamoDB answers when a condition does not hold: somebody was faster.
/// Source: DynamoDB API Reference, `PutItem`, "Errors".
pub(crate) const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// The table, and a client in its Region: the Region of the stack, whichever the payload names.
pub(crate) fn table(aws: &Aws) -> Result<(Client, &str), FailbackError> {
    const VARIABLE: &str = "FAILBACK_TABLE_ARN";
    let incomplete = FailbackError::StackIncomplete { variable: VARIABLE };
    let Some(arn) = aws.stack().table_arn.as_deref() else { return Err(incomplete) };
    match region_of(arn) {
        "" => Err(incomplete),
        region => Ok((aws.dynamodb(region), arn)),
    }
}

/// The account of the stack, as its table's ARN names it.
pub(crate) fn account(aws: &Aws) -> Result<&str, FailbackError> {
    let arn = table(aws)?.1;
    Ok(arn.split(':').nth(4).unwrap_or_default())
}

/// A text.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// The text of an attribute.
///
/// # Errors
/// [`FailbackError::AwsAnswerUnreadable`] if there is none: the item was not written by this stack.
pub(crate) fn text_of<'a>(item: &'a Item, name: &str) -> Result<&'a str, FailbackError> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    required(value.map(String::as_str), GET, &format!("the attribute {name}"))
}

const GET: &str = "dynamodb:GetItem";

/// An item as it is now.
pub(crate) async fn get(aws: &Aws, id: &str) -> Result<Option<Item>, FailbackError> {
    let (client, name) = table(aws)?;
    let request = client.get_item().table_name(name).key("id", text(id)).consistent_read(true);
    let answer = request.send().await.map_err(|e| classify(GET, e))?;
    Ok(answer.item)
}

/// What is remembered of a global database; nothing where the stack has no table.
pub(crate) async fn recall(aws: &Aws, database: &str) -> Result<Memory, FailbackError> {
    if aws.stack().table_arn.is_none() {
        return Ok(Memory::default());
    }
    let Some(item) = get(aws, &Memory::item_id(database)).await? else {
        return Ok(Memory::default());
    };
    Ok(Memory {
        fence: document(&item, "fence")?,
        proof: document(&item, "proof")?,
        closed_home: document(&item, "closed_home")?,
        captured_home: document(&item, "captured_home")?,
        captured_away: document(&item, "captured_away")?,
    })
}

/// Adds to what is remembered; what the memory leaves out stays as it was.
pub(crate) async fn remember(
    aws: &Aws,
    database: &str,
    memory: &Memory,
) -> Result<usize, FailbackError> {
    const CALL: &str = "dynamodb:UpdateItem";
    let (client, name) = table(aws)?;
    let documents = [
        ("fence", json(&memory.fence)?),
        ("proof", json(&memory.proof)?),
        ("closed_home", json(&memory.closed_home)?),
        ("captured_home", json(&memory.captured_home)?),
        ("captured_away", json(&memory.captured_away)?),
    ];
    let mut request =
        client.update_item().table_name(name).key("id", text(Memory::item_id(database)));
    let mut changes = Vec::new();
    for (field, document) in documents {
        let Some(document) = document else { continue };
        request = request
            .expression_attribute_names(format!("#{field}"), field)
            .expression_attribute_values(format!(":{field}"), text(document));
        changes.push(format!("#{field} = :{field}"));
    }
    if !changes.is_empty() {
        let request = request.update_expression(format!("SET {}", changes.join(", ")));
        request.send().await.map_err(|e| classify(CALL, e))?;
    }
    Ok(changes.len())
}

/// Forgets a global database: its failback is complete.
pub(crate) async fn forget(aws: &Aws, database: &str) -> Result<(), FailbackError> {
    if get(aws, &Memory::item_id(database)).await?.is_none() {
        return Ok(());
    }
    let (client, name) = table(aws)?;
    let request = client.delete_item().table_name(name).key("id", text(Memory::item_id(database)));
    request.send().await.map_err(|e| classify("dynamodb:DeleteItem", e))?;
    Ok(())
}

fn json<T: Serialize>(document: &Option<T>) -> Result<Option<String>, FailbackError> {
    let text = document.as_ref().map(serde_json::to_string).transpose();
    text.map_err(|e| FailbackError::AwsAnswerUnreadable {
        call: "dynamodb:UpdateItem",
        what: format!("a document that can be written ({e})"),
    })
}

fn document<T: DeserializeOwned>(item: &Item, name: &str) -> Result<Option<T>, FailbackError> {
    if !item.contains_key(name) {
        return Ok(None);
    }
    let text = text_of(item, name)?;
    serde_json::from_str(text).map(Some).map_err(|e| FailbackError::AwsAnswerUnreadable {
        call: GET,
        what: format!("{name} in a form that this version can read ({e})"),
    })
}
