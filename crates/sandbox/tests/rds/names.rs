//! Other ways to a cluster: renaming one, restoring one, promoting a reader, and putting changes
//! off.

use crate::support::{AWAY, FORMER, HOME, HOME_KEY, Lab, RESTORING, arn, assert_refused, refusal};

async fn rename(lab: &Lab, new_id: &str) -> Option<String> {
    let modify = lab.rds(HOME).modify_db_cluster().db_cluster_identifier("gdb1-cluster");
    let modify = modify.new_db_cluster_identifier(new_id).apply_immediately(true);
    refusal(modify.send().await)
}

#[tokio::test]
async fn renamed_cluster_has_another_arn_and_other_host_names_and_frees_its_name() {
    let lab = Lab::new();
    let before = lab.cluster(HOME, "gdb1-cluster").await;

    assert_refused(rename(&lab, "GDB1_x").await, "InvalidParameterValue", "not a valid identifier");
    assert_eq!(rename(&lab, "stale").await, None);
    assert_eq!(lab.status(HOME, "gdb1-cluster").await, "renaming");
    lab.wait_s(60);

    let after = lab.cluster(HOME, "stale").await;
    assert_eq!(after.db_cluster_resource_id, before.db_cluster_resource_id);
    assert_eq!(after.db_cluster_arn(), Some(arn(HOME, "stale").as_str()));
    assert_ne!(after.endpoint, before.endpoint);
    assert_eq!(after.db_cluster_members()[0].db_instance_identifier(), Some("gdb1-node1"));
    let member = lab.global(FORMER).await.global_cluster_members()[0].clone();
    assert_eq!(member.db_cluster_arn(), Some(arn(HOME, "stale").as_str()));
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    assert_eq!(lab.join_home(RESTORING, "gdb1-cluster").await, None);
}

#[tokio::test]
async fn name_that_is_taken_or_about_to_be_is_no_new_name() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab.join_home(RESTORING, "restored").await;

    let taken = rename(&lab, "restored").await;
    assert_refused(taken, "DBClusterAlreadyExistsFault", "already exists");
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    rename(&lab, "restored").await;
    let early = lab.join_home(RESTORING, "restored").await;
    assert_refused(early, "DBClusterAlreadyExistsFault", "already exists");
}

#[tokio::test]
async fn replication_is_measured_under_the_new_name_of_a_renamed_reader() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let modify = lab.rds(HOME).modify_db_cluster().db_cluster_identifier("gdb1-cluster-restored");
    let modify = modify.new_db_cluster_identifier("renamed").apply_immediately(true);
    modify.send().await.unwrap();
    lab.wait_s(300);

    let now_ms = lab.now_ms();
    let samples = lab
        .sandbox
        .with_world(|world| world.replication_lag(HOME, "renamed", now_ms - 120_000, now_ms).len());
    assert_eq!(samples, 2);
}

async fn restore(lab: &Lab, snapshot: &str) -> Option<String> {
    let restore = lab.rds(HOME).restore_db_cluster_from_snapshot();
    let restore = restore.db_cluster_identifier("from-snapshot").snapshot_identifier(snapshot);
    let restore = restore.engine("aurora-mysql").db_subnet_group_name("gdb1-subnet-group");
    refusal(restore.db_cluster_parameter_group_name("gdb1-cluster-mysql8").send().await)
}

/// Retires the stale cluster, with a final snapshot.
async fn retire(lab: &Lab) {
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.wait_s(120);
    lab.delete_instance(HOME, "gdb1-node1").await;
    assert_eq!(lab.delete_cluster(HOME, "gdb1-cluster", "final").await, None);
}

#[tokio::test]
async fn restored_cluster_stands_alone_and_holds_what_the_snapshot_holds() {
    let lab = Lab::new();
    assert_refused(restore(&lab, "final").await, "DBClusterSnapshotNotFoundFault", "final");
    retire(&lab).await;
    let early = restore(&lab, "final").await;
    assert_refused(early, "InvalidDBClusterSnapshotStateFault", "creating");
    lab.wait_s(900);

    assert_eq!(restore(&lab, "final").await, None);
    let again = restore(&lab, "final").await;
    assert_refused(again, "DBClusterAlreadyExistsFault", "already exists");
    lab.wait_s(700);
    let cluster = lab.cluster(HOME, "from-snapshot").await;
    assert_eq!((cluster.status(), cluster.kms_key_id()), (Some("available"), Some(HOME_KEY)));
    assert_eq!(cluster.global_cluster_identifier(), None);
    lab.sandbox.with_world(|world| {
        let snapshot = &world.rds.regions[HOME].snapshots["final"];
        let restored = world.rds.cluster(HOME, "from-snapshot").unwrap();
        assert!(snapshot.rows > 0);
        assert_eq!(world.rows.position(&restored.resource_id), snapshot.rows);
    });
}

#[tokio::test]
async fn promotion_of_a_read_replica_detaches_a_reader_or_is_refused_as_chosen() {
    for detaches in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.promoting_a_replica_detaches = detaches);
        lab.with_reader_in_home().await;
        let promote = |region, id: &str| {
            let promote = lab.rds(region).promote_read_replica_db_cluster();
            promote.db_cluster_identifier(id).send()
        };
        let writer = refusal(promote(AWAY, "gdb2-cluster").await);
        assert_refused(writer, "InvalidDBClusterStateFault", "no read replica");

        let promoted = refusal(promote(HOME, "gdb1-cluster-restored").await);
        lab.wait_s(120);

        assert_eq!(promoted.is_none(), detaches);
        let members = lab.global(RESTORING).await.global_cluster_members().len();
        assert_eq!(members, if detaches { 1 } else { 2 });
    }
}

#[tokio::test]
async fn removal_belongs_into_the_region_of_the_member_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.removal_is_bound_to_a_region = true);
    let remove = |region| {
        let remove = lab.rds(region).remove_from_global_cluster();
        let remove = remove.global_cluster_identifier(FORMER);
        remove.db_cluster_identifier(arn(HOME, "gdb1-cluster")).send()
    };

    assert_refused(refusal(remove(AWAY).await), "InvalidGlobalClusterStateFault", "removed");
    assert_eq!(refusal(remove(HOME).await), None);
}

#[tokio::test]
async fn change_that_is_not_to_be_made_at_once_waits_for_the_maintenance_window() {
    let lab = Lab::new();
    let enabled = lab.cluster(AWAY, "gdb2-cluster").await.iam_database_authentication_enabled;
    let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier("gdb2-cluster");
    let wanted = !enabled.unwrap();
    let modify = modify.enable_iam_database_authentication(wanted).deletion_protection(false);
    modify.send().await.unwrap();

    let cluster = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(cluster.status(), Some("available"));
    assert_eq!(cluster.deletion_protection(), Some(false));
    assert_eq!(cluster.iam_database_authentication_enabled(), enabled);
    let pending = cluster.pending_modified_values.unwrap();
    assert_eq!(pending.iam_database_authentication_enabled(), Some(wanted));

    lab.wait_s(7 * 24 * 3_600);
    let cluster = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(cluster.iam_database_authentication_enabled(), Some(wanted));
    assert!(cluster.pending_modified_values.is_none());
}
