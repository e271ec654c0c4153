//! What happens to a run while it is driven: faults that come and pass, and what somebody does.

use failback_sandbox::{Fault, Verb};

use super::Story;
use crate::chaos::interference::{Act, Interference, Undo, When};
use crate::definitions::machine_arn;

const ABORTED: &str = "execution aborted";

impl Story {
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

    pub(super) fn next_due_ms(&self) -> Option<i64> {
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

    pub(super) async fn let_happen(&self, arn: &str) {
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
}
