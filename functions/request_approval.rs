//! Asks a person, and leaves the task token where the answer finds it.
//!
//! The state waits for the token, not for this function.
//!
//! - **State:** `RequestApprovalRetireHome`, `RequestApprovalPromoteHome`, `RequestApprovalSwitchOver`,
//!   `RequestApprovalRetireAway`.
//! - **Requires:** nothing.
//! - **Ensures:** the token is kept under the approval's id, and a message is published that says what
//!   is about to happen and how to answer. The token is in neither the message nor a log.
//! - **Idempotent because** a second attempt replaces the token by its own, which is the one that the
//!   state then waits for; a message may be published twice.
//! - **Answers:** DONE.
//! - **Calls:** `dynamodb:PutItem`, `sns:Publish`.

use failback_plan::Answer;
use failback_plan::approval::{Gate, Question};
use failback_plan::task::ClusterRef;
use serde::{Deserialize, Serialize};

use crate::aws::{Aws, region_of};
use crate::error::{FailbackError, classify};
use crate::table::{self, Item, text};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Under what the answer is given.
    pub approval_id: String,
    /// What is asked.
    pub gate: Gate,
    /// The cluster it is about.
    pub cluster: ClusterRef,
    /// The task token.
    pub token: String,
    /// ARN of the execution.
    pub execution: String,
    /// Hash of what the plan rests on.
    pub basis_hash: String,
    /// ARN of the function that takes the answer.
    pub answer_with: String,
    /// Until when an answer counts, as a person reads it.
    pub until: String,
    /// The same in epoch milliseconds.
    pub until_ms: i64,
}

/// What the function answers; the state waits for the token instead.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// That somebody is asked.
    #[serde(flatten)]
    pub answer: Answer,
    /// Under what the answer is given.
    pub approval_id: String,
    /// What was published.
    pub message: String,
}

/// For how long an approval is kept after its end, in seconds: as long as Step Functions keeps the
/// history of the execution that asked.
const KEPT_S: i64 = 90 * 86_400;

/// Keeps the token, then asks.
pub async fn request_approval(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let topic = aws.stack().topic_arn.as_deref();
    let topic = topic.ok_or(FailbackError::StackIncomplete { variable: "FAILBACK_TOPIC_ARN" })?;
    keep(aws, &input).await?;
    let question = Question {
        gate: input.gate,
        cluster: &input.cluster,
        approval_id: &input.approval_id,
        execution: &input.execution,
        basis_hash: &input.basis_hash,
        answer_with: &input.answer_with,
        until: &input.until,
    };
    let message = question.message();
    let request = aws
        .sns(region_of(topic))
        .publish()
        .topic_arn(topic)
        .subject(question.subject())
        .message(&message);
    request.send().await.map_err(|e| classify("sns:Publish", e))?;
    let answer = Answer::done(format!("{} is asked", question.approval_id));
    Ok(Output { answer, approval_id: question.approval_id.to_owned(), message })
}

async fn keep(aws: &Aws, input: &Input) -> Result<(), FailbackError> {
    let (client, name) = table::table(aws)?;
    let gone_at_s = input.until_ms / 1000 + KEPT_S;
    let item = Item::from([
        ("id".to_owned(), text(format!("approval#{}", input.approval_id))),
        ("token".to_owned(), text(&input.token)),
        ("execution".to_owned(), text(&input.execution)),
        ("gate".to_owned(), text(<&str>::from(input.gate))),
        ("cluster".to_owned(), text(&input.cluster.arn)),
        (
            "expires_at".to_owned(),
            aws_sdk_dynamodb::types::AttributeValue::N(gone_at_s.to_string()),
        ),
    ]);
    let request = client.put_item().table_name(name).set_item(Some(item));
    request.send().await.map_err(|e| classify("dynamodb:PutItem", e))?;
    Ok(())
}
