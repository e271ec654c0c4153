//! What is only looked up: snapshots, subnet groups and parameter groups.

use std::collections::BTreeMap;

use super::params::{filters, page};
use super::{Answer, ParameterGroup, Snapshot, render};
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

pub(super) fn snapshots(world: &mut World, region: &str, params: &Params) -> Answer {
    let here = world.rds.regions.get(region);
    let all = here.into_iter().flat_map(|here| here.snapshots.values());
    let wanted = params.get("DBClusterSnapshotIdentifier");
    let cluster = params.get("DBClusterIdentifier").map(|name| name.rsplit(':').next());
    // Without a type, an automated snapshot is not found by its identifier.
    let kind = params.get("SnapshotType").or(wanted.and(Some("manual")));
    let filters = filters(params);
    let fits = |snapshot: &&Snapshot| {
        let named = |name: &String| *name == snapshot.id || *name == snapshot.arn;
        wanted.is_none_or(|name| named(&name.to_owned()))
            && cluster.is_none_or(|id| id == Some(snapshot.cluster_id.as_str()))
            && kind.is_none_or(|kind| kind == snapshot.snapshot_type)
            && filters.iter().all(|(name, values)| match name.as_str() {
                "db-cluster-id" => values
                    .iter()
                    .any(|v| v.rsplit(':').next() == Some(snapshot.cluster_id.as_str())),
                "db-cluster-snapshot-id" => values.iter().any(named),
                "snapshot-type" => values.contains(&snapshot.snapshot_type),
                "engine" => values.contains(&snapshot.engine),
                _ => true,
            })
    };
    let found: Vec<&Snapshot> = all.filter(fits).collect();
    if let Some(id) = wanted.filter(|_| found.is_empty()) {
        return Err(AwsError::not_found(
            "DBClusterSnapshotNotFoundFault",
            format!("DBClusterSnapshot {id} not found"),
        ));
    }
    let (found, marker) = page(found, params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        xml.list("DBClusterSnapshots", "DBClusterSnapshot", found, render::snapshot);
    })))
}

pub(super) fn subnet_groups(world: &mut World, region: &str, params: &Params) -> Answer {
    let wanted = params.get("DBSubnetGroupName").map(str::to_ascii_lowercase);
    let here = world.rds.regions.get(region);
    let all = here.into_iter().flat_map(|here| here.subnet_groups.values());
    let found: Vec<_> =
        all.filter(|group| wanted.as_ref().is_none_or(|name| group.name == *name)).collect();
    if let Some(name) = wanted.filter(|_| found.is_empty()) {
        return Err(AwsError::not_found(
            "DBSubnetGroupNotFoundFault",
            format!("DB subnet group '{name}' does not exist."),
        ));
    }
    let (found, marker) = page(found, params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        xml.list("DBSubnetGroups", "DBSubnetGroup", found, |xml, group| {
            render::subnet_group(xml, group, region, &world.rds, &world.network);
        });
    })))
}

pub(super) fn cluster_parameter_groups(world: &mut World, region: &str, params: &Params) -> Answer {
    let here = world.rds.regions.get(region).cloned().unwrap_or_default();
    parameter_groups_of(
        world,
        region,
        params,
        "DBClusterParameterGroup",
        &here.cluster_parameter_groups,
    )
}

pub(super) fn parameter_groups(world: &mut World, region: &str, params: &Params) -> Answer {
    let here = world.rds.regions.get(region).cloned().unwrap_or_default();
    parameter_groups_of(world, region, params, "DBParameterGroup", &here.parameter_groups)
}

fn parameter_groups_of(
    world: &World,
    region: &str,
    params: &Params,
    kind: &str,
    groups: &BTreeMap<String, ParameterGroup>,
) -> Answer {
    let wanted = params.get(&format!("{kind}Name"));
    let found: Vec<_> =
        groups.values().filter(|group| wanted.is_none_or(|name| group.name == name)).collect();
    if let Some(name) = wanted.filter(|_| found.is_empty()) {
        // Both kinds are refused with the same code.
        let message = format!("{kind} not found: {name}");
        return Err(AwsError::not_found("DBParameterGroupNotFound", message));
    }
    let arn_kind = if kind == "DBParameterGroup" { "pg" } else { "cluster-pg" };
    let (found, marker) = page(found, params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        xml.list(&format!("{kind}s"), kind, found, |xml, group| {
            let arn = world.rds.arn(region, arn_kind, &group.name);
            render::parameter_group(xml, group, kind, &arn);
        });
    })))
}
