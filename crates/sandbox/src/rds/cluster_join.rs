//! CreateDBCluster: alone, as the first member of an empty global cluster, or joining one.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::Checks;
use super::cluster_api::check_role_count;
use super::event::RdsEvent;
use super::global_api::{named, not_found};
use super::keys::check_roles;
use super::params::{
    check_cluster_groups, cluster_settings, cluster_state, global_state, identifier,
    invalid_combination, invalid_value, unestablished,
};
use super::settings::ClusterSettings;
use super::{Answer, Cluster, GlobalCluster, Member, Membership, keys, render_cluster};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// Clusters a Region may hold.
const CLUSTERS_MAX: usize = 40;
/// Availability Zones a DB subnet group has to cover.
const ZONES_MIN: usize = 2;

/// What a joining cluster may not be given, with the words of the refusal.
const INHERITED: [(&str, &str); 3] = [
    ("MasterUsername", "user name"),
    ("MasterUserPassword", "password"),
    ("DatabaseName", "database name"),
];

pub(super) fn create(world: &mut World, region: &str, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let global = checks.see(Check::NotFound, joined(world, params));
    let new = check_new(world, region, params, &mut checks);
    let source = global.as_ref().and_then(|global| match (global, &new) {
        (Some(global), Some(new)) => {
            let source = checks.see(Check::State, source_of(world, global));
            if let Some(Some(source)) = &source {
                join_rules(world, region, &new.id, (global, source), params, &mut checks);
            }
            source
        }
        _ => Some(None),
    });
    let joins = source.as_ref().is_some_and(Option::is_some);
    if source.is_some() && !joins {
        let empty_global = global.as_ref().is_some_and(Option::is_some);
        checks.see(Check::Malformed, standalone_rules(world, params, empty_global));
    }
    let settings = new.as_ref().and_then(|new| {
        let found = settings(world, &new.engine, params, global.as_ref()?.is_some());
        let mut settings = checks.see(Check::Malformed, found)?;
        checks.see(Check::Quota, check_role_count(settings.roles.len()));
        let roles = settings.roles.iter().map(|role| role.arn.as_str());
        let monitoring = settings.monitoring.iter().map(|monitoring| monitoring.role_arn.as_str());
        checks.see(Check::Dependencies, check_roles(world, roles.chain(monitoring)));
        let filled = fill_groups(world, region, &new.engine, params, &mut settings);
        checks.see(Check::Dependencies, filled);
        Some(settings)
    });
    let flat = source.as_ref().and_then(Option::as_ref);
    let encryption = keys::encryption(world, region, params, flat);
    let encryption = checks.see(Check::Dependencies, encryption);
    let found = new.zip(global).zip(source).zip(settings.zip(encryption));
    let (((new, global), source), (settings, encryption)) = checks.end(found)?;

    let cluster = new_cluster(world, region, &new.id, params, settings, source.as_ref());
    let cluster =
        Cluster { kms_key: encryption.key, encrypted_by_default: encryption.by_default, ..cluster };
    Ok(Some(enter(world, cluster, global, source)))
}

/// What a new cluster is given in any case.
pub(super) struct New {
    pub(super) id: String,
    pub(super) engine: String,
}

/// The identifier and the engine of a new cluster, if there is room for it.
pub(super) fn check_new(
    world: &World,
    region: &str,
    params: &Params,
    checks: &mut Checks,
) -> Option<New> {
    let id = checks.see(Check::Malformed, identifier(params, "DBClusterIdentifier", 63));
    let engine = checks.see(Check::Malformed, engine(params));
    if let Some(id) = &id {
        checks.see(Check::Exists, refuse_existing(world, region, id));
    }
    let here = world.rds.clusters().filter(|cluster| cluster.region == region).count();
    if here >= CLUSTERS_MAX {
        let message = "DB Cluster quota exceeded";
        let error = AwsError::new(403, "DBClusterQuotaExceededFault", message);
        checks.see::<()>(Check::Quota, Err(error));
    }
    Some(New { id: id?, engine: engine? })
}

fn engine(params: &Params) -> Result<String, AwsError> {
    let engine = params.required("Engine")?;
    if !["aurora-mysql", "aurora-postgresql"].contains(&engine) {
        return Err(invalid_value(format!("Invalid DB engine: {engine}")));
    }
    if let Some(mode) = params.get("EngineMode").filter(|mode| *mode != "provisioned") {
        return Err(invalid_value(format!("The engine mode {mode} is not supported")));
    }
    Ok(engine.to_owned())
}

/// Refuses a name that a cluster has, or is about to get.
pub(super) fn refuse_existing(world: &World, region: &str, id: &str) -> Result<(), AwsError> {
    let mut here = world.rds.clusters().filter(|cluster| cluster.region == region);
    if here.any(|cluster| cluster.id == id || cluster.new_id.as_deref() == Some(id)) {
        let message = "DB Cluster already exists";
        return Err(AwsError::bad_request("DBClusterAlreadyExistsFault", message));
    }
    Ok(())
}

/// The global cluster to join, if the call names one.
fn joined(world: &World, params: &Params) -> Result<Option<GlobalCluster>, AwsError> {
    if !params.has("GlobalClusterIdentifier") {
        return Ok(None);
    }
    let global = named(world, params)?.clone();
    if global.status == "deleting" { Err(not_found(&global.id)) } else { Ok(Some(global)) }
}

/// The writer to replicate, if the global cluster has one.
fn source_of(world: &World, global: &GlobalCluster) -> Result<Option<Cluster>, AwsError> {
    let global_id = &global.id;
    if global.operation.is_some() || global.status == "upgrading" {
        return Err(global_state(format!("Global cluster {global_id} is not available")));
    }
    let Some(source) = world
        .rds
        .clusters()
        .find(|c| matches!(&c.membership, Membership::Writer { global } if global == global_id))
    else {
        return Ok(None);
    };
    let usable = world.rds.accepts_writes(source) && source.status == "available";
    if global.member(&source.arn).is_none() || !usable {
        return Err(cluster_state(format!(
            "Source cluster: {} is in a state which is not valid for physical replication",
            source.arn
        )));
    }
    Ok(Some(source.clone()))
}

/// The rules of joining, of which each may be broken.
fn join_rules(
    world: &World,
    region: &str,
    id: &str,
    (global, source): (&GlobalCluster, &Cluster),
    params: &Params,
    checks: &mut Checks,
) {
    let codes = &world.behaviour.codes;
    for (parameter, words) in INHERITED {
        if params.has(parameter) {
            let message = format!("Cannot specify {words} for cross region replication cluster");
            checks.see::<()>(Check::Combination, Err(invalid_combination(message)));
        }
    }
    let managed = ["ManageMasterUserPassword", "MasterUserSecretKmsKeyId"];
    if managed.iter().any(|parameter| params.has(parameter)) || source.managed_secret_arn.is_some()
    {
        let message = "Cannot specify managed master user password for global clusters";
        let error = unestablished(&codes.managed_secret, message);
        checks.see::<()>(Check::Combination, Err(error));
    }
    if params.has("ReplicationSourceIdentifier") {
        let message = format!("Source cluster {} doesn't have binlogs enabled", source.arn);
        checks.see::<()>(Check::Combination, Err(cluster_state(message)));
    }
    let listed_here = |m: &Member| m.arn.split(':').nth(3) == Some(region);
    let members = || world.rds.clusters_in(&global.id);
    if global.members.iter().any(listed_here) || members().any(|c| c.region == region) {
        let message = format!("Global cluster {} already has a member in {region}", global.id);
        checks.see::<()>(Check::Combination, Err(unestablished(&codes.region_taken, message)));
    }
    if members().any(|cluster| cluster.id == id) {
        let message =
            format!("Cluster identifier {id} is already used by a member of {}", global.id);
        checks.see::<()>(Check::Combination, Err(unestablished(&codes.name_taken, message)));
    }
    checks.see(Check::Combination, matching(world, global, source, params));
}

/// What a joining cluster has in common with all members.
fn matching(
    world: &World,
    global: &GlobalCluster,
    source: &Cluster,
    params: &Params,
) -> Result<(), AwsError> {
    let behaviour = &world.behaviour;
    let differs = |word: &str| {
        invalid_value(format!(
            "Value for {word} should match setting for global cluster {}",
            global.id
        ))
    };
    if params.get("Engine") != Some(&global.engine) {
        return Err(differs("engine"));
    }
    if params.get("EngineVersion").is_some_and(|version| version != global.engine_version) {
        return Err(differs("engineVersion"));
    }
    let plain = !global.storage_encrypted && !global.encrypted_by_default;
    let becomes_encrypted =
        behaviour.encrypts_by_default && !behaviour.default_encryption_joins_unencrypted;
    if params.bool("StorageEncrypted")?.unwrap_or(false) != global.storage_encrypted
        || plain && becomes_encrypted
    {
        return Err(differs("storageEncrypted"));
    }
    let storage = params.get("StorageType").filter(|kind| *kind != "aurora");
    if behaviour.members_share_a_storage_type && storage != source.settings.storage_type.as_deref()
    {
        return Err(differs("storageType"));
    }
    if params.has("BacktrackWindow") {
        let message = "Backtrack is not supported for global clusters";
        return Err(unestablished(&behaviour.codes.backtrack, message));
    }
    Ok(())
}

fn standalone_rules(world: &World, params: &Params, empty_global: bool) -> Result<(), AwsError> {
    if empty_global && !world.behaviour.first_writer_needs_a_user {
        return Ok(());
    }
    params.required("MasterUsername")?;
    if params.bool("ManageMasterUserPassword")? != Some(true) {
        params.required("MasterUserPassword")?;
    }
    Ok(())
}

/// What the call chooses, before groups that it leaves out are filled in.
fn settings(
    world: &World,
    engine: &str,
    params: &Params,
    joins: bool,
) -> Result<ClusterSettings, AwsError> {
    let mut settings = ClusterSettings::default();
    if engine == "aurora-postgresql" {
        settings.port = 5432;
    }
    cluster_settings(&mut settings, params)?;
    if joins && world.behaviour.joining_drops_insights {
        settings.performance_insights = None;
        settings.monitoring = None;
        settings.database_insights_mode = None;
    }
    Ok(settings)
}

pub(super) fn fill_groups(
    world: &World,
    region: &str,
    engine: &str,
    params: &Params,
    settings: &mut ClusterSettings,
) -> Result<(), AwsError> {
    let Some(here) = world.rds.regions.get(region) else { return Ok(()) };
    if !params.has("DBClusterParameterGroupName") {
        let default = here.cluster_parameter_groups.values();
        let mut default =
            default.filter(|g| g.name.starts_with("default.") && g.family.starts_with(engine));
        if let Some(group) = default.next() {
            settings.parameter_group.clone_from(&group.name);
        }
    }
    check_cluster_groups(settings, here, engine)?;
    check_zones(world, region, &settings.subnet_group)?;
    let vpc_id = here
        .subnet_groups
        .get(&settings.subnet_group)
        .map(|group| group.vpc_id.as_str())
        .unwrap_or_default();
    if settings.security_groups.is_empty() {
        let default = world.network.default_group(region, vpc_id).map(str::to_owned);
        settings.security_groups.extend(default);
    }
    check_security_groups(world, region, &settings.security_groups)
}

/// Aurora wants subnets in two Availability Zones.
pub(super) fn check_zones(world: &World, region: &str, group: &str) -> Result<(), AwsError> {
    let here = world.rds.regions.get(region);
    let Some(group) = here.and_then(|here| here.subnet_groups.get(group)) else { return Ok(()) };
    let subnets = group.subnets.iter().filter_map(|id| world.network.subnet(region, id));
    let zones: BTreeSet<&str> = subnets.map(|subnet| subnet.availability_zone.as_str()).collect();
    if zones.len() >= ZONES_MIN {
        return Ok(());
    }
    let message = format!(
        "DB subnet group {} doesn't meet Availability Zone (AZ) coverage requirement. Please add \
         subnets to cover at least {ZONES_MIN} AZs. Current coverage: {}",
        group.name,
        zones.len()
    );
    Err(AwsError::bad_request("DBSubnetGroupDoesNotCoverEnoughAZs", message))
}

pub(super) fn check_security_groups(
    world: &World,
    region: &str,
    groups: &[String],
) -> Result<(), AwsError> {
    match groups.iter().find(|group| !world.network.has_group(region, group)) {
        Some(group) => Err(invalid_value(format!("Invalid security group , groupId= {group}"))),
        None => Ok(()),
    }
}

fn new_cluster(
    world: &mut World,
    region: &str,
    id: &str,
    params: &Params,
    settings: ClusterSettings,
    source: Option<&Cluster>,
) -> Cluster {
    let text = |name: &str| params.get(name).map(str::to_owned);
    let resource_id = world.rds.new_resource_id("cluster");
    let active_ms = world.now_ms + world.draw_ms(world.behaviour.timings.attach_s);
    let mut attached_ms: BTreeMap<String, i64> =
        settings.roles.iter().map(|role| (role.arn.clone(), active_ms)).collect();
    let managed = params.get("ManageMasterUserPassword") == Some("true");
    let account = &world.account;
    let managed_secret_arn = managed
        .then(|| format!("arn:aws:secretsmanager:{region}:{account}:secret:rds!{resource_id}"));
    attached_ms.extend(managed_secret_arn.iter().map(|arn| (arn.clone(), active_ms)));
    Cluster {
        engine: text("Engine").unwrap_or_default(),
        engine_version: source
            .map(|source| source.engine_version.clone())
            .or_else(|| text("EngineVersion"))
            .unwrap_or_else(|| "8.0.mysql_aurora.3.08.0".to_owned()),
        database_name: source.map_or_else(|| text("DatabaseName"), |s| s.database_name.clone()),
        master_username: source
            .map_or_else(|| text("MasterUsername"), |s| s.master_username.clone()),
        managed_secret_arn,
        settings,
        created_at_ms: world.now_ms,
        attached_ms,
        host_mark: host_mark(world, &resource_id),
        ..Cluster::new(&world.rds, region, id, resource_id)
    }
}

/// What the host names of a cluster made now have beside those of its namesakes.
pub(super) fn host_mark(world: &World, resource_id: &str) -> String {
    let anew = world.behaviour.endpoints_are_made_anew;
    let mark = resource_id.to_ascii_lowercase();
    if anew { mark.chars().rev().take(4).collect() } else { String::new() }
}

/// Puts the new cluster into the world, and into its global cluster.
fn enter(
    world: &mut World,
    mut cluster: Cluster,
    global: Option<GlobalCluster>,
    source: Option<Cluster>,
) -> String {
    let timings = world.behaviour.timings.clone();
    let mut seconds = timings.create_cluster_s;
    if let Some(global) = &global {
        let id = global.id.clone();
        cluster.membership = match &source {
            Some(source) => Membership::Reader { global: id.clone(), source: source.arn.clone() },
            None => Membership::Writer { global: id.clone() },
        };
        cluster.shown_global = Some(id);
        if source.is_some() {
            seconds += timings.join_extra_s;
        }
        let listed = RdsEvent::MemberListed { resource_id: cluster.resource_id.clone() };
        world.eventually(timings.member_listed_s, listed);
    }
    world.rows.create_volume(&cluster.resource_id, 0);
    let event = RdsEvent::ClusterCreated {
        resource_id: cluster.resource_id.clone(),
        status: world.ending(),
    };
    world.after(seconds, event);
    let (region, id) = (cluster.region.clone(), cluster.id.clone());
    if let Some(here) = world.rds.regions.get_mut(&region) {
        here.clusters.insert(id, cluster.clone());
    }
    Xml::fragment(|xml| {
        xml.element("DBCluster", |xml| {
            render_cluster::cluster(xml, &cluster, world);
        });
    })
}
