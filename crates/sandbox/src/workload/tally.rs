//! What a client noticed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Failure, Purpose};
use crate::measure::Gap;
use crate::world::ClusterName;

/// A time in which one cluster answered a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its first answer, in epoch milliseconds.
    pub from_ms: i64,
    /// Its last answer before another cluster's.
    pub to_ms: i64,
    /// How many turns it answered.
    pub turns: u64,
}

/// What one client saw of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientReport {
    /// The client's name.
    pub client: String,
    /// What it does.
    pub purpose: Purpose,
    /// Turns that succeeded: rows acknowledged, or reads answered.
    pub acknowledged: u64,
    /// Turns that failed, by reason.
    pub failures: BTreeMap<Failure, u64>,
    /// The longest time without a turn that succeeded.
    pub longest_gap: Gap,
    /// Seconds within gaps of more than two intervals.
    pub seconds_interrupted: f64,
    /// Which cluster answered, in order of time.
    pub served_by: Vec<Served>,
}

/// Counts while a client runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    every_ms: i64,
    last_ms: i64,
    acknowledged: u64,
    failures: BTreeMap<Failure, u64>,
    longest: Option<Gap>,
    interrupted_ms: i64,
    served_by: Vec<Served>,
}

impl Tally {
    pub(super) fn new(now_ms: i64, every_ms: i64) -> Self {
        Self { every_ms, last_ms: now_ms, ..Self::default() }
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        *self.failures.entry(failure).or_default() += 1;
    }

    pub(super) fn acknowledge(&mut self, now_ms: i64, region: &str, cluster_id: &str) {
        let gap = Gap { from_ms: self.last_ms, to_ms: now_ms };
        self.interrupted_ms += self.interruption_ms(&gap);
        self.longest = Some(self.longest_with(gap));
        self.last_ms = now_ms;
        self.acknowledged += 1;
        let same = |served: &&mut Served| {
            served.cluster.cluster_id == cluster_id && served.cluster.region == region
        };
        if let Some(served) = self.served_by.last_mut().filter(same) {
            served.to_ms = now_ms;
            served.turns += 1;
            return;
        }
        let cluster = ClusterName { region: region.to_owned(), cluster_id: cluster_id.to_owned() };
        self.served_by.push(Served { cluster, from_ms: now_ms, to_ms: now_ms, turns: 1 });
    }

    pub(super) fn report(&self, client: &str, purpose: Purpose, now_ms: i64) -> ClientReport {
        // The gap that is open now may be the longest, and counts as far as it has come.
        let open = Gap { from_ms: self.last_ms, to_ms: now_ms };
        let interrupted_ms = self.interrupted_ms + self.interruption_ms(&open);
        ClientReport {
            client: client.to_owned(),
            purpose,
            acknowledged: self.acknowledged,
            failures: self.failures.clone(),
            longest_gap: self.longest_with(open),
            seconds_interrupted: interrupted_ms as f64 / 1_000.0,
            served_by: self.served_by.clone(),
        }
    }

    const fn interruption_ms(&self, gap: &Gap) -> i64 {
        if gap.length_ms() > 2 * self.every_ms { gap.length_ms() } else { 0 }
    }

    fn longest_with(&self, gap: Gap) -> Gap {
        let longest =
            self.longest.as_ref().filter(|longest| longest.length_ms() >= gap.length_ms());
        longest.cloned().unwrap_or(gap)
    }
}
