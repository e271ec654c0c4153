//! The shape in which a client expects an answer, known before anything else about its request.

use failback_sandbox::wire::{AwsError, Response, error_response};
use serde_json::json;

use crate::states::json_response;

/// A protocol, as far as the headers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// awsJson and restJson.
    Json,
    /// rpcv2Cbor.
    Cbor,
    /// awsQuery, ec2Query and restXml.
    Xml,
}

impl Dialect {
    /// The protocol that these headers belong to.
    pub(super) fn of(headers: &[(String, String)]) -> Self {
        let header = |wanted: &str| {
            let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.to_ascii_lowercase())
        };
        let content_type = header("content-type").unwrap_or_default();
        if header("x-amz-target").is_some() || content_type.contains("json") {
            Self::Json
        } else if header("smithy-protocol").is_some() || content_type.contains("cbor") {
            Self::Cbor
        } else {
            Self::Xml
        }
    }

    /// An error in this protocol.
    pub(super) fn error(self, error: &AwsError, request_id: &str) -> Response {
        match self {
            Self::Json => {
                let kind = format!("com.amazon.coral.service#{}", json_name(&error.code));
                json_response(error.status, &json!({ "__type": kind, "message": error.message }))
            }
            Self::Cbor => error_response("monitoring", error, request_id),
            Self::Xml => error_response("rds", error, request_id),
        }
    }
}

/// The name of an error that the JSON protocols know under another one.
fn json_name(code: &str) -> &str {
    match code {
        "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
        "InvalidAction" => "UnknownOperationException",
        other => other,
    }
}
