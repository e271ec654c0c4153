//! Global clusters and their members.

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, refusal};

#[tokio::test]
async fn both_regions_list_the_same_global_clusters() {
    let lab = Lab::new();

    for region in [HOME, AWAY] {
        let listed = lab.rds(region).describe_global_clusters().send().await.unwrap();
        let [global] = listed.global_clusters() else { panic!("{listed:?}") };
        let [member] = global.global_cluster_members() else { panic!("{global:?}") };
        assert_eq!(member.db_cluster_arn(), Some(arn(HOME, "gdb1-cluster").as_str()));
        assert_eq!(member.is_writer(), Some(true));
        assert_eq!(global.status(), Some("available"));
    }
}

#[tokio::test]
async fn unknown_global_cluster_is_not_found() {
    let rds = Lab::new().rds(HOME);

    let described = rds.describe_global_clusters().global_cluster_identifier("none").send().await;

    assert_refused(refusal(described), "GlobalClusterNotFoundFault", "none");
}

#[tokio::test]
async fn new_global_cluster_lists_its_source_only_later() {
    let lab = Lab::new();

    assert_eq!(lab.create_global(RESTORING, AWAY, "gdb2-cluster").await, None);
    assert!(lab.global(RESTORING).await.global_cluster_members().is_empty());

    lab.wait_s(70);
    let global = lab.global(RESTORING).await;
    assert_eq!(global.status(), Some("available"));
    assert_eq!(global.global_cluster_members()[0].is_writer(), Some(true));
    let cluster = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(cluster.global_cluster_identifier(), Some(RESTORING));
}

#[tokio::test]
async fn second_creation_of_a_global_cluster_is_refused() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

    let again = lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

    assert_refused(again, "GlobalClusterAlreadyExistsFault", "already exists");
}

#[tokio::test]
async fn source_of_another_region_is_refused() {
    let lab = Lab::new();
    let create = lab.rds(HOME).create_global_cluster().global_cluster_identifier(RESTORING);

    let created = create.source_db_cluster_identifier(arn(AWAY, "gdb2-cluster")).send().await;

    assert_refused(refusal(created), "InvalidParameterValue", "Expected region = us-east-1");
}

#[tokio::test]
async fn bare_identifier_is_no_source() {
    let lab = Lab::new();
    let create = lab.rds(AWAY).create_global_cluster().global_cluster_identifier(RESTORING);

    let created = create.source_db_cluster_identifier("gdb2-cluster").send().await;

    assert_refused(refusal(created), "InvalidParameterValue", "Malformed db cluster arn");
}

#[tokio::test]
async fn engine_and_source_exclude_each_other() {
    let lab = Lab::new();
    let create = lab.rds(AWAY).create_global_cluster().global_cluster_identifier(RESTORING);

    let created = create
        .source_db_cluster_identifier(arn(AWAY, "gdb2-cluster"))
        .engine("aurora-mysql")
        .send()
        .await;

    assert_refused(refusal(created), "InvalidParameterCombination", "engineName");
}

#[tokio::test]
async fn member_of_a_global_cluster_is_no_source() {
    let lab = Lab::new();

    let created = lab.create_global(RESTORING, HOME, "gdb1-cluster").await;

    assert_refused(created, "InvalidDBClusterStateFault", "already a member");
}

#[tokio::test]
async fn removed_writer_is_still_listed_for_a_while() {
    let lab = Lab::new();

    assert_eq!(lab.detach(FORMER, HOME, "gdb1-cluster").await, None);
    assert_eq!(lab.global(FORMER).await.global_cluster_members().len(), 1);
    assert_eq!(lab.status(HOME, "gdb1-cluster").await, "available");

    lab.wait_s(60);
    assert!(lab.global(FORMER).await.global_cluster_members().is_empty());
    assert_eq!(lab.cluster(HOME, "gdb1-cluster").await.global_cluster_identifier(), None);
}

#[tokio::test]
async fn removal_of_what_is_no_member_is_refused() {
    let lab = Lab::new();

    let removed = lab.detach(FORMER, AWAY, "gdb2-cluster").await;

    assert_refused(removed, "InvalidParameterValue", "is not found in global cluster");
}

#[tokio::test]
async fn removal_repeated_after_it_is_complete_finds_no_member() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(60);

    let again = lab.detach(FORMER, HOME, "gdb1-cluster").await;

    assert_refused(again, "InvalidParameterValue", "is not found in global cluster");
}

#[tokio::test]
async fn second_removal_under_way_is_refused_or_accepted_as_chosen() {
    for accepted in [false, true] {
        let lab = Lab::behaving(|behaviour| behaviour.second_removal_accepted = accepted);
        lab.detach(FORMER, HOME, "gdb1-cluster").await;

        let again = lab.detach(FORMER, HOME, "gdb1-cluster").await;

        assert_eq!(again.is_none(), accepted);
    }
}

#[tokio::test]
async fn removal_from_an_unknown_global_cluster_is_not_found() {
    let lab = Lab::new();

    let removed = lab.detach("none", HOME, "gdb1-cluster").await;

    assert_refused(removed, "GlobalClusterNotFoundFault", "none");
}

#[tokio::test]
async fn writer_is_not_removed_before_the_other_members() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    let removed = lab.detach(RESTORING, AWAY, "gdb2-cluster").await;

    let words = "Can't remove writer cluster when there are other clusters";
    assert_refused(removed, "InvalidParameterValue", words);
}

#[tokio::test]
async fn global_cluster_with_a_member_is_not_deleted() {
    let lab = Lab::new();
    let delete = || lab.rds(HOME).delete_global_cluster().global_cluster_identifier(FORMER).send();

    assert_refused(refusal(delete().await), "InvalidGlobalClusterStateFault", "is not empty");

    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(60);
    assert_refused(refusal(delete().await), "InvalidGlobalClusterStateFault", "is not empty");

    lab.wait_s(60);
    assert_eq!(refusal(delete().await), None);
    lab.wait_s(5);
    assert_eq!(lab.global(FORMER).await.status(), Some("deleting"));

    lab.wait_s(30);
    assert_refused(refusal(delete().await), "GlobalClusterNotFoundFault", FORMER);
}

#[tokio::test]
async fn protected_global_cluster_is_not_deleted() {
    let lab = Lab::new();
    let rds = lab.rds(HOME);
    let create = rds.create_global_cluster().global_cluster_identifier("empty");
    create.engine("aurora-mysql").deletion_protection(true).send().await.unwrap();
    lab.wait_s(60);
    let delete = || rds.delete_global_cluster().global_cluster_identifier("empty").send();

    assert_refused(refusal(delete().await), "InvalidParameterCombination", "protected");

    let modify = rds.modify_global_cluster().global_cluster_identifier("empty");
    modify.deletion_protection(false).send().await.unwrap();
    assert_eq!(refusal(delete().await), None);
}

#[tokio::test]
async fn reader_is_listed_late_as_pending_and_then_connected() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab.join_home(RESTORING, "gdb1-cluster-restored").await;
    assert_eq!(lab.global(RESTORING).await.global_cluster_members().len(), 1);
    lab.wait_s(20);
    let reader = |global: aws_sdk_rds::types::GlobalCluster| {
        let members = global.global_cluster_members();
        assert_eq!(members[0].readers(), [arn(HOME, "gdb1-cluster-restored")]);
        assert_eq!(members[1].is_writer(), Some(false));
        members[1].synchronization_status().unwrap().as_str().to_owned()
    };

    assert_eq!(reader(lab.global(RESTORING).await), "pending-resync");

    lab.wait_s(500);
    assert_eq!(reader(lab.global(RESTORING).await), "connected");
}

#[tokio::test]
async fn detached_reader_promotes_and_then_takes_writes() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    assert_eq!(lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await, None);
    assert_eq!(lab.status(HOME, "gdb1-cluster-restored").await, "promoting");
    assert_eq!(lab.global(RESTORING).await.global_cluster_members().len(), 2);

    lab.wait_s(80);
    let cluster = lab.cluster(HOME, "gdb1-cluster-restored").await;
    assert_eq!(cluster.status(), Some("available"));
    assert_eq!(cluster.replication_source_identifier(), None);
    assert_eq!(lab.global(RESTORING).await.global_cluster_members().len(), 1);
    let home = lab.sandbox.with_world(|world| {
        world.rds.accepts_writes(world.rds.cluster(HOME, "gdb1-cluster-restored").unwrap())
    });
    assert!(home);
}

#[tokio::test]
async fn headless_reader_never_settles_after_its_removal() {
    for settles in [false, true] {
        let lab = Lab::behaving(|behaviour| behaviour.headless_detach_settles = settles);
        lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
        lab.wait_s(120);
        lab.join_home(RESTORING, "gdb1-cluster-restored").await;
        lab.wait_s(600);

        lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await;
        lab.wait_s(3_600);

        let status = lab.status(HOME, "gdb1-cluster-restored").await;
        assert_eq!(status, if settles { "available" } else { "promoting" });
    }
}
