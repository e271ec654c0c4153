//! SwitchoverGlobalCluster and FailoverGlobalCluster: what makes another member the writer.

use super::checks::Checks;
use super::event::{RdsEvent, connect};
use super::global_api::{answer, named};
use super::global_leave::{bound_to_region_of, not_available};
use super::params::{cluster_state, global_state, invalid_combination};
use super::version::may_switch_over;
use super::{Answer, Cluster, GlobalCluster, Member, Membership, Operation, Snapshot};
use crate::Event;
use crate::behaviour::Check;
use crate::wire::{AwsError, Params};
use crate::world::World;

/// Part of a switchover or failover after which the writer is another one.
const FLIP_AT: f64 = 0.7;

pub(super) fn switch_over(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    if let Ok(global) = named(world, params) {
        let writer = global.writer().map(|writer| writer.arn.as_str()).unwrap_or_default();
        checks.see(Check::State, moves_from(world, region, writer, "primary"));
    }
    begin(world, params, checks, false)
}

/// A switchover or a failover belongs into the Region of one of the clusters.
fn moves_from(world: &World, region: &str, arn: &str, whose: &str) -> Result<(), AwsError> {
    let bound = world.behaviour.moves_are_bound_to_a_region;
    if bound { bound_to_region_of(world, region, arn, whose) } else { Ok(()) }
}

pub(super) fn fail_over(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let allows_loss = params.bool("AllowDataLoss")?;
    if allows_loss.is_some() && params.bool("Switchover")?.is_some() {
        let message = "AllowDataLoss and Switchover cannot be specified together";
        checks.see::<()>(Check::Combination, Err(invalid_combination(message)));
    }
    let allows_loss = allows_loss.unwrap_or(false);
    if let Some(target) = params.get("TargetDbClusterIdentifier").filter(|_| allows_loss) {
        checks.see(Check::State, moves_from(world, region, target, "target"));
    }
    begin(world, params, checks, allows_loss)
}

fn begin(
    world: &mut World,
    params: &Params,
    mut checks: Checks,
    data_loss_allowed: bool,
) -> Answer {
    let global = checks.see(Check::NotFound, named(world, params).cloned());
    let target = checks.see(Check::Malformed, params.required("TargetDbClusterIdentifier"));
    let cluster = target.and_then(|target| {
        let found = world.rds.cluster_by_arn(target).cloned().ok_or_else(|| {
            let message = format!("A DB cluster with ARN {target} doesn't exist");
            AwsError::not_found("DBClusterNotFoundFault", message)
        });
        checks.see(Check::NotFound, found)
    });
    if let (Some(global), Some(cluster)) = (&global, &cluster) {
        checks.see(Check::State, check_target(world, global, cluster, data_loss_allowed));
    }
    let (global, cluster) = checks.end(global.zip(cluster))?;
    let target = cluster.arn.clone();
    let writer = global.writer().map(|writer| writer.arn.clone()).unwrap_or_default();
    let operation = Operation {
        status: "pending".to_owned(),
        from: writer,
        to: target,
        data_loss_allowed,
        fails: world.ending() != "available",
    };
    let cancelled =
        operation.fails || !data_loss_allowed && world.behaviour.switchovers_are_cancelled;
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
    let fits =
        |c: &Cluster| may_switch_over(&target.engine, &c.engine_version, &target.engine_version);
    if let Some(other) = members().find(|cluster| !fits(cluster)) {
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
    let shows = lossy || world.behaviour.switchover_shows_modifying;
    set_status(world, &operation.to, if shows { "modifying" } else { "available" });
    if lossy && world.behaviour.failover_fences_writes {
        set_status(world, &operation.from, "resyncing");
    } else if !lossy && shows {
        set_status(world, &operation.from, "modifying");
    }
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
    let unfenced = operation.data_loss_allowed && !world.behaviour.failover_fences_writes;
    for member in &global.members {
        // Nothing keeps a former writer that was not fenced from going on.
        if unfenced && member.arn == from.arn {
            continue;
        }
        let Some(cluster) = world.rds.cluster_by_arn_mut(&member.arn) else { continue };
        cluster.membership = if member.arn == to.arn {
            Membership::Writer { global: global.id.clone() }
        } else {
            Membership::Reader { global: global.id.clone(), source: to.arn.clone() }
        };
        let volume = cluster.resource_id.clone();
        world.rows.cut(&volume, now_ms);
    }
    let listed = !operation.data_loss_allowed || world.behaviour.former_writer_stays_listed;
    if let Some(global) = world.global_named(global_id) {
        global.members.retain(|member| listed || member.arn != from.arn);
        for member in &mut global.members {
            member.is_writer = member.arn == to.arn;
            member.synchronization = (!member.is_writer).then(|| "pending-resync".to_owned());
        }
    }
}

/// Aurora gives up half-way, or fails.
pub(super) fn cancelled(world: &mut World, global_id: &str) {
    let Some(global) = world.global_named(global_id) else { return };
    if let Some(operation) = &mut global.operation {
        "cancelling".clone_into(&mut operation.status);
    }
}

/// A former writer is a member again, as a reader of the new one.
fn rejoin(world: &mut World, global_id: &str, from: &str, to: &str) {
    let Some(global) = world.global_named(global_id) else { return };
    let id = global.id.clone();
    if global.member(from).is_none() {
        global.members.push(Member {
            arn: from.to_owned(),
            is_writer: false,
            synchronization: Some("pending-resync".to_owned()),
            leaving: false,
        });
    }
    let now_ms = world.now_ms;
    let Some(cluster) = world.rds.cluster_by_arn_mut(from) else { return };
    if !cluster.is_reader() {
        cluster.membership = Membership::Reader { global: id, source: to.to_owned() };
    }
    let volume = cluster.resource_id.clone();
    world.rows.cut(&volume, now_ms);
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
    let Some((_, operation)) = operation(world, global_id) else { return };
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
        let target = world.rds.cluster_by_arn(&operation.to).map(|to| to.resource_id.clone());
        if let Some(target) = target.filter(|_| operation.data_loss_allowed) {
            connect(world, &target);
        }
        return;
    }
    set_status(world, &operation.to, "available");
    if operation.data_loss_allowed {
        rejoin(world, global_id, &operation.from, &operation.to);
    }
    let Some(global) = world.global_named(global_id).cloned() else { return };
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
        let number = match (operation.fails, operation.data_loss_allowed) {
            (false, _) => 186,
            (true, false) => 187,
            (true, true) => 239,
        };
        return tell_of(world, [number], to);
    }
    if !operation.data_loss_allowed {
        return tell_of(world, [184, 185, 397], to);
    }
    tell_of(world, [238, 397], to);
    tell_of(world, [240], from);
    let fenced: Vec<_> = world.rds.instances_of(from).cloned().collect();
    for instance in &fenced {
        let number = if world.behaviour.failover_fences_writes { 390 } else { 391 };
        world.tell(number, instance, "");
    }
}

fn set_status(world: &mut World, arn: &str, status: &str) {
    if let Some(cluster) = world.rds.cluster_by_arn_mut(arn) {
        status.clone_into(&mut cluster.status);
    }
}
