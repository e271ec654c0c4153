//! Phase 0: what the run will do, or why it must not begin.

mod capture;
mod checks;
mod data_sources;
mod endpoints;
mod stage;
mod strategy;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::basis::Basis;
use crate::fence::{Fence, FenceBy};
use crate::network::replacements;
use crate::plan::{Decision, EndpointBefore, Expectations, Phase, PhasePlan, Phases, Plan};
use crate::refusal::Refusal;
use crate::request::{FenceKind, Request, Side, Strategy};
use crate::seen::{ClusterSeen, Seen};
use crate::settings::{Captured, ClusterSettings};
use crate::task::{
    ClusterRef, Finish, Guard, InstancePlan, NetworkTargets, Promote, Protection, Rebuild, Retire,
};
use crate::verify::{ClusterExpectation, Expectation, MustBe};

pub use endpoints::destination;

use capture::{capture, final_snapshot_id, instances, subnets};
use endpoints::all_right;
use stage::Stage;

/// Decides what a run does with this topology.
///
/// # Errors
/// Why nothing may be touched; the first reason found.
pub fn decide(request: &Request, seen: &Seen) -> Result<Plan, Refusal> {
    let way = strategy::choose(request, seen)?;
    let found = way.stage(request, seen)?;
    let draft = Draft::new(request, seen)?;
    Ok(way.shape(draft.plan(found, way.rebuilds()), seen))
}

/// The names and settings that all parts of the plan share.
struct Draft<'a> {
    request: &'a Request,
    seen: &'a Seen,
    home: ClusterRef,
    away: ClusterRef,
    home_restored: ClusterRef,
    away_restored: ClusterRef,
    captured_home: Captured,
    captured_away: Captured,
    instances_home: Vec<InstancePlan>,
    instances_away: Vec<InstancePlan>,
    home_subnets: BTreeMap<String, String>,
    away_subnets: BTreeMap<String, String>,
}

impl<'a> Draft<'a> {
    fn new(request: &'a Request, seen: &'a Seen) -> Result<Self, Refusal> {
        let reference = |side: &Side, id: &str| ClusterRef {
            region: side.region.clone(),
            cluster_id: id.to_owned(),
            arn: arn_in(seen, &side.region, id),
        };
        let captured_home = capture(&request.home, &seen.home, "home.captured")?;
        let captured_away = capture(&request.away, &seen.away, "away.captured")?;
        let writer = seen.away.cluster(&request.away.cluster_id);
        checks::dependencies(&request.home, &seen.home, &captured_home, writer)?;
        checks::dependencies(&request.away, &seen.away, &captured_away, writer)?;
        Ok(Self {
            home: reference(&request.home, &request.home.cluster_id),
            away: reference(&request.away, &request.away.cluster_id),
            home_restored: reference(&request.home, &request.home.restored_cluster_id),
            away_restored: reference(&request.away, &request.away.restored_cluster_id),
            instances_home: instances(&request.home, "home", &captured_home)?,
            instances_away: instances(&request.away, "away", &captured_away)?,
            home_subnets: subnets(
                &request.home,
                &seen.home,
                "home",
                &captured_home,
                seen.remembered.closed_home.as_ref(),
            )?,
            away_subnets: subnets(
                &request.away,
                &seen.away,
                "away",
                &captured_away,
                seen.remembered.fence.as_ref().map(|left| &left.fence),
            )?,
            captured_home,
            captured_away,
            request,
            seen,
        })
    }

    /// The plan of a run that detaches; [`strategy::Way::shape`] makes that of a switchover of it.
    fn plan(self, found: stage::Found, rebuilds: [bool; 2]) -> Plan {
        let request = self.request;
        let (home_rebuild, away_rebuild) = (self.rebuild_home(), self.rebuild_away());
        let fence_away = fence(&request.away, &self.away, &self.captured_away, &self.away_subnets);
        let fence_home = fence(&request.home, &self.home, &self.captured_home, &self.home_subnets);
        let (writer_names, reader_names) = self.dns();
        let (writer_secrets, reader_secrets) = self.secrets();
        let expect = self.expectations(&fence_away);
        let moved = all_right(self.seen, [&writer_names, &reader_names])
            && all_right(self.seen, [&writer_secrets, &reader_secrets]);
        let complete = found.stage == Stage::Finish && moved && self.is_complete(&expect);
        let mut reasons = found.reasons;
        reasons.extend(self.remarks(rebuilds));
        let data_sources = self.data_sources();
        if complete && !data_sources.is_empty() {
            reasons.push(data_sources::STILL_TO_BE_LOOKED_AT.to_owned());
        }
        let decision = if complete && data_sources.is_empty() {
            Decision::NothingToDo
        } else if request.dry_run {
            Decision::DryRun
        } else {
            Decision::Proceed
        };
        Plan {
            decision,
            reasons,
            strategy: Strategy::Detach,
            basis: Basis::of(request, self.seen),
            approvals: request.approvals,
            phases: self.phases(found.stage, complete),
            retire_home: self.retire(
                &request.home,
                &self.home,
                &self.captured_home,
                self.seen.membership(&self.home.arn).map(|(g, _)| g.id.clone()),
                self.seen.global_cluster(&request.global_clusters.former).map(|g| g.id.clone()),
                Guard {
                    survivor: self.away.clone(),
                    behind: fence_home.clone(),
                    proof_required: false,
                },
            ),
            restore_network: NetworkTargets {
                region: request.home.region.clone(),
                targets: self.home_subnets.clone(),
            },
            promote: self.promote(&fence_away),
            switch_over: None,
            cut_over_writer: writer_names,
            secrets_of_writer: writer_secrets,
            retire_away: self.retire(
                &request.away,
                &self.away,
                &self.captured_away,
                Some(request.global_clusters.restoring.clone()),
                Some(request.global_clusters.restoring.clone()),
                Guard {
                    survivor: self.home_restored.clone(),
                    behind: fence_away.clone(),
                    proof_required: !request.accept_unproven_promotion,
                },
            ),
            close_home: fence_home,
            cut_over_readers: reader_names,
            secrets_of_readers: reader_secrets,
            data_sources,
            finish: Finish { fence: fence_away.clone(), protection: self.protection() },
            expect,
            limits: request.limits.clone(),
            endpoints_before: self.endpoints_before(),
            writer_at_the_end: self.home_restored.clone(),
            reader_at_the_end: self.away_restored.clone(),
            rebuild_home: home_rebuild,
            rebuild_away: away_rebuild,
            captured_home: self.captured_home,
            captured_away: self.captured_away,
        }
    }

    /// Which phases run. Home's network is opened later than its turn as well, if something closed it
    /// meanwhile: a fence that came late, or the next disaster; but never in front of a stale cluster.
    fn phases(&self, stage: Stage, complete: bool) -> Phases {
        let mut phases = phases(stage, complete);
        let known = &self.captured_home.cluster_resource_id;
        let stale = |c: &ClusterSeen| c.id == self.home.cluster_id || c.resource_id == *known;
        let acls = &self.seen.home.network_acls;
        let closed = replacements(acls, &self.home_subnets).is_ok_and(|open| !open.is_empty());
        if !complete && closed && !self.seen.home.clusters.iter().any(stale) {
            phases.restore_network =
                PhasePlan { run: true, why: "home's subnets are closed".to_owned() };
        }
        phases
    }

    /// Without write forwarding: what clients write through home's reader would reach away from
    /// behind the fence, and could be committed there after replication was proven.
    fn rebuild_home(&self) -> Rebuild {
        let settings = &self.captured_home.cluster;
        Rebuild {
            global_cluster_id: self.request.global_clusters.restoring.clone(),
            source: self.away.clone(),
            target: self.home_restored.clone(),
            cluster: ClusterSettings { global_write_forwarding: false, ..settings.clone() },
            instances: self.instances_home.clone(),
        }
    }

    fn rebuild_away(&self) -> Rebuild {
        Rebuild {
            global_cluster_id: self.request.global_clusters.restored.clone(),
            source: self.home_restored.clone(),
            target: self.away_restored.clone(),
            cluster: self.captured_away.cluster.clone(),
            instances: self.instances_away.clone(),
        }
    }

    fn retire(
        &self,
        side: &Side,
        cluster: &ClusterRef,
        captured: &Captured,
        detach_from: Option<String>,
        delete_global_cluster_id: Option<String>,
        guard: Guard,
    ) -> Retire {
        Retire {
            cluster: cluster.clone(),
            cluster_resource_id: captured.cluster_resource_id.clone(),
            detach_from,
            clear_deletion_protection: self.request.clear_deletion_protection,
            final_snapshot_id: final_snapshot_id(side, &captured.cluster_resource_id),
            delete_global_cluster_id,
            guard,
        }
    }

    fn promote(&self, fence: &Fence) -> Promote {
        let writer = self
            .seen
            .away
            .cluster(&self.away.cluster_id)
            .or_else(|| self.seen.home.cluster(&self.home_restored.cluster_id));
        Promote {
            global_cluster_id: self.request.global_clusters.restoring.clone(),
            cluster: self.home_restored.clone(),
            source: self.away.clone(),
            fence: fence.clone(),
            engine: writer.map(|c| c.engine.clone()).unwrap_or_default(),
            engine_version: writer.map(|c| c.engine_version.clone()).unwrap_or_default(),
            source_resource_id: self.captured_away.cluster_resource_id.clone(),
            position_secret_arn: self.request.away.data_api.clone().map(|api| api.secret_arn),
        }
    }

    fn protection(&self) -> Vec<Protection> {
        [(&self.home_restored, &self.captured_home), (&self.away_restored, &self.captured_away)]
            .into_iter()
            .map(|(cluster, captured)| Protection {
                cluster: cluster.clone(),
                enabled: captured.cluster.deletion_protection,
            })
            .collect()
    }

    fn expectations(&self, fence_away: &Fence) -> Expectations {
        let globals = &self.request.global_clusters;
        let writer_of = |g: &String| MustBe::GlobalWriter { global_cluster_id: g.clone() };
        let reader_of = |g: &String| MustBe::GlobalReader { global_cluster_id: g.clone() };
        let home_open =
            NetworkTargets { region: self.home.region.clone(), targets: self.home_subnets.clone() };
        let away_open =
            NetworkTargets { region: self.away.region.clone(), targets: self.away_subnets.clone() };
        let home_is_writer = (&self.home_restored, MustBe::RegionalWriter);
        let rebuilt = [
            (&self.home_restored, writer_of(&globals.restored)),
            (&self.away_restored, reader_of(&globals.restored)),
        ];
        Expectations {
            home_retired: table(
                [(&self.home, MustBe::Deleted), (&self.away, MustBe::RegionalWriter)],
                [],
            ),
            network_restored: table([], [home_open.clone()]),
            home_rebuilt: table(
                [
                    (&self.home_restored, reader_of(&globals.restoring)),
                    (&self.away, writer_of(&globals.restoring)),
                ],
                // Isolated again since, home would be promoted to serve nobody.
                [home_open.clone()],
            ),
            home_promoted: closed(table([home_is_writer.clone()], []), fence_away),
            away_detached: closed(
                table([home_is_writer.clone(), (&self.away, MustBe::RegionalWriter)], []),
                fence_away,
            ),
            away_retired: table([home_is_writer, (&self.away, MustBe::Deleted)], []),
            away_rebuilt: table(rebuilt.clone(), []),
            finished: table(rebuilt, [home_open, away_open]),
            switched_over: None,
        }
    }

    fn endpoints_before(&self) -> Vec<EndpointBefore> {
        let clusters = [(&self.seen.home, &self.home), (&self.seen.away, &self.away)];
        let described =
            clusters.iter().filter_map(|(side, r)| Some((r, side.cluster(&r.cluster_id)?)));
        described
            .flat_map(|(reference, cluster)| {
                let both = [("writer", &cluster.endpoint), ("reader", &cluster.reader_endpoint)];
                both.into_iter().filter_map(|(role, endpoint)| {
                    Some(EndpointBefore {
                        role: role.to_owned(),
                        region: reference.region.clone(),
                        cluster_id: reference.cluster_id.clone(),
                        endpoint: endpoint.clone()?,
                    })
                })
            })
            .collect()
    }

    /// Nothing is left of the clusters: the global cluster in which home caught up is gone, too.
    fn is_complete(&self, expect: &Expectations) -> bool {
        let caught_up_in = &self.request.global_clusters.restoring;
        self.seen.global_cluster(caught_up_in).is_none() && is_over(self.seen, &expect.finished)
    }

    /// What the operator should know although it stops nothing: of each side that is rebuilt.
    fn remarks(&self, rebuilds: [bool; 2]) -> Vec<String> {
        let mut out = Vec::new();
        if rebuilds[0] && self.captured_home.cluster.global_write_forwarding {
            out.push(format!(
                "{} forwarded writes; {} will not, because it is to be the writer",
                self.home.cluster_id, self.home_restored.cluster_id
            ));
        }
        let sides = [
            (&self.seen.home, &self.home, &self.captured_home, &self.instances_home),
            (&self.seen.away, &self.away, &self.captured_away, &self.instances_away),
        ];
        let sides = sides.into_iter().zip(rebuilds).filter(|(_, is_rebuilt)| *is_rebuilt);
        for ((side, reference, captured, rebuilt), _) in sides {
            if rebuilt.len() < captured.instances.len() {
                out.push(format!(
                    "{} has {} instances and is rebuilt with {}",
                    reference.cluster_id,
                    captured.instances.len(),
                    rebuilt.len()
                ));
            }
            let Some(cluster) = side.cluster(&reference.cluster_id) else { continue };
            if cluster.pending_modified {
                out.push(format!(
                    "{} has modifications that are not applied yet: what is carried over may not \
                     be what was intended",
                    cluster.id
                ));
            }
            if cluster.activity_stream {
                out.push(format!(
                    "{} has a database activity stream, which must be started again by hand",
                    cluster.id
                ));
            }
        }
        out
    }
}

/// No run was interrupted, and the final table holds.
fn is_over(seen: &Seen, finished: &Expectation) -> bool {
    seen.remembered.is_empty() && crate::verify::differences(seen, finished).is_empty()
}

fn table<const C: usize, const N: usize>(
    clusters: [(&ClusterRef, MustBe); C],
    network: [NetworkTargets; N],
) -> Expectation {
    let row = |(cluster, must_be): (&ClusterRef, MustBe)| ClusterExpectation {
        region: cluster.region.clone(),
        cluster_id: cluster.cluster_id.clone(),
        must_be,
    };
    Expectation {
        clusters: clusters.into_iter().map(row).collect(),
        network: network.into(),
        closed: Vec::new(),
    }
}

/// The same, with this fence up.
fn closed(table: Expectation, fence: &Fence) -> Expectation {
    Expectation { closed: vec![fence.clone()], ..table }
}

/// What closes a side's cluster, and what it returns to.
fn fence(
    side: &Side,
    cluster: &ClusterRef,
    captured: &Captured,
    subnets: &BTreeMap<String, String>,
) -> Fence {
    let network = &side.network;
    let id = |id: &Option<String>| id.clone().unwrap_or_default();
    let by = match network.fence {
        FenceKind::NetworkAcl => {
            FenceBy::NetworkAcl { acl_id: id(&network.fence_acl_id), restore: subnets.clone() }
        }
        FenceKind::SecurityGroup => FenceBy::SecurityGroup {
            group_id: id(&network.fence_group_id),
            restore: captured.cluster.security_group_ids.clone(),
        },
    };
    let cluster_resource_id = captured.cluster_resource_id.clone();
    Fence { cluster: cluster.clone(), cluster_resource_id, by }
}

fn phases(stage: Stage, complete: bool) -> Phases {
    let plan = |phase: Phase| {
        let (run, why) = if complete {
            (false, "the failback is complete")
        } else if phase >= stage.first_phase() {
            (true, "still to do")
        } else {
            (false, "done already: later phases have begun")
        };
        PhasePlan { run, why: why.to_owned() }
    };
    Phases {
        retire_home: plan(Phase::RetireHome),
        restore_network: plan(Phase::RestoreNetwork),
        rebuild_home: plan(Phase::RebuildHome),
        bring_writer_home: plan(Phase::BringWriterHome),
        cut_over_writer: plan(Phase::CutOverWriter),
        retire_away: plan(Phase::RetireAway),
        rebuild_away: plan(Phase::RebuildAway),
        finish: plan(Phase::Finish),
    }
}

/// The ARN a cluster of this name has or will have: partition and account come from a cluster
/// that is there.
fn arn_in(seen: &Seen, region: &str, cluster_id: &str) -> String {
    let known = seen.away.clusters.iter().chain(&seen.home.clusters).next();
    let parts: Vec<&str> = known.map(|c| c.arn.split(':').collect()).unwrap_or_default();
    let [_, partition, _, _, account, ..] = parts[..] else { return String::new() };
    format!("arn:{partition}:rds:{region}:{account}:cluster:{cluster_id}")
}
