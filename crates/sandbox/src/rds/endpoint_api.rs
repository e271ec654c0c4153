//! The endpoints of a cluster: its own and custom ones.

use super::checks::Checks;
use super::params::{cluster_state, filters, identifier, invalid_value, tags};
use super::{Answer, Cluster, CustomEndpoint, Rds, cluster_api, render};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// Custom endpoints a cluster may have.
const ENDPOINTS_MAX: usize = 5;

pub(super) fn create(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let cluster = checks.see(Check::NotFound, cluster_api::named(world, region, params).cloned());
    let id = checks.see(Check::Malformed, identifier(params, "DBClusterEndpointIdentifier", 63));
    let endpoint_type = checks.see(Check::Malformed, endpoint_type(params));
    let tags = checks.see(Check::Malformed, tags(params));
    let static_members = params.list("StaticMembers.member");
    let excluded_members = params.list("ExcludedMembers.member");
    if let Some(id) = &id {
        checks.see(Check::Exists, refuse_existing(world, region, id));
    }
    if let Some(cluster) = &cluster {
        checks.see(Check::Quota, refuse_full(cluster));
        checks.see(Check::State, check_available(cluster));
        let named = static_members.iter().chain(&excluded_members);
        checks.see(Check::Dependencies, check_members(world, cluster, named));
    }
    let found = cluster.zip(id).zip(endpoint_type.zip(tags));
    let ((mut cluster, id), (endpoint_type, tags)) = checks.end(found)?;
    let active_from_ms = world.now_ms + world.draw_ms(world.behaviour.timings.attach_s);
    let endpoint = CustomEndpoint {
        id: id.clone(),
        endpoint_type,
        static_members,
        excluded_members,
        active_from_ms,
        tags,
    };
    let answer = Xml::fragment(|xml| {
        render::endpoint(xml, &endpoint, &cluster, &world.rds, world.now_ms);
    });
    cluster.endpoints.insert(id, endpoint);
    cluster_api::put(world, cluster);
    Ok(Some(answer))
}

fn endpoint_type(params: &Params) -> Result<String, AwsError> {
    let endpoint_type = params.required("EndpointType")?.to_ascii_uppercase();
    if !["READER", "WRITER", "ANY"].contains(&endpoint_type.as_str()) {
        return Err(invalid_value(format!("Invalid endpoint type: {endpoint_type}")));
    }
    Ok(endpoint_type)
}

fn refuse_existing(world: &World, region: &str, id: &str) -> Result<(), AwsError> {
    let mut here = world.rds.clusters().filter(|cluster| cluster.region == region);
    if !here.any(|cluster| cluster.endpoints.contains_key(id)) {
        return Ok(());
    }
    let message = format!("DB Cluster Endpoint already exists: {id}");
    Err(AwsError::bad_request("DBClusterEndpointAlreadyExistsFault", message))
}

fn refuse_full(cluster: &Cluster) -> Result<(), AwsError> {
    if cluster.endpoints.len() < ENDPOINTS_MAX {
        return Ok(());
    }
    let message = "DB cluster endpoint quota exceeded";
    Err(AwsError::new(403, "DBClusterEndpointQuotaExceededFault", message))
}

fn check_available(cluster: &Cluster) -> Result<(), AwsError> {
    if cluster.status == "available" {
        return Ok(());
    }
    Err(cluster_state(format!("DbCluster {} is not available", cluster.id)))
}

fn check_members<'a>(
    world: &World,
    cluster: &Cluster,
    mut named: impl Iterator<Item = &'a String>,
) -> Result<(), AwsError> {
    let exists = |id: &String| world.rds.instances_of(cluster).any(|found| found.id == *id);
    match named.find(|id| !exists(id)) {
        None => Ok(()),
        Some(id) => {
            let message = format!("DBInstance {id} not found");
            Err(AwsError::not_found("DBInstanceNotFound", message))
        }
    }
}

pub(super) fn describe(world: &mut World, region: &str, params: &Params) -> Answer {
    let world = &*world;
    let rds = &world.rds;
    let clusters: Vec<&Cluster> = match params.get("DBClusterIdentifier") {
        Some(name) => vec![cluster_api::find(world, region, name)?],
        None => rds.clusters().filter(|cluster| cluster.region == region).collect(),
    };
    let wanted = params.get("DBClusterEndpointIdentifier");
    let types = filters(params).remove("db-cluster-endpoint-type").unwrap_or_default();
    let shows = |kind: &str| {
        wanted.is_none() && (types.is_empty() || types.iter().any(|t| t.eq_ignore_ascii_case(kind)))
    };
    let custom = types.is_empty() || types.iter().any(|t| t.eq_ignore_ascii_case("custom"));
    Ok(Some(Xml::fragment(|xml| {
        xml.element("DBClusterEndpoints", |xml| {
            for cluster in clusters {
                for kind in [crate::EndpointKind::Writer, crate::EndpointKind::Reader] {
                    if shows(&format!("{kind:?}")) {
                        xml.element("DBClusterEndpointList", |xml| {
                            own_endpoint(xml, cluster, kind, rds);
                        });
                    }
                }
                let endpoints = cluster.endpoints.values();
                for endpoint in endpoints.filter(|e| wanted.is_none_or(|id| e.id == id) && custom) {
                    xml.element("DBClusterEndpointList", |xml| {
                        render::endpoint(xml, endpoint, cluster, rds, world.now_ms);
                    });
                }
            }
        });
    })))
}

/// The writer or reader endpoint that every cluster has; a reader's writer endpoint is inactive.
fn own_endpoint(xml: &mut Xml, cluster: &Cluster, kind: crate::EndpointKind, rds: &Rds) {
    let writer = kind == crate::EndpointKind::Writer;
    xml.text("DBClusterIdentifier", &cluster.id);
    xml.text("Endpoint", cluster.host(kind, &rds.account));
    let active = !(writer && cluster.is_reader());
    xml.text("Status", if active { "available" } else { "inactive" });
    xml.text("EndpointType", if writer { "WRITER" } else { "READER" });
}
