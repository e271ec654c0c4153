//! Deletes the instances of a cluster: the readers, and when they are gone the writer.
//!
//! - **State:** `DeleteInstances`, repeated until nothing is left to ask for.
//! - **Requires:** the cluster is the one the plan was made for, by its ARN and resource id. Clients
//!   cannot reach it, and another cluster serves them.
//! - **Ensures:** every instance is gone or being deleted, which is what a cluster's deletion needs.
//! - **Idempotent because** instances that are being deleted are left alone.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:DescribeGlobalClusters`,
//!   `ec2:DescribeNetworkAcls`, `dynamodb:GetItem`, `rds:DeleteDBInstance`.

use failback_plan::Answer;
use failback_plan::steps::{self, Step};
use failback_plan::task::{ClusterRef, Guard};
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::{guard, observe};
use crate::reply::{Reply, reply};

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
}

/// Looks, decides, deletes one group.
pub async fn delete_instances(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    let Input { cluster, cluster_resource_id, guard, database } = input;
    let region = cluster.region.as_str();
    let seen = observe::cluster(aws, region, &cluster.cluster_id).await?;
    let instances = observe::instances(aws, region, Some(&cluster.cluster_id)).await?;
    let ids = match steps::delete_instances(seen.as_ref(), &cluster_resource_id, &instances)? {
        Step::Done(why) => return Ok(Answer::done(why)),
        Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(ids) => ids,
    };
    match guard::check(aws, &database, &guard, &cluster, &cluster_resource_id).await?? {
        Step::Done(why) | Step::Wait(why) => return Ok(Answer::pending(why)),
        Step::Act(()) => {}
    }
    for id in &ids {
        // Aurora instances have no snapshot of their own: the cluster's final snapshot has it all.
        let request = aws.rds(region).delete_db_instance().db_instance_identifier(id);
        let result = request.send().await;
        if let Reply::NotYet(why) = reply("rds:DeleteDBInstance", result, &["DBInstanceNotFound"])? {
            return Ok(Answer::pending(why));
        }
    }
    Ok(Answer::pending(format!("deleting {}", ids.join(", "))))
}
