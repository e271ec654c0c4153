//! DeleteDBCluster, with the rules that keep a cluster from going too early.

use super::cluster_api::{answer, named};
use super::event::RdsEvent;
use super::params::{cluster_state, global_state, identifier, invalid_combination};
use super::{Answer, Cluster, Membership, Snapshot};
use crate::wire::{AwsError, Params};
use crate::world::World;

/// Manual cluster snapshots a Region may hold.
const SNAPSHOTS_MAX: usize = 100;

pub(super) fn delete(world: &mut World, region: &str, params: &Params) -> Answer {
    let cluster = named(&world.rds, region, params)?.clone();
    let skips = params.bool("SkipFinalSnapshot")?.unwrap_or(false);
    let snapshot_id = match (skips, params.has("FinalDBSnapshotIdentifier")) {
        (true, false) => None,
        (false, true) => Some(identifier(params, "FinalDBSnapshotIdentifier", 255)?),
        (true, true) => {
            return Err(invalid_combination(
                "FinalDBSnapshotIdentifier can not be specified when deleting a cluster with \
                 SkipFinalSnapshot",
            ));
        }
        (false, false) => {
            return Err(invalid_combination(
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
            ));
        }
    };
    may_go(world, &cluster, snapshot_id.as_deref())?;
    if cluster.status == "deleting" {
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

fn may_go(world: &World, cluster: &Cluster, snapshot_id: Option<&str>) -> Result<(), AwsError> {
    let id = &cluster.id;
    if cluster.status == "deleting" {
        let message = format!("Cluster {id} is already being deleted");
        return if world.behaviour.second_deletion_refused {
            Err(cluster_state(message))
        } else {
            Ok(())
        };
    }
    if let Some(snapshot_id) = snapshot_id {
        check_snapshot_name(world, cluster, snapshot_id)?;
    }
    check_membership(world, cluster)?;
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
    if snapshot_id.is_some() && cluster.status != "available" {
        return Err(cluster_state(format!(
            "Can't create a snapshot because the database cluster {id} isn't currently in the \
             available state. The cluster {id} is not currently in the available state."
        )));
    }
    let keys = world.rds.regions.get(&cluster.region).map(|here| &here.kms_keys);
    let lost = cluster.kms_key.as_ref().filter(|key| keys.is_none_or(|keys| !keys.contains(key)));
    if let Some(key) = lost.filter(|_| snapshot_id.is_some()) {
        let message = format!("The KMS key [{key}] of cluster {id} cannot be used");
        return Err(AwsError::bad_request("KMSKeyNotAccessibleFault", message));
    }
    Ok(())
}

fn check_snapshot_name(world: &World, cluster: &Cluster, id: &str) -> Result<(), AwsError> {
    let Some(here) = world.rds.regions.get(&cluster.region) else { return Ok(()) };
    if here.snapshots.contains_key(id) {
        return Err(AwsError::bad_request(
            "DBClusterSnapshotAlreadyExistsFault",
            format!(
                "Cannot create the cluster snapshot because one with the identifier {id} already exists."
            ),
        ));
    }
    let manual = here.snapshots.values().filter(|s| s.snapshot_type == "manual").count();
    if manual >= SNAPSHOTS_MAX {
        return Err(AwsError::bad_request(
            "SnapshotQuotaExceeded",
            format!("Cannot create more than {SNAPSHOTS_MAX} manual snapshots"),
        ));
    }
    Ok(())
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
