//! RDS: clusters, instances, snapshots and global clusters, with statuses that take time.

pub mod build;
mod cluster_api;
mod cluster_delete;
mod cluster_join;
pub mod event;
mod global_api;
mod global_move;
mod instance_api;
mod lookup_api;
mod params;
mod render;
mod render_cluster;
pub mod settings;
mod tag_api;

use std::collections::BTreeMap;

use crate::wire::{AwsError, RDS_NAMESPACE, Request, Response, Xml};
use crate::world::{EndpointKind, EndpointTarget, World};
use settings::{ClusterSettings, InstanceSettings};

/// All that RDS holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rds {
    /// Twelve digits.
    pub account: String,
    /// By identifier; global clusters belong to no Region.
    pub globals: BTreeMap<String, GlobalCluster>,
    /// By name.
    pub regions: BTreeMap<String, RdsRegion>,
    /// How many resource ids were given out.
    pub(crate) made: u64,
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
    /// The key it is encrypted with; not encrypted when absent.
    pub kms_key: Option<String>,
    /// What an operator chose for it.
    pub settings: ClusterSettings,
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
    /// When its roles become `ACTIVE`, by ARN; those not in it are.
    pub roles_active_ms: BTreeMap<String, i64>,
    /// Custom endpoints by identifier.
    pub endpoints: BTreeMap<String, CustomEndpoint>,
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
    /// Whether its members are encrypted.
    pub storage_encrypted: bool,
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
}

impl Cluster {
    /// The global cluster it is in, if any.
    #[must_use]
    pub fn global(&self) -> Option<&str> {
        match &self.membership {
            Membership::Standalone => None,
            Membership::Writer { global } | Membership::Reader { global, .. } => Some(global),
        }
    }

    /// True for a reader of a global cluster.
    #[must_use]
    pub const fn is_reader(&self) -> bool {
        matches!(self.membership, Membership::Reader { .. })
    }

    /// Host name of an endpoint.
    #[must_use]
    pub fn host(&self, kind: EndpointKind, account: &str) -> String {
        let ro = if kind == EndpointKind::Reader { "-ro" } else { "" };
        let unique = unique(account, &self.region);
        format!("{}.cluster{ro}-{unique}.{}.rds.amazonaws.com", self.id, self.region)
    }
}

impl GlobalCluster {
    /// The member listed as writer.
    #[must_use]
    pub fn writer(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.is_writer)
    }

    /// A listed member.
    #[must_use]
    pub fn member(&self, arn: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.arn == arn)
    }

    /// Host name of the global writer endpoint.
    #[must_use]
    pub fn host(&self, account: &str) -> String {
        format!("{}.global-{}.global.rds.amazonaws.com", self.id, unique(account, "global"))
    }
}

/// The part of a host name that an account has in a Region.
pub(crate) fn unique(account: &str, region: &str) -> String {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in account.bytes().chain(region.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    }
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut letters = String::from("c");
    for _ in 0..11 {
        letters.push(char::from(alphabet[usize::try_from(hash % 36).unwrap_or_default()]));
        hash /= 36;
    }
    letters
}

impl Rds {
    /// A cluster.
    #[must_use]
    pub fn cluster(&self, region: &str, id: &str) -> Option<&Cluster> {
        self.regions.get(region)?.clusters.get(id)
    }

    pub(crate) fn cluster_mut(&mut self, region: &str, id: &str) -> Option<&mut Cluster> {
        self.regions.get_mut(region)?.clusters.get_mut(id)
    }

    /// A cluster in any Region.
    #[must_use]
    pub fn cluster_by_arn(&self, arn: &str) -> Option<&Cluster> {
        self.clusters().find(|cluster| cluster.arn == arn)
    }

    pub(crate) fn cluster_by_arn_mut(&mut self, arn: &str) -> Option<&mut Cluster> {
        self.regions.values_mut().flat_map(|r| r.clusters.values_mut()).find(|c| c.arn == arn)
    }

    /// Every cluster, by Region and identifier.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.regions.values().flat_map(|region| region.clusters.values())
    }

    /// An instance.
    #[must_use]
    pub fn instance(&self, region: &str, id: &str) -> Option<&Instance> {
        self.regions.get(region)?.instances.get(id)
    }

    /// The instances of a cluster, those being deleted included.
    pub fn instances_of(&self, cluster: &Cluster) -> impl Iterator<Item = &Instance> {
        let (region, id) = (cluster.region.clone(), cluster.id.clone());
        self.regions
            .get(&region)
            .into_iter()
            .flat_map(|region| region.instances.values())
            .filter(move |instance| instance.cluster_id == id)
    }

    /// True when the cluster answers statements: its status says so and an instance does.
    #[must_use]
    pub fn serves(&self, cluster: &Cluster) -> bool {
        let serving = ["available", "backing-up", "modifying", "maintenance", "failing-over"];
        serving.contains(&cluster.status.as_str())
            && self.instances_of(cluster).any(|i| INSTANCE_SERVES.contains(&i.status.as_str()))
    }

    /// True when the cluster takes writes: it serves, it is no reader of a global cluster, and its
    /// writer instance answers.
    #[must_use]
    pub fn accepts_writes(&self, cluster: &Cluster) -> bool {
        self.serves(cluster)
            && cluster.status != "failing-over"
            && !cluster.is_reader()
            && cluster
                .writer_instance
                .as_deref()
                .and_then(|id| self.instance(&cluster.region, id))
                .is_some_and(|i| INSTANCE_SERVES.contains(&i.status.as_str()))
    }

    /// The cluster behind a host name.
    #[must_use]
    pub fn resolve_endpoint(&self, host: &str) -> Option<EndpointTarget> {
        let target = |cluster: &Cluster, kind| EndpointTarget {
            region: cluster.region.clone(),
            cluster_id: cluster.id.clone(),
            kind,
        };
        for cluster in self.clusters() {
            for kind in [EndpointKind::Writer, EndpointKind::Reader] {
                if cluster.host(kind, &self.account) == host {
                    return Some(target(cluster, kind));
                }
            }
        }
        let global = self.globals.values().find(|g| g.host(&self.account) == host)?;
        let cluster = self.cluster_by_arn(&global.writer()?.arn)?;
        Some(target(cluster, EndpointKind::Writer))
    }

    /// A new resource id, the same in every run.
    pub(crate) fn new_resource_id(&mut self, prefix: &str) -> String {
        self.made += 1;
        let mut x = self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut id = String::new();
        for _ in 0..26 {
            x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            id.push(char::from(alphabet[usize::try_from(x >> 59).unwrap_or_default()]));
        }
        format!("{prefix}-{id}")
    }

    pub(crate) fn arn(&self, region: &str, kind: &str, id: &str) -> String {
        format!("arn:aws:rds:{region}:{}:{kind}:{id}", self.account)
    }
}

const INSTANCE_SERVES: [&str; 6] = [
    "available",
    "backing-up",
    "modifying",
    "storage-optimization",
    "configuring-enhanced-monitoring",
    "maintenance",
];

/// What an operation answers with: the content of its result element, or nothing.
pub(crate) type Answer = Result<Option<String>, AwsError>;

/// Answers a call to RDS.
///
/// # Errors
/// What the service would refuse with.
pub fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    let params = request.params();
    let operation = request.operation();
    let region = request.region.as_str();
    if !world.rds.regions.contains_key(region) {
        return Err(AwsError::bad_request(
            "InvalidParameterValue",
            format!("The Region {region} is not part of this world"),
        ));
    }
    let result = match operation.as_str() {
        "CreateGlobalCluster" => global_api::create(world, region, &params),
        "DescribeGlobalClusters" => global_api::describe(world, &params),
        "ModifyGlobalCluster" => global_api::modify(world, &params),
        "RemoveFromGlobalCluster" => global_move::remove(world, &params),
        "DeleteGlobalCluster" => global_api::delete(world, &params),
        "SwitchoverGlobalCluster" => global_move::switch_over(world, &params),
        "FailoverGlobalCluster" => global_move::fail_over(world, &params),
        "CreateDBCluster" => cluster_join::create(world, region, &params),
        "DescribeDBClusters" => cluster_api::describe(world, region, &params),
        "ModifyDBCluster" => cluster_api::modify(world, region, &params),
        "DeleteDBCluster" => cluster_delete::delete(world, region, &params),
        "AddRoleToDBCluster" => cluster_api::add_role(world, region, &params),
        "CreateDBClusterEndpoint" => cluster_api::create_endpoint(world, region, &params),
        "DescribeDBClusterEndpoints" => cluster_api::describe_endpoints(world, region, &params),
        "EnableHttpEndpoint" => cluster_api::enable_http_endpoint(world, &params),
        "CreateDBInstance" => instance_api::create(world, region, &params),
        "DescribeDBInstances" => instance_api::describe(world, region, &params),
        "ModifyDBInstance" => instance_api::modify(world, region, &params),
        "DeleteDBInstance" => instance_api::delete(world, region, &params),
        "DescribeDBClusterSnapshots" => lookup_api::snapshots(world, region, &params),
        "DescribeDBSubnetGroups" => lookup_api::subnet_groups(world, region, &params),
        "DescribeDBClusterParameterGroups" => {
            lookup_api::cluster_parameter_groups(world, region, &params)
        }
        "DescribeDBParameterGroups" => lookup_api::parameter_groups(world, region, &params),
        "AddTagsToResource" => tag_api::add(world, &params),
        "ListTagsForResource" => tag_api::list(world, &params),
        other => Err(AwsError::unknown_operation(other)),
    }?;
    Ok(envelope(&operation, result.as_deref(), &world.request_id()))
}

fn envelope(operation: &str, result: Option<&str>, request_id: &str) -> Response {
    let mut xml = Xml::new();
    xml.root(&format!("{operation}Response"), RDS_NAMESPACE, |xml| {
        if let Some(result) = result {
            xml.element(&format!("{operation}Result"), |xml| xml.raw(result));
        }
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    Response::xml(xml.finish())
}
