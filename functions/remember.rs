//! Writes down what a later execution must know and can no longer see.
//!
//! - **State:** `RememberSettings`, `RememberFence`, `RememberProof`, each before the change after
//!   which it cannot be seen any more.
//! - **Requires:** nothing.
//! - **Ensures:** what is given is remembered of this global database; what is left out stays as it was.
//! - **Idempotent because** what is remembered already is not written again.
//! - **Answers:** DONE.
//! - **Calls:** `dynamodb:GetItem`, `dynamodb:UpdateItem`.

use failback_plan::{Answer, Memory};
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::table;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The global database.
    pub database: String,
    /// What to add.
    pub memory: Memory,
}

/// Looks, writes what is new.
pub async fn remember(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { database, memory } = input;
    let known = table::recall(aws, &database).await?;
    let written = table::remember(aws, &database, &memory.beyond(&known)).await?;
    Ok(Answer::done(format!("{written} things more are remembered of {database}")))
}
