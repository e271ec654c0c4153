//! Makes sure that one failback runs at a time for a global database.
//!
//! - **State:** `AcquireLock`.
//! - **Requires:** a request that can be read, and no other execution that holds the lock and runs.
//! - **Ensures:** the lock names this execution, until `release_lock`.
//! - **Idempotent because** a lock of one's own is as good as a new one.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `dynamodb:GetItem`, `dynamodb:PutItem`, `states:DescribeExecution`,
//!   `states:ListExecutions`.

use std::ops::ControlFlow;

use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use failback_plan::Answer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::{Aws, region_of};
use crate::error::{FailbackError, classify};
use crate::table::{self, CONDITION_FAILED, Item, text};
use crate::{lock, request, start};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The execution's input: the whole request, or what differs from the environment's.
    pub request: Value,
    /// ARN of the execution that wants the lock.
    pub owner: String,
    /// The state machines it starts: an execution of theirs may outlive its parent.
    pub children: Vec<String>,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Whether the lock is held.
    #[serde(flatten)]
    pub answer: Answer,
    /// What is locked.
    pub database: String,
}

/// Looks who holds the lock, takes it if nobody does.
pub async fn acquire_lock(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { request, owner, children } = input;
    let request = request::complete(aws, request)?;
    let database = request.global_clusters.former.clone();
    let answer = if request.dry_run {
        Answer::done("a dry run changes nothing and needs no lock")
    } else {
        acquire(aws, &database, &owner, &children).await?
    };
    Ok(Output { answer, database })
}

async fn acquire(
    aws: &Aws,
    database: &str,
    owner: &str,
    children: &[String],
) -> Result<Answer, FailbackError> {
    let Some(holder) = lock::holder(aws, database).await? else {
        return put(aws, database, owner, None).await;
    };
    if holder == owner {
        return Ok(Answer::done(format!("the lock on {database} is held already")));
    }
    if runs(aws, &holder).await? {
        return Err(FailbackError::AnotherRunInProgress {
            database: database.to_owned(),
            owner: holder,
        });
    }
    // A child is told to stop when its parent is, but best effort and later.
    if let Some(child) = running_child(aws, &holder, children).await? {
        return Ok(Answer::pending(format!("{holder} has ended, but {child} still runs")));
    }
    put(aws, database, owner, Some(&holder)).await
}

/// Writes the lock, provided it is still as it was seen.
async fn put(
    aws: &Aws,
    database: &str,
    owner: &str,
    instead_of: Option<&str>,
) -> Result<Answer, FailbackError> {
    const CALL: &str = "dynamodb:PutItem";
    let (client, name) = table::table(aws)?;
    let item = Item::from([
        ("id".to_owned(), text(lock::id(database))),
        (lock::OWNER.to_owned(), text(owner)),
    ]);
    let request = client.put_item().table_name(name).set_item(Some(item));
    let request = match instead_of {
        None => request.condition_expression("attribute_not_exists(id)"),
        Some(holder) => request
            .condition_expression("#owner = :holder")
            .expression_attribute_names("#owner", lock::OWNER)
            .expression_attribute_values(":holder", text(holder)),
    };
    match request.send().await.map_err(|e| classify(CALL, e)) {
        Ok(_) => Ok(Answer::done(match instead_of {
            None => format!("{database} is locked"),
            Some(holder) => format!("{database} is locked; {holder} had left its lock"),
        })),
        Err(FailbackError::AwsRejected { code, .. }) if code == CONDITION_FAILED => {
            Ok(Answer::pending(format!("the lock on {database} has just changed hands")))
        }
        Err(other) => Err(other),
    }
}

/// Whether an execution can still act. One that Step Functions no longer knows cannot.
async fn runs(aws: &Aws, execution: &str) -> Result<bool, FailbackError> {
    const CALL: &str = "states:DescribeExecution";
    let client = aws.sfn(region_of(execution));
    match client.describe_execution().execution_arn(execution).send().await {
        Ok(answer) => {
            let may_go_on = [&ExecutionStatus::Running, &ExecutionStatus::PendingRedrive];
            Ok(may_go_on.contains(&answer.status()))
        }
        Err(error) => match classify(CALL, error) {
            FailbackError::AwsRejected { code, .. } if code == "ExecutionDoesNotExist" => Ok(false),
            other => Err(other),
        },
    }
}

/// An execution that the holder started and that has not ended.
async fn running_child(
    aws: &Aws,
    holder: &str,
    children: &[String],
) -> Result<Option<String>, FailbackError> {
    let prefix = lock::child_prefix(holder);
    let is_child = |execution: &ExecutionListItem| match execution.name().starts_with(&prefix) {
        true => ControlFlow::Break(execution.execution_arn().to_owned()),
        false => ControlFlow::Continue(()),
    };
    for machine in children {
        if let Some(child) = start::visit_running(aws, machine, is_child).await? {
            return Ok(Some(child));
        }
    }
    Ok(None)
}
