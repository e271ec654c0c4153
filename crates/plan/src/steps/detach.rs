//! Leaving a global cluster, which for a reader is the promotion.

use serde::{Deserialize, Serialize};

use super::{Decided, NotAsPlanned, Step, is_serving, not_terminal};
use crate::seen::{ClusterSeen, GlobalClusterSeen, InstanceSeen};
use crate::task::{Answer, ClusterRef};

/// The role in which a member leaves its global cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeavesAs {
    /// It becomes a writer by leaving: the promotion.
    Reader,
    /// It is the last member and stays a writer.
    Writer,
}

/// Whether to ask Aurora to remove a member from its global cluster.
pub fn detach(
    global: Option<&GlobalClusterSeen>,
    cluster: Option<&ClusterSeen>,
    instances: &[InstanceSeen],
    target: &ClusterRef,
    leaves_as: LeavesAs,
) -> Decided<()> {
    let Some((global, member)) = global.and_then(|g| g.member(&target.arn).map(|m| (g, m))) else {
        return Ok(Step::Done(format!(
            "{} is a member of no such global cluster",
            target.cluster_id
        )));
    };
    if let Some(operation) = &global.operation {
        return Ok(Step::Wait(format!("{} is under way on {}", operation, global.id)));
    }
    match (leaves_as, member.is_writer) {
        (LeavesAs::Reader, true) => {
            return Err(NotAsPlanned(format!(
                "{} is the writer of {}",
                target.cluster_id, global.id
            )));
        }
        (LeavesAs::Writer, false) => {
            return Err(NotAsPlanned(format!(
                "{} is a reader of {}",
                target.cluster_id, global.id
            )));
        }
        (LeavesAs::Writer, true) if global.members.len() > 1 => {
            return Ok(Step::Wait(format!("{} still lists other members", global.id)));
        }
        _ => {}
    }
    let Some(cluster) = cluster else {
        return Ok(Step::Wait(format!("{} is listed but not described", target.cluster_id)));
    };
    if cluster.status == "promoting" {
        return Ok(Step::Done(format!("{} is being promoted", cluster.id)));
    }
    not_terminal(cluster)?;
    if cluster.status != "available" {
        return Ok(Step::Wait(format!("{} is {}", cluster.id, cluster.status)));
    }
    // A reader cluster without an instance has nothing to promote: its detachment never settles.
    if leaves_as == LeavesAs::Reader && !instances.iter().any(is_serving) {
        return Ok(Step::Wait(format!("no instance of {} is available", cluster.id)));
    }
    Ok(Step::Act(()))
}

/// The answer while a member is still listed: it has not left, whatever else is true of it.
pub fn still_listed(global: Option<&GlobalClusterSeen>, target: &ClusterRef) -> Option<Answer> {
    let listed = global.is_some_and(|g| g.member(&target.arn).is_some());
    let pending = || Answer::pending(format!("{} is still listed as a member", target.cluster_id));
    listed.then(pending)
}

/// Whether a member has left its global cluster and stands on its own. One that left as the last
/// writer may be gone altogether, deleted by an earlier run; a promoted one must be there.
pub fn detachment(
    global: Option<&GlobalClusterSeen>,
    cluster: Option<&ClusterSeen>,
    target: &ClusterRef,
    left_as: LeavesAs,
) -> Answer {
    let id = &target.cluster_id;
    let listed = global.is_some_and(|g| g.member(&target.arn).is_some());
    let Some(cluster) = cluster else {
        return if left_as == LeavesAs::Writer && !listed {
            Answer::done(format!("{id} is gone"))
        } else {
            Answer::pending(format!("{id} is not described"))
        };
    };
    if let Err(NotAsPlanned(why)) = not_terminal(cluster) {
        return Answer::failed(why);
    }
    if listed {
        return Answer::pending(format!("{id} is still listed as a member"));
    }
    if cluster.status != "available" {
        return Answer::pending(format!("{id} is {}", cluster.status));
    }
    if cluster.replication_source.is_some() {
        return Answer::pending(format!("{id} is still described as a replica"));
    }
    if !cluster.members.is_empty() && cluster.writer_instance().is_none() {
        return Answer::pending(format!("{id} lists no writer instance"));
    }
    Answer::done(format!("{id} stands alone and is available"))
}

/// Why the fence must stay: the promotion has begun, so away must never take writes again.
pub fn promotion_begun(
    global: Option<&GlobalClusterSeen>,
    cluster: Option<&ClusterSeen>,
    target: &ClusterRef,
) -> Option<String> {
    let cluster = cluster?;
    let reader = global.and_then(|g| g.member(&target.arn)).is_some_and(|m| !m.is_writer);
    if cluster.status == "promoting" {
        Some(format!("{} is being promoted", cluster.id))
    } else if !reader {
        Some(format!("{} is no longer listed as a reader", cluster.id))
    } else if cluster.replication_source.is_none() {
        Some(format!("{} no longer replicates", cluster.id))
    } else {
        None
    }
}
