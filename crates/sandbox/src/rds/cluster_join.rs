//! CreateDBCluster: alone, as the first member of an empty global cluster, or joining one.

use std::collections::BTreeMap;

use super::event::RdsEvent;
use super::global_api::{named, not_found};
use super::params::{
    check_cluster_groups, cluster_settings, cluster_state, global_state, identifier,
    invalid_combination, invalid_value,
};
use super::settings::ClusterSettings;
use super::{Answer, Cluster, GlobalCluster, Member, Membership, render_cluster};
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// Clusters a Region may hold.
const CLUSTERS_MAX: usize = 40;

/// What a joining cluster may not be given, with the words of the refusal.
const INHERITED: [(&str, &str); 5] = [
    ("MasterUsername", "user name"),
    ("MasterUserPassword", "password"),
    ("DatabaseName", "database name"),
    ("ManageMasterUserPassword", "managed master user password"),
    ("MasterUserSecretKmsKeyId", "master user secret key"),
];

pub(super) fn create(world: &mut World, region: &str, params: &Params) -> Answer {
    let id = identifier(params, "DBClusterIdentifier", 63)?;
    let engine = params.required("Engine")?.to_owned();
    let global = match params.has("GlobalClusterIdentifier") {
        true => Some(named(&world.rds, params)?.clone()),
        false => None,
    };
    if !["aurora-mysql", "aurora-postgresql"].contains(&engine.as_str()) {
        return Err(invalid_value(format!("Invalid DB engine: {engine}")));
    }
    if world.rds.cluster(region, &id).is_some() {
        return Err(AwsError::bad_request(
            "DBClusterAlreadyExistsFault",
            "DB Cluster already exists",
        ));
    }
    let here = world.rds.clusters().filter(|cluster| cluster.region == region).count();
    if here >= CLUSTERS_MAX {
        let message = "DB Cluster quota exceeded";
        return Err(AwsError::new(403, "DBClusterQuotaExceededFault", message));
    }
    let source = global.as_ref().map(|g| join_rules(world, region, &id, g, params)).transpose()?;
    let source = source.flatten();
    if source.is_none() {
        standalone_rules(params)?;
    }
    let mut settings = ClusterSettings::default();
    if engine == "aurora-postgresql" {
        settings.port = 5432;
    }
    cluster_settings(&mut settings, params)?;
    if global.is_some() && world.behaviour.joining_drops_insights {
        settings.performance_insights = None;
        settings.monitoring = None;
        settings.database_insights_mode = None;
    }
    fill_groups(world, region, &engine, params, &mut settings)?;
    let kms_key = kms_key(world, region, params, source.as_ref())?;

    let cluster = new_cluster(world, region, &id, params, settings, kms_key, source.as_ref());
    Ok(Some(enter(world, cluster, global, source)))
}

/// The writer to replicate, if the global cluster has one, once all rules of joining hold.
fn join_rules(
    world: &World,
    region: &str,
    id: &str,
    global: &GlobalCluster,
    params: &Params,
) -> Result<Option<Cluster>, AwsError> {
    let global_id = &global.id;
    if global.status == "deleting" {
        return Err(not_found(global_id));
    }
    if global.operation.is_some() {
        return Err(global_state(format!("Global cluster {global_id} is not available")));
    }
    let member = |cluster: &&Cluster| cluster.global() == Some(global_id);
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
    for (parameter, words) in INHERITED {
        if params.has(parameter) {
            return Err(invalid_combination(format!(
                "Cannot specify {words} for cross region replication cluster"
            )));
        }
    }
    if params.has("ReplicationSourceIdentifier") {
        return Err(cluster_state(format!(
            "Source cluster {} doesn't have binlogs enabled",
            source.arn
        )));
    }
    let listed_here = |m: &Member| m.arn.split(':').nth(3) == Some(region);
    if global.members.iter().any(listed_here)
        || world.rds.clusters().filter(member).any(|cluster| cluster.region == region)
    {
        return Err(invalid_value(format!(
            "Global cluster {global_id} already has a member in {region}"
        )));
    }
    if world.rds.clusters().filter(member).any(|cluster| cluster.id == id) {
        return Err(invalid_value(format!(
            "Cluster identifier {id} is already used by a member of global cluster {global_id}"
        )));
    }
    matching(global, params)?;
    Ok(Some(source.clone()))
}

/// What a joining cluster has in common with all members.
fn matching(global: &GlobalCluster, params: &Params) -> Result<(), AwsError> {
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
    if params.bool("StorageEncrypted")?.unwrap_or(false) != global.storage_encrypted {
        return Err(differs("storageEncrypted"));
    }
    if params.has("BacktrackWindow") {
        return Err(invalid_combination("Backtrack is not supported for global clusters"));
    }
    Ok(())
}

fn standalone_rules(params: &Params) -> Result<(), AwsError> {
    params.required("MasterUsername")?;
    if params.bool("ManageMasterUserPassword")? != Some(true) {
        params.required("MasterUserPassword")?;
    }
    Ok(())
}

fn fill_groups(
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

/// The key a new cluster is encrypted with.
fn kms_key(
    world: &World,
    region: &str,
    params: &Params,
    source: Option<&Cluster>,
) -> Result<Option<String>, AwsError> {
    let encrypted = params.bool("StorageEncrypted")?.unwrap_or(false)
        || params.has("KmsKeyId")
        || source.is_some_and(|source| source.kms_key.is_some());
    if !encrypted {
        return Ok(None);
    }
    let keys = world.rds.regions.get(region).map_or(&[][..], |here| here.kms_keys.as_slice());
    let inaccessible = |key: &str| {
        AwsError::bad_request(
            "KMSKeyNotAccessibleFault",
            format!(
                "The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it."
            ),
        )
    };
    match params.get("KmsKeyId") {
        Some(key)
            if keys.iter().any(|known| known == key || known.ends_with(&format!("/{key}"))) =>
        {
            Ok(keys.iter().find(|known| known.ends_with(key)).cloned())
        }
        Some(key) => Err(inaccessible(key)),
        None => match source {
            Some(source) if world.behaviour.encrypted_join_needs_a_key => {
                Err(invalid_combination(format!(
                    "Source cluster {} is encrypted; pre-signed URL has to be specified",
                    source.arn
                )))
            }
            _ => keys.first().cloned().map(Some).ok_or_else(|| inaccessible("aws/rds")),
        },
    }
}

fn new_cluster(
    world: &mut World,
    region: &str,
    id: &str,
    params: &Params,
    settings: ClusterSettings,
    kms_key: Option<String>,
    source: Option<&Cluster>,
) -> Cluster {
    let text = |name: &str| params.get(name).map(str::to_owned);
    let resource_id = world.rds.new_resource_id("cluster");
    let active_ms = world.now_ms + world.draw_ms(world.behaviour.timings.attach_s);
    let roles_active_ms: BTreeMap<String, i64> =
        settings.roles.iter().map(|role| (role.arn.clone(), active_ms)).collect();
    let managed = params.get("ManageMasterUserPassword") == Some("true");
    Cluster {
        region: region.to_owned(),
        id: id.to_owned(),
        arn: world.rds.arn(region, "cluster", id),
        status: "creating".to_owned(),
        engine: text("Engine").unwrap_or_default(),
        engine_version: source
            .map(|source| source.engine_version.clone())
            .or_else(|| text("EngineVersion"))
            .unwrap_or_else(|| "8.0.mysql_aurora.3.08.0".to_owned()),
        database_name: source.map_or_else(|| text("DatabaseName"), |s| s.database_name.clone()),
        master_username: source
            .map_or_else(|| text("MasterUsername"), |s| s.master_username.clone()),
        managed_secret_arn: managed.then(|| {
            format!("arn:aws:secretsmanager:{region}:{}:secret:rds!{resource_id}", world.account)
        }),
        resource_id,
        kms_key,
        settings,
        created_at_ms: world.now_ms,
        membership: Membership::Standalone,
        shown_global: None,
        writer_instance: None,
        guarded_until_ms: 0,
        keeps_backups: false,
        roles_active_ms,
        endpoints: BTreeMap::new(),
    }
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
