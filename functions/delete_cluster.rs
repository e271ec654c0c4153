//! Deletes a cluster, always with a final snapshot.
//!
//! - **State:** `DeleteCluster`, followed by `CheckDeletion`.
//! - **Requires:** the cluster is the one the plan was made for, is in no global cluster, is available,
//!   has no instance that is not being deleted, and its deletion protection is off. Clients cannot
//!   reach it, and another cluster is available, a writer, and known to hold what it acknowledged.
//! - **Ensures:** RDS has begun the deletion and the snapshot, or both had been begun before.
//! - **Idempotent because** a cluster that is being deleted, or gone, is left alone.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:DescribeDBClusterSnapshots`,
//!   `rds:DescribeGlobalClusters`, `ec2:DescribeNetworkAcls`, `dynamodb:GetItem`,
//!   `rds:DeleteDBCluster`.

use failback_plan::Answer;
use failback_plan::steps::{self, Deletion, Step};
use failback_plan::task::{ClusterRef, Guard};
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::{guard, observe};
use crate::reply::{another, reply};

const CALL: &str = "rds:DeleteDBCluster";

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The cluster.
    pub cluster: ClusterRef,
    /// Its resource id when the plan was made.
    pub cluster_resource_id: String,
    /// What must hold at this moment.
    pub guard: Guard,
    /// The global database, under which proofs are remembered.
    pub database: String,
    /// The id of the final snapshot.
    pub final_snapshot_id: String,
}

/// Looks, decides, deletes at most once.
pub async fn delete_cluster(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { cluster, cluster_resource_id, guard, database, final_snapshot_id } = input;
    let region = cluster.region.as_str();
    let seen = observe::cluster(aws, region, &cluster.cluster_id).await?;
    let instances = observe::instances(aws, region, Some(&cluster.cluster_id)).await?;
    let snapshot = observe::snapshot(aws, region, &final_snapshot_id).await?;
    let listed_in = observe::listed_in(aws, region, &cluster.arn).await?;
    let deletion = Deletion {
        cluster: seen.as_ref(),
        resource_id: &cluster_resource_id,
        snapshot: snapshot.as_ref(),
        snapshot_id: &final_snapshot_id,
    };
    match steps::delete_cluster(deletion, &instances, listed_in.as_deref())? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    match guard::check(aws, &database, &guard, &cluster, &cluster_resource_id).await?? {
        Step::Done(why) | Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    let request = aws
        .rds(region)
        .delete_db_cluster()
        .db_cluster_identifier(&cluster.cluster_id)
        .skip_final_snapshot(false)
        .final_db_snapshot_identifier(&final_snapshot_id);
    let result = request.send().await;
    let changed = result.as_ref().ok().and_then(|answer| answer.db_cluster());
    if let Some(found) = another(changed, &cluster_resource_id) {
        let ClusterRef { region, cluster_id: cluster, .. } = cluster;
        let effect = format!(
            "IT IS BEING DELETED, behind the final snapshot `{final_snapshot_id}`. Restore it from there"
        );
        return Err(FailbackError::AnotherClusterMet { call: CALL, found, cluster, region, effect });
    }
    let reply = reply(CALL, result, &["DBClusterNotFoundFault"])?;
    Ok(reply.done(format!("{} is being deleted with {final_snapshot_id}", cluster.cluster_id)))
}
