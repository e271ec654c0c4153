//! HTTP to whoever is not AWS, through the client that the SDK brings along: one more would be one
//! more TLS stack in the artefact.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;

use crate::aws::Aws;

/// How long a host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A request with a JSON body, or with none.
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<&'a Value>,
    /// For the whole answer.
    pub(crate) within: Duration,
}

/// What was answered, whatever it says.
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// `Set-Cookie`, each as `name=value`.
    pub(crate) cookies: Vec<(String, String)>,
    /// `null` if it is not JSON.
    pub(crate) body: Value,
}

/// The way to what is not AWS. It reads all certificates that the system trusts. Redirections are not
/// followed: what is sent is meant for the address that the request names.
pub fn connector() -> SharedHttpConnector {
    connect(ProxyConfig::disabled())
}

/// The same to AWS: by a proxy, where the environment names one as the SDK's own client expects it.
pub(crate) fn to_aws() -> SharedHttpConnector {
    connect(ProxyConfig::from_env())
}

fn connect(proxy: ProxyConfig) -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = Connector::builder().connector_settings(settings).proxy_config(proxy);
    let provider = tls::Provider::Rustls(CryptoMode::AwsLc);
    SharedHttpConnector::new(connector.tls_provider(provider).build())
}

/// Sends a request and reads the answer.
///
/// # Errors
/// Why there is no answer; whether the request had an effect is not known.
pub(crate) async fn send(aws: &Aws, request: Request<'_>) -> Result<Answered, String> {
    let mut http = HttpRequest::new(match request.body {
        Some(body) => SdkBody::from(body.to_string()),
        None => SdkBody::empty(),
    });
    http.set_method(request.method).map_err(|e| e.to_string())?;
    http.set_uri(request.url).map_err(|_| "its address cannot be read".to_owned())?;
    let headers = http.headers_mut();
    headers.insert("accept", "application/json");
    if request.body.is_some() {
        headers.insert("content-type", "application/json");
    }
    for (name, value) in request.headers {
        headers.try_insert(name, value).map_err(|_| format!("`{name}` cannot be sent"))?;
    }
    let answer = tokio::time::timeout(request.within, answer(&aws.web(), http)).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", request.within.as_secs())))
}

async fn answer(connector: &SharedHttpConnector, http: HttpRequest) -> Result<Answered, String> {
    let response = connector.call(http).await.map_err(|e| with_causes(&e))?;
    let status = StatusCode::as_u16(response.status());
    let set = response.headers().iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let cookies = set
        .filter_map(|(_, cookie)| cookie.split(';').next()?.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body = ByteStream::new(response.into_body()).collect().await;
    let body = body.map_err(|_| "the answer broke off".to_owned())?.into_bytes();
    Ok(Answered { status, cookies, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// The connector says only what kind of error it was; why is in its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
