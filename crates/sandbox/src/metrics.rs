//! CloudWatch: the replication metrics of global databases.
//!
//! Aurora publishes them **only in the reader's Region**, under the two dimensions
//! `DBClusterIdentifier` and `SourceRegion`, one data point a minute, and none at all for a cluster
//! that is not a connected reader. A series asked for anywhere else, or under other dimensions, is
//! empty and no error, so a caller that takes "nothing there" for "no lag" is wrong without being
//! told; the model keeps that trap.

mod cbor;

use std::collections::{BTreeMap, BTreeSet};

use aws_smithy_cbor::Encoder;
use aws_smithy_types::DateTime;
use serde_json::Value;

use crate::rows::LagSample;
use crate::wire::{AwsError, Request, Response};
use crate::world::World;

/// The namespace of everything Aurora publishes.
const NAMESPACE: &str = "AWS/RDS";
/// Its metrics of a reader in another Region, in milliseconds.
const LAG_METRICS: [&str; 3] =
    ["AuroraGlobalDBProgressLag", "AuroraGlobalDBRPOLag", "AuroraGlobalDBReplicationLag"];
/// One data point a minute.
const MINUTE_MS: i64 = 60_000;
/// What a page holds when the caller does not say.
const POINTS_PER_PAGE: usize = 100_800;
/// What `RecentlyActive` `PT3H` reaches back.
const RECENT_MS: i64 = 3 * 60 * MINUTE_MS;

/// Answers a CloudWatch call.
///
/// # Errors
/// What CloudWatch answers to a call it refuses; `InvalidAction` for an operation not modelled.
pub(crate) fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    let input = cbor::read(&request.body).map_err(|error| {
        AwsError::bad_request("SerializationException", format!("Malformed CBOR: {error}"))
    })?;
    let answer = match request.operation().as_str() {
        "GetMetricData" => get_metric_data(world, &request.region, &input)?,
        "ListMetrics" => list_metrics(world, &request.region, &input),
        other => return Err(AwsError::unknown_operation(other)),
    };
    Ok(Response::cbor(answer.into_writer()))
}

/// The dimensions of a metric, by name.
type Dimensions = BTreeMap<String, String>;

/// One query of `GetMetricData`.
struct Query {
    id: String,
    label: String,
    returned: bool,
    metric_name: String,
    namespace: String,
    dimensions: Dimensions,
    period_ms: i64,
    statistic: Statistic,
}

/// How the samples of a period become one value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Statistic {
    Average,
    Maximum,
    Minimum,
    Sum,
    SampleCount,
    Percentile(f64),
}

/// Data points in ascending order of time: epoch milliseconds and value.
type Points = Vec<(i64, f64)>;

fn get_metric_data(world: &World, region: &str, input: &Value) -> Result<Encoder, AwsError> {
    let queries = input["MetricDataQueries"].as_array().map_or(&[][..], Vec::as_slice);
    let queries: Vec<Query> = queries.iter().map(Query::parse).collect::<Result<_, _>>()?;
    if queries.is_empty() {
        return Err(missing("MetricDataQueries"));
    }
    let ids: BTreeSet<&str> = queries.iter().map(|query| query.id.as_str()).collect();
    if ids.len() < queries.len() {
        return Err(invalid("The values for parameter id in MetricDataQueries are not unique."));
    }
    let start_ms = input["StartTime"].as_i64().ok_or_else(|| missing("StartTime"))?;
    let end_ms = input["EndTime"].as_i64().ok_or_else(|| missing("EndTime"))?;
    if start_ms >= end_ms {
        let message = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(invalid(message));
    }
    let ascending = input["ScanBy"] == "TimestampAscending";
    let results = queries.iter().filter(|query| query.returned).map(|query| {
        let mut points = query.points(world, region, start_ms, end_ms);
        if !ascending {
            points.reverse();
        }
        (query, points)
    });
    let size = input["MaxDatapoints"].as_u64().and_then(|n| usize::try_from(n).ok());
    let from = match input["NextToken"].as_str() {
        None => 0,
        Some(token) => read_token(token).ok_or_else(|| {
            AwsError::bad_request("InvalidNextToken", "The next token specified is invalid.")
        })?,
    };
    let size = size.unwrap_or(POINTS_PER_PAGE).clamp(1, POINTS_PER_PAGE);
    Ok(write_page(results.collect(), from, size))
}

impl Query {
    fn parse(query: &Value) -> Result<Self, AwsError> {
        let id = text(&query["Id"]);
        let well_named = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !well_named {
            return Err(invalid(format!(
                "The value {id} for parameter id is not matching the expected pattern \
                 ^[a-z][a-zA-Z0-9_]*$."
            )));
        }
        let stat = &query["MetricStat"];
        if stat.is_null() {
            let message = "Metric math and SEARCH expressions are not modelled.";
            return Err(invalid(message));
        }
        let metric = &stat["Metric"];
        let metric_name = text(&metric["MetricName"]);
        let label = query["Label"].as_str().map_or_else(|| metric_name.clone(), str::to_owned);
        Ok(Self {
            id,
            label,
            returned: query["ReturnData"] != false,
            metric_name,
            namespace: text(&metric["Namespace"]),
            dimensions: dimensions(&metric["Dimensions"]),
            period_ms: period_ms(&stat["Period"])?,
            statistic: Statistic::parse(&text(&stat["Stat"]))?,
        })
    }

    /// The data points of `start_ms..end_ms` that can be read by now; CloudWatch takes the start
    /// down to the full minute.
    fn points(&self, world: &World, region: &str, start_ms: i64, end_ms: i64) -> Points {
        let known = self.namespace == NAMESPACE && LAG_METRICS.contains(&self.metric_name.as_str());
        if !known || world.behaviour.metric_data_missing {
            return Points::new();
        }
        let Some((cluster_id, source)) = self.series(world) else { return Points::new() };
        // Only the minutes between the first reader and now are looked through.
        let first_ms = world.rows.streams().map(|stream| stream.from_ms).min();
        let Some(first_ms) = first_ms.filter(|_| start_ms <= world.now_ms) else {
            return Points::new();
        };
        let start_ms = start_ms.max(first_ms).div_euclid(MINUTE_MS) * MINUTE_MS;
        // A point stamped `t` can be read from `t + delay` on.
        let end_ms = end_ms.max(start_ms).min(world.now_ms - world.behaviour.metric_delay_ms + 1);
        let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for sample in world.replication_lag(region, cluster_id, start_ms, end_ms) {
            let LagSample { at_ms, lag_ms, source_region } = sample;
            if source.is_none_or(|source| *source == source_region) {
                let bucket = at_ms.div_euclid(self.period_ms) * self.period_ms;
                buckets.entry(bucket).or_default().push(lag_ms);
            }
        }
        let reduce = |(at_ms, values): (i64, Vec<f64>)| (at_ms, self.statistic.of(values));
        buckets.into_iter().map(reduce).collect()
    }

    /// The cluster and the source Region that the dimensions name, if they are dimensions Aurora
    /// publishes under.
    fn series(&self, world: &World) -> Option<(&str, Option<&String>)> {
        let cluster_id = self.dimensions.get("DBClusterIdentifier")?;
        let source = self.dimensions.get("SourceRegion");
        let published = match source {
            Some(_) => self.dimensions.len() == 2,
            None => self.dimensions.len() == 1 && world.behaviour.metric_without_source_region,
        };
        published.then_some((cluster_id.as_str(), source))
    }
}

impl Statistic {
    fn parse(text: &str) -> Result<Self, AwsError> {
        let percentile = || text.strip_prefix('p')?.parse().ok().filter(|p| *p <= 100.0);
        Ok(match text {
            "Average" => Self::Average,
            "Maximum" => Self::Maximum,
            "Minimum" => Self::Minimum,
            "Sum" => Self::Sum,
            "SampleCount" => Self::SampleCount,
            _ => Self::Percentile(percentile().ok_or_else(|| {
                invalid(format!("The value {text} for parameter Stat is not supported."))
            })?),
        })
    }

    /// The value of a period that has samples.
    fn of(self, mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let sum: f64 = values.iter().sum();
        match self {
            Self::Average => sum / count,
            Self::Sum => sum,
            Self::SampleCount => count,
            Self::Minimum => values.first().copied().unwrap_or_default(),
            Self::Maximum => values.last().copied().unwrap_or_default(),
            Self::Percentile(percent) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between zero and the number of samples"
                )]
                let rank = (percent / 100.0 * count).ceil() as usize;
                values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
            }
        }
    }
}

/// Writes the points from number `from` on, at most `size` of them, over all results in order.
fn write_page(results: Vec<(&Query, Points)>, from: usize, size: usize) -> Encoder {
    let total: usize = results.iter().map(|(_, points)| points.len()).sum();
    let mut skip = from.min(total);
    let mut room = size;
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin_map();
    encoder.str("MetricDataResults").begin_array();
    for (query, points) in results {
        let skipped = skip.min(points.len());
        skip -= skipped;
        let page: Points = points.iter().skip(skipped).take(room).copied().collect();
        room -= page.len();
        let complete = skipped + page.len() == points.len();
        write_result(&mut encoder, query, &page, complete);
    }
    encoder.end();
    encoder.str("Messages").begin_array().end();
    let next = from.saturating_add(size);
    if next < total {
        encoder.str("NextToken").str(&format!("points-{next}"));
    }
    encoder.end();
    encoder
}

fn write_result(encoder: &mut Encoder, query: &Query, points: &Points, complete: bool) {
    encoder.begin_map();
    encoder.str("Id").str(&query.id);
    encoder.str("Label").str(&query.label);
    encoder.str("Timestamps").begin_array();
    for (at_ms, _) in points {
        encoder.timestamp(&DateTime::from_millis(*at_ms));
    }
    encoder.end();
    encoder.str("Values").begin_array();
    for (_, value) in points {
        encoder.double(*value);
    }
    encoder.end();
    encoder.str("StatusCode").str(if complete { "Complete" } else { "PartialData" });
    encoder.end();
}

/// Lists the metrics that have at least one data point that can be read.
fn list_metrics(world: &World, region: &str, input: &Value) -> Encoder {
    let wanted = |name: &str, value: &str| input[name].as_str().is_none_or(|given| given == value);
    let recent = input["RecentlyActive"].as_str().is_some();
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin_map();
    encoder.str("Metrics").begin_array();
    if wanted("Namespace", NAMESPACE) && !world.behaviour.metric_data_missing {
        let filters = input["Dimensions"].as_array().map_or(&[][..], Vec::as_slice);
        for dimensions in published(world, region, recent) {
            if !filters.iter().all(|filter| passes(filter, &dimensions)) {
                continue;
            }
            for name in LAG_METRICS.into_iter().filter(|name| wanted("MetricName", name)) {
                write_metric(&mut encoder, name, &dimensions);
            }
        }
    }
    encoder.end().end();
    encoder
}

/// The dimensions under which a Region has data points.
fn published(world: &World, region: &str, recent: bool) -> BTreeSet<Dimensions> {
    let readable_ms = world.now_ms - world.behaviour.metric_delay_ms;
    let since_ms = if recent { world.now_ms - RECENT_MS } else { i64::MIN };
    let mut found = BTreeSet::new();
    for stream in world.rows.streams().filter(|stream| stream.target.0 == region) {
        let first_ms = (stream.from_ms + MINUTE_MS - 1).div_euclid(MINUTE_MS) * MINUTE_MS;
        let ended_ms = stream.to_ms.unwrap_or(i64::MAX);
        if first_ms > readable_ms || first_ms >= ended_ms || ended_ms < since_ms {
            continue;
        }
        let cluster = ("DBClusterIdentifier".to_owned(), stream.target.1.clone());
        let source = ("SourceRegion".to_owned(), stream.source_region.clone());
        if world.behaviour.metric_without_source_region {
            found.insert(Dimensions::from([cluster.clone()]));
        }
        found.insert(Dimensions::from([cluster, source]));
    }
    found
}

fn passes(filter: &Value, dimensions: &Dimensions) -> bool {
    let held = filter["Name"].as_str().and_then(|name| dimensions.get(name));
    held.is_some_and(|held| filter["Value"].as_str().is_none_or(|value| value == held))
}

fn write_metric(encoder: &mut Encoder, name: &str, dimensions: &Dimensions) {
    encoder.begin_map();
    encoder.str("Namespace").str(NAMESPACE);
    encoder.str("MetricName").str(name);
    encoder.str("Dimensions").begin_array();
    for (name, value) in dimensions {
        encoder.begin_map();
        encoder.str("Name").str(name);
        encoder.str("Value").str(value);
        encoder.end();
    }
    encoder.end().end();
}

fn dimensions(list: &Value) -> Dimensions {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|one| (text(&one["Name"]), text(&one["Value"]))).collect()
}

/// A period in milliseconds: a multiple of a minute, because Aurora publishes nothing finer.
fn period_ms(seconds: &Value) -> Result<i64, AwsError> {
    let seconds = seconds.as_i64().ok_or_else(|| missing("Period"))?;
    if seconds <= 0 || (seconds % 60 != 0 && ![1, 5, 10, 20, 30].contains(&seconds)) {
        let message = "The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60.";
        return Err(invalid(message));
    }
    Ok(seconds.max(60).saturating_mul(1_000))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read_token(token: &str) -> Option<usize> {
    token.strip_prefix("points-")?.parse().ok()
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ValidationError", message)
}

fn missing(parameter: &str) -> AwsError {
    let message = format!("The parameter {parameter} is required.");
    AwsError::bad_request("MissingParameter", message)
}
