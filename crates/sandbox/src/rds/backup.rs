//! Backups, which a cluster begins by itself and at the most awkward moments.

use super::event::RdsEvent;
use crate::world::{Event, World};

const DAY_MS: i64 = 24 * 3_600_000;
/// How many seconds after a cluster became available it may begin to back up.
const SOON_S: f64 = 5.0;

/// Some clusters back up at once whenever they become available.
pub(super) fn back_up_soon(world: &mut World, resource_id: &str) {
    if world.behaviour.backs_up_when_available {
        world.after(SOON_S, RdsEvent::Backup { resource_id: resource_id.to_owned() });
    }
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
    let Some(cluster) = world.cluster_named(resource_id) else { return };
    if cluster.status != "available" {
        return;
    }
    cluster.status = "backing-up".to_owned();
    let event = RdsEvent::ClusterStatus {
        resource_id: resource_id.to_owned(),
        from: "backing-up".to_owned(),
        to: "available".to_owned(),
    };
    let seconds = world.behaviour.timings.backup_s;
    world.after(seconds, event);
}

/// `07:10-07:40` begins 25 800 000 ms after midnight.
fn window_begins_ms(window: &str) -> Option<i64> {
    let (hour, minute) = window.split('-').next()?.split_once(':')?;
    let (hour, minute) = (hour.parse::<i64>().ok()?, minute.parse::<i64>().ok()?);
    // Another day's moment would be due again as soon as it has been.
    let of_a_day = (0..24).contains(&hour) && (0..60).contains(&minute);
    of_a_day.then_some((hour * 60 + minute) * 60_000)
}
