//! The walk through the states of one execution.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use rand::Rng;

use crate::clock::parse_rfc3339;
use crate::definition::{Kind, Machine, Retrier, State, Wait};
use crate::engine::Parts;
use crate::execution::{Execution, Status};
use crate::executor::Boxed;
use crate::failure::{Failure, NO_CHOICE_MATCHED, TIMEOUT};
use crate::fields::{Assigned, Extra};
use crate::history::{Details, EventType};
use crate::payload::Payload;
use crate::template::Template;

/// The variables of a line, by name without `$`.
pub(crate) type Variables = BTreeMap<String, Payload>;

/// One execution, running.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) parts: Rc<Parts>,
    pub(crate) execution: Rc<Execution>,
}

/// Where a line of states stands: the execution's own, a branch's or an iteration's.
pub(crate) struct Line {
    /// The event that led here.
    pub(crate) last: Cell<u64>,
    /// Assigned so far; an inner line starts with its outer line's and keeps its own to itself.
    pub(crate) variables: RefCell<Rc<Variables>>,
    /// The item of the iteration this line belongs to.
    pub(crate) item: Option<(usize, Payload)>,
    /// What the history says if the line is cut off now.
    pub(crate) abort_event: Cell<Option<EventType>>,
}

impl Line {
    pub(crate) fn new(last: u64, variables: Rc<Variables>) -> Self {
        Self {
            last: last.into(),
            variables: variables.into(),
            item: None,
            abort_event: None.into(),
        }
    }
}

/// A state that is being run through.
pub(crate) struct Visit<'a> {
    pub(crate) state: &'a State,
    pub(crate) input: &'a Payload,
    pub(crate) line: &'a Line,
    pub(crate) entered_id: u64,
    /// What led to the state: AWS hangs a failed evaluation on that, not on the entry.
    pub(crate) before_id: u64,
    pub(crate) entered_ms: i64,
    /// How often the state was tried again.
    pub(crate) retries: Cell<u64>,
    /// The token of the current attempt.
    pub(crate) token: RefCell<Option<String>>,
}

/// What a state came to.
struct Done {
    output: Payload,
    assigned: Assigned,
    next: Option<String>,
}

impl Run {
    pub(crate) fn new(parts: Rc<Parts>, execution: Rc<Execution>) -> Self {
        Self { parts, execution }
    }

    /// Runs the execution to its end.
    pub(crate) async fn execute(self) {
        let line = Line::new(0, Parts::no_variables());
        let deadline_ms = self
            .execution
            .definition
            .timeout_s
            .map(|timeout_s| self.execution.started_ms + seconds_to_ms(timeout_s));
        let ended = {
            let machine = Rc::clone(&self.execution.definition.machine);
            let walk = self.walk(&machine, self.execution.input.clone(), &line);
            tokio::select! {
                biased;
                result = walk => Some(result),
                () = self.until(deadline_ms) => None,
            }
        };
        if self.execution.is_closed() {
            return;
        }
        let last = line.last.get();
        match ended {
            Some(Ok(output)) => {
                self.parts.close(&self.execution, Status::Succeeded, last, Some(output), None);
            }
            Some(Err(failure)) => {
                self.parts.close(&self.execution, Status::Failed, last, None, Some(failure));
            }
            None => {
                let failure =
                    Failure { error: Some(TIMEOUT.to_owned()), cause: None, heartbeat: false };
                self.parts.close(&self.execution, Status::TimedOut, last, None, Some(failure));
            }
        }
        self.parts.executor.wake();
    }

    /// Pends until the clock shows `at_ms`, for ever when there is no such time.
    pub(crate) async fn until(&self, at_ms: Option<i64>) {
        match at_ms {
            Some(at_ms) => self.parts.clock.sleep_until_ms(at_ms).await,
            None => std::future::pending().await,
        }
    }

    /// Runs the states of a machine, a branch or an item processor from its start.
    pub(crate) fn walk<'a>(
        &'a self,
        machine: &'a Machine,
        input: Payload,
        line: &'a Line,
    ) -> Boxed<'a, Result<Payload, Failure>> {
        Box::pin(async move {
            let mut name = machine.start_at.as_str();
            let mut input = input;
            loop {
                // The loader made sure that every name leads to a state.
                let state = &machine.states[name];
                let done = self.visit(state, &input, line).await?;
                input = done.output;
                match done.next.and_then(|next| machine.states.get_key_value(&next)) {
                    Some((next, _)) => name = next,
                    None => return Ok(input),
                }
            }
        })
    }

    async fn visit(&self, state: &State, input: &Payload, line: &Line) -> Result<Done, Failure> {
        let before_id = line.last.get();
        let details = Details::new().with("name", state.name.as_str()).payload("input", input);
        let (entered, _) = boundary_events(&state.kind);
        let entered_id = self.record(line, entered, details)?;
        self.count_transition();
        let visit = Visit {
            state,
            input,
            line,
            entered_id,
            before_id,
            entered_ms: self.parts.clock.now_ms(),
            retries: 0.into(),
            token: RefCell::default(),
        };
        line.abort_event.set(abort_event(&state.kind));
        let mut done = self.attempts(&visit).await?;
        line.abort_event.set(None);
        self.record_exit(&visit, &done)?;
        if !done.assigned.is_empty() {
            Rc::make_mut(&mut line.variables.borrow_mut()).extend(done.assigned.drain(..));
        }
        Ok(done)
    }

    /// Tries the state, again as its retriers say, and then asks its catchers.
    async fn attempts(&self, visit: &Visit<'_>) -> Result<Done, Failure> {
        let mut used = vec![0_u64; visit.state.retry.len()];
        loop {
            let failure = match self.attempt(visit).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            // The first retrier that matches decides, even when it has no attempts left.
            let matching = visit.state.retry.iter().position(|r| failure.matches(&r.errors));
            match matching {
                Some(index) if used[index] < visit.state.retry[index].attempts_max => {
                    self.pause(&visit.state.retry[index], used[index]).await;
                    used[index] += 1;
                    visit.retries.set(visit.retries.get() + 1);
                    self.count_transition();
                }
                _ => return self.catch(visit, failure),
            }
        }
    }

    async fn pause(&self, retrier: &Retrier, retry: u64) {
        let longest_ms = retrier.delay_ms(retry);
        let delay_ms = if retrier.full_jitter {
            self.parts.random(|random| random.random_range(0..=longest_ms))
        } else {
            longest_ms
        };
        self.parts.clock.sleep_ms(delay_ms).await;
    }

    fn catch(&self, visit: &Visit<'_>, failure: Failure) -> Result<Done, Failure> {
        let matching = visit.state.catch.iter().enumerate();
        let Some((index, catcher)) = matching.into_iter().find(|(_, c)| failure.matches(&c.errors))
        else {
            return Err(failure);
        };
        let error_output = failure.output();
        let extra = Some(("errorOutput", &error_output));
        let place = |field: &str| format!("Catch[{index}]/{field}");
        let output = match &catcher.output {
            Some(template) => self.fill(visit, template, &place("Output"), extra)?,
            None => error_output.clone(),
        };
        let assigned = self.assigned(visit, catcher.assign.as_ref(), &place("Assign"), extra)?;
        let output = checked_output(visit, Payload::new(output))?;
        Ok(Done { output, assigned, next: Some(catcher.next.clone()) })
    }

    async fn attempt(&self, visit: &Visit<'_>) -> Result<Done, Failure> {
        let state = visit.state;
        match &state.kind {
            Kind::Pass | Kind::Succeed => self.done(visit, visit.input, None),
            Kind::Fail { error, cause } => Err(self.fail(visit, error, cause)?),
            Kind::Choice { .. } => self.choose(visit),
            Kind::Wait(wait) => {
                let until_ms = self.wait_until(visit, wait)?;
                self.parts.clock.sleep_until_ms(until_ms).await;
                self.done(visit, visit.input, None)
            }
            Kind::Task(task) => {
                let result = self.task(visit, task).await?;
                self.done(visit, &result, Some(("result", result.value())))
            }
            Kind::Parallel { branches, arguments } => {
                let result = self.parallel(visit, branches, arguments.as_ref()).await?;
                self.done(visit, &result, Some(("result", result.value())))
            }
            Kind::Map(map) => {
                let result = self.map(visit, map).await?;
                self.done(visit, &result, Some(("result", result.value())))
            }
        }
    }

    /// Evaluates `Output` and `Assign`, which do not see each other.
    fn done(
        &self,
        visit: &Visit<'_>,
        default: &Payload,
        extra: Extra<'_>,
    ) -> Result<Done, Failure> {
        let state = visit.state;
        let output = match &state.output {
            Some(template) => Payload::new(self.fill(visit, template, "Output", extra)?),
            None => default.clone(),
        };
        let assigned = self.assigned(visit, state.assign.as_ref(), "Assign", extra)?;
        let output = checked_output(visit, output)?;
        Ok(Done { output, assigned, next: state.next.clone() })
    }

    fn fail(
        &self,
        visit: &Visit<'_>,
        error: &Option<Template>,
        cause: &Option<Template>,
    ) -> Result<Failure, Failure> {
        let text = |template: &Option<Template>, place: &str| match template {
            Some(template) => self.text(visit, template, place).map(Some),
            None => Ok(None),
        };
        let error = text(error, "Error")?;
        let cause = text(cause, "Cause")?;
        Ok(Failure { error, cause, heartbeat: false })
    }

    fn choose(&self, visit: &Visit<'_>) -> Result<Done, Failure> {
        let Kind::Choice { rules, default } = &visit.state.kind else {
            return self.done(visit, visit.input, None);
        };
        for (index, rule) in rules.iter().enumerate() {
            let place = |field: &str| format!("Choices[{index}]/{field}");
            let condition = self.fill(visit, &rule.condition, &place("Condition"), None)?;
            let Some(condition) = condition.as_bool() else {
                let at = place("Condition");
                return Err(self.wrong_type(visit, &rule.condition, &at, "boolean", &condition)?);
            };
            if condition {
                let output = match &rule.output {
                    Some(template) => {
                        Payload::new(self.fill(visit, template, &place("Output"), None)?)
                    }
                    None => visit.input.clone(),
                };
                let assign = rule.assign.as_ref();
                let assigned = self.assigned(visit, assign, &place("Assign"), None)?;
                let output = checked_output(visit, output)?;
                return Ok(Done { output, assigned, next: Some(rule.next.clone()) });
            }
        }
        match default {
            Some(next) => {
                let done = self.done(visit, visit.input, None)?;
                Ok(Done { next: Some(next.clone()), ..done })
            }
            None => {
                let cause = format!(
                    "Failed to transition out of the state '{}' (entered at the event id #{}). \
                     No choice rule matched and there is no Default.",
                    visit.state.name, visit.entered_id
                );
                Err(Failure::new(NO_CHOICE_MATCHED, cause))
            }
        }
    }

    /// When the wait is over, in milliseconds since the epoch.
    fn wait_until(&self, visit: &Visit<'_>, wait: &Wait) -> Result<i64, Failure> {
        match wait {
            Wait::Seconds(template) => {
                let seconds = self.whole_number(visit, template, "Seconds", 0)?;
                Ok(self.parts.clock.now_ms() + seconds_to_ms(seconds))
            }
            Wait::Timestamp(template) => {
                let text = self.text(visit, template, "Timestamp")?;
                match parse_rfc3339(&text) {
                    Some(at_ms) => Ok(at_ms),
                    None => {
                        let value = text.into();
                        let expected = "timestamp";
                        Err(self.wrong_type(visit, template, "Timestamp", expected, &value)?)
                    }
                }
            }
        }
    }

    fn record_exit(&self, visit: &Visit<'_>, done: &Done) -> Result<(), Failure> {
        let mut details =
            Details::new().with("name", visit.state.name.as_str()).payload("output", &done.output);
        if !done.assigned.is_empty() {
            details = details.payloads("assignedVariables", &done.assigned);
        }
        if let (_, Some(exited)) = boundary_events(&visit.state.kind) {
            self.record(visit.line, exited, details)?;
        }
        Ok(())
    }

    /// Records an event that follows the line's last one and becomes it.
    pub(crate) fn record(
        &self,
        line: &Line,
        event_type: EventType,
        details: Details,
    ) -> Result<u64, Failure> {
        let id = self.parts.record(&self.execution, event_type, line.last.get(), details)?;
        line.last.set(id);
        Ok(id)
    }

    fn count_transition(&self) {
        self.execution.transitions.set(self.execution.transitions.get() + 1);
    }
}

fn checked_output(visit: &Visit<'_>, output: Payload) -> Result<Payload, Failure> {
    output.within_limit(|| {
        format!(
            "The state '{}' (entered at the event id #{}) returned an output",
            visit.state.name, visit.entered_id
        )
    })
}

pub(crate) fn seconds_to_ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

fn boundary_events(kind: &Kind) -> (EventType, Option<EventType>) {
    use EventType as E;
    match kind {
        Kind::Task(_) => (E::TaskStateEntered, Some(E::TaskStateExited)),
        Kind::Pass => (E::PassStateEntered, Some(E::PassStateExited)),
        Kind::Choice { .. } => (E::ChoiceStateEntered, Some(E::ChoiceStateExited)),
        Kind::Wait(_) => (E::WaitStateEntered, Some(E::WaitStateExited)),
        Kind::Parallel { .. } => (E::ParallelStateEntered, Some(E::ParallelStateExited)),
        Kind::Map(_) => (E::MapStateEntered, Some(E::MapStateExited)),
        Kind::Succeed => (E::SucceedStateEntered, Some(E::SucceedStateExited)),
        Kind::Fail { .. } => (E::FailStateEntered, None),
    }
}

/// What the history says when a state is cut off because a line beside it failed.
fn abort_event(kind: &Kind) -> Option<EventType> {
    match kind {
        Kind::Task(_) => Some(EventType::TaskStateAborted),
        Kind::Wait(_) => Some(EventType::WaitStateAborted),
        Kind::Parallel { .. } => Some(EventType::ParallelStateAborted),
        Kind::Map(_) => Some(EventType::MapStateAborted),
        _ => None,
    }
}
