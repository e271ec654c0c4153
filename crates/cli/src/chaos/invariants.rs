//! What must hold after every state, whatever was done to the run.
//!
//! **The heir** is the cluster whose lineage goes on: away's until home's rebuilt cluster is no
//! reader any more, that one from then on. Nothing undoes a promotion, so from that moment on a row
//! that only away holds is lost although away is still there. This is what makes the rules below
//! checkable at one moment, without knowing what the run will do next:
//!
//! - *Two writers.* The sandbox notes every moment in which clients could write to two clusters;
//!   there must be none so far.
//! - *Lost rows.* The heir holds every row that was ever acknowledged. Not counted are the rows that
//!   one cluster alone had when the world began: the disaster lost them, not the run. Those must
//!   be in a cluster or in an available snapshot as long as the world exists.
//! - *Snapshots.* A cluster that is being deleted has a final snapshot of its resource id, made in
//!   this run; when it is gone, that snapshot is available.
//! - *Only copy.* A deletion begins with the first instance. At that moment the cluster is not the
//!   heir, the heir holds everything, and it was seen to take writes (but for the network)
//!   within the last minutes. The rows that only the stale cluster has may go with it: they are in
//!   its snapshot.
//! - *Names.* Calls that change something are about the request's names, and what the request
//!   does not name is as it was: clusters, subnets, records, secrets.
//!
//! What an operator did by hand is excused by what it was, and by nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use failback_plan::request::PointsTo;
use failback_sandbox::rds::{Cluster, Membership};
use failback_sandbox::world::EndpointKind;
use failback_sandbox::{Call, World};

use super::names::{Bystanders, Names, content};

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: &'static str,
    /// When, in milliseconds since the run began.
    pub at_ms: i64,
    /// What was seen.
    pub seen: String,
}

/// At no moment could clients write to two clusters.
pub const TWO_WRITERS: &str = "two writers";
/// The heir holds every acknowledged row.
pub const LOST_ROWS: &str = "lost rows";
/// A deleted cluster leaves an available final snapshot.
pub const NO_SNAPSHOT: &str = "no final snapshot";
/// Nothing is deleted while it may be the only copy.
pub const ONLY_COPY: &str = "only copy deleted";
/// Only what the plan names is touched.
pub const NOT_NAMED: &str = "not named by the plan";
/// Every execution ends, in success or by a name of the runbook.
pub const NO_END: &str = "no end by a name";
/// Before the promotion a failed run leaves away serving.
pub const AWAY_SHUT: &str = "away does not serve";
/// A run that succeeded has reached the final table.
pub const WRONG_TABLE: &str = "not the final table";
/// Starting again finishes it.
pub const NOT_RESUMED: &str = "starting again does not finish it";
/// What must be refused is refused.
pub const NOT_REFUSED: &str = "not refused";

/// Ends that say themselves that nobody serves writes, or that it is not known.
pub const WRITES_REFUSED: [&str; 3] = ["FenceStillUp", "PromotionUnfinished", "PromotionNotOurs"];

/// For how long the heir may not have been seen to take writes when a deletion begins.
const UNSEEN_MS: i64 = 180_000;

/// What an operator does so shortly before the end was not there to be seen by the last look.
const UNNOTICED_MS: i64 = 60_000;

/// What an operator's hand excuses.
#[derive(Debug, Clone, Default)]
pub struct Excuses {
    /// The fence was opened: away may take writes that home does not get.
    pub fence_opened: bool,
    /// An aborted run may have left its fence up.
    pub fence_left: bool,
    /// Clusters and instances, by resource id, that an operator removed or renamed.
    pub removed: BTreeSet<String>,
    /// The writer's name was pointed elsewhere.
    pub names_moved: bool,
    /// Deletion protection was switched on by hand.
    pub protected: bool,
    /// When an operator last did something, in epoch milliseconds.
    pub acted_ms: Option<i64>,
}

/// A cluster that was seen.
#[derive(Debug, Clone)]
struct Known {
    region: String,
    id: String,
    /// It was there when the world began.
    old: bool,
    deletion_judged: bool,
    gone: bool,
}

/// Looks at a world again and again.
#[derive(Debug)]
pub struct Invariants {
    names: Names,
    bystanders: Bystanders,
    known: BTreeMap<String, Known>,
    /// Instance → cluster, by resource id of the cluster.
    instances: BTreeMap<(String, String), String>,
    /// Whether home's and away's clusters had deletion protection at the start.
    protected: [bool; 2],
    started_ms: i64,
    fingerprint: u64,
    calls_seen: usize,
    heir_served_ms: i64,
    /// What an operator did.
    pub excuses: Excuses,
    /// What was broken, the first of each rule.
    pub violations: Vec<Violation>,
    /// How often was looked.
    pub looks: u64,
}

impl Invariants {
    /// Begins with the world as it is.
    pub fn new(world: &World, names: Names) -> Self {
        let is_protected =
            |named| Names::cluster(world, named).is_some_and(|c| c.settings.deletion_protection);
        let mut new = Self {
            bystanders: Bystanders::of(world, &names),
            protected: [&names.home, &names.away].map(is_protected),
            names,
            known: BTreeMap::new(),
            instances: BTreeMap::new(),
            started_ms: world.now_ms,
            fingerprint: 0,
            calls_seen: world.calls.len(),
            heir_served_ms: world.now_ms,
            excuses: Excuses::default(),
            violations: Vec::new(),
            looks: 0,
        };
        new.learn(world, true);
        new
    }

    /// The names of the request.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What is not the request's is from now on as it is: an operator changed it.
    pub fn accept_bystanders(&mut self, world: &World) {
        self.bystanders = Bystanders::of(world, &self.names);
        self.learn(world, false);
    }

    /// Notes a broken rule, unless it was broken before.
    pub fn broken(&mut self, world: &World, invariant: &'static str, seen: String) {
        if !self.violations.iter().any(|v| v.invariant == invariant) {
            let at_ms = world.now_ms - self.started_ms;
            self.violations.push(Violation { invariant, at_ms, seen });
        }
    }

    /// Looks; answers the calls that changed something since the last look.
    pub fn look(&mut self, world: &World) -> Vec<Call> {
        self.looks += 1;
        if let Some(moment) = world.split.first().filter(|_| !self.excuses.fence_opened) {
            let clusters: Vec<_> = moment.clusters.iter().map(|c| c.cluster_id.as_str()).collect();
            let seen = format!("clients could write to {}", clusters.join(" and "));
            self.broken(world, TWO_WRITERS, seen);
        }
        let calls: Vec<Call> = world.calls.get(self.calls_seen..).unwrap_or_default().to_vec();
        self.calls_seen = world.calls.len();
        let changing: Vec<Call> = calls.into_iter().filter(|c| c.mutating).collect();
        for call in &changing {
            self.judge_call(world, call);
        }
        if let Some(heir) = self.names.heir(world)
            && world.rds.accepts_writes(heir)
        {
            self.heir_served_ms = world.now_ms;
        }
        let fingerprint = fingerprint(world);
        if fingerprint != self.fingerprint {
            self.fingerprint = fingerprint;
            self.learn(world, false);
            self.look_closely(world);
        }
        changing
    }

    /// The look that costs something, when what there is has changed.
    pub fn look_closely(&mut self, world: &World) {
        let heir = self.names.heir(world);
        let lost = world.rows.lost_to(heir.map(|c| c.resource_id.as_str()));
        if lost > 0 && !self.excuses.fence_opened {
            let name = heir.map_or("nobody", |c| c.id.as_str());
            self.broken(world, LOST_ROWS, format!("{name} lacks {lost} acknowledged rows"));
        }
        let snapshots = world.rds.regions.values().flat_map(|r| r.snapshots.values());
        let available: Vec<&str> =
            snapshots.filter(|s| s.status == "available").map(|s| s.arn.as_str()).collect();
        let (_, nowhere) = world.rows.beside_the_volumes(&available);
        if nowhere > 0 {
            self.broken(world, LOST_ROWS, format!("{nowhere} rows are in no cluster or snapshot"));
        }
        self.judge_clusters(world);
        let now = Bystanders::of(world, &self.names);
        if let Some(difference) = self.bystanders.difference(&now) {
            self.broken(world, NOT_NAMED, format!("{difference} was changed"));
        }
    }

    fn learn(&mut self, world: &World, old: bool) {
        for cluster in world.rds.clusters() {
            self.known.entry(cluster.resource_id.clone()).or_insert_with(|| Known {
                region: cluster.region.clone(),
                id: cluster.id.clone(),
                old,
                deletion_judged: false,
                gone: false,
            });
            for instance in world.rds.instances_of(cluster) {
                let key = (instance.region.clone(), instance.id.clone());
                self.instances.insert(key, cluster.resource_id.clone());
            }
        }
    }

    fn judge_call(&mut self, world: &World, call: &Call) {
        let named = match call.service.as_str() {
            "rds" => {
                let id = call.resource.rsplit(':').next().unwrap_or_default();
                self.names.allowed.contains(id)
            }
            "secretsmanager" => self.names.secrets.contains_key(&call.resource),
            "route53" => self.names.records.iter().any(|(zone, _, _)| call.resource.contains(zone)),
            // Associations have ids of their own: the bystanders' subnets are looked at instead.
            _ => true,
        };
        if !named {
            let seen = format!("{}:{} of {}", call.service, call.operation, call.resource);
            self.broken(world, NOT_NAMED, seen);
        }
        let of_instance =
            || self.instances.get(&(call.region.clone(), call.resource.clone())).cloned();
        let cluster = match call.operation.as_str() {
            "DeleteDBInstance" => of_instance(),
            "DeleteDBCluster" => {
                world.rds.cluster(&call.region, &call.resource).map(|c| c.resource_id.clone())
            }
            _ => None,
        };
        if let Some(cluster) = cluster.filter(|_| call.error.is_none()) {
            self.judge_deletion(world, &cluster);
        }
    }

    /// A deletion begins, with the first instance or with the cluster.
    fn judge_deletion(&mut self, world: &World, resource_id: &str) {
        let Some(known) = self.known.get_mut(resource_id) else { return };
        if std::mem::replace(&mut known.deletion_judged, true) {
            return;
        }
        let (id, old) = (known.id.clone(), known.old);
        let named = [&self.names.home, &self.names.away];
        let is_named = named.iter().any(|n| n.0 == known.region && n.1 == id);
        if !old || !is_named {
            let seen = format!("{id} ({resource_id}) is deleted, which the plan was not made for");
            self.broken(world, NOT_NAMED, seen);
        }
        let heir = self.names.heir(world);
        let unseen_ms = world.now_ms - self.heir_served_ms;
        let problem = match heir {
            None => Some("there is no other lineage".to_owned()),
            Some(heir) if heir.resource_id == resource_id => Some("it is the writer".to_owned()),
            Some(heir) => {
                let lost = world.rows.lost_to(Some(&heir.resource_id));
                if lost > 0 {
                    Some(format!("{} lacks {lost} acknowledged rows", heir.id))
                } else if unseen_ms > UNSEEN_MS {
                    Some(format!("{} took no writes for {} s", heir.id, unseen_ms / 1000))
                } else {
                    None
                }
            }
        };
        if let Some(problem) = problem {
            self.broken(world, ONLY_COPY, format!("{id} is deleted although {problem}"));
        }
    }

    fn judge_clusters(&mut self, world: &World) {
        let mut unsaved = Vec::new();
        for (resource_id, known) in &mut self.known {
            if known.gone || self.excuses.removed.contains(resource_id) {
                continue;
            }
            let region = world.rds.regions.get(&known.region);
            let cluster =
                region.and_then(|r| r.clusters.values().find(|c| c.resource_id == *resource_id));
            if cluster.is_some_and(|c| c.status != "deleting") {
                continue;
            }
            known.gone = cluster.is_none();
            let may_still_be_made = cluster.is_some();
            let started_ms = self.started_ms;
            let saved = region.is_some_and(|r| {
                r.snapshots.values().any(|s| {
                    s.cluster_resource_id == *resource_id
                        && s.snapshot_type == "manual"
                        && s.created_at_ms >= started_ms
                        && (s.status == "available" || may_still_be_made && s.status == "creating")
                })
            });
            if !saved {
                let word = if known.gone { "is gone" } else { "is being deleted" };
                unsaved.push((resource_id.clone(), format!("{} {word}", known.id)));
            }
        }
        for (resource_id, what) in unsaved {
            let seen = format!("{what} without a final snapshot of {resource_id}");
            self.broken(world, NO_SNAPSHOT, seen);
        }
    }

    /// What a run that failed must leave behind.
    pub fn judge_failure(&mut self, world: &World, error: &str) {
        let away = Names::cluster(world, &self.names.away);
        let before = match (self.names.heir(world), away) {
            (Some(heir), Some(away)) => heir.resource_id == away.resource_id,
            _ => false,
        };
        if !before || WRITES_REFUSED.contains(&error) || self.excuses.fence_left {
            return;
        }
        let writable = world.writable_clusters();
        let serves = |c: &failback_sandbox::ClusterName| {
            c.region == self.names.away.0 && c.cluster_id == self.names.away.1
        };
        if !writable.iter().any(serves) {
            self.broken(world, AWAY_SHUT, format!("the run ended {error}"));
        }
    }

    /// The final table, as it must be after a success.
    pub fn judge_success(&mut self, world: &World, rejoined: bool) {
        if self.excuses.acted_ms.is_some_and(|at_ms| world.now_ms - at_ms < UNNOTICED_MS) {
            return;
        }
        let problem = if rejoined { self.not_home(world) } else { self.unlike_the_table(world) };
        if let Some(problem) = problem {
            self.broken(world, WRONG_TABLE, problem);
        }
    }

    fn not_home(&self, world: &World) -> Option<String> {
        let writable = world.writable_clusters();
        let home = writable.iter().all(|c| c.region == self.names.home.0);
        (!home || writable.len() != 1).then(|| "the writer is not at home".to_owned())
    }

    fn unlike_the_table(&self, world: &World) -> Option<String> {
        let names = &self.names;
        for old in [&names.home, &names.away] {
            if Names::cluster(world, old).is_some() {
                return Some(format!("{} still exists", old.1));
            }
        }
        for global in &names.globals[..2] {
            if world.rds.globals.contains_key(global) {
                return Some(format!("{global} still exists"));
            }
        }
        let home = Names::cluster(world, &names.home_restored);
        let away = Names::cluster(world, &names.away_restored);
        let (Some(home), Some(away)) = (home, away) else {
            return Some("a rebuilt cluster does not exist".to_owned());
        };
        let writes = Membership::Writer { global: names.globals[2].clone() };
        if home.membership != writes || !world.rds.accepts_writes(home) {
            return Some(format!("{} is not the writer of {}", home.id, names.globals[2]));
        }
        if !away.is_reader() || !world.rds.serves(away) {
            return Some(format!("{} is not its reader", away.id));
        }
        let open = world.writable_clusters();
        if open.len() != 1 || open[0].cluster_id != home.id {
            let open: Vec<_> = open.iter().map(|c| c.cluster_id.as_str()).collect();
            let subnets = world.cluster_subnets(&home.region, &home.id);
            let acls: Vec<_> =
                subnets.iter().filter_map(|s| world.network.acl_of(&home.region, s)).collect();
            return Some(format!(
                "clients can write to [{}], not to home alone: {} is {}, behind {acls:?}, {:?}, {}",
                open.join(", "),
                home.id,
                home.status,
                home.settings.security_groups,
                home.settings.port
            ));
        }
        for (cluster, was) in [(home, self.protected[0]), (away, self.protected[1])] {
            let is = cluster.settings.deletion_protection;
            if is != was && !self.excuses.protected {
                return Some(format!("{} has deletion protection: {is}", cluster.id));
            }
        }
        let name = (!self.excuses.names_moved).then(|| self.name_not_moved(world, home, away));
        name.flatten()
            .or_else(|| self.source_not_moved(world, home, away))
            .or_else(|| self.secret_not_moved(world, home, away))
    }

    /// A secret that does not say where the database is, or that says something else than before.
    fn secret_not_moved(&self, world: &World, home: &Cluster, away: &Cluster) -> Option<String> {
        self.names.secrets.iter().find_map(|(arn, secret)| {
            let (cluster, kind) = place(secret.points_to, home, away);
            let mut wanted = secret.at_start.clone();
            wanted["host"] = cluster.host(kind, &world.account).into();
            if let Some(id) = wanted.get_mut("dbClusterIdentifier") {
                *id = cluster.id.as_str().into();
            }
            let holds = content(world, &secret.region, arn);
            (holds != wanted).then(|| format!("{arn} says {}", holds["host"]))
        })
    }

    fn source_not_moved(&self, world: &World, home: &Cluster, away: &Cluster) -> Option<String> {
        self.names.sources.iter().find_map(|(url, name, points_to)| {
            let source = world.supersets.at(url).and_then(|i| i.database(name));
            let wanted = points_to.map(|points_to| endpoint(world, points_to, home, away));
            let right = source.map(failback_sandbox::superset::Database::host) == wanted;
            (!right).then(|| format!("{name} of {url} is {source:?}"))
        })
    }

    fn name_not_moved(&self, world: &World, home: &Cluster, away: &Cluster) -> Option<String> {
        self.names.records.iter().find_map(|(zone, name, points_to)| {
            let host = endpoint(world, *points_to, home, away);
            let record = world.dns.record(zone, name, "CNAME");
            let says = record.and_then(|r| r.values.first());
            let moved = says.is_some_and(|says| says.trim_end_matches('.') == host);
            (!moved).then(|| format!("{name} does not lead to {host}"))
        })
    }
}

fn endpoint(world: &World, points_to: PointsTo, home: &Cluster, away: &Cluster) -> String {
    let (cluster, kind) = place(points_to, home, away);
    cluster.host(kind, &world.account)
}

fn place<'a>(
    points_to: PointsTo,
    home: &'a Cluster,
    away: &'a Cluster,
) -> (&'a Cluster, EndpointKind) {
    match points_to {
        PointsTo::HomeWriter => (home, EndpointKind::Writer),
        PointsTo::HomeReader => (home, EndpointKind::Reader),
        PointsTo::AwayReader => (away, EndpointKind::Reader),
    }
}

/// Equal as long as no cluster, status, membership or snapshot changes.
fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    for cluster in world.rds.clusters() {
        (&cluster.resource_id, &cluster.status, cluster.global()).hash(&mut hasher);
        cluster.is_reader().hash(&mut hasher);
    }
    for region in world.rds.regions.values() {
        region.instances.keys().for_each(|id| id.hash(&mut hasher));
        for snapshot in region.snapshots.values() {
            (&snapshot.id, &snapshot.status).hash(&mut hasher);
        }
    }
    world.network.version().hash(&mut hasher);
    hasher.finish()
}
