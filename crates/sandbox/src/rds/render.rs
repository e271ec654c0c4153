//! RDS objects other than clusters as XML, with the element names of the service's model.

use std::collections::BTreeMap;

use super::{
    Cluster, CustomEndpoint, GlobalCluster, Instance, ParameterGroup, Rds, Snapshot, SubnetGroup,
    unique,
};
use crate::network::Network;
use crate::wire::{Xml, iso8601};
use crate::world::World;

pub(super) fn tags(xml: &mut Xml, tags: &BTreeMap<String, String>) {
    xml.list("TagList", "Tag", tags, |xml, (key, value)| {
        xml.text("Key", key);
        xml.text("Value", value);
    });
}

/// The content of a `GlobalCluster`.
pub(super) fn global(xml: &mut Xml, global: &GlobalCluster, world: &World) {
    let rds = &world.rds;
    xml.text("GlobalClusterIdentifier", &global.id);
    xml.text("GlobalClusterResourceId", &global.resource_id);
    xml.text("GlobalClusterArn", &global.arn);
    xml.text("Status", &global.status);
    xml.text("Engine", &global.engine);
    xml.text("EngineVersion", &global.engine_version);
    xml.maybe("DatabaseName", global.database_name.as_ref());
    xml.maybe("EngineLifecycleSupport", global.engine_lifecycle_support.as_ref());
    xml.text("StorageEncrypted", global.storage_encrypted);
    let encryption = encryption_type(global.storage_encrypted, global.encrypted_by_default);
    xml.text("StorageEncryptionType", encryption);
    xml.text("DeletionProtection", global.deletion_protection);
    let readers: Vec<_> = global.members.iter().filter(|m| !m.is_writer).map(|m| &m.arn).collect();
    xml.list("GlobalClusterMembers", "GlobalClusterMember", &global.members, |xml, member| {
        xml.text("DBClusterArn", &member.arn);
        let readers: &[_] = if member.is_writer { &readers } else { &[] };
        xml.texts("Readers", "member", readers);
        xml.text("IsWriter", member.is_writer);
        if !member.is_writer {
            let cluster = rds.cluster_by_arn(&member.arn);
            let forwards = cluster.is_some_and(|c| c.settings.global_write_forwarding);
            let created = cluster.is_some_and(|c| c.status != "creating");
            xml.text("GlobalWriteForwardingStatus", forwarding_status(forwards, created));
        }
        xml.maybe("SynchronizationStatus", member.synchronization.as_ref());
    });
    xml.text("Endpoint", global.host(&rds.account));
    if let Some(operation) = &global.operation {
        xml.element("FailoverState", |xml| {
            xml.text("Status", &operation.status);
            xml.text("FromDbClusterArn", &operation.from);
            xml.text("ToDbClusterArn", &operation.to);
            xml.text("IsDataLossAllowed", operation.data_loss_allowed);
        });
    } else if world.behaviour.idle_failover_state_is_empty {
        xml.element("FailoverState", |_| {});
    }
    tags(xml, &global.tags);
}

/// How something is encrypted, in the words of the service.
pub(super) const fn encryption_type(with_a_key: bool, by_default: bool) -> &'static str {
    match (with_a_key, by_default) {
        (true, _) => "sse-kms",
        (false, true) => "sse-rds",
        (false, false) => "none",
    }
}

/// Whether write forwarding is enabled, or being enabled with the cluster.
pub(super) const fn forwarding_status(requested: bool, created: bool) -> &'static str {
    match (requested, created) {
        (true, true) => "enabled",
        (true, false) => "enabling",
        (false, _) => "disabled",
    }
}

/// The content of a `DBInstance`.
pub(super) fn instance(xml: &mut Xml, instance: &Instance, world: &World) {
    let World { rds, network, now_ms, .. } = world;
    let Some(cluster) = rds.cluster(&instance.region, &instance.cluster_id) else { return };
    let settings = &instance.settings;
    xml.text("DBInstanceIdentifier", &instance.id);
    xml.text("DBInstanceClass", &settings.class);
    xml.text("Engine", &cluster.engine);
    xml.text("DBInstanceStatus", &instance.status);
    xml.maybe("MasterUsername", cluster.master_username.as_ref());
    xml.maybe("DBName", cluster.database_name.as_ref());
    if instance.status != "creating" {
        xml.element("Endpoint", |xml| {
            let unique = unique(&rds.account, &instance.region);
            let host = format!("{}.{unique}.{}.rds.amazonaws.com", instance.id, instance.region);
            xml.text("Address", host);
            xml.text("Port", cluster.settings.port);
        });
    }
    xml.text("AllocatedStorage", 1);
    xml.text("InstanceCreateTime", iso8601(instance.created_at_ms));
    xml.text("PreferredBackupWindow", &cluster.settings.backup_window);
    xml.text("BackupRetentionPeriod", cluster.settings.backup_retention_days);
    security_groups(xml, cluster, *now_ms);
    xml.element("DBParameterGroups", |xml| {
        xml.element("DBParameterGroup", |xml| {
            xml.text("DBParameterGroupName", &settings.parameter_group);
            let applies = match (instance.wants_reboot, instance.status.as_str()) {
                (false, _) => "in-sync",
                (true, "modifying") => "applying",
                (true, _) => "pending-reboot",
            };
            xml.text("ParameterApplyStatus", applies);
        });
    });
    xml.maybe("AvailabilityZone", settings.availability_zone.as_ref());
    let group = rds
        .regions
        .get(&instance.region)
        .and_then(|region| region.subnet_groups.get(&cluster.settings.subnet_group));
    if let Some(group) = group {
        xml.element("DBSubnetGroup", |xml| {
            subnet_group(xml, group, &instance.region, rds, network);
        });
    }
    xml.text("PreferredMaintenanceWindow", &settings.maintenance_window);
    xml.element("PendingModifiedValues", |_| {});
    xml.text("MultiAZ", false);
    xml.text("EngineVersion", &cluster.engine_version);
    xml.text("AutoMinorVersionUpgrade", settings.auto_minor_version_upgrade);
    xml.text("PubliclyAccessible", settings.publicly_accessible);
    xml.text("StorageType", cluster.settings.storage_type.as_deref().unwrap_or("aurora"));
    xml.text("DBClusterIdentifier", &instance.cluster_id);
    xml.text("StorageEncrypted", cluster.kms_key.is_some());
    xml.maybe("KmsKeyId", cluster.kms_key.as_ref());
    xml.text("DbiResourceId", &instance.resource_id);
    // A real instance loses this field while it goes, which is why it must be read before.
    if instance.status != "deleting" {
        xml.text("CACertificateIdentifier", &settings.ca_certificate);
    }
    xml.text("CopyTagsToSnapshot", settings.copy_tags_to_snapshot);
    instance_observation(xml, instance);
    xml.text("PromotionTier", settings.promotion_tier);
    xml.text("DBInstanceArn", &instance.arn);
    xml.text("IAMDatabaseAuthenticationEnabled", cluster.settings.iam_authentication);
    xml.texts("EnabledCloudwatchLogsExports", "member", &cluster.settings.log_exports);
    xml.text("DeletionProtection", false);
    tags(xml, &settings.tags);
    xml.text("NetworkType", &settings.network_type);
}

fn instance_observation(xml: &mut Xml, instance: &Instance) {
    let settings = &instance.settings;
    xml.text("MonitoringInterval", settings.monitoring.as_ref().map_or(0, |m| m.interval_s));
    xml.maybe("MonitoringRoleArn", settings.monitoring.as_ref().map(|m| &m.role_arn));
    let insights = settings.performance_insights.as_ref();
    xml.text("PerformanceInsightsEnabled", insights.is_some());
    xml.maybe("PerformanceInsightsKMSKeyId", insights.and_then(|i| i.kms_key.as_ref()));
    xml.maybe("PerformanceInsightsRetentionPeriod", insights.map(|i| i.retention_days));
}

/// The security groups of a cluster, also those that it is about to lose.
pub(super) fn security_groups(xml: &mut Xml, cluster: &Cluster, now_ms: i64) {
    let groups = cluster.settings.security_groups.iter().chain(cluster.leaving_groups(now_ms));
    xml.list("VpcSecurityGroups", "VpcSecurityGroupMembership", groups, |xml, group| {
        let status = match cluster.attached_ms.get(group) {
            _ if cluster.detached_ms.contains_key(group) => "removing",
            Some(at_ms) if *at_ms > now_ms => "adding",
            _ => "active",
        };
        xml.text("VpcSecurityGroupId", group);
        xml.text("Status", status);
    });
}

/// The content of a `DBClusterSnapshot`.
pub(super) fn snapshot(xml: &mut Xml, snapshot: &Snapshot) {
    xml.text("DBClusterSnapshotIdentifier", &snapshot.id);
    xml.text("DBClusterIdentifier", &snapshot.cluster_id);
    xml.text("SnapshotCreateTime", iso8601(snapshot.created_at_ms));
    xml.text("Engine", &snapshot.engine);
    xml.text("EngineMode", "provisioned");
    xml.text("AllocatedStorage", 1);
    xml.text("Status", &snapshot.status);
    xml.text("Port", snapshot.port);
    xml.text("VpcId", &snapshot.vpc_id);
    xml.text("ClusterCreateTime", iso8601(snapshot.cluster_created_at_ms));
    xml.maybe("MasterUsername", snapshot.master_username.as_ref());
    xml.text("EngineVersion", &snapshot.engine_version);
    xml.text("SnapshotType", &snapshot.snapshot_type);
    xml.text("PercentProgress", if snapshot.status == "available" { 100 } else { 0 });
    xml.text("StorageEncrypted", snapshot.kms_key.is_some());
    xml.maybe("KmsKeyId", snapshot.kms_key.as_ref());
    xml.text("DBClusterSnapshotArn", &snapshot.arn);
    tags(xml, &snapshot.tags);
    xml.text("DbClusterResourceId", &snapshot.cluster_resource_id);
}

/// The content of a `DBSubnetGroup`.
pub(super) fn subnet_group(
    xml: &mut Xml,
    group: &SubnetGroup,
    region: &str,
    rds: &Rds,
    network: &Network,
) {
    xml.text("DBSubnetGroupName", &group.name);
    xml.text("DBSubnetGroupDescription", &group.description);
    xml.text("VpcId", &group.vpc_id);
    xml.text("SubnetGroupStatus", "Complete");
    xml.list("Subnets", "Subnet", &group.subnets, |xml, id| {
        xml.text("SubnetIdentifier", id);
        if let Some(subnet) = network.subnet(region, id) {
            xml.element("SubnetAvailabilityZone", |xml| {
                xml.text("Name", &subnet.availability_zone);
            });
        }
        xml.text("SubnetStatus", "Active");
    });
    xml.text("DBSubnetGroupArn", rds.arn(region, "subgrp", &group.name));
    xml.texts("SupportedNetworkTypes", "member", ["IPV4"]);
}

/// The content of a parameter group; `kind` is the element names' beginning.
pub(super) fn parameter_group(xml: &mut Xml, group: &ParameterGroup, kind: &str, arn: &str) {
    xml.text(&format!("{kind}Name"), &group.name);
    xml.text("DBParameterGroupFamily", &group.family);
    xml.text("Description", &group.description);
    xml.text(&format!("{kind}Arn"), arn);
}

/// The content of a custom `DBClusterEndpoint`.
pub(super) fn endpoint(
    xml: &mut Xml,
    endpoint: &CustomEndpoint,
    cluster: &Cluster,
    rds: &Rds,
    now_ms: i64,
) {
    xml.text("DBClusterEndpointIdentifier", &endpoint.id);
    xml.text("DBClusterIdentifier", &cluster.id);
    xml.text("Endpoint", custom_host(endpoint, cluster, &rds.account));
    let active = endpoint.active_from_ms <= now_ms;
    xml.text("Status", if active { "available" } else { "creating" });
    xml.text("EndpointType", "CUSTOM");
    xml.text("CustomEndpointType", &endpoint.endpoint_type);
    xml.texts("StaticMembers", "member", &endpoint.static_members);
    xml.texts("ExcludedMembers", "member", &endpoint.excluded_members);
    xml.text("DBClusterEndpointArn", rds.arn(&cluster.region, "cluster-endpoint", &endpoint.id));
}

pub(super) fn custom_host(endpoint: &CustomEndpoint, cluster: &Cluster, account: &str) -> String {
    let unique = unique(account, &cluster.region);
    format!("{}.cluster-custom-{unique}.{}.rds.amazonaws.com", endpoint.id, cluster.region)
}
