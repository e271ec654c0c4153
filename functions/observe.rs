//! Describe calls, translated into the words of the plan.
//!
//! Strict about what cannot be read: a member that was not understood may be the second writer.

use aws_sdk_rds::types::Filter;
use failback_plan::seen::{
    ClusterSeen, GlobalClusterSeen, InstanceSeen, MemberSeen, SnapshotSeen, SubnetGroupSeen,
};
use failback_plan::settings::CustomEndpoint;
use failback_plan::task::EndpointKind;
use std::collections::BTreeMap;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::settings::{cluster_seen, instance_seen};

/// A result or why AWS could not be read.
pub type Read<T> = Result<T, FailbackError>;

/// The value, or the error that names what AWS left out.
pub(crate) fn required<T>(value: Option<T>, call: &'static str, what: &str) -> Read<T> {
    value.ok_or_else(|| FailbackError::AwsAnswerUnreadable { call, what: what.to_owned() })
}

/// `None` for the one error that says so; every other error stays one.
pub(crate) fn absent_if<T>(error: FailbackError, code: &str) -> Read<Option<T>> {
    match error {
        FailbackError::AwsRejected { code: said, .. } if said == code => Ok(None),
        other => Err(other),
    }
}

/// One cluster, `None` if it does not exist.
pub async fn cluster(aws: &Aws, region: &str, id: &str) -> Read<Option<ClusterSeen>> {
    const CALL: &str = "rds:DescribeDBClusters";
    let answer = aws.rds(region).describe_db_clusters().db_cluster_identifier(id).send().await;
    match answer {
        Ok(answer) => answer.db_clusters().first().map(|c| cluster_seen(CALL, c)).transpose(),
        Err(error) => absent_if(classify(CALL, error), "DBClusterNotFoundFault"),
    }
}

/// The host name of a cluster's endpoint, read anew: a rebuilt cluster's is known only once it
/// exists.
pub async fn endpoint(aws: &Aws, region: &str, id: &str, kind: EndpointKind) -> Read<String> {
    const CALL: &str = "rds:DescribeDBClusters";
    let host = cluster(aws, region, id).await?.and_then(|cluster| cluster.host(kind).cloned());
    required(host, CALL, &format!("the endpoint of {id}"))
}

/// All clusters of a Region.
pub async fn clusters(aws: &Aws, region: &str) -> Read<Vec<ClusterSeen>> {
    const CALL: &str = "rds:DescribeDBClusters";
    let mut pages = aws.rds(region).describe_db_clusters().into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        out.push(cluster_seen(CALL, &item.map_err(|e| classify(CALL, e))?)?);
    }
    Ok(out)
}

/// The instances of a cluster, or all of the Region.
pub async fn instances(aws: &Aws, region: &str, cluster: Option<&str>) -> Read<Vec<InstanceSeen>> {
    const CALL: &str = "rds:DescribeDBInstances";
    let filter = |id: &str| Filter::builder().name("db-cluster-id").values(id).build();
    let request = aws.rds(region).describe_db_instances();
    let mut pages =
        request.set_filters(cluster.map(|id| vec![filter(id)])).into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        out.push(instance_seen(CALL, &item.map_err(|e| classify(CALL, e))?)?);
    }
    Ok(out)
}

/// One global cluster, `None` if it does not exist.
pub async fn global_cluster(aws: &Aws, region: &str, id: &str) -> Read<Option<GlobalClusterSeen>> {
    const CALL: &str = "rds:DescribeGlobalClusters";
    let request = aws.rds(region).describe_global_clusters().global_cluster_identifier(id);
    match request.send().await {
        Ok(answer) => answer.global_clusters().first().map(global_cluster_seen).transpose(),
        Err(error) => absent_if(classify(CALL, error), "GlobalClusterNotFoundFault"),
    }
}

/// All global clusters of the account.
pub async fn global_clusters(aws: &Aws, region: &str) -> Read<Vec<GlobalClusterSeen>> {
    const CALL: &str = "rds:DescribeGlobalClusters";
    let mut pages = aws.rds(region).describe_global_clusters().into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        out.push(global_cluster_seen(&item.map_err(|e| classify(CALL, e))?)?);
    }
    Ok(out)
}

/// The global cluster that lists this member, if any does.
pub async fn listed_in(aws: &Aws, region: &str, arn: &str) -> Read<Option<String>> {
    let globals = global_clusters(aws, region).await?;
    Ok(globals.into_iter().find(|g| g.member(arn).is_some()).map(|g| g.id))
}

fn global_cluster_seen(global: &aws_sdk_rds::types::GlobalCluster) -> Read<GlobalClusterSeen> {
    const CALL: &str = "rds:DescribeGlobalClusters";
    let member = |m: &aws_sdk_rds::types::GlobalClusterMember| {
        Ok(MemberSeen {
            arn: required(m.db_cluster_arn(), CALL, "a member's ARN")?.to_owned(),
            is_writer: required(m.is_writer(), CALL, "a member's role")?,
            synchronization: m.synchronization_status().map(|s| s.as_str().to_owned()),
        })
    };
    // `switching-over` is sent although the model's enumeration lacks it: compared as text.
    // The whole state is absent or empty while nothing is under way.
    let state = global.failover_state().filter(|state| state.status().is_some());
    Ok(GlobalClusterSeen {
        id: required(global.global_cluster_identifier(), CALL, "an identifier")?.to_owned(),
        status: required(global.status(), CALL, "a status")?.to_owned(),
        deletion_protection: global.deletion_protection().unwrap_or(false),
        operation: state.and_then(|s| s.status()).map(|status| status.as_str().to_owned()),
        operation_to: state.and_then(|s| s.to_db_cluster_arn()).map(str::to_owned),
        operation_may_lose: state.is_some_and(|s| s.is_data_loss_allowed().unwrap_or(true)),
        members: global.global_cluster_members().iter().map(member).collect::<Read<_>>()?,
    })
}

/// One manual cluster snapshot, `None` if it does not exist.
pub async fn snapshot(aws: &Aws, region: &str, id: &str) -> Read<Option<SnapshotSeen>> {
    const CALL: &str = "rds:DescribeDBClusterSnapshots";
    let request =
        aws.rds(region).describe_db_cluster_snapshots().db_cluster_snapshot_identifier(id);
    match request.send().await {
        Ok(answer) => answer.db_cluster_snapshots().first().map(snapshot_seen).transpose(),
        Err(error) => absent_if(classify(CALL, error), "DBClusterSnapshotNotFoundFault"),
    }
}

/// All manual cluster snapshots of a Region.
pub async fn snapshots(aws: &Aws, region: &str) -> Read<Vec<SnapshotSeen>> {
    const CALL: &str = "rds:DescribeDBClusterSnapshots";
    let request = aws.rds(region).describe_db_cluster_snapshots().snapshot_type("manual");
    let mut pages = request.into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        out.push(snapshot_seen(&item.map_err(|e| classify(CALL, e))?)?);
    }
    Ok(out)
}

fn snapshot_seen(snapshot: &aws_sdk_rds::types::DbClusterSnapshot) -> Read<SnapshotSeen> {
    const CALL: &str = "rds:DescribeDBClusterSnapshots";
    Ok(SnapshotSeen {
        id: required(snapshot.db_cluster_snapshot_identifier(), CALL, "an identifier")?.to_owned(),
        arn: required(snapshot.db_cluster_snapshot_arn(), CALL, "an ARN")?.to_owned(),
        cluster_resource_id: snapshot.db_cluster_resource_id().map(str::to_owned),
        status: required(snapshot.status(), CALL, "a status")?.to_owned(),
    })
}

/// All DB subnet groups of a Region.
pub async fn subnet_groups(aws: &Aws, region: &str) -> Read<Vec<SubnetGroupSeen>> {
    const CALL: &str = "rds:DescribeDBSubnetGroups";
    let mut pages = aws.rds(region).describe_db_subnet_groups().into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        let group = item.map_err(|e| classify(CALL, e))?;
        let subnets = group.subnets().iter().filter_map(|s| s.subnet_identifier());
        out.push(SubnetGroupSeen {
            name: required(group.db_subnet_group_name(), CALL, "a name")?.to_owned(),
            status: group.subnet_group_status().unwrap_or_default().to_owned(),
            subnet_ids: subnets.map(str::to_owned).collect(),
        });
    }
    Ok(out)
}

/// DB cluster parameter groups of a Region: name → family.
pub async fn cluster_parameter_groups(aws: &Aws, region: &str) -> Read<BTreeMap<String, String>> {
    const CALL: &str = "rds:DescribeDBClusterParameterGroups";
    let request = aws.rds(region).describe_db_cluster_parameter_groups();
    let mut pages = request.into_paginator().items().send();
    let mut out = BTreeMap::new();
    while let Some(item) = pages.next().await {
        let group = item.map_err(|e| classify(CALL, e))?;
        let name = required(group.db_cluster_parameter_group_name(), CALL, "a name")?;
        let family = required(group.db_parameter_group_family(), CALL, "a family")?;
        out.insert(name.to_owned(), family.to_owned());
    }
    Ok(out)
}

/// DB parameter groups of a Region: name → family.
pub async fn parameter_groups(aws: &Aws, region: &str) -> Read<BTreeMap<String, String>> {
    const CALL: &str = "rds:DescribeDBParameterGroups";
    let mut pages = aws.rds(region).describe_db_parameter_groups().into_paginator().items().send();
    let mut out = BTreeMap::new();
    while let Some(item) = pages.next().await {
        let group = item.map_err(|e| classify(CALL, e))?;
        let name = required(group.db_parameter_group_name(), CALL, "a name")?;
        let family = required(group.db_parameter_group_family(), CALL, "a family")?;
        out.insert(name.to_owned(), family.to_owned());
    }
    Ok(out)
}

/// The custom endpoints of a cluster; they are in no other describe call's answer.
pub async fn custom_endpoints(aws: &Aws, region: &str, cluster: &str) -> Read<Vec<CustomEndpoint>> {
    const CALL: &str = "rds:DescribeDBClusterEndpoints";
    let request = aws.rds(region).describe_db_cluster_endpoints().db_cluster_identifier(cluster);
    let mut pages = request.into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        let endpoint = item.map_err(|e| classify(CALL, e))?;
        if endpoint.endpoint_type() != Some("CUSTOM") || endpoint.status() == Some("deleting") {
            continue;
        }
        out.push(CustomEndpoint {
            id: required(endpoint.db_cluster_endpoint_identifier(), CALL, "an identifier")?
                .to_owned(),
            kind: endpoint.custom_endpoint_type().unwrap_or("ANY").to_owned(),
            static_members: endpoint.static_members().to_vec(),
            excluded_members: endpoint.excluded_members().to_vec(),
        });
    }
    Ok(out)
}
