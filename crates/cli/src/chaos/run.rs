//! One run: a random world, what goes wrong in it, and starting again until it has ended well.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use failback_plan::Request;
use failback_sandbox::{Call, Fault, Verb};
use failback_states::{EventType, HistoryEvent, Outcome, Status};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::faults::{self, Faults};
use super::interference::{self, Act, Interference, Undo, When};
use super::invariants::{Invariants, NO_END, NOT_REFUSED, NOT_RESUMED, Violation, WRITES_REFUSED};
use super::names::Names;
use super::sabotage::Safeguard;
use super::trace::Trace;
use super::worlds::{self, Refused, Scene};
use crate::approver::Approver;
use crate::definitions::{self, MACHINES, machine_arn};
use crate::drill::{CannotBegin, Drill, plan_of};

/// How often the failback is started again at most.
const AGAIN_MAX: usize = 3;

/// Makes another source of chance of a seed.
const OF_FENCES: u64 = 0x0fea_684e;

/// How long an operator takes to look and to start again.
const PAUSE_MS: i64 = 20 * 60_000;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Its seed.
    pub seed: u64,
    /// How each execution ended, by name.
    pub ends: Vec<String>,
    /// Faults and interference that struck, by kind.
    pub struck: BTreeMap<&'static str, u64>,
    /// Rules that were broken.
    pub violations: Vec<Violation>,
    /// How often the rules were checked.
    pub looks: u64,
    /// Settings had to be given back.
    pub gave_settings: bool,
    /// What happened, if it was to be kept.
    pub trace: Vec<String>,
}

/// Runs a seed, all of it on one thread and in virtual time.
///
/// # Errors
/// What keeps the run from beginning: a defect of the harness.
pub fn one(seed: u64, without: Option<Safeguard>, traced: bool) -> Result<Done, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|e| format!("the runtime cannot be built: {e}"))?;
    runtime.block_on(run(seed, without, traced)).map_err(|e| format!("seed {seed}: {e}"))
}

async fn run(seed: u64, without: Option<Safeguard>, traced: bool) -> Result<Done, CannotBegin> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut scene = worlds::draw(seed, &mut rng);
    let mut faults = faults::draw(&mut rng);
    let interference = interference::draw(&mut rng);
    let mut of_fences = SmallRng::seed_from_u64(seed ^ OF_FENCES);
    worlds::draw_fences(&mut scene, &mut of_fences);
    if scene.by_group {
        faults::draw_by_group(&mut faults, &mut of_fences);
    }
    let machines = match without {
        Some(safeguard) => {
            definitions::load_rewritten(|name, machine| safeguard.rewrite(name, machine))?
        }
        None => definitions::load()?,
    };
    let drill = Drill::unwatched(&scene.setup, machines)?;
    if let Some(safeguard) = without {
        safeguard.replace(&drill.lambda().mishaps);
    }
    let story = Story::new(drill, scene, faults, interference, traced);
    story.tell().await
}

/// What is shared with the engine's observer.
struct Shared {
    invariants: RefCell<Invariants>,
    trace: Trace,
    /// States that were entered and somebody waits for.
    awaited: RefCell<BTreeSet<String>>,
    entered: RefCell<VecDeque<String>>,
    poked: Notify,
    began_ms: i64,
    faults_noted: RefCell<(usize, usize)>,
}

struct Story {
    drill: Drill,
    scene: Scene,
    faults: Faults,
    interference: RefCell<Vec<Interference>>,
    shared: Rc<Shared>,
    /// What passes by itself: when.
    passing: RefCell<Vec<(i64, Undo)>>,
    undo: RefCell<Vec<Undo>>,
    struck: RefCell<BTreeMap<&'static str, u64>>,
    impaired: RefCell<Option<(i64, i64, &'static str)>>,
    aborts_ms: Cell<Option<i64>>,
    /// Executions that somebody else started meanwhile.
    others: RefCell<VecDeque<String>>,
    others_started: Cell<usize>,
    /// Who answers in this run.
    approver: Cell<Approver>,
}

impl Story {
    fn new(
        drill: Drill,
        scene: Scene,
        faults: Faults,
        interference: Vec<Interference>,
        traced: bool,
    ) -> Self {
        drill.sandbox.set_behaviour(scene.behaviour.clone());
        drill.sandbox.change_world(|w| scene.at_start.iter().for_each(|change| change(w)));
        let request = Request::parse(&scene.setup.input).expect("drawn requests can be read");
        let invariants = drill.sandbox.with_world(|w| Invariants::new(w, Names::of(&request, w)));
        let awaited = interference.iter().filter_map(|i| match &i.when {
            When::Entered(state) => Some(state.clone()),
            When::At(_) => None,
        });
        let shared = Rc::new(Shared {
            invariants: RefCell::new(invariants),
            trace: Trace::new(traced),
            awaited: RefCell::new(awaited.collect()),
            entered: RefCell::default(),
            poked: Notify::new(),
            began_ms: drill.clock.now_ms(),
            faults_noted: RefCell::default(),
        });
        let (impaired, aborts_ms) = (faults.impaired, faults.aborted_ms);
        let approver = Cell::new(scene.approver);
        let story = Self {
            drill,
            scene,
            faults,
            interference: RefCell::new(interference),
            shared,
            passing: RefCell::default(),
            undo: RefCell::default(),
            struck: RefCell::default(),
            impaired: RefCell::new(impaired),
            aborts_ms: Cell::new(aborts_ms),
            others: RefCell::default(),
            others_started: Cell::default(),
            approver,
        };
        story.observe();
        story.drill.take_questions();
        story
    }

    /// Looks after every state of every machine.
    fn observe(&self) {
        let (shared, sandbox) = (self.shared.clone(), self.drill.sandbox.clone());
        self.drill.engine.subscribe(Box::new(move |arn: &str, event: &HistoryEvent| {
            let entered = is_entered(event.event_type);
            if !entered && !is_exited(event.event_type) {
                return;
            }
            let since_ms = event.timestamp_ms - shared.began_ms;
            if entered && let Some(state) = event.state_name() {
                shared.trace.note(since_ms, "state", || format!("{} {state}", machine_of(arn)));
                if shared.awaited.borrow_mut().remove(state) {
                    shared.entered.borrow_mut().push_back(state.to_owned());
                    shared.poked.notify_one();
                }
            }
            let mut invariants = shared.invariants.borrow_mut();
            let before = invariants.violations.len();
            let calls = sandbox.with_world(|w| {
                shared.note_faults(w, since_ms);
                invariants.look(w)
            });
            shared.note_calls(&calls);
            for broken in &invariants.violations[before..] {
                shared
                    .trace
                    .note(since_ms, "BROKEN", || format!("{}: {}", broken.invariant, broken.seen));
            }
        }));
    }

    async fn tell(self) -> Result<Done, CannotBegin> {
        self.begin();
        let mut input = self.scene.setup.input.clone();
        let mut done = Done { seed: self.scene.setup.seed, ..Done::default() };
        let mut plans = Vec::new();
        for attempt in 0..=AGAIN_MAX {
            let name = format!("run-{attempt}");
            let machine = machine_arn("failback");
            let arn = self.drill.engine.start_execution(&machine, Some(&name), input.clone())?;
            self.note("execution", || format!("{name} is started"));
            let own = self.drive(&arn).await;
            plans.extend(plan_of(&self.drill.engine, &arn));
            let (outcome, end) = self.attempted(own).await;
            self.note("execution", || {
                format!("{name} ended {end}: {}", outcome.cause.as_deref().unwrap_or("-"))
            });
            done.ends.push(end.clone());
            if outcome.status == Status::Succeeded || !self.broken().is_empty() {
                break;
            }
            let aborted = outcome.status == Status::Aborted;
            if let Some(refused) = self.scene.refused.filter(|_| !aborted) {
                let cause = outcome.cause.as_deref().unwrap_or_default();
                if refused.remedy.is_none() && end == "FailbackRefused" {
                    break;
                }
                if cause.contains(refused.words) {
                    self.remedy(&refused, &mut input);
                }
            }
            if self.is_for_a_person(&end) {
                break;
            }
            if end.starts_with("Approval") {
                self.count("approval withheld");
            }
            self.approver.set(Approver::Auto);
            if attempt == AGAIN_MAX {
                let cause = outcome.cause.unwrap_or_default();
                self.break_rule(NOT_RESUMED, format!("{}: {end}: {cause}", done.ends.len()));
                break;
            }
            if let Some(cause) = outcome.cause.as_deref().filter(|c| c.contains(".captured`")) {
                done.gave_settings = true;
                give_settings(&plans, cause, &mut input);
            }
            if !(aborted && self.faults.outlast_abortion) {
                self.put_right().await;
            }
        }
        self.judge_all();
        Ok(self.finish(done))
    }

    /// Drives those that somebody else started meanwhile to their ends, too, and judges all of them:
    /// whoever holds the lock goes on, and how that ends is how the failback ended.
    async fn attempted(&self, own: Outcome) -> (Outcome, String) {
        let mut failures = Vec::new();
        let mut finished = None;
        while let Some(other) = self.next_other() {
            let outcome = self.drive(&other).await;
            let end = self.judge(&outcome);
            self.note("execution", || format!("the other ended {end}"));
            failures.extend(failure_of(&outcome));
            if outcome.status == Status::Succeeded {
                finished.get_or_insert((outcome, end));
            }
        }
        let end = self.judge(&own);
        failures.extend(failure_of(&own));
        self.judge_service(&failures);
        match finished {
            Some(finished) if own.status != Status::Succeeded => finished,
            _ => (own, end),
        }
    }

    /// Arms what is to go wrong.
    fn begin(&self) {
        for fault in &self.faults.calls {
            self.drill.sandbox.inject(fault.clone());
        }
        for planned in &self.faults.invocations {
            self.drill.lambda().mishaps.plan(planned.clone());
        }
        self.note("world", || self.scene.traits.join("; "));
        for fault in &self.faults.calls {
            self.note("armed", || {
                let operation = fault.operation.as_deref().unwrap_or("any");
                format!("{:?} of {operation} after {} × {}", fault.verb, fault.skip, fault.times)
            });
        }
    }

    /// Drives the execution to its end, and lets happen what is due meanwhile.
    async fn drive(&self, arn: &str) -> Outcome {
        let deadline_ms = self.now_ms() + LONGEST_MS;
        let began_ms = self.now_ms();
        loop {
            let due_ms = self.next_due_ms().unwrap_or(deadline_ms).min(deadline_ms);
            tokio::select! {
                biased;
                () = self.shared.poked.notified() => {}
                () = self.drill.clock.sleep_until_ms(due_ms) => {}
                never = self.answering() => match never {},
                outcome = self.drill.engine.wait(arn) => return outcome,
            }
            if self.now_ms() >= deadline_ms {
                let hours = (self.now_ms() - began_ms) / 3_600_000;
                self.break_rule(NO_END, format!("it still runs after {hours} h"));
                self.drill.engine.stop_execution(arn, Some("Endless"), None);
                continue;
            }
            self.let_happen(arn).await;
        }
    }

    async fn answering(&self) -> std::convert::Infallible {
        let Drill { questions, aws, clock, .. } = &self.drill;
        questions.answer(self.approver.get(), aws, clock).await
    }

    /// Somebody starts the failback, too.
    fn start_second(&self) {
        let (machine, input) = (machine_arn("failback"), self.scene.setup.input.clone());
        let name = format!("other-{}", self.others_started.get());
        if let Ok(arn) = self.drill.engine.start_execution(&machine, Some(&name), input) {
            self.others_started.update(|n| n + 1);
            self.others.borrow_mut().push_back(arn);
            self.count(Act::StartsSecond.kind());
            self.note("interference", || format!("{name} is started"));
        }
    }

    /// One of those that has not been driven to its end.
    fn next_other(&self) -> Option<String> {
        self.others.borrow_mut().pop_front()
    }

    fn next_due_ms(&self) -> Option<i64> {
        let began_ms = self.shared.began_ms;
        let at = |i: &Interference| match i.when {
            When::At(ms) => Some(began_ms + ms),
            When::Entered(_) => None,
        };
        let acts = self.interference.borrow().iter().filter_map(at).min();
        let passing = self.passing.borrow().iter().map(|(ms, _)| *ms).min();
        let stragglers = self.drill.lambda().mishaps.next_straggler_ms();
        let impaired = self.impaired.borrow().map(|(at, _, _)| began_ms + at);
        let aborted = self.aborts_at_ms();
        [acts, passing, stragglers, impaired, aborted].into_iter().flatten().min()
    }

    /// The moment of the abortion, unless it is over.
    fn aborts_at_ms(&self) -> Option<i64> {
        Some(self.aborts_ms.get()? + self.shared.began_ms)
    }

    async fn let_happen(&self, arn: &str) {
        while let Some(late) = self.drill.lambda().mishaps.due_straggler(self.now_ms()) {
            self.note("straggler", || late.function.clone());
            self.drill.lambda().run_late(&late.function, late.payload).await;
        }
        let now_ms = self.now_ms();
        let passed: Vec<Undo> = {
            let mut passing = self.passing.borrow_mut();
            let (due, rest) = passing.drain(..).partition(|(ms, _)| *ms <= now_ms);
            *passing = rest;
            let due: Vec<(i64, Undo)> = due;
            due.into_iter().map(|(_, undo)| undo).collect()
        };
        for undo in passed {
            self.drill.sandbox.change_world(undo);
        }
        self.impair();
        let entered: Vec<String> = self.shared.entered.borrow_mut().drain(..).collect();
        let due = |i: &Interference| match &i.when {
            When::At(ms) => self.shared.began_ms + ms <= now_ms,
            When::Entered(state) => entered.contains(state),
        };
        let acts: Vec<Interference> = {
            let mut all = self.interference.borrow_mut();
            let (now, later) = all.drain(..).partition(due);
            *all = later;
            now
        };
        acts.iter().for_each(|act| self.act(act));
        if self.aborts_at_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            self.aborts_ms.set(None);
            self.count(ABORTED);
            self.note("fault", || ABORTED.to_owned());
            self.shared.invariants.borrow_mut().excuses.fence_left = true;
            self.drill.engine.stop_execution(arn, Some("Stopped"), Some("by the operator"));
        }
    }

    /// Begins, or ends, the time in which a Region's API fails.
    fn impair(&self) {
        let mut impaired = self.impaired.borrow_mut();
        let Some((at_ms, for_ms, region)) = *impaired else { return };
        if self.now_ms() < self.shared.began_ms + at_ms {
            return;
        }
        let fault = Fault {
            verb: Verb::InternalError,
            service: None,
            operation: None,
            region: Some(region.to_owned()),
            skip: 0,
            times: u32::MAX,
        };
        self.drill.sandbox.inject(fault);
        self.note("fault", || format!("{region} is impaired for {} s", for_ms / 1000));
        let heal: Undo = Box::new(|world| world.faults.retain(|f| f.operation.is_some()));
        self.passing.borrow_mut().push((self.now_ms() + for_ms, heal));
        *impaired = None;
    }

    fn act(&self, interference: &Interference) {
        let act = interference.act;
        if act == Act::StartsSecond {
            return self.start_second();
        }
        let mut invariants = self.shared.invariants.borrow_mut();
        let names = invariants.names().clone();
        let struck = self.drill.sandbox.change_world(|world| {
            // What a function did before counts as it was before.
            self.shared.note_calls(&invariants.look(world));
            let struck = act.strike(world, &names, &mut invariants.excuses)?;
            invariants.excuses.acted_ms = Some(world.now_ms);
            invariants.accept_bystanders(world);
            Some(struck)
        });
        drop(invariants);
        let Some(struck) = struck else { return };
        self.count(act.kind());
        self.note("interference", || struck.what.clone());
        self.undo.borrow_mut().extend(struck.undo);
        if let Some((for_ms, undo)) = struck.passes {
            self.passing.borrow_mut().push((self.now_ms() + for_ms, undo));
        }
    }

    /// Says how an execution ended, and whether it may end so.
    fn judge(&self, outcome: &Outcome) -> String {
        let mut invariants = self.shared.invariants.borrow_mut();
        self.drill.sandbox.with_world(|world| {
            self.shared.note_calls(&invariants.look(world));
            invariants.look_closely(world);
            match outcome.status {
                Status::Succeeded => {
                    let decision = outcome.output.as_ref().map(|o| o["decision"].clone());
                    if self.must_have_been_refused() {
                        invariants.broken(world, NOT_REFUSED, self.scene.traits.join("; "));
                    }
                    invariants.judge_success(world, self.scene.rejoined);
                    match decision.as_ref().and_then(Value::as_str) {
                        Some(decision) => format!("SUCCEEDED ({decision})"),
                        None => "SUCCEEDED".to_owned(),
                    }
                }
                Status::Failed => {
                    let error = outcome.error.clone().unwrap_or_default();
                    if !fail_names().contains(&error) {
                        let seen = format!("it ended {error}: {:?}", outcome.cause);
                        invariants.broken(world, NO_END, seen);
                    }
                    error
                }
                status => status.name().to_owned(),
            }
        })
    }

    /// Looks once whether away serves, when all executions of an attempt have ended: those that
    /// failed, by name.
    fn judge_service(&self, failures: &[String]) {
        let Some(end) = answerable(failures) else { return };
        let mut invariants = self.shared.invariants.borrow_mut();
        self.drill.sandbox.with_world(|world| invariants.judge_failure(world, end));
    }

    /// Nobody but a person who compares the data can go on: a fence was opened by hand when home was
    /// promoted, and away may hold writes that home lacks.
    fn is_for_a_person(&self, end: &str) -> bool {
        let ends = ["TopologyHomePromotedNotAsPlanned", "PromotionNotOurs"];
        self.shared.invariants.borrow().excuses.fence_opened && ends.contains(&end)
    }

    /// The first execution that could look must have refused; later ones were helped.
    fn must_have_been_refused(&self) -> bool {
        let remedied = self.struck.borrow().contains_key(REMEDIED);
        self.scene.refused.is_some_and(|r| r.remedy.is_some()) && !remedied
    }

    /// No machine may be ended by its own time-out: one that is lifts no fence.
    fn judge_all(&self) {
        for execution in self.drill.engine.list_executions() {
            if execution.outcome.status == Status::TimedOut {
                let seen =
                    format!("{} ran into its time-out", machine_of(&execution.execution_arn));
                self.break_rule(NO_END, seen);
            }
            if execution.outcome.error.as_deref() == Some("States.Runtime") {
                let machine = machine_of(&execution.execution_arn);
                self.break_rule(NO_END, format!("{machine} ended {:?}", execution.outcome.cause));
            }
        }
    }

    fn remedy(&self, refused: &Refused, input: &mut Value) {
        let Some(remedy) = refused.remedy else { return };
        let mut invariants = self.shared.invariants.borrow_mut();
        self.drill.sandbox.change_world(|world| {
            remedy(world, input);
            invariants.accept_bystanders(world);
        });
        drop(invariants);
        self.count(REMEDIED);
        self.note("operator", || format!("puts right what was refused ({})", refused.words));
    }

    /// What a person does before starting again: faults are over, what was done is undone, what is
    /// broken is deleted, and some time passes.
    async fn put_right(&self) {
        self.drill.lambda().mishaps.withdraw();
        *self.impaired.borrow_mut() = None;
        self.aborts_ms.set(None);
        self.interference.borrow_mut().clear();
        let mut undo: Vec<Undo> =
            self.passing.borrow_mut().drain(..).map(|(_, undo)| undo).collect();
        undo.extend(self.undo.borrow_mut().drain(..).rev());
        self.clear_up(undo);
        self.note("operator", || "withdraws all faults and puts things right".to_owned());
        let until_ms = self.now_ms() + PAUSE_MS;
        while self.now_ms() < until_ms {
            let due_ms = self.next_due_ms().unwrap_or(until_ms).min(until_ms);
            self.drill.clock.sleep_until_ms(due_ms).await;
            self.let_happen("").await;
        }
        self.drill.sandbox.advance();
    }

    fn clear_up(&self, undo: Vec<Undo>) {
        let mut invariants = self.shared.invariants.borrow_mut();
        let names = invariants.names().clone();
        self.drill.sandbox.change_world(|world| {
            self.shared.note_calls(&invariants.look(world));
            world.faults.retain(|_| false);
            world.unstick();
            undo.into_iter().for_each(|undo| undo(world));
            super::repair::broken(world, &names, &mut invariants.excuses);
            invariants.accept_bystanders(world);
        });
    }

    fn finish(self, mut done: Done) -> Done {
        self.drill
            .sandbox
            .with_world(|w| self.shared.note_faults(w, self.now_ms() - self.shared.began_ms));
        let mut struck = self.struck.into_inner();
        self.drill.sandbox.with_world(|world| {
            for fault in world.faults.struck() {
                *struck.entry(faults::kind(fault)).or_default() += 1;
            }
        });
        for (mishap, _) in self.drill.lambda().mishaps.befell() {
            *struck.entry(mishap.kind()).or_default() += 1;
        }
        struck.remove(REMEDIED);
        let invariants = self.shared.invariants.borrow();
        done.violations.clone_from(&invariants.violations);
        done.looks = invariants.looks;
        done.trace = self.shared.trace.lines();
        done.struck = struck;
        done
    }

    fn broken(&self) -> Vec<Violation> {
        self.shared.invariants.borrow().violations.clone()
    }

    fn break_rule(&self, invariant: &'static str, seen: String) {
        let mut invariants = self.shared.invariants.borrow_mut();
        self.note("BROKEN", || format!("{invariant}: {seen}"));
        self.drill.sandbox.with_world(|world| invariants.broken(world, invariant, seen));
    }

    fn count(&self, kind: &'static str) {
        *self.struck.borrow_mut().entry(kind).or_default() += 1;
    }

    fn note(&self, kind: &str, text: impl FnOnce() -> String) {
        self.shared.trace.note(self.now_ms() - self.shared.began_ms, kind, text);
    }

    fn now_ms(&self) -> i64 {
        self.drill.clock.now_ms()
    }
}

impl Shared {
    fn note_calls(&self, calls: &[Call]) {
        for call in calls {
            self.trace.note(call.at_ms - self.began_ms, "call", || {
                let error = call.error.as_deref().unwrap_or("done");
                format!("{} {} {}: {error}", call.region, call.operation, call.resource)
            });
        }
    }

    fn note_faults(&self, world: &failback_sandbox::World, since_ms: i64) {
        let mut noted = self.faults_noted.borrow_mut();
        for fault in &world.faults.struck()[noted.0..] {
            self.trace.note(since_ms, "fault", || {
                format!("{} met {} in {}", faults::kind(fault), fault.operation, fault.region)
            });
        }
        noted.0 = world.faults.struck().len();
    }
}

/// Longer than the machine's own time-out.
const LONGEST_MS: i64 = 73 * 3_600_000;

const ABORTED: &str = "execution aborted";
const REMEDIED: &str = "remedied";

/// Names of the parent's Fail states: the headings of the runbook.
fn fail_names() -> BTreeSet<String> {
    thread_local! {
        static NAMES: BTreeSet<String> = {
            let phases = ["failback", "bring-home"];
            let texts = MACHINES.iter().filter(|(name, _)| phases.contains(name));
            let fixed = |text: &str| -> Vec<String> {
                let names = text.split("\"Error\": \"").skip(1);
                let names = names.filter_map(|rest| rest.split('"').next());
                names.filter(|name| !name.starts_with("{%")).map(str::to_owned).collect()
            };
            texts.flat_map(|(_, text)| fixed(text)).collect()
        };
    }
    NAMES.with(Clone::clone)
}

/// The name by which an execution failed, if it did.
fn failure_of(outcome: &Outcome) -> Option<String> {
    let failed = outcome.status == Status::Failed;
    failed.then(|| outcome.error.clone().unwrap_or_default())
}

/// Of the names by which the executions of an attempt failed, the one that has to answer for away's
/// service: no end that says itself that nobody serves; nor, where one does, the end of an execution
/// that was refused at the lock, for it has not touched what the one at work has left.
fn answerable(failures: &[String]) -> Option<&String> {
    const AT_THE_LOCK: &str = "AnotherRunInProgress";
    let says_so = |end: &String| WRITES_REFUSED.contains(&end.as_str());
    let said = failures.iter().any(says_so);
    failures.iter().find(|end| !(says_so(end) || said && *end == AT_THE_LOCK))
}

/// Gives back the settings that the first plan of all had read.
fn give_settings(plans: &[failback_plan::Plan], cause: &str, input: &mut Value) {
    let Some(plan) = plans.first() else { return };
    for (side, captured) in [("home", &plan.captured_home), ("away", &plan.captured_away)] {
        if cause.contains(&format!("`{side}.captured`")) {
            input[side]["captured"] = json!(captured);
        }
    }
}

fn machine_of(arn: &str) -> &str {
    arn.split(':').nth(6).unwrap_or(arn)
}

fn is_entered(event: EventType) -> bool {
    use EventType as E;
    matches!(
        event,
        E::TaskStateEntered
            | E::PassStateEntered
            | E::ChoiceStateEntered
            | E::WaitStateEntered
            | E::ParallelStateEntered
            | E::MapStateEntered
            | E::SucceedStateEntered
            | E::FailStateEntered
    )
}

fn is_exited(event: EventType) -> bool {
    use EventType as E;
    matches!(
        event,
        E::TaskStateExited
            | E::PassStateExited
            | E::ChoiceStateExited
            | E::WaitStateExited
            | E::ParallelStateExited
            | E::MapStateExited
            | E::SucceedStateExited
    )
}

#[cfg(test)]
mod tests {
    use super::answerable;

    const AT_THE_LOCK: &str = "AnotherRunInProgress";

    fn answers(ends: &[&str]) -> Option<String> {
        let ends: Vec<String> = ends.iter().map(|end| (*end).to_owned()).collect();
        answerable(&ends).cloned()
    }

    #[test]
    fn fence_that_is_kept_by_name_is_answered_for_by_the_run_at_work_whichever_ends_first() {
        for said in [
            &[][..],
            &["FenceStillUp"],
            &["FenceStillUp", AT_THE_LOCK],
            &[AT_THE_LOCK, "FenceStillUp"],
            &[AT_THE_LOCK, "PromotionUnfinished", AT_THE_LOCK],
        ] {
            assert_eq!(answers(said), None, "{said:?}");
        }
    }

    #[test]
    fn end_that_does_not_say_that_nobody_serves_answers_for_it() {
        for (unsaid, by) in [
            (&["HomeNotRetired"][..], "HomeNotRetired"),
            (&[AT_THE_LOCK], AT_THE_LOCK),
            (&[AT_THE_LOCK, AT_THE_LOCK], AT_THE_LOCK),
            (&["FenceStillUp", "HomeNotRetired"], "HomeNotRetired"),
            (&[AT_THE_LOCK, "HomeNotRetired", "FenceStillUp"], "HomeNotRetired"),
        ] {
            assert_eq!(answers(unsaid).as_deref(), Some(by), "{unsaid:?}");
        }
    }
}
