//! Somebody at AWS looks after what is stuck.

use super::{NEVER_MS, World};

impl World {
    /// Lets everything that a fault made stuck go on from now.
    pub fn unstick(&mut self) {
        let (now_ms, never_ms) = (self.now_ms, NEVER_MS);
        let stuck = self.queue.split_off(&(never_ms, 0));
        for event in stuck.into_values() {
            self.schedule_at(now_ms + 1_000, event);
        }
        let lift = |at_ms: &mut i64| {
            if *at_ms >= never_ms {
                *at_ms = now_ms;
            }
        };
        for global in self.rds.globals.values_mut() {
            lift(&mut global.not_empty_until_ms);
            lift(&mut global.setting_up_until_ms);
        }
        for cluster in self.rds.regions.values_mut().flat_map(|r| r.clusters.values_mut()) {
            lift(&mut cluster.guarded_until_ms);
            cluster.attached_ms.values_mut().for_each(lift);
            cluster.endpoints.values_mut().for_each(|e| lift(&mut e.active_from_ms));
        }
        self.dns.unstick(never_ms, now_ms);
    }
}
