//! Tags of whatever has them.

use std::collections::BTreeMap;

use super::params::{invalid_value, tags};
use super::{Answer, Rds, render};
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

pub(super) fn add(world: &mut World, params: &Params) -> Answer {
    let arn = params.required("ResourceName")?;
    let added = tags(params)?;
    tags_of(&mut world.rds, arn)?.extend(added);
    Ok(None)
}

pub(super) fn list(world: &mut World, params: &Params) -> Answer {
    let arn = params.required("ResourceName")?;
    let tags = tags_of(&mut world.rds, arn)?.clone();
    Ok(Some(Xml::fragment(|xml| render::tags(xml, &tags))))
}

fn tags_of<'a>(rds: &'a mut Rds, arn: &str) -> Result<&'a mut BTreeMap<String, String>, AwsError> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", _, "rds", region, _, kind, id] = parts.as_slice() else {
        return Err(invalid_value(format!(
            "The specified resource name does not match an RDS resource: {arn}"
        )));
    };
    let missing =
        |code: &str, what: &str| AwsError::not_found(code, format!("{what} {id} not found"));
    if *kind == "global-cluster" {
        let global = rds.globals.get_mut(*id).map(|global| &mut global.tags);
        return global.ok_or_else(|| missing("GlobalClusterNotFoundFault", "Global cluster"));
    }
    let Some(here) = rds.regions.get_mut(*region) else {
        return Err(invalid_value(format!("Invalid Region in {arn}")));
    };
    match *kind {
        "cluster" => here
            .clusters
            .get_mut(*id)
            .map(|cluster| &mut cluster.settings.tags)
            .ok_or_else(|| missing("DBClusterNotFoundFault", "DBCluster")),
        "db" => here
            .instances
            .get_mut(*id)
            .map(|instance| &mut instance.settings.tags)
            .ok_or_else(|| missing("DBInstanceNotFound", "DBInstance")),
        "cluster-snapshot" => here
            .snapshots
            .get_mut(*id)
            .map(|snapshot| &mut snapshot.tags)
            .ok_or_else(|| missing("DBClusterSnapshotNotFoundFault", "DBClusterSnapshot")),
        "cluster-endpoint" => here
            .clusters
            .values_mut()
            .find_map(|cluster| cluster.endpoints.get_mut(*id))
            .map(|endpoint| &mut endpoint.tags)
            .ok_or_else(|| missing("DBClusterEndpointNotFoundFault", "DBClusterEndpoint")),
        _ => Err(invalid_value(format!("Tags of {arn} are not part of this world"))),
    }
}
