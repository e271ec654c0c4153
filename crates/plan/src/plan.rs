//! The plan: everything a run will do, as data that the execution carries.

use serde::{Deserialize, Serialize};

use crate::basis::Basis;
use crate::fence::Fence;
use crate::request::{Approvals, Strategy};
use crate::settings::Captured;
use crate::task::{
    ClusterRef, DataSources, DnsRecord, Finish, HostSecret, Limits, NetworkTargets, Promote,
    Rebuild, Retire, SwitchOver,
};
use crate::verify::Expectation;

/// What the run does with the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Decision {
    /// Carry it out.
    Proceed,
    /// The failback is complete: end at once.
    NothingToDo,
    /// Say what would be done, and end.
    DryRun,
}

/// The phases of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Delete the stale home cluster with a final snapshot.
    RetireHome,
    /// Open home's subnets.
    RestoreNetwork,
    /// Home becomes a reader of a new global cluster.
    RebuildHome,
    /// Fence away, prove that nothing is in flight, promote home.
    BringWriterHome,
    /// Point the writer's names at home.
    CutOverWriter,
    /// Delete the former away cluster with a final snapshot.
    RetireAway,
    /// Away becomes a reader of the final global cluster.
    RebuildAway,
    /// Reader names, late settings, fence.
    Finish,
}

/// Whether a phase runs, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhasePlan {
    /// Run or skip.
    pub run: bool,
    /// The reason, for the operator.
    pub why: String,
}

/// One entry for each [`Phase`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the variants of `Phase`")]
pub struct Phases {
    pub retire_home: PhasePlan,
    pub restore_network: PhasePlan,
    pub rebuild_home: PhasePlan,
    pub bring_writer_home: PhasePlan,
    pub cut_over_writer: PhasePlan,
    pub retire_away: PhasePlan,
    pub rebuild_away: PhasePlan,
    pub finish: PhasePlan,
}

/// The table that must hold at each point of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// After the stale home cluster is deleted.
    pub home_retired: Expectation,
    /// After home's subnets are open.
    pub network_restored: Expectation,
    /// After home has joined as a reader.
    pub home_rebuilt: Expectation,
    /// Straight after the promotion: home is the writer and away is fenced.
    pub home_promoted: Expectation,
    /// After away, too, has left the global cluster.
    pub away_detached: Expectation,
    /// After the former away cluster is deleted.
    pub away_retired: Expectation,
    /// After away has joined as a reader.
    pub away_rebuilt: Expectation,
    /// At the end, the fence lifted.
    pub finished: Expectation,
    /// Straight after a switchover: home is the writer and away its reader. `null` when detaching.
    pub switched_over: Option<Expectation>,
}

/// An endpoint as it was when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointBefore {
    /// `writer` or `reader`.
    pub role: String,
    /// Region of the cluster.
    pub region: String,
    /// The cluster it belongs to.
    pub cluster_id: String,
    /// Host name.
    pub endpoint: String,
}

/// Everything a run will do. Nothing outside it is touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What to do with it.
    pub decision: Decision,
    /// Why, and what the operator should know.
    pub reasons: Vec<String>,
    /// How the writer comes home, as decided: never `auto`.
    pub strategy: Strategy,
    /// What the plan rests on, and its hash.
    pub basis: Basis,
    /// What a person is asked before it is done.
    pub approvals: Approvals,
    /// Which phases run.
    pub phases: Phases,
    /// Keeps the stale home cluster closed to clients until it is gone.
    pub close_home: Fence,
    /// Phase `retire_home`.
    pub retire_home: Retire,
    /// Phase `restore_network`.
    pub restore_network: NetworkTargets,
    /// Phase `rebuild_home`.
    pub rebuild_home: Rebuild,
    /// Phase `bring_writer_home`, by detaching.
    pub promote: Promote,
    /// Phase `bring_writer_home`, by a switchover; `null` when detaching.
    pub switch_over: Option<SwitchOver>,
    /// Phase `cut_over_writer`.
    pub cut_over_writer: Vec<DnsRecord>,
    /// Secrets that move with the names of the writer.
    pub secrets_of_writer: Vec<HostSecret>,
    /// Phase `retire_away`.
    pub retire_away: Retire,
    /// Phase `rebuild_away`.
    pub rebuild_away: Rebuild,
    /// Names that move when away is rebuilt.
    pub cut_over_readers: Vec<DnsRecord>,
    /// Secrets that move with them.
    pub secrets_of_readers: Vec<HostSecret>,
    /// Data sources of the applications. Whether they are moved is seen only when they are looked
    /// at: an application that does not answer is no reason not to bring the database home.
    pub data_sources: DataSources,
    /// Phase `finish`.
    pub finish: Finish,
    /// What must hold in between.
    pub expect: Expectations,
    /// Bounds of the run.
    pub limits: Limits,
    /// Endpoints as they were.
    pub endpoints_before: Vec<EndpointBefore>,
    /// Settings of the home cluster, to be given back as `home.captured` should this run be
    /// interrupted after the deletion.
    pub captured_home: Captured,
    /// The same of the away cluster, for `away.captured`.
    pub captured_away: Captured,
    /// The home cluster that will hold the writer.
    pub writer_at_the_end: ClusterRef,
    /// The away cluster that will follow it.
    pub reader_at_the_end: ClusterRef,
}
