//! CloudWatch's other two protocols: the sandbox speaks rpcv2Cbor, clients also awsJson (botocore)
//! and awsQuery (whatever is older). A call is translated, carried out and translated back.

mod cbor;
mod query;

use failback_sandbox::Outcome;
use failback_sandbox::wire::{AwsError, Request, Response, error_response};
use serde_json::{Map, Value};

use super::dialect::Dialect;
use crate::states::json_response;
use cbor::Moment;

/// What `X-Amz-Target` and the path of rpcv2Cbor call the service.
const SERVICE: &str = "GraniteServiceVersion20100801";

/// Answers a call in the protocol in which it came.
pub(super) fn answer(
    request: &Request,
    dialect: Dialect,
    carry_out: impl Fn(&Request) -> Outcome,
) -> Outcome {
    let (operation, input) = match dialect {
        Dialect::Cbor => return carry_out(request),
        Dialect::Json => (json_operation(request), read_json(&request.body)),
        Dialect::Xml => query::read(request),
    };
    let input = match input {
        Ok(input) => input,
        Err(error) => return Outcome::Answered(dialect.error(&error, "unreadable")),
    };
    let translated = Request {
        path: format!("/service/{SERVICE}/operation/{operation}"),
        method: "POST".to_owned(),
        body: cbor::write(&input),
        ..request.clone()
    };
    match carry_out(&translated) {
        Outcome::Answered(response) if dialect == Dialect::Json => {
            let value = cbor::read(&response.body, Moment::Seconds);
            let mut answer = json_response(response.status, &value);
            answer.headers.extend(request_id(&response));
            Outcome::Answered(answer)
        }
        Outcome::Answered(response) => Outcome::Answered(in_xml(&operation, &response)),
        Outcome::ConnectionBroken => Outcome::ConnectionBroken,
    }
}

fn json_operation(request: &Request) -> String {
    let target = request.headers.get("x-amz-target").map_or("", String::as_str);
    target.strip_prefix(SERVICE).and_then(|rest| rest.strip_prefix('.')).unwrap_or("").to_owned()
}

fn read_json(body: &[u8]) -> Result<Value, AwsError> {
    let read: Result<Map<String, Value>, _> = serde_json::from_slice(body);
    read.map(Value::Object)
        .map_err(|e| AwsError::bad_request("SerializationException", e.to_string()))
}

fn request_id(response: &Response) -> Option<(String, String)> {
    response.headers.iter().find(|(name, _)| name == "x-amzn-requestid").cloned()
}

fn in_xml(operation: &str, response: &Response) -> Response {
    let value = cbor::read(&response.body, Moment::Text);
    let id = request_id(response);
    let text = id.as_ref().map_or("", |(_, id)| id.as_str());
    let mut answer = if response.status == 200 {
        Response::xml(query::write(operation, &value, text))
    } else {
        let kind = value["__type"].as_str().unwrap_or_default();
        let code = kind.rsplit('#').next().unwrap_or_default();
        let message = value["message"].as_str().unwrap_or_default();
        error_response("rds", &AwsError::new(response.status, code, message), text)
    };
    answer.headers.extend(id);
    answer
}
