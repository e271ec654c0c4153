//! A cluster that joins a new global cluster as a reader.

use super::{Decided, NotAsPlanned, Step, TERMINAL_INSTANCE_STATUSES, is_serving, not_terminal};
use crate::seen::{ClusterSeen, GlobalClusterSeen, InstanceSeen};
use crate::task::{Answer, ClusterRef, InstancePlan, Rebuild};

/// Whether to create a global cluster from its first writer.
pub fn create_global_cluster(
    global: Option<&GlobalClusterSeen>,
    source: Option<&ClusterSeen>,
    listed_in: Option<&str>,
) -> Decided<()> {
    let Some(source) = source else {
        return Err(NotAsPlanned(
            "the cluster whose data is to be taken does not exist".to_owned(),
        ));
    };
    if let Some(global) = global {
        if global.status == "deleting" {
            return Ok(Step::Wait(format!("an older {} is being deleted", global.id)));
        }
        return match global.members.iter().find(|m| m.is_writer) {
            Some(writer) if writer.arn != source.arn => Err(NotAsPlanned(format!(
                "the global cluster {} has another writer: {}",
                global.id, writer.arn
            ))),
            _ => Ok(Step::Done(format!("the global cluster {} exists", global.id))),
        };
    }
    if let Some(other) = listed_in {
        return Ok(Step::Wait(format!("{} is still a member of {other}", source.id)));
    }
    if let Some(writer) = &source.replication_source {
        return Err(NotAsPlanned(format!("{} replicates from {writer}", source.id)));
    }
    not_terminal(source)?;
    if source.status != "available" {
        return Ok(Step::Wait(format!("{} is {}", source.id, source.status)));
    }
    Ok(Step::Act(()))
}

/// Whether a global cluster is there and lists its writer.
pub fn global_cluster(global: Option<&GlobalClusterSeen>, writer: &ClusterRef) -> Answer {
    match global {
        None => Answer::pending("the global cluster is not described"),
        Some(g) if g.status != "available" => Answer::pending(format!("{} is {}", g.id, g.status)),
        Some(g) if g.member(&writer.arn).is_some_and(|m| m.is_writer) => {
            Answer::done(format!("{} lists {} as its writer", g.id, writer.cluster_id))
        }
        Some(g) => Answer::pending(format!("{} does not list {} yet", g.id, writer.cluster_id)),
    }
}

/// Whether to create the cluster that joins.
///
/// The global cluster must list its writer first: joining an empty one would make the new cluster
/// an empty writer.
pub fn create_cluster(
    rebuild: &Rebuild,
    global: Option<&GlobalClusterSeen>,
    source: Option<&ClusterSeen>,
    target: Option<&ClusterSeen>,
) -> Decided<()> {
    if let Some(target) = target {
        if target.status == "deleting" {
            return Ok(Step::Wait(format!("an older {} is being deleted", target.id)));
        }
        let ours = target.replication_source.as_deref() == Some(&rebuild.source.arn)
            || global.is_some_and(|g| g.member(&target.arn).is_some());
        return if ours {
            Ok(Step::Done(format!("{} exists and joins {}", target.id, rebuild.global_cluster_id)))
        } else {
            Err(NotAsPlanned(format!(
                "a cluster {} exists that does not replicate from {}",
                target.id, rebuild.source.cluster_id
            )))
        };
    }
    let Some(source) = source else {
        return Err(NotAsPlanned(format!(
            "the writer {} does not exist",
            rebuild.source.cluster_id
        )));
    };
    if !global.is_some_and(|g| g.member(&source.arn).is_some_and(|m| m.is_writer)) {
        return Ok(Step::Wait(format!("{} is not listed as the writer yet", source.id)));
    }
    not_terminal(source)?;
    if source.status != "available" {
        return Ok(Step::Wait(format!("the writer {} is {}", source.id, source.status)));
    }
    Ok(Step::Act(()))
}

/// Which instances to create.
pub fn create_instances(
    rebuild: &Rebuild,
    target: Option<&ClusterSeen>,
    instances: &[InstanceSeen],
) -> Decided<Vec<InstancePlan>> {
    let Some(cluster) = target else {
        return Ok(Step::Wait(format!("{} is not described", rebuild.target.cluster_id)));
    };
    not_terminal(cluster)?;
    let mut missing = Vec::new();
    for wanted in &rebuild.instances {
        match instances.iter().find(|i| i.id == wanted.id) {
            None => missing.push(wanted.clone()),
            Some(i) if i.cluster_id.as_deref() != Some(&cluster.id) => {
                return Err(NotAsPlanned(format!(
                    "the instance {} belongs to another cluster",
                    i.id
                )));
            }
            Some(i) if i.status == "deleting" => {
                return Ok(Step::Wait(format!("an older {} is being deleted", i.id)));
            }
            Some(_) => {}
        }
    }
    if missing.is_empty() {
        return Ok(Step::Done(format!("{} instances exist", rebuild.instances.len())));
    }
    Ok(Step::Act(missing))
}

/// Whether a rebuilt cluster, all its instances and its membership are as they must be.
pub fn member(
    rebuild: &Rebuild,
    global: Option<&GlobalClusterSeen>,
    target: Option<&ClusterSeen>,
    instances: &[InstanceSeen],
) -> Answer {
    let Some(cluster) = target else {
        return Answer::pending(format!("{} is not described", rebuild.target.cluster_id));
    };
    if let Err(NotAsPlanned(why)) = not_terminal(cluster) {
        return Answer::failed(why);
    }
    let terminal = |i: &&InstanceSeen| TERMINAL_INSTANCE_STATUSES.contains(&i.status.as_str());
    if let Some(broken) = instances.iter().find(terminal) {
        return Answer::failed(format!("the instance {} is {}", broken.id, broken.status));
    }
    let listed = global.and_then(|g| g.member(&cluster.arn));
    if listed.is_some_and(|m| m.is_writer) {
        return Answer::failed(format!("{} joined as a writer, not as a reader", cluster.id));
    }
    if cluster.status == "promoting" {
        return Answer::failed(format!(
            "{} is being promoted: it is no reader any more",
            cluster.id
        ));
    }
    if cluster.status != "available" {
        return Answer::pending(format!("{} is {}", cluster.id, cluster.status));
    }
    for wanted in &rebuild.instances {
        match instances.iter().find(|i| i.id == wanted.id) {
            Some(i) if is_serving(i) => {}
            Some(i) => return Answer::pending(format!("the instance {} is {}", i.id, i.status)),
            None => return Answer::pending(format!("the instance {} is not described", wanted.id)),
        }
    }
    match listed.map(|m| m.synchronization.as_deref()) {
        Some(Some("connected")) => Answer::done(format!("{} is a connected reader", cluster.id)),
        Some(other) => Answer::pending(format!(
            "{} is listed as {}",
            cluster.id,
            other.unwrap_or("not synchronized")
        )),
        None => Answer::pending(format!("{} is not listed as a member yet", cluster.id)),
    }
}
