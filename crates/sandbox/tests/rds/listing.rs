//! What is listed: by name, by filter, over pages, and from which Region.

use aws_sdk_rds::types::Filter;
use failback_sandbox::{Fault, Verb};

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, refusal};

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

#[tokio::test]
async fn global_cluster_is_found_whatever_the_case_of_its_name() {
    let rds = Lab::new().rds(HOME);

    let found = rds.describe_global_clusters().global_cluster_identifier("Reinvent-DAT348-gdb");
    let found = found.send().await.unwrap();

    assert_eq!(found.global_clusters()[0].global_cluster_identifier(), Some(FORMER));
}

#[tokio::test]
async fn arn_is_no_identifier_of_a_global_cluster() {
    let rds = Lab::new().rds(HOME);
    let name = format!("arn:aws:rds::123456789012:global-cluster:{FORMER}");

    let found = rds.describe_global_clusters().global_cluster_identifier(&name).send().await;

    let words = format!("Invalid global cluster identifier:  {name}");
    assert_refused(refusal(found), "InvalidParameterValue", &words);
}

#[tokio::test]
async fn arn_of_a_global_cluster_names_no_region() {
    let global = Lab::new().global(FORMER).await;

    let expected = format!("arn:aws:rds::123456789012:global-cluster:{FORMER}");
    assert_eq!(global.global_cluster_arn(), Some(expected.as_str()));
    assert!(global.global_cluster_resource_id().unwrap().starts_with("cluster-"));
}

#[tokio::test]
async fn global_clusters_are_filtered_by_region_and_by_member() {
    let rds = Lab::new().rds(HOME);
    let list = async |name: &str, value: &str| {
        let listed = rds.describe_global_clusters().filters(filter(name, value)).send().await;
        listed.unwrap().global_clusters().len()
    };

    assert_eq!(list("region", HOME).await, 1);
    assert_eq!(list("region", AWAY).await, 0);
    assert_eq!(list("db-cluster-id", &arn(HOME, "gdb1-cluster")).await, 1);
    assert_eq!(list("db-cluster-id", &arn(AWAY, "gdb2-cluster")).await, 0);
}

#[tokio::test]
async fn page_holds_twenty_to_a_hundred_and_leads_to_the_next_one() {
    let lab = Lab::new();
    let rds = lab.rds(HOME);
    for number in 0..24 {
        let create = rds.create_global_cluster().global_cluster_identifier(format!("g{number}"));
        create.engine("aurora-mysql").send().await.unwrap();
    }

    for size in [19, 101] {
        let listed = rds.describe_global_clusters().max_records(size).send().await;
        assert_refused(refusal(listed), "InvalidParameterValue", "MaxRecords");
    }
    let first = rds.describe_global_clusters().max_records(20).send().await.unwrap();
    assert_eq!(first.global_clusters().len(), 20);
    let rest = rds.describe_global_clusters().max_records(20).set_marker(first.marker);
    let rest = rest.send().await.unwrap();
    assert_eq!((rest.global_clusters().len(), rest.marker()), (5, None));
}

#[tokio::test]
async fn change_of_a_global_cluster_is_seen_later_in_another_region() {
    let lab = Lab::new();
    let listed = async |region| {
        let rds = lab.rds(region);
        rds.describe_global_clusters().send().await.unwrap().global_clusters().len()
    };
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

    assert_eq!((listed(AWAY).await, listed(HOME).await), (2, 1));
    let found = lab.rds(HOME).describe_global_clusters().global_cluster_identifier(RESTORING);
    assert_refused(refusal(found.send().await), "GlobalClusterNotFoundFault", RESTORING);

    lab.wait_s(5);
    assert_eq!((listed(AWAY).await, listed(HOME).await), (2, 2));
}

#[tokio::test]
async fn lag_between_regions_can_be_turned_off() {
    let lab = Lab::behaving(|behaviour| behaviour.global_reads_lag_ms = 0);
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

    let listed = lab.rds(HOME).describe_global_clusters().send().await.unwrap();

    assert_eq!(listed.global_clusters().len(), 2);
}

#[tokio::test]
async fn calls_act_on_what_is_and_not_on_what_their_region_knows() {
    let lab = Lab::behaving(|behaviour| behaviour.global_reads_lag_ms = 60_000);
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    let create = lab.rds(HOME).create_global_cluster().global_cluster_identifier(RESTORING);

    let again = create.engine("aurora-mysql").send().await;

    assert_refused(refusal(again), "GlobalClusterAlreadyExistsFault", RESTORING);
}

#[tokio::test]
async fn stale_read_is_stale_in_every_region() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(20);
    let verb = Verb::StaleRead { age_ms: 60_000 };
    lab.sandbox.inject(Fault::next(verb, "DescribeGlobalClusters"));

    let listed = lab.rds(AWAY).describe_global_clusters().send().await.unwrap();

    assert_eq!(listed.global_clusters().len(), 1);
}

#[tokio::test]
async fn cluster_of_another_region_is_no_valid_identifier() {
    let rds = Lab::new().rds(HOME);

    let name = arn(AWAY, "gdb2-cluster");
    let found = rds.describe_db_clusters().db_cluster_identifier(name).send().await;

    assert_refused(refusal(found), "InvalidParameterValue", "Invalid database cluster identifier");
}

#[tokio::test]
async fn filter_that_nothing_passes_gives_an_empty_list_and_no_error() {
    let rds = Lab::new().rds(HOME);

    let clusters = rds.describe_db_clusters().filters(filter("db-cluster-id", "none"));
    assert!(clusters.send().await.unwrap().db_clusters().is_empty());
    let instances = rds.describe_db_instances().filters(filter("db-cluster-id", "none"));
    assert!(instances.send().await.unwrap().db_instances().is_empty());
}

#[tokio::test]
async fn clusters_and_instances_pass_the_filters_of_the_model() {
    let lab = Lab::new();
    let rds = lab.rds(HOME);
    let resource = lab.cluster(HOME, "gdb1-cluster").await.db_cluster_resource_id.unwrap();
    for (name, value) in [
        ("db-cluster-id", "gdb1-cluster"),
        ("db-cluster-id", &arn(HOME, "gdb1-cluster")),
        ("db-cluster-resource-id", &resource),
        ("engine", "aurora-mysql"),
    ] {
        let found = rds.describe_db_clusters().filters(filter(name, value)).send().await.unwrap();
        assert_eq!(found.db_clusters().len(), 1, "{name} {value}");
    }
    for (name, value) in [
        ("db-cluster-id", "gdb1-cluster"),
        ("db-cluster-id", &arn(HOME, "gdb1-cluster")),
        ("db-instance-id", "gdb1-node1"),
    ] {
        let found = rds.describe_db_instances().filters(filter(name, value)).send().await.unwrap();
        assert_eq!(found.db_instances().len(), 1, "{name} {value}");
    }
}

#[tokio::test]
async fn unknown_snapshot_is_not_found() {
    let rds = Lab::new().rds(HOME);

    let found = rds.describe_db_cluster_snapshots().db_cluster_snapshot_identifier("none");

    assert_refused(refusal(found.send().await), "DBClusterSnapshotNotFoundFault", "none");
}
