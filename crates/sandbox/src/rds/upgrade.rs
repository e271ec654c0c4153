//! Upgrades of an engine: a cluster's, by ModifyDBCluster, and those of all members of a global
//! cluster, by ModifyGlobalCluster, which only takes another major version.

use super::event::RdsEvent;
use super::params::{cluster_state, invalid_combination, invalid_value};
use super::version::Version;
use super::{Cluster, GlobalCluster, Membership};
use crate::wire::{AwsError, Params};
use crate::world::World;

/// The version that a cluster is to be upgraded to, if the call wants another one.
///
/// # Errors
/// When the version is none that the cluster can be upgraded to.
pub(super) fn of_cluster(
    world: &World,
    cluster: &Cluster,
    params: &Params,
) -> Result<Option<String>, AwsError> {
    let Some(wanted) = wanted(&cluster.engine_version, params)? else { return Ok(None) };
    if world.rds.instances_of(cluster).next().is_none() {
        return Err(invalid_combination(format!(
            "Cannot modify engine version without a healthy primary instance in DB cluster: {}",
            cluster.id
        )));
    }
    if let Membership::Writer { global } = &cluster.membership {
        let behind = |other: &Cluster| other.is_reader() && other.engine_version != wanted;
        if world.rds.clusters_in(global).any(behind) {
            return Err(invalid_value(format!(
                "DB cluster {} is the writer of a global cluster: upgrade global replicas first",
                cluster.id
            )));
        }
    }
    Ok(Some(wanted))
}

/// The same of all members of a global cluster.
///
/// # Errors
/// For a minor version, too.
pub(super) fn of_global(
    world: &World,
    global: &GlobalCluster,
    params: &Params,
) -> Result<Option<String>, AwsError> {
    let Some(version) = params.get("EngineVersion") else { return Ok(None) };
    let major = |version: &str| Version::parse(version).map(|version| version.major);
    if version != global.engine_version && major(version) == major(&global.engine_version) {
        let message = format!("Global cluster {} only supports Major Version Upgrades", global.id);
        return Err(invalid_value(message));
    }
    let Some(wanted) = wanted(&global.engine_version, params)? else { return Ok(None) };
    let members = || global.members.iter().filter_map(|m| world.rds.cluster_by_arn(&m.arn));
    match members().find(|cluster| cluster.status != "available") {
        Some(busy) => Err(cluster_state(format!(
            "DbCluster {} is in {} state but expected it to be one of available",
            busy.id, busy.status
        ))),
        None => Ok(Some(wanted)),
    }
}

/// The version that is asked for, if it is another one.
fn wanted(current: &str, params: &Params) -> Result<Option<String>, AwsError> {
    let Some(wanted) = params.get("EngineVersion").filter(|wanted| *wanted != current) else {
        return Ok(None);
    };
    let (Some(from), Some(to)) = (Version::parse(current), Version::parse(wanted)) else {
        return Err(invalid_combination(format!("Cannot find version {wanted}")));
    };
    if to < from {
        return Err(invalid_combination(format!("Cannot upgrade from {current} to {wanted}")));
    }
    let allows_major = params.bool("AllowMajorVersionUpgrade")?.unwrap_or(false);
    if to.major != from.major && !allows_major {
        return Err(invalid_combination(
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major \
             version.",
        ));
    }
    Ok(Some(wanted.to_owned()))
}

/// Begins to upgrade a cluster, which does not serve meanwhile.
pub(super) fn begin_cluster(world: &mut World, resource_id: &str, version: String) {
    if let Some(cluster) = world.cluster_named(resource_id) {
        "upgrading".clone_into(&mut cluster.status);
    }
    let seconds = world.behaviour.timings.upgrade_s;
    let status = world.ending();
    let resource_id = resource_id.to_owned();
    world.after(seconds, RdsEvent::ClusterUpgraded { resource_id, version, status });
}

/// Begins to upgrade all members of a global cluster.
pub(super) fn begin_global(world: &mut World, resource_id: &str, version: String) {
    let Some(global) = world.global_named(resource_id) else { return };
    "upgrading".clone_into(&mut global.status);
    let arns: Vec<_> = global.members.iter().map(|member| member.arn.clone()).collect();
    for arn in arns {
        if let Some(cluster) = world.rds.cluster_by_arn_mut(&arn) {
            "upgrading".clone_into(&mut cluster.status);
        }
    }
    let seconds = world.behaviour.timings.upgrade_s;
    let global = resource_id.to_owned();
    world.after(seconds, RdsEvent::GlobalUpgraded { global, version });
}

/// A cluster has its new version, unless the upgrade has failed.
pub(super) fn cluster_upgraded(world: &mut World, id: &str, version: &str, status: String) {
    let Some(cluster) = world.cluster_named(id).filter(|c| c.status == "upgrading") else { return };
    let succeeded = status == "available";
    cluster.status = status;
    if !succeeded {
        return;
    }
    version.clone_into(&mut cluster.engine_version);
    let Membership::Writer { global } = cluster.membership.clone() else { return };
    if let Some(global) = world.rds.globals.get_mut(&global) {
        version.clone_into(&mut global.engine_version);
    }
}

/// All members have their new version.
pub(super) fn global_upgraded(world: &mut World, resource_id: &str, version: &str) {
    let Some(global) = world.global_named(resource_id) else { return };
    "available".clone_into(&mut global.status);
    version.clone_into(&mut global.engine_version);
    let arns: Vec<_> = global.members.iter().map(|member| member.arn.clone()).collect();
    for arn in arns {
        if let Some(cluster) = world.rds.cluster_by_arn_mut(&arn) {
            version.clone_into(&mut cluster.engine_version);
            "available".clone_into(&mut cluster.status);
        }
    }
}
