//! Gathers the new endpoints and says what the run did.
//!
//! - **State:** `WriteReport`.
//! - **Requires:** both clusters are rebuilt.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** the report.
//! - **Calls:** `rds:DescribeDBClusters`, `rds:DescribeDBInstances`, `rds:DescribeGlobalClusters`,
//!   `rds:DescribeDBClusterSnapshots`.

use failback_plan::Plan;
use failback_plan::plan::Decision;
use failback_plan::seen::{RegionSeen, Seen};
use failback_plan::task::{ClusterRef, ConsumerKind, Moved, Proven, Retire};
use failback_plan::verify::{Row, row};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The plan that was carried out.
    pub plan: Plan,
    /// What clients use, as it was proven to point to its new endpoint, group by group.
    pub cut_over: Vec<Group>,
    /// Data sources of the applications, moved or not, as `cut-over-applications` answered.
    pub data_sources: Vec<DataSource>,
    /// When away's writes were refused, by the fence or by the switchover, in epoch milliseconds;
    /// `null` if an earlier execution did it.
    pub fenced_at_ms: Option<i64>,
    /// When home was seen to be the writer, in epoch milliseconds.
    pub promoted_at_ms: Option<i64>,
    /// What was proven in between; `null` if an earlier execution did it.
    pub proof: Option<Value>,
    /// Who approved what, and why.
    pub approvals: Vec<Value>,
}

/// Consumers that were proven at the same time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The consumers.
    pub moved: Vec<Moved>,
    /// When that was seen, in epoch milliseconds.
    pub proven_at_ms: i64,
}

/// What became of a data source.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// The address of its application.
    pub url: String,
    /// Its name when the run began.
    pub name: String,
    /// The host it had, if it was read.
    pub from: Option<String>,
    /// The host it shall have; `null` if it is removed or was not looked at.
    pub to: Option<String>,
    /// Whether it is as it shall be.
    pub moved: bool,
    /// How that is known, or why it is not so.
    pub detail: String,
    /// When that was seen, in epoch milliseconds.
    pub at_ms: i64,
}

/// A consumer of an endpoint, from where to where it was pointed, and since when that is known.
#[derive(Debug, Clone, Serialize)]
pub struct Consumer {
    /// What it is, old and new.
    #[serde(flatten)]
    pub moved: Moved,
    /// Whether this run moved it: it may have pointed there before.
    pub was_moved: bool,
    /// Seconds from the promotion, seen to be one, to the proof; `null` if an earlier execution
    /// promoted home.
    pub seconds_after_promotion: Option<f64>,
}

/// The output of the execution.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Always `COMPLETE`: the definition asks for it only when the final table holds. It is said of
    /// the database; a run that leaves data sources behind does not succeed.
    pub outcome: &'static str,
    /// What the plan had decided.
    pub decision: Decision,
    /// Why, and what the operator should know.
    pub reasons: Vec<String>,
    /// The final table.
    pub table: Vec<Row>,
    /// Endpoints, old and new.
    pub endpoints: Vec<Endpoint>,
    /// Final snapshots of the clusters that were deleted.
    pub final_snapshots: Vec<FinalSnapshot>,
    /// Names, secrets and whatever else leads clients to the endpoints, old and new.
    pub consumers: Vec<Consumer>,
    /// Data sources of the applications, moved or not, and why not.
    pub data_sources: Vec<DataSource>,
    /// When away's writes were refused.
    pub fenced_at_ms: Option<i64>,
    /// When home was seen to be the writer.
    pub promoted_at_ms: Option<i64>,
    /// By what it was known that nothing was in flight.
    pub proof: Option<Value>,
    /// Who approved what, and why.
    pub approvals: Vec<Value>,
}

/// An endpoint that took another's place.
#[derive(Debug, Clone, Serialize)]
pub struct Endpoint {
    /// Region of both.
    pub region: String,
    /// `writer` or `reader`.
    pub role: &'static str,
    /// The cluster it belongs to now.
    pub cluster_id: String,
    /// Host name before, if the cluster was still there when the run began.
    pub old: Option<String>,
    /// Host name now.
    pub new: Option<String>,
}

/// The final snapshot of a cluster.
#[derive(Debug, Clone, Serialize)]
pub struct FinalSnapshot {
    /// Region of both.
    pub region: String,
    /// The cluster that was deleted.
    pub cluster_id: String,
    /// `DBClusterSnapshotIdentifier`.
    pub snapshot_id: String,
    /// Its ARN and status, `null` if it is not there.
    pub snapshot_arn: Option<String>,
    /// `Status`.
    pub status: Option<String>,
}

/// Looks.
pub async fn write_report(aws: &Aws, input: Input) -> Result<Report, FailbackError> {
    let Input { plan, cut_over, data_sources, fenced_at_ms, promoted_at_ms, proof, approvals } = input;
    let (home, away) = (&plan.writer_at_the_end, &plan.reader_at_the_end);
    let seen = Seen {
        home: side(aws, home).await?,
        away: side(aws, away).await?,
        global_clusters: observe::global_clusters(aws, &home.region).await?,
        ..Seen::default()
    };
    let mut final_snapshots = Vec::new();
    // A switchover keeps away's cluster, and home's where Aurora has brought it back.
    let kept = [&plan.writer_at_the_end, &plan.reader_at_the_end];
    for retired in [&plan.retire_home, &plan.retire_away] {
        if !kept.contains(&&retired.cluster) {
            final_snapshots.push(final_snapshot(aws, retired).await?);
        }
    }
    Ok(Report {
        outcome: "COMPLETE",
        decision: plan.decision,
        reasons: plan.reasons.clone(),
        table: [home, away].map(|c| row(&seen, &c.region, &c.cluster_id)).into(),
        endpoints: endpoints(&plan, &seen),
        final_snapshots,
        consumers: consumers(cut_over, &data_sources, promoted_at_ms),
        data_sources,
        fenced_at_ms,
        promoted_at_ms,
        proof,
        approvals,
    })
}

fn consumers(
    groups: Vec<Group>,
    sources: &[DataSource],
    promoted_at_ms: Option<i64>,
) -> Vec<Consumer> {
    let consumer = |moved: Moved, proven_at_ms: i64| Consumer {
        was_moved: moved.from.as_ref() != Some(&moved.to),
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
        seconds_after_promotion: promoted_at_ms.map(|at| (proven_at_ms - at) as f64 / 1_000.0),
        moved,
    };
    let all = groups.into_iter().flat_map(|Group { moved, proven_at_ms }| {
        moved.into_iter().map(move |moved| (moved, proven_at_ms))
    });
    // One that goes points nowhere, and one that is left behind not there.
    let sources = sources.iter().filter(|source| source.moved).filter_map(|source| {
        let moved = Moved {
            consumer: ConsumerKind::DataSource,
            name: source.name.clone(),
            place: source.url.clone(),
            from: source.from.clone(),
            to: source.to.clone()?,
            proof: Some(Proven::ReadBack),
        };
        Some((moved, source.at_ms))
    });
    all.chain(sources).map(|(moved, at_ms)| consumer(moved, at_ms)).collect()
}

async fn side(aws: &Aws, cluster: &ClusterRef) -> Result<RegionSeen, FailbackError> {
    Ok(RegionSeen {
        region: cluster.region.clone(),
        clusters: observe::cluster(aws, &cluster.region, &cluster.cluster_id)
            .await?
            .into_iter()
            .collect(),
        instances: observe::instances(aws, &cluster.region, Some(&cluster.cluster_id)).await?,
        ..RegionSeen::default()
    })
}

fn endpoints(plan: &Plan, seen: &Seen) -> Vec<Endpoint> {
    let mut out = Vec::new();
    for side in [&seen.home, &seen.away] {
        for cluster in &side.clusters {
            let both = [("writer", &cluster.endpoint), ("reader", &cluster.reader_endpoint)];
            out.extend(both.into_iter().map(|(role, new)| Endpoint {
                region: side.region.clone(),
                role,
                cluster_id: cluster.id.clone(),
                old: plan
                    .endpoints_before
                    .iter()
                    .find(|e| e.region == side.region && e.role == role)
                    .map(|e| e.endpoint.clone()),
                new: new.clone(),
            }));
        }
    }
    out
}

async fn final_snapshot(aws: &Aws, retired: &Retire) -> Result<FinalSnapshot, FailbackError> {
    let cluster = &retired.cluster;
    let snapshot = observe::snapshot(aws, &cluster.region, &retired.final_snapshot_id).await?;
    Ok(FinalSnapshot {
        region: cluster.region.clone(),
        cluster_id: cluster.cluster_id.clone(),
        snapshot_id: retired.final_snapshot_id.clone(),
        snapshot_arn: snapshot.as_ref().map(|s| s.arn.clone()),
        status: snapshot.map(|s| s.status),
    })
}
