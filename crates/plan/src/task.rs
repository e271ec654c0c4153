//! What the state machines carry from the plan to the functions, and what functions answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fence::Fence;
use crate::request::superset::Provider;
use crate::settings::{ClusterSettings, InstanceSettings};

/// How far a step has come. The definitions' `Choice` states route on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Progress {
    /// What the step is for holds, whoever brought it about.
    Done,
    /// Not yet, and nothing is wrong: call again later.
    Pending,
    /// It cannot come about any more without a person.
    Failed,
}

/// What every looping function answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How far the step has come.
    pub state: Progress,
    /// One sentence for the operator who reads the execution's history.
    pub detail: String,
}

impl Answer {
    /// The step's aim holds.
    pub fn done(detail: impl Into<String>) -> Self {
        Self { state: Progress::Done, detail: detail.into() }
    }

    /// The step's aim does not hold yet.
    pub fn pending(detail: impl Into<String>) -> Self {
        Self { state: Progress::Pending, detail: detail.into() }
    }

    /// The step's aim cannot be reached without a person.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self { state: Progress::Failed, detail: detail.into() }
    }
}

/// A DB cluster, named so that no Region has to be guessed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterRef {
    /// The Region whose endpoint answers for the cluster.
    pub region: String,
    /// `DBClusterIdentifier`, lower case.
    pub cluster_id: String,
    /// The cluster's ARN; global-cluster calls accept nothing else.
    pub arn: String,
}

/// Subnets and the network ACL that each of them shall have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkTargets {
    /// The Region of the subnets.
    pub region: String,
    /// Subnet → network ACL.
    pub targets: BTreeMap<String, String>,
}

/// A cluster to be deleted with a final snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    /// The cluster.
    pub cluster: ClusterRef,
    /// `DbClusterResourceId`: a cluster of the same name made later is another cluster.
    pub cluster_resource_id: String,
    /// The global cluster it is, or will by then be, a member of.
    pub detach_from: Option<String>,
    /// Whether deletion protection may be switched off.
    pub clear_deletion_protection: bool,
    /// `FinalDBSnapshotIdentifier`.
    pub final_snapshot_id: String,
    /// The global cluster that is left empty and goes too.
    pub delete_global_cluster_id: Option<String>,
    /// What must hold at the moment of the deletion.
    pub guard: Guard,
}

/// What makes a deletion safe. Seen again each time something is about to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// The cluster that stays: it must be there, available and a writer.
    pub survivor: ClusterRef,
    /// What keeps clients from writing to the cluster that goes.
    pub behind: Fence,
    /// Whether it must be proven that the survivor holds what the cluster that goes acknowledged.
    /// Not so for a stale cluster: what only it holds stays in its final snapshot.
    pub proof_required: bool,
}

/// An instance to be created in a rebuilt cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstancePlan {
    /// `DBInstanceIdentifier` of the new instance.
    pub id: String,
    /// The settings it takes over.
    pub settings: InstanceSettings,
}

/// A cluster to be rebuilt as a reader of a new global cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// The new global cluster.
    pub global_cluster_id: String,
    /// The writer whose data is taken.
    pub source: ClusterRef,
    /// The cluster to create.
    pub target: ClusterRef,
    /// Settings captured from the cluster it replaces.
    pub cluster: ClusterSettings,
    /// Its instances, the intended writer first.
    pub instances: Vec<InstancePlan>,
}

/// The promotion of the home cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// The global cluster that home leaves.
    pub global_cluster_id: String,
    /// The home cluster.
    pub cluster: ClusterRef,
    /// The away cluster, the writer until then.
    pub source: ClusterRef,
    /// What keeps clients from writing to away.
    pub fence: Fence,
    /// Engine of both, which chooses the lag metric.
    pub engine: String,
    /// Engine version of both.
    pub engine_version: String,
    /// `DbClusterResourceId` of the away cluster.
    pub source_resource_id: String,
    /// Secret of the user by which the writer's position is read, where that is configured.
    pub position_secret_arn: Option<String>,
}

/// The switchover of the writer to the home cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchOver {
    /// The global cluster in which the writer moves.
    pub global_cluster_id: String,
    /// The home cluster, its reader until then.
    pub cluster: ClusterRef,
    /// The away cluster, its writer until then.
    pub source: ClusterRef,
    /// Engine of both, which chooses the lag metric.
    pub engine: String,
    /// Engine version of away.
    pub engine_version: String,
    /// It was under way when the plan was made: nothing is prepared once more.
    pub under_way: bool,
    /// The fence that an earlier run has left up in front of away, which serves until the switchover.
    pub fence_left: Option<Fence>,
}

/// Which endpoint of a cluster a name points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointKind {
    /// The cluster endpoint.
    Writer,
    /// The reader endpoint.
    Reader,
}

/// A Route 53 CNAME record and the endpoint it shall have as its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsRecord {
    /// Hosted zone id.
    pub zone_id: String,
    /// Record name, fully qualified, without the final dot.
    pub name: String,
    /// `SetIdentifier` of a record with a routing policy.
    pub set_identifier: Option<String>,
    /// Time to live, in seconds.
    pub ttl_s: i64,
    /// What it pointed at when the run began.
    pub was: Option<String>,
    /// The zone's name servers answer in its VPCs only.
    pub zone_is_private: bool,
    /// The Region of the cluster.
    pub region: String,
    /// The cluster whose endpoint becomes the value.
    pub cluster_id: String,
    /// Which of its endpoints.
    pub endpoint: EndpointKind,
}

/// A secret of Secrets Manager and the endpoint that it shall name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSecret {
    /// The Region that it is written in.
    pub secret_region: String,
    /// Its name or its ARN.
    pub secret_id: String,
    /// The host that it named when the run began.
    pub was: Option<String>,
    /// The Region of the cluster.
    pub region: String,
    /// The cluster whose endpoint it shall name.
    pub cluster_id: String,
    /// Which of its endpoints.
    pub endpoint: EndpointKind,
}

/// What clients use to find the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerKind {
    /// A Route 53 record.
    Dns,
    /// A secret of Secrets Manager.
    Secret,
    /// A data source of Apache Superset.
    DataSource,
}

/// A consumer that was pointed elsewhere, or that was found to point there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// What it is.
    pub consumer: ConsumerKind,
    /// Its name; of a record with a routing policy with its set identifier.
    pub name: String,
    /// The hosted zone, the Region or the address that it stands in.
    pub place: String,
    /// What it pointed at when the run began.
    pub from: Option<String>,
    /// What it points at.
    pub to: String,
    /// By what that is known.
    pub proof: Option<Proven>,
}

/// By what it is known that clients will be sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proven {
    /// Route 53's name servers answer with it: asked for, not concluded.
    Answered,
    /// Route 53 says that all its name servers know it, and its record says so.
    InSync,
    /// It was read back.
    ReadBack,
}

/// An endpoint of a cluster that may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The Region of the cluster.
    pub region: String,
    /// The cluster.
    pub cluster_id: String,
    /// Which of its endpoints.
    pub endpoint: EndpointKind,
}

/// An instance of Apache Superset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Superset {
    /// Its address, without a final slash.
    pub url: String,
    /// ARN of the secret with user and password of its API.
    pub login_secret_arn: String,
    /// Where that login is checked.
    pub provider: Provider,
}

/// A data source of Apache Superset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Where it is.
    pub superset: Superset,
    /// Its name.
    pub name: String,
    /// Whether it goes.
    pub remove: bool,
    /// How it shall be; `null` if it goes.
    pub point: Option<Point>,
}

/// What becomes of a data source that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// What it shall connect to.
    pub to: Endpoint,
    /// ARN of the secret with the password of its database user.
    pub password_secret_arn: String,
    /// The name it shall have, if another one.
    pub rename_to: Option<String>,
}

/// Data sources of the applications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSources {
    /// Those that move with the writer.
    pub home: Vec<DataSource>,
    /// Those that move, or go, when away is rebuilt.
    pub away: Vec<DataSource>,
}

impl DataSources {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.home.is_empty() && self.away.is_empty()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut DataSource> {
        self.home.iter_mut().chain(&mut self.away)
    }
}

/// Whether a cluster's deletion protection shall be on when the run ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// The cluster.
    pub cluster: ClusterRef,
    /// Its `DeletionProtection`.
    pub enabled: bool,
}

/// What is left to do once both clusters are rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// The fence to lift in away.
    pub fence: Fence,
    /// Deletion protection to set, last of all so that the run stays repeatable until here.
    pub protection: Vec<Protection>,
}

/// Bounds of a run: seconds for each wait, and the replication gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Seconds for a cluster to leave its global cluster and be available.
    pub detach_s: u32,
    /// Seconds for instances, the cluster and its final snapshot.
    pub delete_s: u32,
    /// Seconds for a global cluster, a cluster and its instances to be available.
    pub create_s: u32,
    /// Seconds for settings that can only be applied after creation.
    pub configure_s: u32,
    /// Seconds for a fence to be up, and where it is a security group for the instances to restart.
    pub fence_s: u32,
    /// Seconds for replication to prove that nothing is in flight once writes are refused.
    pub catch_up_s: u32,
    /// Seconds for the promotion.
    pub promote_s: u32,
    /// Seconds for DNS changes to be in sync, and for secrets to be read back.
    pub dns_s: u32,
    /// Seconds for each data source of the applications to be moved.
    pub applications_s: u32,
    /// Seconds for the topology to be as planned after a phase.
    pub verify_s: u32,
    /// Replication lag, in milliseconds, above which nothing is promoted.
    pub lag_ms_max: u32,
    /// Consecutive samples that must be at or below `lag_ms_max`.
    pub lag_samples: u32,
    /// Seconds for a person to answer.
    pub approval_s: u32,
    /// Seconds for which home must be seen to be well before an event starts a run.
    pub stable_s: u32,
    /// Seconds after the event within which home must have been well for so long.
    pub recover_s: u32,
}

impl Default for Limits {
    /// Three times and more what `docs/sandbox.md` lists as usual durations; the window in which
    /// writes are refused is bounded tightly.
    fn default() -> Self {
        Self {
            detach_s: 1800,
            delete_s: 5400,
            create_s: 7200,
            configure_s: 1800,
            fence_s: 600,
            catch_up_s: 600,
            promote_s: 1800,
            dns_s: 600,
            applications_s: 300,
            verify_s: 600,
            lag_ms_max: 1000,
            lag_samples: 2,
            approval_s: 14_400,
            stable_s: 1800,
            recover_s: 43_200,
        }
    }
}
