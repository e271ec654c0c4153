//! What is taken over from the clusters that are replaced.

use std::collections::BTreeMap;

use crate::fence::Fence;
use crate::network;
use crate::refusal::Refusal;
use crate::request::Side;
use crate::seen::{ClusterSeen, RegionSeen};
use crate::settings::Captured;
use crate::task::InstancePlan;

/// The same for every run that meets the same cluster, different for a later cluster of its name.
pub(super) fn final_snapshot_id(side: &Side, resource_id: &str) -> String {
    let own = || {
        let resource = resource_id.trim_start_matches("cluster-").to_ascii_lowercase();
        format!("{}-final-{resource}", side.cluster_id)
    };
    side.final_snapshot_id.clone().unwrap_or_else(own)
}

/// Settings of the cluster that is replaced: as it is seen, as an earlier execution saw it, or, when
/// its successor is complete and nothing is created from them any more, the successor's own.
///
/// The security group of a fence is none of its settings: who rebuilt a cluster with it would lock
/// its clients out.
pub(super) fn capture(
    side: &Side,
    seen: &RegionSeen,
    field: &'static str,
) -> Result<Captured, Refusal> {
    let mut captured = capture_all(side, seen, field)?;
    if !side.network.open_group_ids.is_empty() {
        captured.cluster.security_group_ids.clone_from(&side.network.open_group_ids);
    }
    if is_behind_fence(&captured, side) {
        return Err(Refusal::NetworkTargetUnknown {
            region: seen.region.clone(),
            problem: format!(
                "`{}` is behind the security group of its fence, and nothing says which groups it \
                 has when it is open",
                side.cluster_id
            ),
            field: field.replace("captured", "network.open_group_ids"),
        });
    }
    Ok(captured)
}

fn is_behind_fence(captured: &Captured, side: &Side) -> bool {
    let fence = side.network.fence_group_id.as_ref();
    fence.is_some_and(|id| captured.cluster.security_group_ids.contains(id))
}

fn capture_all(side: &Side, seen: &RegionSeen, field: &'static str) -> Result<Captured, Refusal> {
    let cluster = seen.cluster(&side.cluster_id);
    if let Some(cluster) = cluster
        && cluster.status != "deleting"
    {
        let read = with_earlier(capture_cluster(cluster, seen), side);
        if read.instances.is_empty() {
            return Err(Refusal::SettingsUnreadable {
                cluster: cluster.id.clone(),
                region: seen.region.clone(),
                status: "without an instance".to_owned(),
                field,
            });
        }
        return Ok(read);
    }
    let gone = |resource_id: String| {
        move |captured: Captured| Captured { cluster_resource_id: resource_id.clone(), ..captured }
    };
    let resource_id = cluster
        .map(|c| c.resource_id.clone())
        .or_else(|| resource_id_from_snapshot(side, seen))
        .or_else(|| side.captured.as_ref().map(|c| c.cluster_resource_id.clone()))
        .unwrap_or_default();
    if let Some(given) = &side.captured {
        return Ok(gone(resource_id)(given.clone()));
    }
    let successor = seen.cluster(&side.restored_cluster_id);
    let complete = side
        .restored_instances
        .iter()
        .all(|wanted| seen.instances_of(&side.restored_cluster_id).any(|i| i.id == wanted.id));
    match (successor, cluster) {
        (Some(successor), _) if complete => Ok(gone(resource_id)(capture_cluster(successor, seen))),
        (_, Some(cluster)) => Err(Refusal::SettingsUnreadable {
            cluster: cluster.id.clone(),
            region: seen.region.clone(),
            status: cluster.status.clone(),
            field,
        }),
        (_, None) => Err(Refusal::SettingsUnknown {
            cluster: side.cluster_id.clone(),
            region: seen.region.clone(),
            field,
        }),
    }
}

/// An interrupted run may have switched protection off and deleted instances already: of the same
/// cluster, what was seen then is still what is to be rebuilt.
fn with_earlier(now: Captured, side: &Side) -> Captured {
    let earlier = side.captured.as_ref();
    let same = earlier.filter(|e| e.cluster_resource_id == now.cluster_resource_id);
    let Some(earlier) = same else { return now };
    let mut merged = now;
    if is_behind_fence(&merged, side) {
        merged.cluster.security_group_ids.clone_from(&earlier.cluster.security_group_ids);
    }
    merged.cluster.deletion_protection |= earlier.cluster.deletion_protection;
    for instance in &earlier.instances {
        if !merged.instances.iter().any(|i| i.captured_from == instance.captured_from) {
            merged.instances.push(instance.clone());
        }
    }
    let rank = |i: &crate::settings::InstanceSettings| {
        earlier.instances.iter().position(|e| e.captured_from == i.captured_from)
    };
    merged.instances.sort_by_key(|i| rank(i).unwrap_or(usize::MAX));
    merged
}

/// A cluster that is gone is still identified by the final snapshot it left.
fn resource_id_from_snapshot(side: &Side, seen: &RegionSeen) -> Option<String> {
    let prefix = format!("{}-final-", side.cluster_id);
    let is_final = |id: &str| match &side.final_snapshot_id {
        Some(given) => given == id,
        None => id.starts_with(&prefix),
    };
    seen.snapshots.iter().find(|s| is_final(&s.id)).and_then(|s| s.cluster_resource_id.clone())
}

fn capture_cluster(cluster: &ClusterSeen, seen: &RegionSeen) -> Captured {
    let mut instances: Vec<_> = seen.instances_of(&cluster.id).collect();
    // The writer first, so that the first new instance takes after it.
    instances.sort_by_key(|i| (cluster.writer_instance() != Some(i.id.as_str()), i.id.clone()));
    Captured {
        cluster_resource_id: cluster.resource_id.clone(),
        cluster: cluster.settings.clone(),
        instances: instances.into_iter().map(|i| i.settings.clone()).collect(),
    }
}

pub(super) fn instances(
    side: &Side,
    name: &str,
    captured: &Captured,
) -> Result<Vec<InstancePlan>, Refusal> {
    side.restored_instances
        .iter()
        .enumerate()
        .map(|(i, wanted)| {
            let settings = match &wanted.like {
                Some(like) => {
                    captured.instances.iter().find(|s| s.captured_from == *like).ok_or_else(
                        || Refusal::NoInstanceLike {
                            field: format!("{name}.restored_instances[{i}].like"),
                            like: like.clone(),
                            cluster: side.cluster_id.clone(),
                        },
                    )?
                }
                None => {
                    captured.instances.get(i).or_else(|| captured.instances.first()).ok_or_else(
                        || Refusal::NoInstanceLike {
                            field: format!("{name}.restored_instances"),
                            like: "any instance".to_owned(),
                            cluster: side.cluster_id.clone(),
                        },
                    )?
                }
            };
            Ok(InstancePlan { id: wanted.id.clone(), settings: settings.clone() })
        })
        .collect()
}

pub(super) fn subnets(
    side: &Side,
    seen: &RegionSeen,
    name: &'static str,
    captured: &Captured,
    remembered: Option<&Fence>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let group = captured.cluster.subnet_group.as_deref();
    let ids = network::subnets_of(seen, &side.network, group);
    if ids.is_empty() {
        return Err(Refusal::NetworkTargetUnknown {
            region: seen.region.clone(),
            problem: "no DB subnet group names its subnets".to_owned(),
            field: format!("{name}.network.subnet_ids"),
        });
    }
    network::open_targets(seen, name, &side.network, ids, remembered)
}
