//! Gives the lock back, and after a complete failback what was remembered for its sake.
//!
//! - **State:** `ReleaseLock`, on every path to an end.
//! - **Requires:** nothing.
//! - **Ensures:** the lock does not name this execution; of a complete failback nothing is left in the
//!   table.
//! - **Idempotent because** only a lock that names this execution is removed.
//! - **Answers:** DONE.
//! - **Calls:** `dynamodb:GetItem`, `dynamodb:DeleteItem`.

use failback_plan::Answer;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::lock;
use crate::table::{self, CONDITION_FAILED, text};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What is locked.
    pub database: String,
    /// ARN of the execution that holds the lock.
    pub owner: String,
    /// Whether the failback is complete.
    pub complete: bool,
}

/// Removes what is its own.
pub async fn release_lock(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    const CALL: &str = "dynamodb:DeleteItem";
    let Input { database, owner, complete } = input;
    if complete {
        table::forget(aws, &database).await?;
    }
    if lock::holder(aws, &database).await?.as_ref() != Some(&owner) {
        return Ok(Answer::done(format!("the lock on {database} is not this run's")));
    }
    let (client, name) = table::table(aws)?;
    let request = client
        .delete_item()
        .table_name(name)
        .key("id", text(lock::id(&database)))
        .condition_expression("#owner = :me")
        .expression_attribute_names("#owner", lock::OWNER)
        .expression_attribute_values(":me", text(owner));
    match request.send().await.map_err(|e| classify(CALL, e)) {
        Ok(_) => Ok(Answer::done(format!("{database} is unlocked"))),
        Err(FailbackError::AwsRejected { code, .. }) if code == CONDITION_FAILED => {
            Ok(Answer::done(format!("the lock on {database} is not this run's")))
        }
        Err(other) => Err(other),
    }
}
