//! What happens to clusters and global clusters after a call has been answered.

use super::backup::{back_up, be_kept_soon, maintain, schedule_daily_backup, schedule_maintenance};
use super::{
    Cluster, GlobalCluster, Instance, Membership, cluster_modify, global_move, instance_event,
    keys, upgrade,
};
use crate::rows::NewStream;
use crate::world::{Event, Pace, World};

/// How often something that waits for something else looks again.
pub(super) const LOOK_AGAIN_MS: i64 = 5_000;
/// A status that no documentation lists, and for how many seconds it is shown.
pub(super) const UNKNOWN_STATUS: &str = "warming-up";
const UNKNOWN_S: f64 = 30.0;

/// A step of RDS. Things are named by resource id, so that a step never meets a thing that was made
/// later under the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RdsEvent {
    /// A new cluster reaches a status.
    ClusterCreated {
        /// Which.
        resource_id: String,
        /// `available`, or a terminal status.
        status: String,
    },
    /// A cluster leaves a transient status.
    ClusterStatus {
        /// Which.
        resource_id: String,
        /// Only if this is its status.
        from: String,
        /// What it becomes.
        to: String,
    },
    /// Security groups of a cluster have changed: those that were taken away let nobody in any more.
    SecurityGroupsChanged {
        /// Which.
        resource_id: String,
    },
    /// A joined cluster has copied the volume and follows.
    MemberConnected {
        /// Which.
        resource_id: String,
    },
    /// A deleted cluster goes, unless an instance is still there.
    ClusterGone {
        /// Which.
        resource_id: String,
    },
    /// A new instance reaches a status.
    InstanceCreated {
        /// Which.
        resource_id: String,
        /// `available`, or a terminal status.
        status: String,
    },
    /// An instance leaves a transient status.
    InstanceStatus {
        /// Which.
        resource_id: String,
        /// Only if this is its status.
        from: String,
        /// What it becomes.
        to: String,
    },
    /// A deleted instance goes.
    InstanceGone {
        /// Which.
        resource_id: String,
    },
    /// A snapshot is complete.
    SnapshotAvailable {
        /// Its ARN.
        arn: String,
    },
    /// The source of a new global cluster is listed as its writer.
    SourceListed {
        /// The global cluster.
        global: String,
        /// The source's ARN.
        arn: String,
    },
    /// A joined cluster is listed as a member.
    MemberListed {
        /// The cluster.
        resource_id: String,
    },
    /// A removed member is no longer listed.
    MemberUnlisted {
        /// The global cluster.
        global: String,
        /// The member's ARN.
        arn: String,
    },
    /// A global cluster leaves a transient status.
    GlobalStatus {
        /// Which.
        global: String,
        /// Only if this is its status.
        from: String,
        /// What it becomes.
        to: String,
    },
    /// A deleted global cluster goes.
    GlobalGone {
        /// Which.
        global: String,
    },
    /// A switchover or failover begins to act.
    MoveStarted {
        /// The global cluster.
        global: String,
    },
    /// The writer changes.
    MoveFlipped {
        /// The global cluster.
        global: String,
    },
    /// Aurora gives a switchover up.
    MoveCancelled {
        /// The global cluster.
        global: String,
    },
    /// A switchover or failover is over.
    MoveDone {
        /// The global cluster.
        global: String,
    },
    /// The former writer has been rebuilt after a failover.
    Resynchronized {
        /// Which cluster.
        resource_id: String,
    },
    /// A cluster's backup window begins.
    DailyBackup {
        /// Which.
        resource_id: String,
    },
    /// A cluster backs up outside of its window.
    Backup {
        /// Which.
        resource_id: String,
    },
    /// A cluster's maintenance window begins.
    WeeklyMaintenance {
        /// Which.
        resource_id: String,
    },
    /// A cluster is maintained outside of its window.
    Maintenance {
        /// Which.
        resource_id: String,
    },
    /// A cluster has got its new name.
    ClusterRenamed {
        /// Which.
        resource_id: String,
    },
    /// A cluster has been upgraded, or could not be.
    ClusterUpgraded {
        /// Which.
        resource_id: String,
        /// To what.
        version: String,
        /// `available`, or a terminal status.
        status: String,
    },
    /// All members of a global cluster have been upgraded.
    GlobalUpgraded {
        /// Which.
        global: String,
        /// To what.
        version: String,
    },
    /// A deleted instance may go: its check is over.
    InstancePrechecked {
        /// Which.
        resource_id: String,
    },
    /// A cluster notices that its key is lost, or usable again.
    KeyNoticed {
        /// Which.
        resource_id: String,
    },
    /// A cluster's key has been lost for too long.
    KeyGivenUp {
        /// Which.
        resource_id: String,
    },
}

impl World {
    /// Lets a step of RDS happen after about `seconds`; answers when, in epoch milliseconds.
    pub(crate) fn after(&mut self, seconds: f64, event: RdsEvent) -> i64 {
        let at_ms = self.now_ms.saturating_add(self.draw_ms(seconds));
        self.schedule_at(at_ms, Event::Rds(event));
        at_ms
    }

    /// The same, where a lag is modelled only for the sake of eventual consistency.
    pub(crate) fn eventually(&mut self, seconds: f64, event: RdsEvent) -> i64 {
        let seconds = if self.behaviour.eventually_consistent { seconds } else { 0.0 };
        self.after(seconds, event)
    }

    /// How what the call in hand begins is to end: `available`, unless a fault says otherwise.
    pub(crate) fn ending(&self) -> String {
        match &self.pace {
            Pace::Fail(status, _) => status.clone(),
            _ => "available".to_owned(),
        }
    }

    /// How long what the call in hand begins is to stay in the status of its failure.
    pub(crate) const fn recovery_ms(&self) -> Option<i64> {
        match &self.pace {
            Pace::Fail(_, for_ms) => *for_ms,
            _ => None,
        }
    }

    pub(crate) fn cluster_named(&mut self, resource_id: &str) -> Option<&mut Cluster> {
        let regions = self.rds.regions.values_mut();
        regions.flat_map(|r| r.clusters.values_mut()).find(|c| c.resource_id == resource_id)
    }

    pub(crate) fn instance_named(&mut self, resource_id: &str) -> Option<&mut Instance> {
        let regions = self.rds.regions.values_mut();
        regions.flat_map(|r| r.instances.values_mut()).find(|i| i.resource_id == resource_id)
    }

    pub(crate) fn global_named(&mut self, resource_id: &str) -> Option<&mut GlobalCluster> {
        self.rds.globals.values_mut().find(|global| global.resource_id == resource_id)
    }
}

/// Applies a step.
pub fn apply(world: &mut World, event: RdsEvent) {
    match event {
        RdsEvent::ClusterCreated { resource_id, status } => {
            cluster_created(world, &resource_id, status);
        }
        RdsEvent::ClusterStatus { resource_id, from, to } => {
            cluster_left(world, &resource_id, &from, to);
        }
        RdsEvent::MemberConnected { resource_id } => connect(world, &resource_id),
        RdsEvent::ClusterGone { resource_id } => cluster_gone(world, resource_id),
        RdsEvent::InstanceCreated { resource_id, status } => {
            instance_event::created(world, resource_id, status);
        }
        RdsEvent::InstanceStatus { resource_id, from, to } => {
            instance_event::status(world, &resource_id, &from, to);
        }
        RdsEvent::SecurityGroupsChanged { resource_id } => {
            let now_ms = world.now_ms;
            if let Some(cluster) = world.cluster_named(&resource_id) {
                cluster.detached_ms.retain(|_, until_ms| *until_ms > now_ms);
            }
        }
        RdsEvent::InstanceGone { resource_id } => instance_event::gone(world, &resource_id),
        RdsEvent::InstancePrechecked { resource_id } => {
            instance_event::prechecked(world, &resource_id);
        }
        RdsEvent::SnapshotAvailable { arn } => snapshot_available(world, &arn),
        RdsEvent::SourceListed { global, arn } => source_listed(world, &global, arn),
        RdsEvent::MemberListed { resource_id } => member_listed(world, &resource_id),
        RdsEvent::MemberUnlisted { global, arn } => member_unlisted(world, &global, &arn),
        RdsEvent::GlobalStatus { global, from, to } => {
            if let Some(found) = world.global_named(&global).filter(|g| g.status == from) {
                found.status = to;
            }
        }
        RdsEvent::GlobalGone { global } => {
            world.rds.globals.retain(|_, found| found.resource_id != global);
        }
        RdsEvent::MoveStarted { global } => global_move::started(world, &global),
        RdsEvent::MoveFlipped { global } => global_move::flipped(world, &global),
        RdsEvent::MoveCancelled { global } => global_move::cancelled(world, &global),
        RdsEvent::MoveDone { global } => global_move::done(world, &global),
        RdsEvent::Resynchronized { resource_id } => {
            if let Some(cluster) = world.cluster_named(&resource_id) {
                cluster.status = "available".to_owned();
                let cluster = cluster.clone();
                world.tell(241, &cluster, "");
            }
            connect(world, &resource_id);
        }
        RdsEvent::DailyBackup { resource_id } => {
            if world.behaviour.backs_up_daily {
                back_up(world, &resource_id);
            }
            schedule_daily_backup(world, RdsEvent::DailyBackup { resource_id });
        }
        RdsEvent::Backup { resource_id } => back_up(world, &resource_id),
        RdsEvent::WeeklyMaintenance { resource_id } => {
            if world.behaviour.maintained_weekly {
                maintain(world, &resource_id);
            }
            schedule_maintenance(world, &resource_id);
        }
        RdsEvent::Maintenance { resource_id } => maintain(world, &resource_id),
        RdsEvent::ClusterRenamed { resource_id } => cluster_modify::renamed(world, &resource_id),
        RdsEvent::ClusterUpgraded { resource_id, version, status } => {
            upgrade::cluster_upgraded(world, &resource_id, &version, status);
        }
        RdsEvent::GlobalUpgraded { global, version } => {
            upgrade::global_upgraded(world, &global, &version);
        }
        RdsEvent::KeyNoticed { resource_id } => keys::noticed(world, &resource_id),
        RdsEvent::KeyGivenUp { resource_id } => keys::given_up(world, &resource_id),
    }
}

/// True for what a cluster shows before it is available for the first time.
pub(super) fn is_being_created(status: &str) -> bool {
    ["creating", UNKNOWN_STATUS].contains(&status)
}

/// A cluster leaves a transient status, unless something else has happened to it meanwhile.
fn cluster_left(world: &mut World, resource_id: &str, from: &str, to: String) {
    let Some(cluster) = world.cluster_named(resource_id).filter(|c| c.status == from) else {
        return;
    };
    cluster.status = to;
    if !["backing-up", "maintenance"].contains(&from) {
        be_kept_soon(world, resource_id);
    }
}

fn snapshot_available(world: &mut World, arn: &str) {
    let snapshots = world.rds.regions.values_mut().flat_map(|r| r.snapshots.values_mut());
    let mut snapshots = snapshots.filter(|snapshot| snapshot.arn == arn);
    let Some(snapshot) = snapshots.next() else { return };
    snapshot.status = "available".to_owned();
    let snapshot = snapshot.clone();
    let number = if snapshot.snapshot_type == "manual" { 75 } else { 169 };
    world.tell(number, &snapshot, "");
}

fn cluster_created(world: &mut World, resource_id: &str, status: String) {
    let unknown = world.behaviour.unknown_statuses;
    let Some(cluster) = world.cluster_named(resource_id) else { return };
    if cluster.status == "creating" && unknown && status == "available" {
        UNKNOWN_STATUS.clone_into(&mut cluster.status);
        let resource_id = resource_id.to_owned();
        world.after(UNKNOWN_S, RdsEvent::ClusterCreated { resource_id, status });
        return;
    }
    if !is_being_created(&cluster.status) {
        return;
    }
    let connects = cluster.is_reader() && status == "available";
    let created = status == "available";
    cluster.status = status;
    let cluster = cluster.clone();
    world.tell(if created { 170 } else { 354 }, &cluster, "");
    be_kept_soon(world, resource_id);
    let resource_id = resource_id.to_owned();
    schedule_daily_backup(world, RdsEvent::DailyBackup { resource_id: resource_id.clone() });
    schedule_maintenance(world, &resource_id);
    if connects {
        let seconds = world.behaviour.timings.connect_s;
        world.after(seconds, RdsEvent::MemberConnected { resource_id });
    }
}

/// Starts replication into a reader from the cluster it replicates.
pub(crate) fn connect(world: &mut World, resource_id: &str) {
    let Some(cluster) = world.cluster_named(resource_id).map(|cluster| cluster.clone()) else {
        return;
    };
    let Membership::Reader { global, source } = &cluster.membership else { return };
    let Some(source) = world.rds.cluster_by_arn(source).cloned() else { return };
    let stream = NewStream {
        region: &cluster.region,
        cluster_id: &cluster.id,
        volume: &cluster.resource_id,
        source_region: &source.region,
        source: &source.resource_id,
        lag_ms: world.behaviour.replication_lag_ms,
    };
    world.rows.connect(stream, world.now_ms);
    let members = world.rds.globals.get_mut(global).map(|global| &mut global.members);
    for member in members.into_iter().flatten().filter(|member| member.arn == cluster.arn) {
        member.synchronization = Some("connected".to_owned());
    }
    // Replication is set up for a while longer, in which nothing can be switched over.
    let set_up_ms = world.draw_ms(world.behaviour.timings.replication_setup_s);
    let until_ms = world.now_ms.saturating_add(set_up_ms);
    if let Some(global) = world.rds.globals.get_mut(global) {
        global.setting_up_until_ms = global.setting_up_until_ms.max(until_ms);
    }
}

fn cluster_gone(world: &mut World, resource_id: String) {
    let Some(cluster) = world.cluster_named(&resource_id).map(|cluster| cluster.clone()) else {
        return;
    };
    let unfinished = world.rds.regions.get(&cluster.region).is_some_and(|region| {
        region
            .snapshots
            .values()
            .any(|s| s.cluster_resource_id == resource_id && s.status == "creating")
    });
    if unfinished || world.rds.instances_of(&cluster).next().is_some() {
        let at_ms = world.now_ms + LOOK_AGAIN_MS;
        world.schedule_at(at_ms, Event::Rds(RdsEvent::ClusterGone { resource_id }));
        return;
    }
    world.rows.cut(&resource_id, world.now_ms);
    world.rows.drop_volume(&resource_id);
    if let Some(region) = world.rds.regions.get_mut(&cluster.region) {
        region.clusters.remove(&cluster.id);
        // Automated snapshots go with their cluster, unless the call said otherwise.
        region.snapshots.retain(|_, s| {
            s.cluster_resource_id != resource_id
                || s.snapshot_type == "manual"
                || cluster.keeps_backups
        });
    }
    world.tell(171, &cluster, "");
}

fn source_listed(world: &mut World, global: &str, arn: String) {
    if world.behaviour.new_global_modifies_its_source
        && let Some(source) = world.rds.cluster_by_arn_mut(&arn)
        && source.status == "modifying"
    {
        "available".clone_into(&mut source.status);
    }
    let Some(global) = world.global_named(global) else { return };
    let id = global.id.clone();
    if global.member(&arn).is_some() {
        return;
    }
    global.members.push(super::Member {
        arn: arn.clone(),
        is_writer: true,
        synchronization: None,
        leaving: false,
    });
    if let Some(cluster) = world.rds.cluster_by_arn_mut(&arn) {
        cluster.shown_global = Some(id);
    }
}

fn member_listed(world: &mut World, resource_id: &str) {
    let Some(cluster) = world.cluster_named(resource_id).map(|cluster| cluster.clone()) else {
        return;
    };
    let Some(global_id) = cluster.global().map(str::to_owned) else { return };
    let reads = cluster.is_reader();
    let connected = world.rows.follows(resource_id);
    let Some(global) = world.rds.globals.get_mut(&global_id) else { return };
    if global.member(&cluster.arn).is_some() {
        return;
    }
    let status = if connected { "connected" } else { "pending-resync" };
    global.members.push(super::Member {
        arn: cluster.arn.clone(),
        is_writer: !reads,
        synchronization: reads.then(|| status.to_owned()),
        leaving: false,
    });
}

fn member_unlisted(world: &mut World, global: &str, arn: &str) {
    let timings = world.behaviour.timings.clone();
    let (guarded_ms, not_empty_ms) = if world.behaviour.eventually_consistent {
        (world.draw_ms(timings.part_of_global_s), world.draw_ms(timings.not_empty_s))
    } else {
        (0, 0)
    };
    let now_ms = world.now_ms;
    if let Some(global) = world.global_named(global) {
        global.members.retain(|member| member.arn != arn);
        if global.members.is_empty() {
            global.not_empty_until_ms = now_ms + not_empty_ms;
        }
    }
    if let Some(cluster) = world.rds.cluster_by_arn_mut(arn) {
        cluster.shown_global = None;
        cluster.guarded_until_ms = now_ms + guarded_ms;
    }
}
