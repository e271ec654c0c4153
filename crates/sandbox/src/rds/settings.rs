//! What an operator chooses for a cluster or an instance, and would want back after a rebuild.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of a DB cluster that Describe returns and Create or Modify takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSettings {
    /// DB cluster parameter group.
    pub parameter_group: String,
    /// DB subnet group, which decides the VPC.
    pub subnet_group: String,
    /// VPC security groups.
    pub security_groups: Vec<String>,
    /// TCP port.
    pub port: i32,
    /// Option group, if not the default one.
    pub option_group: Option<String>,
    /// Storage Availability Zones.
    pub availability_zones: Vec<String>,
    /// Days automated backups are kept.
    pub backup_retention_days: i32,
    /// `hh:mm-hh:mm`, UTC.
    pub backup_window: String,
    /// `ddd:hh:mm-ddd:hh:mm`, UTC.
    pub maintenance_window: String,
    /// `aurora-iopt1`, or nothing for standard storage.
    pub storage_type: Option<String>,
    /// Logs sent to CloudWatch Logs.
    pub log_exports: Vec<String>,
    /// IAM database authentication.
    pub iam_authentication: bool,
    /// The Data API.
    pub http_endpoint: bool,
    /// Refuses deletion.
    pub deletion_protection: bool,
    /// Tags of the cluster go to its snapshots.
    pub copy_tags_to_snapshot: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// `IPV4` or `DUAL`.
    pub network_type: String,
    /// Capacity range of serverless instances.
    pub serverless_v2: Option<ServerlessV2>,
    /// Performance Insights.
    pub performance_insights: Option<PerformanceInsights>,
    /// `standard` or `advanced`.
    pub database_insights_mode: Option<String>,
    /// Enhanced Monitoring.
    pub monitoring: Option<Monitoring>,
    /// Has no effect on members of a global cluster.
    pub auto_minor_version_upgrade: bool,
    /// `open-source-rds-extended-support` or `…-disabled`.
    pub engine_lifecycle_support: Option<String>,
    /// Active Directory.
    pub domain: Option<Domain>,
    /// IAM roles of engine features.
    pub roles: Vec<Role>,
    /// Write forwarding from a reader of a global cluster.
    pub global_write_forwarding: bool,
    /// Write forwarding from reader instances.
    pub local_write_forwarding: bool,
    /// Seconds; global clusters do not support any.
    pub backtrack_window_s: Option<i64>,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            parameter_group: String::new(),
            subnet_group: "default".to_owned(),
            security_groups: Vec::new(),
            port: 3306,
            option_group: None,
            availability_zones: Vec::new(),
            backup_retention_days: 1,
            backup_window: "04:12-04:42".to_owned(),
            maintenance_window: "sun:06:30-sun:07:00".to_owned(),
            storage_type: None,
            log_exports: Vec::new(),
            iam_authentication: false,
            http_endpoint: false,
            deletion_protection: false,
            copy_tags_to_snapshot: false,
            tags: BTreeMap::new(),
            network_type: "IPV4".to_owned(),
            serverless_v2: None,
            performance_insights: None,
            database_insights_mode: None,
            monitoring: None,
            auto_minor_version_upgrade: true,
            engine_lifecycle_support: None,
            domain: None,
            roles: Vec::new(),
            global_write_forwarding: false,
            local_write_forwarding: false,
            backtrack_window_s: None,
        }
    }
}

/// Capacity range of serverless instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerlessV2 {
    /// Aurora capacity units.
    pub min_capacity: f64,
    /// Aurora capacity units.
    pub max_capacity: f64,
    /// Seconds without use after which it pauses.
    #[serde(default)]
    pub seconds_until_auto_pause: Option<i32>,
}

/// Performance Insights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerformanceInsights {
    /// The key its data is encrypted with.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// Days its data is kept.
    pub retention_days: i32,
}

/// Enhanced Monitoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// Seconds between two collections.
    pub interval_s: i32,
    /// The role that sends them.
    pub role_arn: String,
}

/// Membership of an Active Directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// `d-…`.
    pub id: String,
    /// The role that talks to the directory.
    pub role_name: String,
}

/// An IAM role of an engine feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The feature, where the engine asks for one.
    #[serde(default)]
    pub feature: Option<String>,
}

/// Settings of a DB instance that Describe returns and Create or Modify takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceSettings {
    /// `db.r6g.large`.
    pub class: String,
    /// DB parameter group.
    pub parameter_group: String,
    /// Availability Zone.
    pub availability_zone: Option<String>,
    /// 0 is promoted first.
    pub promotion_tier: i32,
    /// Has a public address.
    pub publicly_accessible: bool,
    /// Upgrades by itself.
    pub auto_minor_version_upgrade: bool,
    /// `ddd:hh:mm-ddd:hh:mm`, UTC.
    pub maintenance_window: String,
    /// Enhanced Monitoring.
    pub monitoring: Option<Monitoring>,
    /// Performance Insights.
    pub performance_insights: Option<PerformanceInsights>,
    /// Certificate authority.
    pub ca_certificate: String,
    /// Meaningless for Aurora, and yet returned.
    pub copy_tags_to_snapshot: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// `IPV4` or `DUAL`.
    pub network_type: String,
}

impl Default for InstanceSettings {
    fn default() -> Self {
        Self {
            class: "db.r6g.large".to_owned(),
            parameter_group: String::new(),
            availability_zone: None,
            promotion_tier: 1,
            publicly_accessible: false,
            auto_minor_version_upgrade: true,
            maintenance_window: "sun:06:30-sun:07:00".to_owned(),
            monitoring: None,
            performance_insights: None,
            ca_certificate: "rds-ca-rsa2048-g1".to_owned(),
            copy_tags_to_snapshot: false,
            tags: BTreeMap::new(),
            network_type: "IPV4".to_owned(),
        }
    }
}
