//! CloudWatch through the unchanged SDK: the lag of a reader in another Region.

mod network_support;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use failback_sandbox::Behaviour;
use network_support::{AWAY, HOME, Lab, START_MS, sdk, world};

const MINUTE_MS: i64 = 60_000;

fn lag(dimensions: &[(&str, &str)], period_s: i32, stat: &str) -> MetricDataQuery {
    let dimensions =
        dimensions.iter().map(|(n, v)| Dimension::builder().name(*n).value(*v).build());
    let metric = Metric::builder()
        .namespace("AWS/RDS")
        .metric_name("AuroraGlobalDBRPOLag")
        .set_dimensions(Some(dimensions.collect()));
    let stat = MetricStat::builder().metric(metric.build()).period(period_s).stat(stat).build();
    MetricDataQuery::builder().id("lag").metric_stat(stat).build()
}

/// Time stamps and values of a query, from the world's start until now.
async fn points(cloudwatch: &Client, lab: &Lab, query: MetricDataQuery) -> Vec<(i64, f64)> {
    let answer = cloudwatch
        .get_metric_data()
        .metric_data_queries(query)
        .start_time(DateTime::from_millis(START_MS))
        .end_time(DateTime::from_millis(lab.now_ms()))
        .scan_by(ScanBy::TimestampAscending)
        .send()
        .await
        .unwrap();
    let [result] = answer.metric_data_results() else { panic!("one result") };
    let stamps = result.timestamps().iter().map(|at| at.to_millis().unwrap());
    stamps.zip(result.values().iter().copied()).collect()
}

const READER: [(&str, &str); 2] = [("DBClusterIdentifier", "gdb1"), ("SourceRegion", AWAY)];

#[tokio::test]
async fn reader_has_one_point_a_minute_some_seconds_late() {
    let lab = Lab::new(world());
    let cloudwatch = sdk!(aws_sdk_cloudwatch, lab, HOME);
    let stamps = async |lab: &Lab| -> Vec<i64> {
        let points = points(&cloudwatch, lab, lag(&READER, 60, "Average")).await;
        points.iter().map(|(at_ms, _)| (at_ms - START_MS) / MINUTE_MS).collect()
    };

    lab.wait_s(3 * 60 + 19);
    assert_eq!(stamps(&lab).await, [0, 1, 2]);
    lab.wait_s(1);
    assert_eq!(stamps(&lab).await, [0, 1, 2, 3]);
    let points = points(&cloudwatch, &lab, lag(&READER, 60, "Average")).await;
    assert!(points.iter().all(|(_, ms)| (0.0..200.0).contains(ms)), "{points:?}");
}

#[tokio::test]
async fn series_under_other_dimensions_or_elsewhere_is_empty_and_no_error() {
    let lab = Lab::new(world());
    lab.wait_s(600);
    let home = sdk!(aws_sdk_cloudwatch, lab, HOME);
    let away = sdk!(aws_sdk_cloudwatch, lab, AWAY);

    for dimensions in [
        &[("DBClusterIdentifier", "gdb1")][..],
        &[("DBClusterIdentifier", "gdb1"), ("SourceRegion", HOME)],
        &[("DBClusterIdentifier", "gdb2"), ("SourceRegion", AWAY)],
        &[("DBClusterIdentifier", "gdb1"), ("SourceRegion", AWAY), ("Role", "READER")],
        &[],
    ] {
        assert!(points(&home, &lab, lag(dimensions, 60, "Average")).await.is_empty());
    }
    for id in ["gdb1", "gdb2"] {
        let dimensions = [("DBClusterIdentifier", id), ("SourceRegion", AWAY)];
        assert!(points(&away, &lab, lag(&dimensions, 60, "Average")).await.is_empty());
    }
    assert!(!points(&home, &lab, lag(&READER, 60, "Average")).await.is_empty());
}

#[tokio::test]
async fn one_dimension_is_enough_when_told_so() {
    let lab = Lab::new(world());
    let behaviour = Behaviour { metric_without_source_region: true, ..Behaviour::default() };
    lab.sandbox.set_behaviour(behaviour);
    lab.wait_s(300);
    let cloudwatch = sdk!(aws_sdk_cloudwatch, lab, HOME);

    let alone = points(&cloudwatch, &lab, lag(&[READER[0]], 60, "Average")).await;
    let both = points(&cloudwatch, &lab, lag(&READER, 60, "Average")).await;

    assert_eq!(alone, both);
    assert!(!alone.is_empty());
}

#[tokio::test]
async fn metric_without_data_is_neither_listed_nor_filled() {
    let lab = Lab::new(world());
    lab.sandbox.set_behaviour(Behaviour { metric_data_missing: true, ..Behaviour::default() });
    lab.wait_s(300);
    let cloudwatch = sdk!(aws_sdk_cloudwatch, lab, HOME);

    assert!(points(&cloudwatch, &lab, lag(&READER, 60, "Average")).await.is_empty());
    let listed = cloudwatch.list_metrics().namespace("AWS/RDS").send().await.unwrap();
    assert!(listed.metrics().is_empty());
}

#[tokio::test]
async fn large_lag_shows_in_every_statistic() {
    let lab = Lab::new(world());
    lab.wait_s(120);
    lab.sandbox.change_world(|world| world.set_replication_lag(HOME, "gdb1", 90_000));
    lab.wait_s(480);
    let cloudwatch = sdk!(aws_sdk_cloudwatch, lab, HOME);

    let maximum = points(&cloudwatch, &lab, lag(&READER, 300, "Maximum")).await;
    let p100 = points(&cloudwatch, &lab, lag(&READER, 300, "p100")).await;
    let count = points(&cloudwatch, &lab, lag(&READER, 300, "SampleCount")).await;

    assert_eq!(maximum, p100);
    assert!(maximum.iter().all(|(_, ms)| *ms > 50_000.0), "{maximum:?}");
    let counted: Vec<(i64, f64)> = vec![(START_MS, 5.0), (START_MS + 5 * MINUTE_MS, 5.0)];
    assert_eq!(count, counted);
}

#[tokio::test]
async fn dimensions_are_discovered_by_listing() {
    let lab = Lab::new(world());
    lab.wait_s(120);
    let list = async |region| {
        let cloudwatch: Client = sdk!(aws_sdk_cloudwatch, lab, region);
        let call = cloudwatch.list_metrics().metric_name("AuroraGlobalDBRPOLag");
        call.send().await.unwrap().metrics().to_vec()
    };

    let at_home = list(HOME).await;
    let at_away = list(AWAY).await;

    let [metric] = at_home.as_slice() else { panic!("one metric at home") };
    let dimensions: Vec<(&str, &str)> =
        metric.dimensions().iter().map(|d| (d.name().unwrap(), d.value().unwrap())).collect();
    assert_eq!(dimensions, READER);
    assert!(at_away.is_empty());
}

#[tokio::test]
async fn points_come_over_pages_and_newest_first_unless_asked_otherwise() {
    let lab = Lab::new(world());
    lab.wait_s(600);
    let cloudwatch = sdk!(aws_sdk_cloudwatch, lab, HOME);
    let mut pages = cloudwatch
        .get_metric_data()
        .metric_data_queries(lag(&READER, 60, "Average"))
        .start_time(DateTime::from_millis(START_MS))
        .end_time(DateTime::from_millis(lab.now_ms()))
        .max_datapoints(4)
        .into_paginator()
        .send();

    let mut stamps = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        let result = &page.metric_data_results()[0];
        assert!(result.timestamps().len() <= 4);
        stamps.extend(result.timestamps().iter().map(|at| at.to_millis().unwrap()));
    }

    assert_eq!(stamps.len(), 10);
    assert!(stamps.is_sorted_by(|a, b| a > b), "{stamps:?}");
}

#[tokio::test]
async fn query_that_makes_no_sense_is_refused() {
    let lab = Lab::new(world());
    let cloudwatch = sdk!(aws_sdk_cloudwatch, lab, HOME);
    let ask = async |query: MetricDataQuery, from_ms: i64| {
        let call = cloudwatch.get_metric_data().metric_data_queries(query);
        let call = call.start_time(DateTime::from_millis(from_ms));
        let answer = call.end_time(DateTime::from_millis(START_MS)).send().await;
        answer.unwrap_err().code().unwrap_or_default().to_owned()
    };

    let before = START_MS - MINUTE_MS;
    assert_eq!(ask(lag(&READER, 60, "Average"), START_MS).await, "ValidationError");
    assert_eq!(ask(lag(&READER, 7, "Average"), before).await, "ValidationError");
    assert_eq!(ask(lag(&READER, 60, "Typical"), before).await, "ValidationError");
    let search = MetricDataQuery::builder().id("lag").expression("SEARCH('lag')").build();
    assert_eq!(ask(search, before).await, "ValidationError");
}

#[tokio::test]
async fn cluster_that_is_detached_has_no_further_points() {
    let lab = Lab::new(world());
    lab.wait_s(300);
    lab.sandbox.change_world(|world| {
        let volume = world.rds.cluster(HOME, "gdb1").unwrap().resource_id.clone();
        world.rows.cut(&volume, world.now_ms);
    });
    lab.wait_s(600);
    let cloudwatch = sdk!(aws_sdk_cloudwatch, lab, HOME);

    let points = points(&cloudwatch, &lab, lag(&READER, 60, "Average")).await;

    assert_eq!(points.last().map(|(at_ms, _)| *at_ms), Some(START_MS + 4 * MINUTE_MS));
}
