//! RemoveFromGlobalCluster, SwitchoverGlobalCluster, FailoverGlobalCluster: what changes who is the
//! writer.

use rand::Rng;

use super::event::{RdsEvent, connect};
use super::global_api::{answer, named};
use super::params::{cluster_state, global_state, invalid_combination, invalid_value};
use super::{Answer, Cluster, GlobalCluster, Membership, Operation, Snapshot};
use crate::Event;
use crate::wire::{AwsError, Params};
use crate::world::World;

/// Part of a switchover or failover after which the writer is another one.
const FLIP_AT: f64 = 0.7;

pub(super) fn remove(world: &mut World, params: &Params) -> Answer {
    let arn = params.required("DbClusterIdentifier")?.to_owned();
    let global = named(&world.rds, params)?.clone();
    if !arn.starts_with("arn:") {
        return Err(invalid_value(format!("Malformed db cluster arn {arn}")));
    }
    let (cluster, is_writer) = removable(world, &global, &arn)?;
    leave(world, &global, &cluster, is_writer);
    let global = world.rds.globals.get(&global.id).cloned().unwrap_or(global);
    Ok(Some(answer(world, &global)))
}

/// The member, and whether it is the writer, if it may be removed.
fn removable(
    world: &World,
    global: &GlobalCluster,
    arn: &str,
) -> Result<(Cluster, bool), AwsError> {
    let not_found =
        || invalid_value(format!("Cluster {arn} is not found in global cluster {}", global.id));
    let member = global.member(arn).ok_or_else(not_found)?;
    let cluster = world.rds.cluster_by_arn(arn).ok_or_else(not_found)?;
    if member.leaving && !world.behaviour.second_removal_accepted {
        return Err(not_available(cluster));
    }
    if let Some(operation) = &global.operation {
        return Err(global_state(format!("Global cluster {} is {}", global.id, operation.status)));
    }
    // One that has joined and is not listed yet is there all the same.
    let others = global.members.iter().any(|other| other.arn != arn)
        || world.rds.clusters_in(&global.id).any(|other| other.arn != arn);
    if member.is_writer && others {
        let message = "Can't remove writer cluster when there are other clusters";
        return Err(if world.behaviour.writer_removal_is_invalid_parameter {
            invalid_value(message)
        } else {
            global_state(message)
        });
    }
    let removable = ["available", "backing-up"].contains(&cluster.status.as_str());
    if !removable && !member.leaving {
        return Err(not_available(cluster));
    }
    Ok((cluster.clone(), member.is_writer))
}

fn not_available(cluster: &Cluster) -> AwsError {
    cluster_state(format!(
        "DbCluster {} is in {} state but expected it to be one of available",
        cluster.id, cluster.status
    ))
}

fn leave(world: &mut World, global: &GlobalCluster, cluster: &Cluster, is_writer: bool) {
    let already = global.member(&cluster.arn).is_some_and(|member| member.leaving);
    if already {
        return;
    }
    let timings = world.behaviour.timings.clone();
    if let Some(global) = world.global_named(&global.resource_id) {
        for member in global.members.iter_mut().filter(|member| member.arn == cluster.arn) {
            member.leaving = true;
        }
    }
    let headless = world.rds.instances_of(cluster).next().is_none();
    if !is_writer {
        stop_replication(world, global, cluster);
    }
    let modifies = is_writer && world.behaviour.writer_removal_modifies;
    if let Some(cluster) = world.rds.cluster_by_arn_mut(&cluster.arn) {
        cluster.membership = Membership::Standalone;
        if !is_writer {
            cluster.status = "promoting".to_owned();
        } else if modifies {
            cluster.status = "modifying".to_owned();
        }
    }
    if headless && !is_writer && !world.behaviour.headless_detach_settles {
        return;
    }
    let unlisted =
        RdsEvent::MemberUnlisted { global: global.resource_id.clone(), arn: cluster.arn.clone() };
    let unlisted_ms = world.eventually(timings.removed_still_listed_s, unlisted);
    let from = if is_writer { "modifying" } else { "promoting" };
    let seconds = if is_writer { timings.modify_s } else { timings.promote_s };
    if !is_writer || modifies {
        let promoted_ms = world.now_ms.saturating_add(world.draw_ms(seconds)).max(unlisted_ms);
        let event = RdsEvent::ClusterStatus {
            resource_id: cluster.resource_id.clone(),
            from: from.to_owned(),
            to: world.ending(),
        };
        world.schedule_at(promoted_ms, Event::Rds(event));
    }
}

/// Cuts a reader off where it stands; one that was still copying holds only a part.
fn stop_replication(world: &mut World, global: &GlobalCluster, cluster: &Cluster) {
    let connected = global
        .member(&cluster.arn)
        .is_some_and(|member| member.synchronization.as_deref() == Some("connected"));
    if connected {
        world.rows.cut(&cluster.resource_id, world.now_ms);
    } else if let Membership::Reader { source, .. } = &cluster.membership
        && let Some(source) = world.rds.cluster_by_arn(source)
    {
        let source = source.resource_id.clone();
        let part = world.rng().random_range(0.1..0.9);
        world.rows.copy_part(&source, &cluster.resource_id, part);
    }
}

pub(super) fn switch_over(world: &mut World, region: &str, params: &Params) -> Answer {
    let global = named(&world.rds, params)?;
    let writer = global.writer().map(|writer| writer.arn.clone()).unwrap_or_default();
    bound_to_region_of(world, region, &writer, "primary")?;
    begin(world, params, false)
}

/// Some calls belong into the Region of one of the clusters.
fn bound_to_region_of(world: &World, region: &str, arn: &str, whose: &str) -> Result<(), AwsError> {
    let home = arn.split(':').nth(3);
    if !world.behaviour.moves_are_bound_to_a_region || home.is_none_or(|home| home == region) {
        return Ok(());
    }
    let message = format!("This operation must be called in the Region of the {whose} DB cluster");
    Err(global_state(message))
}

pub(super) fn fail_over(world: &mut World, region: &str, params: &Params) -> Answer {
    let allows_loss = params.bool("AllowDataLoss")?;
    let switches = params.bool("Switchover")?;
    if allows_loss.is_some() && switches.is_some() {
        return Err(invalid_combination(
            "AllowDataLoss and Switchover cannot be specified together",
        ));
    }
    let allows_loss = allows_loss.unwrap_or(false);
    if allows_loss {
        let target = params.required("TargetDbClusterIdentifier")?;
        bound_to_region_of(world, region, target, "target")?;
    }
    begin(world, params, allows_loss)
}

fn begin(world: &mut World, params: &Params, data_loss_allowed: bool) -> Answer {
    let target = params.required("TargetDbClusterIdentifier")?.to_owned();
    let global = named(&world.rds, params)?.clone();
    let cluster = world.rds.cluster_by_arn(&target).cloned().ok_or_else(|| {
        let message = format!("A DB cluster with ARN {target} doesn't exist");
        AwsError::not_found("DBClusterNotFoundFault", message)
    })?;
    check_target(world, &global, &cluster, data_loss_allowed)?;
    let writer = global.writer().map(|writer| writer.arn.clone()).unwrap_or_default();
    let operation =
        Operation { status: "pending".to_owned(), from: writer, to: target, data_loss_allowed };
    let resource_id = global.resource_id.clone();
    if let Some(global) = world.global_named(&resource_id) {
        global.operation = Some(operation);
    }
    let timings = world.behaviour.timings.clone();
    let whole_s = if data_loss_allowed { timings.failover_s } else { timings.switchover_s };
    let whole_ms = world.draw_ms(whole_s);
    let at = |part: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "a part of some minutes")]
        let part_ms = (whole_ms as f64 * part) as i64;
        world.now_ms.saturating_add(part_ms)
    };
    let cancelled = !data_loss_allowed && world.behaviour.switchovers_are_cancelled;
    let (started_ms, flipped_ms, done_ms) = (at(0.05), at(FLIP_AT), at(1.0));
    let number = if data_loss_allowed { None } else { Some(181) };
    tell_of(world, number, &cluster);
    let id = || resource_id.clone();
    world.schedule_at(started_ms, Event::Rds(RdsEvent::MoveStarted { global: id() }));
    let turn = if cancelled {
        RdsEvent::MoveCancelled { global: id() }
    } else {
        RdsEvent::MoveFlipped { global: id() }
    };
    world.schedule_at(flipped_ms, Event::Rds(turn));
    world.schedule_at(done_ms, Event::Rds(RdsEvent::MoveDone { global: id() }));
    let global = world.rds.globals.get(&global.id).cloned().unwrap_or(global);
    Ok(Some(answer(world, &global)))
}

fn check_target(
    world: &World,
    global: &GlobalCluster,
    target: &Cluster,
    data_loss_allowed: bool,
) -> Result<(), AwsError> {
    let unsuitable = |message: String| {
        let of_the_cluster = world.behaviour.unsuitable_target_is_cluster_state;
        if of_the_cluster { cluster_state(message) } else { global_state(message) }
    };
    let Some(member) = global.member(&target.arn) else {
        let (arn, id) = (&target.arn, &global.id);
        return Err(unsuitable(format!("Cluster {arn} is not found in global cluster {id}")));
    };
    if member.is_writer {
        return Err(unsuitable(format!("Cluster {} is already the writer", target.arn)));
    }
    if global.operation.is_some() || global.status != "available" {
        return Err(global_state(format!("Global cluster {} is not available", global.id)));
    }
    if world.rds.instances_of(target).next().is_none() {
        return Err(cluster_state(format!("DbCluster {} has no instance", target.id)));
    }
    if target.status != "available" {
        return Err(not_available(target));
    }
    if data_loss_allowed {
        return Ok(());
    }
    let synchronized = global
        .members
        .iter()
        .all(|m| m.is_writer || m.synchronization.as_deref() == Some("connected"));
    if !synchronized || world.now_ms < global.setting_up_until_ms {
        return Err(cluster_state(
            "The switchover request is not successful because replication setup is still in \
             progress. Please retry the request later.",
        ));
    }
    let members = || global.members.iter().filter_map(|m| world.rds.cluster_by_arn(&m.arn));
    if let Some(other) = members().find(|cluster| cluster.status != "available") {
        return Err(not_available(other));
    }
    if let Some(other) = members().find(|c| c.engine_version != target.engine_version) {
        return Err(cluster_state(format!(
            "The engine version {} of DbCluster {} differs from that of DbCluster {}",
            other.engine_version, other.id, target.id
        )));
    }
    match members().find(|cluster| !cluster.is_reader() && !world.rds.accepts_writes(cluster)) {
        Some(writer) => {
            Err(cluster_state(format!("DbCluster {} has no healthy instance", writer.id)))
        }
        None => Ok(()),
    }
}

fn tell_of(world: &mut World, numbers: impl IntoIterator<Item = u16>, cluster: &Cluster) {
    for number in numbers {
        world.tell(number, cluster, &format!("{} in Region {}", cluster.id, cluster.region));
    }
}

fn operation(world: &mut World, global: &str) -> Option<(GlobalCluster, Operation)> {
    let global = world.global_named(global)?.clone();
    let operation = global.operation.clone()?;
    Some((global, operation))
}

/// The operation begins to act: a failover gives up what has not arrived.
pub(super) fn started(world: &mut World, global: &str) {
    let Some((_, operation)) = operation(world, global) else { return };
    let lossy = operation.data_loss_allowed;
    let status = if lossy { "failing-over" } else { "switching-over" };
    if let Some(global) = world.global_named(global) {
        status.clone_into(&mut global.status);
        if let Some(operation) = &mut global.operation {
            status.clone_into(&mut operation.status);
        }
    }
    if !lossy && let Some(from) = world.rds.cluster_by_arn(&operation.from).cloned() {
        tell_of(world, [182, 183], &from);
    }
    set_status(world, &operation.to, "modifying");
    set_status(world, &operation.from, if lossy { "resyncing" } else { "modifying" });
    if lossy && let Some(target) = world.rds.cluster_by_arn(&operation.to) {
        let volume = target.resource_id.clone();
        world.rows.cut(&volume, world.now_ms);
    }
}

/// The writer changes.
pub(super) fn flipped(world: &mut World, global_id: &str) {
    let Some((global, operation)) = operation(world, global_id) else { return };
    let (Some(from), Some(to)) = (
        world.rds.cluster_by_arn(&operation.from).cloned(),
        world.rds.cluster_by_arn(&operation.to).cloned(),
    ) else {
        return;
    };
    let now_ms = world.now_ms;
    if operation.data_loss_allowed {
        keep_former_writer(world, &from);
    } else {
        // A switchover waits until nothing is in flight.
        world.rows.cut(&to.resource_id, now_ms);
        world.rows.copy_part(&from.resource_id, &to.resource_id, 1.0);
    }
    for member in &global.members {
        let Some(cluster) = world.rds.cluster_by_arn_mut(&member.arn) else { continue };
        cluster.membership = if member.arn == to.arn {
            Membership::Writer { global: global.id.clone() }
        } else {
            Membership::Reader { global: global.id.clone(), source: to.arn.clone() }
        };
        let volume = cluster.resource_id.clone();
        world.rows.cut(&volume, now_ms);
    }
    if let Some(global) = world.global_named(global_id) {
        for member in &mut global.members {
            member.is_writer = member.arn == to.arn;
            member.synchronization = (!member.is_writer).then(|| "pending-resync".to_owned());
        }
    }
}

/// Aurora gives up half-way.
pub(super) fn cancelled(world: &mut World, global_id: &str) {
    let Some(global) = world.global_named(global_id) else { return };
    if let Some(operation) = &mut global.operation {
        "cancelling".clone_into(&mut operation.status);
    }
}

/// A failover tries to keep what the former writer held in a snapshot.
fn keep_former_writer(world: &mut World, from: &Cluster) {
    if !world.behaviour.failover_takes_snapshot {
        return;
    }
    let id = format!("rds:unplanned-global-failover-{}-{}", from.id, world.now_ms);
    let vpc_id = world.rds.vpc_of(from);
    let mut snapshot = Snapshot::of(from, &id, "automated", vpc_id, world.now_ms);
    snapshot.arn = world.rds.arn(&from.region, "cluster-snapshot", &id);
    snapshot.rows = world.rows.position(&from.resource_id);
    let arn = snapshot.arn.clone();
    world.rows.keep(&arn, &from.resource_id);
    world.tell(168, &snapshot, "");
    if let Some(region) = world.rds.regions.get_mut(&from.region) {
        region.snapshots.insert(id, snapshot);
    }
    let seconds = world.behaviour.timings.snapshot_s;
    world.after(seconds, RdsEvent::SnapshotAvailable { arn });
}

/// The operation is over: the new writer serves, the others follow it.
pub(super) fn done(world: &mut World, global_id: &str) {
    let Some((global, operation)) = operation(world, global_id) else { return };
    let timings = world.behaviour.timings.clone();
    let set_up_ms = world.draw_ms(timings.replication_setup_s);
    let now_ms = world.now_ms;
    let cancelled = operation.status == "cancelling";
    if let Some(global) = world.global_named(global_id) {
        global.operation = None;
        "available".clone_into(&mut global.status);
        global.setting_up_until_ms = now_ms + set_up_ms;
    }
    let (from, to) = (
        world.rds.cluster_by_arn(&operation.from).cloned(),
        world.rds.cluster_by_arn(&operation.to).cloned(),
    );
    if let (Some(from), Some(to)) = (from, to) {
        tell_of_the_end(world, &operation, cancelled, &from, &to);
    }
    if cancelled {
        set_status(world, &operation.to, "available");
        set_status(world, &operation.from, "available");
        return;
    }
    set_status(world, &operation.to, "available");
    for member in global.members.iter().filter(|member| member.arn != operation.to) {
        let Some(cluster) = world.rds.cluster_by_arn(&member.arn).cloned() else { continue };
        let resource_id = cluster.resource_id.clone();
        if operation.data_loss_allowed {
            set_status(world, &member.arn, "resyncing");
            world.after(timings.resync_s, RdsEvent::Resynchronized { resource_id });
        } else {
            set_status(world, &member.arn, "available");
            connect(world, &resource_id);
        }
    }
}

fn tell_of_the_end(
    world: &mut World,
    operation: &Operation,
    cancelled: bool,
    from: &Cluster,
    to: &Cluster,
) {
    if cancelled {
        return tell_of(world, [186], to);
    }
    if !operation.data_loss_allowed {
        return tell_of(world, [184, 185, 397], to);
    }
    tell_of(world, [238, 397], to);
    tell_of(world, [240], from);
    let fenced: Vec<_> = world.rds.instances_of(from).cloned().collect();
    for instance in &fenced {
        world.tell(390, instance, "");
    }
}

fn set_status(world: &mut World, arn: &str, status: &str) {
    if let Some(cluster) = world.rds.cluster_by_arn_mut(arn) {
        status.clone_into(&mut cluster.status);
    }
}
