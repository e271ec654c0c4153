//! The floor of a failback: from the moment at which writes are refused in away to the first row that
//! a client writes at home, and what each part of that time is spent on.

use std::collections::BTreeMap;

use failback_sandbox::Sandbox;
use serde::Serialize;

/// A machine and one of its states.
pub type Place = (&'static str, &'static str);

/// Where the floor begins: by a fence, or by a switchover that Aurora has accepted.
const BEGINS: [Place; 2] = [("promote-home", "NoteFence"), ("switch-over", "LimitSwitchover")];

/// The states that end a part when they are entered for the first time. Tests hold the names to the
/// definitions.
const ENDS: [(Place, &str); 4] = [
    (("promote-home", "RememberProof"), "fence to proof"),
    (("promote-home", "DetachMember"), "proof to promotion"),
    (CUT_OVER, "promotion to verified"),
    (("cut-over", "CutOverSecret"), "cut-over"),
];
/// Home is verified and clients are about to be sent there.
const CUT_OVER: Place = ("bring-home", "CutOverWriter");

/// When states were entered for the first time, in epoch milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Moments(BTreeMap<Place, i64>);

/// The floor of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Floor {
    /// Seconds from the fence to the first row written at home.
    pub seconds: f64,
    /// What they were spent on, in order; their sum is the floor.
    pub parts: Vec<Part>,
}

/// A part of the floor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// From what to what.
    pub part: &'static str,
    /// How long, in seconds.
    pub seconds: f64,
}

impl Moments {
    /// Notes that a state was entered.
    pub fn enter(&mut self, machine: &str, state: &str, at_ms: i64) {
        let places = BEGINS.into_iter().chain(ENDS.map(|(place, _)| place));
        if let Some(place) = places.into_iter().find(|place| *place == (machine, state)) {
            self.0.entry(place).or_insert(at_ms);
        }
    }

    /// The floor, as it was measured by clients that write at home; nothing if the run fenced nothing
    /// or if nobody has written since.
    pub fn floor(&self, sandbox: &Sandbox, home_region: &str) -> Option<Floor> {
        let begin_ms = BEGINS.iter().find_map(|place| self.0.get(place).copied())?;
        let at_home = format!(":{home_region}:");
        let end_ms = sandbox.with_world(|world| {
            let mut rows = world.rows.written();
            rows.find(|row| row.at_ms >= begin_ms && row.cluster.contains(&at_home))
                .map(|row| row.at_ms)
        })?;
        let mut ends: Vec<(&'static str, i64)> =
            ENDS.iter().filter_map(|(place, part)| Some((*part, *self.0.get(place)?))).collect();
        if !self.0.contains_key(&BEGINS[0]) {
            ends.iter_mut().for_each(|(part, _)| {
                if *part == ENDS[2].1 {
                    *part = "switchover to verified";
                }
            });
        }
        let from_ms = self.0.get(&CUT_OVER).copied().unwrap_or(end_ms);
        let to_ms = self.0.get(&ENDS[3].0).copied().unwrap_or(from_ms);
        let in_sync_ms = sandbox.with_world(|world| world.dns.in_sync_ms(from_ms, to_ms));
        ends.extend(in_sync_ms.map(|at_ms| ("propagation of the names", at_ms)));
        ends.push(("clients' time to live", end_ms));
        Some(Floor { seconds: seconds(end_ms - begin_ms), parts: parts(begin_ms, end_ms, &ends) })
    }
}

/// A part that went on while clients wrote already is no part of the floor.
fn parts(begin_ms: i64, end_ms: i64, ends: &[(&'static str, i64)]) -> Vec<Part> {
    let mut from_ms = begin_ms;
    let part = |(part, at_ms): &(&'static str, i64)| {
        let to_ms = (*at_ms).clamp(from_ms, end_ms);
        let length_ms = to_ms - from_ms;
        from_ms = to_ms;
        Part { part, seconds: seconds(length_ms) }
    };
    ends.iter().map(part).collect()
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::definitions::MACHINES;

    #[test]
    fn parts_are_ended_by_states_of_the_definitions() {
        for (machine, state) in BEGINS.into_iter().chain(ENDS.map(|(place, _)| place)) {
            let text = MACHINES.iter().find(|(name, _)| *name == machine).expect("a machine").1;
            let definition: Value = serde_json::from_str(text).expect("the definition is JSON");
            assert!(definition["States"][state].is_object(), "{machine} has no state {state}");
        }
    }

    #[test]
    fn parts_are_as_long_as_the_whole_and_none_is_negative() {
        let ends = [("a", 3_000), ("b", 2_000), ("c", 9_000), ("d", 5_000)];
        let parts = parts(1_000, 5_000, &ends);
        let lengths: Vec<f64> = parts.iter().map(|part| part.seconds).collect();
        assert_eq!(lengths, [2.0, 0.0, 2.0, 0.0]);
    }
}
