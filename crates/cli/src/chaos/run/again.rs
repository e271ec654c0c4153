//! What a person does before the failback is started again.

use failback_plan::Plan;
use serde_json::{Value, json};

use super::{REMEDIED, Story};
use crate::chaos::interference::Undo;
use crate::chaos::repair;
use crate::chaos::worlds::Refused;

/// How long an operator takes to look and to start again.
const PAUSE_MS: i64 = 20 * 60_000;

/// How often the world is looked at meanwhile, when no state of a machine gives the occasion: a
/// function that was given up may still act, and is judged by what was true then.
const LOOK_MS: i64 = 60_000;

impl Story {
    pub(super) fn remedy(&self, refused: &Refused, input: &mut Value) {
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
    pub(super) async fn put_right(&self) {
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
            let look_ms = until_ms.min(self.now_ms() + LOOK_MS);
            let due_ms = self.next_due_ms().unwrap_or(look_ms).min(look_ms);
            self.drill.clock.sleep_until_ms(due_ms).await;
            self.let_happen("").await;
            self.shared.look(&self.drill.sandbox, self.now_ms() - self.shared.began_ms);
        }
    }

    fn clear_up(&self, undo: Vec<Undo>) {
        let mut invariants = self.shared.invariants.borrow_mut();
        let names = invariants.names().clone();
        self.drill.sandbox.change_world(|world| {
            self.shared.note_calls(&invariants.look(world));
            world.faults.retain(|_| false);
            world.unstick();
            undo.into_iter().for_each(|undo| undo(world));
            repair::broken(world, &names, &mut invariants.excuses);
            invariants.accept_bystanders(world);
        });
    }
}

/// Gives back the settings that the first plan of all had read.
pub(super) fn give_settings(plans: &[Plan], cause: &str, input: &mut Value) {
    let Some(plan) = plans.first() else { return };
    for (side, captured) in [("home", &plan.captured_home), ("away", &plan.captured_away)] {
        if cause.contains(&format!("`{side}.captured`")) {
            input[side]["captured"] = json!(captured);
        }
    }
}
