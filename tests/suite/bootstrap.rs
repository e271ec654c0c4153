//! The binary that Lambda starts: the real `bootstrap` speaks to a Runtime API on loopback, and
//! through the unchanged SDK to a sandbox on loopback.

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use failback_sandbox::{Outcome, Sandbox, WorldSpec};
use serde_json::{Value, json};

use crate::support::given::Given;
use crate::support::http::{Request, Response, serve};

/// Longer than any answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the binary told the Runtime API.
struct Told {
    /// `response`, `error`, or `init/error`.
    path: String,
    body: Value,
}

/// A started binary, ended with the test.
struct Bootstrap {
    child: Child,
    told: Receiver<Told>,
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Bootstrap {
    /// Starts the binary as Lambda would, with one event to handle.
    fn start(handler: &str, aws: SocketAddr, event: &Value) -> Self {
        let (tell, told) = channel();
        let runtime = runtime_api(event.to_string(), tell);
        let child = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", handler)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("_HANDLER", handler)
            .env("AWS_REGION", "us-west-2")
            .env("AWS_ACCESS_KEY_ID", "AKIDSANDBOX")
            .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
            .env("AWS_ENDPOINT_URL", format!("http://{aws}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary was built");
        Self { child, told }
    }

    fn told(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the binary tells what became of its event")
    }

    /// How the binary ended, if it did so by itself and without a word.
    fn ended(&mut self) -> Option<ExitStatus> {
        let tick = Duration::from_millis(20);
        (0..PATIENCE.as_millis() / tick.as_millis()).find_map(|_| {
            assert!(self.told.recv_timeout(tick).is_err(), "it took an event");
            self.child.try_wait().expect("its status can be asked")
        })
    }
}

/// Hands out one event and notes what is told; whoever asks for another one waits.
fn runtime_api(event: String, tell: Sender<Told>) -> SocketAddr {
    let event = Mutex::new(Some(event));
    serve(move |request| {
        if request.target.ends_with("/invocation/next") {
            let Some(event) = event.lock().expect("not poisoned").take() else {
                // As Lambda freezes a function that has nothing to do.
                loop {
                    std::thread::park();
                }
            };
            return next(event);
        }
        let path = request.target.rsplit("/runtime/").next().unwrap_or_default().to_owned();
        let told = Told {
            path: path.trim_start_matches("invocation/event-1/").to_owned(),
            body: serde_json::from_slice(&request.body).unwrap_or_default(),
        };
        drop(tell.send(told));
        Response { status: 202, headers: Vec::new(), body: b"{}".to_vec() }
    })
}

fn next(event: String) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", "event-1"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-west-2:123456789012:function:f"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Response { status: 200, headers: headers.into(), body: event.into_bytes() }
}

/// The services of AWS, on loopback.
fn aws(world: &WorldSpec) -> SocketAddr {
    let now_ms = Arc::new(|| 1_767_582_000_000);
    let sandbox = Sandbox::new(world, 7, now_ms).expect("the world can be built");
    serve(move |Request { method, target, headers, body }| {
        match sandbox.handle(&method, &target, headers, body) {
            Outcome::Answered(answer) => {
                Response { status: answer.status, headers: answer.headers, body: answer.body }
            }
            Outcome::ConnectionBroken => panic!("no fault is armed"),
        }
    })
}

#[test]
fn event_is_answered_by_the_function_that_the_handler_names() {
    let given = Given::workshop();
    let event = json!({ "request": given.input });

    let told = Bootstrap::start("plan_failback", aws(&given.world), &event).told();

    assert_eq!(told.path, "response", "{}", told.body);
    assert_eq!(told.body["decision"], "PROCEED");
    assert_eq!(told.body["writer_at_the_end"]["cluster_id"], "gdb1-cluster-restored");
}

#[test]
fn refusal_reaches_lambda_by_its_name_and_reason() {
    let mut given = Given::workshop();
    given.world.global_clusters[0].deletion_protection = true;
    let event = json!({ "request": given.input });

    let told = Bootstrap::start("plan_failback", aws(&given.world), &event).told();

    assert_eq!(told.path, "error");
    assert_eq!(told.body["errorType"], "PlanRefused");
    let message = told.body["errorMessage"].as_str().expect("a text");
    assert!(message.contains("deletion protection of the global cluster"), "{message}");
}

#[test]
fn payload_that_does_not_fit_is_an_invalid_request() {
    let event = json!({ "fence": { "cluster_resource_id": "cluster-1" } });

    let told = Bootstrap::start("fence_writes", aws(&WorldSpec::workshop()), &event).told();

    assert_eq!(told.path, "error");
    assert_eq!(told.body["errorType"], "InvalidRequest");
    let message = told.body["errorMessage"].as_str().expect("a text");
    assert!(message.contains("missing field `cluster`"), "{message}");
}

#[test]
fn region_that_does_not_answer_is_unavailable() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound")
    };
    let event = json!({ "region": "us-east-1", "global_cluster_id": "orders" });

    let told = Bootstrap::start("delete_global_cluster", closed, &event).told();

    assert_eq!(told.path, "error");
    assert_eq!(told.body["errorType"], "AwsUnavailable");
    let message = told.body["errorMessage"].as_str().expect("a text");
    assert!(message.contains("rds:DescribeGlobalClusters"), "{message}");
}

#[test]
fn handler_that_names_no_function_fails_the_start() {
    let nothing = json!({});
    let mut bootstrap =
        Bootstrap::start("fail_back_everything", aws(&WorldSpec::workshop()), &nothing);

    let status = bootstrap.ended().expect("it ends by itself");

    assert!(!status.success(), "{status}");
}
