//! Parameters of calls, read into settings, and the rules that all of them share.

use std::collections::BTreeMap;

use super::RdsRegion;
use super::settings::{
    ClusterSettings, Domain, InstanceSettings, Monitoring, PerformanceInsights, Role, ServerlessV2,
};
use crate::wire::{AwsError, Params};

/// `InvalidParameterValue`.
pub(super) fn invalid_value(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidParameterValue", message)
}

/// `InvalidParameterCombination`.
pub(super) fn invalid_combination(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidParameterCombination", message)
}

/// `InvalidDBClusterStateFault`.
pub(super) fn cluster_state(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidDBClusterStateFault", message)
}

/// `InvalidGlobalClusterStateFault`.
pub(super) fn global_state(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidGlobalClusterStateFault", message)
}

/// A refusal of which only the reason is known.
pub(super) fn unestablished(code: &str, message: impl Into<String>) -> AwsError {
    let status = if code.contains("NotFound") { 404 } else { 400 };
    AwsError::new(status, code, message)
}

/// An identifier as it is stored: lower case.
///
/// # Errors
/// `MissingParameter`, and `InvalidParameterValue` when it breaks the grammar.
pub(super) fn identifier(params: &Params, name: &str, max_len: usize) -> Result<String, AwsError> {
    let id = params.required(name)?.to_ascii_lowercase();
    let starts = id.starts_with(|c: char| c.is_ascii_alphabetic());
    let letters = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !starts || !letters || id.contains("--") || id.ends_with('-') || id.len() > max_len {
        return Err(invalid_value(format!(
            "The parameter {name} is not a valid identifier. Identifiers must begin with a letter; \
             must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen \
             or contain two consecutive hyphens."
        )));
    }
    Ok(id)
}

/// The tags sent.
///
/// # Errors
/// `InvalidParameterValue` when a key is one of AWS's own.
pub(super) fn tags(params: &Params) -> Result<BTreeMap<String, String>, AwsError> {
    let mut tags = BTreeMap::new();
    for tag in params.structures("Tags.Tag") {
        let key = tag.required("Key")?;
        if key.starts_with("aws:") {
            return Err(invalid_value("Tag keys beginning with aws: are reserved."));
        }
        tags.insert(key.to_owned(), tag.get("Value").unwrap_or_default().to_owned());
    }
    Ok(tags)
}

/// The filters sent, by name.
pub(super) fn filters(params: &Params) -> BTreeMap<String, Vec<String>> {
    params
        .structures("Filters.Filter")
        .into_iter()
        .map(|filter| {
            (filter.get("Name").unwrap_or_default().to_owned(), filter.list("Values.Value"))
        })
        .collect()
}

/// The items of one page, and the marker of the next one.
///
/// # Errors
/// `InvalidParameterValue` for a marker that was not given out, or a page size out of range.
pub(super) fn page<T>(
    items: Vec<T>,
    params: &Params,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let size = params.int("MaxRecords")?.unwrap_or(100);
    if !(20..=100).contains(&size) {
        return Err(invalid_value(format!(
            "Invalid value {size} for MaxRecords. Must be between 20 and 100"
        )));
    }
    let size = usize::try_from(size).unwrap_or(100);
    let from = match params.get("Marker") {
        Some(marker) => marker.parse().map_err(|_| invalid_value("Invalid marker"))?,
        None => 0_usize,
    };
    let (total, next) = (items.len(), from.saturating_add(size));
    let page = items.into_iter().skip(from).take(size).collect();
    Ok((page, (next < total).then(|| next.to_string())))
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn text(params: &Params, name: &str) -> Option<String> {
    params.get(name).map(str::to_owned)
}

/// Takes over what a Create or Modify of a cluster says.
///
/// # Errors
/// `InvalidParameterValue`.
pub(super) fn cluster_settings(
    settings: &mut ClusterSettings,
    params: &Params,
) -> Result<(), AwsError> {
    set(&mut settings.parameter_group, text(params, "DBClusterParameterGroupName"));
    set(&mut settings.subnet_group, text(params, "DBSubnetGroupName"));
    for (name, list) in [
        ("VpcSecurityGroupIds.VpcSecurityGroupId", &mut settings.security_groups),
        ("AvailabilityZones.AvailabilityZone", &mut settings.availability_zones),
        ("EnableCloudwatchLogsExports.member", &mut settings.log_exports),
    ] {
        let sent = params.list(name);
        if !sent.is_empty() {
            *list = sent;
        }
    }
    set(&mut settings.port, params.int("Port")?);
    if let Some(group) = text(params, "OptionGroupName") {
        settings.option_group = Some(group);
    }
    set(&mut settings.backup_retention_days, params.int("BackupRetentionPeriod")?);
    set(&mut settings.backup_window, text(params, "PreferredBackupWindow"));
    set(&mut settings.maintenance_window, text(params, "PreferredMaintenanceWindow"));
    if let Some(kind) = text(params, "StorageType") {
        settings.storage_type = (kind != "aurora").then_some(kind);
    }
    set(&mut settings.iam_authentication, params.bool("EnableIAMDatabaseAuthentication")?);
    set(&mut settings.http_endpoint, params.bool("EnableHttpEndpoint")?);
    set(&mut settings.deletion_protection, params.bool("DeletionProtection")?);
    set(&mut settings.copy_tags_to_snapshot, params.bool("CopyTagsToSnapshot")?);
    set(&mut settings.network_type, text(params, "NetworkType"));
    set(&mut settings.auto_minor_version_upgrade, params.bool("AutoMinorVersionUpgrade")?);
    set(&mut settings.global_write_forwarding, params.bool("EnableGlobalWriteForwarding")?);
    set(&mut settings.local_write_forwarding, params.bool("EnableLocalWriteForwarding")?);
    if let Some(support) = text(params, "EngineLifecycleSupport") {
        settings.engine_lifecycle_support = Some(support);
    }
    if let Some(seconds) = params.int("BacktrackWindow")? {
        settings.backtrack_window_s = (seconds > 0).then_some(i64::from(seconds));
    }
    if let Some(id) = text(params, "Domain") {
        let role_name = text(params, "DomainIAMRoleName").unwrap_or_default();
        settings.domain = (id != "none").then_some(Domain { id, role_name });
    }
    for role in params.structures("AssociatedRoles.DBClusterAssociatedRole") {
        let arn = role.required("RoleArn")?.to_owned();
        settings.roles.push(Role { arn, feature: text(&role, "FeatureName") });
    }
    change_log_exports(&mut settings.log_exports, params);
    change_capacity(settings, params)?;
    set(&mut settings.tags, Some(tags(params)?).filter(|tags| !tags.is_empty()));
    observation(
        params,
        &mut settings.performance_insights,
        &mut settings.monitoring,
        settings.database_insights_mode.as_deref(),
    )?;
    if let Some(mode) = text(params, "DatabaseInsightsMode") {
        settings.database_insights_mode = Some(mode);
    }
    Ok(())
}

fn change_log_exports(log_exports: &mut Vec<String>, params: &Params) {
    let change = params.below("CloudwatchLogsExportConfiguration");
    let disabled = change.list("DisableLogTypes.member");
    log_exports.retain(|log| !disabled.contains(log));
    for log in change.list("EnableLogTypes.member") {
        if !log_exports.contains(&log) {
            log_exports.push(log);
        }
    }
}

fn change_capacity(settings: &mut ClusterSettings, params: &Params) -> Result<(), AwsError> {
    let sent = params.below("ServerlessV2ScalingConfiguration");
    let (min, max) = (sent.float("MinCapacity")?, sent.float("MaxCapacity")?);
    let pause = sent.int("SecondsUntilAutoPause")?;
    if min.is_none() && max.is_none() && pause.is_none() {
        return Ok(());
    }
    let unset =
        ServerlessV2 { min_capacity: 0.5, max_capacity: 1.0, seconds_until_auto_pause: None };
    let capacity = settings.serverless_v2.get_or_insert(unset);
    set(&mut capacity.min_capacity, min);
    set(&mut capacity.max_capacity, max);
    if pause.is_some() {
        capacity.seconds_until_auto_pause = pause;
    }
    Ok(())
}

/// Performance Insights and Enhanced Monitoring, which clusters and instances both have.
fn observation(
    params: &Params,
    insights: &mut Option<PerformanceInsights>,
    monitoring: &mut Option<Monitoring>,
    mode: Option<&str>,
) -> Result<(), AwsError> {
    let kms_key = text(params, "PerformanceInsightsKMSKeyId");
    let retention = params.int("PerformanceInsightsRetentionPeriod")?;
    match params.bool("EnablePerformanceInsights")? {
        Some(false) => *insights = None,
        Some(true) => {
            let unset = PerformanceInsights { kms_key: None, retention_days: 7 };
            insights.get_or_insert(unset);
        }
        None => {}
    }
    if let Some(insights) = insights {
        set(&mut insights.retention_days, retention);
        if kms_key.is_some() {
            insights.kms_key = kms_key;
        }
    }
    let mode = params.get("DatabaseInsightsMode").or(mode);
    let long_enough = insights.as_ref().is_some_and(|insights| insights.retention_days >= 465);
    if params.has("DatabaseInsightsMode") && mode == Some("advanced") && !long_enough {
        return Err(invalid_combination(
            "To enable Advanced mode of Database Insights, enable Performance Insights with a \
             retention period of at least 465 days.",
        ));
    }
    let interval = params.int("MonitoringInterval")?;
    let role = text(params, "MonitoringRoleArn");
    match (interval, role) {
        (Some(0), _) => *monitoring = None,
        (Some(interval_s), role) => {
            let role_arn = role.or_else(|| monitoring.as_ref().map(|m| m.role_arn.clone()));
            let role_arn = role_arn.ok_or_else(|| {
                invalid_combination("A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.")
            })?;
            *monitoring = Some(Monitoring { interval_s, role_arn });
        }
        (None, Some(role_arn)) => {
            if let Some(monitoring) = monitoring {
                monitoring.role_arn = role_arn;
            }
        }
        (None, None) => {}
    }
    Ok(())
}

/// Takes over what a Create or Modify of an instance says.
///
/// # Errors
/// `InvalidParameterValue`.
pub(super) fn instance_settings(
    settings: &mut InstanceSettings,
    params: &Params,
) -> Result<(), AwsError> {
    set(&mut settings.class, text(params, "DBInstanceClass"));
    set(&mut settings.parameter_group, text(params, "DBParameterGroupName"));
    if let Some(zone) = text(params, "AvailabilityZone") {
        settings.availability_zone = Some(zone);
    }
    set(&mut settings.promotion_tier, params.int("PromotionTier")?);
    set(&mut settings.publicly_accessible, params.bool("PubliclyAccessible")?);
    set(&mut settings.auto_minor_version_upgrade, params.bool("AutoMinorVersionUpgrade")?);
    set(&mut settings.maintenance_window, text(params, "PreferredMaintenanceWindow"));
    set(&mut settings.ca_certificate, text(params, "CACertificateIdentifier"));
    set(&mut settings.copy_tags_to_snapshot, params.bool("CopyTagsToSnapshot")?);
    set(&mut settings.network_type, text(params, "NetworkType"));
    set(&mut settings.tags, Some(tags(params)?).filter(|tags| !tags.is_empty()));
    observation(params, &mut settings.performance_insights, &mut settings.monitoring, None)
}

/// Checks that the groups a cluster refers to exist in its Region.
///
/// # Errors
/// The not-found code of what is missing.
pub(super) fn check_cluster_groups(
    settings: &ClusterSettings,
    region: &RdsRegion,
    engine: &str,
) -> Result<(), AwsError> {
    if !region.subnet_groups.contains_key(&settings.subnet_group) {
        return Err(AwsError::not_found(
            "DBSubnetGroupNotFoundFault",
            format!("DB subnet group '{}' does not exist.", settings.subnet_group),
        ));
    }
    let name = &settings.parameter_group;
    let group = region.cluster_parameter_groups.get(name).ok_or_else(|| {
        AwsError::not_found(
            "DBClusterParameterGroupNotFound",
            format!("DBClusterParameterGroup not found: {name}"),
        )
    })?;
    if !group.family.starts_with(engine) {
        let family = &group.family;
        return Err(invalid_combination(format!(
            "The Parameter Group {name} with DBParameterGroupFamily {family} cannot be used for \
             this instance. Please use a Parameter Group with DBParameterGroupFamily of {engine}"
        )));
    }
    if let Some(name) = &settings.option_group
        && !region.option_groups.contains(name)
    {
        return Err(AwsError::not_found(
            "OptionGroupNotFoundFault",
            format!("Specified OptionGroupName: {name} not found."),
        ));
    }
    Ok(())
}
