//! RDS: clusters, instances, snapshots and global clusters, with statuses that take time.

mod backup;
pub mod build;
mod checks;
mod cluster_api;
mod cluster_delete;
mod cluster_join;
mod cluster_modify;
mod cluster_restore;
mod endpoint_api;
pub mod event;
mod global_api;
mod global_leave;
mod global_move;
mod instance_api;
mod instance_event;
mod keys;
pub mod log;
mod lookup_api;
mod model;
mod params;
mod reboot_api;
mod render;
mod render_cluster;
pub mod settings;
mod tag_api;
mod upgrade;
mod version;
pub(crate) mod views;

pub use model::{
    Cluster, CustomEndpoint, GlobalCluster, Instance, Member, Membership, Operation,
    ParameterGroup, Rds, RdsRegion, Snapshot, SubnetGroup,
};

use crate::wire::{AwsError, RDS_NAMESPACE, Request, Response, Xml};
use crate::world::{EndpointKind, EndpointTarget, World};

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
        let (id, region, mark) = (&self.id, &self.region, &self.host_mark);
        format!("{id}.cluster{ro}-{unique}{mark}.{region}.rds.amazonaws.com")
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
    pub fn instances_of<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = &'a Instance> {
        self.regions
            .get(&cluster.region)
            .into_iter()
            .flat_map(|region| region.instances.values())
            .filter(|instance| instance.cluster_id == cluster.id)
    }

    /// True while a reader instance that is being deleted still answers running statements.
    #[must_use]
    pub fn grants_grace(&self, cluster: &Cluster, now_ms: i64) -> bool {
        self.instances_of(cluster).any(|i| i.status == "deleting" && now_ms < i.answers_until_ms)
    }

    /// The members of a global cluster, listed or not, in any Region.
    pub fn clusters_in<'a>(&'a self, global: &'a str) -> impl Iterator<Item = &'a Cluster> {
        self.clusters().filter(move |cluster| cluster.global() == Some(global))
    }

    /// True when the cluster answers statements: its status says so and an instance does.
    #[must_use]
    pub fn serves(&self, cluster: &Cluster) -> bool {
        CLUSTER_SERVES.contains(&cluster.status.as_str())
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
        // Clients ask all the time, and a host name is not made for nothing.
        for cluster in self.clusters().filter(|cluster| host.starts_with(&cluster.id)) {
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

const CLUSTER_SERVES: [&str; 10] = [
    "available",
    "backing-up",
    "modifying",
    "maintenance",
    "failing-over",
    "resetting-master-credentials",
    "renaming",
    "configuring-iam-database-auth",
    "update-iam-db-auth",
    "configuring-enhanced-monitoring",
];

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
    global_api::check_region(world, region, &operation)?;
    let result = match operation.as_str() {
        "CreateGlobalCluster" => global_api::create(world, region, &params),
        "DescribeGlobalClusters" => global_api::describe(world, region, &params),
        "ModifyGlobalCluster" => global_api::modify(world, &params),
        "RemoveFromGlobalCluster" => global_leave::remove(world, region, &params),
        "DeleteGlobalCluster" => global_api::delete(world, &params),
        "SwitchoverGlobalCluster" => global_move::switch_over(world, region, &params),
        "FailoverGlobalCluster" => global_move::fail_over(world, region, &params),
        "CreateDBCluster" => cluster_join::create(world, region, &params),
        "RestoreDBClusterFromSnapshot" => cluster_restore::restore(world, region, &params),
        "PromoteReadReplicaDBCluster" => global_leave::promote(world, region, &params),
        "DescribeDBClusters" => cluster_api::describe(world, region, &params),
        "ModifyDBCluster" => cluster_modify::modify(world, region, &params),
        "DeleteDBCluster" => cluster_delete::delete(world, region, &params),
        "AddRoleToDBCluster" => cluster_api::add_role(world, region, &params),
        "CreateDBClusterEndpoint" => endpoint_api::create(world, region, &params),
        "DescribeDBClusterEndpoints" => endpoint_api::describe(world, region, &params),
        "EnableHttpEndpoint" => cluster_api::enable_http_endpoint(world, &params),
        "CreateDBInstance" => instance_api::create(world, region, &params),
        "DescribeDBInstances" => instance_api::describe(world, region, &params),
        "ModifyDBInstance" => instance_api::modify(world, region, &params),
        "RebootDBInstance" => reboot_api::reboot(world, region, &params),
        "DeleteDBInstance" => instance_api::delete(world, region, &params),
        "DescribeDBClusterSnapshots" => lookup_api::snapshots(world, region, &params),
        "DescribeDBSubnetGroups" => lookup_api::subnet_groups(world, region, &params),
        "DescribeDBClusterParameterGroups" => {
            lookup_api::cluster_parameter_groups(world, region, &params)
        }
        "DescribeDBParameterGroups" => lookup_api::parameter_groups(world, region, &params),
        "DescribeEvents" => log::describe(world, region, &params),
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
