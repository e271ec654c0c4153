//! What RDS holds.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::{ClusterSettings, InstanceSettings};

/// All that RDS holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rds {
    /// Twelve digits.
    pub account: String,
    /// By identifier; global clusters belong to no Region.
    pub globals: BTreeMap<String, GlobalCluster>,
    /// By name.
    pub regions: BTreeMap<String, RdsRegion>,
    /// From when on new IAM roles can be used, by ARN; those not in it can.
    pub new_roles_ms: BTreeMap<String, i64>,
    /// How many resource ids were given out.
    pub(crate) made: u64,
    /// How many instances were restarted: as long as it stays the same, no session was dropped by it.
    pub(crate) restarts: u64,
}

/// What RDS holds in one Region, each by identifier.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RdsRegion {
    /// DB clusters.
    pub clusters: BTreeMap<String, Cluster>,
    /// DB instances.
    pub instances: BTreeMap<String, Instance>,
    /// DB cluster snapshots.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// DB subnet groups.
    pub subnet_groups: BTreeMap<String, SubnetGroup>,
    /// DB cluster parameter groups.
    pub cluster_parameter_groups: BTreeMap<String, ParameterGroup>,
    /// DB parameter groups.
    pub parameter_groups: BTreeMap<String, ParameterGroup>,
    /// Names of option groups.
    pub option_groups: Vec<String>,
    /// ARNs of usable KMS keys.
    pub kms_keys: Vec<String>,
    /// Aurora has no global clusters here.
    pub without_global_clusters: bool,
}

/// A DB cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its Region.
    pub region: String,
    /// Its identifier.
    pub id: String,
    /// `cluster-…`; a cluster made again under the same name gets another one.
    pub resource_id: String,
    /// Its ARN.
    pub arn: String,
    /// The wire string.
    pub status: String,
    /// Its engine.
    pub engine: String,
    /// Its engine's version.
    pub engine_version: String,
    /// The database made with it.
    pub database_name: Option<String>,
    /// The master user.
    pub master_username: Option<String>,
    /// The secret RDS manages for the master user, if it does.
    pub managed_secret_arn: Option<String>,
    /// The key it is encrypted with; encrypted by default or not at all when absent.
    pub kms_key: Option<String>,
    /// Encrypted with a key of AWS's own, because nobody asked for one.
    pub encrypted_by_default: bool,
    /// What an operator chose for it.
    pub settings: ClusterSettings,
    /// What it becomes in its next maintenance window.
    pub pending: Option<ClusterSettings>,
    /// What it is being renamed to.
    pub new_id: Option<String>,
    /// What its host names have beside those of others of its name; empty unless made anew.
    pub host_mark: String,
    /// When it was made, in epoch milliseconds.
    pub created_at_ms: i64,
    /// Its place in a global cluster.
    pub membership: Membership,
    /// The global cluster it shows, which outlives the membership while it is still listed.
    pub shown_global: Option<String>,
    /// The instance that takes writes, or would after a promotion.
    pub writer_instance: Option<String>,
    /// Until when deletion is refused because it "is a part of a global cluster".
    pub guarded_until_ms: i64,
    /// Its automated backups outlive it.
    pub keeps_backups: bool,
    /// When its roles, security groups and managed secret take effect, by ARN or identifier; those
    /// not in it have.
    pub attached_ms: BTreeMap<String, i64>,
    /// Security groups that were taken away, and until when they still let clients in.
    pub detached_ms: BTreeMap<String, i64>,
    /// Its roles that will never work, by ARN.
    pub invalid_roles: BTreeSet<String>,
    /// Custom endpoints by identifier.
    pub endpoints: BTreeMap<String, CustomEndpoint>,
}

impl Cluster {
    /// Security groups that were taken away and still let clients in.
    pub(crate) fn leaving_groups(&self, now_ms: i64) -> impl Iterator<Item = &String> {
        self.detached_ms.iter().filter(move |(_, until_ms)| **until_ms > now_ms).map(|(id, _)| id)
    }

    /// The security groups that are asked about a new connection at this moment: a change takes a
    /// while, and until then those that were there before are.
    pub(crate) fn asked_groups(&self, now_ms: i64) -> Vec<String> {
        let attached =
            |id: &&String| self.attached_ms.get(*id).is_none_or(|at_ms| *at_ms <= now_ms);
        let own = self.settings.security_groups.iter().filter(attached);
        own.chain(self.leaving_groups(now_ms)).cloned().collect()
    }
}

/// A cluster's place in a global cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// It stands alone.
    Standalone,
    /// It is the writer of this global cluster.
    Writer {
        /// Identifier of the global cluster.
        global: String,
    },
    /// It is a reader of this global cluster.
    Reader {
        /// Identifier of the global cluster.
        global: String,
        /// ARN of the cluster it replicates.
        source: String,
    },
}

/// A custom endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomEndpoint {
    /// Its identifier.
    pub id: String,
    /// `READER` or `ANY`.
    pub endpoint_type: String,
    /// Instances it leads to.
    pub static_members: Vec<String>,
    /// Instances it does not lead to.
    pub excluded_members: Vec<String>,
    /// When it becomes `available`.
    pub active_from_ms: i64,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A DB instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its Region.
    pub region: String,
    /// Its identifier.
    pub id: String,
    /// `db-…`.
    pub resource_id: String,
    /// Its ARN.
    pub arn: String,
    /// The wire string.
    pub status: String,
    /// The cluster it is in.
    pub cluster_id: String,
    /// What an operator chose for it.
    pub settings: InstanceSettings,
    /// When it was made, in epoch milliseconds.
    pub created_at_ms: i64,
    /// Until when it answers running statements while it is being deleted.
    pub answers_until_ms: i64,
    /// How long after it has failed to be created it is available all the same, in milliseconds.
    pub recovers_after_ms: Option<i64>,
    /// Its parameter group has been changed, and it has not been rebooted since.
    pub wants_reboot: bool,
    /// When its engine last began to start, in epoch milliseconds: no session is older.
    pub booted_ms: i64,
}

/// A DB cluster snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its Region.
    pub region: String,
    /// Its identifier.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `creating` or `available`.
    pub status: String,
    /// `manual` or `automated`.
    pub snapshot_type: String,
    /// The cluster it was taken of.
    pub cluster_id: String,
    /// That cluster's resource id.
    pub cluster_resource_id: String,
    /// Its engine.
    pub engine: String,
    /// Its engine's version.
    pub engine_version: String,
    /// That cluster's key.
    pub kms_key: Option<String>,
    /// That cluster's master user.
    pub master_username: Option<String>,
    /// That cluster's port.
    pub port: i32,
    /// That cluster's VPC.
    pub vpc_id: String,
    /// When it was begun, in epoch milliseconds.
    pub created_at_ms: i64,
    /// When that cluster was made.
    pub cluster_created_at_ms: i64,
    /// How many rows it holds.
    pub rows: u64,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A DB subnet group.
#[derive(Debug, Clone, PartialEq)]
pub struct SubnetGroup {
    /// Its name.
    pub name: String,
    /// A sentence.
    pub description: String,
    /// The VPC of its subnets.
    pub vpc_id: String,
    /// Its subnets.
    pub subnets: Vec<String>,
}

/// A parameter group, of clusters or of instances.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterGroup {
    /// Its name.
    pub name: String,
    /// `aurora-mysql8.0`.
    pub family: String,
    /// A sentence.
    pub description: String,
}

/// A global cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalCluster {
    /// Its identifier.
    pub id: String,
    /// `cluster-…`.
    pub resource_id: String,
    /// Its ARN, whose Region is empty.
    pub arn: String,
    /// The wire string.
    pub status: String,
    /// Its engine.
    pub engine: String,
    /// Its engine's version.
    pub engine_version: String,
    /// The database of its first writer.
    pub database_name: Option<String>,
    /// Whether its members are encrypted with keys that were asked for.
    pub storage_encrypted: bool,
    /// Whether they are encrypted with keys of AWS's own.
    pub encrypted_by_default: bool,
    /// Extended support, where the engine has it.
    pub engine_lifecycle_support: Option<String>,
    /// Refuses deletion.
    pub deletion_protection: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// What Describe lists.
    pub members: Vec<Member>,
    /// A switchover or failover under way.
    pub operation: Option<Operation>,
    /// Until when it "is not empty", although no member is listed.
    pub not_empty_until_ms: i64,
    /// Until when another switchover is refused.
    pub setting_up_until_ms: i64,
}

/// A member of a global cluster, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The cluster's ARN.
    pub arn: String,
    /// Its role.
    pub is_writer: bool,
    /// `connected` or `pending-resync`; a writer has none.
    pub synchronization: Option<String>,
    /// Removed, and still listed.
    pub leaving: bool,
}

/// A switchover or failover under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// `pending`, `switching-over` or `failing-over`.
    pub status: String,
    /// ARN of the cluster that is demoted.
    pub from: String,
    /// ARN of the cluster that is promoted.
    pub to: String,
    /// True for a failover.
    pub data_loss_allowed: bool,
    /// It will not succeed.
    pub fails: bool,
}
