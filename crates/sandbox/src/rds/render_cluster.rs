//! A `DBCluster` as XML.

use super::render::{custom_host, encryption_type, forwarding_status, security_groups, tags};
use super::{Cluster, Membership, Rds};
use crate::wire::{Xml, iso8601};
use crate::world::{EndpointKind, World};

/// The content of a `DBCluster`.
pub(super) fn cluster(xml: &mut Xml, cluster: &Cluster, world: &World) {
    let (rds, now_ms) = (&world.rds, world.now_ms);
    let settings = &cluster.settings;
    identity(xml, cluster, rds);
    xml.text("AllocatedStorage", 1);
    xml.texts("AvailabilityZones", "AvailabilityZone", &settings.availability_zones);
    xml.text("BackupRetentionPeriod", settings.backup_retention_days);
    xml.text("DBClusterParameterGroup", &settings.parameter_group);
    xml.text("DBSubnetGroup", &settings.subnet_group);
    xml.text("PreferredBackupWindow", &settings.backup_window);
    xml.text("PreferredMaintenanceWindow", &settings.maintenance_window);
    if let Some(group) = &settings.option_group {
        xml.list(
            "DBClusterOptionGroupMemberships",
            "DBClusterOptionGroup",
            [group],
            |xml, name| {
                xml.text("DBClusterOptionGroupName", name);
                xml.text("Status", "in-sync");
            },
        );
    }
    replication(xml, cluster, rds);
    members(xml, cluster, world);
    let active = |what: &str| cluster.attached_ms.get(what).is_none_or(|at_ms| *at_ms <= now_ms);
    security_groups(xml, cluster, now_ms);
    encryption(xml, cluster);
    xml.list("AssociatedRoles", "DBClusterRole", &settings.roles, |xml, role| {
        let status = match (active(&role.arn), cluster.invalid_roles.contains(&role.arn)) {
            (false, _) => "PENDING",
            (true, false) => "ACTIVE",
            (true, true) => "INVALID",
        };
        xml.text("RoleArn", &role.arn);
        xml.text("Status", status);
        xml.maybe("FeatureName", role.feature.as_ref());
    });
    xml.text("IAMDatabaseAuthenticationEnabled", settings.iam_authentication);
    xml.maybe("BacktrackWindow", settings.backtrack_window_s);
    xml.texts("EnabledCloudwatchLogsExports", "member", &settings.log_exports);
    xml.text("EngineMode", "provisioned");
    xml.maybe("StorageType", settings.storage_type.as_ref());
    xml.text("AutoMinorVersionUpgrade", settings.auto_minor_version_upgrade);
    xml.text("DeletionProtection", settings.deletion_protection);
    xml.text("HttpEndpointEnabled", settings.http_endpoint);
    xml.text("ActivityStreamStatus", "stopped");
    xml.text("CopyTagsToSnapshot", settings.copy_tags_to_snapshot);
    xml.text("CrossAccountClone", false);
    if let Some(domain) = &settings.domain {
        xml.list("DomainMemberships", "DomainMembership", [domain], |xml, domain| {
            xml.text("Domain", &domain.id);
            xml.text("Status", "joined");
            xml.text("IAMRoleName", &domain.role_name);
        });
    }
    tags(xml, &settings.tags);
    xml.text("NetworkType", &settings.network_type);
    observation(xml, cluster);
    if let Some(secret) = &cluster.managed_secret_arn {
        xml.element("MasterUserSecret", |xml| {
            xml.text("SecretArn", secret);
            xml.text("SecretStatus", if active(secret) { "active" } else { "creating" });
        });
    }
    let forwards = if settings.local_write_forwarding { "enabled" } else { "disabled" };
    xml.text("LocalWriteForwardingStatus", forwards);
    xml.maybe("EngineLifecycleSupport", settings.engine_lifecycle_support.as_ref());
    if cluster.pending.is_some() || cluster.new_id.is_some() {
        xml.element("PendingModifiedValues", |xml| pending(xml, cluster));
    }
}

/// What is put off until the maintenance window, as far as the service tells it.
fn pending(xml: &mut Xml, cluster: &Cluster) {
    xml.maybe("DBClusterIdentifier", cluster.new_id.as_ref());
    let Some(pending) = &cluster.pending else { return };
    if pending.iam_authentication != cluster.settings.iam_authentication {
        xml.text("IAMDatabaseAuthenticationEnabled", pending.iam_authentication);
    }
    if pending.storage_type != cluster.settings.storage_type {
        xml.maybe("StorageType", pending.storage_type.as_ref());
    }
}

fn identity(xml: &mut Xml, cluster: &Cluster, rds: &Rds) {
    let settings = &cluster.settings;
    xml.text("DBClusterIdentifier", &cluster.id);
    xml.text("DbClusterResourceId", &cluster.resource_id);
    xml.text("DBClusterArn", &cluster.arn);
    xml.text("Status", &cluster.status);
    xml.text("Engine", &cluster.engine);
    xml.text("EngineVersion", &cluster.engine_version);
    xml.maybe("DatabaseName", cluster.database_name.as_ref());
    xml.maybe("MasterUsername", cluster.master_username.as_ref());
    xml.text("ClusterCreateTime", iso8601(cluster.created_at_ms));
    xml.text("Endpoint", cluster.host(EndpointKind::Writer, &rds.account));
    xml.text("ReaderEndpoint", cluster.host(EndpointKind::Reader, &rds.account));
    let custom = cluster.endpoints.values().map(|e| custom_host(e, cluster, &rds.account));
    xml.texts("CustomEndpoints", "member", custom);
    xml.text("Port", settings.port);
    xml.text("MultiAZ", rds.instances_of(cluster).count() > 1);
}

fn replication(xml: &mut Xml, cluster: &Cluster, rds: &Rds) {
    xml.maybe("GlobalClusterIdentifier", cluster.shown_global.as_ref());
    if let Membership::Reader { source, .. } = &cluster.membership {
        xml.text("ReplicationSourceIdentifier", source);
        let requested = cluster.settings.global_write_forwarding;
        let created = cluster.status != "creating";
        xml.text("GlobalWriteForwardingStatus", forwarding_status(requested, created));
        xml.text("GlobalWriteForwardingRequested", requested);
    }
    let replicas = rds.clusters().filter(|other| {
        matches!(&other.membership, Membership::Reader { source, .. } if *source == cluster.arn)
    });
    xml.texts("ReadReplicaIdentifiers", "ReadReplicaIdentifier", replicas.map(|c| &c.arn));
}

fn members(xml: &mut Xml, cluster: &Cluster, world: &World) {
    let instances = world.rds.instances_of(cluster);
    let shows = !cluster.is_reader() || world.behaviour.reader_shows_a_writer_instance;
    xml.list("DBClusterMembers", "DBClusterMember", instances, |xml, instance| {
        let writes = shows && cluster.writer_instance.as_ref() == Some(&instance.id);
        xml.text("DBInstanceIdentifier", &instance.id);
        xml.text("IsClusterWriter", writes);
        xml.text("DBClusterParameterGroupStatus", "in-sync");
        xml.text("PromotionTier", instance.settings.promotion_tier);
    });
}

fn encryption(xml: &mut Xml, cluster: &Cluster) {
    xml.text("StorageEncrypted", cluster.kms_key.is_some());
    let encryption = encryption_type(cluster.kms_key.is_some(), cluster.encrypted_by_default);
    xml.text("StorageEncryptionType", encryption);
    xml.maybe("KmsKeyId", cluster.kms_key.as_ref());
}

fn observation(xml: &mut Xml, cluster: &Cluster) {
    let settings = &cluster.settings;
    if let Some(capacity) = &settings.serverless_v2 {
        xml.element("ServerlessV2ScalingConfiguration", |xml| {
            xml.text("MinCapacity", capacity.min_capacity);
            xml.text("MaxCapacity", capacity.max_capacity);
            xml.maybe("SecondsUntilAutoPause", capacity.seconds_until_auto_pause);
        });
    }
    xml.text("MonitoringInterval", settings.monitoring.as_ref().map_or(0, |m| m.interval_s));
    xml.maybe("MonitoringRoleArn", settings.monitoring.as_ref().map(|m| &m.role_arn));
    xml.text(
        "DatabaseInsightsMode",
        settings.database_insights_mode.as_deref().unwrap_or("standard"),
    );
    let insights = settings.performance_insights.as_ref();
    xml.text("PerformanceInsightsEnabled", insights.is_some());
    xml.maybe("PerformanceInsightsKMSKeyId", insights.and_then(|i| i.kms_key.as_ref()));
    xml.maybe("PerformanceInsightsRetentionPeriod", insights.map(|i| i.retention_days));
}
