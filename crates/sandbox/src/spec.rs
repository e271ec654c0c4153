//! The file that describes a world at its start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rds::settings::{ClusterSettings, InstanceSettings};

/// Everything that exists when the clock starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldSpec {
    /// Twelve digits.
    pub account: String,
    /// The Regions and what is in them.
    pub regions: Vec<RegionSpec>,
    /// Global clusters, which belong to no Region.
    #[serde(default)]
    pub global_clusters: Vec<GlobalClusterSpec>,
    /// Route 53 hosted zones, which belong to no Region.
    #[serde(default)]
    pub hosted_zones: Vec<HostedZoneSpec>,
    /// The simulated clients that write and read.
    #[serde(default)]
    pub clients: Vec<ClientSpec>,
    /// Instances of Apache Superset, which belong to no Region.
    #[serde(default)]
    pub supersets: Vec<SupersetSpec>,
}

impl WorldSpec {
    /// The situation in which the failback workshop begins: home's cluster is stale, still the
    /// only member of the former global cluster and behind a deny-all network ACL; away's cluster
    /// stands alone and takes the writes.
    #[must_use]
    pub fn workshop() -> Self {
        serde_json::from_str(include_str!("../worlds/workshop.json"))
            .expect("the shipped world is read by a test")
    }

    /// The same two Regions after a managed failover: Aurora has brought home's cluster back as a
    /// reader of away's, in the former global cluster; home's subnets are still closed.
    #[must_use]
    pub fn managed() -> Self {
        serde_json::from_str(include_str!("../worlds/managed.json"))
            .expect("the shipped world is read by a test")
    }

    /// Reads a world from JSON.
    ///
    /// # Errors
    /// [`SpecError::Unreadable`], with the unknown or missing field's name.
    pub fn from_json(json: &str) -> Result<Self, SpecError> {
        serde_json::from_str(json).map_err(|error| SpecError::Unreadable(error.to_string()))
    }
}

/// Why a world cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The JSON does not have the form of a world.
    #[error("the world's file cannot be read: {0}")]
    Unreadable(String),
    /// Something refers to what is not there.
    #[error("{what} `{id}`, named by {by}, does not exist in the world")]
    Dangling {
        /// The kind of thing that is missing.
        what: &'static str,
        /// Its name.
        id: String,
        /// Who refers to it.
        by: String,
    },
    /// A value cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl SpecError {
    /// Something refers to what is not there.
    pub fn dangling(what: &'static str, id: impl Into<String>, by: impl Into<String>) -> Self {
        Self::Dangling { what, id: id.into(), by: by.into() }
    }
}

/// One Region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionSpec {
    /// `us-east-1`.
    pub name: String,
    /// Networks.
    #[serde(default)]
    pub vpcs: Vec<VpcSpec>,
    /// DB subnet groups.
    #[serde(default)]
    pub subnet_groups: Vec<SubnetGroupSpec>,
    /// DB cluster parameter groups.
    #[serde(default)]
    pub cluster_parameter_groups: Vec<ParameterGroupSpec>,
    /// DB parameter groups.
    #[serde(default)]
    pub parameter_groups: Vec<ParameterGroupSpec>,
    /// Option groups, by name.
    #[serde(default)]
    pub option_groups: Vec<String>,
    /// KMS keys that may be used, by ARN.
    #[serde(default)]
    pub kms_keys: Vec<String>,
    /// DB clusters.
    #[serde(default)]
    pub clusters: Vec<ClusterSpec>,
    /// DB cluster snapshots.
    #[serde(default)]
    pub snapshots: Vec<SnapshotSpec>,
    /// Secrets of Secrets Manager.
    #[serde(default)]
    pub secrets: Vec<SecretSpec>,
}

/// A secret of Secrets Manager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    /// Its name, without the characters that its ARN has at the end.
    pub name: String,
    /// What it holds: a text, or JSON that becomes one. Texts in it stand for endpoints as in a
    /// record's values.
    pub value: serde_json::Value,
    /// The key it is encrypted with; AWS's own when absent.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// The service that keeps it, such as `rds`, if it is not the account's own.
    #[serde(default)]
    pub owning_service: Option<String>,
    /// Regions that have a replica of it.
    #[serde(default)]
    pub replicas: Vec<String>,
}

/// A VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VpcSpec {
    /// `vpc-…`.
    pub id: String,
    /// `10.1.0.0/16`.
    pub cidr: String,
    /// Its subnets.
    pub subnets: Vec<SubnetSpec>,
    /// Its network ACLs; exactly one is the default.
    pub network_acls: Vec<NetworkAclSpec>,
    /// Its security groups.
    #[serde(default)]
    pub security_groups: Vec<SecurityGroupSpec>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetSpec {
    /// `subnet-…`.
    pub id: String,
    /// `us-east-1a`.
    pub availability_zone: String,
    /// `10.1.10.0/24`.
    pub cidr: String,
    /// The network ACL it is associated with; the VPC's default one when absent.
    #[serde(default)]
    pub network_acl: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A network ACL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkAclSpec {
    /// `acl-…`.
    pub id: String,
    /// True for the VPC's default one.
    #[serde(default)]
    pub default: bool,
    /// The numbered rules; the final implicit deny is not listed.
    #[serde(default)]
    pub entries: Vec<NetworkAclEntrySpec>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A rule of a network ACL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkAclEntrySpec {
    /// Evaluated in ascending order.
    pub rule_number: i32,
    /// Outbound when true.
    pub egress: bool,
    /// `-1` for all, `6` for TCP.
    pub protocol: String,
    /// Allow when true, deny when false.
    pub allow: bool,
    /// `0.0.0.0/0`.
    pub cidr: String,
    /// First and last port, for TCP.
    #[serde(default)]
    pub ports: Option<(u16, u16)>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupSpec {
    /// `sg-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What may come in.
    #[serde(default)]
    pub ingress: Vec<IngressSpec>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressSpec {
    /// `tcp`, or `-1` for all.
    pub protocol: String,
    /// First and last port; all when absent.
    #[serde(default)]
    pub ports: Option<(u16, u16)>,
    /// From where.
    pub cidr: String,
}

/// A DB subnet group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetGroupSpec {
    /// Its name, lower case.
    pub name: String,
    /// A sentence.
    #[serde(default)]
    pub description: String,
    /// Subnets of one VPC.
    pub subnets: Vec<String>,
}

/// A parameter group, of clusters or of instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroupSpec {
    /// Its name.
    pub name: String,
    /// `aurora-mysql8.0`.
    pub family: String,
    /// A sentence.
    #[serde(default)]
    pub description: String,
}

/// A DB cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSpec {
    /// Its identifier.
    pub id: String,
    /// `aurora-mysql` or `aurora-postgresql`.
    pub engine: String,
    /// `8.0.mysql_aurora.3.08.0`.
    pub engine_version: String,
    /// The database made with it.
    #[serde(default)]
    pub database_name: Option<String>,
    /// The master user.
    #[serde(default)]
    pub master_username: Option<String>,
    /// The ARN of the secret RDS manages for it, if it does.
    #[serde(default)]
    pub managed_secret_arn: Option<String>,
    /// The key it is encrypted with; not encrypted when absent.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// What an operator chose for it.
    #[serde(default)]
    pub settings: ClusterSettings,
    /// Its instances; the first one is the writer.
    #[serde(default)]
    pub instances: Vec<InstanceSpec>,
    /// Custom endpoints.
    #[serde(default)]
    pub custom_endpoints: Vec<CustomEndpointSpec>,
    /// How many of the rows that exist at the start it holds. Rows are numbered from 0 and common
    /// to all clusters: one with 100 holds the first 100 of those that another one has.
    #[serde(default)]
    pub rows: u64,
    /// How many rows it holds that no other cluster got: what it had acknowledged when the disaster
    /// came and had not replicated.
    #[serde(default)]
    pub rows_of_its_own: u64,
}

/// A DB instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceSpec {
    /// Its identifier.
    pub id: String,
    /// What an operator chose for it.
    pub settings: InstanceSettings,
}

/// A custom endpoint of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomEndpointSpec {
    /// Its identifier.
    pub id: String,
    /// `READER` or `ANY`.
    pub endpoint_type: String,
    /// Instances it leads to.
    #[serde(default)]
    pub static_members: Vec<String>,
    /// Instances it does not lead to.
    #[serde(default)]
    pub excluded_members: Vec<String>,
}

/// A DB cluster snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotSpec {
    /// Its identifier.
    pub id: String,
    /// The cluster it was taken of.
    pub cluster: String,
    /// The rows it holds.
    #[serde(default)]
    pub rows: u64,
}

/// A global cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalClusterSpec {
    /// Its identifier.
    pub id: String,
    /// Its members; exactly one is the writer, unless there are none.
    pub members: Vec<MemberSpec>,
    /// Refuses deletion.
    #[serde(default)]
    pub deletion_protection: bool,
}

/// A member of a global cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSpec {
    /// Where.
    pub region: String,
    /// Which cluster.
    pub cluster: String,
    /// Its role.
    #[serde(default)]
    pub writer: bool,
}

/// A hosted zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostedZoneSpec {
    /// `Z…`.
    pub id: String,
    /// The domain, with or without the final dot.
    pub name: String,
    /// VPCs it is private to; public when empty.
    #[serde(default)]
    pub private_to: Vec<ZoneVpcSpec>,
    /// Records other than NS and SOA.
    #[serde(default)]
    pub records: Vec<RecordSpec>,
}

/// A VPC that sees a private zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneVpcSpec {
    /// Its Region.
    pub region: String,
    /// `vpc-…`.
    pub vpc: String,
}

/// A DNS record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordSpec {
    /// The full name, with or without the final dot.
    pub name: String,
    /// `CNAME`, `A`, …
    #[serde(rename = "type")]
    pub record_type: String,
    /// Seconds.
    pub ttl_s: u32,
    /// What it says; `{writer:<region>/<cluster>}` and `{reader:<region>/<cluster>}` stand for
    /// endpoints, whose host names are only known once the world is built.
    pub values: Vec<String>,
    /// What tells it from others of its name and type.
    #[serde(default)]
    pub set_identifier: Option<String>,
    /// How it is chosen among them.
    #[serde(default)]
    pub routing: Option<RoutingSpec>,
    /// The health check that can take it out of the answers.
    #[serde(default)]
    pub health_check_id: Option<String>,
}

/// How Route 53 chooses between records of the same name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RoutingSpec {
    /// By weight.
    Weight(u8),
    /// By latency, from this Region.
    Region(String),
    /// `PRIMARY` or `SECONDARY`.
    Failover(String),
}

/// A simulated client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSpec {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub location: ClientLocation,
    /// The host name it writes to, or an endpoint as in a record's values.
    #[serde(default)]
    pub writes_to: Option<String>,
    /// Milliseconds between two writes.
    #[serde(default = "a_second")]
    pub write_every_ms: i64,
    /// The host name it reads from.
    #[serde(default)]
    pub reads_from: Option<String>,
    /// Milliseconds between two reads.
    #[serde(default = "a_second")]
    pub read_every_ms: i64,
    /// How long it keeps a resolved name at least, whatever the record's TTL says.
    #[serde(default)]
    pub dns_cache_ms_min: i64,
}

fn a_second() -> i64 {
    1_000
}

/// Where a client runs, which decides what it can reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientLocation {
    /// Its Region.
    pub region: String,
    /// The VPC it runs in, whose private zones it sees.
    pub vpc: String,
    /// Its address.
    pub ip: std::net::Ipv4Addr,
}

/// An instance of Apache Superset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupersetSpec {
    /// Its address.
    pub url: String,
    /// The login of its API.
    pub username: String,
    /// Of that login.
    pub password: String,
    /// Where it runs.
    pub location: ClientLocation,
    /// Its data sources.
    #[serde(default)]
    pub databases: Vec<SupersetDatabaseSpec>,
}

/// A data source of Apache Superset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupersetDatabaseSpec {
    /// Its name.
    pub name: String,
    /// How it connects, with its password, which makes an account of the databases; its host may be
    /// an endpoint as in a record's values.
    pub sqlalchemy_uri: String,
    /// How many datasets are made of it.
    #[serde(default)]
    pub datasets: u32,
}
