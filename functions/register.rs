//! What the stack was told of home's Region: one item of its table, kept as JSON text.

use failback_plan::incident::{Heard, Notice, Register};

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::table::{self, CONDITION_FAILED, Item, text, text_of};

/// How often a write is tried that others have come before: notices are few.
const TRIES: usize = 5;

fn id(region: &str) -> String {
    format!("events#{region}")
}

/// The register of a Region; empty as long as nothing was told of it.
pub(crate) async fn recall(aws: &Aws, region: &str) -> Result<Register, FailbackError> {
    Ok(seen(aws, region).await?.0)
}

/// Takes a notice in, whoever else does the same at this moment.
pub(crate) async fn hear(
    aws: &Aws,
    region: &str,
    notice: &Notice,
) -> Result<(Heard, Register), FailbackError> {
    for _ in 0..TRIES {
        let (before, was) = seen(aws, region).await?;
        let mut register = before.clone();
        let heard = register.hear(notice);
        if register == before || put(aws, region, &register, was.as_deref()).await? {
            return Ok((heard, register));
        }
    }
    Err(FailbackError::AwsBusy {
        call: "dynamodb:PutItem",
        code: CONDITION_FAILED.to_owned(),
        message: format!("others wrote {} all the time", id(region)),
    })
}

/// The register, and the text it was read from.
async fn seen(aws: &Aws, region: &str) -> Result<(Register, Option<String>), FailbackError> {
    let Some(item) = table::get(aws, &id(region)).await? else {
        return Ok((Register::default(), None));
    };
    let text = text_of(&item, "register")?;
    let register = serde_json::from_str(text).map_err(|e| FailbackError::AwsAnswerUnreadable {
        call: "dynamodb:GetItem",
        what: format!("a register in a form that this version can read ({e})"),
    })?;
    Ok((register, Some(text.to_owned())))
}

/// Writes the register, provided it is still as it was seen. Answers whether it was.
async fn put(
    aws: &Aws,
    region: &str,
    register: &Register,
    was: Option<&str>,
) -> Result<bool, FailbackError> {
    const CALL: &str = "dynamodb:PutItem";
    let document =
        serde_json::to_string(register).map_err(|e| FailbackError::AwsAnswerUnreadable {
            call: CALL,
            what: format!("a register to write ({e})"),
        })?;
    let (client, name) = table::table(aws)?;
    let item =
        Item::from([("id".to_owned(), text(id(region))), ("register".to_owned(), text(document))]);
    let request = client.put_item().table_name(name).set_item(Some(item));
    let request = match was {
        None => request.condition_expression("attribute_not_exists(id)"),
        Some(was) => request
            .condition_expression("#register = :was")
            .expression_attribute_names("#register", "register")
            .expression_attribute_values(":was", text(was)),
    };
    match request.send().await.map_err(|e| classify(CALL, e)) {
        Ok(_) => Ok(true),
        Err(FailbackError::AwsRejected { code, .. }) if code == CONDITION_FAILED => Ok(false),
        Err(other) => Err(other),
    }
}
