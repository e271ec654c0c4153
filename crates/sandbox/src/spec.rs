//! The file that describes a world at its start.

mod database;
mod dns;
mod network;

use serde::{Deserialize, Serialize};

pub use database::{
    ClusterSpec, CustomEndpointSpec, GlobalClusterSpec, InstanceSpec, MemberSpec,
    ParameterGroupSpec, SnapshotSpec, SubnetGroupSpec,
};
pub use dns::{HostedZoneSpec, RecordSpec, RoutingSpec, ZoneVpcSpec};
pub use network::{
    IngressSpec, NetworkAclEntrySpec, NetworkAclSpec, SecurityGroupSpec, SubnetSpec, VpcSpec,
};

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
