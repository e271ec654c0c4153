//! RemoveFromGlobalCluster and PromoteReadReplicaDBCluster: a member leaves its global cluster.

use rand::Rng;

use super::checks::Checks;
use super::event::RdsEvent;
use super::global_api::{answer, named};
use super::params::{cluster_state, global_state, invalid_value, unestablished};
use super::{Answer, Cluster, GlobalCluster, Membership, cluster_api};
use crate::Event;
use crate::behaviour::Check;
use crate::wire::{AwsError, Params};
use crate::world::World;

pub(super) fn remove(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let global = checks.see(Check::NotFound, named(world, params).cloned());
    let arn = checks.see(Check::Malformed, params.required("DbClusterIdentifier"));
    if let Some(arn) = arn {
        checks.see(Check::Malformed, check_member_arn(world, region, arn));
    }
    let mut member = None;
    if let (Some(global), Some(arn)) = (&global, arn.filter(|arn| arn.starts_with("arn:"))) {
        member = checks.see(Check::Combination, member_of(world, global, arn));
        if let Some((cluster, is_writer)) = &member {
            checks.see(Check::State, removable(world, global, cluster, *is_writer));
        }
    }
    let (global, (cluster, is_writer)) = checks.end(global.zip(member))?;
    leave(world, &global, &cluster, is_writer);
    let global = world.rds.globals.get(&global.id).cloned().unwrap_or(global);
    Ok(Some(answer(world, &global)))
}

fn check_member_arn(world: &World, region: &str, arn: &str) -> Result<(), AwsError> {
    if !arn.starts_with("arn:") {
        return Err(invalid_value(format!("Malformed db cluster arn {arn}")));
    }
    let bound = world.behaviour.removal_is_bound_to_a_region;
    if bound { bound_to_region_of(world, region, arn, "removed") } else { Ok(()) }
}

/// A member of a global cluster, and whether it is the writer.
fn member_of(
    world: &World,
    global: &GlobalCluster,
    arn: &str,
) -> Result<(Cluster, bool), AwsError> {
    let not_found =
        || invalid_value(format!("Cluster {arn} is not found in global cluster {}", global.id));
    let member = global.member(arn).ok_or_else(not_found)?;
    let cluster = world.rds.cluster_by_arn(arn).ok_or_else(not_found)?;
    Ok((cluster.clone(), member.is_writer))
}

/// Whether a member may be removed.
fn removable(
    world: &World,
    global: &GlobalCluster,
    cluster: &Cluster,
    is_writer: bool,
) -> Result<(), AwsError> {
    let leaving = global.member(&cluster.arn).is_some_and(|member| member.leaving);
    if leaving && !world.behaviour.second_removal_accepted {
        return Err(not_available(cluster));
    }
    if let Some(operation) = &global.operation {
        return Err(global_state(format!("Global cluster {} is {}", global.id, operation.status)));
    }
    // One that has joined and is not listed yet is there all the same.
    let others = global.members.iter().any(|other| other.arn != cluster.arn)
        || world.rds.clusters_in(&global.id).any(|other| other.arn != cluster.arn);
    if is_writer && others {
        let message = "Can't remove writer cluster when there are other clusters";
        return Err(if world.behaviour.writer_removal_is_invalid_parameter {
            invalid_value(message)
        } else {
            global_state(message)
        });
    }
    if !["available", "backing-up"].contains(&cluster.status.as_str()) && !leaving {
        return Err(not_available(cluster));
    }
    Ok(())
}

/// Promotes a reader, which detaches it from its global cluster.
pub(super) fn promote(world: &mut World, region: &str, params: &Params) -> Answer {
    let cluster = cluster_api::named(world, region, params)?.clone();
    let global = cluster.global().filter(|_| cluster.is_reader());
    let Some(global) = global.and_then(|id| world.rds.globals.get(id)).cloned() else {
        return Err(cluster_state(format!("DB cluster {} is no read replica", cluster.id)));
    };
    if !world.behaviour.promoting_a_replica_detaches {
        let code = &world.behaviour.codes.not_promotable;
        let message = format!("DB cluster {} is a member of a global cluster", cluster.id);
        return Err(unestablished(code, message));
    }
    let (cluster, is_writer) = member_of(world, &global, &cluster.arn)?;
    removable(world, &global, &cluster, is_writer)?;
    leave(world, &global, &cluster, is_writer);
    let cluster = world.rds.cluster(region, &cluster.id).cloned().unwrap_or(cluster);
    Ok(Some(cluster_api::answer(world, &cluster)))
}

pub(super) fn not_available(cluster: &Cluster) -> AwsError {
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

/// Some calls belong into the Region of one of the clusters.
pub(super) fn bound_to_region_of(
    world: &World,
    region: &str,
    arn: &str,
    whose: &str,
) -> Result<(), AwsError> {
    if arn.split(':').nth(3).is_none_or(|home| home == region) {
        return Ok(());
    }
    let message = format!("This operation must be called in the Region of the {whose} DB cluster");
    Err(unestablished(&world.behaviour.codes.called_elsewhere, message))
}
