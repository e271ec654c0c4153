//! DescribeDBClusters, ModifyDBCluster, roles, custom endpoints and the Data API.

use super::cluster_join::check_security_groups;
use super::event::RdsEvent;
use super::params::{
    check_cluster_groups, cluster_settings, cluster_state, filters, identifier,
    invalid_combination, invalid_value, page, tags,
};
use super::settings::Role;
use super::{Answer, Cluster, CustomEndpoint, Rds, render, render_cluster};
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// Roles a cluster may have.
const ROLES_MAX: usize = 5;

/// `DBClusterNotFoundFault`.
pub(super) fn not_found(id: &str) -> AwsError {
    AwsError::not_found("DBClusterNotFoundFault", format!("DBCluster {id} not found"))
}

/// A cluster by identifier or by ARN, which must be of this Region.
pub(super) fn find<'a>(rds: &'a Rds, region: &str, name: &str) -> Result<&'a Cluster, AwsError> {
    let id = match name.strip_prefix("arn:") {
        None => name.to_ascii_lowercase(),
        Some(_) => {
            let parts: Vec<&str> = name.split(':').collect();
            match parts.as_slice() {
                ["arn", _, "rds", here, _, "cluster", id] if *here == region => (*id).to_owned(),
                _ => {
                    let message = format!("Invalid database cluster identifier:  {name}");
                    return Err(invalid_value(message));
                }
            }
        }
    };
    rds.cluster(region, &id).ok_or_else(|| not_found(&id))
}

/// The cluster that a call names.
pub(super) fn named<'a>(
    rds: &'a Rds,
    region: &str,
    params: &Params,
) -> Result<&'a Cluster, AwsError> {
    find(rds, region, params.required("DBClusterIdentifier")?)
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
        Some(name) => vec![find(rds, region, name)?],
        None => rds.clusters().filter(|cluster| cluster.region == region).collect(),
    };
    let filters = filters(params);
    let fits = |cluster: &&Cluster| {
        filters.iter().all(|(name, values)| match name.as_str() {
            "db-cluster-id" => values.contains(&cluster.id) || values.contains(&cluster.arn),
            "db-cluster-resource-id" => values.contains(&cluster.resource_id),
            "engine" => values.contains(&cluster.engine),
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

pub(super) fn modify(world: &mut World, region: &str, params: &Params) -> Answer {
    let cluster = named(&world.rds, region, params)?.clone();
    if !["available", "backing-up"].contains(&cluster.status.as_str()) {
        return Err(cluster_state(format!(
            "DbCluster {} is in {} state but expected it to be one of available",
            cluster.id, cluster.status
        )));
    }
    if params.has("NewDBClusterIdentifier") {
        return Err(invalid_combination("Renaming a cluster is not part of this world"));
    }
    if params.get("EngineVersion").is_some_and(|version| version != cluster.engine_version) {
        if world.rds.instances_of(&cluster).next().is_none() {
            return Err(invalid_combination(format!(
                "Cannot modify engine version without a healthy primary instance in DB cluster: {}",
                cluster.id
            )));
        }
        return Err(invalid_combination("Upgrading an engine is not part of this world"));
    }
    let mut changed = cluster.clone();
    cluster_settings(&mut changed.settings, params)?;
    if let Some(here) = world.rds.regions.get(region) {
        check_cluster_groups(&changed.settings, here, &cluster.engine)?;
    }
    check_security_groups(world, region, &changed.settings.security_groups)?;
    manage_password(world, &mut changed, params)?;
    let resets = params.has("MasterUserPassword");
    if changed == cluster && !resets {
        return Ok(Some(answer(world, &cluster)));
    }
    // Protection, tags and log exports change at once; the rest makes the cluster busy.
    let mut quiet = cluster.clone();
    quiet.settings.deletion_protection = changed.settings.deletion_protection;
    quiet.settings.copy_tags_to_snapshot = changed.settings.copy_tags_to_snapshot;
    quiet.settings.backup_retention_days = changed.settings.backup_retention_days;
    quiet.settings.log_exports.clone_from(&changed.settings.log_exports);
    if (changed != quiet || resets) && changed.status == "available" {
        let busy = busy_status(&cluster, &changed, resets);
        busy.clone_into(&mut changed.status);
        let seconds = world.behaviour.timings.modify_s;
        let event = RdsEvent::ClusterStatus {
            resource_id: cluster.resource_id.clone(),
            from: busy.to_owned(),
            to: world.ending(),
        };
        world.after(seconds, event);
    }
    let answer = answer(world, &changed);
    put(world, changed);
    Ok(Some(answer))
}

/// What a cluster shows while a modification is made.
fn busy_status(before: &Cluster, after: &Cluster, resets_password: bool) -> &'static str {
    let (before, after) = (&before.settings, &after.settings);
    if resets_password {
        "resetting-master-credentials"
    } else if before.iam_authentication != after.iam_authentication {
        "configuring-iam-database-auth"
    } else if before.monitoring != after.monitoring {
        "configuring-enhanced-monitoring"
    } else {
        "modifying"
    }
}

fn manage_password(world: &World, cluster: &mut Cluster, params: &Params) -> Result<(), AwsError> {
    match params.bool("ManageMasterUserPassword")? {
        Some(true) if cluster.global().is_some() || cluster.shown_global.is_some() => {
            return Err(invalid_combination(
                "ManageMasterUserPassword is not supported for members of a global cluster",
            ));
        }
        Some(true) => {
            let (region, id) = (&cluster.region, &cluster.resource_id);
            let account = &world.account;
            let arn = format!("arn:aws:secretsmanager:{region}:{account}:secret:rds!{id}");
            cluster.managed_secret_arn = Some(arn);
        }
        Some(false) => cluster.managed_secret_arn = None,
        None => {}
    }
    Ok(())
}

pub(super) fn put(world: &mut World, cluster: Cluster) {
    if let Some(here) = world.rds.cluster_mut(&cluster.region.clone(), &cluster.id.clone()) {
        *here = cluster;
    }
}

pub(super) fn add_role(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut cluster = named(&world.rds, region, params)?.clone();
    let arn = params.required("RoleArn")?.to_owned();
    let feature = params.get("FeatureName").filter(|name| !name.is_empty()).map(str::to_owned);
    if !["available", "backing-up"].contains(&cluster.status.as_str()) {
        return Err(cluster_state(format!(
            "DbCluster {} is in {} state but expected it to be one of available",
            cluster.id, cluster.status
        )));
    }
    if cluster.settings.roles.iter().any(|role| role.arn == arn && role.feature == feature) {
        return Err(AwsError::bad_request(
            "DBClusterRoleAlreadyExists",
            format!("Role ARN {arn} already exists for DB Cluster: {}", cluster.id),
        ));
    }
    if cluster.settings.roles.len() >= ROLES_MAX {
        return Err(AwsError::bad_request(
            "DBClusterRoleQuotaExceeded",
            "Request would exceed the maximum number of roles associated with a DB cluster",
        ));
    }
    let active_ms = world.now_ms + world.draw_ms(world.behaviour.timings.attach_s);
    cluster.settings.roles.push(Role { arn: arn.clone(), feature });
    cluster.roles_active_ms.insert(arn, active_ms);
    put(world, cluster);
    Ok(None)
}

pub(super) fn create_endpoint(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut cluster = named(&world.rds, region, params)?.clone();
    let id = identifier(params, "DBClusterEndpointIdentifier", 63)?;
    let endpoint_type = params.required("EndpointType")?.to_ascii_uppercase();
    let taken = world
        .rds
        .clusters()
        .any(|cluster| cluster.region == region && cluster.endpoints.contains_key(&id));
    if taken {
        return Err(AwsError::bad_request(
            "DBClusterEndpointAlreadyExistsFault",
            format!("DB Cluster Endpoint already exists: {id}"),
        ));
    }
    if !["READER", "WRITER", "ANY"].contains(&endpoint_type.as_str()) {
        return Err(invalid_value(format!("Invalid endpoint type: {endpoint_type}")));
    }
    if cluster.status != "available" {
        return Err(cluster_state(format!("DbCluster {} is not available", cluster.id)));
    }
    let static_members = params.list("StaticMembers.member");
    let excluded_members = params.list("ExcludedMembers.member");
    for member in static_members.iter().chain(&excluded_members) {
        if !world.rds.instances_of(&cluster).any(|instance| instance.id == *member) {
            let message = format!("DBInstance {member} not found");
            return Err(AwsError::not_found("DBInstanceNotFound", message));
        }
    }
    let active_from_ms = world.now_ms + world.draw_ms(world.behaviour.timings.attach_s);
    let endpoint = CustomEndpoint {
        id: id.clone(),
        endpoint_type,
        static_members,
        excluded_members,
        active_from_ms,
        tags: tags(params)?,
    };
    let answer = Xml::fragment(|xml| {
        render::endpoint(xml, &endpoint, &cluster, &world.rds, world.now_ms);
    });
    cluster.endpoints.insert(id, endpoint);
    put(world, cluster);
    Ok(Some(answer))
}

pub(super) fn describe_endpoints(world: &mut World, region: &str, params: &Params) -> Answer {
    let rds = &world.rds;
    let clusters: Vec<&Cluster> = match params.get("DBClusterIdentifier") {
        Some(name) => vec![find(rds, region, name)?],
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
