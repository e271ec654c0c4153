//! Everything that must hold before anything is touched.

use crate::memory::Memory;
use crate::network::{is_on_fence, subnets_of};
use crate::refusal::Refusal;
use crate::request::{Request, Side};
use crate::seen::{ClusterSeen, GlobalClusterSeen, InstanceSeen, RegionSeen, Seen};
use crate::settings::Captured;
use crate::steps::is_serving;
use crate::versions::parameter_group_family;

use super::endpoints;
use super::stage::Stage;

/// A refusal or nothing.
type Checked = Result<(), Refusal>;

/// All checks of the topology, the most dangerous mistakes first. A switchover keeps away's cluster:
/// what only stands in the way of its deletion is no reason then.
pub(super) fn all(request: &Request, seen: &Seen, stage: Stage, keeps_away: bool) -> Checked {
    no_operation_runs(request, seen)?;
    if stage == Stage::RetireHome {
        stale_home(request, seen)?;
    }
    if stage <= Stage::RebuildHome {
        still_the_same(request, &request.home, &seen.home, "home.cluster_id")?;
        still_the_same(request, &request.away, &seen.away, "away.cluster_id")?;
        away(request, seen)?;
        engines(request, seen)?;
        if !keeps_away {
            away_is_open(request, seen)?;
        }
    }
    ids(request, seen, stage)?;
    snapshots(request, seen, keeps_away)?;
    protection(request, seen, keeps_away)?;
    endpoints::check(request, seen)
}

fn no_operation_runs(request: &Request, seen: &Seen) -> Checked {
    let globals = &request.global_clusters;
    for id in [&globals.former, &globals.restoring, &globals.restored] {
        if let Some(operation) = seen.global_cluster(id).and_then(|g| g.operation.clone()) {
            return Err(Refusal::OperationRuns { global_cluster: id.clone(), operation });
        }
    }
    Ok(())
}

/// A run that is continued goes on with the clusters it began with: one that has been given the name
/// of another would be deleted, or home rebuilt from it, and one that only lost its name would be
/// taken for gone and have its network opened.
fn still_the_same(
    request: &Request,
    side: &Side,
    seen: &RegionSeen,
    field: &'static str,
) -> Checked {
    let known = side.captured.as_ref().map(|captured| captured.cluster_resource_id.as_str());
    let Some(known) = known.filter(|id| !id.is_empty()) else { return Ok(()) };
    let of_that_name = seen.cluster(&side.cluster_id).filter(|c| c.resource_id != known);
    let elsewhere =
        seen.clusters.iter().find(|c| c.resource_id == known && c.id != side.cluster_id);
    let problem = match (of_that_name, elsewhere) {
        (None, None) => return Ok(()),
        (_, Some(moved)) => format!("that one is called `{}` now", moved.id),
        (Some(other), None) => format!("`{}` is {} now", other.id, other.resource_id),
    };
    Err(Refusal::NotTheSameCluster {
        field,
        known: known.to_owned(),
        problem: format!("in {}, {problem}", seen.region),
        item: Memory::item_id(&request.global_clusters.former),
    })
}

/// The cluster that is to be deleted first must be stale beyond doubt.
fn stale_home(request: &Request, seen: &Seen) -> Checked {
    let stale = seen.home.cluster(&request.home.cluster_id);
    let former = &request.global_clusters.former;
    let regions = [&request.home.region, &request.away.region];
    if let Some(stale) = stale
        && let Some((global, member)) = seen.membership(&stale.arn)
        && let Some(other) = global.members.iter().find(|m| m.arn != stale.arn)
    {
        let third_region = !regions.iter().any(|r| other.arn.contains(&format!(":{r}:")));
        if global.id != *former || !third_region {
            if member.is_writer {
                return Err(Refusal::HomeIsLiveWriter {
                    cluster: stale.id.clone(),
                    region: request.home.region.clone(),
                    global_cluster: global.id.clone(),
                });
            }
            let away = format!(":{}:", request.away.region);
            if global.writers().iter().any(|writer| writer.arn.contains(&away)) {
                return Err(Refusal::HomeFollowsAway {
                    cluster: stale.id.clone(),
                    global_cluster: global.id.clone(),
                });
            }
            let what = format!("{} is a reader of {}", stale.id, global.id);
            return Err(Refusal::UnknownTopology { what });
        }
    }
    let foreign = |g: &GlobalClusterSeen| {
        let own = stale.map(|c| c.arn.as_str());
        g.members.iter().find(|m| Some(m.arn.as_str()) != own).map(|m| m.arn.clone())
    };
    match seen.global_cluster(former).and_then(foreign) {
        Some(member) => Err(Refusal::FormerGlobalClusterHasOtherMembers {
            global_cluster: former.clone(),
            member,
        }),
        None => Ok(()),
    }
}

/// The cluster whose data everything is rebuilt from.
fn away(request: &Request, seen: &Seen) -> Checked {
    let region = &request.away.region;
    let id = &request.away.cluster_id;
    let Some(cluster) = seen.away.cluster(id) else {
        return Err(Refusal::AwayMissing { cluster: id.clone(), region: region.clone() });
    };
    if let Some(source_arn) = cluster.replication_source.clone() {
        return Err(Refusal::AwayNotWriter {
            cluster: id.clone(),
            region: region.clone(),
            source_arn,
        });
    }
    if let Some((global, member)) = seen.membership(&cluster.arn) {
        if !member.is_writer {
            let source_arn = global.writers().first().map(|m| m.arn.clone()).unwrap_or_default();
            return Err(Refusal::AwayNotWriter {
                cluster: id.clone(),
                region: region.clone(),
                source_arn,
            });
        }
        if global.id != request.global_clusters.restoring {
            return Err(Refusal::AwayInAnotherGlobalCluster {
                cluster: id.clone(),
                global_cluster: global.id.clone(),
            });
        }
    }
    // An automated backup starts by itself at any time and stops nothing.
    if !["available", "backing-up"].contains(&cluster.status.as_str()) {
        return Err(Refusal::AwayNotAvailable {
            cluster: id.clone(),
            region: region.clone(),
            status: cluster.status.clone(),
        });
    }
    let serves = |i: &InstanceSeen| cluster.writer_instance() == Some(&i.id) && is_serving(i);
    if !seen.away.instances_of(id).any(serves) {
        return Err(Refusal::AwayHasNoWriterInstance {
            cluster: id.clone(),
            region: region.clone(),
        });
    }
    if cluster.managed_secret {
        return Err(Refusal::ManagedMasterSecret { cluster: id.clone(), region: region.clone() });
    }
    if request.away.data_api.is_some() && !cluster.settings.http_endpoint {
        return Err(Refusal::DataApiOff { cluster: id.clone(), region: region.clone() });
    }
    if cluster.backtrack {
        return Err(Refusal::Backtrack { cluster: id.clone() });
    }
    match cluster.engine_mode.as_deref() {
        None | Some("provisioned") => Ok(()),
        Some(mode) => {
            Err(Refusal::EngineModeUnsupported { cluster: id.clone(), mode: mode.to_owned() })
        }
    }
}

/// Away takes writes until home is rebuilt. The fence that a stopped run left is lifted before
/// anything is planned; with one that nobody remembers, clients would be shut out for hours.
fn away_is_open(request: &Request, seen: &Seen) -> Checked {
    let side = &request.away;
    let Some(cluster) = seen.away.cluster(&side.cluster_id) else { return Ok(()) };
    if seen.remembered.fence.is_some() {
        return Ok(());
    }
    let network = &side.network;
    let group = cluster.settings.subnet_group.as_deref();
    let subnets: Vec<&str> = subnets_of(&seen.away, network, group)
        .iter()
        .filter(|subnet| is_on_fence(&seen.away, network, subnet))
        .map(String::as_str)
        .collect();
    let closed = match (&network.fence_acl_id, &network.fence_group_id) {
        (Some(acl), _) if !subnets.is_empty() => {
            format!("the network ACL of its subnets [{}] is its fence, {acl}", subnets.join(", "))
        }
        (_, Some(group)) if cluster.has_group(group) => {
            format!("it has the security group of its fence, {group}")
        }
        _ => return Ok(()),
    };
    Err(Refusal::AwayClosed { cluster: cluster.id.clone(), region: side.region.clone(), closed })
}

fn engines(request: &Request, seen: &Seen) -> Checked {
    let Some(writer) = seen.away.cluster(&request.away.cluster_id) else { return Ok(()) };
    if let Some(stale) = seen.home.cluster(&request.home.cluster_id)
        && stale.engine != writer.engine
    {
        return Err(Refusal::EnginesDiffer {
            cluster: stale.id.clone(),
            home_engine: stale.engine.clone(),
            away_engine: writer.engine.clone(),
        });
    }
    Ok(())
}

/// What the settings refer to must exist, and fit the version that the writer runs now.
pub(super) fn dependencies(
    side: &Side,
    seen: &RegionSeen,
    captured: &Captured,
    writer: Option<&ClusterSeen>,
) -> Checked {
    let missing = |kind: &'static str, name: &str| Refusal::MissingDependency {
        kind,
        name: name.to_owned(),
        region: seen.region.clone(),
        cluster: side.cluster_id.clone(),
    };
    let settings = &captured.cluster;
    match settings.subnet_group.as_deref() {
        Some(name) if seen.subnet_groups.iter().any(|g| g.name == name) => {}
        Some(name) => return Err(missing("the DB subnet group", name)),
        None => return Err(missing("a DB subnet group", "(none)")),
    }
    for id in &settings.security_group_ids {
        if !seen.security_groups.iter().any(|group| group.id == *id) {
            return Err(missing("the security group", id));
        }
    }
    let cluster_group = settings.parameter_group.iter();
    let instance_groups: std::collections::BTreeSet<&String> =
        captured.instances.iter().filter_map(|i| i.parameter_group.as_ref()).collect();
    let groups = cluster_group
        .map(|name| ("the DB cluster parameter group", name, &seen.cluster_parameter_groups))
        .chain(
            instance_groups
                .into_iter()
                .map(|name| ("the DB parameter group", name, &seen.parameter_groups)),
        );
    for (kind, name, known) in groups {
        let Some(family) = known.get(name) else { return Err(missing(kind, name)) };
        let Some(writer) = writer else { continue };
        let wanted = parameter_group_family(&writer.engine, &writer.engine_version);
        if wanted.as_ref() != Some(family) {
            return Err(Refusal::VersionsCannotJoin {
                group: format!("{kind} `{name}` in {}", seen.region),
                family: family.clone(),
                runs: format!("{} {}", writer.engine, writer.engine_version),
                wanted: wanted.unwrap_or_else(|| "a family this program does not know".to_owned()),
            });
        }
    }
    Ok(())
}

/// Ids of what will be created must be free, or belong to an interrupted run of the same request.
fn ids(request: &Request, seen: &Seen, stage: Stage) -> Checked {
    let all_regions = [&seen.home, &seen.away];
    let restored = [
        ("home.restored_cluster_id", &request.home, stage <= Stage::RebuildHome),
        ("away.restored_cluster_id", &request.away, stage < Stage::Finish),
    ];
    for (field, side, still_to_be_made) in restored {
        let id = &side.restored_cluster_id;
        for region in all_regions {
            let Some(holder) = region.cluster(id) else { continue };
            if region.region == side.region
                && !(still_to_be_made && is_foreign(request, seen, holder))
            {
                continue;
            }
            return Err(in_use(field, id, &region.region, format!("the cluster {}", holder.arn)));
        }
        let listed = |g: &GlobalClusterSeen| {
            let ends = format!(":cluster:{id}");
            let elsewhere =
                |arn: &str| !all_regions.iter().any(|r| arn.contains(&format!(":{}:", r.region)));
            g.members
                .iter()
                .find(|m| m.arn.ends_with(&ends) && elsewhere(&m.arn))
                .map(|m| m.arn.clone())
        };
        if let Some(arn) = seen.global_clusters.iter().find_map(listed) {
            let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
            return Err(in_use(field, id, &region, format!("the cluster {arn}")));
        }
    }
    for (field, side, region) in [
        ("home.restored_instances", &request.home, &seen.home),
        ("away.restored_instances", &request.away, &seen.away),
    ] {
        for wanted in &side.restored_instances {
            let holder = region.instances.iter().find(|i| i.id == wanted.id);
            if let Some(i) = holder
                && i.cluster_id.as_deref() != Some(&side.restored_cluster_id)
            {
                let cluster = i.cluster_id.as_deref().unwrap_or("no cluster");
                let holder = format!("an instance of {cluster}");
                return Err(in_use(field, &wanted.id, &region.region, holder));
            }
        }
    }
    global_ids(request, seen, stage)
}

/// A cluster that bears the name of one to be made but is no product of this request.
fn is_foreign(request: &Request, seen: &Seen, cluster: &ClusterSeen) -> bool {
    let globals = &request.global_clusters;
    let joined = seen
        .membership(&cluster.arn)
        .is_some_and(|(g, _)| [&globals.restoring, &globals.restored].contains(&&g.id));
    !joined && cluster.replication_source.is_none()
}

fn global_ids(request: &Request, seen: &Seen, stage: Stage) -> Checked {
    let globals = &request.global_clusters;
    let is_ours = |arn: &str| {
        [&request.home, &request.away].into_iter().any(|side| {
            let ends = |id: &String| arn.ends_with(&format!(":cluster:{id}"));
            arn.contains(&format!(":{}:", side.region))
                && (ends(&side.cluster_id) || ends(&side.restored_cluster_id))
        })
    };
    for (field, id, not_before) in [
        ("global_clusters.restoring", &globals.restoring, Stage::RebuildHome),
        ("global_clusters.restored", &globals.restored, Stage::RebuildAway),
    ] {
        let Some(global) = seen.global_cluster(id) else { continue };
        let foreign = global.members.iter().any(|m| !is_ours(&m.arn));
        if foreign || stage < not_before {
            return Err(Refusal::GlobalClusterIdInUse { field, id: id.clone() });
        }
    }
    Ok(())
}

fn in_use(field: &'static str, id: &str, region: &str, holder: String) -> Refusal {
    Refusal::IdInUse { field, id: id.to_owned(), region: region.to_owned(), holder }
}

/// The id of a final snapshot must be free while its cluster is not yet being deleted.
fn snapshots(request: &Request, seen: &Seen, keeps_away: bool) -> Checked {
    let sides = [
        ("home.final_snapshot_id", &request.home, &seen.home),
        ("away.final_snapshot_id", &request.away, &seen.away),
    ];
    for (field, side, region) in sides.into_iter().take(2 - usize::from(keeps_away)) {
        let Some(cluster) = region.cluster(&side.cluster_id) else { continue };
        if cluster.status == "deleting" {
            continue;
        }
        let id = super::capture::final_snapshot_id(side, &cluster.resource_id);
        if region.snapshots.iter().any(|s| s.id.eq_ignore_ascii_case(&id)) {
            return Err(Refusal::SnapshotIdTaken { field, id, region: region.region.clone() });
        }
    }
    Ok(())
}

fn protection(request: &Request, seen: &Seen, keeps_away: bool) -> Checked {
    let clusters = [(&request.home, &seen.home), (&request.away, &seen.away)]
        .into_iter()
        .take(2 - usize::from(keeps_away))
        .filter_map(|(side, region)| Some((region.cluster(&side.cluster_id)?, &region.region)));
    for (cluster, region) in clusters {
        if cluster.settings.deletion_protection && !request.clear_deletion_protection {
            let what = format!("`{}` in {region}", cluster.id);
            return Err(Refusal::DeletionProtectionOn { what });
        }
    }
    let globals = &request.global_clusters;
    for id in [&globals.former, &globals.restoring].into_iter().take(2 - usize::from(keeps_away)) {
        if seen.global_cluster(id).is_some_and(|g| g.deletion_protection) {
            return Err(Refusal::GlobalClusterProtected { global_cluster: id.clone() });
        }
    }
    Ok(())
}
