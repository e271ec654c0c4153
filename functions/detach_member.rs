//! Asks Aurora to remove a cluster from its global cluster. For a reader this is the promotion, and
//! the point of no return.
//!
//! - **State:** `DetachMember`, followed by `CheckDetachment`.
//! - **Requires:** the member has the role in which it is to leave; a reader has an instance that is
//!   available; a writer is the last member listed.
//! - **Ensures:** Aurora has accepted the removal, or none was needed.
//! - **Idempotent because** a cluster that is no longer listed, or is being promoted, is left alone.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeGlobalClusters`, `rds:DescribeDBClusters`, `rds:DescribeDBInstances`,
//!   `rds:RemoveFromGlobalCluster`.

use failback_plan::Answer;
use failback_plan::steps::{LeavesAs, Step, detach};
use failback_plan::task::ClusterRef;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The global cluster to leave.
    pub global_cluster_id: String,
    /// The member that leaves.
    pub cluster: ClusterRef,
    /// The role in which it leaves.
    pub r#as: LeavesAs,
}

/// Looks, decides, asks at most once.
pub async fn detach_member(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    const CALL: &str = "rds:RemoveFromGlobalCluster";
    let Input { global_cluster_id, cluster, r#as } = input;
    let region = cluster.region.as_str();
    let global = observe::global_cluster(aws, region, &global_cluster_id).await?;
    let seen = observe::cluster(aws, region, &cluster.cluster_id).await?;
    let instances = observe::instances(aws, region, Some(&cluster.cluster_id)).await?;
    match detach(global.as_ref(), seen.as_ref(), &instances, &cluster, r#as)? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    let request = aws
        .rds(region)
        .remove_from_global_cluster()
        .global_cluster_identifier(&global_cluster_id)
        .db_cluster_identifier(&cluster.arn);
    match request.send().await.map_err(|e| classify(CALL, e)) {
        Ok(_) => Ok(Answer::done(format!("{} is leaving {global_cluster_id}", cluster.cluster_id))),
        Err(FailbackError::AwsBusy { message, .. }) => Ok(Answer::pending(message)),
        Err(FailbackError::AwsRejected { code, message, .. }) if has_left(&code, &message) => {
            Ok(Answer::done(message))
        }
        Err(other) => Err(other),
    }
}

/// Answers of RDS to a removal that happened before. Source: error handling of the Terraform
/// provider, `internal/service/rds/global_cluster.go`.
fn has_left(code: &str, message: &str) -> bool {
    code == "GlobalClusterNotFoundFault"
        || (code == "InvalidParameterValue" && message.contains("is not found in global cluster"))
}
