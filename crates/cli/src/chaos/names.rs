//! The names of the request, and what else there is in the world at its start.

use std::collections::{BTreeMap, BTreeSet};

use failback_plan::Request;
use failback_sandbox::World;
use failback_sandbox::rds::settings::ClusterSettings;
use failback_sandbox::rds::{Cluster, Instance, Membership, Snapshot};
use serde_json::Value;

/// The third Region of worlds that have one.
pub const THIRD: &str = "eu-west-1";

/// A Region and an identifier in it.
pub type Named = (String, String);

/// The names of the request.
#[derive(Debug, Clone)]
pub struct Names {
    /// Home's cluster from before the disaster.
    pub home: Named,
    /// Home's rebuilt cluster.
    pub home_restored: Named,
    /// The cluster that is written to meanwhile.
    pub away: Named,
    /// Away's rebuilt cluster.
    pub away_restored: Named,
    /// The former, the restoring and the restored global cluster.
    pub globals: [String; 3],
    /// Resource ids of the clusters that the request is about and that were there at the start,
    /// whatever they are called by now.
    pub own: BTreeSet<String>,
    /// Every identifier that a call may be about.
    pub allowed: BTreeSet<String>,
    /// Zones, names and whether each is home's writer's.
    pub records: Vec<(String, String, failback_plan::request::PointsTo)>,
    /// Data sources of applications: address, name at the end, and what it is then; removed when
    /// that is absent.
    pub sources: Vec<(String, String, Option<failback_plan::request::PointsTo>)>,
    /// Secrets by their ARNs.
    pub secrets: BTreeMap<String, NamedSecret>,
}

/// A secret of the request.
#[derive(Debug, Clone)]
pub struct NamedSecret {
    /// Where it is written.
    pub region: String,
    /// What it shall point at.
    pub points_to: failback_plan::request::PointsTo,
    /// What it held at the start.
    pub at_start: Value,
}

impl Names {
    /// The names of a request; `world` adds the old instances'.
    pub fn of(request: &Request, world: &World) -> Self {
        let (home, away) = (&request.home, &request.away);
        let named = |region: &str, id: &str| (region.to_owned(), id.to_owned());
        let globals = &request.global_clusters;
        let globals = [globals.former.clone(), globals.restoring.clone(), globals.restored.clone()];
        let mut allowed: BTreeSet<String> = globals.iter().cloned().collect();
        for side in [home, away] {
            allowed.insert(side.cluster_id.clone());
            allowed.insert(side.restored_cluster_id.clone());
            allowed.extend(side.restored_instances.iter().map(|i| i.id.clone()));
            if let Some(cluster) = world.rds.cluster(&side.region, &side.cluster_id) {
                allowed.extend(world.rds.instances_of(cluster).map(|i| i.id.clone()));
            }
        }
        let records = &request.endpoints.dns;
        let instances = request.endpoints.superset.iter();
        let sources = instances.flat_map(|i| i.data_sources.iter().map(|s| (i.url.clone(), s)));
        let at_start = |side: &failback_plan::request::Side| {
            let cluster = world.rds.cluster(&side.region, &side.cluster_id)?;
            Some(cluster.resource_id.clone())
        };
        Self {
            own: [home, away].into_iter().filter_map(at_start).collect(),
            home: named(&home.region, &home.cluster_id),
            home_restored: named(&home.region, &home.restored_cluster_id),
            away: named(&away.region, &away.cluster_id),
            away_restored: named(&away.region, &away.restored_cluster_id),
            globals,
            allowed,
            records: records
                .iter()
                .map(|r| (r.zone_id.clone(), r.name.clone(), r.points_to))
                .collect(),
            sources: sources
                .map(|(url, s)| {
                    (url, s.rename_to.clone().unwrap_or_else(|| s.name.clone()), s.points_to)
                })
                .collect(),
            secrets: request
                .endpoints
                .secrets
                .iter()
                .filter_map(|s| {
                    let (region, points_to) = (s.region().to_owned(), s.points_to);
                    let (arn, _) = world.secrets.identity(&region, s.id())?;
                    let at_start = content(world, &region, arn);
                    Some((arn.to_owned(), NamedSecret { region, points_to, at_start }))
                })
                .collect(),
        }
    }

    /// The cluster of one of these names.
    pub fn cluster<'a>(world: &'a World, named: &Named) -> Option<&'a Cluster> {
        world.rds.cluster(&named.0, &named.1)
    }

    /// The cluster whose lineage goes on: home's as soon as it is no reader any more, away's
    /// until then.
    pub fn heir<'a>(&self, world: &'a World) -> Option<&'a Cluster> {
        let restored = Self::cluster(world, &self.home_restored).filter(|c| !c.is_reader());
        let away = Self::cluster(world, &self.away);
        // A switchover makes away a reader of home's own cluster.
        let switched = Self::cluster(world, &self.home).filter(|home| {
            matches!(home.membership, Membership::Writer { .. })
                && away.is_some_and(Cluster::is_reader)
        });
        restored.or(switched).or(away)
    }
}

/// What readers get of a secret.
pub fn content(world: &World, region: &str, id: &str) -> Value {
    let text = world.secrets.text(region, id);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What nobody named and nobody may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Bystanders {
    clusters: BTreeMap<Named, (String, ClusterSettings, Membership)>,
    instances: BTreeMap<Named, Instance>,
    snapshots: BTreeMap<Named, Snapshot>,
    subnets: BTreeMap<Named, Option<String>>,
    records: Vec<Option<Vec<String>>>,
    secrets: BTreeMap<Named, Option<String>>,
}

/// Subnets of the workshop that are not the databases'.
const OTHER_SUBNETS: [(&str, &str); 2] =
    [("us-east-1", "subnet-0f6a2b48c7d9e0516"), ("us-west-2", "subnet-0a7b3c59d8e0f1627")];

impl Bystanders {
    /// Those of a world, as they are now.
    pub fn of(world: &World, names: &Names) -> Self {
        let rebuilt = [&names.home_restored, &names.away_restored];
        let is_own = |region: &str, id: &str| {
            let known = world.rds.cluster(region, id).map(|c| &c.resource_id);
            rebuilt.iter().any(|n| n.0 == region && n.1 == id)
                || known.is_some_and(|id| names.own.contains(id))
        };
        let key = |region: &str, id: &str| (region.to_owned(), id.to_owned());
        let clusters = world.rds.clusters().filter(|c| !is_own(&c.region, &c.id));
        let regions = world.rds.regions.values();
        let instances = regions.clone().flat_map(|r| r.instances.values());
        let snapshots = regions.flat_map(|r| r.snapshots.values());
        let stands = |i: &Instance| Instance { status: String::new(), ..i.clone() };
        let zone = names.records.first().map(|(zone, _, _)| zone.clone()).unwrap_or_default();
        let other = world.dns.record(&zone, "db-other.workshop.internal", "CNAME");
        Self {
            clusters: clusters
                .map(|c| {
                    let what = (c.resource_id.clone(), c.settings.clone(), c.membership.clone());
                    (key(&c.region, &c.id), what)
                })
                .collect(),
            instances: instances
                .filter(|i| !is_own(&i.region, &i.cluster_id))
                .map(|i| (key(&i.region, &i.id), stands(i)))
                .collect(),
            snapshots: snapshots
                .filter(|s| !names.own.contains(&s.cluster_resource_id))
                .filter(|s| !is_own(&s.region, &s.cluster_id))
                .map(|s| (key(&s.region, &s.id), s.clone()))
                .collect(),
            subnets: OTHER_SUBNETS
                .iter()
                .map(|(region, subnet)| {
                    let acl = world.network.acl_of(region, subnet).map(str::to_owned);
                    (key(region, subnet), acl)
                })
                .collect(),
            records: vec![other.map(|record| record.values.clone())],
            secrets: world
                .secrets
                .names()
                .filter(|(region, name)| {
                    let identity = world.secrets.identity(region, name);
                    identity.is_none_or(|(arn, _)| !names.secrets.contains_key(arn))
                })
                .map(|(region, name)| {
                    let text = world.secrets.text(region, name).map(str::to_owned);
                    (key(region, name), text)
                })
                .collect(),
        }
    }

    /// The first thing in which they differ.
    pub fn difference(&self, now: &Self) -> Option<String> {
        fn first<V: PartialEq>(
            kind: &str,
            then: &BTreeMap<Named, V>,
            now: &BTreeMap<Named, V>,
        ) -> Option<String> {
            let names: BTreeSet<&Named> = then.keys().chain(now.keys()).collect();
            let changed = names.into_iter().find(|name| then.get(*name) != now.get(*name))?;
            Some(format!("the {kind} {} in {}", changed.1, changed.0))
        }
        first("cluster", &self.clusters, &now.clusters)
            .or_else(|| first("instance", &self.instances, &now.instances))
            .or_else(|| first("snapshot", &self.snapshots, &now.snapshots))
            .or_else(|| first("subnet", &self.subnets, &now.subnets))
            .or_else(|| first("secret", &self.secrets, &now.secrets))
            .or_else(|| (self.records != now.records).then(|| "a DNS record".to_owned()))
    }
}
