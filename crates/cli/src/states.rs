//! AWS Step Functions, as far as running and watching machines goes: awsJson 1.0 around the
//! interpreter.

mod door;
mod error;
mod executions;
mod fields;
mod history;
mod machines;
mod tokens;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use failback_sandbox::wire::{Request, Response};
use failback_states::{Clock, Engine};
use serde_json::{Map, Value};

pub use self::door::Door;
pub(crate) use self::door::carry_out;
use self::error::ApiError;
use self::fields::Fields;
use self::machines::Machine;

/// What `X-Amz-Target` begins with.
const TARGET: &str = "AWSStepFunctions.";

/// The service, in every Region: a machine is found by its ARN.
pub struct StepFunctions {
    engine: Engine,
    clock: Clock,
    account: String,
    machines: RefCell<BTreeMap<String, Machine>>,
    /// How many milliseconds the answer in hand is behind: executions are listed and described
    /// eventually consistently.
    behind_ms: Cell<i64>,
}

/// A call that was understood: the Region it was signed for and what it says.
struct Call<'a> {
    region: &'a str,
    fields: Fields,
}

type Answer = Result<Value, ApiError>;

impl StepFunctions {
    /// The service around an engine, without machines.
    pub fn new(engine: Engine, account: String) -> Self {
        let clock = engine.clock().clone();
        let (machines, behind_ms) = (RefCell::default(), Cell::default());
        Self { engine, clock, account, machines, behind_ms }
    }

    /// Answers a call, in awsJson whatever it is. A read sees what was true `behind_ms` ago.
    pub fn answer(&self, request: &Request, behind_ms: i64) -> Response {
        self.behind_ms.set(behind_ms);
        match self.carry_out(request) {
            Ok(value) => json_response(200, &value),
            Err(error) => error.response(),
        }
    }

    fn carry_out(&self, request: &Request) -> Answer {
        let target = request.headers.get("x-amz-target").map_or("", String::as_str);
        let operation = target.strip_prefix(TARGET).unwrap_or_default();
        let run = match operation {
            "CreateStateMachine" => Self::create_state_machine,
            "DescribeStateMachine" => Self::describe_state_machine,
            "ListStateMachines" => Self::list_state_machines,
            "StartExecution" => Self::start_execution,
            "DescribeExecution" => Self::describe_execution,
            "GetExecutionHistory" => Self::get_execution_history,
            "ListExecutions" => Self::list_executions,
            "StopExecution" => Self::stop_execution,
            "SendTaskSuccess" => Self::send_task_success,
            "SendTaskFailure" => Self::send_task_failure,
            "SendTaskHeartbeat" => Self::send_task_heartbeat,
            _ => return Err(ApiError::unknown_operation()),
        };
        // The service tells its protocols apart by this header: to another one there is no such
        // operation.
        if request.method != "POST" || !is_aws_json(request) {
            return Err(ApiError::unknown_operation());
        }
        let fields = read_body(&request.body)?;
        run(self, &Call { region: &request.region, fields })
    }
}

fn is_aws_json(request: &Request) -> bool {
    let media_type = request.headers.get("content-type").map_or("", String::as_str);
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-amz-json-1.0")
}

fn read_body(body: &[u8]) -> Result<Fields, ApiError> {
    let object: Map<String, Value> =
        serde_json::from_slice(body).map_err(|e| ApiError::unreadable(e.to_string()))?;
    Ok(Fields::new(object))
}

/// An awsJson answer.
pub(crate) fn json_response(status: u16, body: &Value) -> Response {
    let content_type = ("content-type".to_owned(), "application/x-amz-json-1.0".to_owned());
    Response { status, headers: vec![content_type], body: body.to_string().into_bytes() }
}

/// A moment as awsJson writes it: seconds since the epoch.
fn seconds(at_ms: i64) -> Value {
    Value::from(at_ms as f64 / 1_000.0)
}
