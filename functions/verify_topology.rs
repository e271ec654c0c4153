//! Compares both Regions with the table that must hold after a phase.
//!
//! - **State:** `VerifyTopology`, after every phase.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:DescribeGlobalClusters`,
//!   `ec2:DescribeNetworkAcls`.

use std::collections::BTreeSet;

use failback_plan::Answer;
use failback_plan::fence::Fence;
use failback_plan::seen::{RegionSeen, Seen};
use failback_plan::task::NetworkTargets;
use failback_plan::verify::{Expectation, Row, differences, row};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::{network, observe};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What must hold.
    pub expect: Expectation,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Whether it holds.
    #[serde(flatten)]
    pub answer: Answer,
    /// The table as it is.
    pub table: Vec<Row>,
    /// Everything in which it differs; empty when it holds.
    pub differences: Vec<String>,
}

/// Looks.
pub async fn verify_topology(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { expect } = input;
    let seen = look(aws, &expect).await?;
    let differences = differences(&seen, &expect);
    let table =
        expect.clusters.iter().map(|c| row(&seen, &c.region, &c.cluster_id)).collect();
    let answer = if differences.is_empty() {
        Answer::done("the topology is as planned")
    } else {
        Answer::pending(differences.join("; "))
    };
    Ok(Output { answer, table, differences })
}

/// Only what the expectation names is read.
async fn look(aws: &Aws, expect: &Expectation) -> Result<Seen, FailbackError> {
    let regions: BTreeSet<&str> = expect
        .clusters
        .iter()
        .map(|c| c.region.as_str())
        .chain(expect.network.iter().map(|n| n.region.as_str()))
        .chain(expect.closed.iter().map(Fence::region))
        .collect();
    let mut sides = Vec::new();
    for region in &regions {
        let mut side = RegionSeen { region: (*region).to_owned(), ..RegionSeen::default() };
        for wanted in expect.clusters.iter().filter(|c| c.region == *region) {
            side.clusters.extend(observe::cluster(aws, region, &wanted.cluster_id).await?);
            side.instances
                .extend(observe::instances(aws, region, Some(&wanted.cluster_id)).await?);
        }
        for fence in expect.closed.iter().filter(|fence| fence.region() == *region) {
            let id = &fence.cluster.cluster_id;
            if side.cluster(id).is_none() {
                side.clusters.extend(observe::cluster(aws, region, id).await?);
            }
        }
        let of_region = |n: &NetworkTargets| n.region == *region;
        if expect.network.iter().any(of_region)
            || expect.closed.iter().any(|fence| fence.region() == *region)
        {
            side.network_acls = network::acls(aws, region).await?;
        }
        sides.push(side);
    }
    let mut seen = Seen::default();
    if !expect.clusters.is_empty()
        && let Some(region) = regions.first()
    {
        seen.global_clusters = observe::global_clusters(aws, region).await?;
    }
    let mut sides = sides.into_iter();
    seen.home = sides.next().unwrap_or_default();
    seen.away = sides.next().unwrap_or_default();
    Ok(seen)
}
