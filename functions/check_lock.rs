//! Looks whether the lock is still this execution's.
//!
//! A run whose lock was taken over must not go on: it had ended, and was redriven while another one
//! runs.
//!
//! - **State:** `CheckLock`.
//! - **Requires:** the lock names the execution.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE.
//! - **Calls:** `dynamodb:GetItem`.

use failback_plan::Answer;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::lock;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What is locked.
    pub database: String,
    /// ARN of the execution that took the lock.
    pub owner: String,
}

/// Looks.
pub async fn check_lock(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { database, owner } = input;
    let holder = lock::holder(aws, &database).await?;
    if holder.as_ref() == Some(&owner) {
        return Ok(Answer::done(format!("the lock on {database} is held")));
    }
    Err(FailbackError::AnotherRunInProgress {
        database,
        owner: holder.unwrap_or_else(|| "nobody, since this run's end".to_owned()),
    })
}
