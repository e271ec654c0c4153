//! Settings that a rebuilt cluster takes over from the one it replaces.
//!
//! `docs/settings.md` lists every field that the describe calls return and what becomes of it.
//! Engine and version are not here: they come from the current writer, never from the stale
//! cluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a DB cluster, as `DescribeDBClusters` returns them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSettings {
    /// `DBClusterParameterGroup`.
    pub parameter_group: Option<String>,
    /// `DBSubnetGroup`; decides the VPC.
    pub subnet_group: Option<String>,
    /// `VpcSecurityGroups`.
    pub security_group_ids: Vec<String>,
    /// `Port`.
    pub port: Option<i32>,
    /// `DBClusterOptionGroupMemberships`, unless it is a default group.
    pub option_group: Option<String>,
    /// `BackupRetentionPeriod`, in days.
    pub backup_retention_days: Option<i32>,
    /// `PreferredBackupWindow`.
    pub backup_window: Option<String>,
    /// `PreferredMaintenanceWindow`.
    pub maintenance_window: Option<String>,
    /// `KmsKeyId`, a key of the cluster's own Region.
    pub kms_key_id: Option<String>,
    /// `StorageType`; absent means `aurora`.
    pub storage_type: Option<String>,
    /// `EnabledCloudwatchLogsExports`.
    pub log_exports: Vec<String>,
    /// `IAMDatabaseAuthenticationEnabled`.
    pub iam_authentication: bool,
    /// `HttpEndpointEnabled`, applied after creation.
    pub http_endpoint: bool,
    /// `DeletionProtection`, applied last.
    pub deletion_protection: bool,
    /// `CopyTagsToSnapshot`.
    pub copy_tags_to_snapshot: bool,
    /// `TagList` without the keys that AWS owns (`aws:`).
    pub tags: BTreeMap<String, String>,
    /// `NetworkType`.
    pub network_type: Option<String>,
    /// `ServerlessV2ScalingConfiguration`.
    pub serverless_v2: Option<ServerlessV2>,
    /// `PerformanceInsights…`, applied after creation: a joining cluster drops it.
    pub performance_insights: Option<PerformanceInsights>,
    /// `DatabaseInsightsMode`, applied after creation.
    pub insights_mode: Option<String>,
    /// `MonitoringInterval` and `MonitoringRoleArn`, applied after creation.
    pub monitoring: Option<Monitoring>,
    /// `AutoMinorVersionUpgrade`.
    pub auto_minor_version_upgrade: Option<bool>,
    /// `DomainMemberships`.
    pub domain: Option<Domain>,
    /// `AssociatedRoles`, added after creation.
    pub roles: Vec<Role>,
    /// Custom endpoints, created after the instances.
    pub custom_endpoints: Vec<CustomEndpoint>,
    /// `GlobalWriteForwardingRequested`.
    pub global_write_forwarding: bool,
    /// `LocalWriteForwardingStatus` is `enabled` or becoming so.
    pub local_write_forwarding: bool,
}

/// `ServerlessV2ScalingConfiguration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerlessV2 {
    /// Fewest Aurora capacity units.
    pub min_capacity: Option<f64>,
    /// Most Aurora capacity units.
    pub max_capacity: Option<f64>,
    /// Idle seconds before it pauses.
    pub seconds_until_auto_pause: Option<i32>,
}

/// Performance Insights of a cluster or an instance that has it switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerformanceInsights {
    /// Key that encrypts its data.
    pub kms_key_id: Option<String>,
    /// Days its data is kept.
    pub retention_days: Option<i32>,
}

/// Enhanced Monitoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// Seconds between two samples.
    pub interval_s: i32,
    /// Role that may write them.
    pub role_arn: Option<String>,
}

/// A directory the cluster is joined to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Directory id.
    pub domain: String,
    /// Role used for the directory calls.
    pub iam_role_name: Option<String>,
}

/// An IAM role associated with the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Role ARN.
    pub role_arn: String,
    /// Feature it serves, where the engine names one.
    pub feature_name: Option<String>,
}

/// A custom endpoint of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomEndpoint {
    /// `DBClusterEndpointIdentifier`.
    pub id: String,
    /// `CustomEndpointType`: `READER` or `ANY`.
    pub kind: String,
    /// Instances it is limited to, by the ids they had.
    pub static_members: Vec<String>,
    /// Instances it leaves out, by the ids they had.
    pub excluded_members: Vec<String>,
}

/// Settings of a DB instance, as `DescribeDBInstances` returns them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceSettings {
    /// The instance these were read from.
    pub captured_from: String,
    /// `DBInstanceClass`.
    pub class: String,
    /// `DBParameterGroups[0]`.
    pub parameter_group: Option<String>,
    /// `AvailabilityZone`.
    pub availability_zone: Option<String>,
    /// `PromotionTier`.
    pub promotion_tier: Option<i32>,
    /// `PubliclyAccessible`.
    pub publicly_accessible: Option<bool>,
    /// `AutoMinorVersionUpgrade`.
    pub auto_minor_version_upgrade: Option<bool>,
    /// `PreferredMaintenanceWindow`.
    pub maintenance_window: Option<String>,
    /// `MonitoringInterval` and `MonitoringRoleArn`.
    pub monitoring: Option<Monitoring>,
    /// `PerformanceInsights…`.
    pub performance_insights: Option<PerformanceInsights>,
    /// `CACertificateIdentifier`.
    pub ca_certificate_id: Option<String>,
    /// `CopyTagsToSnapshot`.
    pub copy_tags_to_snapshot: Option<bool>,
    /// `TagList` without the keys that AWS owns.
    pub tags: BTreeMap<String, String>,
    /// `NetworkType`.
    pub network_type: Option<String>,
}

/// Everything captured of a cluster before it is deleted; may be given back in a later request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Captured {
    /// `DbClusterResourceId` of the cluster it was captured from.
    pub cluster_resource_id: String,
    /// Cluster settings.
    pub cluster: ClusterSettings,
    /// Instance settings, the writer first.
    pub instances: Vec<InstanceSettings>,
}
