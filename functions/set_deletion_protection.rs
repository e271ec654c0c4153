//! Switches a cluster's deletion protection on or off.
//!
//! - **State:** `SetDeletionProtection`.
//! - **Requires:** the cluster is available.
//! - **Ensures:** the describe call shows the protection as asked for.
//! - **Idempotent because** it looks first, and setting the same value again changes nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:ModifyDBCluster`.

use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::error::SdkError;
use aws_sdk_rds::operation::modify_db_cluster::{ModifyDBClusterError, ModifyDbClusterOutput};
use failback_plan::Answer;
use failback_plan::steps::{Step, deletion_protection};
use failback_plan::task::ClusterRef;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe;
use crate::reply::{another, reply};

const CALL: &str = "rds:ModifyDBCluster";

type Modified = Result<ModifyDbClusterOutput, SdkError<ModifyDBClusterError, HttpResponse>>;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster.
    pub cluster: ClusterRef,
    /// Its resource id when the plan was made; `null` of a cluster that was made since.
    pub cluster_resource_id: Option<String>,
    /// Whether it shall be protected.
    pub enabled: bool,
}

/// Looks, decides, modifies at most once; once more only to protect again a cluster that it did not mean.
pub async fn set_deletion_protection(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { cluster, cluster_resource_id, enabled } = input;
    let seen = observe::cluster(aws, &cluster.region, &cluster.cluster_id).await?;
    match deletion_protection(seen.as_ref(), enabled, cluster_resource_id.as_deref())? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    let result = modify(aws, &cluster, enabled).await;
    let changed = result.as_ref().ok().and_then(|answer| answer.db_cluster());
    let meant = seen.map(|seen| seen.resource_id).unwrap_or_default();
    if let Some(found) = another(changed, &meant) {
        let effect = give_back(aws, &cluster, enabled).await;
        let ClusterRef { region, cluster_id: cluster, .. } = cluster;
        return Err(FailbackError::AnotherClusterMet { call: CALL, found, cluster, region, effect });
    }
    let reply = reply(CALL, result, &[])?;
    Ok(reply.pending(format!("deletion protection of {} is being changed", cluster.cluster_id)))
}

async fn modify(aws: &Aws, cluster: &ClusterRef, enabled: bool) -> Modified {
    let request = aws
        .rds(&cluster.region)
        .modify_db_cluster()
        .db_cluster_identifier(&cluster.cluster_id)
        .deletion_protection(enabled)
        .apply_immediately(true);
    request.send().await
}

/// Protects the cluster that was met by its name alone. Whether it had been protected is not known; to
/// be protected does it no harm.
async fn give_back(aws: &Aws, cluster: &ClusterRef, enabled: bool) -> String {
    if enabled {
        return "It is protected from deletion now; switch that off if it was not before".to_owned();
    }
    match modify(aws, cluster, true).await {
        Ok(_) => "Its deletion protection was switched off and is switched on again; switch it off if \
                  it was not on before"
            .to_owned(),
        Err(error) => format!(
            "ITS DELETION PROTECTION IS OFF and could not be switched on again ({}). Switch it on now \
             if it was on before",
            classify(CALL, error)
        ),
    }
}
