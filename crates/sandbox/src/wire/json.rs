//! The protocols in JSON: awsJson 1.0 (DynamoDB, Step Functions), awsJson 1.1 (Secrets Manager) and
//! restJson (the Data API).

use serde_json::{Map, Value};

use super::{AwsError, Request, Response};

/// Names that every service of the protocol has for what it cannot even carry out.
const CORAL: &str = "com.amazon.coral.service";
/// The namespace of a parameter that the service refuses.
const VALIDATION: &str = "com.amazon.coral.validate";

/// The operation that `X-Amz-Target` names, behind the service's own prefix.
pub(super) fn target_operation(request: &Request) -> &str {
    let target = request.headers.get("x-amz-target").map_or("", String::as_str);
    target.split_once('.').map_or("", |(_, operation)| operation)
}

/// The operation of the Data API that a path stands for.
pub(super) fn path_operation(path: &str) -> &'static str {
    match path {
        "/Execute" => "ExecuteStatement",
        "/BatchExecute" => "BatchExecuteStatement",
        "/BeginTransaction" => "BeginTransaction",
        "/CommitTransaction" => "CommitTransaction",
        "/RollbackTransaction" => "RollbackTransaction",
        _ => "",
    }
}

/// The members of a request.
///
/// # Errors
/// `SerializationException` when the body is no JSON object.
pub fn read(body: &[u8]) -> Result<Map<String, Value>, AwsError> {
    serde_json::from_slice(body)
        .map_err(|error| AwsError::bad_request("SerializationException", error.to_string()))
}

/// An answer with status 200.
#[must_use]
pub fn answer(content_type: &str, body: &Value) -> Response {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Response { status: 200, headers, body: body.to_string().into_bytes() }
}

/// An answer of awsJson 1.0.
#[must_use]
pub fn aws_json(body: &Value) -> Response {
    answer("application/x-amz-json-1.0", body)
}

/// An answer of awsJson 1.1.
#[must_use]
pub fn aws_json_1_1(body: &Value) -> Response {
    answer("application/x-amz-json-1.1", body)
}

/// An error of awsJson 1.1 as Secrets Manager sends it: its bare name in the body.
pub(super) fn error_1_1(error: &AwsError) -> Response {
    aws_json_1_1(&serde_json::json!({ "__type": error.code, "Message": error.message }))
}

/// An error of awsJson 1.0: its name in the body, with the namespace it is defined in.
pub(super) fn error(namespace: &str, error: &AwsError) -> Response {
    let namespace = match error.code.as_str() {
        "ValidationException" => VALIDATION,
        "SerializationException" | "UnknownOperationException" | "InternalFailure" => CORAL,
        _ => namespace,
    };
    let mut body = error.members.as_deref().cloned().unwrap_or_default();
    body.insert("__type".to_owned(), format!("{namespace}#{}", error.code).into());
    body.insert("message".to_owned(), error.message.as_str().into());
    aws_json(&Value::Object(body))
}

/// An error of restJson: its name in a header.
pub(super) fn rest_error(error: &AwsError) -> Response {
    let body = serde_json::json!({ "message": error.message });
    let mut response = answer("application/json", &body);
    response.headers.push(("x-amzn-errortype".to_owned(), error.code.clone()));
    response
}

/// What a call in JSON is about: the first of the members that name a thing.
pub(crate) fn resource(request: &Request) -> String {
    let Ok(members) = read(&request.body) else { return String::new() };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if let Some(table) = text("TableName") {
        let table = table.rsplit('/').next().unwrap_or(table);
        let key = ["Key", "Item"].iter().find_map(|name| members.get(*name)?["id"]["S"].as_str());
        return key.map_or_else(|| table.to_owned(), |key| format!("{table}/{key}"));
    }
    ["executionArn", "stateMachineArn", "taskToken", "resourceArn", "SecretId", "Name"]
        .iter()
        .find_map(|name| text(name))
        .unwrap_or_default()
        .to_owned()
}
