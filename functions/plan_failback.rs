//! Reads both Regions and decides what the run will do, or refuses before anything is touched.
//!
//! - **State:** `PlanFailback`.
//! - **Requires:** a request that can be read, and a topology that fits it.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** the plan.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:DescribeGlobalClusters`,
//!   `rds:DescribeDBClusterSnapshots`, `rds:DescribeDBSubnetGroups`,
//!   `rds:DescribeDBClusterParameterGroups`, `rds:DescribeDBParameterGroups`,
//!   `rds:DescribeDBClusterEndpoints`, `ec2:DescribeNetworkAcls`, `ec2:DescribeSecurityGroups`,
//!   `route53:GetHostedZone`, `route53:ListResourceRecordSets`, `secretsmanager:DescribeSecret`,
//!   `secretsmanager:GetSecretValue`, `dynamodb:GetItem`.

use failback_plan::request::Side;
use failback_plan::seen::{RegionSeen, Seen};
use failback_plan::{Memory, Plan, Request, decide};
use serde::Deserialize;
use serde_json::Value;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::{dns, network, observe, request, secret, table};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The execution's input: the whole request, or what differs from the environment's.
    pub request: Value,
}

/// Reads, looks, decides.
pub async fn plan_failback(aws: &Aws, input: Input) -> Result<Plan, FailbackError> {
    let Input { request } = input;
    let mut request = request::complete(aws, request)?;
    let remembered = table::recall(aws, &request.global_clusters.former).await?;
    remembered.complete(&mut request);
    let seen = look(aws, &request, remembered).await?;
    let plan = decide(&request, &seen)?;
    tracing::info!(decision = ?plan.decision, reasons = ?plan.reasons, "planned");
    Ok(plan)
}

/// Everything the decision needs, of both Regions at once.
pub(crate) async fn look(
    aws: &Aws,
    request: &Request,
    remembered: Memory,
) -> Result<Seen, FailbackError> {
    let (home, away) = tokio::try_join!(side(aws, &request.home), side(aws, &request.away))?;
    let global_clusters = observe::global_clusters(aws, &request.away.region).await?;
    let mut records = Vec::new();
    for record in &request.endpoints.dns {
        let name = record.name.trim_end_matches('.');
        let found = dns::seen(aws, &record.zone_id, name, record.set_identifier.as_deref()).await?;
        records.extend(found);
    }
    let mut secrets = Vec::new();
    for wanted in &request.endpoints.secrets {
        secrets.push(secret::seen(aws, wanted.region(), wanted.id()).await?);
    }
    Ok(Seen { home, away, global_clusters, dns: records, secrets, remembered })
}

async fn side(aws: &Aws, side: &Side) -> Result<RegionSeen, FailbackError> {
    let region = side.region.as_str();
    let mut clusters = observe::clusters(aws, region).await?;
    for cluster in &mut clusters {
        if [&side.cluster_id, &side.restored_cluster_id].contains(&&cluster.id) {
            cluster.settings.custom_endpoints =
                observe::custom_endpoints(aws, region, &cluster.id).await?;
        }
    }
    let given = side.captured.iter().flat_map(|c| c.cluster.security_group_ids.iter());
    let groups = clusters.iter().flat_map(|c| c.settings.security_group_ids.iter()).chain(given);
    let of_request = side.network.fence_group_id.iter().chain(&side.network.open_group_ids);
    let wanted: std::collections::BTreeSet<String> = groups.chain(of_request).cloned().collect();
    Ok(RegionSeen {
        region: region.to_owned(),
        instances: observe::instances(aws, region, None).await?,
        snapshots: observe::snapshots(aws, region).await?,
        subnet_groups: observe::subnet_groups(aws, region).await?,
        cluster_parameter_groups: observe::cluster_parameter_groups(aws, region).await?,
        parameter_groups: observe::parameter_groups(aws, region).await?,
        security_groups: network::security_groups(aws, region, wanted.into_iter().collect()).await?,
        network_acls: network::acls(aws, region).await?,
        clusters,
    })
}
