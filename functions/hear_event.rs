//! Takes in what AWS Health and CloudWatch alarms say of home, and has its recovery awaited once
//! the incident is over.
//!
//! Invoked by rules of EventBridge; no state of a machine invokes it.
//!
//! - **State:** none; the execution it starts begins at `StartFailback`.
//! - **Requires:** an event that can be read.
//! - **Ensures:** the event is remembered; if no other trouble is known, an execution of
//!   `await-recovery` named after the incident was started.
//! - **Idempotent because** an event that was heard already changes nothing, and a name can be used
//!   once.
//! - **Answers:** DONE.
//! - **Calls:** `dynamodb:GetItem`, `dynamodb:PutItem`, `states:StartExecution`.

use failback_plan::Answer;
use failback_plan::incident::Heard;
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::notice::{self, Envelope};
use crate::start::{self, Started};
use crate::{register, request, table};

/// What EventBridge passes in.
pub type Input = Envelope;

/// Hears, remembers, starts.
pub async fn hear_event(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let request = request::complete(aws, Value::Object(serde_json::Map::default()))?;
    let home = &request.home.region;
    let notice = match notice::read(&input, home, table::account(aws)?)? {
        Ok(notice) => notice,
        Err(why) => return Ok(Answer::done(format!("not heard: {why}"))),
    };
    let (heard, register) = register::hear(aws, home, &notice).await?;
    let what = format!("{} ({})", notice.what, notice.about);
    let incident = match heard {
        Heard::Known => return Ok(Answer::done(format!("known already: {what}"))),
        Heard::StillOpen(open) => {
            return Ok(Answer::done(format!("{what} is over; still open: {}", open.join(", "))));
        }
        Heard::Noted => {
            let open = register.open().len();
            return Ok(Answer::done(format!("noted: {what}; {open} open")));
        }
        Heard::Over(incident) => incident,
    };
    let machine = aws.stack().await_machine_arn.as_deref();
    let machine = machine.ok_or(FailbackError::StackIncomplete {
        variable: "FAILBACK_AWAIT_MACHINE_ARN",
    })?;
    let input = json!({ "incident": incident, "recover_s": request.limits.recover_s });
    Ok(Answer::done(match start::execution(aws, machine, &incident, &input).await? {
        Started::Now => format!("{what} was the last one: home's recovery is awaited, {incident}"),
        Started::Before => format!("the recovery after {incident} has been awaited before"),
    }))
}
