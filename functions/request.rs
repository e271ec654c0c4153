//! The request of an execution: the environment's, with the execution's input laid over it.

use failback_plan::{InvalidRequest, Request};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::error::FailbackError;

/// The whole request.
///
/// # Errors
/// [`FailbackError::InvalidRequest`], with the name of the field.
pub(crate) fn complete(aws: &Aws, input: Value) -> Result<Request, FailbackError> {
    let stack = aws.stack();
    let environment = stack.environment_request.as_deref();
    Ok(Request::parse(&completed(environment, stack.dry_run.as_deref(), input)?)?)
}

/// Field by field (RFC 7396).
fn completed(
    environment: Option<&str>,
    dry_run: Option<&str>,
    request: Value,
) -> Result<Value, FailbackError> {
    if environment.is_none() && dry_run.is_none() {
        return Ok(request);
    }
    let refused = |field: &str, problem: String| {
        FailbackError::from(InvalidRequest { field: field.to_owned(), problem })
    };
    let mut base: Value = environment.map_or(Ok(json!({})), serde_json::from_str).map_err(|e| {
        refused("FAILBACK_REQUEST", format!("of this environment is not JSON: {e}"))
    })?;
    if let Some(text) = dry_run {
        let dry_run: bool = text.parse().map_err(|_| {
            refused("FAILBACK_DRY_RUN", format!("is neither true nor false: {text}"))
        })?;
        json_patch::merge(&mut base, &json!({ "dry_run": dry_run }));
    }
    json_patch::merge(&mut base, &request);
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_laid_over_the_request_of_the_environment() {
        let environment =
            r#"{"home": {"region": "us-east-1", "cluster_id": "a"}, "dry_run": true}"#;
        let input = json!({"home": {"cluster_id": "b"}, "dry_run": false});

        let request = completed(Some(environment), None, input).expect("both are JSON");

        let expected =
            json!({"home": {"region": "us-east-1", "cluster_id": "b"}, "dry_run": false});
        assert_eq!(request, expected);
    }

    #[test]
    fn environment_that_is_not_json_is_named() {
        let error = completed(Some("{"), None, json!({})).expect_err("it is not JSON");
        assert!(error.message().contains("FAILBACK_REQUEST"), "{error}");
    }

    #[test]
    fn parameter_says_whether_runs_are_dry_until_an_input_does() {
        let environment = Some(r#"{"dry_run": true}"#);
        for (dry_run, input, expected) in [
            (None, json!({}), json!(true)),
            (Some("false"), json!({}), json!(false)),
            (Some("false"), json!({"dry_run": true}), json!(true)),
            (Some("true"), json!({"dry_run": false}), json!(false)),
        ] {
            let request = completed(environment, dry_run, input).expect("all of it is readable");
            assert_eq!(request["dry_run"], expected, "{dry_run:?}");
        }
        let error = completed(environment, Some("no"), json!({})).expect_err("neither");
        assert!(error.message().contains("FAILBACK_DRY_RUN"), "{error}");
    }
}
