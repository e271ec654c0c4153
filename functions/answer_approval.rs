//! Takes a person's answer to the run that waits for it.
//!
//! Invoked by hand, as the question says; no state of a machine invokes it.
//!
//! - **State:** none.
//! - **Requires:** the approval was asked for, is still waited for, and was not answered otherwise.
//! - **Ensures:** the answer, with who gave it and why, is kept, and the run goes on or stops.
//! - **Idempotent because** the same verdict is sent once more, and a run that is past it says so.
//! - **Answers:** DONE.
//! - **Calls:** `dynamodb:GetItem`, `dynamodb:UpdateItem`, `states:SendTaskSuccess`,
//!   `states:SendTaskFailure`.

use failback_plan::approval::Verdict;
use failback_plan::{Answer, InvalidRequest};
use serde::Deserialize;

use crate::aws::{Aws, region_of};
use crate::error::{FailbackError, classify};
use crate::table::{self, CONDITION_FAILED, text, text_of};

/// What the person passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The approval, as the question names it.
    pub approval_id: String,
    /// Approve or reject.
    pub decision: Verdict,
    /// Who answers.
    pub who: String,
    /// Why.
    pub why: String,
}

/// By these codes Step Functions says that nobody waits for the token any more.
/// Source: Step Functions API Reference, `SendTaskSuccess`, "Errors".
const NOBODY_WAITS: [&str; 3] = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"];

/// Keeps the answer, then sends it.
pub async fn answer_approval(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    for (field, value) in [("who", &input.who), ("why", &input.why)] {
        if value.trim().is_empty() {
            let problem = "is empty: the answer is kept with its author and reason".to_owned();
            return Err(InvalidRequest { field: field.to_owned(), problem }.into());
        }
    }
    let id = format!("approval#{}", input.approval_id);
    let item = table::get(aws, &id).await?.ok_or_else(|| FailbackError::ApprovalNotOpen {
        problem: format!("no run has asked for the approval {}", input.approval_id),
    })?;
    let given = item.get("verdict").map(|_| text_of(&item, "verdict")).transpose()?;
    let verdict = match input.decision {
        Verdict::Approve => "approve",
        Verdict::Reject => "reject",
    };
    if let Some(given) = given.filter(|given| *given != verdict) {
        return Err(FailbackError::ApprovalNotOpen {
            problem: format!("{} was answered already: {given}", input.approval_id),
        });
    }
    keep(aws, &id, verdict, &input).await?;
    let sent = send(aws, text_of(&item, "execution")?, text_of(&item, "token")?, &input).await?;
    if sent || given.is_some() {
        return Ok(Answer::done(format!("{}: {verdict}", input.approval_id)));
    }
    Err(FailbackError::ApprovalNotOpen {
        problem: format!("no run waits for {} any more", input.approval_id),
    })
}

/// The first answer counts.
async fn keep(aws: &Aws, id: &str, verdict: &str, input: &Input) -> Result<(), FailbackError> {
    let (client, name) = table::table(aws)?;
    let request = client
        .update_item()
        .table_name(name)
        .key("id", text(id))
        .update_expression("SET verdict = :verdict, who = :who, why = :why")
        .condition_expression("attribute_not_exists(verdict) OR verdict = :verdict")
        .expression_attribute_values(":verdict", text(verdict))
        .expression_attribute_values(":who", text(&input.who))
        .expression_attribute_values(":why", text(&input.why));
    match request.send().await.map_err(|e| classify("dynamodb:UpdateItem", e)) {
        Ok(_) => Ok(()),
        Err(FailbackError::AwsRejected { code, .. }) if code == CONDITION_FAILED => {
            Err(FailbackError::ApprovalNotOpen {
                problem: format!("{} has just been answered otherwise", input.approval_id),
            })
        }
        Err(other) => Err(other),
    }
}

/// Whether the run took it.
async fn send(
    aws: &Aws,
    execution: &str,
    token: &str,
    input: &Input,
) -> Result<bool, FailbackError> {
    let client = aws.sfn(region_of(execution));
    let result = match input.decision {
        Verdict::Approve => {
            let output = serde_json::json!({
                "approval_id": input.approval_id,
                "who": input.who,
                "why": input.why,
            });
            let request = client.send_task_success().task_token(token).output(output.to_string());
            request.send().await.map(|_| ()).map_err(|e| classify("states:SendTaskSuccess", e))
        }
        Verdict::Reject => {
            let request = client
                .send_task_failure()
                .task_token(token)
                .error("ApprovalRejected")
                .cause(format!("{} answered: {}", input.who, input.why));
            request.send().await.map(|_| ()).map_err(|e| classify("states:SendTaskFailure", e))
        }
    };
    match result {
        Ok(()) => Ok(true),
        Err(FailbackError::AwsRejected { code, .. }) if NOBODY_WAITS.contains(&code.as_str()) => {
            Ok(false)
        }
        Err(other) => Err(other),
    }
}
