//! Databases at the start of a world, and what they are made of.

use serde::{Deserialize, Serialize};

use crate::rds::settings::{ClusterSettings, InstanceSettings};

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
