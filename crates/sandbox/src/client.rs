//! The AWS SDK's HTTP client trait, answered by a sandbox.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

use crate::{Outcome, Sandbox};

/// A client whose connections all lead to this sandbox.
pub(crate) fn http_client(sandbox: Sandbox) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(sandbox));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Connector(Sandbox);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(self.answer(&request))
    }
}

impl Connector {
    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let headers = request.headers().iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        let body = request.body().bytes().unwrap_or_default().to_vec();
        in_http(self.0.handle(request.method(), request.uri(), headers, body))
    }
}

/// What a call came to, as the SDK has it.
///
/// # Errors
/// A [`ConnectorError`] when the connection broke.
pub fn in_http(outcome: Outcome) -> Result<HttpResponse, ConnectorError> {
    match outcome {
        Outcome::Answered(answer) => {
            let status = answer.status.try_into().expect("the model's statuses are valid");
            let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
            for (name, value) in answer.headers {
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        }
        Outcome::ConnectionBroken => Err(ConnectorError::io("connection reset by peer".into())),
    }
}
