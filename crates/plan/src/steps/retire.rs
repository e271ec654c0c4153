//! Deleting a cluster with its instances, always with a final snapshot.

use super::{Decided, NotAsPlanned, Step, not_terminal};
use crate::seen::{ClusterSeen, GlobalClusterSeen, InstanceSeen, SnapshotSeen};
use crate::task::Answer;

/// Whether to change deletion protection; of the cluster with this resource id alone, where one is
/// given: another that bears the name keeps its own.
pub fn deletion_protection(
    cluster: Option<&ClusterSeen>,
    enabled: bool,
    resource_id: Option<&str>,
) -> Decided<()> {
    let Some(cluster) = cluster else {
        return if enabled {
            Err(NotAsPlanned("the cluster to protect does not exist".to_owned()))
        } else {
            Ok(Step::Done("there is no cluster left to unprotect".to_owned()))
        };
    };
    if let Some(resource_id) = resource_id {
        same_cluster(cluster, resource_id)?;
    }
    let word = if enabled { "on" } else { "off" };
    if cluster.settings.deletion_protection == enabled {
        return Ok(Step::Done(format!("deletion protection of {} is {word}", cluster.id)));
    }
    if cluster.status == "deleting" {
        return Ok(Step::Done(format!("{} is being deleted", cluster.id)));
    }
    not_terminal(cluster)?;
    if cluster.status != "available" {
        return Ok(Step::Wait(format!("{} is {}", cluster.id, cluster.status)));
    }
    Ok(Step::Act(()))
}

/// Which instances to delete now: readers first, the writer when they are gone. Deleting the
/// writer before its readers would make Aurora fail over to one of them.
pub fn delete_instances(
    cluster: Option<&ClusterSeen>,
    resource_id: &str,
    instances: &[InstanceSeen],
) -> Decided<Vec<String>> {
    let Some(cluster) = cluster else {
        return Ok(Step::Done("the cluster is gone".to_owned()));
    };
    same_cluster(cluster, resource_id)?;
    let writer = cluster.writer_instance();
    let (writers, readers): (Vec<_>, Vec<_>) =
        instances.iter().partition(|i| writer == Some(i.id.as_str()));
    for (group, name) in [(&readers, "reader"), (&writers, "writer")] {
        let standing: Vec<String> =
            group.iter().filter(|i| i.status != "deleting").map(|i| i.id.clone()).collect();
        if !standing.is_empty() {
            return Ok(Step::Act(standing));
        }
        if name == "reader" && !group.is_empty() && !writers.is_empty() {
            return Ok(Step::Wait(format!("{} readers are being deleted", group.len())));
        }
    }
    Ok(Step::Done(format!("no instance of {} is left or all are being deleted", cluster.id)))
}

/// What is known about a cluster that is to be deleted.
#[derive(Debug, Clone, Copy)]
pub struct Deletion<'a> {
    /// The cluster, if it still exists.
    pub cluster: Option<&'a ClusterSeen>,
    /// Its resource id when the plan was made.
    pub resource_id: &'a str,
    /// The snapshot of the planned id, if it exists.
    pub snapshot: Option<&'a SnapshotSeen>,
    /// The planned id of the final snapshot.
    pub snapshot_id: &'a str,
}

/// Whether to delete a cluster with its final snapshot.
pub fn delete_cluster(
    deletion: Deletion<'_>,
    instances: &[InstanceSeen],
    listed_in: Option<&str>,
) -> Decided<()> {
    let Some(cluster) = deletion.cluster else {
        return Ok(Step::Done("the cluster is gone".to_owned()));
    };
    same_cluster(cluster, deletion.resource_id)?;
    if cluster.status == "deleting" {
        return Ok(Step::Done(format!("{} is being deleted", cluster.id)));
    }
    if let Some(snapshot) = deletion.snapshot {
        // Ours, and the cluster's description is behind: the deletion has begun.
        if snapshot.cluster_resource_id.as_deref() == Some(deletion.resource_id) {
            return Ok(Step::Wait(format!(
                "{} exists and {} is {}",
                snapshot.id, cluster.id, cluster.status
            )));
        }
        return Err(NotAsPlanned(format!(
            "the snapshot {} exists already, and {} is not being deleted",
            snapshot.id, cluster.id
        )));
    }
    if cluster.settings.deletion_protection {
        return Err(NotAsPlanned(format!("deletion protection of {} is on", cluster.id)));
    }
    if let Some(global) = listed_in {
        return Ok(Step::Wait(format!("{} is still a member of {global}", cluster.id)));
    }
    if let Some(instance) = instances.iter().find(|i| i.status != "deleting") {
        return Ok(Step::Wait(format!("the instance {} is {}", instance.id, instance.status)));
    }
    not_terminal(cluster)?;
    if cluster.status != "available" {
        return Ok(Step::Wait(format!(
            "{} is {}: no snapshot can be taken",
            cluster.id, cluster.status
        )));
    }
    Ok(Step::Act(()))
}

/// Whether a cluster is gone and its final snapshot is usable.
pub fn deletion(deletion: Deletion<'_>) -> Answer {
    if let Some(cluster) = deletion.cluster.filter(|c| c.resource_id == deletion.resource_id) {
        return Answer::pending(format!("{} is {}", cluster.id, cluster.status));
    }
    match deletion.snapshot {
        // Told apart from "never made" only by time: a describe may be behind.
        None => Answer::pending(format!("the snapshot {} is not listed", deletion.snapshot_id)),
        Some(s)
            if s.cluster_resource_id.as_deref().is_some_and(|id| id != deletion.resource_id) =>
        {
            Answer::failed(format!("the snapshot {} was taken from another cluster", s.id))
        }
        Some(s) => match s.status.as_str() {
            "available" => {
                Answer::done(format!("the cluster is gone; its snapshot {} is available", s.id))
            }
            "failed" => Answer::failed(format!("the snapshot {} failed", s.id)),
            status => Answer::pending(format!("the snapshot {} is {status}", s.id)),
        },
    }
}

/// Whether to delete a global cluster that its last member has left.
pub fn delete_global_cluster(global: Option<&GlobalClusterSeen>) -> Decided<()> {
    match global {
        None => Ok(Step::Done("there is no such global cluster".to_owned())),
        Some(g) if !g.members.is_empty() => {
            Ok(Step::Wait(format!("{} still lists {}", g.id, g.members[0].arn)))
        }
        Some(g) if g.status == "deleting" => Ok(Step::Wait(format!("{} is being deleted", g.id))),
        Some(g) if g.deletion_protection => {
            Err(NotAsPlanned(format!("deletion protection of the global cluster {} is on", g.id)))
        }
        Some(_) => Ok(Step::Act(())),
    }
}

/// A cluster of the same name with another resource id is not the one that was planned for.
fn same_cluster(cluster: &ClusterSeen, resource_id: &str) -> Result<(), NotAsPlanned> {
    if cluster.resource_id == resource_id {
        return Ok(());
    }
    Err(NotAsPlanned(format!(
        "{} has the resource id {}, but the plan was made for {resource_id}",
        cluster.id, cluster.resource_id
    )))
}
