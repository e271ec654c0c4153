//! Refusals, and the envelope in which each protocol sends them.

use super::{RDS_NAMESPACE, ROUTE53_NAMESPACE, Response, SNS_NAMESPACE, Xml, json};

/// A refusal by a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// HTTP status.
    pub status: u16,
    /// The wire code, which is what a client matches on.
    pub code: String,
    /// The message.
    pub message: String,
    /// True when the caller is to blame (`Sender`), false for the service (`Receiver`).
    pub sender_fault: bool,
    /// What it carries beside its message, in the protocols in JSON.
    pub members: Option<Box<serde_json::Map<String, serde_json::Value>>>,
}

impl AwsError {
    /// An error with any status; 5xx is the service's fault.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        let sender_fault = status < 500;
        Self { status, code: code.into(), message: message.into(), sender_fault, members: None }
    }

    /// Status 400.
    pub fn bad_request(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// Status 404.
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(404, code, message)
    }

    /// The operation does not exist, or is not modelled.
    #[must_use]
    pub fn unknown_operation(operation: &str) -> Self {
        let message = format!("Could not find operation {operation} in this service");
        Self::bad_request("InvalidAction", message)
    }

    /// What a service says to too many calls.
    #[must_use]
    pub fn throttled(service: &str) -> Self {
        let code = match service {
            "ec2" => return Self::new(503, "RequestLimitExceeded", "Request limit exceeded."),
            "dynamodb" | "rds-data" | "secretsmanager" | "states" => "ThrottlingException",
            _ => "Throttling",
        };
        Self::bad_request(code, "Rate exceeded")
    }

    /// What a service says when it has failed itself.
    #[must_use]
    pub fn internal(service: &str) -> Self {
        let code = match service {
            "dynamodb" => "InternalServerError",
            "rds-data" => "InternalServerErrorException",
            "secretsmanager" => "InternalServiceError",
            "sns" => "InternalError",
            _ => "InternalFailure",
        };
        Self::new(500, code, "An internal error has occurred")
    }
}

/// The error in the envelope that the service's protocol prescribes.
#[must_use]
pub fn error_response(service: &str, error: &AwsError, request_id: &str) -> Response {
    let mut response = match service {
        "ec2" => Response::xml(ec2_error(error, request_id)),
        "route53" => Response::xml(query_error(ROUTE53_NAMESPACE, error, request_id)),
        "monitoring" => cbor_error(error),
        "sns" => Response::xml(query_error(SNS_NAMESPACE, error, request_id)),
        "dynamodb" => json::error("com.amazonaws.dynamodb.v20120810", error),
        "states" => json::error("com.amazonaws.states.v20161123", error),
        "rds-data" => json::rest_error(error),
        "secretsmanager" => json::error_1_1(error),
        _ => Response::xml(query_error(RDS_NAMESPACE, error, request_id)),
    };
    response.status = error.status;
    response
}

fn query_error(namespace: &str, error: &AwsError, request_id: &str) -> String {
    let mut xml = Xml::new();
    xml.root("ErrorResponse", namespace, |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", if error.sender_fault { "Sender" } else { "Receiver" });
            xml.text("Code", &error.code);
            xml.text("Message", &error.message);
        });
        xml.text("RequestId", request_id);
    });
    xml.finish()
}

fn ec2_error(error: &AwsError, request_id: &str) -> String {
    let mut xml = Xml::new();
    xml.element("Response", |xml| {
        xml.element("Errors", |xml| {
            xml.element("Error", |xml| {
                xml.text("Code", &error.code);
                xml.text("Message", &error.message);
            });
        });
        xml.text("RequestID", request_id);
    });
    xml.finish()
}

fn cbor_error(error: &AwsError) -> Response {
    let mut encoder = aws_smithy_cbor::Encoder::new(Vec::new());
    encoder.begin_map();
    encoder.str("__type").str(&format!("com.amazonaws.cloudwatch#{}", error.code));
    encoder.str("message").str(&error.message);
    encoder.end();
    let mut response = Response::cbor(encoder.into_writer());
    let fault = if error.sender_fault { "Sender" } else { "Receiver" };
    response.headers.push(("x-amzn-query-error".to_owned(), format!("{};{fault}", error.code)));
    response
}
