//! What a plan rests on, so that a change since then is found before it is acted upon.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::request::{Request, Side};
use crate::seen::{ClusterSeen, RegionSeen, Seen};

/// The facts that a plan was made from: thing → what it was.
///
/// Statuses that come and go by themselves, such as `backing-up`, are none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Thing → what it was.
    pub facts: BTreeMap<String, String>,
    /// SHA-256 of the facts, in hexadecimal: names the plan in messages and in approvals.
    pub hash: String,
}

impl Basis {
    /// The facts of what is seen that matter to the request.
    pub fn of(request: &Request, seen: &Seen) -> Self {
        let mut facts = BTreeMap::new();
        for (side, region) in [(&request.home, &seen.home), (&request.away, &seen.away)] {
            side_facts(side, region, seen, &mut facts);
        }
        let globals = &request.global_clusters;
        for id in [&globals.former, &globals.restoring, &globals.restored] {
            let fact = seen.global_cluster(id).map_or_else(absent, |g| {
                let protected = if g.deletion_protection { ", protected" } else { "" };
                let mut members: Vec<String> = g
                    .members
                    .iter()
                    .map(|m| format!("{} ({})", m.arn, role(m.is_writer)))
                    .collect();
                members.sort();
                format!("lists [{}]{protected}", members.join(", "))
            });
            facts.insert(format!("the global cluster {id}"), fact);
        }
        for wanted in &request.endpoints.dns {
            let value = seen
                .record(&wanted.zone_id, &wanted.name, wanted.set_identifier.as_deref())
                .and_then(|d| d.value.clone());
            let fact = value.map_or_else(absent, |value| format!("points to {value}"));
            let which = wanted.set_identifier.as_ref().map(|id| format!(" ({id})"));
            let name = wanted.name.trim_end_matches('.');
            facts.insert(format!("the name {name}{}", which.unwrap_or_default()), fact);
        }
        for wanted in &request.endpoints.secrets {
            let found = seen.secret(wanted.region(), wanted.id());
            let fact = found.map_or_else(absent, |secret| match &secret.found {
                Ok(fields) => format!("points to {}", fields.host),
                Err(problem) => problem.to_string(),
            });
            let secret = format!("the secret {} in {}", wanted.short_name(), wanted.region());
            facts.insert(secret, fact);
        }
        let mut digest = Sha256::new();
        for (thing, fact) in &facts {
            digest.update(format!("{thing}={fact}\n"));
        }
        let hash = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { facts, hash }
    }

    /// What differs now, one sentence for each thing; empty when nothing does.
    pub fn drift(&self, now: &Self) -> Vec<String> {
        let nothing = absent();
        let things: std::collections::BTreeSet<&String> =
            self.facts.keys().chain(now.facts.keys()).collect();
        things
            .into_iter()
            .filter_map(|thing| {
                let before = self.facts.get(thing).unwrap_or(&nothing);
                let after = now.facts.get(thing).unwrap_or(&nothing);
                (before != after).then(|| format!("{thing}: was {before}, is {after}"))
            })
            .collect()
    }
}

fn absent() -> String {
    "not there".to_owned()
}

fn role(is_writer: bool) -> &'static str {
    if is_writer { "writer" } else { "reader" }
}

fn side_facts(side: &Side, region: &RegionSeen, seen: &Seen, facts: &mut BTreeMap<String, String>) {
    for id in [&side.cluster_id, &side.restored_cluster_id] {
        let cluster = region.cluster(id);
        let fact = cluster.map_or_else(absent, |c| cluster_fact(c, region, seen));
        facts.insert(format!("the cluster {id} in {}", region.region), fact);
        let group = cluster.and_then(|c| c.settings.subnet_group.as_deref());
        let of_group = region.subnets_of_group(group);
        if of_group.is_empty() {
            continue;
        }
        for subnet in of_group.iter().chain(&side.network.subnet_ids) {
            let acl = region.acl_of_subnet(subnet);
            let fact = acl.map_or_else(absent, |acl| format!("on {}", acl.id));
            facts.insert(format!("the subnet {subnet} in {}", region.region), fact);
        }
    }
}

fn cluster_fact(cluster: &ClusterSeen, region: &RegionSeen, seen: &Seen) -> String {
    let standing = match (seen.membership(&cluster.arn), &cluster.replication_source) {
        (Some((global, member)), _) => format!("{} of {}", role(member.is_writer), global.id),
        (None, Some(source)) => format!("replica of {source}"),
        (None, None) => "regional".to_owned(),
    };
    let mut instances: Vec<&str> =
        region.instances_of(&cluster.id).map(|i| i.id.as_str()).collect();
    instances.sort_unstable();
    let protected = if cluster.settings.deletion_protection { ", protected" } else { "" };
    let going = if cluster.status == "deleting" { ", deleting" } else { "" };
    let mut groups: Vec<&str> =
        cluster.settings.security_group_ids.iter().map(String::as_str).collect();
    groups.sort_unstable();
    let groups = groups.join(", ");
    format!(
        "{} ({standing}), {} {}, instances [{}], security groups [{groups}]{protected}{going}",
        cluster.resource_id,
        cluster.engine,
        cluster.engine_version,
        instances.join(", ")
    )
}
