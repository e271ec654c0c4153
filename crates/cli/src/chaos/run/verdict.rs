//! What is said of a run's ends: how each execution ended, and whether it may end so.

use std::collections::BTreeSet;

use failback_states::{Outcome, Status};
use serde_json::Value;

use super::{REMEDIED, Story};
use crate::chaos::invariants::{NO_END, NOT_REFUSED, WRITES_REFUSED};
use crate::definitions::{MACHINES, machine_name};

impl Story {
    /// Says how an execution ended, and whether it may end so.
    pub(super) fn judge(&self, outcome: &Outcome) -> String {
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
    pub(super) fn judge_service(&self, failures: &[Failure]) {
        let Some(end) = answerable(failures) else { return };
        let mut invariants = self.shared.invariants.borrow_mut();
        self.drill.sandbox.with_world(|world| invariants.judge_failure(world, end));
    }

    /// How an execution failed, if it did.
    pub(super) fn failure_of(&self, arn: &str, outcome: &Outcome) -> Option<Failure> {
        const PAST_THE_LOCK: &str = "LimitLeftFence";
        let began = || {
            let history = self.drill.engine.history(arn);
            history.iter().any(|event| event.state_name() == Some(PAST_THE_LOCK))
        };
        (outcome.status == Status::Failed)
            .then(|| Failure { error: outcome.error.clone().unwrap_or_default(), began: began() })
    }

    /// Nobody but a person who compares the data can go on: a fence was opened by hand when home was
    /// promoted, and away may hold writes that home lacks.
    pub(super) fn is_for_a_person(&self, end: &str) -> bool {
        let ends = ["TopologyHomePromotedNotAsPlanned", "PromotionNotOurs"];
        self.shared.invariants.borrow().excuses.fence_opened && ends.contains(&end)
    }

    /// The first execution that could look must have refused; later ones were helped.
    fn must_have_been_refused(&self) -> bool {
        let remedied = self.struck.borrow().contains_key(REMEDIED);
        self.scene.refused.is_some_and(|r| r.remedy.is_some()) && !remedied
    }

    /// No machine may be ended by its own time-out: one that is lifts no fence.
    pub(super) fn judge_all(&self) {
        for execution in self.drill.engine.list_executions() {
            if execution.outcome.status == Status::TimedOut {
                let seen =
                    format!("{} ran into its time-out", machine_name(&execution.execution_arn));
                self.break_rule(NO_END, seen);
            }
            if execution.outcome.error.as_deref() == Some("States.Runtime") {
                let machine = machine_name(&execution.execution_arn);
                self.break_rule(NO_END, format!("{machine} ended {:?}", execution.outcome.cause));
            }
        }
    }
}

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

/// How an execution failed.
pub(super) struct Failure {
    /// The name.
    error: String,
    /// It had got past the lock, and so may have touched something.
    began: bool,
}

/// Of the ends of an attempt's executions, the name of the one that has to answer for away's service:
/// no end that says itself that nobody serves; nor, where one does, the end of an execution that did
/// not get past the lock, for it has not touched what the one at work has left.
fn answerable(failures: &[Failure]) -> Option<&String> {
    const AT_THE_LOCK: &str = "AnotherRunInProgress";
    let says_so = |failure: &Failure| WRITES_REFUSED.contains(&failure.error.as_str());
    let said = failures.iter().any(says_so);
    let is_outside = |failure: &Failure| !failure.began || failure.error == AT_THE_LOCK;
    let answers = |failure: &&Failure| !(says_so(failure) || said && is_outside(failure));
    failures.iter().find(answers).map(|failure| &failure.error)
}

#[cfg(test)]
mod tests {
    use super::{Failure, answerable};

    const AT_THE_LOCK: &str = "AnotherRunInProgress";

    /// Ends in brackets are those of executions that did not get past the lock.
    fn answers(ends: &[&str]) -> Option<String> {
        let failure = |end: &&str| Failure {
            error: end.trim_matches(['(', ')']).to_owned(),
            began: !end.starts_with('('),
        };
        let ends: Vec<Failure> = ends.iter().map(failure).collect();
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
            &["(FailbackRefused)", "FenceStillUp"],
            &["(LockNotAcquired)", "FenceStillUp"],
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
            (&["(FailbackRefused)"], "FailbackRefused"),
            (&["FailbackRefused", "FenceStillUp"], "FailbackRefused"),
            (&[AT_THE_LOCK, "HomeNotRetired", "FenceStillUp"], "HomeNotRetired"),
        ] {
            assert_eq!(answers(unsaid).as_deref(), Some(by), "{unsaid:?}");
        }
    }
}
