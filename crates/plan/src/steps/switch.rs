//! Moving the writer within a global cluster, and how far that has come.

use super::{Decided, NotAsPlanned, Step, is_serving, not_terminal};
use crate::seen::{ClusterSeen, GlobalClusterSeen, InstanceSeen};
use crate::task::{Answer, SwitchOver};
use crate::versions::can_switch_over;

/// How long after it was accepted a switchover may not be described yet, in milliseconds: twice what
/// is assumed for a description to cross Regions.
const SEEN_WITHIN_MS: i64 = 120_000;

/// What a switchover is about, as it is seen.
#[derive(Debug, Clone, Copy)]
pub struct Moving<'a> {
    /// The global cluster.
    pub global: Option<&'a GlobalClusterSeen>,
    /// The cluster that becomes the writer.
    pub home: Option<&'a ClusterSeen>,
    /// Its instances.
    pub home_instances: &'a [InstanceSeen],
    /// The writer until then.
    pub away: Option<&'a ClusterSeen>,
}

/// Whether to ask Aurora to switch the writer over.
pub fn switch_over(seen: Moving<'_>, wanted: &SwitchOver) -> Decided<()> {
    let (target, source) = (&wanted.cluster, &wanted.source);
    let id = &wanted.global_cluster_id;
    let Some(global) = seen.global else {
        return Err(NotAsPlanned(format!("there is no global cluster {id}")));
    };
    let Some(member) = global.member(&target.arn) else {
        return Err(NotAsPlanned(format!("{} is no member of {id}", target.cluster_id)));
    };
    if let Some(operation) = &global.operation {
        let what = format!("{operation} is under way on {id}");
        return Ok(if global.switches_to(&target.arn) {
            Step::Done(what)
        } else {
            Step::Wait(what)
        });
    }
    if member.is_writer {
        return Ok(Step::Done(format!("{} is the writer of {id}", target.cluster_id)));
    }
    if let Some(other) = global.members.iter().find(|m| m.is_writer && m.arn != source.arn) {
        return Err(NotAsPlanned(format!("{} is the writer of {id}", other.arn)));
    }
    let (Some(home), Some(away)) = (seen.home, seen.away) else {
        return Ok(Step::Wait(format!("a member of {id} is listed but not described")));
    };
    if !can_switch_over(&wanted.engine, &home.engine_version, &away.engine_version) {
        return Err(NotAsPlanned(differ(home, away)));
    }
    not_terminal(home)?;
    not_terminal(away)?;
    if global.status != "available" {
        return Ok(Step::Wait(format!("{id} is {}", global.status)));
    }
    if let Some(busy) = [home, away].into_iter().find(|c| c.status != "available") {
        return Ok(Step::Wait(format!("{} is {}", busy.id, busy.status)));
    }
    if !seen.home_instances.iter().any(is_serving) {
        return Ok(Step::Wait(format!("no instance of {} is available", home.id)));
    }
    let behind = |m: &&crate::seen::MemberSeen| {
        !m.is_writer && m.synchronization.as_deref() != Some("connected")
    };
    if let Some(late) = global.members.iter().find(behind) {
        let how = late.synchronization.as_deref().unwrap_or("not synchronized");
        return Ok(Step::Wait(format!("{} is {how}", late.arn)));
    }
    Ok(Step::Act(()))
}

/// How far a switchover has come that was asked for at `asked_at_ms`. An idle global cluster whose
/// writer is the old one is "not yet" only for as long as a description may be out of date; FAILED
/// says that the old writer has stayed the writer.
///
/// # Errors
/// A cluster does not come back by itself, or the writer is neither of the two.
pub fn switchover(
    seen: Moving<'_>,
    wanted: &SwitchOver,
    asked_at_ms: i64,
    now_ms: i64,
) -> Result<Answer, NotAsPlanned> {
    let (target, source) = (&wanted.cluster, &wanted.source);
    let id = &wanted.global_cluster_id;
    for cluster in [seen.home, seen.away].into_iter().flatten() {
        not_terminal(cluster)?;
    }
    let Some(global) = seen.global else {
        return Ok(Answer::pending(format!("{id} is not described")));
    };
    if let Some(operation) = &global.operation {
        return Ok(Answer::pending(format!("{id} is {operation}")));
    }
    let writes = |arn: &str| global.member(arn).is_some_and(|m| m.is_writer);
    if !writes(&target.arn) {
        let (home, away) = (&target.cluster_id, &source.cluster_id);
        if now_ms.saturating_sub(asked_at_ms) < SEEN_WITHIN_MS {
            return Ok(Answer::pending(format!("no switchover of {id} is described yet")));
        }
        if !writes(&source.arn) {
            let what = format!("neither {home} nor {away} is listed as the writer of {id}");
            return Err(NotAsPlanned(what));
        }
        return Ok(Answer::failed(format!(
            "no switchover of {id} is under way and {away} is still its writer: Aurora has \
             cancelled it, or has not begun"
        )));
    }
    if global.status != "available" {
        return Ok(Answer::pending(format!("{id} is {}", global.status)));
    }
    for (cluster, reference) in [(seen.home, target), (seen.away, source)] {
        let what = match cluster.map(|c| c.status.as_str()) {
            // An automated backup starts by itself at any time and serves clients all the same.
            Some("available" | "backing-up") => continue,
            Some(status) => status,
            None => "not described",
        };
        return Ok(Answer::pending(format!("{} is {what}", reference.cluster_id)));
    }
    Ok(Answer::done(format!("{} is the writer of {id}", target.cluster_id)))
}

/// That two clusters run versions between which nothing is switched over.
pub(crate) fn differ(home: &ClusterSeen, away: &ClusterSeen) -> String {
    format!(
        "{} runs {} and {} runs {}, between which Aurora does not switch over",
        home.id, home.engine_version, away.id, away.engine_version
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::MemberSeen;
    use crate::task::{ClusterRef, Progress};

    const HOME: &str = "arn:home";
    const AWAY: &str = "arn:away";

    fn wanted() -> SwitchOver {
        let reference = |id: &str| ClusterRef {
            region: id.to_owned(),
            cluster_id: id.to_owned(),
            arn: format!("arn:{id}"),
        };
        SwitchOver {
            global_cluster_id: "g".to_owned(),
            cluster: reference("home"),
            source: reference("away"),
            engine: "aurora-mysql".to_owned(),
            engine_version: "1".to_owned(),
            under_way: false,
            fence_left: None,
        }
    }

    fn cluster(id: &str, status: &str) -> ClusterSeen {
        ClusterSeen {
            id: id.to_owned(),
            status: status.to_owned(),
            engine_version: "1".to_owned(),
            ..ClusterSeen::default()
        }
    }

    fn global(writer: &str, synchronization: &str) -> GlobalClusterSeen {
        let member = |arn: &str| MemberSeen {
            arn: arn.to_owned(),
            is_writer: arn == writer,
            synchronization: (arn != writer).then(|| synchronization.to_owned()),
        };
        GlobalClusterSeen {
            id: "g".to_owned(),
            status: "available".to_owned(),
            members: vec![member(AWAY), member(HOME)],
            ..GlobalClusterSeen::default()
        }
    }

    fn operating(status: &str, to: &str, may_lose: bool) -> GlobalClusterSeen {
        GlobalClusterSeen {
            operation: Some(status.to_owned()),
            operation_to: Some(to.to_owned()),
            operation_may_lose: may_lose,
            ..global(AWAY, "connected")
        }
    }

    /// What is decided with a home and an away cluster of these statuses.
    fn decided(global: &GlobalClusterSeen, home: &str, away: &str, instance: &str) -> Decided<()> {
        let instance = InstanceSeen { status: instance.to_owned(), ..InstanceSeen::default() };
        let seen = Moving {
            global: Some(global),
            home: Some(&cluster("home", home)),
            home_instances: &[instance],
            away: Some(&cluster("away", away)),
        };
        switch_over(seen, &wanted())
    }

    #[test]
    fn switchover_is_asked_for_only_between_healthy_synchronized_members() {
        let statuses = ["available", "backing-up", "modifying", "resyncing", "never heard of"];
        let mut asked = Vec::new();
        for home in statuses {
            for away in statuses {
                for instance in ["available", "creating"] {
                    for synchronization in ["connected", "pending-resync"] {
                        let global = global(AWAY, synchronization);
                        match decided(&global, home, away, instance) {
                            Ok(Step::Act(())) => {
                                asked.push((home, away, instance, synchronization))
                            }
                            other => assert!(matches!(other, Ok(Step::Wait(_))), "{other:?}"),
                        }
                    }
                }
            }
        }
        assert_eq!(asked, [("available", "available", "available", "connected")]);
    }

    #[test]
    fn switchover_that_is_under_way_or_over_is_not_asked_for_again() {
        let available =
            |global: &GlobalClusterSeen| decided(global, "available", "available", "available");
        let is_done = |global: &GlobalClusterSeen| matches!(available(global), Ok(Step::Done(_)));
        assert!(is_done(&operating("pending", HOME, false)));
        assert!(is_done(&operating("switching-over", HOME, false)));
        assert!(is_done(&global(HOME, "pending-resync")));
        for other in [
            operating("cancelling", HOME, false),
            operating("switching-over", AWAY, false),
            operating("failing-over", HOME, true),
        ] {
            assert!(matches!(available(&other), Ok(Step::Wait(_))), "{other:?}");
        }
    }

    #[test]
    fn switchover_of_another_topology_than_planned_is_refused() {
        let mut stranger = global("arn:third", "connected");
        stranger.members.push(MemberSeen {
            arn: "arn:third".to_owned(),
            is_writer: true,
            synchronization: None,
        });
        let mut alone = global(AWAY, "connected");
        alone.members.retain(|m| m.arn != HOME);
        for wrong in [stranger, alone] {
            assert!(decided(&wrong, "available", "available", "available").is_err(), "{wrong:?}");
        }
        assert!(decided(&global(AWAY, "connected"), "failed", "available", "available").is_err());

        let seen = Moving {
            global: Some(&global(AWAY, "connected")),
            home: Some(&ClusterSeen {
                engine_version: "2".to_owned(),
                ..cluster("home", "available")
            }),
            home_instances: &[],
            away: Some(&cluster("away", "available")),
        };
        assert!(switch_over(seen, &wanted()).is_err(), "the versions differ");
        assert!(switch_over(Moving { global: None, ..seen }, &wanted()).is_err());
    }

    /// How far it has come, `None` if it is not as planned.
    fn progress(
        global: &GlobalClusterSeen,
        home: &str,
        away: &str,
        age_ms: i64,
    ) -> Option<Progress> {
        let seen = Moving {
            global: Some(global),
            home: Some(&cluster("home", home)),
            home_instances: &[],
            away: Some(&cluster("away", away)),
        };
        switchover(seen, &wanted(), 1_000, 1_000 + age_ms).ok().map(|answer| answer.state)
    }

    #[test]
    fn switchover_is_over_only_when_idle_with_home_as_the_writer_and_both_available() {
        let over = global(HOME, "pending-resync");
        assert_eq!(progress(&over, "available", "available", 0), Some(Progress::Done));
        assert_eq!(progress(&over, "backing-up", "available", 0), Some(Progress::Done));
        for (home, away) in [("modifying", "available"), ("available", "modifying")] {
            assert_eq!(
                progress(&over, home, away, 1 << 40),
                Some(Progress::Pending),
                "{home} {away}"
            );
        }
        assert_eq!(progress(&over, "available", "failed", 0), None);
        // The writer flips before the operation is over.
        let flipped = GlobalClusterSeen {
            operation: Some("switching-over".to_owned()),
            ..global(HOME, "pending-resync")
        };
        assert_eq!(progress(&flipped, "available", "available", 1 << 40), Some(Progress::Pending));
        let busy = GlobalClusterSeen { status: "switching-over".to_owned(), ..over };
        assert_eq!(progress(&busy, "available", "available", 1 << 40), Some(Progress::Pending));
    }

    #[test]
    fn cancelled_switchover_is_told_from_one_that_is_not_described_yet_by_time_alone() {
        let idle = global(AWAY, "connected");
        assert_eq!(progress(&idle, "available", "available", 0), Some(Progress::Pending));
        assert_eq!(progress(&idle, "available", "available", 119_999), Some(Progress::Pending));
        assert_eq!(progress(&idle, "available", "available", 120_000), Some(Progress::Failed));
        let nobody = global("arn:third", "connected");
        assert_eq!(progress(&nobody, "available", "available", 120_000), None);
        let cancelling = operating("cancelling", HOME, false);
        assert_eq!(
            progress(&cancelling, "modifying", "modifying", 1 << 40),
            Some(Progress::Pending)
        );
    }
}
