//! What an execution leaves to be known by a later one, because no describe call tells it any more.

use serde::{Deserialize, Serialize};

use crate::fence::Fence;
use crate::request::Request;
use crate::settings::Captured;
use crate::task::ClusterRef;

/// Everything that is remembered of the failback of one global database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// A fence that may be up.
    pub fence: Option<FenceLeft>,
    /// What was proven before the promotion.
    pub proof: Option<Proof>,
    /// What closes the stale home cluster, and what its subnets return to once it is gone.
    pub closed_home: Option<Fence>,
    /// Settings of home's cluster.
    pub captured_home: Option<Captured>,
    /// Settings of away's cluster.
    pub captured_away: Option<Captured>,
}

/// A fence, and the promotion after which it must stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FenceLeft {
    /// The cluster behind it, and what it returns to.
    pub fence: Fence,
    /// The promotion that it was put up for.
    pub unless_promoted: Promotion,
}

/// A promotion that was intended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The cluster that would be promoted.
    pub cluster: ClusterRef,
    /// The global cluster it would leave.
    pub global_cluster_id: String,
}

/// By what it was known that nothing was in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// Home had reached the position that away had after the fence: exact.
    Position,
    /// Consecutive samples of replication lag, all newer than the fence.
    LagSamples,
}

/// What was proven behind the fence, straight before the promotion was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// By what.
    pub kind: ProofKind,
    /// The figures, in words.
    pub detail: String,
    /// Since when away had been fenced, in epoch milliseconds.
    pub fenced_at_ms: i64,
    /// The cluster that holds everything.
    pub cluster: ClusterRef,
    /// The cluster whose writes it holds.
    pub source: ClusterRef,
    /// `DbClusterResourceId` of that cluster.
    pub source_resource_id: String,
}

impl Memory {
    /// The item of the stack's table that holds what is remembered of a global database.
    pub fn item_id(database: &str) -> String {
        format!("memory#{database}")
    }

    /// Whether there is nothing: no run began, or the last one that did was complete. What a run does
    /// last, protecting the rebuilt clusters for one, stands in no table that tells whether it did it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is not known already.
    pub fn beyond(&self, known: &Self) -> Self {
        fn new<T: Clone + PartialEq>(given: &Option<T>, known: &Option<T>) -> Option<T> {
            given.clone().filter(|given| known.as_ref() != Some(given))
        }
        Self {
            fence: new(&self.fence, &known.fence),
            proof: new(&self.proof, &known.proof),
            closed_home: new(&self.closed_home, &known.closed_home),
            captured_home: new(&self.captured_home, &known.captured_home),
            captured_away: new(&self.captured_away, &known.captured_away),
        }
    }

    /// Fills in the settings that the request leaves out.
    pub fn complete(&self, request: &mut Request) {
        for (side, captured) in
            [(&mut request.home, &self.captured_home), (&mut request.away, &self.captured_away)]
        {
            if side.captured.is_none() {
                side.captured.clone_from(captured);
            }
        }
    }
}

impl Proof {
    /// Whether it says that `survivor` holds all that the cluster with this resource id acknowledged.
    pub fn covers(&self, survivor: &ClusterRef, source: &ClusterRef, resource_id: &str) -> bool {
        self.cluster.arn == survivor.arn
            && self.source.arn == source.arn
            && self.source_resource_id == resource_id
    }
}
