//! What a call looks like on the wire: requests in, responses and errors out.
//!
//! Six protocols are spoken, each in the few shapes the services need: awsQuery (RDS, SNS), ec2Query
//! (EC2), restXml (Route 53), rpcv2Cbor (CloudWatch), awsJson (DynamoDB, Secrets Manager) and
//! restJson (the Data API of RDS).

pub mod json;

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

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

/// Form parameters, flattened as awsQuery sends them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Decodes `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn parse(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    /// One parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// True when the parameter, a list or a structure below it was sent.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || {
            let below = format!("{name}.");
            self.0.range(below.clone()..).next().is_some_and(|(key, _)| key.starts_with(&below))
        }
    }

    /// One parameter that must be there.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&str, AwsError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            AwsError::bad_request(
                "MissingParameter",
                format!("The request must contain the parameter {name}"),
            )
        })
    }

    /// A boolean.
    ///
    /// # Errors
    /// `InvalidParameterValue` when it is neither `true` nor `false`.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, AwsError> {
        self.parsed(name)
    }

    /// An integer.
    ///
    /// # Errors
    /// `InvalidParameterValue` when it is not one.
    pub fn int(&self, name: &str) -> Result<Option<i32>, AwsError> {
        self.parsed(name)
    }

    /// A number.
    ///
    /// # Errors
    /// `InvalidParameterValue` when it is not one.
    pub fn float(&self, name: &str) -> Result<Option<f64>, AwsError> {
        self.parsed(name)
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, AwsError> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    AwsError::bad_request(
                        "InvalidParameterValue",
                        format!("Invalid value {value} for {name}"),
                    )
                })
            })
            .transpose()
    }

    /// The values `prefix.1`, `prefix.2`, …; the prefix includes the member name, if the protocol
    /// has one: `VpcSecurityGroupIds.VpcSecurityGroupId`.
    #[must_use]
    pub fn list(&self, prefix: &str) -> Vec<String> {
        (1..).map_while(|n| self.get(&format!("{prefix}.{n}")).map(str::to_owned)).collect()
    }

    /// The structures below `prefix.1`, `prefix.2`, …
    #[must_use]
    pub fn structures(&self, prefix: &str) -> Vec<Params> {
        (1..)
            .map_while(|n| {
                let inner = self.below(&format!("{prefix}.{n}"));
                (!inner.0.is_empty()).then_some(inner)
            })
            .collect()
    }

    /// The parameters below `prefix`, with the prefix taken off.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Params {
        let start = format!("{prefix}.");
        Self(
            self.0
                .range(start.clone()..)
                .take_while(|(key, _)| key.starts_with(&start))
                .map(|(key, value)| (key[start.len()..].to_owned(), value.clone()))
                .collect(),
        )
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

/// Writes XML elements; text is escaped.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    /// Starts a document.
    #[must_use]
    pub fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned())
    }

    /// The root element with its namespace.
    pub fn root(&mut self, name: &str, namespace: &str, content: impl FnOnce(&mut Xml)) {
        self.push(["<", name, " xmlns=\"", namespace, "\">"]);
        content(self);
        self.close(name);
    }

    /// An element with elements in it.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Xml)) {
        self.push(["<", name, ">"]);
        content(self);
        self.close(name);
    }

    /// An element with text in it.
    pub fn text(&mut self, name: &str, value: impl Display) {
        self.element(name, |xml| {
            write!(Escaped(&mut xml.0), "{value}").expect("a String takes all that is written");
        });
    }

    /// What a fragment of this writer came to.
    pub fn raw(&mut self, fragment: &str) {
        self.0.push_str(fragment);
    }

    /// A fragment, to be put into a document with [`Xml::raw`].
    #[must_use]
    pub fn fragment(content: impl FnOnce(&mut Xml)) -> String {
        let mut xml = Self::default();
        content(&mut xml);
        xml.0
    }

    /// An element with text in it, left out when there is none.
    pub fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A list: the outer element, and one inner element per item.
    pub fn list<T>(
        &mut self,
        name: &str,
        member: &str,
        items: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Xml, T),
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.element(member, |xml| content(xml, item));
            }
        });
    }

    /// A list of texts.
    pub fn texts<T: Display>(
        &mut self,
        name: &str,
        member: &str,
        items: impl IntoIterator<Item = T>,
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.text(member, item);
            }
        });
    }

    /// The document.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn close(&mut self, name: &str) {
        self.push(["</", name, ">"]);
    }

    fn push<const N: usize>(&mut self, parts: [&str; N]) {
        parts.iter().for_each(|part| self.0.push_str(part));
    }
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"']) {
            let (before, from) = rest.split_at(at);
            self.0.push_str(before);
            self.0.push_str(match from.as_bytes()[0] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                _ => "&quot;",
            });
            rest = &from[1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// A moment as the XML protocols write it: `2026-01-01T00:00:00.000Z`.
#[must_use]
pub fn iso8601(at_ms: i64) -> String {
    use aws_smithy_types::date_time::{DateTime, Format};
    DateTime::from_millis(at_ms).fmt(Format::DateTime).expect("the model's clock stays in range")
}
