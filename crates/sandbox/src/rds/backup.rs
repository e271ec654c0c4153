//! Backups and maintenance, which a cluster begins by itself and at the most awkward moments.

use super::event::RdsEvent;
use crate::world::{Event, World};

const DAY_MS: i64 = 24 * 3_600_000;
/// How many seconds after a cluster became available it may begin to back up.
const SOON_S: f64 = 5.0;
/// The first of January 1970 was a Thursday.
const WEEK: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

/// Some clusters back up or are maintained at once whenever they become available.
pub(super) fn be_kept_soon(world: &mut World, resource_id: &str) {
    let resource_id = resource_id.to_owned();
    if world.behaviour.maintained_when_available {
        world.after(SOON_S, RdsEvent::Maintenance { resource_id: resource_id.clone() });
    }
    if world.behaviour.backs_up_when_available {
        world.after(SOON_S, RdsEvent::Backup { resource_id });
    }
}

/// Lets a cluster be maintained at the next beginning of its maintenance window.
pub(super) fn schedule_maintenance(world: &mut World, resource_id: &str) {
    let Some(cluster) = world.cluster_named(resource_id) else { return };
    let window = cluster.settings.maintenance_window.to_ascii_lowercase();
    let Some((day, time)) = window.split_once(':') else { return };
    let Some(day) = WEEK.iter().zip(0..).find(|(name, _)| **name == day) else { return };
    let Some(begins_ms) = window_begins_ms(time) else { return };
    let week_ms = 7 * DAY_MS;
    let begins_ms = day.1 * DAY_MS + begins_ms;
    let this_week_ms = world.now_ms - world.now_ms.rem_euclid(week_ms) + begins_ms;
    let at_ms = if this_week_ms > world.now_ms { this_week_ms } else { this_week_ms + week_ms };
    let event = RdsEvent::WeeklyMaintenance { resource_id: resource_id.to_owned() };
    world.schedule_at(at_ms, Event::Rds(event));
}

/// An available cluster shows that it is maintained, takes over what was put off until then, and
/// serves all the same.
pub(super) fn maintain(world: &mut World, resource_id: &str) {
    let Some(cluster) = world.cluster_named(resource_id) else { return };
    if cluster.status != "available" {
        return;
    }
    if let Some(pending) = cluster.pending.take() {
        cluster.settings = pending;
    }
    show_for(world, resource_id, "maintenance", world.behaviour.timings.maintenance_s);
}

/// Lets a cluster back up at the next beginning of its backup window.
pub(super) fn schedule_daily_backup(world: &mut World, event: RdsEvent) {
    let RdsEvent::DailyBackup { resource_id } = &event else { return };
    let Some(cluster) = world.cluster_named(resource_id) else { return };
    let Some(begins_ms) = window_begins_ms(&cluster.settings.backup_window) else { return };
    let today_ms = world.now_ms - world.now_ms.rem_euclid(DAY_MS) + begins_ms;
    let at_ms = if today_ms > world.now_ms { today_ms } else { today_ms + DAY_MS };
    world.schedule_at(at_ms, Event::Rds(event));
}

/// An available cluster shows that it backs up, and serves all the same.
pub(super) fn back_up(world: &mut World, resource_id: &str) {
    let available = world.cluster_named(resource_id).is_some_and(|c| c.status == "available");
    if available {
        show_for(world, resource_id, "backing-up", world.behaviour.timings.backup_s);
    }
}

fn show_for(world: &mut World, resource_id: &str, status: &str, seconds: f64) {
    if let Some(cluster) = world.cluster_named(resource_id) {
        status.clone_into(&mut cluster.status);
    }
    let event = RdsEvent::ClusterStatus {
        resource_id: resource_id.to_owned(),
        from: status.to_owned(),
        to: "available".to_owned(),
    };
    world.after(seconds, event);
}

impl World {
    /// Has the cluster of a call back up at this very moment.
    pub(crate) fn back_up_now(&mut self, region: &str, id: &str) {
        let found = self.rds.cluster(region, &id.to_ascii_lowercase());
        if let Some(resource_id) = found.map(|cluster| cluster.resource_id.clone()) {
            back_up(self, &resource_id);
        }
    }
}

/// `07:10-07:40` begins 25 800 000 ms after midnight.
fn window_begins_ms(window: &str) -> Option<i64> {
    let (hour, minute) = window.split('-').next()?.split_once(':')?;
    let (hour, minute) = (hour.parse::<i64>().ok()?, minute.parse::<i64>().ok()?);
    // Another day's moment would be due again as soon as it has been.
    let of_a_day = (0..24).contains(&hour) && (0..60).contains(&minute);
    of_a_day.then_some((hour * 60 + minute) * 60_000)
}
