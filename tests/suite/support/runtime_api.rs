//! As much of Lambda's Runtime API as a function's process needs, and the AWS that it calls, both on
//! loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use failback_sandbox::{Outcome, Sandbox};
use serde_json::Value;

use super::http::{Request, Response, serve};

/// What a process told the Runtime API, and when.
pub enum Told {
    /// It has asked for an event, and is given one.
    Asked(Instant),
    /// It has said what became of it: `response`, `error`, or `init/error`.
    Said(Instant, String, Value),
}

/// Hands out the same event `times` times and tells what comes; whoever asks for another one waits.
pub fn runtime_api(event: &Value, times: usize, tell: Sender<Told>) -> SocketAddr {
    let event = event.to_string();
    let tell = Mutex::new(tell);
    let left = AtomicUsize::new(times);
    serve(move |request| {
        // Whoever listened may have heard enough; the process is about to be killed.
        let send = |told| drop(tell.lock().expect("not poisoned").send(told));
        if request.target.ends_with("/invocation/next") {
            let take = |left: usize| left.checked_sub(1);
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                // As Lambda freezes a function that has nothing to do.
                loop {
                    std::thread::park();
                }
            }
            send(Told::Asked(Instant::now()));
            return handed_out(event.clone());
        }
        let at = Instant::now();
        let path = request.target.rsplit("/runtime/").next().unwrap_or_default();
        let path = path.trim_start_matches("invocation/event-1/").to_owned();
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        send(Told::Said(at, path, body));
        Response { status: 202, headers: Vec::new(), body: b"{}".to_vec() }
    })
}

fn handed_out(event: String) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", "event-1"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-west-2:123456789012:function:f"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Response { status: 200, headers: headers.into(), body: event.into_bytes() }
}

/// The services of AWS.
pub fn aws(sandbox: Sandbox) -> SocketAddr {
    serve(move |Request { method, target, headers, body }| {
        match sandbox.handle(&method, &target, headers, body) {
            Outcome::Answered(answer) => {
                Response { status: answer.status, headers: answer.headers, body: answer.body }
            }
            Outcome::ConnectionBroken => panic!("no fault is armed"),
        }
    })
}

/// A program as Lambda would start it, in an environment of nothing else.
pub fn program(path: &Path, handler: &str, runtime: SocketAddr, aws: SocketAddr) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", handler)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "192")
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .env("_HANDLER", handler)
        .env("AWS_REGION", "us-west-2")
        .env("AWS_ACCESS_KEY_ID", "AKIDSANDBOX")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .env("AWS_ENDPOINT_URL", format!("http://{aws}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
