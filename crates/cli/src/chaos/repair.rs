//! What a person deletes by hand, as the runbook says, before starting again.

use failback_sandbox::World;

use super::invariants::Excuses;
use super::names::Names;

/// Statuses out of which nothing comes by itself.
const TERMINAL: [&str; 4] =
    ["failed", "incompatible-network", "insufficient-capacity", "incompatible-parameters"];

/// Removes rebuilt clusters and instances that ended in such a status.
pub fn broken(world: &mut World, names: &Names, excuses: &mut Excuses) {
    for (region, id) in [&names.home_restored, &names.away_restored] {
        let Some(cluster) = world.rds.cluster(region, id).cloned() else { continue };
        if TERMINAL.contains(&cluster.status.as_str()) {
            excuses.removed.insert(cluster.resource_id.clone());
            let now_ms = world.now_ms;
            world.rows.cut(&cluster.resource_id, now_ms);
            world.rows.drop_volume(&cluster.resource_id);
            for global in world.rds.globals.values_mut() {
                global.members.retain(|m| m.arn != cluster.arn);
            }
            if let Some(here) = world.rds.regions.get_mut(region) {
                here.clusters.remove(id);
                here.instances.retain(|_, i| i.cluster_id != *id);
            }
            continue;
        }
        if let Some(here) = world.rds.regions.get_mut(region) {
            here.instances.retain(|_, instance| {
                instance.cluster_id != *id || !TERMINAL.contains(&instance.status.as_str())
            });
        }
    }
}
