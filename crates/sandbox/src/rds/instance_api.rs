//! CreateDBInstance, DescribeDBInstances, ModifyDBInstance, DeleteDBInstance.

use super::checks::Checks;
use super::event::RdsEvent;
use super::keys::check_roles;
use super::params::{
    cluster_state, filters, identifier, instance_settings, invalid_combination, invalid_value, page,
};
use super::settings::InstanceSettings;
use super::{Answer, Cluster, Instance, Membership, Rds, cluster_api, render};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// Instances a Region may hold.
const INSTANCES_MAX: usize = 40;
/// The certificate authorities that RDS has.
const AUTHORITIES: [&str; 3] = ["rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"];

/// What Aurora manages at the cluster and refuses at the instance.
const OF_THE_CLUSTER: [&str; 8] = [
    "MasterUsername",
    "MasterUserPassword",
    "DBName",
    "BackupRetentionPeriod",
    "PreferredBackupWindow",
    "StorageEncrypted",
    "KmsKeyId",
    "DeletionProtection",
];

fn not_found(id: &str) -> AwsError {
    AwsError::not_found("DBInstanceNotFound", format!("DBInstance {id} not found."))
}

pub(super) fn named<'a>(
    rds: &'a Rds,
    region: &str,
    params: &Params,
) -> Result<&'a Instance, AwsError> {
    let name = params.required("DBInstanceIdentifier")?;
    let id = name.rsplit(':').next().unwrap_or(name).to_ascii_lowercase();
    rds.instance(region, &id).ok_or_else(|| not_found(&id))
}

fn cluster_of<'a>(rds: &'a Rds, instance: &Instance) -> Option<&'a Cluster> {
    rds.cluster(&instance.region, &instance.cluster_id)
}

pub(super) fn answer(world: &World, instance: &Instance) -> String {
    Xml::fragment(|xml| {
        xml.element("DBInstance", |xml| {
            render::instance(xml, instance, world);
        });
    })
}

pub(super) fn create(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let id = checks.see(Check::Malformed, identifier(params, "DBInstanceIdentifier", 63));
    let class = checks.see(Check::Malformed, params.required("DBInstanceClass"));
    let engine = checks.see(Check::Malformed, params.required("Engine"));
    let name = checks.see(Check::Malformed, params.required("DBClusterIdentifier"));
    let found = name.map(|name| cluster_api::find(world, region, name).cloned());
    let cluster = found.and_then(|found| checks.see(Check::NotFound, found));
    let mut settings = InstanceSettings::default();
    checks.see(Check::Malformed, instance_settings(&mut settings, params));
    checks.see(Check::Dependencies, check_certificate(&settings));
    let role = settings.monitoring.iter().map(|monitoring| monitoring.role_arn.as_str());
    checks.see(Check::Dependencies, check_roles(world, role));
    if let Some(id) = &id {
        check_room(world, region, id, &mut checks);
    }
    if let Some(cluster) = &cluster {
        checks.see(Check::State, check_takes_instances(cluster));
        if let (Some(class), Some(engine)) = (class, engine) {
            checks.see(Check::Combination, check_shape(cluster, params, class, engine));
        }
        let group = check_parameter_group(world, region, cluster, params, &mut settings);
        checks.see(Check::Dependencies, group);
    }
    let (id, cluster) = checks.end(id.zip(cluster))?;
    if settings.availability_zone.is_none() {
        settings.availability_zone = cluster.settings.availability_zones.first().cloned();
    }

    let instance = Instance {
        region: region.to_owned(),
        arn: world.rds.arn(region, "db", &id),
        resource_id: world.rds.new_resource_id("db"),
        status: "creating".to_owned(),
        cluster_id: cluster.id.clone(),
        settings,
        created_at_ms: world.now_ms,
        answers_until_ms: 0,
        recovers_after_ms: world.recovery_ms(),
        wants_reboot: false,
        booted_ms: world.now_ms,
        id: id.clone(),
    };
    let event = RdsEvent::InstanceCreated {
        resource_id: instance.resource_id.clone(),
        status: world.ending(),
    };
    let seconds = world.behaviour.timings.create_instance_s;
    world.after(seconds, event);
    if let Some(cluster) = world.rds.cluster_mut(region, &cluster.id) {
        cluster.writer_instance.get_or_insert_with(|| id.clone());
    }
    if let Some(here) = world.rds.regions.get_mut(region) {
        here.instances.insert(id, instance.clone());
    }
    Ok(Some(answer(world, &instance)))
}

fn check_room(world: &World, region: &str, id: &str, checks: &mut Checks) {
    let Some(here) = world.rds.regions.get(region) else { return };
    if here.instances.contains_key(id) {
        let message = "DB instance already exists";
        let error = AwsError::bad_request("DBInstanceAlreadyExists", message);
        checks.see::<()>(Check::Exists, Err(error));
    }
    if here.instances.len() >= INSTANCES_MAX {
        let error = AwsError::bad_request("InstanceQuotaExceeded", "DB Instance quota exceeded");
        checks.see::<()>(Check::Quota, Err(error));
    }
}

/// A cluster takes instances from the moment it is being created.
fn check_takes_instances(cluster: &Cluster) -> Result<(), AwsError> {
    let status = cluster.status.as_str();
    if super::CLUSTER_SERVES.contains(&status) || super::event::is_being_created(status) {
        return Ok(());
    }
    Err(cluster_state(format!(
        "DbCluster {} is in {status} state but expected it to be one of available",
        cluster.id
    )))
}

fn check_certificate(settings: &InstanceSettings) -> Result<(), AwsError> {
    let authority = &settings.ca_certificate;
    if AUTHORITIES.contains(&authority.as_str()) {
        return Ok(());
    }
    let message = format!("Certificate not found: {authority}");
    Err(AwsError::not_found("CertificateNotFound", message))
}

/// Global clusters want memory-optimised classes of the fifth generation or later, or serverless
/// instances.
pub(super) fn suits_global_clusters(class: &str) -> bool {
    let family = class.strip_prefix("db.").unwrap_or_default();
    let generation = family.strip_prefix(['r', 'x']).unwrap_or_default();
    let generation: String = generation.chars().take_while(char::is_ascii_digit).collect();
    let memory_optimised = match family.chars().next() {
        Some('r') => generation.parse().is_ok_and(|generation: u32| generation >= 5),
        Some('x') => true,
        _ => false,
    };
    memory_optimised || family == "serverless"
}

fn check_shape(
    cluster: &Cluster,
    params: &Params,
    class: &str,
    engine: &str,
) -> Result<(), AwsError> {
    if engine != cluster.engine {
        return Err(invalid_combination(format!(
            "The engine name requested for your DB instance ({engine}) doesn't match the engine \
             name of your DB cluster ({}).",
            cluster.engine
        )));
    }
    if let Some(refused) = OF_THE_CLUSTER.iter().find(|parameter| params.has(parameter)) {
        return Err(invalid_combination(format!(
            "The requested DB Instance will be a member of a DB Cluster. Set {refused} for the DB \
             Cluster."
        )));
    }
    if cluster.global().is_some() && !suits_global_clusters(class) {
        return Err(invalid_combination(format!(
            "DB instance class {class} is not supported for global clusters"
        )));
    }
    let group = params.get("DBSubnetGroupName");
    if group.is_some_and(|group| group != cluster.settings.subnet_group) {
        return Err(invalid_combination(
            "The DB subnet group of the instance must be that of its cluster",
        ));
    }
    Ok(())
}

fn check_parameter_group(
    world: &World,
    region: &str,
    cluster: &Cluster,
    params: &Params,
    settings: &mut InstanceSettings,
) -> Result<(), AwsError> {
    let Some(here) = world.rds.regions.get(region) else { return Ok(()) };
    if !params.has("DBParameterGroupName") {
        let mut groups = here.parameter_groups.values();
        let default = groups
            .find(|g| g.name.starts_with("default.") && g.family.starts_with(&cluster.engine));
        if let Some(group) = default {
            settings.parameter_group.clone_from(&group.name);
        }
        return Ok(());
    }
    let name = &settings.parameter_group;
    match here.parameter_groups.get(name) {
        None => Err(AwsError::not_found(
            "DBParameterGroupNotFound",
            format!("DBParameterGroup not found: {name}"),
        )),
        Some(group) if !group.family.starts_with(&cluster.engine) => {
            Err(invalid_combination(format!(
                "The Parameter Group {name} with DBParameterGroupFamily {} cannot be used for this \
                 instance.",
                group.family
            )))
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn describe(world: &mut World, region: &str, params: &Params) -> Answer {
    let rds = &world.rds;
    let found: Vec<&Instance> = if params.has("DBInstanceIdentifier") {
        vec![named(rds, region, params)?]
    } else {
        rds.regions.get(region).into_iter().flat_map(|here| here.instances.values()).collect()
    };
    let filters = filters(params);
    let fits = |instance: &&Instance| {
        filters.iter().all(|(name, values)| match name.as_str() {
            "db-cluster-id" => {
                values.iter().any(|v| v.rsplit(':').next() == Some(instance.cluster_id.as_str()))
            }
            "db-instance-id" => values.contains(&instance.id) || values.contains(&instance.arn),
            "dbi-resource-id" => values.contains(&instance.resource_id),
            "engine" => cluster_of(rds, instance).is_some_and(|c| values.contains(&c.engine)),
            "domain" => cluster_of(rds, instance)
                .and_then(|cluster| cluster.settings.domain.as_ref())
                .is_some_and(|domain| values.contains(&domain.id)),
            _ => true,
        })
    };
    let (found, marker) = page(found.into_iter().filter(fits).collect(), params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        xml.list("DBInstances", "DBInstance", found, |xml, instance| {
            render::instance(xml, instance, world);
        });
    })))
}

pub(super) fn modify(world: &mut World, region: &str, params: &Params) -> Answer {
    let instance = named(&world.rds, region, params)?.clone();
    if instance.status != "available" {
        return Err(AwsError::bad_request(
            "InvalidDBInstanceState",
            format!("Database instance is not in available state: {}", instance.status),
        ));
    }
    if params.has("NewDBInstanceIdentifier") {
        return Err(invalid_value("Renaming an instance is not part of this world"));
    }
    let cluster = cluster_api::find(world, region, &instance.cluster_id)?.clone();
    let mut changed = instance.clone();
    instance_settings(&mut changed.settings, params)?;
    if params.has("DBParameterGroupName") {
        check_parameter_group(world, region, &cluster, params, &mut changed.settings)?;
        // The new parameters are in force after a reboot.
        let other = changed.settings.parameter_group != instance.settings.parameter_group;
        changed.wants_reboot |= other;
    }
    if changed != instance {
        "modifying".clone_into(&mut changed.status);
        let seconds = world.behaviour.timings.modify_s;
        let event = RdsEvent::InstanceStatus {
            resource_id: instance.resource_id.clone(),
            from: "modifying".to_owned(),
            to: world.ending(),
        };
        world.after(seconds, event);
        if let Some(here) = world.rds.regions.get_mut(region) {
            here.instances.insert(changed.id.clone(), changed.clone());
        }
    }
    Ok(Some(answer(world, &changed)))
}

pub(super) fn delete(world: &mut World, region: &str, params: &Params) -> Answer {
    let instance = named(&world.rds, region, params)?.clone();
    let going = ["deleting", "delete-precheck"].contains(&instance.status.as_str());
    if going && world.behaviour.second_deletion_refused {
        return Err(AwsError::bad_request(
            "InvalidDBInstanceState",
            format!("Instance {} is already being deleted.", instance.id),
        ));
    }
    let cluster = cluster_api::find(world, region, &instance.cluster_id)?.clone();
    if cluster.status == "stopped" {
        return Err(cluster_state(format!(
            "DbCluster {} is in stopped state but expected it to be one of available",
            cluster.id
        )));
    }
    keep_last_of_writer(world, &cluster, &instance)?;
    // Statements that run on a reader may go on for a while; those on the writer may not.
    let reads = cluster.writer_instance.as_ref() != Some(&instance.id) || cluster.is_reader();
    let answers = reads && super::INSTANCE_SERVES.contains(&instance.status.as_str());
    let grace_ms = if answers { world.draw_ms(world.behaviour.timings.reader_grace_s) } else { 0 };
    let until_ms = world.now_ms.saturating_add(grace_ms);
    let prechecked = world.behaviour.deletion_is_prechecked;
    if let Some(found) =
        world.rds.regions.get_mut(region).and_then(|r| r.instances.get_mut(&instance.id))
    {
        let status = if prechecked { "delete-precheck" } else { "deleting" };
        status.clone_into(&mut found.status);
        found.answers_until_ms = until_ms;
    }
    let resource_id = instance.resource_id.clone();
    let precheck_s = if prechecked { world.behaviour.timings.delete_precheck_s } else { 0.0 };
    if prechecked {
        world.after(precheck_s, RdsEvent::InstancePrechecked { resource_id: resource_id.clone() });
    }
    let seconds = precheck_s + world.behaviour.timings.delete_instance_s;
    world.after(seconds, RdsEvent::InstanceGone { resource_id });
    if cluster.writer_instance.as_ref() == Some(&instance.id) {
        hand_over(world, &cluster);
    }
    let instance = world.rds.instance(region, &instance.id).cloned().unwrap_or(instance);
    Ok(Some(answer(world, &instance)))
}

/// The last instance of a global cluster's writer stays while there are readers.
fn keep_last_of_writer(
    world: &World,
    cluster: &Cluster,
    instance: &Instance,
) -> Result<(), AwsError> {
    let Membership::Writer { global } = &cluster.membership else { return Ok(()) };
    let readers = world.rds.globals.get(global).is_some_and(|global| global.members.len() > 1)
        || world.rds.clusters_in(global).nth(1).is_some();
    let others = world
        .rds
        .instances_of(cluster)
        .any(|o| o.id != instance.id && !["deleting", "delete-precheck"].contains(&&*o.status));
    if readers && !others {
        return Err(cluster_state(
            "Cannot delete the last instance of the master cluster. Delete the replica cluster \
             before deleting the last master cluster instance.",
        ));
    }
    Ok(())
}

/// Another instance becomes the writer: the one with the lowest promotion tier.
fn hand_over(world: &mut World, cluster: &Cluster) {
    let next = world
        .rds
        .instances_of(cluster)
        .filter(|instance| instance.status == "available")
        .min_by_key(|instance| (instance.settings.promotion_tier, instance.id.clone()))
        .map(|instance| instance.id.clone());
    let fails_over = next.is_some() && cluster.status == "available";
    if let Some(cluster) = world.rds.cluster_mut(&cluster.region, &cluster.id) {
        cluster.writer_instance = next;
        if fails_over {
            "failing-over".clone_into(&mut cluster.status);
        }
    }
    if fails_over {
        let event = RdsEvent::ClusterStatus {
            resource_id: cluster.resource_id.clone(),
            from: "failing-over".to_owned(),
            to: "available".to_owned(),
        };
        let seconds = world.behaviour.timings.fail_over_instance_s;
        world.after(seconds, event);
    }
}
