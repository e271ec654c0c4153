//! The HTTP client by which functions reach what is not AWS.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::{Reply, Request};
use crate::client::in_http;
use crate::{Outcome, Sandbox};

/// A client whose requests to the world's instances are answered by them; all others go where
/// `others` leads, and nowhere without it.
pub(crate) fn connector(
    sandbox: Sandbox,
    others: Option<SharedHttpConnector>,
) -> SharedHttpConnector {
    SharedHttpConnector::new(Connector { sandbox, others })
}

#[derive(Debug)]
struct Connector {
    sandbox: Sandbox,
    others: Option<SharedHttpConnector>,
}

impl HttpConnector for Connector {
    fn call(&self, http: HttpRequest) -> HttpConnectorFuture {
        let headers = http.headers().iter();
        let request = Request {
            method: http.method().to_ascii_uppercase(),
            url: http.uri().to_owned(),
            headers: headers.map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect(),
            body: http.body().bytes().unwrap_or_default().to_vec(),
        };
        match (self.sandbox.answer_superset(&request), &self.others) {
            (Some(reply), _) => HttpConnectorFuture::ready(in_client(reply)),
            (None, Some(others)) => others.call(http),
            (None, None) => HttpConnectorFuture::ready(Err(ConnectorError::io(
                "no such host in this world".into(),
            ))),
        }
    }
}

fn in_client(reply: Reply) -> Result<HttpResponse, ConnectorError> {
    match reply {
        Reply::Answered(answer) => in_http(Outcome::Answered(answer)),
        Reply::Broken => Err(ConnectorError::io("connection refused".into())),
        // Waiting takes no virtual time: the time-out is what comes of it.
        Reply::Silent => Err(ConnectorError::timeout("no answer in time".into())),
    }
}
