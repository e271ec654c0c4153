//! The operations on tables and items.

use serde_json::{Map, Value, json};

use super::attribute::{Attribute, Item, read_item, size, to_wire};
use super::condition::Condition;
use super::expression::Placeholders;
use super::update::Update;
use super::{KEY, Table, Versions, invalid};
use crate::wire::{AwsError, Request, Response, json};
use crate::world::World;

/// The largest item, in bytes.
const ITEM_BYTES_MAX: usize = 400 * 1024;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 2048;

type Answer = Result<Value, AwsError>;
type Members = Map<String, Value>;

/// Answers a DynamoDB call.
///
/// # Errors
/// What DynamoDB answers to a call it refuses; `UnknownOperationException` for an operation that
/// is not modelled, `ValidationException` for a member that is not.
pub(crate) fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    type Run = fn(&mut Call<'_>) -> Answer;
    let (run, known): (Run, &[&str]) = match request.operation().as_str() {
        "PutItem" => (put_item, &["Item", "ReturnValues"]),
        "UpdateItem" => (update_item, &["Key", "UpdateExpression", "ReturnValues"]),
        "DeleteItem" => (delete_item, &["Key", "ReturnValues"]),
        "GetItem" => (get_item, &["Key", "ConsistentRead"]),
        "Scan" => (scan, &["ConsistentRead", "FilterExpression", "Limit", "ExclusiveStartKey"]),
        "DescribeTable" => (describe_table, &[]),
        _ => return Err(AwsError::bad_request("UnknownOperationException", "")),
    };
    let members = json::read(&request.body)?;
    refuse_unknown(&members, &request.operation(), known)?;
    let behind_ms = world.behaviour.item_reads_lag_ms.max(world.tables.stale_ms);
    let now_ms = world.now_ms;
    let table = find_table(world, &request.region, &members)?;
    run(&mut Call { members, table, now_ms, behind_ms }).map(|answer| json::aws_json(&answer))
}

/// A call, and the table that it is about.
struct Call<'a> {
    members: Members,
    table: &'a mut Table,
    now_ms: i64,
    behind_ms: i64,
}

/// Members that any operation may have, whatever else it has.
const EXPRESSIONS: [&str; 2] = ["ExpressionAttributeNames", "ExpressionAttributeValues"];
const CONDITIONS: [&str; 2] = ["ConditionExpression", "ReturnValuesOnConditionCheckFailure"];
/// Members that may be sent as long as they ask for nothing.
const ASKS: [&str; 2] = ["ReturnConsumedCapacity", "ReturnItemCollectionMetrics"];

/// Refuses what would otherwise be overlooked.
fn refuse_unknown(members: &Members, operation: &str, known: &[&str]) -> Result<(), AwsError> {
    let writes = known.contains(&"ReturnValues");
    let expects = writes || operation == "Scan";
    for (name, value) in members {
        let name = name.as_str();
        let expected = name == "TableName"
            || known.contains(&name)
            || (expects && EXPRESSIONS.contains(&name))
            || (writes && CONDITIONS.contains(&name))
            || (ASKS.contains(&name) && value == "NONE");
        if !expected && !value.is_null() {
            return Err(invalid(format!("{name} of {operation} is not modelled")));
        }
    }
    Ok(())
}

fn find_table<'a>(
    world: &'a mut World,
    region: &str,
    members: &Members,
) -> Result<&'a mut Table, AwsError> {
    let given = members.get("TableName").and_then(Value::as_str).ok_or_else(|| {
        invalid(
            "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: \
             Member must not be null",
        )
    })?;
    let name = if given.starts_with("arn:") {
        let prefix = format!("arn:aws:dynamodb:{region}:{}:table/", world.account);
        given.strip_prefix(&prefix)
    } else {
        check_table_name(given)?;
        Some(given)
    };
    name.and_then(|name| world.tables.tables.get_mut(&(region.to_owned(), name.to_owned())))
        .ok_or_else(|| {
            AwsError::bad_request("ResourceNotFoundException", "Requested resource not found")
        })
}

fn check_table_name(name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let constraint = if name.len() < 3 {
        "Member must have length greater than or equal to 3"
    } else if name.len() > 255 {
        "Member must have length less than or equal to 255"
    } else if !name.chars().all(allowed) {
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: \
         {constraint}"
    )))
}

impl Call<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    /// The key of the item that is meant.
    fn key(&self) -> Result<String, AwsError> {
        self.read_key("Key")
    }

    fn read_key(&self, member: &str) -> Result<String, AwsError> {
        let key = read_item(self.members.get(member).unwrap_or(&Value::Null))?;
        match (key.len(), key.get(KEY)) {
            (1, Some(Attribute::S(id))) => check_key(id).map(|()| id.clone()),
            _ => Err(invalid("The provided key element does not match the schema")),
        }
    }

    /// Parses the condition and, with `update`, the update; refuses placeholders that neither uses.
    fn expressions(&self, update: Option<&str>) -> Result<(Option<Condition>, Update), AwsError> {
        let placeholders = Placeholders::read(&self.members)?;
        let parse_update = |text| Update::parse(text, &placeholders);
        let parsed = update.map(parse_update).transpose()?.unwrap_or_default();
        let name = "ConditionExpression";
        let parse = |text| Condition::parse(name, text, &placeholders);
        let condition = self.text(name).map(parse).transpose()?;
        placeholders.check_used(condition.is_some() || update.is_some())?;
        Ok((condition, parsed))
    }

    /// Refuses unless the condition is true of the item as it is.
    fn check(&self, condition: Option<&Condition>, id: &str) -> Result<(), AwsError> {
        let current = self.table.current(id);
        if condition.is_none_or(|condition| condition.holds(current)) {
            return Ok(());
        }
        let code = "ConditionalCheckFailedException";
        let mut error = AwsError::bad_request(code, "The conditional request failed");
        let wanted = self.text("ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD");
        if let Some(item) = current.filter(|_| wanted) {
            let members = Map::from_iter([("Item".to_owned(), to_wire(item))]);
            error.members = Some(Box::new(members));
        }
        Err(error)
    }

    /// Checks what the caller wants to have back.
    fn return_values(&self, allowed: &[&str]) -> Result<&str, AwsError> {
        let wanted = self.text("ReturnValues").unwrap_or("NONE");
        if allowed.contains(&wanted) {
            return Ok(wanted);
        }
        Err(invalid(match wanted {
            "UPDATED_OLD" | "UPDATED_NEW" if allowed.contains(&"ALL_NEW") => {
                format!("ReturnValues {wanted} is not modelled")
            }
            _ => "Return values set to invalid value".to_owned(),
        }))
    }

    /// What the item is to a read: now, or a while ago.
    fn seen<'v>(&self, versions: &'v Versions) -> Option<&'v Item> {
        if self.members.get("ConsistentRead") == Some(&Value::Bool(true)) || self.behind_ms == 0 {
            versions.current()
        } else {
            versions.at(self.now_ms - self.behind_ms)
        }
    }
}

fn check_key(id: &str) -> Result<(), AwsError> {
    if id.is_empty() {
        return Err(invalid(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute \
             cannot contain an empty string value. Key: {KEY}"
        )));
    }
    if id.len() > KEY_BYTES_MAX {
        return Err(invalid(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum \
             size limit of2048 bytes",
        ));
    }
    Ok(())
}

/// The key that an item carries itself.
fn key_of(item: &Item) -> Result<String, AwsError> {
    let problem = match item.get(KEY) {
        Some(Attribute::S(id)) => return check_key(id).map(|()| id.clone()),
        Some(other) => {
            format!("Type mismatch for key {KEY} expected: S actual: {}", other.kind())
        }
        None => format!("Missing the key {KEY} in the item"),
    };
    Err(invalid(format!("One or more parameter values were invalid: {problem}")))
}

/// An answer that carries the item as it was or is, when that is wanted.
fn attributes(item: Option<&Item>) -> Value {
    item.map_or_else(|| json!({}), |item| json!({ "Attributes": to_wire(item) }))
}

fn put_item(call: &mut Call<'_>) -> Answer {
    let item = read_item(call.members.get("Item").unwrap_or(&Value::Null))?;
    let (condition, _) = call.expressions(None)?;
    let id = key_of(&item)?;
    let wanted = call.return_values(&["NONE", "ALL_OLD"])?;
    if size(&item) > ITEM_BYTES_MAX {
        return Err(invalid("Item size has exceeded the maximum allowed size"));
    }
    call.check(condition.as_ref(), &id)?;
    let answer = attributes(call.table.current(&id).filter(|_| wanted == "ALL_OLD"));
    call.table.write(&id, Some(item), call.now_ms);
    Ok(answer)
}

fn update_item(call: &mut Call<'_>) -> Answer {
    let (condition, update) = call.expressions(call.text("UpdateExpression"))?;
    let id = call.key()?;
    let wanted = call.return_values(&["NONE", "ALL_OLD", "ALL_NEW"])?.to_owned();
    call.check(condition.as_ref(), &id)?;
    let before = call.table.current(&id).cloned();
    let key = || Item::from([(KEY.to_owned(), Attribute::S(id.clone()))]);
    let after = update.apply(&before.clone().unwrap_or_else(key))?;
    if size(&after) > ITEM_BYTES_MAX {
        return Err(invalid("Item size to update has exceeded the maximum allowed size"));
    }
    let answer = match wanted.as_str() {
        "ALL_OLD" => attributes(before.as_ref()),
        "ALL_NEW" => attributes(Some(&after)),
        _ => attributes(None),
    };
    call.table.write(&id, Some(after), call.now_ms);
    Ok(answer)
}

fn delete_item(call: &mut Call<'_>) -> Answer {
    let (condition, _) = call.expressions(None)?;
    let id = call.key()?;
    let wanted = call.return_values(&["NONE", "ALL_OLD"])?;
    call.check(condition.as_ref(), &id)?;
    let before = call.table.current(&id);
    let answer = attributes(before.filter(|_| wanted == "ALL_OLD"));
    if before.is_some() {
        call.table.write(&id, None, call.now_ms);
    }
    Ok(answer)
}

fn get_item(call: &mut Call<'_>) -> Answer {
    let id = call.key()?;
    let item = call.table.items.get(&id).and_then(|versions| call.seen(versions));
    Ok(item.map_or_else(|| json!({}), |item| json!({ "Item": to_wire(item) })))
}

fn scan(call: &mut Call<'_>) -> Answer {
    let placeholders = Placeholders::read(&call.members)?;
    let name = "FilterExpression";
    let parse = |text| Condition::parse(name, text, &placeholders);
    let filter = call.text(name).map(parse).transpose()?;
    placeholders.check_used(filter.is_some())?;
    let start = call.members.get("ExclusiveStartKey").map(|_| call.read_key("ExclusiveStartKey"));
    let start = start.transpose()?;
    let limit = match call.members.get("Limit") {
        None => usize::MAX,
        Some(limit) => limit
            .as_u64()
            .filter(|limit| *limit > 0)
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or_else(|| {
                invalid(
                    "1 validation error detected: Value at 'limit' failed to satisfy constraint: \
                     Member must have value greater than or equal to 1",
                )
            })?,
    };
    let seen: Vec<(&String, &Item)> = call
        .table
        .items
        .iter()
        .filter(|(id, _)| start.as_ref().is_none_or(|start| *id > start))
        .filter_map(|(id, versions)| Some((id, call.seen(versions)?)))
        .collect();
    let page = &seen[..limit.min(seen.len())];
    let holds = |item: &Item| filter.as_ref().is_none_or(|filter| filter.holds(Some(item)));
    let items: Vec<Value> =
        page.iter().filter(|(_, item)| holds(item)).map(|(_, item)| to_wire(item)).collect();
    let mut answer = json!({ "Count": items.len(), "ScannedCount": page.len(), "Items": items });
    // DynamoDB names the last key whenever the limit ended the page, even if nothing follows.
    if let Some((last, _)) = page.last().filter(|_| page.len() == limit) {
        answer["LastEvaluatedKey"] = json!({ KEY: { "S": last } });
    }
    Ok(answer)
}

fn describe_table(call: &mut Call<'_>) -> Answer {
    let Table { name, arn, created_at_ms, items } = &*call.table;
    let current: Vec<&Item> = items.values().filter_map(Versions::current).collect();
    let bytes: usize = current.iter().map(|item| size(item)).sum();
    Ok(json!({ "Table": {
        "TableName": name,
        "TableArn": arn,
        "TableStatus": "ACTIVE",
        "CreationDateTime": *created_at_ms as f64 / 1_000.0,
        "AttributeDefinitions": [{ "AttributeName": KEY, "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": KEY, "KeyType": "HASH" }],
        "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
        "ItemCount": current.len(),
        "TableSizeBytes": bytes,
        "DeletionProtectionEnabled": false,
    }}))
}
