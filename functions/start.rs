//! Executions: those that are named after what they are started for, and those that run.

use std::ops::ControlFlow;

use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use serde_json::Value;

use crate::aws::{Aws, region_of};
use crate::error::{FailbackError, classify};

/// How it was found.
pub(crate) enum Started {
    /// It runs since now; or it runs, with this very input.
    Now,
    /// The name has been used.
    Before,
}

/// Starts an execution, unless one of that name was ever started.
pub(crate) async fn execution(
    aws: &Aws,
    machine: &str,
    name: &str,
    input: &Value,
) -> Result<Started, FailbackError> {
    let client = aws.sfn(region_of(machine));
    let request = client.start_execution().state_machine_arn(machine).name(name);
    match request.input(input.to_string()).send().await {
        Ok(_) => Ok(Started::Now),
        Err(error) => match classify("states:StartExecution", error) {
            FailbackError::AwsRejected { code, .. } if code == "ExecutionAlreadyExists" => {
                Ok(Started::Before)
            }
            other => Err(other),
        },
    }
}

/// Visits the executions of a machine that have not ended, page by page, until one of them breaks
/// the search with what was looked for.
pub(crate) async fn visit_running<B>(
    aws: &Aws,
    machine: &str,
    mut visit: impl FnMut(&ExecutionListItem) -> ControlFlow<B>,
) -> Result<Option<B>, FailbackError> {
    const CALL: &str = "states:ListExecutions";
    let request = aws
        .sfn(region_of(machine))
        .list_executions()
        .state_machine_arn(machine)
        .status_filter(ExecutionStatus::Running);
    let mut pages = request.into_paginator().items().send();
    while let Some(item) = pages.next().await {
        if let ControlFlow::Break(found) = visit(&item.map_err(|e| classify(CALL, e))?) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
