//! Looks whether a reader has everything that its writer acknowledged.
//!
//! - **State:** `CheckReplication`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads. Without samples that are new enough, or without the position
//!   where one is asked for, it never answers DONE.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `cloudwatch:GetMetricData`, `rds-data:ExecuteStatement`.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StandardUnit,
};
use failback_plan::Answer;
use failback_plan::memory::ProofKind;
use failback_plan::replication::{Gate, LagSample, judge, reached};
use failback_plan::task::ClusterRef;
use failback_plan::versions::lag_metric;
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::position;

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The reader.
    pub cluster: ClusterRef,
    /// Its writer.
    pub source: ClusterRef,
    /// Engine, which chooses the metric.
    pub engine: String,
    /// Engine version, which chooses the metric.
    pub engine_version: String,
    /// Most lag that passes, in milliseconds.
    pub lag_ms_max: u32,
    /// Consecutive samples that must pass.
    pub samples: u32,
    /// Secret of a user by which positions are read; the exact proof, instead of samples.
    pub position_secret_arn: Option<String>,
    /// The writer's position at the first look; now, when absent.
    pub wanted_position: Option<i64>,
    /// Only samples whose minute began at or after this count, in epoch milliseconds.
    pub newer_than_ms: Option<i64>,
    /// The present, in epoch milliseconds: the definition's clock is the only one.
    pub now_ms: i64,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Whether the gate passes.
    #[serde(flatten)]
    pub answer: Answer,
    /// The worst lag among the samples that were judged, in milliseconds.
    pub lag_ms: Option<f64>,
    /// How many samples CloudWatch had.
    pub samples_seen: usize,
    /// What an answer of DONE rests on.
    pub proof: ProofKind,
    /// The position that the reader has to reach.
    pub position: Option<i64>,
}

/// How far back to look, in milliseconds: room for the samples and for late publication.
const WINDOW_MS: i64 = 15 * 60_000;

/// Looks at the positions where a way to read them is configured, at the lag elsewhere.
pub async fn check_replication(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    if let Some(secret_arn) = &input.position_secret_arn {
        let regions = (&input.source, input.cluster.region.as_str());
        let seen = position::of_members(aws, regions, secret_arn, &input.engine).await?;
        let (answer, position) = reached(seen, input.wanted_position);
        let proof = ProofKind::Position;
        return Ok(Output { answer, lag_ms: None, samples_seen: 0, proof, position });
    }
    let samples = samples(aws, &input).await?;
    let gate = Gate {
        lag_ms_max: input.lag_ms_max,
        samples: input.samples,
        newer_than_ms: input.newer_than_ms,
    };
    let (answer, lag_ms) = judge(&samples, gate);
    let (proof, samples_seen) = (ProofKind::LagSamples, samples.len());
    Ok(Output { answer, lag_ms, samples_seen, proof, position: None })
}

/// The metric is published in the reader's Region only, under two dimensions. Source: Aurora User
/// Guide, "Amazon CloudWatch metrics for Amazon Aurora"; dimensions as in `docs/sandbox.md`.
async fn samples(aws: &Aws, input: &Input) -> Result<Vec<LagSample>, FailbackError> {
    const CALL: &str = "cloudwatch:GetMetricData";
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace("AWS/RDS")
        .metric_name(lag_metric(&input.engine, &input.engine_version))
        .dimensions(dimension("DBClusterIdentifier", &input.cluster.cluster_id))
        .dimensions(dimension("SourceRegion", &input.source.region))
        .build();
    // The worst value of each minute, not its average: a spike is what would be lost.
    let stat = MetricStat::builder()
        .metric(metric)
        .period(60)
        .stat("Maximum")
        .unit(StandardUnit::Milliseconds)
        .build();
    let query = MetricDataQuery::builder().id("lag").metric_stat(stat).build();
    let mut pages = aws
        .cloudwatch(&input.cluster.region)
        .get_metric_data()
        .metric_data_queries(query)
        .start_time(DateTime::from_millis((input.now_ms - WINDOW_MS).max(0)))
        .end_time(DateTime::from_millis(input.now_ms))
        .scan_by(ScanBy::TimestampDescending)
        .into_paginator()
        .send();
    let mut out = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| classify(CALL, e))?;
        for result in page.metric_data_results() {
            for (at, lag_ms) in result.timestamps().iter().zip(result.values()) {
                // A time that cannot be read is a sample that was not had.
                if let Ok(at_ms) = at.to_millis() {
                    out.push(LagSample { at_ms, lag_ms: *lag_ms });
                }
            }
        }
    }
    Ok(out)
}
