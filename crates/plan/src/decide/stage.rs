//! Where a run stands, found from the topology alone: a run that was interrupted is continued by
//! starting again.

use crate::network::{is_on_fence, subnets_of};
use crate::plan::Phase;
use crate::refusal::Refusal;
use crate::request::{FenceKind, Request};
use crate::seen::{ClusterSeen, Seen};

/// How far a failback has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The stale home cluster, or the global cluster it left, is still there.
    RetireHome,
    /// Home has to be rebuilt, or is being rebuilt.
    RebuildHome,
    /// Home is the writer; the former away cluster, or its global cluster, is still there.
    CutOver,
    /// Away has to be rebuilt.
    RebuildAway,
    /// Both clusters are rebuilt.
    Finish,
}

/// The stage and how it was recognized.
pub(super) struct Found {
    pub(super) stage: Stage,
    pub(super) reasons: Vec<String>,
}

impl Stage {
    /// The first phase that still runs.
    pub(super) fn first_phase(self) -> Phase {
        match self {
            Self::RetireHome => Phase::RetireHome,
            Self::RebuildHome => Phase::RestoreNetwork,
            Self::CutOver => Phase::CutOverWriter,
            // Rebuilding is repeated: it only compares what is there already.
            Self::RebuildAway | Self::Finish => Phase::RebuildAway,
        }
    }
}

/// Recognizes the stage.
///
/// # Errors
/// A topology that no interrupted run leaves behind.
pub(super) fn find(request: &Request, seen: &Seen) -> Result<Found, Refusal> {
    let globals = &request.global_clusters;
    let found = |stage, reason: String| Ok(Found { stage, reasons: vec![reason] });
    let away_exists = seen.away.cluster(&request.away.cluster_id).is_some();
    let Some(restored) = seen.home.cluster(&request.home.restored_cluster_id) else {
        return before_rebuild(request, seen);
    };
    not_somebody_elses(request, seen, restored)?;
    // Listed or not, and whatever it is said to replicate from: it will be a writer.
    if restored.status == "promoting" {
        return found(Stage::CutOver, format!("{} is being promoted", restored.id));
    }
    match seen.membership(&restored.arn) {
        Some((global, member)) if global.id == globals.restored && member.is_writer => {
            if away_exists {
                let what = format!(
                    "{} is the writer of {} while {} still exists",
                    restored.id, global.id, request.away.cluster_id
                );
                return Err(Refusal::UnknownTopology { what });
            }
            let away_restored = seen.away.cluster(&request.away.restored_cluster_id);
            let joined = away_restored.is_some_and(|c| global.member(&c.arn).is_some());
            if joined {
                found(Stage::Finish, format!("{} has both of its members", global.id))
            } else {
                found(Stage::RebuildAway, format!("{} is the writer of {}", restored.id, global.id))
            }
        }
        Some((global, member)) if global.id == globals.restoring && !member.is_writer => {
            found(Stage::RebuildHome, format!("{} is a reader of {}", restored.id, global.id))
        }
        Some((global, _)) => Err(Refusal::UnknownTopology {
            what: format!("{} is a member of {}", restored.id, global.id),
        }),
        None if restored.replication_source.is_some() => {
            found(Stage::RebuildHome, format!("{} is joining {}", restored.id, globals.restoring))
        }
        None if away_exists || seen.global_cluster(&globals.restoring).is_some() => {
            let reason = format!("{} is promoted; away is still to be retired", restored.id);
            found(Stage::CutOver, reason)
        }
        None => found(Stage::RebuildAway, format!("{} is promoted and away is gone", restored.id)),
    }
}

/// A cluster that only bears the name of the rebuilt one must not be taken for a promoted home: away,
/// which has the newest data, would be deleted next.
fn not_somebody_elses(
    request: &Request,
    seen: &Seen,
    restored: &ClusterSeen,
) -> Result<(), Refusal> {
    let Some(away) = seen.away.cluster(&request.away.cluster_id) else { return Ok(()) };
    if seen.membership(&restored.arn).is_some() {
        return Ok(());
    }
    // A run deletes the stale cluster before it creates this one, and the global cluster in which
    // home caught up only after away.
    let made_by_a_run = match &restored.replication_source {
        Some(source) => *source == away.arn,
        None => {
            seen.home.cluster(&request.home.cluster_id).is_none()
                && seen.global_cluster(&request.global_clusters.restoring).is_some()
                && (was_proven(seen, restored, away) || is_fenced(request, seen, away))
        }
    };
    if made_by_a_run {
        return Ok(());
    }
    Err(Refusal::IdInUse {
        field: "home.restored_cluster_id",
        id: restored.id.clone(),
        region: request.home.region.clone(),
        holder: format!("the cluster {}, which no run of this failback made", restored.arn),
    })
}

/// An earlier execution proved that this cluster holds what away acknowledged, and promoted it.
fn was_proven(seen: &Seen, restored: &ClusterSeen, away: &ClusterSeen) -> bool {
    seen.remembered.proof.as_ref().is_some_and(|proof| {
        proof.cluster.arn == restored.arn && proof.source_resource_id == away.resource_id
    })
}

/// Every run fences away before it promotes home, and leaves the fence until away is rebuilt.
fn is_fenced(request: &Request, seen: &Seen, away: &ClusterSeen) -> bool {
    let network = &request.away.network;
    if network.fence == FenceKind::SecurityGroup {
        let fence = network.fence_group_id.as_ref();
        return fence.is_some_and(|id| away.groups_will_be(std::slice::from_ref(id)));
    }
    let subnets = subnets_of(&seen.away, network, away.settings.subnet_group.as_deref());
    !subnets.is_empty() && subnets.iter().all(|subnet| is_on_fence(&seen.away, network, subnet))
}

fn before_rebuild(request: &Request, seen: &Seen) -> Result<Found, Refusal> {
    let stale = seen.home.cluster(&request.home.cluster_id);
    let former = seen.global_cluster(&request.global_clusters.former);
    let (stage, reason) = match (stale, former) {
        (Some(c), _) => (Stage::RetireHome, format!("the stale cluster {} is {}", c.id, c.status)),
        (None, Some(g)) => {
            (Stage::RetireHome, format!("the former global cluster {} is left", g.id))
        }
        (None, None) => (Stage::RebuildHome, "the stale home cluster is gone".to_owned()),
    };
    Ok(Found { stage, reasons: vec![reason] })
}
