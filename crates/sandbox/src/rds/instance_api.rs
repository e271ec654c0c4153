//! CreateDBInstance, DescribeDBInstances, ModifyDBInstance, DeleteDBInstance.

use super::event::RdsEvent;
use super::params::{
    cluster_state, filters, identifier, instance_settings, invalid_combination, invalid_value, page,
};
use super::settings::InstanceSettings;
use super::{Answer, Cluster, Instance, Membership, Rds, cluster_api, render};
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// Instances a Region may hold.
const INSTANCES_MAX: usize = 40;

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

fn named<'a>(rds: &'a Rds, region: &str, params: &Params) -> Result<&'a Instance, AwsError> {
    let name = params.required("DBInstanceIdentifier")?;
    let id = name.rsplit(':').next().unwrap_or(name).to_ascii_lowercase();
    rds.instance(region, &id).ok_or_else(|| not_found(&id))
}

fn answer(world: &World, instance: &Instance) -> String {
    Xml::fragment(|xml| {
        xml.element("DBInstance", |xml| {
            render::instance(xml, instance, &world.rds, &world.network);
        });
    })
}

pub(super) fn create(world: &mut World, region: &str, params: &Params) -> Answer {
    let id = identifier(params, "DBInstanceIdentifier", 63)?;
    let class = params.required("DBInstanceClass")?.to_owned();
    let engine = params.required("Engine")?.to_owned();
    let cluster_name = params.required("DBClusterIdentifier")?.to_owned();
    let cluster = cluster_api::find(&world.rds, region, &cluster_name)?.clone();
    let here = world.rds.regions.get(region).cloned().unwrap_or_default();
    if here.instances.contains_key(&id) {
        let message = "DB instance already exists";
        return Err(AwsError::bad_request("DBInstanceAlreadyExists", message));
    }
    if here.instances.len() >= INSTANCES_MAX {
        let message = "DB Instance quota exceeded";
        return Err(AwsError::bad_request("InstanceQuotaExceeded", message));
    }
    if !takes_instances(&cluster.status) {
        return Err(cluster_state(format!(
            "DbCluster {} is in {} state but expected it to be one of available",
            cluster.id, cluster.status
        )));
    }
    check_shape(&cluster, params, &class, &engine)?;
    let mut settings = InstanceSettings::default();
    instance_settings(&mut settings, params)?;
    check_parameter_group(world, region, &cluster, params, &mut settings)?;
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

/// A cluster takes instances from the moment it is being created.
fn takes_instances(status: &str) -> bool {
    super::CLUSTER_SERVES.contains(&status) || super::event::is_being_created(status)
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
    let family = class.strip_prefix("db.").unwrap_or_default();
    let memory_optimised = family.starts_with('r') || family.starts_with('x');
    if cluster.global().is_some() && !(memory_optimised || family == "serverless") {
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
            _ => true,
        })
    };
    let (found, marker) = page(found.into_iter().filter(fits).collect(), params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        xml.list("DBInstances", "DBInstance", found, |xml, instance| {
            render::instance(xml, instance, rds, &world.network);
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
    let cluster = cluster_api::find(&world.rds, region, &instance.cluster_id)?.clone();
    let mut changed = instance.clone();
    instance_settings(&mut changed.settings, params)?;
    if params.has("DBParameterGroupName") {
        check_parameter_group(world, region, &cluster, params, &mut changed.settings)?;
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
    if instance.status == "deleting" && world.behaviour.second_deletion_refused {
        return Err(AwsError::bad_request(
            "InvalidDBInstanceState",
            format!("Instance {} is already being deleted.", instance.id),
        ));
    }
    let cluster = cluster_api::find(&world.rds, region, &instance.cluster_id)?.clone();
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
    if let Some(found) =
        world.rds.regions.get_mut(region).and_then(|r| r.instances.get_mut(&instance.id))
    {
        "deleting".clone_into(&mut found.status);
        found.answers_until_ms = until_ms;
    }
    let seconds = world.behaviour.timings.delete_instance_s;
    world.after(seconds, RdsEvent::InstanceGone { resource_id: instance.resource_id.clone() });
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
        .any(|other| other.id != instance.id && other.status != "deleting");
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
