//! Executions that are named after what they are started for.

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
