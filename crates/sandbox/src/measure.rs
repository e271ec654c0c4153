//! What a run did to the data and to the clients, measured and not argued.

use serde::{Deserialize, Serialize};

use crate::world::{ClusterName, World};

/// The longest time between two acknowledged rows that counts as writing without interruption.
const UNINTERRUPTED_MS: i64 = 2_000;

/// A time in which clients could write to more than one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitMoment {
    /// From, in epoch milliseconds.
    pub from_ms: i64,
    /// Until; absent when it still lasts.
    pub to_ms: Option<i64>,
    /// The clusters.
    pub clusters: Vec<ClusterName>,
}

/// A time in which no row was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last row before, or the start, in epoch milliseconds.
    pub from_ms: i64,
    /// The first row after, or now.
    pub to_ms: i64,
}

impl Gap {
    /// How long, in milliseconds.
    #[must_use]
    pub const fn length_ms(&self) -> i64 {
        self.to_ms - self.from_ms
    }
}

/// What was measured since the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Rows acknowledged since the start.
    pub rows_written: u64,
    /// Rows acknowledged, ever, that the writer does not hold; all of them when there is no writer.
    /// Rows that one cluster alone had from the start are not counted: they were lost by the
    /// disaster, and the next two fields tell what became of them.
    pub rows_lost: u64,
    /// Rows that no cluster holds any more, but an available snapshot does.
    pub rows_only_in_snapshots: u64,
    /// Rows that neither a cluster nor an available snapshot holds.
    pub rows_nowhere: u64,
    /// The cluster that is the writer: where clients can write, or wrote last.
    pub writer: Option<ClusterName>,
    /// Seconds within interruptions of more than two seconds.
    pub seconds_without_writes: f64,
    /// The longest time without an acknowledged row.
    pub longest_gap: Option<Gap>,
    /// When clients could write to more than one cluster. Must be empty.
    pub moments_with_two_writable_clusters: Vec<SplitMoment>,
    /// The last acknowledged row, in epoch milliseconds.
    pub last_write_ms: Option<i64>,
}

impl World {
    /// What was measured until now.
    #[must_use]
    pub fn measured(&self) -> Measured {
        let gaps = self.gaps();
        let interrupted_ms: i64 =
            gaps.iter().map(Gap::length_ms).filter(|ms| *ms > UNINTERRUPTED_MS).sum();
        let writer = self.final_writer();
        let snapshots = self.rds.regions.values().flat_map(|region| region.snapshots.values());
        let snapshots: Vec<&str> =
            snapshots.filter(|s| s.status == "available").map(|s| s.arn.as_str()).collect();
        let (rows_only_in_snapshots, rows_nowhere) = self.rows.beside_the_volumes(&snapshots);
        Measured {
            rows_written: self.rows.written().len() as u64,
            rows_lost: self.rows.lost_to(writer.map(|writer| writer.resource_id.as_str())),
            rows_only_in_snapshots,
            rows_nowhere,
            writer: writer
                .map(|w| ClusterName { region: w.region.clone(), cluster_id: w.id.clone() }),
            seconds_without_writes: interrupted_ms as f64 / 1_000.0,
            longest_gap: gaps.into_iter().max_by_key(Gap::length_ms),
            moments_with_two_writable_clusters: self.split.clone(),
            last_write_ms: self.rows.written().next_back().map(|row| row.at_ms),
        }
    }

    /// The one cluster clients can write to; among several, or when there is none, the one that
    /// acknowledged the last row, if it still takes writes but for the network; otherwise any
    /// that does.
    fn final_writer(&self) -> Option<&crate::rds::Cluster> {
        let writable = self.writable_clusters();
        if let [only] = writable.as_slice() {
            return self.rds.cluster(&only.region, &only.cluster_id);
        }
        let last = self.rows.written().next_back().map(|row| row.cluster.as_str());
        let mut accepting = self.rds.clusters().filter(|c| self.rds.accepts_writes(c)).peekable();
        let first = accepting.peek().copied();
        accepting.find(|c| Some(c.arn.as_str()) == last).or(first)
    }

    fn gaps(&self) -> Vec<Gap> {
        let mut from_ms = self.started_ms;
        let mut gaps: Vec<Gap> = self
            .rows
            .written()
            .map(|row| {
                let gap = Gap { from_ms, to_ms: row.at_ms };
                from_ms = row.at_ms;
                gap
            })
            .collect();
        gaps.push(Gap { from_ms, to_ms: self.now_ms });
        gaps
    }
}
