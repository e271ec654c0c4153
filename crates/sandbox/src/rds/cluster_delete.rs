//! DeleteDBCluster, with the rules that keep a cluster from going too early.

use super::checks::Checks;
use super::cluster_api::{answer, named};
use super::event::RdsEvent;
use super::params::{cluster_state, global_state, identifier, invalid_combination, unestablished};
use super::{Answer, Cluster, Membership, Snapshot};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params};
use crate::world::World;

/// Manual cluster snapshots a Region may hold.
const SNAPSHOTS_MAX: usize = 100;

pub(super) fn delete(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let cluster = checks.see(Check::NotFound, named(world, region, params).cloned());
    let snapshot_id = checks.see(Check::Malformed, snapshot_id(world, params));
    let deleting = cluster.as_ref().is_some_and(|cluster| cluster.status == "deleting");
    if let Some(cluster) = &cluster {
        if deleting {
            checks.see(Check::State, refuse_second(world, cluster));
        } else {
            let snapshot_id = snapshot_id.as_ref().and_then(Option::as_deref);
            may_go(world, cluster, snapshot_id, &mut checks);
        }
    }
    let (cluster, snapshot_id) = checks.end(cluster.zip(snapshot_id))?;
    if deleting {
        return Ok(Some(answer(world, &cluster)));
    }

    // The answer still says `available`.
    let answer = answer(world, &cluster);
    if let Some(id) = &snapshot_id {
        take_final_snapshot(world, &cluster, id);
    }
    leave_empty_handed(world, &cluster);
    let keeps_backups = params.bool("DeleteAutomatedBackups")? == Some(false);
    if let Some(cluster) = world.rds.cluster_mut(region, &cluster.id) {
        "deleting".clone_into(&mut cluster.status);
        cluster.keeps_backups = keeps_backups;
    }
    let timings = world.behaviour.timings.clone();
    let snapshot_s = if snapshot_id.is_some() { timings.snapshot_s } else { 0.0 };
    world.after(
        timings.delete_cluster_s + snapshot_s,
        RdsEvent::ClusterGone { resource_id: cluster.resource_id },
    );
    Ok(Some(answer))
}

/// The final snapshot that is asked for, if one is.
fn snapshot_id(world: &World, params: &Params) -> Result<Option<String>, AwsError> {
    let skips = params.bool("SkipFinalSnapshot")?.unwrap_or(false);
    let message = match (skips, params.has("FinalDBSnapshotIdentifier")) {
        (true, false) => return Ok(None),
        (false, true) => return identifier(params, "FinalDBSnapshotIdentifier", 255).map(Some),
        (true, true) => {
            "FinalDBSnapshotIdentifier can not be specified when deleting a cluster with \
             SkipFinalSnapshot"
        }
        (false, false) => {
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        }
    };
    Err(unestablished(&world.behaviour.codes.snapshot_arguments, message))
}

fn refuse_second(world: &World, cluster: &Cluster) -> Result<(), AwsError> {
    let message = format!("Cluster {} is already being deleted", cluster.id);
    if world.behaviour.second_deletion_refused { Err(cluster_state(message)) } else { Ok(()) }
}

fn may_go(world: &World, cluster: &Cluster, snapshot_id: Option<&str>, checks: &mut Checks) {
    if let Some(snapshot_id) = snapshot_id {
        checks.see(Check::Exists, check_snapshot_name(world, cluster, snapshot_id));
        checks.see(Check::Quota, check_snapshot_count(world, cluster));
    }
    checks.see(Check::State, check_membership(world, cluster));
    checks.see(Check::State, check_state(world, cluster, snapshot_id.is_some()));
    if snapshot_id.is_some() {
        checks.see(Check::Dependencies, check_key(world, cluster));
    }
}

fn check_state(world: &World, cluster: &Cluster, snapshot: bool) -> Result<(), AwsError> {
    let id = &cluster.id;
    if cluster.settings.deletion_protection {
        return Err(invalid_combination(
            "Cannot delete protected Cluster, please disable deletion protection and try again.",
        ));
    }
    if world.rds.instances_of(cluster).any(|instance| instance.status != "deleting") {
        return Err(cluster_state(
            "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
        ));
    }
    if cluster.status == "stopped" {
        return Err(cluster_state(format!(
            "DbCluster {id} is in stopped state but expected it to be one of available"
        )));
    }
    let keyless = cluster.status.starts_with("inaccessible-encryption-credentials");
    if snapshot && cluster.status != "available" && !keyless {
        return Err(cluster_state(format!(
            "Can't create a snapshot because the database cluster {id} isn't currently in the \
             available state. The cluster {id} is not currently in the available state."
        )));
    }
    Ok(())
}

fn check_key(world: &World, cluster: &Cluster) -> Result<(), AwsError> {
    if world.rds.key_is_usable(cluster) {
        return Ok(());
    }
    let key = cluster.kms_key.as_deref().unwrap_or_default();
    let message = format!("The KMS key [{key}] of cluster {} cannot be used", cluster.id);
    Err(unestablished(&world.behaviour.codes.snapshot_without_key, message))
}

fn check_snapshot_name(world: &World, cluster: &Cluster, id: &str) -> Result<(), AwsError> {
    let here = world.rds.regions.get(&cluster.region);
    if !here.is_some_and(|here| here.snapshots.contains_key(id)) {
        return Ok(());
    }
    let message = format!(
        "Cannot create the cluster snapshot because one with the identifier {id} already exists."
    );
    Err(AwsError::bad_request("DBClusterSnapshotAlreadyExistsFault", message))
}

fn check_snapshot_count(world: &World, cluster: &Cluster) -> Result<(), AwsError> {
    let here = world.rds.regions.get(&cluster.region);
    let snapshots = here.into_iter().flat_map(|here| here.snapshots.values());
    if snapshots.filter(|s| s.snapshot_type == "manual").count() < SNAPSHOTS_MAX {
        return Ok(());
    }
    let message = format!("Cannot create more than {SNAPSHOTS_MAX} manual snapshots");
    Err(AwsError::bad_request("SnapshotQuotaExceeded", message))
}

/// A member of a global cluster stays, and for a while so does one that has just been removed.
fn check_membership(world: &World, cluster: &Cluster) -> Result<(), AwsError> {
    let part_of_global = || {
        cluster_state(
            "This cluster is a part of a global cluster, please remove it from globalcluster first",
        )
    };
    match &cluster.membership {
        Membership::Writer { global } => {
            let others = world.rds.globals.get(global).is_some_and(|g| g.members.len() > 1)
                || world.rds.clusters_in(global).nth(1).is_some();
            return Err(if others {
                global_state(
                    "Unable to delete cluster that is a primary member of global cluster while \
                     there are other global cluster members",
                )
            } else {
                part_of_global()
            });
        }
        Membership::Reader { .. } => {
            let headless = world.rds.instances_of(cluster).next().is_none();
            if !(headless && world.behaviour.headless_member_may_be_deleted) {
                return Err(part_of_global());
            }
        }
        Membership::Standalone => {
            if cluster.shown_global.is_some() || world.now_ms < cluster.guarded_until_ms {
                return Err(part_of_global());
            }
        }
    }
    Ok(())
}

fn take_final_snapshot(world: &mut World, cluster: &Cluster, id: &str) {
    world.rows.catch_up(&cluster.resource_id, world.now_ms);
    let vpc_id = world.rds.vpc_of(cluster);
    let mut snapshot = Snapshot::of(cluster, id, "manual", vpc_id, world.now_ms);
    snapshot.arn = world.rds.arn(&cluster.region, "cluster-snapshot", id);
    snapshot.rows = world.rows.position(&cluster.resource_id);
    let arn = snapshot.arn.clone();
    world.rows.keep(&arn, &cluster.resource_id);
    world.tell(74, &snapshot, "");
    if let Some(region) = world.rds.regions.get_mut(&cluster.region) {
        region.snapshots.insert(id.to_owned(), snapshot);
    }
    let seconds = world.behaviour.timings.snapshot_s;
    world.after(seconds, RdsEvent::SnapshotAvailable { arn });
}

/// A reader deleted as a member is unlisted with it.
fn leave_empty_handed(world: &mut World, cluster: &Cluster) {
    let Some(global) = cluster.global().and_then(|id| world.rds.globals.get(id)) else { return };
    let event =
        RdsEvent::MemberUnlisted { global: global.resource_id.clone(), arn: cluster.arn.clone() };
    let seconds = world.behaviour.timings.removed_still_listed_s;
    world.eventually(seconds, event);
    if let Some(cluster) = world.rds.cluster_mut(&cluster.region, &cluster.id) {
        cluster.membership = Membership::Standalone;
    }
}
