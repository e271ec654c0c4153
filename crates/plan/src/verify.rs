//! The table that must hold after a phase, compared with what is seen.

use serde::{Deserialize, Serialize};

use crate::fence::Fence;
use crate::network;
use crate::seen::Seen;
use crate::steps::is_serving;
use crate::task::NetworkTargets;

/// What must hold after a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// One row for each cluster.
    pub clusters: Vec<ClusterExpectation>,
    /// Subnets and the ACL that each must have when it is open.
    pub network: Vec<NetworkTargets>,
    /// Fences that must be up.
    pub closed: Vec<Fence>,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterExpectation {
    /// Region of the cluster.
    pub region: String,
    /// `DBClusterIdentifier`.
    pub cluster_id: String,
    /// What it must be.
    pub must_be: MustBe,
}

/// What a cluster must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", deny_unknown_fields)]
pub enum MustBe {
    /// Gone, with all its instances.
    Deleted,
    /// Available and in no global cluster; therefore a writer.
    RegionalWriter,
    /// Available and the writer of this global cluster.
    GlobalWriter {
        /// The global cluster.
        global_cluster_id: String,
    },
    /// Available and a reader of this global cluster.
    GlobalReader {
        /// The global cluster.
        global_cluster_id: String,
    },
}

/// One row of the runbook's table, in the runbook's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Region of the cluster.
    pub region: String,
    /// DB cluster name.
    pub cluster_id: String,
    /// `Global` or `Regional`.
    pub scope: String,
    /// DB cluster status, `Available` and the like, or `Deleted`.
    pub cluster_status: String,
    /// `Writer`, `Reader` or `Deleted`; `Unknown` if the answer does not say.
    pub node_status: String,
}

/// The row of a cluster as it is seen.
pub fn row(seen: &Seen, region: &str, cluster_id: &str) -> Row {
    let make = |scope: &str, cluster_status: &str, node_status: &str| Row {
        region: region.to_owned(),
        cluster_id: cluster_id.to_owned(),
        scope: scope.to_owned(),
        cluster_status: cluster_status.to_owned(),
        node_status: node_status.to_owned(),
    };
    let side = if seen.home.region == region { &seen.home } else { &seen.away };
    let Some(cluster) = side.cluster(cluster_id) else {
        let left = side.instances_of(cluster_id).count();
        return make("Regional", "Deleted", if left == 0 { "Deleted" } else { "Deleting" });
    };
    let status = capitalized(&cluster.status);
    match seen.membership(&cluster.arn) {
        Some((_, member)) => {
            make("Global", &status, if member.is_writer { "Writer" } else { "Reader" })
        }
        None if cluster.replication_source.is_some() => make("Regional", &status, "Reader"),
        None if cluster.writer_instance().is_some() => make("Regional", &status, "Writer"),
        None => make("Regional", &status, "Unknown"),
    }
}

/// Everything in which the world differs from the expectation; empty when it holds.
pub fn differences(seen: &Seen, expected: &Expectation) -> Vec<String> {
    let mut out: Vec<String> =
        expected.clusters.iter().filter_map(|wanted| cluster_difference(seen, wanted)).collect();
    for targets in &expected.network {
        let side = if seen.home.region == targets.region { &seen.home } else { &seen.away };
        match network::replacements(&side.network_acls, &targets.targets) {
            Ok(changes) => out.extend(changes.iter().map(|c| {
                format!("the subnet {} in {} is not on {}", c.subnet_id, targets.region, c.acl_id)
            })),
            Err(missing) => out.push(format!("{missing} is not seen in {}", targets.region)),
        }
    }
    for fence in &expected.closed {
        let side = if seen.home.region == fence.region() { &seen.home } else { &seen.away };
        let cluster = side.cluster(&fence.cluster.cluster_id);
        if !fence.is_gone_with_its_cluster(cluster) {
            out.extend(fence.gap(&side.network_acls, cluster));
        }
    }
    out
}

fn cluster_difference(seen: &Seen, wanted: &ClusterExpectation) -> Option<String> {
    let side = if seen.home.region == wanted.region { &seen.home } else { &seen.away };
    let name = format!("{} in {}", wanted.cluster_id, wanted.region);
    let cluster = side.cluster(&wanted.cluster_id);
    if wanted.must_be == MustBe::Deleted {
        return cluster.map(|c| format!("{name} is {}, not deleted", c.status));
    }
    let Some(cluster) = cluster else { return Some(format!("{name} does not exist")) };
    // An automated backup starts by itself at any time and serves clients all the same.
    if !["available", "backing-up"].contains(&cluster.status.as_str()) {
        return Some(format!("{name} is {}, not available", cluster.status));
    }
    // Available all the same, and listed as what it shall be: Aurora has clusters without instances.
    if side.instances_of(&cluster.id).next().is_none() {
        return Some(format!("{name} has no instance"));
    }
    if let Some(broken) = side.instances_of(&cluster.id).find(|i| !is_serving(i)) {
        return Some(format!("the instance {} of {name} is {}", broken.id, broken.status));
    }
    // A reader need not name the instance that would become its writer.
    let must_write = !matches!(wanted.must_be, MustBe::GlobalReader { .. });
    if must_write && cluster.writer_instance().is_none() {
        return Some(format!("{name} lists no writer instance"));
    }
    let membership = seen.membership(&cluster.arn);
    match (&wanted.must_be, membership) {
        (MustBe::Deleted, _) => None,
        (MustBe::RegionalWriter, None) => cluster
            .replication_source
            .as_ref()
            .map(|source| format!("{name} still replicates from {source}")),
        (MustBe::RegionalWriter, Some((global, _))) => {
            Some(format!("{name} is still a member of {}", global.id))
        }
        (MustBe::GlobalWriter { global_cluster_id }, found) => {
            role_difference(&name, global_cluster_id, found, true)
        }
        (MustBe::GlobalReader { global_cluster_id }, found) => {
            role_difference(&name, global_cluster_id, found, false)
        }
    }
}

fn role_difference(
    name: &str,
    global_cluster_id: &str,
    found: Option<(&crate::seen::GlobalClusterSeen, &crate::seen::MemberSeen)>,
    writer: bool,
) -> Option<String> {
    let role = if writer { "writer" } else { "reader" };
    match found {
        Some((global, member)) if global.id == global_cluster_id && member.is_writer == writer => {
            (global.writers().len() != 1)
                .then(|| format!("{global_cluster_id} lists several writers"))
        }
        Some((global, member)) => Some(format!(
            "{name} is a {} of {}, not the {role} of {global_cluster_id}",
            if member.is_writer { "writer" } else { "reader" },
            global.id
        )),
        None => Some(format!("{name} is not listed as the {role} of {global_cluster_id}")),
    }
}

fn capitalized(status: &str) -> String {
    let mut chars = status.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().collect::<String>() + chars.as_str(),
        None => String::new(),
    }
}
