//! The binary that Lambda starts: the real `bootstrap` speaks to a Runtime API on loopback, and
//! through the unchanged SDK to a sandbox on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use failback_sandbox::{Sandbox, WorldSpec};
use serde_json::{Value, json};

use crate::support::given::Given;
use crate::support::runtime_api::{self, Told, program, runtime_api};

/// Longer than any answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of an event.
struct Said {
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
        Self::start_in(handler, aws, event, [])
    }

    /// The same with more, or something else, in its environment.
    fn start_in<const N: usize>(
        handler: &str,
        aws: SocketAddr,
        event: &Value,
        environment: [(&str, String); N],
    ) -> Self {
        let (tell, told) = channel();
        let runtime = runtime_api(event, 1, tell);
        let bootstrap = Path::new(env!("CARGO_BIN_EXE_bootstrap"));
        let mut program = program(bootstrap, handler, runtime, aws);
        let child = program.envs(environment).spawn().expect("it was built");
        Self { child, told }
    }

    /// What became of its event.
    fn said(&self) -> Said {
        loop {
            match self.told.recv_timeout(PATIENCE).expect("the binary says what became of it") {
                Told::Asked(_) => {}
                Told::Said(_, path, body) => return Said { path, body },
            }
        }
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

/// The services of AWS, on loopback.
fn aws(world: &WorldSpec) -> SocketAddr {
    let now_ms = Arc::new(|| 1_767_582_000_000);
    runtime_api::aws(Sandbox::new(world, 7, now_ms).expect("the world can be built"))
}

#[test]
fn event_is_answered_by_the_function_that_the_handler_names() {
    let given = Given::workshop();
    let event = json!({ "request": given.input });

    let said = Bootstrap::start("plan_failback", aws(&given.world), &event).said();

    assert_eq!(said.path, "response", "{}", said.body);
    assert_eq!(said.body["decision"], "PROCEED");
    assert_eq!(said.body["writer_at_the_end"]["cluster_id"], "gdb1-cluster-restored");
}

#[test]
fn calls_of_aws_go_by_the_proxy_that_the_environment_names() {
    let given = Given::workshop();
    let event = json!({ "request": given.input });
    let aws = aws(&given.world);
    let environment = [
        ("AWS_ENDPOINT_URL", "http://aws.invalid".to_owned()),
        ("HTTP_PROXY", format!("http://{aws}")),
    ];

    let said = Bootstrap::start_in("plan_failback", aws, &event, environment).said();

    assert_eq!(said.path, "response", "{}", said.body);
    assert_eq!(said.body["decision"], "PROCEED");
}

#[test]
fn refusal_reaches_lambda_by_its_name_and_reason() {
    let mut given = Given::workshop();
    given.world.global_clusters[0].deletion_protection = true;
    let event = json!({ "request": given.input });

    let said = Bootstrap::start("plan_failback", aws(&given.world), &event).said();

    assert_eq!(said.path, "error");
    assert_eq!(said.body["errorType"], "PlanRefused");
    let message = said.body["errorMessage"].as_str().expect("a text");
    assert!(message.contains("deletion protection of the global cluster"), "{message}");
}

#[test]
fn payload_that_does_not_fit_is_an_invalid_request() {
    let event = json!({ "fence": { "cluster_resource_id": "cluster-1" } });

    let said = Bootstrap::start("fence_writes", aws(&WorldSpec::workshop()), &event).said();

    assert_eq!(said.path, "error");
    assert_eq!(said.body["errorType"], "InvalidRequest");
    let message = said.body["errorMessage"].as_str().expect("a text");
    assert!(message.contains("missing field `cluster`"), "{message}");
}

#[test]
fn region_that_does_not_answer_is_unavailable() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound")
    };
    let event = json!({ "region": "us-east-1", "global_cluster_id": "orders" });

    let said = Bootstrap::start("delete_global_cluster", closed, &event).said();

    assert_eq!(said.path, "error");
    assert_eq!(said.body["errorType"], "AwsUnavailable");
    let message = said.body["errorMessage"].as_str().expect("a text");
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
