//! The execution's input: what an operator, or the environment, asks for.

mod check;
mod network;
mod secret;
pub mod superset;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use network::{FenceKind, Network};

use crate::settings::Captured;
use crate::task::Limits;

pub use superset::SupersetRequest;

/// A failback request. `statemachine/failback.schema.json` is generated from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// How the writer comes home.
    #[serde(default)]
    pub strategy: Strategy,
    /// The Region we fail back to.
    pub home: Side,
    /// The Region that runs meanwhile.
    pub away: Side,
    /// The three generations of the global cluster.
    pub global_clusters: GlobalClusters,
    /// Whether deletion protection of clusters that must be deleted may be switched off.
    #[serde(default)]
    pub clear_deletion_protection: bool,
    /// What a person is asked before it is done.
    #[serde(default)]
    pub approvals: Approvals,
    /// Bounds of the run.
    #[serde(default)]
    pub limits: Limits,
    /// What the applications use to find the database.
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Delete the former away cluster although nothing that is remembered proves that home holds
    /// what it acknowledged: somebody has compared them.
    #[serde(default)]
    pub accept_unproven_promotion: bool,
    /// Plan, say what would be done, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// How the writer comes home.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Rebuild home as a reader, fence away, detach home so that it becomes the writer; then
    /// rebuild away.
    #[default]
    Detach,
    /// Switch the writer over to home within its global cluster: to the cluster that Aurora's
    /// managed failover has brought back as a reader, or else to a rebuilt one. Away stays.
    Switchover,
    /// `switchover` where Aurora allows it, `detach` where an earlier run or Aurora rules it out.
    Auto,
}

/// Steps before which the run stops and asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// Before the stale home cluster is deleted.
    pub retire_home: bool,
    /// Before away is fenced and home is promoted.
    pub promote_home: bool,
    /// Before the former away cluster is deleted.
    pub retire_away: bool,
}

impl Approvals {
    /// A person is asked before each of them.
    pub fn all() -> Self {
        Self { retire_home: true, promote_home: true, retire_away: true }
    }
}

/// One of the two Regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Region name, such as `us-east-1`.
    pub region: String,
    /// The cluster that is there now: stale in home, the writer in away.
    pub cluster_id: String,
    /// The cluster that takes its place.
    pub restored_cluster_id: String,
    /// Instances of the cluster that takes its place, the intended writer first.
    pub restored_instances: Vec<RestoredInstance>,
    /// How the Region's database subnets are closed and opened.
    pub network: Network,
    /// Id of the final snapshot; derived from the cluster's resource id when absent.
    #[serde(default)]
    pub final_snapshot_id: Option<String>,
    /// Settings an earlier execution captured, for a cluster that is gone by now; those that the
    /// stack remembers when absent.
    #[serde(default)]
    pub captured: Option<Captured>,
    /// How the position of the cluster that is there now is read, which proves more than lag does;
    /// used of away.
    #[serde(default)]
    pub data_api: Option<DataApi>,
}

/// Access to a cluster's SQL through the Data API of RDS, which no network ACL stands in front of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataApi {
    /// ARN of the Secrets Manager secret with a user that may read the replication status.
    pub secret_arn: String,
}

/// An instance of a rebuilt cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoredInstance {
    /// `DBInstanceIdentifier`.
    pub id: String,
    /// The instance whose settings it takes; in order, the writer first, when absent.
    #[serde(default)]
    pub like: Option<String>,
}

/// Ids of global clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalClusters {
    /// The one from before the disaster, if it still exists.
    pub former: String,
    /// The one in which home catches up.
    pub restoring: String,
    /// The final one.
    pub restored: String,
}

/// Names the applications use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// Route 53 CNAME records.
    pub dns: Vec<DnsRequest>,
    /// Secrets of Secrets Manager that say where the database is.
    pub secrets: Vec<SecretRequest>,
    /// Instances of Apache Superset whose data sources follow the database.
    pub superset: Vec<SupersetRequest>,
}

/// A Route 53 CNAME record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsRequest {
    /// Hosted zone id.
    pub zone_id: String,
    /// Record name.
    pub name: String,
    /// What it shall point at.
    pub points_to: PointsTo,
    /// Time to live, in seconds; when absent 5, that of Aurora's own names. A record with a set
    /// identifier keeps the one that it has.
    #[serde(default)]
    pub ttl_s: Option<i64>,
    /// `SetIdentifier` of a record with a routing policy.
    #[serde(default)]
    pub set_identifier: Option<String>,
}

/// A secret of Secrets Manager whose JSON says where the database is: `host`, and where they are
/// there `dbClusterIdentifier` and `port`. Nothing else of it is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    /// Its ARN, or else its name and its Region.
    #[serde(default)]
    pub secret_arn: Option<String>,
    /// Its name, where no ARN is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Its Region, where no ARN is given: the one it is written in, not one of a replica.
    #[serde(default)]
    pub region: Option<String>,
    /// What it shall point at.
    pub points_to: PointsTo,
}

impl SecretRequest {
    /// What Secrets Manager knows it by.
    pub fn id(&self) -> &str {
        self.secret_arn.as_deref().or(self.name.as_deref()).unwrap_or_default()
    }

    /// The Region that it is asked for in.
    pub fn region(&self) -> &str {
        let of_arn = self.secret_arn.as_deref().and_then(|arn| arn.split(':').nth(3));
        of_arn.or(self.region.as_deref()).unwrap_or_default()
    }

    /// The name without what only an ARN has.
    pub fn short_name(&self) -> &str {
        self.id().split(":secret:").last().unwrap_or_default()
    }
}

/// The endpoint a name shall have once the failback is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointsTo {
    /// Home's cluster endpoint; moves straight after the promotion.
    HomeWriter,
    /// Home's reader endpoint; moves with the writer.
    HomeReader,
    /// Away's reader endpoint; moves when away is rebuilt.
    AwayReader,
}

/// Input that cannot be acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the input's field `{field}` {problem}. Nothing was changed. Correct the input and start again"
)]
pub struct InvalidRequest {
    /// Path of the field, such as `home.region`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl InvalidRequest {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// The JSON Schema of an execution's input.
pub fn schema() -> Value {
    schemars::schema_for!(Request).to_value()
}

impl Request {
    /// Reads and checks an execution input.
    ///
    /// # Errors
    /// The first field that is unknown, missing, of the wrong type, or that contradicts another.
    pub fn parse(value: &Value) -> Result<Self, InvalidRequest> {
        secret::none_in("", value)?;
        let request: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { "(top level)".to_owned() } else { path };
            InvalidRequest::new(field, format!("cannot be read: {}", error.inner()))
        })?;
        request.check()?;
        Ok(request)
    }
}
