//! RebootDBInstance: the engine is started anew, and every session ends.
//!
//! Source: RDS API Reference, `RebootDBInstance`; Aurora User Guide, "Rebooting an Amazon Aurora DB
//! cluster or Amazon Aurora DB instance". What the engine restarts by itself may keep sessions
//! ("Zero-downtime restart"); what a caller asks for does not.

use super::event::RdsEvent;
use super::instance_api::{answer, named};
use super::params::invalid_combination;
use super::{Answer, Cluster, Membership};
use crate::wire::{AwsError, Params};
use crate::world::World;

pub(super) fn reboot(world: &mut World, region: &str, params: &Params) -> Answer {
    let instance = named(&world.rds, region, params)?.clone();
    if params.bool("ForceFailover")? == Some(true) {
        return Err(invalid_combination(
            "ForceFailover is for Multi-AZ DB instances, not for Aurora",
        ));
    }
    if instance.status != "available" {
        return Err(AwsError::bad_request(
            "InvalidDBInstanceState",
            format!("Database instance is not in available state: {}", instance.status),
        ));
    }
    let now_ms = world.now_ms;
    if let Some(found) = world.instance_named(&instance.resource_id) {
        "rebooting".clone_into(&mut found.status);
        found.booted_ms = now_ms;
        found.wants_reboot = false;
    }
    world.rds.restarts += 1;
    world.tell(4, &instance, "");
    let cluster = world.rds.cluster(region, &instance.cluster_id).cloned();
    if let Some(cluster) = cluster.filter(|c| c.writer_instance.as_ref() == Some(&instance.id)) {
        restart_secondaries(world, &cluster);
    }
    let event = RdsEvent::InstanceStatus {
        resource_id: instance.resource_id.clone(),
        from: "rebooting".to_owned(),
        to: world.ending(),
    };
    world.after(world.behaviour.timings.reboot_s, event);
    let instance = world.rds.instance(region, &instance.id).cloned().unwrap_or(instance);
    Ok(Some(answer(world, &instance)))
}

/// A restart of a global cluster's writer restarts the readers of its other members.
fn restart_secondaries(world: &mut World, writer: &Cluster) {
    let Membership::Writer { global } = &writer.membership else { return };
    let now_ms = world.now_ms;
    let followers: Vec<(String, String)> = world
        .rds
        .clusters_in(global)
        .filter(|cluster| cluster.is_reader())
        .map(|cluster| (cluster.region.clone(), cluster.id.clone()))
        .collect();
    for (region, id) in followers {
        let here = world.rds.regions.get_mut(&region);
        for instance in here.into_iter().flat_map(|here| here.instances.values_mut()) {
            if instance.cluster_id == id {
                instance.booted_ms = now_ms;
            }
        }
    }
}
