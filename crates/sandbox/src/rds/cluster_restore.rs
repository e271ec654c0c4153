//! RestoreDBClusterFromSnapshot: a cluster of its own that holds what a snapshot holds. It cannot
//! join a global cluster: the operation has no parameter for one.

use super::checks::Checks;
use super::cluster_api::answer;
use super::cluster_join::{check_new, fill_groups, host_mark};
use super::event::RdsEvent;
use super::params::{cluster_settings, invalid_value};
use super::settings::ClusterSettings;
use super::{Answer, Cluster, Snapshot, keys};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params};
use crate::world::World;

pub(super) fn restore(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let snapshot = checks.see(Check::NotFound, find(world, region, params).cloned());
    let new = check_new(world, region, params, &mut checks);
    let mut settings = None;
    let mut key = None;
    if let Some(snapshot) = &snapshot {
        checks.see(Check::State, check_snapshot(snapshot));
        checks.see(Check::Combination, check_engine(snapshot, params));
        let mut chosen = ClusterSettings { port: snapshot.port, ..ClusterSettings::default() };
        checks.see(Check::Malformed, cluster_settings(&mut chosen, params));
        let filled = fill_groups(world, region, &snapshot.engine, params, &mut chosen);
        checks.see(Check::Dependencies, filled);
        settings = Some(chosen);
        key = checks.see(Check::Dependencies, key_of(world, region, snapshot, params));
    }
    let found = snapshot.zip(new).zip(settings.zip(key));
    let ((snapshot, new), (settings, kms_key)) = checks.end(found)?;

    let resource_id = world.rds.new_resource_id("cluster");
    let by_default = kms_key.is_none() && world.behaviour.encrypts_by_default;
    let cluster = Cluster {
        engine: snapshot.engine,
        engine_version: snapshot.engine_version,
        master_username: snapshot.master_username,
        kms_key,
        encrypted_by_default: by_default,
        settings,
        created_at_ms: world.now_ms,
        host_mark: host_mark(world, &resource_id),
        ..Cluster::new(&world.rds, region, &new.id, resource_id.clone())
    };
    world.rows.restore(&snapshot.arn, &resource_id);
    let status = world.ending();
    let seconds = world.behaviour.timings.restore_s;
    world.after(seconds, RdsEvent::ClusterCreated { resource_id, status });
    let answer = answer(world, &cluster);
    if let Some(here) = world.rds.regions.get_mut(region) {
        here.clusters.insert(new.id, cluster);
    }
    Ok(Some(answer))
}

fn find<'a>(world: &'a World, region: &str, params: &Params) -> Result<&'a Snapshot, AwsError> {
    let name = params.required("SnapshotIdentifier")?;
    let here = world.rds.regions.get(region);
    let mut snapshots = here.into_iter().flat_map(|here| here.snapshots.values());
    snapshots.find(|snapshot| snapshot.id == name || snapshot.arn == name).ok_or_else(|| {
        let message = format!("DBClusterSnapshot {name} not found");
        AwsError::not_found("DBClusterSnapshotNotFoundFault", message)
    })
}

fn check_snapshot(snapshot: &Snapshot) -> Result<(), AwsError> {
    if snapshot.status == "available" {
        return Ok(());
    }
    let message = format!("DB cluster snapshot {} is in {} state", snapshot.id, snapshot.status);
    Err(AwsError::bad_request("InvalidDBClusterSnapshotStateFault", message))
}

fn check_engine(snapshot: &Snapshot, params: &Params) -> Result<(), AwsError> {
    match params.get("Engine") {
        Some(engine) if engine != snapshot.engine => Err(invalid_value(format!(
            "The engine {engine} is not that of the snapshot {}",
            snapshot.id
        ))),
        _ => Ok(()),
    }
}

/// A snapshot keeps its key, unless another one is asked for.
fn key_of(
    world: &World,
    region: &str,
    snapshot: &Snapshot,
    params: &Params,
) -> Result<Option<String>, AwsError> {
    let Some(wanted) = params.get("KmsKeyId").or(snapshot.kms_key.as_deref()) else {
        return Ok(None);
    };
    let keys = world.rds.regions.get(region).map_or(&[][..], |here| here.kms_keys.as_slice());
    keys::usable(keys, wanted).map(|key| Some(key.to_owned()))
}
