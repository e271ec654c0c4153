//! Creates the cluster that joins a global cluster as a reader, with the captured settings.
//!
//! - **State:** `CreateCluster`, followed by `CreateInstances` and `CheckMember`.
//! - **Requires:** the global cluster lists its writer; joining an empty one would create a writer.
//! - **Ensures:** RDS has accepted the creation, or the cluster exists and replicates from the writer.
//! - **Idempotent because** an existing cluster that replicates from the writer is taken as it is; any
//!   other cluster of that name is refused.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DescribeDBClusters`, `rds:CreateDBCluster`.

use aws_sdk_rds::operation::create_db_cluster::builders::CreateDBClusterFluentBuilder;
use aws_sdk_rds::types::{ServerlessV2ScalingConfiguration, Tag};
use failback_plan::Answer;
use failback_plan::seen::ClusterSeen;
use failback_plan::steps::{self, Step};
use failback_plan::task::Rebuild;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;
use crate::reply::reply;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster to rebuild.
    pub rebuild: Rebuild,
}

/// Looks, decides, creates at most once.
pub async fn create_cluster(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { rebuild } = input;
    let (source, target) = (&rebuild.source, &rebuild.target);
    let global = observe::global_cluster(aws, &target.region, &rebuild.global_cluster_id).await?;
    let writer = observe::cluster(aws, &source.region, &source.cluster_id).await?;
    let existing = observe::cluster(aws, &target.region, &target.cluster_id).await?;
    let step = steps::create_cluster(&rebuild, global.as_ref(), writer.as_ref(), existing.as_ref())?;
    let writer = match (step, writer) {
        (Step::Done(why), _) => return Ok(Answer::done(why)),
        (Step::Wait(why), _) => return Ok(Answer::pending(why)),
        (Step::Act(()), Some(writer)) => writer,
        (Step::Act(()), None) => return Ok(Answer::pending("the writer is not described")),
    };
    let request = request(aws.rds(&target.region).create_db_cluster(), &rebuild, &writer);
    // "Already exists" after a lost reply: the poll that follows sees whose it is.
    let result = request.send().await;
    let reply = reply("rds:CreateDBCluster", result, &["DBClusterAlreadyExistsFault"])?;
    Ok(reply.done(format!("{} is being created", target.cluster_id)))
}

/// Engine, version and encryption are the writer's; everything else is what the former cluster had.
/// Deletion protection is not set here but last of all, so that a run stays repeatable until then;
/// Performance Insights and monitoring are not, because a joining cluster drops them.
fn request(
    request: CreateDBClusterFluentBuilder,
    rebuild: &Rebuild,
    writer: &ClusterSeen,
) -> CreateDBClusterFluentBuilder {
    let settings = &rebuild.cluster;
    let serverless = settings.serverless_v2.as_ref().map(|s| {
        ServerlessV2ScalingConfiguration::builder()
            .set_min_capacity(s.min_capacity)
            .set_max_capacity(s.max_capacity)
            .set_seconds_until_auto_pause(s.seconds_until_auto_pause)
            .build()
    });
    let domain = settings.domain.as_ref();
    let encrypted = writer.storage_encrypted;
    request
        .db_cluster_identifier(&rebuild.target.cluster_id)
        .global_cluster_identifier(&rebuild.global_cluster_id)
        .engine(&writer.engine)
        .engine_version(&writer.engine_version)
        .set_storage_encrypted(encrypted.then_some(true))
        .set_kms_key_id(settings.kms_key_id.clone().filter(|_| encrypted))
        .set_db_cluster_parameter_group_name(settings.parameter_group.clone())
        .set_db_subnet_group_name(settings.subnet_group.clone())
        .set_vpc_security_group_ids(texts(&settings.security_group_ids))
        .set_port(settings.port)
        .set_option_group_name(settings.option_group.clone())
        .set_backup_retention_period(settings.backup_retention_days)
        .set_preferred_backup_window(settings.backup_window.clone())
        .set_preferred_maintenance_window(settings.maintenance_window.clone())
        .set_storage_type(settings.storage_type.clone())
        .set_enable_cloudwatch_logs_exports(texts(&settings.log_exports))
        .enable_iam_database_authentication(settings.iam_authentication)
        .copy_tags_to_snapshot(settings.copy_tags_to_snapshot)
        .set_tags(tags(&settings.tags))
        .set_network_type(settings.network_type.clone())
        .set_serverless_v2_scaling_configuration(serverless)
        .set_auto_minor_version_upgrade(settings.auto_minor_version_upgrade)
        .set_domain(domain.map(|d| d.domain.clone()))
        .set_domain_iam_role_name(domain.and_then(|d| d.iam_role_name.clone()))
        .set_enable_global_write_forwarding(settings.global_write_forwarding.then_some(true))
        .set_enable_local_write_forwarding(settings.local_write_forwarding.then_some(true))
        .deletion_protection(false)
}

/// A list as the SDK wants it; `None` for none.
pub(crate) fn texts(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// Tags as the SDK wants them; `None` for none.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Option<Vec<Tag>> {
    let make = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    (!tags.is_empty()).then(|| tags.iter().map(make).collect())
}
