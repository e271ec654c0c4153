//! The request of an execution: the environment's, with the execution's input laid over it.

use failback_plan::{InvalidRequest, Request};
use serde_json::Value;

use crate::aws::Aws;
use crate::error::FailbackError;

/// The whole request.
///
/// # Errors
/// [`FailbackError::InvalidRequest`], with the name of the field.
pub(crate) fn complete(aws: &Aws, input: Value) -> Result<Request, FailbackError> {
    let environment = aws.stack().environment_request.as_deref();
    Ok(Request::parse(&completed(environment, input)?)?)
}

/// Field by field (RFC 7396).
fn completed(environment: Option<&str>, request: Value) -> Result<Value, FailbackError> {
    let Some(environment) = environment else { return Ok(request) };
    let mut base: Value = serde_json::from_str(environment).map_err(|e| InvalidRequest {
        field: "FAILBACK_REQUEST".to_owned(),
        problem: format!("of this environment is not JSON: {e}"),
    })?;
    json_patch::merge(&mut base, &request);
    Ok(base)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn input_is_laid_over_the_request_of_the_environment() {
        let environment =
            r#"{"home": {"region": "us-east-1", "cluster_id": "a"}, "dry_run": true}"#;
        let input = json!({"home": {"cluster_id": "b"}, "dry_run": false});

        let request = completed(Some(environment), input).expect("both are JSON");

        let expected =
            json!({"home": {"region": "us-east-1", "cluster_id": "b"}, "dry_run": false});
        assert_eq!(request, expected);
    }

    #[test]
    fn environment_that_is_not_json_is_named() {
        let error = completed(Some("{"), json!({})).expect_err("it is not JSON");
        assert!(error.message().contains("FAILBACK_REQUEST"), "{error}");
    }
}
