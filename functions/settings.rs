//! The SDK's clusters and instances, translated with every setting that a rebuilt one takes over.
//! `docs/settings.md` lists them all.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbCluster, DbInstance, LocalWriteForwardingStatus, Tag};
use failback_plan::seen::{ClusterMemberSeen, ClusterSeen, GroupMembershipSeen, InstanceSeen};
use failback_plan::settings::{
    ClusterSettings, Domain, InstanceSettings, Monitoring, PerformanceInsights, Role, ServerlessV2,
};

use crate::observe::{Read, required};

/// A cluster in the words of the plan.
pub(crate) fn cluster_seen(call: &'static str, cluster: &DbCluster) -> Read<ClusterSeen> {
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let members = cluster.db_cluster_members().iter().map(|m| {
        Ok(ClusterMemberSeen {
            instance_id: required(m.db_instance_identifier(), call, "a member's id")?.to_owned(),
            is_writer: required(m.is_cluster_writer(), call, "a member's role")?,
        })
    });
    let activity_stream = cluster.activity_stream_status().map(|s| s.as_str());
    Ok(ClusterSeen {
        id: required(cluster.db_cluster_identifier(), call, "an identifier")?.to_owned(),
        arn: required(cluster.db_cluster_arn(), call, "an ARN")?.to_owned(),
        resource_id: required(cluster.db_cluster_resource_id(), call, "a resource id")?.to_owned(),
        status: required(cluster.status(), call, "a status")?.to_owned(),
        engine: required(cluster.engine(), call, "an engine")?.to_owned(),
        engine_version: required(cluster.engine_version(), call, "an engine version")?.to_owned(),
        engine_mode: owned(cluster.engine_mode()),
        storage_encrypted: cluster.storage_encrypted().unwrap_or(false),
        endpoint: owned(cluster.endpoint()),
        reader_endpoint: owned(cluster.reader_endpoint()),
        replication_source: owned(cluster.replication_source_identifier())
            .filter(|s| !s.is_empty()),
        managed_secret: cluster.master_user_secret().is_some(),
        backtrack: cluster.backtrack_window().unwrap_or(0) > 0,
        activity_stream: matches!(activity_stream, Some("started" | "starting")),
        pending_modified: has_pending_values(cluster),
        security_groups: cluster
            .vpc_security_groups()
            .iter()
            .map(|group| {
                let id = required(group.vpc_security_group_id(), call, "a security group's id")?;
                let status = required(group.status(), call, "a security group's status")?;
                Ok(GroupMembershipSeen { id: id.to_owned(), status: status.to_owned() })
            })
            .collect::<Read<_>>()?,
        members: members.collect::<Read<_>>()?,
        settings: cluster_settings(cluster),
    })
}

fn has_pending_values(cluster: &DbCluster) -> bool {
    cluster.pending_modified_values().is_some_and(|pending| {
        pending.db_cluster_identifier().is_some()
            || pending.master_user_password().is_some()
            || pending.iam_database_authentication_enabled().is_some()
            || pending.engine_version().is_some()
            || pending.backup_retention_period().is_some()
            || pending.storage_type().is_some()
            || pending.pending_cloudwatch_logs_exports().is_some()
    })
}

fn cluster_settings(cluster: &DbCluster) -> ClusterSettings {
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let groups = cluster.vpc_security_groups().iter().filter(|g| g.status() != Some("removing"));
    let own_option_group = cluster
        .db_cluster_option_group_memberships()
        .iter()
        .filter_map(|g| g.db_cluster_option_group_name())
        .find(|name| !name.starts_with("default:"));
    ClusterSettings {
        parameter_group: owned(cluster.db_cluster_parameter_group()),
        subnet_group: owned(cluster.db_subnet_group()),
        security_group_ids: groups.filter_map(|g| owned(g.vpc_security_group_id())).collect(),
        port: cluster.port(),
        option_group: owned(own_option_group),
        backup_retention_days: cluster.backup_retention_period(),
        backup_window: owned(cluster.preferred_backup_window()),
        maintenance_window: owned(cluster.preferred_maintenance_window()),
        kms_key_id: owned(cluster.kms_key_id()),
        storage_type: owned(cluster.storage_type()),
        log_exports: cluster.enabled_cloudwatch_logs_exports().to_vec(),
        iam_authentication: cluster.iam_database_authentication_enabled().unwrap_or(false),
        http_endpoint: cluster.http_endpoint_enabled().unwrap_or(false),
        deletion_protection: cluster.deletion_protection().unwrap_or(false),
        copy_tags_to_snapshot: cluster.copy_tags_to_snapshot().unwrap_or(false),
        tags: own_tags(cluster.tag_list()),
        network_type: owned(cluster.network_type()),
        serverless_v2: cluster.serverless_v2_scaling_configuration().map(|s| ServerlessV2 {
            min_capacity: s.min_capacity(),
            max_capacity: s.max_capacity(),
            seconds_until_auto_pause: s.seconds_until_auto_pause(),
        }),
        performance_insights: performance_insights(
            cluster.performance_insights_enabled(),
            cluster.performance_insights_kms_key_id(),
            cluster.performance_insights_retention_period(),
        ),
        insights_mode: cluster.database_insights_mode().map(|m| m.as_str().to_owned()),
        monitoring: monitoring(cluster.monitoring_interval(), cluster.monitoring_role_arn()),
        auto_minor_version_upgrade: cluster.auto_minor_version_upgrade(),
        domain: cluster.domain_memberships().iter().find_map(|d| {
            Some(Domain { domain: d.domain()?.to_owned(), iam_role_name: owned(d.iam_role_name()) })
        }),
        roles: cluster
            .associated_roles()
            .iter()
            .filter_map(|r| {
                let feature_name = owned(r.feature_name()).filter(|f| !f.is_empty());
                Some(Role { role_arn: r.role_arn()?.to_owned(), feature_name })
            })
            .collect(),
        // Read by a call of their own, where they are needed.
        custom_endpoints: Vec::new(),
        global_write_forwarding: cluster.global_write_forwarding_requested().unwrap_or(false),
        local_write_forwarding: matches!(
            cluster.local_write_forwarding_status(),
            Some(
                LocalWriteForwardingStatus::Enabled
                    | LocalWriteForwardingStatus::Enabling
                    | LocalWriteForwardingStatus::Requested
            )
        ),
    }
}

/// An instance in the words of the plan.
pub(crate) fn instance_seen(call: &'static str, instance: &DbInstance) -> Read<InstanceSeen> {
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let id = required(instance.db_instance_identifier(), call, "an identifier")?.to_owned();
    let groups = instance.db_parameter_groups().iter();
    let settings = InstanceSettings {
        captured_from: id.clone(),
        class: required(instance.db_instance_class(), call, "a class")?.to_owned(),
        parameter_group: groups.filter_map(|g| owned(g.db_parameter_group_name())).next(),
        availability_zone: owned(instance.availability_zone()),
        promotion_tier: instance.promotion_tier(),
        publicly_accessible: instance.publicly_accessible(),
        auto_minor_version_upgrade: instance.auto_minor_version_upgrade(),
        maintenance_window: owned(instance.preferred_maintenance_window()),
        monitoring: monitoring(instance.monitoring_interval(), instance.monitoring_role_arn()),
        performance_insights: performance_insights(
            instance.performance_insights_enabled(),
            instance.performance_insights_kms_key_id(),
            instance.performance_insights_retention_period(),
        ),
        ca_certificate_id: owned(instance.ca_certificate_identifier()),
        copy_tags_to_snapshot: instance.copy_tags_to_snapshot(),
        tags: own_tags(instance.tag_list()),
        network_type: owned(instance.network_type()),
    };
    Ok(InstanceSeen {
        cluster_id: owned(instance.db_cluster_identifier()),
        status: required(instance.db_instance_status(), call, "a status")?.to_owned(),
        settings,
        id,
    })
}

fn performance_insights(
    enabled: Option<bool>,
    kms_key_id: Option<&str>,
    retention_days: Option<i32>,
) -> Option<PerformanceInsights> {
    enabled
        .unwrap_or(false)
        .then(|| PerformanceInsights { kms_key_id: kms_key_id.map(str::to_owned), retention_days })
}

fn monitoring(interval_s: Option<i32>, role_arn: Option<&str>) -> Option<Monitoring> {
    let interval_s = interval_s.filter(|s| *s > 0)?;
    Some(Monitoring { interval_s, role_arn: role_arn.map(str::to_owned) })
}

/// Tags that may be set again: AWS refuses keys of its own.
fn own_tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter()
        .filter_map(|t| Some((t.key()?.to_owned(), t.value().unwrap_or_default().to_owned())))
        .filter(|(key, _)| !key.starts_with("aws:"))
        .collect()
}
