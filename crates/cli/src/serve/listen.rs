//! The socket: connections with bounds on everything that a client decides.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use aws_smithy_types::date_time::{DateTime, Format};
use failback_sandbox::Outcome;
use failback_sandbox::wire::{AwsError, Response as Answer};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::dialect::Dialect;
use super::seats::{Seat, Seats};
use super::site::Site;

/// Bounds on what clients may do, all in real time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections; one more takes the place of one that says nothing.
    pub connections: usize,
    /// How long a client may take to send the head of a request, or to begin the next one.
    pub head: Duration,
    /// How long it may take to send the body.
    pub body: Duration,
    /// The largest body, in bytes.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(20),
            body: Duration::from_secs(20),
            body_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("the body could not be read")]
    Body,
    #[error("the world broke the connection")]
    Broken,
}

/// Accepts connections for ever. Needs a `LocalSet`.
pub(super) async fn accept(listener: TcpListener, site: Rc<Site>, limits: Limits) -> Infallible {
    let seats = Seats::new(limits.connections);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let seat = Rc::new(seats.take());
                tokio::task::spawn_local(converse(stream, seat, site.clone(), limits));
            }
            // Out of file descriptors, most likely: one connection less, and on.
            Err(_) => {
                seats.evict();
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn converse(stream: TcpStream, seat: Rc<Seat>, site: Rc<Site>, limits: Limits) {
    let of_service = seat.clone();
    let service = service_fn(move |request| {
        let (seat, site) = (of_service.clone(), site.clone());
        async move {
            let answer = respond(request, &site, limits).await;
            seat.answered();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(64 * 1024)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A client that breaks the protocol has lost its connection, and nobody else has anything.
        _ = connection => {}
        () = seat.told_to_leave() => {}
    }
}

async fn respond(
    request: Request<Incoming>,
    site: &Site,
    limits: Limits,
) -> Result<Response<Full<Bytes>>, Unanswered> {
    let (head, body) = request.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<(String, String)> =
        head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = match read_body(body, limits).await {
        Ok(body) => body,
        Err(Unread::Refused(error)) => {
            let refusal = site.refusal(Dialect::of(&headers), &error);
            let mut response = encode(refusal, site.now_ms());
            // The rest of the body is still on its way.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Ok(response);
        }
        Err(Unread::Broken) => return Err(Unanswered::Body),
    };
    match site.answer(head.method.as_str(), &head.uri.to_string(), headers, body) {
        Outcome::Answered(answer) => Ok(encode(answer, site.now_ms())),
        Outcome::ConnectionBroken => Err(Unanswered::Broken),
    }
}

enum Unread {
    Refused(AwsError),
    Broken,
}

async fn read_body(body: Incoming, limits: Limits) -> Result<Vec<u8>, Unread> {
    let too_large = || {
        let message = format!("Request size exceeded {} bytes", limits.body_bytes);
        Unread::Refused(AwsError::new(413, "RequestEntityTooLarge", message))
    };
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large());
    }
    let whole = Limited::new(body, limits.body_bytes).collect();
    match tokio::time::timeout(limits.body, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => {
            let message = "The body did not arrive in time";
            Err(Unread::Refused(AwsError::bad_request("RequestTimeout", message)))
        }
    }
}

/// The answer on the wire. `Date` is the time of the world, which is what a client has to go by
/// when it asks for metrics.
fn encode(answer: Answer, now_ms: i64) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    if let Ok(date) = DateTime::from_millis(now_ms).fmt(Format::HttpDate) {
        response = response.header(DATE, date);
    }
    response
        .body(Full::new(Bytes::from(answer.body)))
        .expect("the services' statuses and headers are valid")
}
