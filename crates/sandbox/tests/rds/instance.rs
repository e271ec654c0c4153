//! Instances.

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, assert_refused, refusal};

#[tokio::test]
async fn instance_may_be_created_while_its_cluster_is_creating_and_waits_for_it() {
    let lab = Lab::behaving(|behaviour| behaviour.timings.create_instance_s = 10.0);
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab.join_home(RESTORING, "restored").await;

    assert_eq!(lab.create_instance(HOME, "restored", "node").await, None);
    lab.wait_s(60);
    assert_eq!(lab.instance(HOME, "node").await.db_instance_status(), Some("creating"));

    lab.wait_s(400);
    assert_eq!(lab.status(HOME, "restored").await, "available");
    assert_eq!(lab.instance(HOME, "node").await.db_instance_status(), Some("available"));
}

#[tokio::test]
async fn second_creation_of_an_instance_is_refused() {
    let lab = Lab::new();

    let created = lab.create_instance(AWAY, "gdb2-cluster", "gdb2-node1").await;

    assert_refused(created, "DBInstanceAlreadyExists", "already exists");
}

#[tokio::test]
async fn instance_of_an_unknown_cluster_is_refused() {
    let created = Lab::new().create_instance(AWAY, "none", "node").await;

    assert_refused(created, "DBClusterNotFoundFault", "none");
}

#[tokio::test]
async fn small_class_is_refused_in_a_global_cluster() {
    let lab = Lab::new();
    let create = lab.rds(HOME).create_db_instance().db_instance_identifier("node");
    let create = create.db_cluster_identifier("gdb1-cluster").engine("aurora-mysql");

    let created = create.db_instance_class("db.t4g.medium").send().await;

    assert_refused(refusal(created), "InvalidParameterCombination", "db.t4g.medium");
}

#[tokio::test]
async fn what_the_cluster_decides_is_refused_at_the_instance() {
    let lab = Lab::new();
    let create = lab.rds(AWAY).create_db_instance().db_instance_identifier("node");
    let create = create.db_cluster_identifier("gdb2-cluster").engine("aurora-mysql");

    let created = create.db_instance_class("db.r6g.large").backup_retention_period(3).send().await;

    assert_refused(refusal(created), "InvalidParameterCombination", "BackupRetentionPeriod");
}

#[tokio::test]
async fn monitored_instance_configures_its_monitoring_before_it_is_available() {
    let lab = Lab::behaving(|behaviour| {
        behaviour.timings.jitter = 0.0;
        behaviour.timings.create_instance_s = 100.0;
        behaviour.timings.modify_s = 50.0;
    });
    let create = lab.rds(AWAY).create_db_instance().db_instance_identifier("node");
    let create = create.db_cluster_identifier("gdb2-cluster").engine("aurora-mysql");
    let create = create.db_instance_class("db.r6g.large").monitoring_interval(60);
    create.monitoring_role_arn("arn:aws:iam::123456789012:role/m").send().await.unwrap();

    lab.wait_s(120);
    let status = lab.instance(AWAY, "node").await.db_instance_status().unwrap().to_owned();
    assert_eq!(status, "configuring-enhanced-monitoring");
    lab.wait_s(50);
    assert_eq!(lab.instance(AWAY, "node").await.db_instance_status(), Some("available"));
}

#[tokio::test]
async fn instance_being_deleted_is_not_deleted_again() {
    let lab = Lab::new();
    assert_eq!(lab.delete_instance(AWAY, "gdb2-node1").await, None);

    let again = lab.delete_instance(AWAY, "gdb2-node1").await;
    assert_refused(again, "InvalidDBInstanceState", "is already being deleted");

    lab.wait_s(400);
    let gone = lab.delete_instance(AWAY, "gdb2-node1").await;
    assert_refused(gone, "DBInstanceNotFound", "gdb2-node1");
}

#[tokio::test]
async fn instance_being_deleted_has_lost_its_certificate_authority() {
    let lab = Lab::new();

    lab.delete_instance(AWAY, "gdb2-node1").await;

    assert_eq!(lab.instance(AWAY, "gdb2-node1").await.ca_certificate_identifier(), None);
}

#[tokio::test]
async fn last_instance_of_a_writer_with_readers_is_not_deleted() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    let deleted = lab.delete_instance(AWAY, "gdb2-node1").await;

    let words = "Delete the replica cluster before deleting the last master cluster instance";
    assert_refused(deleted, "InvalidDBClusterStateFault", words);
}

#[tokio::test]
async fn last_instance_of_a_sole_writer_may_be_deleted() {
    let lab = Lab::new();
    assert_eq!(lab.global(FORMER).await.global_cluster_members().len(), 1);

    assert_eq!(lab.delete_instance(HOME, "gdb1-node1").await, None);
}

#[tokio::test]
async fn deleted_writer_hands_over_to_the_lowest_promotion_tier() {
    let lab = Lab::new();
    for (id, tier) in [("late", 5), ("soon", 1)] {
        let create = lab.rds(AWAY).create_db_instance().db_instance_identifier(id);
        let create = create.db_cluster_identifier("gdb2-cluster").engine("aurora-mysql");
        let create = create.db_instance_class("db.r6g.large").promotion_tier(tier);
        create.send().await.unwrap();
    }
    lab.wait_s(700);

    lab.delete_instance(AWAY, "gdb2-node1").await;
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "failing-over");

    lab.wait_s(60);
    let cluster = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(cluster.status(), Some("available"));
    let members = cluster.db_cluster_members();
    let writer = members.iter().find(|member| member.is_cluster_writer() == Some(true)).unwrap();
    assert_eq!(writer.db_instance_identifier(), Some("soon"));
}
