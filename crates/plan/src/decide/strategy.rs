//! Which strategy brings the writer home, and what a switchover makes of the plan.

use super::endpoints::all_right;
use super::stage::{self, Found, Stage};
use super::{checks, data_sources, endpoints, is_over, table};
use crate::fence::Fence;
use crate::plan::{Decision, PhasePlan, Plan};
use crate::refusal::Refusal;
use crate::request::{Request, Strategy};
use crate::seen::{ClusterSeen, GlobalClusterSeen, Seen};
use crate::steps::{TERMINAL_CLUSTER_STATUSES, differ};
use crate::task::{ClusterRef, InstancePlan, SwitchOver};
use crate::verify::MustBe;
use crate::versions::can_switch_over;

/// The way the writer comes home.
pub(super) enum Way {
    /// By detaching a rebuilt home cluster; the reasons say why not by a switchover.
    Detach(Vec<String>),
    /// By a switchover.
    SwitchOver(Switch),
}

/// A switchover.
pub(super) struct Switch {
    global_cluster_id: String,
    home: Home,
    moment: Moment,
    reason: String,
}

/// Which cluster becomes the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// The one from before the disaster, which Aurora has brought back as a reader.
    Rejoined,
    /// The one that a run builds, or has built.
    Rebuilt,
}

/// How far the switchover has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    During,
    After,
}

/// Chooses the way for a topology.
///
/// # Errors
/// A switchover was asked for, or is the only way, and is not possible.
pub(super) fn choose(request: &Request, seen: &Seen) -> Result<Way, Refusal> {
    if request.strategy == Strategy::Detach {
        return Ok(Way::Detach(Vec::new()));
    }
    if let Some(switch) = rejoined(request, seen)? {
        return Ok(Way::SwitchOver(switch));
    }
    match (rebuilt(request, seen)?, request.strategy) {
        (Ok(switch), _) => Ok(Way::SwitchOver(switch)),
        (Err(why), Strategy::Auto) => Ok(Way::Detach(vec![format!("detach, because {why}")])),
        (Err(why), _) => Err(Refusal::SwitchoverNotPossible {
            cluster: request.home.restored_cluster_id.clone(),
            why,
            remedy: "Start again with the strategy `detach` or `auto`",
        }),
    }
}

/// A switchover to the cluster from before the disaster, if the former global cluster is alive: it
/// was failed over, and counts on away.
fn rejoined(request: &Request, seen: &Seen) -> Result<Option<Switch>, Refusal> {
    let Some(global) = seen.global_cluster(&request.global_clusters.former) else {
        return Ok(None);
    };
    let away = seen.away.cluster(&request.away.cluster_id);
    let Some((away, member)) = away.and_then(|c| Some((c, global.member(&c.arn)?))) else {
        return Ok(None);
    };
    let home = seen.home.cluster(&request.home.cluster_id);
    let Some(home) = home.filter(|c| global.member(&c.arn).is_some()) else {
        if !member.is_writer {
            return Ok(None);
        }
        return Err(Refusal::HomeNotRejoined {
            home: request.home.cluster_id.clone(),
            away: away.id.clone(),
            global_cluster: global.id.clone(),
        });
    };
    let moment = moment(global, home, away)?;
    if moment == Moment::Before
        && let Some(why) = obstacle(seen, global, home, away)
    {
        return Err(Refusal::SwitchoverNotPossible {
            cluster: home.id.clone(),
            why,
            remedy: "`detach` would have to delete a cluster that follows its writer, which this \
                     program does not do. Remove the obstacle and start again",
        });
    }
    let reason = match moment {
        Moment::After => format!("switchover: {} is the writer of {} already", home.id, global.id),
        Moment::Before | Moment::During => format!(
            "switchover, because the failover was a managed one: {} follows {} in {} and is kept",
            home.id, away.id, global.id
        ),
    };
    Ok(Some(Switch { global_cluster_id: global.id.clone(), home: Home::Rejoined, moment, reason }))
}

/// A switchover to the cluster that takes the place of the stale one, or why not.
fn rebuilt(request: &Request, seen: &Seen) -> Result<Result<Switch, String>, Refusal> {
    let restoring = &request.global_clusters.restoring;
    let switch = |moment, reason: String| {
        let global_cluster_id = restoring.clone();
        Ok(Ok(Switch { global_cluster_id, home: Home::Rebuilt, moment, reason }))
    };
    let begin = || {
        let kept = &request.away.cluster_id;
        switch(
            Moment::Before,
            format!("switchover: {kept} is kept, and follows home in {restoring}"),
        )
    };
    let Some(home) = seen.home.cluster(&request.home.restored_cluster_id) else {
        return begin();
    };
    let global = seen.global_cluster(restoring);
    let away = seen.away.cluster(&request.away.cluster_id);
    if home.status != "promoting"
        && let (Some(global), Some(away)) = (global, away)
        && global.member(&away.arn).is_some()
    {
        let listed = global.member(&home.arn).is_some();
        if !listed && home.replication_source.as_deref() != Some(&away.arn) {
            return Ok(Err(left(home, restoring)));
        }
        // A cluster that joins is listed a little late.
        let moment = if listed { moment(global, home, away)? } else { Moment::Before };
        if moment == Moment::Before {
            // Without an instance so far: the run builds those that are missing.
            return match obstacle_between(global, home, away) {
                Some(why) => Ok(Err(why)),
                None => begin(),
            };
        }
        return switch(moment, format!("switchover: {} leads or will lead {restoring}", home.id));
    }
    Ok(Err(left(home, restoring)))
}

fn left(home: &ClusterSeen, restoring: &str) -> String {
    format!("{} has left {restoring}: an earlier run detached it", home.id)
}

/// How far the switchover from away to home has come.
fn moment(
    global: &GlobalClusterSeen,
    home: &ClusterSeen,
    away: &ClusterSeen,
) -> Result<Moment, Refusal> {
    if let Some(operation) = &global.operation {
        // Whoever began it: the run waits for its end and goes on from there.
        if global.switches_to(&home.arn) {
            return Ok(Moment::During);
        }
        return Err(Refusal::OperationRuns {
            global_cluster: global.id.clone(),
            operation: operation.clone(),
        });
    }
    let writes = |c: &ClusterSeen| global.member(&c.arn).is_some_and(|m| m.is_writer);
    let unknown = |what: String| Err(Refusal::UnknownTopology { what });
    let (moment, reader) = match (writes(home), writes(away)) {
        (false, true) => (Moment::Before, home),
        (true, false) => (Moment::After, away),
        (both, _) => {
            let which = if both { "each" } else { "neither" };
            return unknown(format!(
                "{which} of {} and {} is listed as the writer of {}",
                home.id, away.id, global.id
            ));
        }
    };
    // A member that was detached is listed for a while longer, and is a writer of its own by then.
    let leaves = reader.status == "available" && reader.replication_source.is_none();
    if leaves || reader.status == "promoting" {
        return unknown(format!(
            "{} is listed as a reader of {} and does not replicate any more",
            reader.id, global.id
        ));
    }
    Ok(moment)
}

/// What waiting does not remove and Aurora would refuse a switchover for.
fn obstacle(
    seen: &Seen,
    global: &GlobalClusterSeen,
    home: &ClusterSeen,
    away: &ClusterSeen,
) -> Option<String> {
    if seen.home.instances_of(&home.id).next().is_none() {
        return Some(format!("{} has no instance", home.id));
    }
    obstacle_between(global, home, away)
}

fn obstacle_between(
    global: &GlobalClusterSeen,
    home: &ClusterSeen,
    away: &ClusterSeen,
) -> Option<String> {
    let is_third = |arn: &String| *arn != home.arn && *arn != away.arn;
    if let Some(third) = global.members.iter().map(|m| &m.arn).find(|arn| is_third(arn)) {
        return Some(format!("{} has a further member, {third}, that nobody looks at", global.id));
    }
    let broken = |c: &&ClusterSeen| TERMINAL_CLUSTER_STATUSES.contains(&c.status.as_str());
    if let Some(broken) = [home, away].into_iter().find(broken) {
        return Some(format!("{} is {}", broken.id, broken.status));
    }
    let same = home.engine == away.engine
        && can_switch_over(&home.engine, &home.engine_version, &away.engine_version);
    (!same).then(|| differ(home, away))
}

impl Way {
    /// Where the run stands, after all checks that this way needs.
    ///
    /// # Errors
    /// The first reason not to begin.
    pub(super) fn stage(&self, request: &Request, seen: &Seen) -> Result<Found, Refusal> {
        let mut found = match self {
            // Nothing is deleted, created or detached any more.
            Self::SwitchOver(switch) if !switch.rebuilds() => {
                endpoints::check(request, seen)?;
                Found { stage: Stage::Finish, reasons: Vec::new() }
            }
            _ => {
                let found = stage::find(request, seen)?;
                let keeps_away = matches!(self, Self::SwitchOver(_));
                checks::all(request, seen, found.stage, keeps_away)?;
                found
            }
        };
        let reasons = match self {
            Self::Detach(reasons) => reasons.clone(),
            Self::SwitchOver(switch) => vec![switch.reason.clone()],
        };
        found.reasons.splice(0..0, reasons);
        Ok(found)
    }

    /// Whether home and away are rebuilt.
    pub(super) fn rebuilds(&self) -> [bool; 2] {
        match self {
            Self::Detach(_) => [true, true],
            Self::SwitchOver(switch) => [switch.rebuilds(), false],
        }
    }

    /// The plan of this way, made of that of a detachment.
    pub(super) fn shape(&self, plan: Plan, seen: &Seen) -> Plan {
        match self {
            Self::Detach(_) => endpoints::with_stragglers(plan),
            Self::SwitchOver(switch) => switch.shape(plan, seen),
        }
    }
}

impl Switch {
    fn rebuilds(&self) -> bool {
        self.home == Home::Rebuilt && self.moment == Moment::Before
    }

    fn shape(&self, mut plan: Plan, seen: &Seen) -> Plan {
        let away = plan.rebuild_home.source.clone();
        let home = match self.home {
            Home::Rejoined => plan.retire_home.cluster.clone(),
            Home::Rebuilt => plan.rebuild_home.target.clone(),
        };
        let ours = |region: &String| if *region == home.region { &home } else { &away };
        for record in plan.cut_over_writer.iter_mut().chain(&mut plan.cut_over_readers) {
            record.cluster_id.clone_from(&ours(&record.region).cluster_id);
        }
        for secret in plan.secrets_of_writer.iter_mut().chain(&mut plan.secrets_of_readers) {
            secret.cluster_id.clone_from(&ours(&secret.region).cluster_id);
        }
        for source in plan.data_sources.iter_mut().filter_map(|s| s.point.as_mut()) {
            source.to.cluster_id.clone_from(&ours(&source.to.region).cluster_id);
        }
        for protection in &mut plan.finish.protection {
            protection.cluster = ours(&protection.cluster.region).clone();
        }
        if self.home == Home::Rejoined {
            self.describe_rejoined(&mut plan, &home, seen);
        }
        self.expect(&mut plan, &home, &away);
        plan.strategy = Strategy::Switchover;
        plan.switch_over = Some(SwitchOver {
            global_cluster_id: self.global_cluster_id.clone(),
            cluster: home.clone(),
            source: away.clone(),
            engine: plan.promote.engine.clone(),
            engine_version: plan.promote.engine_version.clone(),
            under_way: self.moment == Moment::During,
            fence_left: self.fence_left(&plan, seen),
        });
        let complete = self.is_complete(&plan, seen);
        if complete && plan.data_sources.is_empty() {
            plan.decision = Decision::NothingToDo;
        } else if complete {
            plan.reasons.push(data_sources::STILL_TO_BE_LOOKED_AT.to_owned());
        }
        self.choose_phases(&mut plan, &home, complete);
        plan.writer_at_the_end = home;
        plan.reader_at_the_end = away;
        plan
    }

    /// Of a run that was to detach and was interrupted.
    fn fence_left(&self, plan: &Plan, seen: &Seen) -> Option<Fence> {
        let fence = &plan.promote.fence;
        let away = seen.away.cluster(&fence.cluster.cluster_id);
        let is_up = fence.is_partly_up(&seen.away.network_acls, away);
        (self.moment == Moment::Before && is_up).then(|| fence.clone())
    }

    /// `rebuild_home` does not run: it says what home has to be, of the cluster that is there.
    fn describe_rejoined(&self, plan: &mut Plan, home: &ClusterRef, seen: &Seen) {
        let instances = seen.home.instances_of(&home.cluster_id);
        plan.rebuild_home.global_cluster_id.clone_from(&self.global_cluster_id);
        plan.rebuild_home.target = home.clone();
        plan.rebuild_home.cluster = plan.captured_home.cluster.clone();
        plan.rebuild_home.instances = instances
            .map(|i| InstancePlan { id: i.id.clone(), settings: i.settings.clone() })
            .collect();
    }

    fn expect(&self, plan: &mut Plan, home: &ClusterRef, away: &ClusterRef) {
        let global_cluster_id = || self.global_cluster_id.clone();
        let writer = || MustBe::GlobalWriter { global_cluster_id: global_cluster_id() };
        let reader = || MustBe::GlobalReader { global_cluster_id: global_cluster_id() };
        let switched_over = table([(home, writer()), (away, reader())], []);
        let expect = &mut plan.expect;
        expect.home_rebuilt = table([(home, reader()), (away, writer())], []);
        expect.away_rebuilt = switched_over.clone();
        expect.finished.clusters.clone_from(&switched_over.clusters);
        expect.switched_over = Some(switched_over);
    }

    /// Nothing is left, and names and secrets point where they shall.
    fn is_complete(&self, plan: &Plan, seen: &Seen) -> bool {
        self.moment == Moment::After
            && all_right(seen, [&plan.cut_over_writer, &plan.cut_over_readers])
            && all_right(seen, [&plan.secrets_of_writer, &plan.secrets_of_readers])
            && is_over(seen, &plan.expect.finished)
    }

    fn choose_phases(&self, plan: &mut Plan, home: &ClusterRef, complete: bool) {
        let phase = |run: bool, why: &str| PhasePlan { run, why: why.to_owned() };
        let (id, global) = (&home.cluster_id, &self.global_cluster_id);
        let phases = &mut plan.phases;
        if complete {
            let all = [
                &mut phases.retire_home,
                &mut phases.restore_network,
                &mut phases.rebuild_home,
                &mut phases.bring_writer_home,
                &mut phases.cut_over_writer,
                &mut phases.finish,
            ];
            all.into_iter().for_each(|p| *p = phase(false, "the failback is complete"));
        } else if !self.rebuilds() {
            let (retired, rebuilt) = match self.home {
                Home::Rejoined => (
                    format!("{id} belongs to {global}, which is alive: it is not stale"),
                    format!("Aurora has brought {id} back itself"),
                ),
                Home::Rebuilt => {
                    ("the stale cluster is gone".to_owned(), format!("{id} is rebuilt"))
                }
            };
            phases.retire_home = phase(false, &retired);
            phases.restore_network = phase(true, "still to do");
            phases.rebuild_home = phase(false, &rebuilt);
            phases.bring_writer_home = match self.moment {
                Moment::Before => phase(true, "still to do"),
                Moment::During => phase(true, "the switchover is under way"),
                Moment::After => phase(false, &format!("{id} is the writer of {global}")),
            };
            phases.cut_over_writer = phase(true, "still to do");
            phases.finish = phase(true, "still to do");
        }
        phases.retire_away = phase(false, "a switchover keeps away's cluster");
        phases.rebuild_away = phase(false, "a switchover makes away's cluster the reader");
    }
}
