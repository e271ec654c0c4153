//! The engine: machines, executions, task tokens, and what can be asked about them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::definition::Definition;
use crate::eval::{Evaluator, Jlens};
use crate::execution::{Description, Execution, Outcome, Status};
use crate::executor::Executor;
use crate::failure::Failure;
use crate::functions::uuid_from;
use crate::history::{Details, EventType, HistoryEvent};
use crate::payload::Payload;
use crate::run::{Run, Variables};
use crate::task::{TaskError, TaskRunner, TokenError};

/// The ARN of an execution.
pub type ExecutionArn = String;

/// A listener to every event of every execution.
pub type Observer = Box<dyn Fn(&str, &HistoryEvent)>;

/// Why an execution was not started, by the names of AWS's API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No machine has this ARN.
    #[error("StateMachineDoesNotExist: {0}")]
    StateMachineDoesNotExist(String),
    /// The name was used before: by an execution that has ended, or with another input.
    #[error("ExecutionAlreadyExists: {0}")]
    ExecutionAlreadyExists(ExecutionArn),
    /// The name is empty, longer than 80 characters or holds a character that AWS refuses.
    #[error("InvalidName: `{0}`")]
    InvalidName(String),
    /// The input is larger than 256 KiB.
    #[error("InvalidExecutionInput: the input has {0} bytes")]
    InvalidExecutionInput(usize),
}

impl StartError {
    /// The name of AWS's API error.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StateMachineDoesNotExist(_) => "StateMachineDoesNotExist",
            Self::ExecutionAlreadyExists(_) => "ExecutionAlreadyExists",
            Self::InvalidName(_) => "InvalidName",
            Self::InvalidExecutionInput(_) => "InvalidExecutionInput",
        }
    }
}

/// Runs state machines.
///
/// Cheap to clone: clones are the same engine. Dropping the last one drops every execution that
/// still runs. An observer or a task runner that holds a clone keeps the engine alive.
///
/// # Who drives
///
/// Executions progress while anyone awaits [`Engine::wait`], [`Engine::drive_for`] or
/// [`Engine::drive`], on whatever thread and runtime that is: no `LocalSet` is needed. A program
/// that awaits something else meanwhile spawns `engine.drive()` beside it
/// (`tokio::task::spawn_local`). A task runner may await `wait` for another execution.
#[derive(Clone)]
pub struct Engine(Rc<Handle>);

/// Executions hold the parts of the engine: the last handle must break that circle.
struct Handle(Rc<Parts>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.executor.clear();
    }
}

pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) runner: Rc<dyn TaskRunner>,
    pub(crate) evaluator: Box<dyn Evaluator>,
    pub(crate) executor: Executor,
    random: RefCell<SmallRng>,
    machines: RefCell<BTreeMap<String, Definition>>,
    executions: RefCell<BTreeMap<ExecutionArn, Rc<Execution>>>,
    /// ARNs in the order of their start, which the map does not keep.
    started: RefCell<Vec<ExecutionArn>>,
    tokens: RefCell<BTreeMap<String, Rc<TokenSlot>>>,
    observers: RefCell<Vec<Rc<Observer>>>,
}

/// A task that waits for its token.
pub(crate) struct TokenSlot {
    execution_arn: ExecutionArn,
    pub(crate) state: RefCell<TokenState>,
    pub(crate) changed: Notify,
}

#[derive(Default)]
pub(crate) struct TokenState {
    pub(crate) answer: Option<Result<Value, TaskError>>,
    /// When the task last said that it is alive, in milliseconds since the epoch.
    pub(crate) alive_ms: Option<i64>,
    pub(crate) ended: bool,
}

impl Engine {
    /// An engine without machines, whose random numbers (jitter, names, tokens, `$random`) all
    /// come from `seed`.
    pub fn new(clock: Clock, runner: Rc<dyn TaskRunner>, seed: u64) -> Self {
        Self::with_evaluator(clock, runner, seed, Box::new(Jlens::new()))
    }

    /// As [`Engine::new`], with another implementation of JSONata.
    pub fn with_evaluator(
        clock: Clock,
        runner: Rc<dyn TaskRunner>,
        seed: u64,
        evaluator: Box<dyn Evaluator>,
    ) -> Self {
        let parts = Parts {
            clock,
            runner,
            evaluator,
            executor: Executor::default(),
            random: RefCell::new(SmallRng::seed_from_u64(seed)),
            machines: RefCell::default(),
            executions: RefCell::default(),
            started: RefCell::default(),
            tokens: RefCell::default(),
            observers: RefCell::default(),
        };
        Self(Rc::new(Handle(Rc::new(parts))))
    }

    fn parts(&self) -> &Rc<Parts> {
        &self.0.0
    }

    /// The clock that executions live on.
    pub fn clock(&self) -> &Clock {
        &self.parts().clock
    }

    /// Makes `definition` known as `arn`, in place of what was known under it. Executions that
    /// run keep the definition they started with.
    pub fn create_state_machine(&self, arn: impl Into<String>, definition: Definition) {
        self.parts().machines.borrow_mut().insert(arn.into(), definition);
    }

    /// The machines that are known, by ARN.
    pub fn state_machines(&self) -> BTreeMap<String, Definition> {
        self.parts().machines.borrow().clone()
    }

    /// Starts an execution of the machine `machine_arn`, under a name from the seed when `name`
    /// is `None`. It makes its first step when the engine is next driven.
    ///
    /// The name and the input of an execution that is still running answer that execution.
    ///
    /// # Errors
    ///
    /// A [`StartError`], by the names of AWS's API.
    pub fn start_execution(
        &self,
        machine_arn: &str,
        name: Option<&str>,
        input: Value,
    ) -> Result<ExecutionArn, StartError> {
        Ok(self.parts().start(machine_arn, name, input)?.0.arn.clone())
    }

    /// Drives the engine until the execution has ended, and answers how.
    ///
    /// # Panics
    ///
    /// If there is no such execution: waiting for it would never end.
    pub async fn wait(&self, arn: &str) -> Outcome {
        let parts = self.parts();
        let Some(execution) = parts.execution(arn) else {
            panic!("there is no execution {arn} to wait for");
        };
        let ended = || execution.is_closed().then(|| execution.outcome());
        parts.executor.drive_until(ended).await
    }

    /// Drives the engine for ever; for a task of its own beside the program's work.
    pub async fn drive(&self) -> std::convert::Infallible {
        self.parts().executor.drive_until(|| None).await
    }

    /// Drives the engine until its clock shows `ms` milliseconds more.
    pub async fn drive_for(&self, ms: i64) {
        tokio::select! {
            biased;
            never = self.drive() => match never {},
            () = self.clock().sleep_ms(ms) => {}
        }
    }

    /// The execution `arn` as `DescribeExecution` knows it, if there is one.
    pub fn describe(&self, arn: &str) -> Option<Description> {
        Some(self.parts().execution(arn)?.describe())
    }

    /// Every execution, in the order of their start.
    pub fn list_executions(&self) -> Vec<Description> {
        let started = self.parts().started.borrow();
        started.iter().filter_map(|arn| self.describe(arn)).collect()
    }

    /// The events of the execution `arn` so far; empty when there is no such execution.
    pub fn history(&self, arn: &str) -> Vec<HistoryEvent> {
        let Some(execution) = self.parts().execution(arn) else { return Vec::new() };
        let events = execution.events.borrow();
        events.iter().map(|event| HistoryEvent::clone(event)).collect()
    }

    /// The state transitions that AWS would bill for the execution `arn`: every state entered
    /// and every retry.
    pub fn transitions(&self, arn: &str) -> u64 {
        self.parts().execution(arn).map_or(0, |execution| execution.transitions.get())
    }

    /// Stops a running execution and the executions it waits for. Answers whether it was
    /// running.
    pub fn stop_execution(&self, arn: &str, error: Option<&str>, cause: Option<&str>) -> bool {
        self.parts().stop(arn, error, cause)
    }

    /// Ends the task that waits for `token` with a result.
    ///
    /// # Errors
    ///
    /// A [`TokenError`] when no task waits for the token.
    pub fn send_task_success(&self, token: &str, output: Value) -> Result<(), TokenError> {
        self.parts().answer_token(token, |state| state.answer = Some(Ok(output)))
    }

    /// Ends the task that waits for `token` with an error.
    ///
    /// # Errors
    ///
    /// A [`TokenError`] when no task waits for the token.
    pub fn send_task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), TokenError> {
        let answer = Err(TaskError::new(error, cause));
        self.parts().answer_token(token, |state| state.answer = Some(answer))
    }

    /// Says that the task that waits for `token` is alive: its `HeartbeatSeconds` start again.
    ///
    /// # Errors
    ///
    /// A [`TokenError`] when no task waits for the token.
    pub fn send_task_heartbeat(&self, token: &str) -> Result<(), TokenError> {
        let now_ms = self.clock().now_ms();
        self.parts().answer_token(token, |state| state.alive_ms = Some(now_ms))
    }

    /// Forgets the executions that have ended, but for the `keep` that were started last. Answers
    /// how many were forgotten.
    ///
    /// An engine otherwise remembers every execution with its history; AWS does so for 90 days.
    /// A forgotten execution and its task tokens are unknown to every question, and its name is
    /// free again. Executions that run are never forgotten.
    pub fn forget_closed(&self, keep: usize) -> usize {
        self.parts().forget_closed(keep)
    }

    /// Calls `observer` with each event from now on, as it is recorded. It may ask the engine
    /// anything.
    pub fn subscribe(&self, observer: Observer) {
        self.parts().observers.borrow_mut().push(Rc::new(observer));
    }
}

impl Parts {
    pub(crate) fn random<T>(&self, draw: impl FnOnce(&mut SmallRng) -> T) -> T {
        draw(&mut self.random.borrow_mut())
    }

    fn execution(&self, arn: &str) -> Option<Rc<Execution>> {
        self.executions.borrow().get(arn).cloned()
    }

    /// Starts an execution, or finds the running one that was started alike; the flag says
    /// whether it is new.
    pub(crate) fn start(
        self: &Rc<Self>,
        machine_arn: &str,
        name: Option<&str>,
        input: Value,
    ) -> Result<(Rc<Execution>, bool), StartError> {
        let definition = self.machines.borrow().get(machine_arn).cloned();
        let definition = definition
            .ok_or_else(|| StartError::StateMachineDoesNotExist(machine_arn.to_owned()))?;
        let name = match name {
            Some(name) if is_name(name) => name.to_owned(),
            Some(name) => return Err(StartError::InvalidName(name.to_owned())),
            None => uuid_from(self.random(|random| random.random())),
        };
        let input = Payload::new(input);
        if let Some(bytes) = input.oversize() {
            return Err(StartError::InvalidExecutionInput(bytes));
        }
        let arn = execution_arn(machine_arn, &name);
        if let Some(known) = self.execution(&arn) {
            if known.is_closed() || known.input.value() != input.value() {
                return Err(StartError::ExecutionAlreadyExists(arn));
            }
            return Ok((known, false));
        }
        let execution = Rc::new(Execution {
            arn: arn.clone(),
            machine_arn: machine_arn.to_owned(),
            name,
            definition,
            input,
            started_ms: self.clock.now_ms(),
            events: RefCell::default(),
            transitions: 0.into(),
            closed: RefCell::default(),
            closing: Notify::new(),
            job: None.into(),
        });
        self.executions.borrow_mut().insert(arn.clone(), Rc::clone(&execution));
        self.started.borrow_mut().push(arn);
        let details = Details::new().payload("input", &execution.input).with("roleArn", ROLE_ARN);
        self.append(&execution, EventType::ExecutionStarted, 0, details);
        let run = Run::new(Rc::clone(self), Rc::clone(&execution));
        execution.job.set(Some(self.executor.spawn(run.execute())));
        Ok((execution, true))
    }

    /// Records an event unless the history is full, and answers its id.
    pub(crate) fn record(
        &self,
        execution: &Execution,
        event_type: EventType,
        previous: u64,
        details: Details,
    ) -> Result<u64, Failure> {
        execution.has_room()?;
        Ok(self.append(execution, event_type, previous, details))
    }

    fn append(
        &self,
        execution: &Execution,
        event_type: EventType,
        previous_event_id: u64,
        details: Details,
    ) -> u64 {
        let id = execution.events.borrow().len() as u64 + 1;
        let timestamp_ms = self.clock.now_ms();
        let event = HistoryEvent { id, previous_event_id, timestamp_ms, event_type, details };
        let event = Rc::new(event);
        execution.events.borrow_mut().push(Rc::clone(&event));
        // An observer may subscribe another one: none of them is borrowed while they are called.
        let observers = self.observers.borrow().clone();
        observers.iter().for_each(|observer| observer(&execution.arn, &event));
        id
    }

    /// Ends an execution with its last event, which there is always room for.
    pub(crate) fn close(
        &self,
        execution: &Execution,
        status: Status,
        previous: u64,
        output: Option<Payload>,
        failure: Option<Failure>,
    ) {
        let (error, cause) = failure.map_or((None, None), |f| (f.error, f.cause));
        *execution.closed.borrow_mut() = Some(Outcome {
            status,
            output: output.as_ref().map(|output| output.value().clone()),
            error: error.clone(),
            cause: cause.clone(),
            started_ms: execution.started_ms,
            stopped_ms: Some(self.clock.now_ms()),
        });
        let (event_type, details) = match (status, &output) {
            (Status::Succeeded, Some(output)) => {
                (EventType::ExecutionSucceeded, Details::new().payload("output", output))
            }
            (Status::Succeeded, None) => (EventType::ExecutionSucceeded, Details::new()),
            (Status::TimedOut, _) => (EventType::ExecutionTimedOut, Details::new()),
            (Status::Aborted, _) => (EventType::ExecutionAborted, Details::new()),
            (Status::Running | Status::Failed, _) => (EventType::ExecutionFailed, Details::new()),
        };
        let details = details.maybe("error", error).maybe("cause", cause);
        self.append(execution, event_type, previous, details);
        execution.closing.notify_waiters();
    }

    pub(crate) fn stop(&self, arn: &str, error: Option<&str>, cause: Option<&str>) -> bool {
        let Some(execution) = self.execution(arn).filter(|execution| !execution.is_closed()) else {
            return false;
        };
        let last = execution.events.borrow().len() as u64;
        let failure = Failure {
            error: error.map(str::to_owned),
            cause: cause.map(str::to_owned),
            heartbeat: false,
        };
        self.close(&execution, Status::Aborted, last, None, Some(failure));
        // Dropping the job stops the executions that it waits for.
        if let Some(job) = execution.job.get() {
            self.executor.cancel(job);
        }
        true
    }

    fn forget_closed(&self, keep: usize) -> usize {
        let mut executions = self.executions.borrow_mut();
        let mut started = self.started.borrow_mut();
        let is_closed = |arn: &ExecutionArn, known: &BTreeMap<_, Rc<Execution>>| {
            known.get(arn).is_some_and(|execution| execution.is_closed())
        };
        let closed = started.iter().filter(|arn| is_closed(arn, &executions)).count();
        let mut surplus = closed.saturating_sub(keep);
        let forgotten = surplus;
        started.retain(|arn| {
            let forget = surplus > 0 && is_closed(arn, &executions);
            if forget {
                surplus -= 1;
                executions.remove(arn);
            }
            !forget
        });
        self.tokens.borrow_mut().retain(|_, slot| executions.contains_key(&slot.execution_arn));
        forgotten
    }

    pub(crate) fn new_token(&self, execution: &Execution) -> (String, Rc<TokenSlot>) {
        let bits: [u128; 2] = self.random(|random| [random.random(), random.random()]);
        let token = format!("{:032x}{:032x}", bits[0], bits[1]);
        let slot = Rc::new(TokenSlot {
            execution_arn: execution.arn.clone(),
            state: RefCell::default(),
            changed: Notify::new(),
        });
        self.tokens.borrow_mut().insert(token.clone(), Rc::clone(&slot));
        (token, slot)
    }

    fn answer_token(
        &self,
        token: &str,
        answer: impl FnOnce(&mut TokenState),
    ) -> Result<(), TokenError> {
        let slot = self.tokens.borrow().get(token).cloned().ok_or(TokenError::InvalidToken)?;
        let mut state = slot.state.borrow_mut();
        if state.ended || state.answer.is_some() {
            return Err(TokenError::TaskTimedOut);
        }
        answer(&mut state);
        slot.changed.notify_one();
        Ok(())
    }

    /// The variables a value may use, for an execution that has assigned none.
    pub(crate) fn no_variables() -> Rc<Variables> {
        Rc::default()
    }
}

/// The role that histories and the context object show: executions here need none.
pub(crate) const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/states";

const NAME_CHARS_MAX: usize = 80;

fn is_name(name: &str) -> bool {
    const REFUSED: &str = r##"<>{}[]?*"#%\^|~`$&,;:/"##;
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !REFUSED.contains(c);
    (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && name.chars().all(allowed)
}

fn execution_arn(machine_arn: &str, name: &str) -> ExecutionArn {
    format!("{}:{name}", machine_arn.replacen(":stateMachine:", ":execution:", 1))
}
