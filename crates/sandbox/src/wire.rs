//! What a call looks like on the wire: requests in, responses and errors out.
//!
//! Six protocols are spoken, each in the few shapes the services need: awsQuery (RDS, SNS), ec2Query
//! (EC2), restXml (Route 53), rpcv2Cbor (CloudWatch), awsJson (DynamoDB, Secrets Manager) and
//! restJson (the Data API of RDS).

mod error;
pub mod json;
mod params;
mod xml;

use std::collections::BTreeMap;

pub use error::{AwsError, error_response};
pub use params::Params;
pub use xml::{Xml, iso8601};

/// Namespace of every RDS answer.
pub const RDS_NAMESPACE: &str = "http://rds.amazonaws.com/doc/2014-10-31/";
/// Namespace of every EC2 answer.
pub const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// Namespace of every Route 53 answer.
pub const ROUTE53_NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
/// Namespace of every SNS answer.
pub const SNS_NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// A call, with service and Region taken from the signature's credential scope: the host name
/// says nothing when a client was given an endpoint URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Signing name: `rds`, `ec2`, `route53`, `monitoring`, `dynamodb`, `sns`, `rds-data`,
    /// `secretsmanager`, `states`.
    pub service: String,
    /// Region the call was signed for.
    pub region: String,
    /// HTTP method, upper case.
    pub method: String,
    /// Path, starting with `/`.
    pub path: String,
    /// Query string without the question mark; may be empty.
    pub query: String,
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as sent.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads a call off the wire.
    ///
    /// # Errors
    /// `MissingAuthenticationToken` when there is no credential scope to route by.
    pub fn parse(
        method: &str,
        uri: &str,
        headers: impl IntoIterator<Item = (String, String)>,
        body: Vec<u8>,
    ) -> Result<Self, AwsError> {
        let headers: BTreeMap<String, String> =
            headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let (region, service) = headers
            .get("authorization")
            .and_then(|value| credential_scope(value))
            .ok_or_else(|| {
                AwsError::new(403, "MissingAuthenticationToken", "Request is missing a signature")
            })?;
        let (path, query) = path_and_query(uri);
        let method = method.to_ascii_uppercase();
        Ok(Self { service, region, method, path, query, headers, body })
    }

    /// The operation's name; empty when the request names none.
    #[must_use]
    pub fn operation(&self) -> String {
        match self.service.as_str() {
            "route53" => route53_operation(&self.method, &self.path).to_owned(),
            "monitoring" => self.path.rsplit('/').next().unwrap_or_default().to_owned(),
            "dynamodb" | "secretsmanager" | "states" => json::target_operation(self).to_owned(),
            "rds-data" => json::path_operation(&self.path).to_owned(),
            _ => self.params().get("Action").unwrap_or_default().to_owned(),
        }
    }

    /// The form parameters of awsQuery and ec2Query, or of the query string when there is no body.
    #[must_use]
    pub fn params(&self) -> Params {
        if self.body.is_empty() {
            Params::parse(self.query.as_bytes())
        } else {
            Params::parse(&self.body)
        }
    }
}

fn credential_scope(authorization: &str) -> Option<(String, String)> {
    let scope = authorization.split("Credential=").nth(1)?.split(',').next()?;
    let mut parts = scope.trim().split('/').skip(2);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn path_and_query(uri: &str) -> (String, String) {
    let rest = match uri.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
        None => uri,
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = if path.is_empty() { "/" } else { path };
    (path.to_owned(), query.to_owned())
}

fn route53_operation(method: &str, path: &str) -> &'static str {
    let rest = path.trim_start_matches("/2013-04-01").trim_end_matches('/');
    match (method, rest) {
        ("POST", rest) if rest.ends_with("/rrset") => "ChangeResourceRecordSets",
        ("GET", rest) if rest.ends_with("/rrset") => "ListResourceRecordSets",
        ("GET", rest) if rest.starts_with("/change/") => "GetChange",
        ("GET", "/testdnsanswer") => "TestDNSAnswer",
        ("GET", "/hostedzone") => "ListHostedZones",
        ("GET", "/hostedzonesbyname") => "ListHostedZonesByName",
        ("GET", rest) if rest.starts_with("/hostedzone/") => "GetHostedZone",
        ("POST", "/hostedzone") => "CreateHostedZone",
        _ => "",
    }
}

/// An answer, of whatever protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The encoded body.
    pub body: Vec<u8>,
}

impl Response {
    /// An XML body with status 200.
    #[must_use]
    pub fn xml(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
            body: body.into().into_bytes(),
        }
    }

    /// A CBOR body with status 200.
    #[must_use]
    pub fn cbor(body: Vec<u8>) -> Self {
        let headers = [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Self { status: 200, headers, body }
    }
}
