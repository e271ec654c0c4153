//! What happens to clusters and global clusters after a call has been answered.

use super::{Cluster, GlobalCluster, Instance, Membership, global_move};
use crate::rows::NewStream;
use crate::world::{Event, Pace, World};

/// How often something that waits for something else looks again.
const LOOK_AGAIN_MS: i64 = 5_000;
const DAY_MS: i64 = 24 * 3_600_000;

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
            Pace::Fail(status) => status.clone(),
            _ => "available".to_owned(),
        }
    }

    fn cluster_named(&mut self, resource_id: &str) -> Option<&mut Cluster> {
        let regions = self.rds.regions.values_mut();
        regions.flat_map(|r| r.clusters.values_mut()).find(|c| c.resource_id == resource_id)
    }

    fn instance_named(&mut self, resource_id: &str) -> Option<&mut Instance> {
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
            if let Some(cluster) = world.cluster_named(&resource_id).filter(|c| c.status == from) {
                cluster.status = to;
            }
        }
        RdsEvent::MemberConnected { resource_id } => connect(world, &resource_id),
        RdsEvent::ClusterGone { resource_id } => cluster_gone(world, resource_id),
        RdsEvent::InstanceCreated { resource_id, status } => {
            instance_created(world, resource_id, status);
        }
        RdsEvent::InstanceStatus { resource_id, from, to } => {
            if let Some(found) = world.instance_named(&resource_id).filter(|i| i.status == from) {
                found.status = to;
            }
        }
        RdsEvent::InstanceGone { resource_id } => instance_gone(world, &resource_id),
        RdsEvent::SnapshotAvailable { arn } => {
            let snapshots = world.rds.regions.values_mut().flat_map(|r| r.snapshots.values_mut());
            for snapshot in snapshots.filter(|snapshot| snapshot.arn == arn) {
                snapshot.status = "available".to_owned();
            }
        }
        RdsEvent::SourceListed { global, arn } => source_listed(world, &global, arn),
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
        RdsEvent::MoveDone { global } => global_move::done(world, &global),
        RdsEvent::Resynchronized { resource_id } => {
            if let Some(cluster) = world.cluster_named(&resource_id) {
                cluster.status = "available".to_owned();
            }
            connect(world, &resource_id);
        }
        RdsEvent::DailyBackup { resource_id } => daily_backup(world, resource_id),
    }
}

fn cluster_created(world: &mut World, resource_id: &str, status: String) {
    let Some(cluster) = world.cluster_named(resource_id).filter(|c| c.status == "creating") else {
        return;
    };
    let connects = cluster.is_reader() && status == "available";
    cluster.status = status;
    let resource_id = resource_id.to_owned();
    schedule_daily_backup(world, RdsEvent::DailyBackup { resource_id: resource_id.clone() });
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
        // Automated snapshots go with their cluster.
        region
            .snapshots
            .retain(|_, s| s.cluster_resource_id != resource_id || s.snapshot_type == "manual");
    }
}

fn instance_created(world: &mut World, resource_id: String, status: String) {
    let Some(instance) = world.instance_named(&resource_id).map(|instance| instance.clone()) else {
        return;
    };
    let transient = ["creating", "configuring-enhanced-monitoring"];
    if !transient.contains(&instance.status.as_str()) {
        return;
    }
    let cluster_creating = world
        .rds
        .cluster(&instance.region, &instance.cluster_id)
        .is_some_and(|cluster| cluster.status == "creating");
    if cluster_creating && status == "available" {
        let at_ms = world.now_ms + LOOK_AGAIN_MS;
        world.schedule_at(at_ms, Event::Rds(RdsEvent::InstanceCreated { resource_id, status }));
        return;
    }
    let monitored = instance.settings.monitoring.as_ref().is_some_and(|m| m.interval_s > 0);
    let configures = monitored && instance.status == "creating" && status == "available";
    let next = if configures { "configuring-enhanced-monitoring".to_owned() } else { status };
    if let Some(instance) = world.instance_named(&resource_id) {
        instance.status = next;
    }
    if configures {
        let seconds = world.behaviour.timings.modify_s;
        let status = "available".to_owned();
        world.after(seconds, RdsEvent::InstanceCreated { resource_id, status });
    }
}

fn instance_gone(world: &mut World, resource_id: &str) {
    for region in world.rds.regions.values_mut() {
        region.instances.retain(|_, instance| instance.resource_id != resource_id);
    }
}

fn source_listed(world: &mut World, global: &str, arn: String) {
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

/// Lets a cluster back up at the next beginning of its backup window.
pub(crate) fn schedule_daily_backup(world: &mut World, event: RdsEvent) {
    let RdsEvent::DailyBackup { resource_id } = &event else { return };
    let Some(cluster) = world.cluster_named(resource_id) else { return };
    let Some(begins_ms) = window_begins_ms(&cluster.settings.backup_window) else { return };
    let today_ms = world.now_ms - world.now_ms.rem_euclid(DAY_MS) + begins_ms;
    let at_ms = if today_ms > world.now_ms { today_ms } else { today_ms + DAY_MS };
    world.schedule_at(at_ms, Event::Rds(event));
}

fn daily_backup(world: &mut World, resource_id: String) {
    let backs_up = world.behaviour.backs_up_daily;
    let Some(cluster) = world.cluster_named(&resource_id) else { return };
    if backs_up && cluster.status == "available" {
        cluster.status = "backing-up".to_owned();
        let seconds = world.behaviour.timings.backup_s;
        let event = RdsEvent::ClusterStatus {
            resource_id: resource_id.clone(),
            from: "backing-up".to_owned(),
            to: "available".to_owned(),
        };
        world.after(seconds, event);
    }
    schedule_daily_backup(world, RdsEvent::DailyBackup { resource_id });
}

/// `07:10-07:40` begins 25 800 000 ms after midnight.
fn window_begins_ms(window: &str) -> Option<i64> {
    let (hour, minute) = window.split('-').next()?.split_once(':')?;
    Some((hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?) * 60_000)
}
