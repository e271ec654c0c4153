//! What each Region knows of the global clusters.
//!
//! A global cluster belongs to no Region, and yet a change made through one endpoint is not seen
//! through another one at once. Calls act on what is; only reads lag.

use std::collections::{BTreeMap, VecDeque};

use super::GlobalCluster;
use crate::world::World;

/// How many changes are kept: far more than happen within the longest lag.
const KEPT: usize = 128;

type Globals = BTreeMap<String, GlobalCluster>;

/// The changes of all global clusters, and when each is seen elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Views {
    changes: VecDeque<Change>,
    made: u64,
}

/// All global clusters after one change.
#[derive(Debug, Clone)]
struct Change {
    /// The Region through which it was made.
    region: String,
    /// When the other Regions see it, in epoch milliseconds.
    elsewhere_ms: i64,
    globals: Globals,
}

impl World {
    /// Notes that global clusters have changed, if they have. Called after everything that may
    /// change them, with the Region of the call, or none for what happens by itself.
    pub(crate) fn note_globals(&mut self, region: Option<&str>) {
        let before = self.views.changes.back().map(|change| &change.globals);
        if before == Some(&self.rds.globals) {
            return;
        }
        let late_ms = if before.is_some() { self.lateness_ms() } else { 0 };
        if let Some(region) = region {
            region.clone_into(&mut self.views_region);
        }
        self.views.made += 1;
        self.views.changes.push_back(Change {
            region: self.views_region.clone(),
            elsewhere_ms: self.now_ms.saturating_add(late_ms),
            globals: self.rds.globals.clone(),
        });
        if self.views.changes.len() > KEPT {
            self.views.changes.pop_front();
        }
    }

    /// How late the next change is: depends on the seed and its number alone, so that turning the
    /// lag off leaves everything else as it was.
    fn lateness_ms(&self) -> i64 {
        let number = i64::try_from(self.views.made).unwrap_or_default();
        let percent = 25 + i64::try_from(crate::rows::mix(self.seed, number) % 76).unwrap_or(75);
        self.behaviour.global_reads_lag_ms * percent / 100
    }

    /// The global clusters as a Region knows them.
    pub(crate) fn globals_seen_from(&self, region: &str) -> &Globals {
        let lags = self.behaviour.global_reads_lag_ms > 0 && !self.rereading;
        let seen = |change: &&Change| change.region == region || change.elsewhere_ms <= self.now_ms;
        let change = self.views.changes.iter().rev().find(seen).filter(|_| lags);
        change.map_or(&self.rds.globals, |change| &change.globals)
    }
}
