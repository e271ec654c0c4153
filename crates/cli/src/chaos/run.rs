//! One run: a random world, what goes wrong in it, and starting again until it has ended well.

mod again;
mod meanwhile;
mod verdict;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use failback_plan::Request;
use failback_states::{Outcome, Status};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::Notify;

use super::faults::{self, Faults};
use super::interference::{self, Interference, Undo, When};
use super::invariants::{Invariants, NO_END, NOT_RESUMED, Violation};
use super::names::Names;
use super::sabotage::Safeguard;
use super::trace::Trace;
use super::worlds::{self, Scene};
use crate::approver::Approver;
use crate::definitions::{self, machine_arn};
use crate::drill::{CannotBegin, Drill, in_virtual_time, plan_of};
use again::give_settings;
use watch::Shared;

/// How often the failback is started again at most.
const AGAIN_MAX: usize = 3;

/// Makes another source of chance of a seed.
const OF_FENCES: u64 = 0x0fea_684e;

/// Longer than the machine's own time-out.
const LONGEST_MS: i64 = 73 * 3_600_000;

/// What was refused was put right.
const REMEDIED: &str = "remedied";

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
    in_virtual_time(run(seed, without, traced))?.map_err(|e| format!("seed {seed}: {e}"))
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
            faults_noted: Cell::default(),
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
            let (outcome, end) = self.attempted(&arn, own).await;
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
    async fn attempted(&self, arn: &str, own: Outcome) -> (Outcome, String) {
        let mut failures = Vec::new();
        let mut finished = None;
        while let Some(other) = self.next_other() {
            let outcome = self.drive(&other).await;
            let end = self.judge(&outcome);
            self.note("execution", || format!("the other ended {end}"));
            failures.extend(self.failure_of(&other, &outcome));
            if outcome.status == Status::Succeeded {
                finished.get_or_insert((outcome, end));
            }
        }
        let end = self.judge(&own);
        failures.extend(self.failure_of(arn, &own));
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
                () = self.drill.lambda().mishaps.straggling.notified() => {}
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

    /// One of those that has not been driven to its end.
    fn next_other(&self) -> Option<String> {
        self.others.borrow_mut().pop_front()
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
