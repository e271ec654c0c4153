//! DescribeDBClusters, AddRoleToDBCluster and the Data API.

use super::checks::Checks;
use super::keys::check_roles;
use super::params::{cluster_state, filters, page, unestablished};
use super::settings::Role;
use super::{Answer, Cluster, render_cluster};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// Roles a cluster may have.
const ROLES_MAX: usize = 5;

/// `DBClusterNotFoundFault`.
pub(super) fn not_found(id: &str) -> AwsError {
    AwsError::not_found("DBClusterNotFoundFault", format!("DBCluster {id} not found"))
}

/// A cluster by identifier or by ARN, which must be of this Region.
pub(super) fn find<'a>(
    world: &'a World,
    region: &str,
    name: &str,
) -> Result<&'a Cluster, AwsError> {
    let id = match name.strip_prefix("arn:") {
        None => name.to_ascii_lowercase(),
        Some(_) => {
            let parts: Vec<&str> = name.split(':').collect();
            match parts.as_slice() {
                ["arn", _, "rds", here, _, "cluster", id] if *here == region => (*id).to_owned(),
                _ => {
                    let message = format!("Invalid database cluster identifier:  {name}");
                    let code = &world.behaviour.codes.cluster_elsewhere;
                    return Err(unestablished(code, message));
                }
            }
        }
    };
    world.rds.cluster(region, &id).ok_or_else(|| not_found(&id))
}

/// The cluster that a call names.
pub(super) fn named<'a>(
    world: &'a World,
    region: &str,
    params: &Params,
) -> Result<&'a Cluster, AwsError> {
    find(world, region, params.required("DBClusterIdentifier")?)
}

/// Refuses what only an available cluster can do.
pub(super) fn check_available(cluster: &Cluster) -> Result<(), AwsError> {
    if ["available", "backing-up"].contains(&cluster.status.as_str()) {
        return Ok(());
    }
    Err(cluster_state(format!(
        "DbCluster {} is in {} state but expected it to be one of available",
        cluster.id, cluster.status
    )))
}

/// A `DBCluster` as the result of an operation.
pub(super) fn answer(world: &World, cluster: &Cluster) -> String {
    Xml::fragment(|xml| {
        xml.element("DBCluster", |xml| {
            render_cluster::cluster(xml, cluster, world);
        });
    })
}

pub(super) fn describe(world: &mut World, region: &str, params: &Params) -> Answer {
    let world = &*world;
    let rds = &world.rds;
    let found: Vec<&Cluster> = match params.get("DBClusterIdentifier") {
        Some(name) => vec![find(world, region, name)?],
        None => rds.clusters().filter(|cluster| cluster.region == region).collect(),
    };
    let filters = filters(params);
    let fits = |cluster: &&Cluster| {
        filters.iter().all(|(name, values)| match name.as_str() {
            "db-cluster-id" => values.contains(&cluster.id) || values.contains(&cluster.arn),
            "db-cluster-resource-id" => values.contains(&cluster.resource_id),
            "engine" => values.contains(&cluster.engine),
            "domain" => cluster.settings.domain.as_ref().is_some_and(|d| values.contains(&d.id)),
            "clone-group-id" => false,
            _ => true,
        })
    };
    let (found, marker) = page(found.into_iter().filter(fits).collect(), params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        xml.list("DBClusters", "DBCluster", found, |xml, cluster| {
            render_cluster::cluster(xml, cluster, world);
        });
    })))
}

pub(super) fn put(world: &mut World, cluster: Cluster) {
    if let Some(here) = world.rds.cluster_mut(&cluster.region.clone(), &cluster.id.clone()) {
        *here = cluster;
    }
}

pub(super) fn add_role(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let cluster = checks.see(Check::NotFound, named(world, region, params).cloned());
    let arn = checks.see(Check::Malformed, params.required("RoleArn").map(str::to_owned));
    let feature = params.get("FeatureName").filter(|name| !name.is_empty()).map(str::to_owned);
    if let (Some(cluster), Some(arn)) = (&cluster, &arn) {
        checks.see(Check::State, check_available(cluster));
        let held = &cluster.settings.roles;
        if held.iter().any(|role| role.arn == *arn && role.feature == feature) {
            let message = format!("Role ARN {arn} already exists for DB Cluster: {}", cluster.id);
            let error = AwsError::bad_request("DBClusterRoleAlreadyExists", message);
            checks.see::<()>(Check::Exists, Err(error));
        }
        checks.see(Check::Quota, check_role_count(held.len() + 1));
        checks.see(Check::Dependencies, check_roles(world, [arn.as_str()]));
    }
    let (mut cluster, arn) = checks.end(cluster.zip(arn))?;
    let active_ms = world.now_ms + world.draw_ms(world.behaviour.timings.attach_s);
    cluster.settings.roles.push(Role { arn: arn.clone(), feature });
    if world.ending() != "available" {
        cluster.invalid_roles.insert(arn.clone());
    }
    cluster.attached_ms.insert(arn, active_ms);
    put(world, cluster);
    Ok(None)
}

/// A cluster has a few roles at most.
pub(super) fn check_role_count(count: usize) -> Result<(), AwsError> {
    if count <= ROLES_MAX {
        return Ok(());
    }
    let message = "Request would exceed the maximum number of roles associated with a DB cluster";
    Err(AwsError::bad_request("DBClusterRoleQuotaExceeded", message))
}

pub(super) fn enable_http_endpoint(world: &mut World, params: &Params) -> Answer {
    let arn = params.required("ResourceArn")?.to_owned();
    let Some(cluster) = world.rds.cluster_by_arn_mut(&arn) else {
        let message = format!("Resource {arn} not found");
        return Err(AwsError::not_found("ResourceNotFoundFault", message));
    };
    if cluster.status != "available" {
        let message = format!("DbCluster {} is not available", cluster.id);
        return Err(AwsError::bad_request("InvalidResourceStateFault", message));
    }
    cluster.settings.http_endpoint = true;
    Ok(Some(Xml::fragment(|xml| {
        xml.text("ResourceArn", &arn);
        xml.text("HttpEndpointEnabled", true);
    })))
}
