//! CreateGlobalCluster, DescribeGlobalClusters, ModifyGlobalCluster, DeleteGlobalCluster.

use std::collections::BTreeMap;

use super::event::RdsEvent;
use super::params::{
    cluster_state, filters, global_state, identifier, invalid_combination, invalid_value, page,
    tags,
};
use super::{Answer, Cluster, GlobalCluster, Membership, Rds, render};
use crate::wire::{AwsError, Params, Xml};
use crate::world::World;

/// `GlobalClusterNotFoundFault`.
pub(super) fn not_found(id: &str) -> AwsError {
    AwsError::not_found("GlobalClusterNotFoundFault", format!("Global cluster {id} not found"))
}

/// The global cluster that a call names; look-ups do not mind the case.
pub(super) fn named<'a>(rds: &'a Rds, params: &Params) -> Result<&'a GlobalCluster, AwsError> {
    named_in(&rds.globals, params)
}

fn named_in<'a>(
    globals: &'a BTreeMap<String, GlobalCluster>,
    params: &Params,
) -> Result<&'a GlobalCluster, AwsError> {
    let id = params.required("GlobalClusterIdentifier")?;
    if id.starts_with("arn:") {
        return Err(invalid_value(format!("Invalid global cluster identifier:  {id}")));
    }
    globals.get(&id.to_ascii_lowercase()).ok_or_else(|| not_found(id))
}

pub(super) fn answer(world: &World, global: &GlobalCluster) -> String {
    Xml::fragment(|xml| xml.element("GlobalCluster", |xml| render::global(xml, global, world)))
}

pub(super) fn create(world: &mut World, region: &str, params: &Params) -> Answer {
    let id = identifier(params, "GlobalClusterIdentifier", 63)?;
    match params.get("SourceDBClusterIdentifier").map(str::to_owned) {
        Some(source) => create_from(world, region, params, &id, &source),
        None => create_empty(world, params, &id),
    }
}

fn create_from(world: &mut World, region: &str, params: &Params, id: &str, source: &str) -> Answer {
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
    let source = find_source(&world.rds, region, source)?.clone();
    refuse_existing(&world.rds, id)?;
    check_source(&source)?;
    let protected = params.bool("DeletionProtection")?.unwrap_or(false);
    let tags = tags(params)?;

    let resource_id = world.rds.new_resource_id("cluster").to_ascii_lowercase();
    let mut global = GlobalCluster::of(&source, id, resource_id.clone(), &world.rds.account);
    global.deletion_protection = protected;
    global.tags = tags;
    let answer = answer(world, &global);
    world.rds.globals.insert(id.to_owned(), global);
    if let Some(cluster) = world.rds.cluster_mut(&source.region, &source.id) {
        cluster.membership = Membership::Writer { global: id.to_owned() };
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

fn create_empty(world: &mut World, params: &Params, id: &str) -> Answer {
    let Some(engine) = params.get("Engine") else {
        return Err(invalid_value(
            "When creating standalone global cluster, value for engineName should be specified",
        ));
    };
    refuse_existing(&world.rds, id)?;
    let engine = engine.to_owned();
    let encrypted = params.bool("StorageEncrypted")?.unwrap_or(false);
    let protected = params.bool("DeletionProtection")?.unwrap_or(false);
    let tags = tags(params)?;
    let resource_id = world.rds.new_resource_id("cluster").to_ascii_lowercase();
    let global = GlobalCluster {
        id: id.to_owned(),
        resource_id: resource_id.clone(),
        arn: format!("arn:aws:rds::{}:global-cluster:{id}", world.account),
        status: "creating".to_owned(),
        engine_version: params.get("EngineVersion").unwrap_or_default().to_owned(),
        engine,
        database_name: params.get("DatabaseName").map(str::to_owned),
        storage_encrypted: encrypted,
        deletion_protection: protected,
        tags,
        members: Vec::new(),
        operation: None,
        not_empty_until_ms: 0,
        setting_up_until_ms: 0,
    };
    let answer = answer(world, &global);
    world.rds.globals.insert(id.to_owned(), global);
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

fn find_source<'a>(rds: &'a Rds, region: &str, arn: &str) -> Result<&'a Cluster, AwsError> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "rds", actual, _, "cluster", id] = parts.as_slice() else {
        return Err(invalid_value(format!("Malformed db cluster arn {arn}")));
    };
    if *actual != region {
        return Err(invalid_value(format!(
            "The provided ARN ({arn}) is invalid for this parameter (SourceDBClusterIdentifier). \
             Expected region = {region}, actual region = {actual}"
        )));
    }
    rds.cluster(region, id).ok_or_else(|| {
        AwsError::not_found("DBClusterNotFoundFault", format!("DBCluster {id} not found"))
    })
}

fn check_source(source: &Cluster) -> Result<(), AwsError> {
    let id = &source.id;
    if source.status != "available" {
        return Err(cluster_state(format!(
            "DbCluster {id} is in {} state but expected it to be one of available",
            source.status
        )));
    }
    if source.global().is_some() || source.shown_global.is_some() {
        return Err(cluster_state(format!(
            "Source cluster {} is already a member of a global cluster",
            source.arn
        )));
    }
    if source.managed_secret_arn.is_some() {
        return Err(invalid_combination(format!(
            "DB cluster {id} has its master password managed in Secrets Manager, which global \
             clusters do not support"
        )));
    }
    if source.settings.backtrack_window_s.is_some() {
        return Err(invalid_combination(format!(
            "DB cluster {id} has backtrack enabled, which global clusters do not support"
        )));
    }
    Ok(())
}

pub(super) fn describe(world: &mut World, region: &str, params: &Params) -> Answer {
    let world = &*world;
    let seen = world.globals_seen_from(region);
    let found: Vec<&GlobalCluster> = if params.has("GlobalClusterIdentifier") {
        vec![named_in(seen, params)?]
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
    let global = named(&world.rds, params)?;
    let (id, resource_id) = (global.id.clone(), global.resource_id.clone());
    if global.status != "available" {
        return Err(global_state(format!("Global cluster {id} is in {} state", global.status)));
    }
    if let Some(version) = params.get("EngineVersion")
        && version != global.engine_version
    {
        let message = format!("Global cluster {id} only supports Major Version Upgrades");
        return Err(invalid_value(message));
    }
    let renamed = params.has("NewGlobalClusterIdentifier");
    let new_id = renamed.then(|| identifier(params, "NewGlobalClusterIdentifier", 63));
    let new_id = new_id.transpose()?.filter(|new_id| *new_id != id);
    if let Some(new_id) = &new_id {
        refuse_existing(&world.rds, new_id)?;
    }
    if let Some(protected) = params.bool("DeletionProtection")?
        && let Some(global) = world.global_named(&resource_id)
    {
        global.deletion_protection = protected;
    }
    if let Some(new_id) = new_id {
        rename(world, &id, new_id)?;
    }
    let global = world.global_named(&resource_id).cloned().ok_or_else(|| not_found(&id))?;
    Ok(Some(answer(world, &global)))
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
    let global = named(&world.rds, params)?.clone();
    if global.status == "deleting" {
        let message = format!("Global cluster {} is being deleted", global.id);
        let refused = world.behaviour.second_deletion_refused;
        return if refused { Err(global_state(message)) } else { Ok(Some(answer(world, &global))) };
    }
    if global.deletion_protection {
        return Err(invalid_combination(
            "Cannot delete protected Global Cluster, please disable deletion protection and try \
             again.",
        ));
    }
    // A source that is not listed yet is a member all the same.
    let in_use = world.rds.clusters_in(&global.id).next().is_some();
    if !global.members.is_empty() || in_use || world.now_ms < global.not_empty_until_ms {
        return Err(global_state(format!("Global Cluster {} is not empty", global.arn)));
    }
    if let Some(global) = world.global_named(&global.resource_id) {
        global.status = "deleting".to_owned();
    }
    let seconds = world.behaviour.timings.delete_global_s;
    world.after(seconds, RdsEvent::GlobalGone { global: global.resource_id.clone() });
    let global = world.rds.globals.get(&global.id).cloned().unwrap_or(global);
    Ok(Some(answer(world, &global)))
}
