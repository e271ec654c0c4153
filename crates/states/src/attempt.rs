//! One attempt of a Task state.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::definition::{Pattern, Resource, Task};
use crate::engine::{Parts, StartError, TokenSlot};
use crate::execution::{Execution, Status};
use crate::failure::{Failure, RUNTIME, TASK_FAILED, TIMEOUT};
use crate::history::{Details, EventType};
use crate::payload::Payload;
use crate::run::{Run, Visit, seconds_to_ms};
use crate::task::TaskCall;

/// A task that is under way.
struct Attempt<'a> {
    visit: &'a Visit<'a>,
    task: &'a Task,
    token: Option<Token>,
    started_ms: i64,
    heartbeat_ms: Option<i64>,
}

impl Run {
    /// Performs the task once, and answers its result.
    pub(crate) async fn task(&self, visit: &Visit<'_>, task: &Task) -> Result<Payload, Failure> {
        let seconds = |template: &Option<_>, place: &str| match template {
            Some(template) => self.whole_number(visit, template, place, 1).map(Some),
            None => Ok(None),
        };
        let token = (task.resource.pattern == Pattern::TaskToken).then(|| Token::new(self));
        *visit.token.borrow_mut() = token.as_ref().map(|token| token.text.clone());
        let arguments = match &task.arguments {
            Some(template) => Payload::new(self.fill(visit, template, "Arguments", None)?),
            None => visit.input.clone(),
        };
        let timeout_s = seconds(&task.timeout, "TimeoutSeconds")?;
        let heartbeat_s = seconds(&task.heartbeat, "HeartbeatSeconds")?;
        let arguments = arguments.within_limit(|| "The state has arguments".to_owned())?;
        self.record_scheduled(visit, &task.resource, &arguments, timeout_s, heartbeat_s)?;
        self.record_about(visit, &task.resource, "Started", Details::new())?;

        let now_ms = self.parts.clock.now_ms();
        let attempt = Attempt {
            visit,
            task,
            token,
            started_ms: now_ms,
            heartbeat_ms: heartbeat_s.map(seconds_to_ms),
        };
        let deadline_ms = timeout_s.map(|timeout_s| now_ms + seconds_to_ms(timeout_s));
        let result = tokio::select! {
            biased;
            result = self.perform(&attempt, arguments.into_value()) => result,
            () = self.until(deadline_ms) => Err(timed_out(false)),
            () = self.heartbeat_lapse(&attempt) => Err(timed_out(true)),
        };
        let result = result.and_then(|result| {
            let what = || format!("The task of the state '{}' returned a result", visit.state.name);
            Payload::new(result).within_limit(what)
        });
        self.record_end(visit, &task.resource, &result)?;
        result
    }

    /// Pends until nothing was heard of the task for its `HeartbeatSeconds`.
    async fn heartbeat_lapse(&self, attempt: &Attempt<'_>) {
        let Some(heartbeat_ms) = attempt.heartbeat_ms else {
            return std::future::pending().await;
        };
        // A heartbeat may come while the task itself is still being asked.
        let lapse_ms = || {
            let heard_ms = attempt.token.as_ref().and_then(|t| t.slot.state.borrow().alive_ms);
            heard_ms.unwrap_or(attempt.started_ms) + heartbeat_ms
        };
        while self.parts.clock.now_ms() < lapse_ms() {
            self.parts.clock.sleep_until_ms(lapse_ms()).await;
        }
    }

    async fn perform(&self, attempt: &Attempt<'_>, arguments: Value) -> Result<Value, Failure> {
        let pattern = attempt.task.resource.pattern;
        if matches!(pattern, Pattern::NestedExecution | Pattern::StartExecution) {
            return self.nested(attempt, arguments).await;
        }
        let visit = attempt.visit;
        let call = TaskCall {
            resource: attempt.task.resource.without_suffix().to_owned(),
            arguments,
            task_token: attempt.token.as_ref().map(|token| token.text.clone()),
            execution_arn: self.execution.arn.clone(),
            machine_name: self.execution.definition.name.clone(),
            state_name: visit.state.name.clone(),
            attempt: visit.retries.get(),
        };
        let runner = Rc::clone(&self.parts.runner);
        let answer = runner.run(call).await.map_err(|e| Failure::new(&e.error, e.cause))?;
        let Some(token) = &attempt.token else { return Ok(answer) };
        let details = Details::new().payload("output", &Payload::new(answer));
        self.record_about(visit, &attempt.task.resource, "Submitted", details)?;
        token.slot.answer().await
    }

    /// Starts another execution and, if the resource says so, waits for its end.
    async fn nested(&self, attempt: &Attempt<'_>, arguments: Value) -> Result<Value, Failure> {
        let visit = attempt.visit;
        let argument = |key: &str| arguments.get(key).and_then(Value::as_str);
        let Some(machine_arn) = argument("StateMachineArn") else {
            let cause = "The argument StateMachineArn of startExecution must be text.";
            return Err(Failure::new(RUNTIME, cause));
        };
        let input = arguments.get("Input").cloned().unwrap_or_else(|| json!({}));
        let mut child = Child::start(&self.parts, machine_arn, argument("Name"), input)?;
        let submitted = json!({
            "ExecutionArn": child.execution.arn,
            "StartDate": child.execution.started_ms,
        });
        if attempt.task.resource.pattern == Pattern::StartExecution {
            child.ours = false;
            return Ok(submitted);
        }
        let details = Details::new().payload("output", &Payload::new(submitted));
        self.record_about(visit, &attempt.task.resource, "Submitted", details)?;
        let outcome = child.execution.ended().await;
        let description = child.execution.describe();
        match outcome.status {
            Status::Succeeded => Ok(description.to_aws(true)),
            _ => Err(Failure::new(TASK_FAILED, description.to_aws(false).to_string())),
        }
    }

    fn record_scheduled(
        &self,
        visit: &Visit<'_>,
        resource: &Resource,
        arguments: &Payload,
        timeout_s: Option<u64>,
        heartbeat_s: Option<u64>,
    ) -> Result<(), Failure> {
        let details = if resource.pattern == Pattern::Function {
            Details::new().with("resource", resource.arn.as_str()).with("input", arguments.text())
        } else {
            let region = self.execution.arn.split(':').nth(3).unwrap_or_default();
            Details::new().with("region", region).with("parameters", arguments.text())
        };
        let details =
            details.maybe("timeoutInSeconds", timeout_s).maybe("heartbeatInSeconds", heartbeat_s);
        self.record_about(visit, resource, "Scheduled", details)
    }

    fn record_end(
        &self,
        visit: &Visit<'_>,
        resource: &Resource,
        result: &Result<Payload, Failure>,
    ) -> Result<(), Failure> {
        match result {
            Ok(output) => {
                let details = Details::new().payload("output", output);
                self.record_about(visit, resource, "Succeeded", details)
            }
            Err(failure) => {
                let timed_out = failure.error.as_deref() == Some(TIMEOUT);
                let details = Details::new()
                    .maybe("error", failure.error.as_deref())
                    .maybe("cause", failure.cause.as_deref());
                self.record_about(
                    visit,
                    resource,
                    if timed_out { "TimedOut" } else { "Failed" },
                    details,
                )
            }
        }
    }

    /// Records what happened to a task, under the event types that belong to its resource.
    fn record_about(
        &self,
        visit: &Visit<'_>,
        resource: &Resource,
        what: &str,
        details: Details,
    ) -> Result<(), Failure> {
        use EventType as E;
        let function = resource.pattern == Pattern::Function;
        let event_type = match (what, function) {
            ("Scheduled", false) => E::TaskScheduled,
            ("Scheduled", true) => E::LambdaFunctionScheduled,
            ("Started", false) => E::TaskStarted,
            ("Started", true) => E::LambdaFunctionStarted,
            ("Succeeded", false) => E::TaskSucceeded,
            ("Succeeded", true) => E::LambdaFunctionSucceeded,
            ("TimedOut", false) => E::TaskTimedOut,
            ("TimedOut", true) => E::LambdaFunctionTimedOut,
            ("Submitted", _) => E::TaskSubmitted,
            (_, false) => E::TaskFailed,
            (_, true) => E::LambdaFunctionFailed,
        };
        let (resource_type, name) = resource.parts();
        let details = if function {
            details
        } else {
            details.with("resourceType", resource_type).with("resource", name)
        };
        self.record(visit.line, event_type, details)?;
        Ok(())
    }
}

fn timed_out(heartbeat: bool) -> Failure {
    // Both recorded lapses of a heartbeat surfaced under the name of the time-out.
    Failure { error: Some(TIMEOUT.to_owned()), cause: None, heartbeat }
}

/// A task token, void once the task has ended.
struct Token {
    text: String,
    slot: Rc<TokenSlot>,
}

impl TokenSlot {
    async fn answer(&self) -> Result<Value, Failure> {
        loop {
            if let Some(answer) = self.state.borrow().answer.clone() {
                return answer.map_err(|e| Failure::new(&e.error, e.cause));
            }
            self.changed.notified().await;
        }
    }
}

impl Token {
    fn new(run: &Run) -> Self {
        let (text, slot) = run.parts.new_token(&run.execution);
        Self { text, slot }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.slot.state.borrow_mut().ended = true;
    }
}

/// An execution that a task waits for: it is stopped when the task is cut off.
struct Child {
    parts: Rc<Parts>,
    execution: Rc<Execution>,
    ours: bool,
}

impl Child {
    fn start(
        parts: &Rc<Parts>,
        machine_arn: &str,
        name: Option<&str>,
        input: Value,
    ) -> Result<Self, Failure> {
        let started = parts.start(machine_arn, name, input);
        let (execution, ours) = started.map_err(|error: StartError| {
            let name = format!("StepFunctions.{}Exception", error.name());
            Failure::new(&name, error.to_string())
        })?;
        Ok(Self { parts: Rc::clone(parts), execution, ours })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ours && !self.execution.is_closed() {
            self.parts.stop(&self.execution.arn, None, None);
        }
    }
}
