//! Creates the instances of a rebuilt cluster that are missing, the intended writer first.
//!
//! - **State:** `CreateInstances`, repeated until all exist.
//! - **Requires:** the cluster exists; it may still be `creating`.
//! - **Ensures:** every instance of the plan exists in the cluster.
//! - **Idempotent because** only those that do not exist are created; one of that name in another
//!   cluster is refused.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:CreateDBInstance`.

use aws_sdk_rds::operation::create_db_instance::builders::CreateDBInstanceFluentBuilder;
use failback_plan::Answer;
use failback_plan::seen::ClusterSeen;
use failback_plan::steps::{self, Step};
use failback_plan::task::{InstancePlan, Rebuild};
use serde::Deserialize;

use crate::aws::Aws;
use crate::create_cluster::tags;
use crate::error::FailbackError;
use crate::observe;
use crate::reply::{Reply, reply};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster to rebuild.
    pub rebuild: Rebuild,
}

/// Looks, decides, creates what is missing.
pub async fn create_instances(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { rebuild } = input;
    let target = &rebuild.target;
    let cluster = observe::cluster(aws, &target.region, &target.cluster_id).await?;
    // All of the Region: an instance of that name may belong to another cluster.
    let instances = observe::instances(aws, &target.region, None).await?;
    let step = steps::create_instances(&rebuild, cluster.as_ref(), &instances)?;
    let (missing, cluster) = match (step, cluster) {
        (Step::Done(why), _) => return Ok(Answer::done(why)),
        (Step::Wait(why), _) => return Ok(Answer::pending(why)),
        (Step::Act(missing), Some(cluster)) => (missing, cluster),
        (Step::Act(_), None) => return Ok(Answer::pending("the cluster is not described")),
    };
    for wanted in &missing {
        let request = request(aws.rds(&target.region).create_db_instance(), &cluster, wanted);
        let result = request.send().await;
        if let Reply::NotYet(why) =
            reply("rds:CreateDBInstance", result, &["DBInstanceAlreadyExists"])?
        {
            return Ok(Answer::pending(why));
        }
    }
    let ids: Vec<_> = missing.iter().map(|i| i.id.as_str()).collect();
    Ok(Answer::pending(format!("creating {}", ids.join(", "))))
}

/// What an Aurora instance has of its own; everything else it inherits from its cluster.
fn request(
    request: CreateDBInstanceFluentBuilder,
    cluster: &ClusterSeen,
    wanted: &InstancePlan,
) -> CreateDBInstanceFluentBuilder {
    let settings = &wanted.settings;
    let monitoring = settings.monitoring.as_ref();
    let insights = settings.performance_insights.as_ref();
    request
        .db_instance_identifier(&wanted.id)
        .db_cluster_identifier(&cluster.id)
        .engine(&cluster.engine)
        .db_instance_class(&settings.class)
        .set_db_parameter_group_name(settings.parameter_group.clone())
        .set_availability_zone(settings.availability_zone.clone())
        .set_promotion_tier(settings.promotion_tier)
        .set_publicly_accessible(settings.publicly_accessible)
        .set_auto_minor_version_upgrade(settings.auto_minor_version_upgrade)
        .set_preferred_maintenance_window(settings.maintenance_window.clone())
        .set_monitoring_interval(monitoring.map(|m| m.interval_s))
        .set_monitoring_role_arn(monitoring.and_then(|m| m.role_arn.clone()))
        .set_enable_performance_insights(insights.map(|_| true))
        .set_performance_insights_kms_key_id(insights.and_then(|i| i.kms_key_id.clone()))
        .set_performance_insights_retention_period(insights.and_then(|i| i.retention_days))
        .set_ca_certificate_identifier(settings.ca_certificate_id.clone())
        .set_copy_tags_to_snapshot(settings.copy_tags_to_snapshot)
        .set_network_type(settings.network_type.clone())
        .set_tags(tags(&settings.tags))
}
