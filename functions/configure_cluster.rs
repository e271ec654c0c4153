//! Applies the settings that a cluster can only be given once it has joined: Performance Insights,
//! Enhanced Monitoring, the Data API, IAM roles and custom endpoints.
//!
//! - **State:** `ConfigureCluster`, repeated until nothing is missing.
//! - **Requires:** the cluster is available.
//! - **Ensures:** every captured setting of this kind is there.
//! - **Idempotent because** each invocation applies the first kind of setting that is still missing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBClusterEndpoints`, `rds:ModifyDBCluster`,
//!   `rds:EnableHttpEndpoint`, `rds:AddRoleToDBCluster`, `rds:CreateDBClusterEndpoint`.

use aws_sdk_rds::types::DatabaseInsightsMode;
use failback_plan::Answer;
use failback_plan::settings::{CustomEndpoint, Role};
use failback_plan::steps::{self, LateChange, Step};
use failback_plan::task::Rebuild;
use serde::Deserialize;

use crate::aws::Aws;
use crate::create_cluster::texts;
use crate::error::FailbackError;
use crate::observe;
use crate::reply::{Reply, reply};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The rebuilt cluster.
    pub rebuild: Rebuild,
}

/// Looks, decides, applies one kind of setting.
pub async fn configure_cluster(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { rebuild } = input;
    let target = &rebuild.target;
    let mut cluster = observe::cluster(aws, &target.region, &target.cluster_id).await?;
    if let Some(cluster) = &mut cluster
        && !rebuild.cluster.custom_endpoints.is_empty()
    {
        cluster.settings.custom_endpoints =
            observe::custom_endpoints(aws, &target.region, &target.cluster_id).await?;
    }
    let (reply, what) = match steps::configure(&rebuild, cluster.as_ref())? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(LateChange::Observability) => (observability(aws, &rebuild).await?, "monitoring"),
        Step::Act(LateChange::HttpEndpoint) => (http_endpoint(aws, &rebuild).await?, "the Data API"),
        Step::Act(LateChange::Roles(roles)) => (add_roles(aws, &rebuild, &roles).await?, "IAM roles"),
        Step::Act(LateChange::Endpoints(endpoints)) => {
            (create_endpoints(aws, &rebuild, &endpoints).await?, "custom endpoints")
        }
    };
    Ok(reply.pending(format!("{what} of {} are being applied", target.cluster_id)))
}

async fn observability(aws: &Aws, rebuild: &Rebuild) -> Result<Reply, FailbackError> {
    let settings = &rebuild.cluster;
    let insights = settings.performance_insights.as_ref();
    let monitoring = settings.monitoring.as_ref();
    let mode = settings.insights_mode.as_deref().map(DatabaseInsightsMode::from);
    let request = aws
        .rds(&rebuild.target.region)
        .modify_db_cluster()
        .db_cluster_identifier(&rebuild.target.cluster_id)
        .set_enable_performance_insights(insights.map(|_| true))
        .set_performance_insights_kms_key_id(insights.and_then(|i| i.kms_key_id.clone()))
        .set_performance_insights_retention_period(insights.and_then(|i| i.retention_days))
        .set_database_insights_mode(mode)
        .set_monitoring_interval(monitoring.map(|m| m.interval_s))
        .set_monitoring_role_arn(monitoring.and_then(|m| m.role_arn.clone()))
        .apply_immediately(true);
    reply("rds:ModifyDBCluster", request.send().await, &[])
}

async fn http_endpoint(aws: &Aws, rebuild: &Rebuild) -> Result<Reply, FailbackError> {
    let request = aws.rds(&rebuild.target.region).enable_http_endpoint();
    let result = request.resource_arn(&rebuild.target.arn).send().await;
    reply("rds:EnableHttpEndpoint", result, &[])
}

async fn add_roles(aws: &Aws, rebuild: &Rebuild, roles: &[Role]) -> Result<Reply, FailbackError> {
    for role in roles {
        let request = aws
            .rds(&rebuild.target.region)
            .add_role_to_db_cluster()
            .db_cluster_identifier(&rebuild.target.cluster_id)
            .role_arn(&role.role_arn)
            .set_feature_name(role.feature_name.clone());
        let result = request.send().await;
        let reply = reply("rds:AddRoleToDBCluster", result, &["DBClusterRoleAlreadyExists"])?;
        if let Reply::NotYet(_) = reply {
            return Ok(reply);
        }
    }
    Ok(Reply::Accepted)
}

async fn create_endpoints(
    aws: &Aws,
    rebuild: &Rebuild,
    endpoints: &[CustomEndpoint],
) -> Result<Reply, FailbackError> {
    for endpoint in endpoints {
        let request = aws
            .rds(&rebuild.target.region)
            .create_db_cluster_endpoint()
            .db_cluster_identifier(&rebuild.target.cluster_id)
            .db_cluster_endpoint_identifier(&endpoint.id)
            .endpoint_type(&endpoint.kind)
            .set_static_members(texts(&endpoint.static_members))
            .set_excluded_members(texts(&endpoint.excluded_members));
        let result = request.send().await;
        let already = ["DBClusterEndpointAlreadyExistsFault"];
        let reply = reply("rds:CreateDBClusterEndpoint", result, &already)?;
        if let Reply::NotYet(_) = reply {
            return Ok(reply);
        }
    }
    Ok(Reply::Accepted)
}
