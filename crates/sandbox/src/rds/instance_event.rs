//! What happens to instances after a call has been answered.

use super::Instance;
use super::event::{LOOK_AGAIN_MS, RdsEvent, UNKNOWN_STATUS, is_being_created};
use crate::world::{Event, World};

/// A deleted instance has shown that it may go, and begins to.
pub(super) fn prechecked(world: &mut World, resource_id: &str) {
    if let Some(found) = world.instance_named(resource_id)
        && found.status == "delete-precheck"
    {
        "deleting".clone_into(&mut found.status);
    }
}

pub(super) fn created(world: &mut World, resource_id: String, status: String) {
    let Some(instance) = world.instance_named(&resource_id).map(|instance| instance.clone()) else {
        return;
    };
    let transient = ["creating", "configuring-enhanced-monitoring", UNKNOWN_STATUS];
    let transient = [&transient[..], &["modifying", "backing-up"]].concat();
    if !transient.contains(&instance.status.as_str()) {
        return;
    }
    let cluster_creating = world
        .rds
        .cluster(&instance.region, &instance.cluster_id)
        .is_some_and(|cluster| is_being_created(&cluster.status));
    let waits = cluster_creating && world.behaviour.instances_wait_for_their_cluster;
    if waits && status == "available" {
        let at_ms = world.now_ms + LOOK_AGAIN_MS;
        world.schedule_at(at_ms, Event::Rds(RdsEvent::InstanceCreated { resource_id, status }));
        return;
    }
    let before = if status == "available" { next_before_available(world, &instance) } else { None };
    if let Some(instance) = world.instance_named(&resource_id) {
        before.unwrap_or(&status).clone_into(&mut instance.status);
    }
    if before.is_some() {
        let seconds = world.behaviour.timings.modify_s;
        world.after(seconds, RdsEvent::InstanceCreated { resource_id, status });
        return;
    }
    let recovery = instance.recovers_after_ms.filter(|_| status != "available");
    if let Some(recovers_after_ms) = recovery {
        let at_ms = world.now_ms.saturating_add(recovers_after_ms);
        let to = "available".to_owned();
        let event = RdsEvent::InstanceStatus { resource_id, from: status.clone(), to };
        world.schedule_at(at_ms, Event::Rds(event));
    }
    let number = match status.as_str() {
        "available" => 5,
        "incompatible-parameters" => 35,
        "incompatible-network" => 36,
        _ => 353,
    };
    world.tell(number, &instance, &status);
}

/// The status that a new instance passes through next, if it is not to be available yet.
fn next_before_available(world: &World, instance: &Instance) -> Option<&'static str> {
    let monitored = instance.settings.monitoring.as_ref().is_some_and(|m| m.interval_s > 0);
    let (unknown, backs_up) =
        (world.behaviour.unknown_statuses, world.behaviour.new_instance_backs_up);
    let order = [
        ("creating", true),
        (UNKNOWN_STATUS, unknown),
        ("configuring-enhanced-monitoring", monitored),
        ("modifying", backs_up),
        ("backing-up", backs_up),
    ];
    let reached = order.iter().position(|(status, _)| *status == instance.status)?;
    order[reached + 1..].iter().find(|(_, shown)| *shown).map(|(status, _)| *status)
}

/// An instance leaves a transient status.
pub(super) fn status(world: &mut World, resource_id: &str, from: &str, to: String) {
    let Some(found) = world.instance_named(resource_id).filter(|i| i.status == from) else {
        return;
    };
    found.status = to;
    let restarted = (from == "rebooting").then(|| found.clone());
    if let Some(instance) = restarted {
        world.tell(6, &instance, "");
    }
}

pub(super) fn gone(world: &mut World, resource_id: &str) {
    if let Some(instance) = world.instance_named(resource_id).map(|instance| instance.clone()) {
        world.tell(3, &instance, "");
    }
    for region in world.rds.regions.values_mut() {
        region.instances.retain(|_, instance| instance.resource_id != resource_id);
    }
}
