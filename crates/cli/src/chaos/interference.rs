//! What an operator, or a Region, does to a run that is under way.
//!
//! An act strikes once, at a moment or when a state is entered; it says what it did, what that
//! excuses, and how it is put right before the failback is started again.

use failback_sandbox::World;
use failback_sandbox::network::Network;
use rand::Rng;
use rand::rngs::SmallRng;

use super::invariants::Excuses;
use super::names::{Named, Names};
use super::worlds::pick;

/// One thing that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// An operator deletes an instance of home's rebuilt cluster.
    DeletesHomeInstance,
    /// An operator deletes an instance of away's rebuilt cluster.
    DeletesAwayInstance,
    /// An operator renames the stale cluster.
    RenamesStale,
    /// An operator gives another cluster the stale one's name.
    SwapsNames,
    /// The same in away.
    SwapsAwayNames,
    /// An operator switches deletion protection on.
    Protects,
    /// An operator lifts the fence in away by hand.
    LiftsFence,
    /// An operator deletes a parameter group that the rebuilt cluster needs.
    DeletesGroup,
    /// Away is modified by somebody for some minutes.
    Modifies,
    /// The writer's name is pointed back to away.
    MovesNameBack,
    /// Home is isolated again, as in the disaster.
    IsolatesHome,
    /// Replication into home falls behind for some minutes.
    Lags,
    /// A second execution is started at the same moment, with the same input.
    StartsSecond,
}

/// Acts that can be drawn. Some stand there more often, because only few of their moments meet what
/// they are meant to meet.
pub const DRAWN: [Act; 18] = [
    Act::DeletesHomeInstance,
    Act::DeletesAwayInstance,
    Act::RenamesStale,
    Act::SwapsNames,
    Act::SwapsAwayNames,
    Act::Protects,
    Act::LiftsFence,
    Act::DeletesGroup,
    Act::Modifies,
    Act::MovesNameBack,
    Act::IsolatesHome,
    Act::Lags,
    Act::StartsSecond,
    Act::StartsSecond,
    Act::StartsSecond,
    Act::SwapsNames,
    Act::SwapsNames,
    Act::RenamesStale,
];

/// When an act strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// So many milliseconds after the run began.
    At(i64),
    /// When this state of any machine is entered.
    Entered(String),
}

/// An act and its moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interference {
    /// What.
    pub act: Act,
    /// When.
    pub when: When,
}

/// Puts right what an operator did.
pub type Undo = Box<dyn FnOnce(&mut World)>;

/// What an act came to.
pub struct Struck {
    /// What happened, for the trace.
    pub what: String,
    /// How it is put right before the next run; nothing has to be when absent.
    pub undo: Option<Undo>,
    /// The same, but by itself, so many milliseconds later.
    pub passes: Option<(i64, Undo)>,
}

impl Act {
    /// Its kind, as reports count it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::DeletesHomeInstance | Self::DeletesAwayInstance => "operator deletes an instance",
            Self::RenamesStale => "operator renames a cluster",
            Self::SwapsNames | Self::SwapsAwayNames => "operator gives a name to another cluster",
            Self::Protects => "operator protects a cluster",
            Self::LiftsFence => "operator lifts the fence",
            Self::DeletesGroup => "operator deletes a parameter group",
            Self::Modifies => "operator modifies away",
            Self::MovesNameBack => "operator moves a name back",
            Self::IsolatesHome => "home isolated again",
            Self::Lags => "replication lags",
            Self::StartsSecond => "second execution",
        }
    }

    /// States whose entry is a good moment: the act meets what the state is about to do.
    fn moments(self) -> &'static [&'static str] {
        match self {
            Self::DeletesHomeInstance => &[
                "FenceWrites",
                "CheckMember",
                "VerifyTopologyHomePromoted",
                "CutOverDns",
                "DetachMemberAway",
                "VerifyTopologyAwayDetached",
                "ConfigureCluster",
            ],
            Self::DeletesAwayInstance => &["CheckMember", "LiftFence", "VerifyTopologyFinished"],
            Self::RenamesStale => {
                &["DeleteInstances", "DeleteCluster", "CheckDeletion", "RetireHome"]
            }
            Self::SwapsNames | Self::SwapsAwayNames => {
                &["DeleteInstances", "DeleteCluster", "SetDeletionProtection", "CheckDetachment"]
            }
            Self::Protects => &["DeleteInstances", "DeleteCluster"],
            Self::LiftsFence => &[
                "CheckReplicationBehindFence",
                "CheckDetachment",
                "CutOverDns",
                "DetachMemberAway",
                "VerifyTopologyAwayDetached",
                "VerifyTopologyHomePromoted",
            ],
            Self::DeletesGroup => &["CreateCluster", "CreateInstances", "RestoreNetwork"],
            Self::Modifies => &[
                "VerifyTopologyHomeRetired",
                "CreateGlobalCluster",
                "DeleteCluster",
                "FenceWrites",
            ],
            Self::MovesNameBack => &["CheckDns", "DetachMemberAway", "RetireAway"],
            Self::IsolatesHome => {
                &["CreateCluster", "FenceWrites", "VerifyTopologyNetworkRestored"]
            }
            Self::Lags => {
                &["CheckReplicationBeforeFence", "FenceWrites", "CheckReplicationBehindFence"]
            }
            Self::StartsSecond => {
                &["LimitLock", "AcquireLock", "PlanFailback", "FenceWrites", "ReleaseLock"]
            }
        }
    }

    /// Does it. Nothing if there is nothing to do it to.
    pub fn strike(self, world: &mut World, names: &Names, excuses: &mut Excuses) -> Option<Struck> {
        match self {
            Self::DeletesHomeInstance => delete_instance(world, &names.home_restored, excuses),
            Self::DeletesAwayInstance => delete_instance(world, &names.away_restored, excuses),
            Self::RenamesStale => rename_stale(world, names),
            Self::SwapsNames => swap(world, names, &names.home, "gdb1-bystander"),
            Self::SwapsAwayNames => swap(world, names, &names.away, "gdb2-bystander"),
            Self::Protects => protect(world, names, excuses),
            Self::LiftsFence => lift_fence(world, names, excuses),
            Self::DeletesGroup => delete_group(world, names),
            Self::Modifies => modify(world, names),
            Self::MovesNameBack => move_name_back(world, names, excuses),
            Self::IsolatesHome => isolate_home(world),
            Self::Lags => lag(world, names),
            Self::StartsSecond => None,
        }
    }
}

/// Draws what is done to a run, if anything.
pub fn draw(rng: &mut SmallRng) -> Vec<Interference> {
    let count = *pick(rng, &[0, 0, 0, 1, 1, 2]);
    (0..count)
        .map(|_| {
            let act = *pick(rng, &DRAWN);
            let when = if rng.random_bool(0.7) {
                When::Entered((*pick(rng, act.moments())).to_owned())
            } else {
                When::At(rng.random_range(0..40 * 60_000))
            };
            Interference { act, when }
        })
        .collect()
}

fn did(what: impl Into<String>, undo: Option<Undo>) -> Option<Struck> {
    Some(Struck { what: what.into(), undo, passes: None })
}

fn delete_instance(world: &mut World, of: &Named, excuses: &mut Excuses) -> Option<Struck> {
    let cluster = Names::cluster(world, of)?.clone();
    let instance = world.rds.instances_of(&cluster).find(|i| i.status == "available")?.clone();
    let rest = world.rds.instances_of(&cluster).find(|i| i.id != instance.id).map(|i| i.id.clone());
    let region = world.rds.regions.get_mut(&of.0)?;
    region.instances.remove(&instance.id);
    region.clusters.get_mut(&of.1)?.writer_instance = rest;
    excuses.removed.insert(instance.resource_id.clone());
    let what = format!("{} of {} is deleted", instance.id, cluster.id);
    let undo: Undo = Box::new(move |world| {
        let Some(region) = world.rds.regions.get_mut(&instance.region) else { return };
        let Some(cluster) = region.clusters.get_mut(&instance.cluster_id) else { return };
        if region.instances.contains_key(&instance.id) {
            return;
        }
        cluster.writer_instance.get_or_insert_with(|| instance.id.clone());
        region.instances.insert(instance.id.clone(), instance);
    });
    did(what, Some(undo))
}

/// Renames a cluster with all that refers to it.
fn rename(world: &mut World, region: &str, from: &str, to: &str) -> Option<()> {
    let account = world.rds.account.clone();
    let here = world.rds.regions.get(region)?;
    let leaving = |arn: &str| {
        world.rds.globals.values().flat_map(|g| &g.members).any(|m| m.arn == arn && m.leaving)
    };
    // One that is leaving its global cluster is listed by the name it had.
    if here.clusters.contains_key(to) || leaving(&here.clusters.get(from)?.arn) {
        return None;
    }
    let here = world.rds.regions.get_mut(region)?;
    let mut cluster = here.clusters.remove(from)?;
    let arn = format!("arn:aws:rds:{region}:{account}:cluster:{to}");
    let old = std::mem::replace(&mut cluster.arn, arn.clone());
    to.clone_into(&mut cluster.id);
    here.clusters.insert(to.to_owned(), cluster);
    for instance in here.instances.values_mut().filter(|i| i.cluster_id == from) {
        to.clone_into(&mut instance.cluster_id);
    }
    for member in world.rds.globals.values_mut().flat_map(|g| g.members.iter_mut()) {
        if member.arn == old {
            arn.clone_into(&mut member.arn);
        }
    }
    Some(())
}

fn rename_stale(world: &mut World, names: &Names) -> Option<Struck> {
    let (region, id) = names.home.clone();
    Names::cluster(world, &names.home).filter(|c| c.status != "deleting")?;
    let other = format!("{id}-old");
    rename(world, &region, &id, &other)?;
    let what = format!("{id} is renamed to {other}");
    let undo: Undo = Box::new(move |world| {
        // Nothing to be done if it is gone by now.
        let _ = rename(world, &region, &other, &id);
    });
    did(what, Some(undo))
}

/// Another cluster gets the name of one that is to be deleted.
fn swap(world: &mut World, names: &Names, own: &Named, other: &str) -> Option<Struck> {
    let (region, id) = own.clone();
    let cluster = Names::cluster(world, own)?;
    // Nobody takes the name of the cluster that everybody writes to.
    if names.heir(world).is_none_or(|heir| heir.resource_id == cluster.resource_id) {
        return None;
    }
    if cluster.status != "available" || cluster.global().is_some() {
        return None;
    }
    world.rds.cluster(&region, other)?;
    let aside = format!("{id}-aside");
    rename(world, &region, &id, &aside)?;
    rename(world, &region, other, &id)?;
    let what = format!("{other} is renamed to {id}, and {id} to {aside}");
    let other = other.to_owned();
    let undo: Undo = Box::new(move |world| {
        let _ = rename(world, &region, &id, &other);
        let _ = rename(world, &region, &aside, &id);
    });
    did(what, Some(undo))
}

fn protect(world: &mut World, names: &Names, excuses: &mut Excuses) -> Option<Struck> {
    for (region, id) in [&names.home, &names.away] {
        let cluster = world.rds.regions.get_mut(region)?.clusters.get_mut(id);
        if let Some(cluster) = cluster.filter(|c| c.status == "available") {
            cluster.settings.deletion_protection = true;
            excuses.protected = true;
            let (region, id) = (region.clone(), id.clone());
            let what = format!("deletion protection of {id} is switched on");
            let undo: Undo = Box::new(move |world| {
                let region = world.rds.regions.get_mut(&region);
                if let Some(cluster) = region.and_then(|r| r.clusters.get_mut(&id)) {
                    cluster.settings.deletion_protection = false;
                }
            });
            return did(what, Some(undo));
        }
    }
    None
}

fn lift_fence(world: &mut World, names: &Names, excuses: &mut Excuses) -> Option<Struck> {
    lift_group(world, names, excuses).or_else(|| lift_acl(world, names, excuses))
}

/// Gives away's cluster the security groups that its like in the Region has.
fn lift_group(world: &mut World, names: &Names, excuses: &mut Excuses) -> Option<Struck> {
    let (region, id) = &names.away;
    let here = world.rds.regions.get_mut(region)?;
    let open = here.clusters.get("gdb2-bystander")?.settings.security_groups.clone();
    let cluster = here.clusters.get_mut(id)?;
    if cluster.settings.security_groups == open {
        return None;
    }
    cluster.detached_ms.clear();
    for group in &open {
        cluster.attached_ms.remove(group);
    }
    let what = format!("{id} is given [{}]", open.join(", "));
    cluster.settings.security_groups = open;
    excuses.fence_opened = true;
    did(what, None)
}

fn lift_acl(world: &mut World, names: &Names, excuses: &mut Excuses) -> Option<Struck> {
    let (region, id) = &names.away;
    let subnets = world.cluster_subnets(region, id);
    let open = open_acl(&world.network, region)?;
    let fenced = |w: &World, s: &String| w.network.acl_of(region, s).is_some_and(|a| a != open);
    if !subnets.iter().any(|s| fenced(world, s)) {
        return None;
    }
    for subnet in &subnets {
        world.network.associate(region, subnet, &open);
    }
    excuses.fence_opened = true;
    did(format!("the subnets of {id} are put on {open}"), None)
}

/// The default network ACL of the workshop's VPC in a Region.
fn open_acl(network: &Network, region: &str) -> Option<String> {
    let public = match region {
        "us-east-1" => "subnet-0f6a2b48c7d9e0516",
        _ => "subnet-0a7b3c59d8e0f1627",
    };
    network.acl_of(region, public).map(str::to_owned)
}

fn delete_group(world: &mut World, names: &Names) -> Option<Struck> {
    let region = names.home.0.clone();
    let here = world.rds.regions.get_mut(&region)?;
    let used = |group: &str| here.clusters.values().any(|c| c.settings.parameter_group == group);
    let id =
        here.cluster_parameter_groups.keys().find(|g| g.starts_with("gdb1") && !used(g))?.clone();
    let group = here.cluster_parameter_groups.remove(&id)?;
    let what = format!("the DB cluster parameter group {id} is deleted");
    let undo: Undo = Box::new(move |world| {
        if let Some(here) = world.rds.regions.get_mut(&region) {
            here.cluster_parameter_groups.insert(id, group);
        }
    });
    did(what, Some(undo))
}

fn modify(world: &mut World, names: &Names) -> Option<Struck> {
    let (region, id) = names.away.clone();
    let here = world.rds.regions.get_mut(&region)?;
    let cluster = here.clusters.get_mut(&id).filter(|c| c.status == "available")?;
    "modifying".clone_into(&mut cluster.status);
    let resource_id = cluster.resource_id.clone();
    let what = format!("{id} is modifying");
    let back: Undo = Box::new(move |world| {
        let clusters = world.rds.regions.values_mut().flat_map(|r| r.clusters.values_mut());
        for cluster in clusters.filter(|c| c.resource_id == resource_id) {
            if cluster.status == "modifying" {
                "available".clone_into(&mut cluster.status);
            }
        }
    });
    Some(Struck { what, undo: None, passes: Some((8 * 60_000, back)) })
}

fn move_name_back(world: &mut World, names: &Names, excuses: &mut Excuses) -> Option<Struck> {
    let (zone, name, _) = names.records.first()?.clone();
    let account = world.account.clone();
    let away = Names::cluster(world, &names.away)?;
    let host = away.host(failback_sandbox::EndpointKind::Writer, &account);
    world.dns.set_cname(&zone, &name, 5, &host);
    excuses.names_moved = true;
    did(format!("{name} is pointed at {host}"), None)
}

fn isolate_home(world: &mut World) -> Option<Struck> {
    let region = "us-east-1";
    let subnets = world.cluster_subnets(region, "gdb1-cluster-restored");
    let mut any = false;
    for subnet in subnets {
        any |= world.network.associate(region, &subnet, "acl-0deadbeef0a11c105").is_some();
    }
    any.then_some(())?;
    let open = open_acl(&world.network, region)?;
    let undo: Undo = Box::new(move |world| {
        for subnet in world.cluster_subnets(region, "gdb1-cluster-restored") {
            world.network.associate(region, &subnet, &open);
        }
    });
    did("home's subnets are isolated", Some(undo))
}

fn lag(world: &mut World, names: &Names) -> Option<Struck> {
    let (region, id) = names.home_restored.clone();
    Names::cluster(world, &names.home_restored).filter(|c| c.is_reader())?;
    let usual_ms = world.behaviour.replication_lag_ms;
    world.set_replication_lag(&region, &id, 240_000);
    let back: Undo = Box::new(move |world| world.set_replication_lag(&region, &id, usual_ms));
    let what = "replication into home falls behind".to_owned();
    Some(Struck { what, undo: None, passes: Some((5 * 60_000, back)) })
}
