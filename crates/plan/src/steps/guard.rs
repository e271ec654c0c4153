//! What must hold at the moment something is deleted, whatever was true when the plan was made.

use super::{Decided, NotAsPlanned, Step, not_terminal};
use crate::memory::Proof;
use crate::seen::{ClusterSeen, NetworkAclSeen};
use crate::task::{ClusterRef, Guard};

/// What was seen for a [`Guard`].
#[derive(Debug, Clone, Default)]
pub struct GuardSeen {
    /// The cluster that stays.
    pub survivor: Option<ClusterSeen>,
    /// The global cluster that lists it as a reader.
    pub reader_of: Option<String>,
    /// The cluster that goes.
    pub target: Option<ClusterSeen>,
    /// Network ACLs of its Region.
    pub network_acls: Vec<NetworkAclSeen>,
    /// What is remembered to have been proven.
    pub proof: Option<Proof>,
}

/// Whether `target` may lose its instances and be deleted: clients cannot reach it, and another
/// lineage is there, available, writable and known to hold what it acknowledged.
pub fn may_be_deleted(
    guard: &Guard,
    target: &ClusterRef,
    resource_id: &str,
    seen: &GuardSeen,
) -> Decided<()> {
    not_reachable(guard, seen)?;
    let Some(survivor) = &seen.survivor else {
        return Err(NotAsPlanned(format!(
            "{} does not exist in {}: {} may be the only copy",
            guard.survivor.cluster_id, guard.survivor.region, target.cluster_id
        )));
    };
    if survivor.arn != guard.survivor.arn {
        return Err(NotAsPlanned(format!("{} is {}", survivor.id, survivor.arn)));
    }
    let reader = seen.reader_of.as_ref().or(survivor.replication_source.as_ref());
    if let Some(source) = reader {
        return Err(NotAsPlanned(format!(
            "{} is a reader of {source}, so {} is not the only other cluster that could write",
            survivor.id, target.cluster_id
        )));
    }
    if guard.proof_required {
        proven(guard, target, resource_id, seen)?;
    }
    not_terminal(survivor)?;
    // An automated backup starts by itself at any time and serves clients all the same.
    if !["available", "backing-up"].contains(&survivor.status.as_str()) {
        return Ok(Step::Wait(format!("{}, which stays, is {}", survivor.id, survivor.status)));
    }
    if survivor.writer_instance().is_none() {
        return Ok(Step::Wait(format!("{}, which stays, lists no writer instance", survivor.id)));
    }
    Ok(Step::Act(()))
}

fn not_reachable(guard: &Guard, seen: &GuardSeen) -> Result<(), NotAsPlanned> {
    match guard.behind.gap(&seen.network_acls, seen.target.as_ref()) {
        None => Ok(()),
        Some(why) => Err(NotAsPlanned(format!("{why}: clients could still write to it"))),
    }
}

fn proven(
    guard: &Guard,
    target: &ClusterRef,
    resource_id: &str,
    seen: &GuardSeen,
) -> Result<(), NotAsPlanned> {
    let covers = |proof: &Proof| proof.covers(&guard.survivor, target, resource_id);
    if seen.proof.as_ref().is_some_and(covers) {
        return Ok(());
    }
    Err(NotAsPlanned(format!(
        "nothing that is remembered proves that {} holds what {} acknowledged. Compare them; if it \
         does, start again with `accept_unproven_promotion`",
        guard.survivor.cluster_id, target.cluster_id
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::{Fence, FenceBy};
    use crate::memory::ProofKind;
    use crate::seen::{ClusterMemberSeen, GroupMembershipSeen};

    fn reference(id: &str) -> ClusterRef {
        ClusterRef { region: "r".into(), cluster_id: id.into(), arn: format!("arn:{id}") }
    }

    fn guard() -> Guard {
        Guard {
            survivor: reference("home"),
            behind: Fence {
                cluster: reference("away"),
                cluster_resource_id: "cluster-A".into(),
                by: FenceBy::NetworkAcl {
                    acl_id: "acl-fence".into(),
                    restore: [("s".into(), "acl-open".into())].into(),
                },
            },
            proof_required: true,
        }
    }

    /// Everything that a deletion asks for.
    fn safe() -> GuardSeen {
        let acl = |id: &str, subnets: &[&str]| NetworkAclSeen {
            id: id.into(),
            associations: subnets.iter().map(|s| ((*s).into(), "a".into())).collect(),
            ..NetworkAclSeen::default()
        };
        GuardSeen {
            survivor: Some(ClusterSeen {
                id: "home".into(),
                arn: "arn:home".into(),
                status: "available".into(),
                members: vec![ClusterMemberSeen { instance_id: "i".into(), is_writer: true }],
                ..ClusterSeen::default()
            }),
            reader_of: None,
            target: None,
            network_acls: vec![acl("acl-open", &[]), acl("acl-fence", &["s"])],
            proof: Some(Proof {
                kind: ProofKind::LagSamples,
                detail: String::new(),
                fenced_at_ms: 0,
                cluster: reference("home"),
                source: reference("away"),
                source_resource_id: "cluster-A".into(),
            }),
        }
    }

    fn decided(change: impl FnOnce(&mut GuardSeen)) -> Decided<()> {
        let mut seen = safe();
        change(&mut seen);
        may_be_deleted(&guard(), &reference("away"), "cluster-A", &seen)
    }

    fn refusal(change: impl FnOnce(&mut GuardSeen)) -> String {
        decided(change).expect_err("it must be refused").0
    }

    #[test]
    fn fenced_cluster_whose_writes_are_proven_elsewhere_may_go() {
        assert_eq!(decided(|_| ()), Ok(Step::Act(())));
    }

    #[test]
    fn cluster_that_clients_can_reach_is_never_deleted() {
        let why = refusal(|seen| {
            let subnets = std::mem::take(&mut seen.network_acls[1].associations);
            seen.network_acls[0].associations = subnets;
        });
        assert!(why.contains("clients could still write"), "{why}");
    }

    #[test]
    fn cluster_behind_a_security_group_is_deleted_only_behind_that_group_alone() {
        let mut guard = guard();
        guard.behind.by =
            FenceBy::SecurityGroup { group_id: "sg-fence".into(), restore: Vec::new() };
        let target = |groups: &[(&str, &str)]| ClusterSeen {
            id: "away".into(),
            security_groups: groups
                .iter()
                .map(|(id, status)| GroupMembershipSeen {
                    id: (*id).into(),
                    status: (*status).into(),
                })
                .collect(),
            ..ClusterSeen::default()
        };
        let decided = |groups| {
            let seen = GuardSeen { target: Some(target(groups)), ..safe() };
            may_be_deleted(&guard, &reference("away"), "cluster-A", &seen)
        };

        assert_eq!(decided(&[("sg-fence", "active")]), Ok(Step::Act(())));
        decided(&[("sg-fence", "active"), ("sg-open", "removing")]).expect_err("it still admits");
        decided(&[("sg-open", "active")]).expect_err("it is open");
    }

    #[test]
    fn only_copy_is_never_deleted() {
        assert!(refusal(|seen| seen.survivor = None).contains("only copy"));
        assert!(refusal(|seen| seen.reader_of = Some("g".into())).contains("reader of g"));
        let replica = refusal(|seen| {
            let survivor = seen.survivor.as_mut().expect("it is there");
            survivor.replication_source = Some("arn:away".into());
        });
        assert!(replica.contains("reader of arn:away"), "{replica}");
    }

    #[test]
    fn proof_of_another_promotion_proves_nothing() {
        assert!(refusal(|seen| seen.proof = None).contains("accept_unproven_promotion"));
        refusal(|seen| seen.proof.as_mut().expect("given").source_resource_id = "cluster-B".into());
        refusal(|seen| seen.proof.as_mut().expect("given").cluster = reference("other"));
    }

    #[test]
    fn survivor_that_is_busy_is_waited_for() {
        let status = |seen: &mut GuardSeen, status: &str| {
            seen.survivor.as_mut().expect("it is there").status = status.into();
        };
        assert!(matches!(decided(|seen| status(seen, "modifying")), Ok(Step::Wait(_))));
        assert!(matches!(decided(|seen| status(seen, "backing-up")), Ok(Step::Act(()))));
        assert!(decided(|seen| status(seen, "incompatible-network")).is_err());
    }
}
