//! What is served: a world, the machines that act on it, and who answers which call.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use failback::Aws;
use failback_sandbox::wire::{AwsError, Request, Response, iso8601};
use failback_sandbox::{Outcome, Sandbox};
use failback_states::{Clock, Engine};

use super::dialect::Dialect;
use super::functions::Functions;
use super::{CannotServe, Options, metrics, sts};
use crate::states::{Door, StepFunctions};
use crate::{definitions, drill, states};

/// Ended executions that are remembered, children included; older ones are unknown.
const EXECUTIONS_KEPT: usize = 500;

/// Everything behind the socket.
pub(super) struct Site {
    pub(super) sandbox: Sandbox,
    pub(super) engine: Engine,
    clock: Clock,
    account: String,
    step_functions: Rc<StepFunctions>,
    /// How the functions reach Step Functions.
    _door: Door,
    requests: Cell<u64>,
}

impl Site {
    /// Builds the world and installs the repository's machines. Needs a tokio runtime.
    pub(super) fn new(options: &Options) -> Result<Self, CannotServe> {
        let clock = Clock::at_speed(options.epoch_ms, options.speed);
        let mut world = options.world.clone();
        // What clients write is measured, and no API tells it; their rows would grow for ever.
        world.clients.clear();
        let for_world = clock.clone();
        let sandbox = Sandbox::new(&world, options.seed, Arc::new(move || for_world.now_ms()))?;
        let door = Door::new();
        let client = door.client(&sandbox, sandbox.http_client());
        let config = drill::sdk_config(client);
        // An application that is none of this world's is a real one.
        let web = sandbox.web(Some(failback::aws::web_connector()));
        let aws = Aws::new(config, drill::stack(&sandbox, &world, None)).with_web(web);
        let functions = Functions::new(aws, sandbox.clone(), clock.clone(), options.seed);
        let engine = Engine::new(clock.clone(), Rc::new(functions), options.seed);
        let step_functions = StepFunctions::new(engine.clone(), world.account.clone());
        let step_functions = Rc::new(step_functions);
        door.open(step_functions.clone());
        for (arn, definition) in definitions::load()? {
            step_functions.install(&arn, definition);
        }
        let requests = Cell::default();
        let account = world.account;
        Ok(Self { sandbox, engine, clock, account, step_functions, _door: door, requests })
    }

    /// What time it is in the world, in epoch milliseconds.
    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Answers one HTTP request.
    pub(super) fn answer(
        &self,
        method: &str,
        uri: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Outcome {
        let dialect = Dialect::of(&headers);
        match Request::parse(method, uri, headers, body) {
            Ok(request) => self.route(&request, dialect),
            Err(error) => Outcome::Answered(self.refusal(dialect, &error)),
        }
    }

    /// Gives a call to the service that it was signed for.
    fn route(&self, request: &Request, dialect: Dialect) -> Outcome {
        match request.service.as_str() {
            "rds" | "ec2" | "route53" | "dynamodb" | "sns" | "rds-data" | "secretsmanager" => {
                self.in_the_world(request)
            }
            "monitoring" => metrics::answer(request, dialect, |request| self.in_the_world(request)),
            "states" => {
                let outcome = states::carry_out(&self.sandbox, &self.step_functions, request);
                // As of all other calls, there is nobody who would read the record.
                drop(self.sandbox.take_calls());
                outcome
            }
            "sts" => match sts::answer(request, &self.account, &self.next_request_id()) {
                Ok(response) => Outcome::Answered(self.identified(response)),
                Err(error) => Outcome::Answered(self.refusal(dialect, &error)),
            },
            other => {
                let message = format!("The service {other} is not part of this world");
                let error = AwsError::bad_request("InvalidAction", message);
                Outcome::Answered(self.refusal(dialect, &error))
            }
        }
    }

    fn in_the_world(&self, request: &Request) -> Outcome {
        self.sandbox.change_world(|world| {
            let outcome = world.handle(request);
            // Nobody reads the record of a served world, and it would grow for ever.
            world.calls.clear();
            outcome
        })
    }

    /// A refusal that no service made.
    pub(super) fn refusal(&self, dialect: Dialect, error: &AwsError) -> Response {
        self.identified(dialect.error(error, &self.next_request_id()))
    }

    /// Forgets the executions that ended long ago.
    pub(super) fn tidy(&self) {
        self.engine.forget_closed(EXECUTIONS_KEPT);
    }

    fn identified(&self, mut response: Response) -> Response {
        response.headers.push(("x-amzn-requestid".to_owned(), self.next_request_id()));
        response
    }

    fn next_request_id(&self) -> String {
        self.requests.set(self.requests.get() + 1);
        format!("00000000-0000-4000-9000-{:012x}", self.requests.get())
    }
}

/// A moment for people.
pub(super) fn shown(at_ms: i64) -> String {
    iso8601(at_ms)
}
