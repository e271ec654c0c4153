//! CreateGlobalCluster, DescribeGlobalClusters, ModifyGlobalCluster, DeleteGlobalCluster.

use std::collections::BTreeMap;

use super::checks::Checks;
use super::event::RdsEvent;
use super::params::{
    cluster_state, filters, global_state, identifier, invalid_combination, invalid_value, page,
    tags, unestablished,
};
use super::{Answer, Cluster, GlobalCluster, Membership, Rds, instance_api, render, upgrade};
use crate::behaviour::Check;
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// `GlobalClusterNotFoundFault`.
pub(super) fn not_found(id: &str) -> AwsError {
    AwsError::not_found("GlobalClusterNotFoundFault", format!("Global cluster {id} not found"))
}

/// Where Aurora has no global clusters, it does not know the calls that are about them.
pub(super) fn check_region(world: &World, region: &str, operation: &str) -> Result<(), AwsError> {
    let unknown = world.rds.regions.get(region).is_some_and(|here| here.without_global_clusters);
    if unknown && operation.contains("GlobalCluster") {
        return Err(invalid_value("Access Denied to API Version: APIGlobalDatabases"));
    }
    Ok(())
}

/// The global cluster that a call names; look-ups do not mind the case.
pub(super) fn named<'a>(world: &'a World, params: &Params) -> Result<&'a GlobalCluster, AwsError> {
    named_in(&world.rds.globals, world, params)
}

fn named_in<'a>(
    globals: &'a BTreeMap<String, GlobalCluster>,
    world: &World,
    params: &Params,
) -> Result<&'a GlobalCluster, AwsError> {
    let id = params.required("GlobalClusterIdentifier")?;
    if id.starts_with("arn:") {
        let code = &world.behaviour.codes.arn_as_global_id;
        return Err(unestablished(code, format!("Invalid global cluster identifier:  {id}")));
    }
    globals.get(&id.to_ascii_lowercase()).ok_or_else(|| not_found(id))
}

pub(super) fn answer(world: &World, global: &GlobalCluster) -> String {
    Xml::fragment(|xml| xml.element("GlobalCluster", |xml| render::global(xml, global, world)))
}

pub(super) fn create(world: &mut World, region: &str, params: &Params) -> Answer {
    match params.get("SourceDBClusterIdentifier").map(str::to_owned) {
        Some(source) => create_from(world, region, params, &source),
        None => create_empty(world, params),
    }
}

/// The identifier and the tags of a new global cluster, if there is room for it.
fn check_new(world: &World, params: &Params, checks: &mut Checks) -> Option<New> {
    let id = checks.see(Check::Malformed, identifier(params, "GlobalClusterIdentifier", 63));
    let tags = checks.see(Check::Malformed, tags(params));
    let protected = checks.see(Check::Malformed, params.bool("DeletionProtection"));
    if let Some(id) = &id {
        checks.see(Check::Exists, refuse_existing(&world.rds, id));
    }
    if world.rds.globals.len() >= world.behaviour.global_clusters_max {
        let message = "Global cluster quota exceeded";
        let error = AwsError::bad_request("GlobalClusterQuotaExceededFault", message);
        checks.see::<()>(Check::Quota, Err(error));
    }
    Some(New { id: id?, tags: tags?, protected: protected?.unwrap_or(false) })
}

/// What a new global cluster is given in any case.
struct New {
    id: String,
    tags: BTreeMap<String, String>,
    protected: bool,
}

fn create_from(world: &mut World, region: &str, params: &Params, source: &str) -> Answer {
    let mut checks = Checks::of(world);
    checks.see(Check::Combination, refuse_inherited(params));
    let source = checks.see(Check::NotFound, find_source(world, region, source).cloned());
    let new = check_new(world, params, &mut checks);
    if let Some(source) = &source {
        checks.see(Check::State, check_source_state(source));
        checks.see(Check::Combination, check_source(world, source));
    }
    let (New { id, tags, protected }, source) = checks.end(new.zip(source))?;

    let resource_id = world.rds.new_resource_id("cluster").to_ascii_lowercase();
    let mut global = GlobalCluster::of(&source, &id, resource_id.clone(), &world.rds.account);
    global.deletion_protection = protected;
    global.tags = tags;
    let answer = answer(world, &global);
    world.rds.globals.insert(id.clone(), global);
    let modifies = world.behaviour.new_global_modifies_its_source;
    if let Some(cluster) = world.rds.cluster_mut(&source.region, &source.id) {
        cluster.membership = Membership::Writer { global: id };
        if modifies {
            "modifying".clone_into(&mut cluster.status);
        }
    }
    let timings = world.behaviour.timings.clone();
    let available_ms = become_available(world, &resource_id, timings.create_global_s);
    let listed_ms = world.draw_ms(timings.source_listed_s);
    let listed_ms = if world.behaviour.eventually_consistent { listed_ms } else { 0 };
    let event = RdsEvent::SourceListed { global: resource_id, arn: source.arn };
    let at_ms = available_ms.max(world.now_ms.saturating_add(listed_ms));
    world.schedule_at(at_ms, crate::Event::Rds(event));
    Ok(Some(answer))
}

fn refuse_inherited(params: &Params) -> Result<(), AwsError> {
    for (parameter, word) in [
        ("Engine", "engineName"),
        ("EngineVersion", "engineVersion"),
        ("DatabaseName", "databaseName"),
        ("StorageEncrypted", "storageEncrypted"),
    ] {
        if params.has(parameter) {
            return Err(invalid_combination(format!(
                "When creating global cluster from existing db cluster, value for {word} should \
                 not be specified since it will be inherited from source cluster"
            )));
        }
    }
    Ok(())
}

fn create_empty(world: &mut World, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let new = check_new(world, params, &mut checks);
    let engine = params.get("Engine").map(str::to_owned).ok_or_else(|| {
        invalid_value(
            "When creating standalone global cluster, value for engineName should be specified",
        )
    });
    let engine = checks.see(Check::Combination, engine);
    let encrypted = checks.see(Check::Malformed, params.bool("StorageEncrypted"));
    let found = new.zip(engine.zip(encrypted));
    let (New { id, tags, protected }, (engine, encrypted)) = checks.end(found)?;
    let resource_id = world.rds.new_resource_id("cluster").to_ascii_lowercase();
    let encrypted = encrypted.unwrap_or(false);
    let global = GlobalCluster {
        arn: format!("arn:aws:rds::{}:global-cluster:{id}", world.account),
        id: id.clone(),
        resource_id: resource_id.clone(),
        status: "creating".to_owned(),
        engine_version: params.get("EngineVersion").unwrap_or_default().to_owned(),
        engine_lifecycle_support: params
            .get("EngineLifecycleSupport")
            .map(str::to_owned)
            .filter(|_| engine == "aurora-postgresql"),
        engine,
        database_name: params.get("DatabaseName").map(str::to_owned),
        storage_encrypted: encrypted,
        encrypted_by_default: !encrypted && world.behaviour.encrypts_by_default,
        deletion_protection: protected,
        tags,
        members: Vec::new(),
        operation: None,
        not_empty_until_ms: 0,
        setting_up_until_ms: 0,
    };
    let answer = answer(world, &global);
    world.rds.globals.insert(id, global);
    let seconds = world.behaviour.timings.create_global_s;
    become_available(world, &resource_id, seconds);
    Ok(Some(answer))
}

fn become_available(world: &mut World, resource_id: &str, seconds: f64) -> i64 {
    let to = world.ending();
    let event =
        RdsEvent::GlobalStatus { global: resource_id.to_owned(), from: "creating".to_owned(), to };
    world.after(seconds, event)
}

fn refuse_existing(rds: &Rds, id: &str) -> Result<(), AwsError> {
    if !rds.globals.contains_key(id) {
        return Ok(());
    }
    let message = format!("Global cluster {id} already exists");
    Err(AwsError::bad_request("GlobalClusterAlreadyExistsFault", message))
}

fn find_source<'a>(world: &'a World, region: &str, arn: &str) -> Result<&'a Cluster, AwsError> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "rds", actual, _, "cluster", id] = parts.as_slice() else {
        return Err(invalid_value(format!("Malformed db cluster arn {arn}")));
    };
    if *actual != region {
        let code = &world.behaviour.codes.source_elsewhere;
        let message = format!(
            "The provided ARN ({arn}) is invalid for this parameter (SourceDBClusterIdentifier). \
             Expected region = {region}, actual region = {actual}"
        );
        return Err(unestablished(code, message));
    }
    world.rds.cluster(region, id).ok_or_else(|| {
        AwsError::not_found("DBClusterNotFoundFault", format!("DBCluster {id} not found"))
    })
}

fn check_source_state(source: &Cluster) -> Result<(), AwsError> {
    if source.status != "available" {
        return Err(cluster_state(format!(
            "DbCluster {} is in {} state but expected it to be one of available",
            source.id, source.status
        )));
    }
    if source.global().is_some() || source.shown_global.is_some() {
        return Err(cluster_state(format!(
            "Source cluster {} is already a member of a global cluster",
            source.arn
        )));
    }
    Ok(())
}

fn check_source(world: &World, source: &Cluster) -> Result<(), AwsError> {
    let (id, codes) = (&source.id, &world.behaviour.codes);
    if source.managed_secret_arn.is_some() {
        let message = format!(
            "DB cluster {id} has its master password managed in Secrets Manager, which global \
             clusters do not support"
        );
        return Err(unestablished(&codes.managed_secret, message));
    }
    if source.settings.backtrack_window_s.is_some() {
        let message =
            format!("DB cluster {id} has backtrack enabled, which global clusters do not support");
        return Err(unestablished(&codes.backtrack, message));
    }
    let mut instances = world.rds.instances_of(source);
    match instances.find(|instance| !instance_api::suits_global_clusters(&instance.settings.class))
    {
        Some(small) => Err(invalid_combination(format!(
            "DB instance class {} is not supported for global clusters",
            small.settings.class
        ))),
        None => Ok(()),
    }
}

pub(super) fn describe(world: &mut World, region: &str, params: &Params) -> Answer {
    let world = &*world;
    let seen = world.globals_seen_from(region);
    let found: Vec<&GlobalCluster> = if params.has("GlobalClusterIdentifier") {
        vec![named_in(seen, world, params)?]
    } else {
        seen.values().collect()
    };
    let filters = filters(params);
    let fits = |global: &&GlobalCluster| {
        filters.iter().all(|(name, values)| match name.as_str() {
            "region" => global.members.iter().any(|member| {
                let region = member.arn.split(':').nth(3).unwrap_or_default();
                values.iter().any(|value| value == region)
            }),
            "db-cluster-id" => global.members.iter().any(|member| values.contains(&member.arn)),
            _ => true,
        })
    };
    let (found, marker) = page(found.into_iter().filter(fits).collect(), params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        // The model names this element after the members.
        xml.list("GlobalClusters", "GlobalClusterMember", found, |xml, global| {
            render::global(xml, global, world);
        });
    })))
}

pub(super) fn modify(world: &mut World, params: &Params) -> Answer {
    let mut checks = Checks::of(world);
    let global = checks.see(Check::NotFound, named(world, params).cloned());
    let protected = checks.see(Check::Malformed, params.bool("DeletionProtection"));
    let mut new_id = None;
    let mut upgrade = None;
    if let Some(global) = &global {
        if params.has("NewGlobalClusterIdentifier") {
            let id = identifier(params, "NewGlobalClusterIdentifier", 63);
            new_id = checks.see(Check::Malformed, id).filter(|new_id| *new_id != global.id);
        }
        if let Some(new_id) = &new_id {
            checks.see(Check::Exists, refuse_existing(&world.rds, new_id));
        }
        checks.see(Check::State, check_modifiable(global));
        upgrade =
            checks.see(Check::Combination, upgrade::of_global(world, global, params)).flatten();
    }
    let (global, protected) = checks.end(global.zip(protected))?;

    let resource_id = global.resource_id.clone();
    if let Some(protected) = protected
        && let Some(global) = world.global_named(&resource_id)
    {
        global.deletion_protection = protected;
    }
    if let Some(new_id) = new_id {
        rename(world, &global.id, new_id)?;
    }
    let changed = world.global_named(&resource_id).is_some_and(|changed| *changed != global);
    if let Some(version) = upgrade {
        upgrade::begin_global(world, &resource_id, version);
    } else if changed && world.behaviour.global_modification_shows {
        show_modification(world, &resource_id);
    }
    let global = world.global_named(&resource_id).cloned().ok_or_else(|| not_found(&global.id))?;
    Ok(Some(answer(world, &global)))
}

fn check_modifiable(global: &GlobalCluster) -> Result<(), AwsError> {
    let id = &global.id;
    match global.status.as_str() {
        "available" => Ok(()),
        "upgrading" => Err(global_state(format!("Global cluster {id} is upgrading"))),
        status => Err(global_state(format!("Global cluster {id} is in {status} state"))),
    }
}

fn show_modification(world: &mut World, resource_id: &str) {
    if let Some(global) = world.global_named(resource_id) {
        "modifying".clone_into(&mut global.status);
    }
    let event = RdsEvent::GlobalStatus {
        global: resource_id.to_owned(),
        from: "modifying".to_owned(),
        to: "available".to_owned(),
    };
    let seconds = world.behaviour.timings.modify_s;
    world.after(seconds, event);
}

fn rename(world: &mut World, id: &str, new_id: String) -> Result<(), AwsError> {
    let mut global = world.rds.globals.remove(id).ok_or_else(|| not_found(id))?;
    global.arn = format!("arn:aws:rds::{}:global-cluster:{new_id}", world.account);
    global.id.clone_from(&new_id);
    let clusters = world.rds.regions.values_mut().flat_map(|region| region.clusters.values_mut());
    for cluster in clusters {
        if cluster.shown_global.as_deref() == Some(id) {
            cluster.shown_global = Some(new_id.clone());
        }
        match &mut cluster.membership {
            Membership::Writer { global } | Membership::Reader { global, .. } if global == id => {
                global.clone_from(&new_id);
            }
            _ => {}
        }
    }
    world.rds.globals.insert(new_id, global);
    Ok(())
}

pub(super) fn delete(world: &mut World, params: &Params) -> Answer {
    let global = named(world, params)?.clone();
    if global.status == "deleting" {
        let message = format!("Global cluster {} is being deleted", global.id);
        let refused = world.behaviour.second_deletion_refused;
        return if refused { Err(global_state(message)) } else { Ok(Some(answer(world, &global))) };
    }
    let mut checks = Checks::of(world);
    if global.deletion_protection {
        let code = &world.behaviour.codes.protected_global;
        let message = "Cannot delete protected Global Cluster, please disable deletion protection \
                       and try again.";
        checks.see::<()>(Check::State, Err(unestablished(code, message)));
    }
    // A source that is not listed yet is a member all the same.
    let in_use = world.rds.clusters_in(&global.id).next().is_some();
    if !global.members.is_empty() || in_use || world.now_ms < global.not_empty_until_ms {
        let message = format!("Global Cluster {} is not empty", global.arn);
        checks.see::<()>(Check::State, Err(global_state(message)));
    }
    checks.end(Some(()))?;
    if let Some(global) = world.global_named(&global.resource_id) {
        global.status = "deleting".to_owned();
    }
    let seconds = world.behaviour.timings.delete_global_s;
    world.after(seconds, RdsEvent::GlobalGone { global: global.resource_id.clone() });
    let global = world.rds.globals.get(&global.id).cloned().unwrap_or(global);
    Ok(Some(answer(world, &global)))
}
