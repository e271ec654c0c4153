//! The next step of each action: act, wait, or nothing to do. Aurora checks every action again,
//! so a decision taken on a stale topology costs a refusal, never data.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::seen::{ClusterSeen, GlobalClusterSeen, InstanceSeen, SnapshotSeen};
use crate::settings::{CustomEndpoint, Role};
use crate::task::{Answer, ClusterRef, InstancePlan, Rebuild};

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T> {
    /// It is so already.
    Done(String),
    /// It may not be done yet.
    Wait(String),
    /// Do this, once.
    Act(T),
}

/// The thing that was planned for is not the thing that is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}. Nothing was changed by this step")]
pub struct NotAsPlanned(pub String);

/// A step's decision or why the thing may not be touched.
pub type Decided<T> = Result<Step<T>, NotAsPlanned>;

/// Statuses out of which a cluster does not come by itself. Source: Aurora User Guide, "Viewing DB
/// cluster status", and the failure states of the CloudFormation resource handler.
pub const TERMINAL_CLUSTER_STATUSES: [&str; 9] = [
    "cloning-failed",
    "failed",
    "inaccessible-encryption-credentials",
    "incompatible-network",
    "incompatible-parameters",
    "incompatible-restore",
    "migration-failed",
    "restore-failed",
    "upgrade_failed",
];

/// Statuses out of which an instance does not come by itself. `insufficient-capacity` is missing
/// on purpose: RDS goes on trying, and the deadline bounds it.
pub const TERMINAL_INSTANCE_STATUSES: [&str; 11] = [
    "failed",
    "inaccessible-encryption-credentials",
    "incompatible-create",
    "incompatible-credentials",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "restore-error",
    "storage-full",
    "upgrade_failed",
];

/// An instance in one of these serves clients.
const SERVING_INSTANCE_STATUSES: [&str; 3] = ["available", "backing-up", "storage-optimization"];

/// Whether an instance serves clients.
pub fn is_serving(instance: &InstanceSeen) -> bool {
    SERVING_INSTANCE_STATUSES.contains(&instance.status.as_str())
}

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

/// Whether a member has left its global cluster and stands on its own.
pub fn detachment(
    global: Option<&GlobalClusterSeen>,
    cluster: Option<&ClusterSeen>,
    target: &ClusterRef,
) -> Answer {
    let id = &target.cluster_id;
    let Some(cluster) = cluster else {
        return Answer::pending(format!("{id} is not described"));
    };
    if let Err(NotAsPlanned(why)) = not_terminal(cluster) {
        return Answer::failed(why);
    }
    if global.is_some_and(|g| g.member(&target.arn).is_some()) {
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

/// Whether to change deletion protection.
pub fn deletion_protection(cluster: Option<&ClusterSeen>, enabled: bool) -> Decided<()> {
    let Some(cluster) = cluster else {
        return if enabled {
            Err(NotAsPlanned("the cluster to protect does not exist".to_owned()))
        } else {
            Ok(Step::Done("there is no cluster left to unprotect".to_owned()))
        };
    };
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

/// A setting that can only be applied to a cluster that exists.
#[derive(Debug, Clone, PartialEq)]
pub enum LateChange {
    /// `ModifyDBCluster`: Performance Insights, Database Insights, Enhanced Monitoring.
    Observability,
    /// `EnableHttpEndpoint`.
    HttpEndpoint,
    /// `AddRoleToDBCluster`, each.
    Roles(Vec<Role>),
    /// `CreateDBClusterEndpoint`, each; members are named by their new ids.
    Endpoints(Vec<CustomEndpoint>),
}

/// The next late setting to apply.
pub fn configure(rebuild: &Rebuild, target: Option<&ClusterSeen>) -> Decided<LateChange> {
    let Some(cluster) = target else {
        return Ok(Step::Wait(format!("{} is not described", rebuild.target.cluster_id)));
    };
    not_terminal(cluster)?;
    if cluster.status != "available" {
        return Ok(Step::Wait(format!("{} is {}", cluster.id, cluster.status)));
    }
    let (wanted, has) = (&rebuild.cluster, &cluster.settings);
    let observability_missing = (wanted.performance_insights.is_some()
        && wanted.performance_insights != has.performance_insights)
        || (wanted.insights_mode.is_some() && wanted.insights_mode != has.insights_mode)
        || (wanted.monitoring.is_some() && wanted.monitoring != has.monitoring);
    if observability_missing {
        return Ok(Step::Act(LateChange::Observability));
    }
    if wanted.http_endpoint && !has.http_endpoint {
        return Ok(Step::Act(LateChange::HttpEndpoint));
    }
    let held: BTreeSet<_> = has.roles.iter().collect();
    let roles: Vec<_> = wanted.roles.iter().filter(|r| !held.contains(r)).cloned().collect();
    if !roles.is_empty() {
        return Ok(Step::Act(LateChange::Roles(roles)));
    }
    let endpoints: Vec<_> = renamed_endpoints(rebuild)
        .into_iter()
        .filter(|e| !has.custom_endpoints.iter().any(|h| h.id == e.id))
        .collect();
    if !endpoints.is_empty() {
        return Ok(Step::Act(LateChange::Endpoints(endpoints)));
    }
    Ok(Step::Done(format!("all settings of {} are applied", cluster.id)))
}

/// Custom endpoints with the ids of the instances that take the old ones' places; a member that
/// has no successor is left out.
fn renamed_endpoints(rebuild: &Rebuild) -> Vec<CustomEndpoint> {
    let renamed = |ids: &[String]| -> Vec<String> {
        let succeeds = |i: &&InstancePlan| ids.contains(&i.settings.captured_from);
        rebuild.instances.iter().filter(succeeds).map(|i| i.id.clone()).collect()
    };
    let rename = |e: &CustomEndpoint| CustomEndpoint {
        static_members: renamed(&e.static_members),
        excluded_members: renamed(&e.excluded_members),
        ..e.clone()
    };
    rebuild.cluster.custom_endpoints.iter().map(rename).collect()
}

fn not_terminal(cluster: &ClusterSeen) -> Result<(), NotAsPlanned> {
    if TERMINAL_CLUSTER_STATUSES.contains(&cluster.status.as_str()) {
        return Err(NotAsPlanned(format!("{} is {}", cluster.id, cluster.status)));
    }
    Ok(())
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
