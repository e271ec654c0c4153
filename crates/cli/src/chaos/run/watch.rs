//! What is seen of a run while its machines run: every state, and the invariants after each.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

use failback_sandbox::{Call, Sandbox, World};
use failback_states::HistoryEvent;
use tokio::sync::Notify;

use super::Story;
use crate::chaos::faults;
use crate::chaos::invariants::Invariants;
use crate::chaos::trace::Trace;
use crate::definitions::machine_name;

/// What is shared with the engine's observer.
pub(super) struct Shared {
    pub(super) invariants: RefCell<Invariants>,
    pub(super) trace: Trace,
    /// States that were entered and somebody waits for.
    pub(super) awaited: RefCell<BTreeSet<String>>,
    pub(super) entered: RefCell<VecDeque<String>>,
    pub(super) poked: Notify,
    pub(super) began_ms: i64,
    /// How many of the faults that struck are in the trace.
    pub(super) faults_noted: Cell<usize>,
}

impl Story {
    /// Looks after every state of every machine.
    pub(super) fn observe(&self) {
        let (shared, sandbox) = (self.shared.clone(), self.drill.sandbox.clone());
        self.drill.engine.subscribe(Box::new(move |arn: &str, event: &HistoryEvent| {
            let entered = event.event_type.enters_a_state();
            if !entered && !event.event_type.exits_a_state() {
                return;
            }
            let since_ms = event.timestamp_ms - shared.began_ms;
            if entered && let Some(state) = event.state_name() {
                shared.trace.note(since_ms, "state", || format!("{} {state}", machine_name(arn)));
                if shared.awaited.borrow_mut().remove(state) {
                    shared.entered.borrow_mut().push_back(state.to_owned());
                    shared.poked.notify_one();
                }
            }
            shared.look(&sandbox, since_ms);
        }));
    }
}

impl Shared {
    /// Holds the world as it is now to all invariants.
    pub(super) fn look(&self, sandbox: &Sandbox, since_ms: i64) {
        let mut invariants = self.invariants.borrow_mut();
        let before = invariants.violations.len();
        let calls = sandbox.with_world(|world| {
            self.note_faults(world, since_ms);
            invariants.look(world)
        });
        self.note_calls(&calls);
        for broken in &invariants.violations[before..] {
            self.trace
                .note(since_ms, "BROKEN", || format!("{}: {}", broken.invariant, broken.seen));
        }
    }

    pub(super) fn note_calls(&self, calls: &[Call]) {
        for call in calls {
            self.trace.note(call.at_ms - self.began_ms, "call", || {
                let error = call.error.as_deref().unwrap_or("done");
                format!("{} {} {}: {error}", call.region, call.operation, call.resource)
            });
        }
    }

    pub(super) fn note_faults(&self, world: &World, since_ms: i64) {
        let struck = world.faults.struck();
        for fault in &struck[self.faults_noted.replace(struck.len())..] {
            self.trace.note(since_ms, "fault", || {
                format!("{} met {} in {}", faults::kind(fault), fault.operation, fault.region)
            });
        }
    }
}
