//! Settings that a cluster can only be given once it has joined.

use std::collections::BTreeSet;

use super::{Decided, Step, not_terminal};
use crate::seen::ClusterSeen;
use crate::settings::{CustomEndpoint, Role};
use crate::task::{InstancePlan, Rebuild};

/// A setting that can only be applied to a cluster that exists.
#[derive(Debug, Clone, PartialEq)]
pub enum LateChange {
    /// `ModifyDBCluster`: Performance Insights, Database Insights, Enhanced Monitoring.
    Observability,
    /// `EnableHttpEndpoint`.
    HttpEndpoint,
    /// `AddRoleToDBCluster`, each.
    Roles(Vec<Role>),
    /// `CreateDBClusterEndpoint`, each; members are named by their new ids.
    Endpoints(Vec<CustomEndpoint>),
}

/// The next late setting to apply.
pub fn configure(rebuild: &Rebuild, target: Option<&ClusterSeen>) -> Decided<LateChange> {
    let Some(cluster) = target else {
        return Ok(Step::Wait(format!("{} is not described", rebuild.target.cluster_id)));
    };
    not_terminal(cluster)?;
    if cluster.status != "available" {
        return Ok(Step::Wait(format!("{} is {}", cluster.id, cluster.status)));
    }
    let (wanted, has) = (&rebuild.cluster, &cluster.settings);
    let observability_missing = (wanted.performance_insights.is_some()
        && wanted.performance_insights != has.performance_insights)
        || (wanted.insights_mode.is_some() && wanted.insights_mode != has.insights_mode)
        || (wanted.monitoring.is_some() && wanted.monitoring != has.monitoring);
    if observability_missing {
        return Ok(Step::Act(LateChange::Observability));
    }
    if wanted.http_endpoint && !has.http_endpoint {
        return Ok(Step::Act(LateChange::HttpEndpoint));
    }
    let held: BTreeSet<_> = has.roles.iter().collect();
    let roles: Vec<_> = wanted.roles.iter().filter(|r| !held.contains(r)).cloned().collect();
    if !roles.is_empty() {
        return Ok(Step::Act(LateChange::Roles(roles)));
    }
    let endpoints: Vec<_> = renamed_endpoints(rebuild)
        .into_iter()
        .filter(|e| !has.custom_endpoints.iter().any(|h| h.id == e.id))
        .collect();
    if !endpoints.is_empty() {
        return Ok(Step::Act(LateChange::Endpoints(endpoints)));
    }
    Ok(Step::Done(format!("all settings of {} are applied", cluster.id)))
}

/// Custom endpoints with the ids of the instances that take the old ones' places; a member that
/// has no successor is left out.
fn renamed_endpoints(rebuild: &Rebuild) -> Vec<CustomEndpoint> {
    let renamed = |ids: &[String]| -> Vec<String> {
        let succeeds = |i: &&InstancePlan| ids.contains(&i.settings.captured_from);
        rebuild.instances.iter().filter(succeeds).map(|i| i.id.clone()).collect()
    };
    let rename = |e: &CustomEndpoint| CustomEndpoint {
        static_members: renamed(&e.static_members),
        excluded_members: renamed(&e.excluded_members),
        ..e.clone()
    };
    rebuild.cluster.custom_endpoints.iter().map(rename).collect()
}
