//! ModifyDBCluster: settings, the password, the name and the version.

use super::checks::Checks;
use super::cluster_api::{answer, check_available, named, put};
use super::cluster_join::{check_security_groups, refuse_existing};
use super::event::RdsEvent;
use super::keys::{check_roles, usable};
use super::params::{check_cluster_groups, cluster_settings, identifier, unestablished};
use super::settings::ClusterSettings;
use super::{Answer, Cluster, Membership, upgrade};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params};
use crate::world::World;

pub(super) fn modify(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let cluster = checks.see(Check::NotFound, named(world, region, params).cloned());
    let changed = cluster.as_ref().and_then(|c| check(world, c, params, &mut checks));
    let (cluster, Change { mut changed, new_id, version, resets_password }) =
        checks.end(cluster.zip(changed))?;
    let at_once = params.bool("ApplyImmediately")?.unwrap_or(false);
    put_off(&cluster, &mut changed, params, at_once)?;
    if new_id.is_none() && version.is_none() && changed == cluster && !resets_password {
        return Ok(Some(answer(world, &cluster)));
    }
    attach_security_groups(world, &cluster, &mut changed);
    let resource_id = cluster.resource_id.clone();
    if version.is_none() && new_id.is_none() && is_busy(&cluster, &changed, resets_password) {
        let documented = world.behaviour.documented_iam_status;
        let busy = busy_status(&cluster, &changed, resets_password, documented);
        busy.clone_into(&mut changed.status);
        let seconds = world.behaviour.timings.modify_s;
        let (from, to) = (busy.to_owned(), world.ending());
        let resource_id = resource_id.clone();
        world.after(seconds, RdsEvent::ClusterStatus { resource_id, from, to });
    }
    if let Some(new_id) = new_id.filter(|_| at_once) {
        changed.new_id = Some(new_id);
        "renaming".clone_into(&mut changed.status);
        let seconds = world.behaviour.timings.rename_s;
        world.after(seconds, RdsEvent::ClusterRenamed { resource_id: resource_id.clone() });
    }
    put(world, changed);
    if let Some(version) = version.filter(|_| at_once) {
        upgrade::begin_cluster(world, &resource_id, version);
    }
    let changed = world.rds.cluster(region, &cluster.id).cloned().unwrap_or(cluster);
    Ok(Some(answer(world, &changed)))
}

/// What a call changes.
struct Change {
    changed: Cluster,
    new_id: Option<String>,
    version: Option<String>,
    resets_password: bool,
}

fn check(world: &World, cluster: &Cluster, params: &Params, checks: &mut Checks) -> Option<Change> {
    let mut changed = cluster.clone();
    checks.see(Check::State, check_available(cluster));
    let read = cluster_settings(&mut changed.settings, params);
    checks.see(Check::Malformed, read);
    let mut new_id = None;
    if params.has("NewDBClusterIdentifier") {
        let id = identifier(params, "NewDBClusterIdentifier", 63);
        new_id = checks.see(Check::Malformed, id).filter(|new_id| *new_id != cluster.id);
    }
    if let Some(new_id) = &new_id {
        checks.see(Check::Exists, refuse_existing(world, &cluster.region, new_id));
    }
    let version = checks.see(Check::Combination, upgrade::of_cluster(world, cluster, params));
    checks.see(Check::Combination, manage_password(world, &mut changed, params));
    let settings = &changed.settings;
    if let Some(here) = world.rds.regions.get(&cluster.region) {
        let groups = check_cluster_groups(settings, here, &cluster.engine);
        checks.see(Check::Dependencies, groups);
        if let Some(key) = params.get("PerformanceInsightsKMSKeyId") {
            checks.see(Check::Dependencies, usable(&here.kms_keys, key));
        }
    }
    let groups = check_security_groups(world, &cluster.region, &settings.security_groups);
    checks.see(Check::Dependencies, groups);
    let role = settings.monitoring.iter().map(|monitoring| monitoring.role_arn.as_str());
    checks.see(Check::Dependencies, check_roles(world, role));
    let resets_password = params.has("MasterUserPassword");
    Some(Change { changed, new_id, version: version.flatten(), resets_password })
}

fn manage_password(world: &World, cluster: &mut Cluster, params: &Params) -> Result<(), AwsError> {
    match params.bool("ManageMasterUserPassword")? {
        Some(true) if cluster.global().is_some() || cluster.shown_global.is_some() => {
            let message =
                "ManageMasterUserPassword is not supported for members of a global cluster";
            return Err(unestablished(&world.behaviour.codes.managed_secret, message));
        }
        Some(true) => {
            let (region, id) = (&cluster.region, &cluster.resource_id);
            let account = &world.account;
            let arn = format!("arn:aws:secretsmanager:{region}:{account}:secret:rds!{id}");
            cluster.managed_secret_arn = Some(arn);
        }
        Some(false) => cluster.managed_secret_arn = None,
        None => {}
    }
    Ok(())
}

/// What changes at once whatever the call says: protection, tags of snapshots, the retention of
/// backups and log exports.
fn quiet(before: &ClusterSettings, after: &ClusterSettings) -> ClusterSettings {
    ClusterSettings {
        deletion_protection: after.deletion_protection,
        copy_tags_to_snapshot: after.copy_tags_to_snapshot,
        backup_retention_days: after.backup_retention_days,
        log_exports: after.log_exports.clone(),
        ..before.clone()
    }
}

/// Without `ApplyImmediately` the rest waits for the maintenance window.
fn put_off(
    cluster: &Cluster,
    changed: &mut Cluster,
    params: &Params,
    at_once: bool,
) -> Result<(), AwsError> {
    if let Some(pending) = &mut changed.pending {
        cluster_settings(pending, params)?;
    }
    let quiet = quiet(&cluster.settings, &changed.settings);
    if !at_once && quiet != changed.settings {
        let wanted = std::mem::replace(&mut changed.settings, quiet);
        changed.pending.get_or_insert(wanted);
    }
    Ok(())
}

/// New security groups are being added for a while, and those that were taken away go by then.
fn attach_security_groups(world: &mut World, before: &Cluster, after: &mut Cluster) {
    let (old, new) = (&before.settings.security_groups, &after.settings.security_groups);
    if old == new {
        return;
    }
    let seconds = world.behaviour.timings.attach_s;
    let resource_id = after.resource_id.clone();
    let at_ms = world.after(seconds, RdsEvent::SecurityGroupsChanged { resource_id });
    for group in new.iter().filter(|group| !old.contains(group)) {
        after.attached_ms.insert(group.clone(), at_ms);
        after.detached_ms.remove(group);
    }
    for group in old.iter().filter(|group| !new.contains(group)) {
        after.detached_ms.insert(group.clone(), at_ms);
    }
}

fn is_busy(before: &Cluster, after: &Cluster, resets_password: bool) -> bool {
    let loud = quiet(&before.settings, &after.settings) != after.settings
        || before.managed_secret_arn != after.managed_secret_arn;
    (loud || resets_password) && before.status == "available"
}

/// What a cluster shows while a modification is made.
fn busy_status(
    before: &Cluster,
    after: &Cluster,
    resets_password: bool,
    documented: bool,
) -> &'static str {
    let (before, after) = (&before.settings, &after.settings);
    if resets_password {
        "resetting-master-credentials"
    } else if before.iam_authentication != after.iam_authentication {
        if documented { "update-iam-db-auth" } else { "configuring-iam-database-auth" }
    } else if before.monitoring != after.monitoring {
        "configuring-enhanced-monitoring"
    } else {
        "modifying"
    }
}

/// A cluster has its new name, and with it another ARN and other host names.
pub(super) fn renamed(world: &mut World, resource_id: &str) {
    let Some(mut cluster) = world.cluster_named(resource_id).map(|cluster| cluster.clone()) else {
        return;
    };
    let Some(new_id) = cluster.new_id.take() else { return };
    let (region, old_id) = (cluster.region.clone(), cluster.id.clone());
    let old_arn = cluster.arn.clone();
    cluster.arn = world.rds.arn(&region, "cluster", &new_id);
    cluster.id.clone_from(&new_id);
    if cluster.status == "renaming" {
        "available".clone_into(&mut cluster.status);
    }
    let new_arn = cluster.arn.clone();
    world.rows.rename(&cluster.resource_id, &new_id);
    if let Some(here) = world.rds.regions.get_mut(&region) {
        here.clusters.remove(&old_id);
        here.clusters.insert(new_id.clone(), cluster);
        let instances = here.instances.values_mut();
        for instance in instances.filter(|instance| instance.cluster_id == old_id) {
            instance.cluster_id.clone_from(&new_id);
        }
    }
    for global in world.rds.globals.values_mut() {
        for member in global.members.iter_mut().filter(|member| member.arn == old_arn) {
            member.arn.clone_from(&new_arn);
        }
    }
    for other in world.rds.regions.values_mut().flat_map(|region| region.clusters.values_mut()) {
        if let Membership::Reader { source, .. } = &mut other.membership
            && *source == old_arn
        {
            source.clone_from(&new_arn);
        }
    }
}
