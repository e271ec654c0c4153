//! What may be deleted, when, and what is left.

use aws_sdk_rds::types::Filter;
use failback_sandbox::{Fault, Verb};

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, refusal};

/// Away's cluster, unprotected and with its instance on the way out.
async fn ready_to_go(lab: &Lab) {
    lab.unprotect(AWAY, "gdb2-cluster").await;
    assert_eq!(lab.delete_instance(AWAY, "gdb2-node1").await, None);
}

#[tokio::test]
async fn second_deletion_of_a_cluster_is_refused_or_accepted_as_chosen() {
    for refused in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.second_deletion_refused = refused);
        ready_to_go(&lab).await;
        lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;

        let again = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;

        assert_eq!(again.is_some(), refused, "{again:?}");
    }
}

#[tokio::test]
async fn second_deletion_of_an_instance_is_refused_or_accepted_as_chosen() {
    for refused in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.second_deletion_refused = refused);
        ready_to_go(&lab).await;

        let again = lab.delete_instance(AWAY, "gdb2-node1").await;

        assert_eq!(again.is_some(), refused, "{again:?}");
    }
}

#[tokio::test]
async fn second_deletion_of_a_global_cluster_is_refused_or_accepted_as_chosen() {
    for refused in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.second_deletion_refused = refused);
        lab.detach(FORMER, HOME, "gdb1-cluster").await;
        lab.wait_s(120);
        let delete = || lab.rds(HOME).delete_global_cluster().global_cluster_identifier(FORMER);
        delete().send().await.unwrap();

        let again = refusal(delete().send().await);

        assert_eq!(again.is_some(), refused, "{again:?}");
    }
}

#[tokio::test]
async fn name_is_taken_until_the_cluster_is_gone() {
    let lab = Lab::new();
    lab.retire_home().await;
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(80);
    assert_eq!(lab.status(HOME, "gdb1-cluster").await, "deleting");

    let early = lab.join_home(RESTORING, "gdb1-cluster").await;
    assert_refused(early, "DBClusterAlreadyExistsFault", "already exists");

    lab.wait_s(600);
    assert_eq!(lab.join_home(RESTORING, "gdb1-cluster").await, None);
}

#[tokio::test]
async fn name_of_an_instance_is_taken_until_it_is_gone() {
    let lab = Lab::new();
    lab.delete_instance(AWAY, "gdb2-node1").await;

    let early = lab.create_instance(AWAY, "gdb2-cluster", "gdb2-node1").await;
    assert_refused(early, "DBInstanceAlreadyExists", "already exists");

    lab.wait_s(600);
    assert_eq!(lab.create_instance(AWAY, "gdb2-cluster", "gdb2-node1").await, None);
}

#[tokio::test]
async fn cluster_without_instances_leaves_a_final_snapshot() {
    let lab = Lab::new();
    ready_to_go(&lab).await;
    lab.wait_s(600);
    assert!(lab.cluster(AWAY, "gdb2-cluster").await.db_cluster_members().is_empty());

    assert_eq!(lab.delete_cluster(AWAY, "gdb2-cluster", "final").await, None);
}

#[tokio::test]
async fn headless_member_is_deleted_or_not_as_chosen() {
    for allowed in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.headless_member_may_be_deleted = allowed);
        lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
        lab.wait_s(120);
        lab.join_home(RESTORING, "restored").await;
        lab.wait_s(500);

        let delete = lab.rds(HOME).delete_db_cluster().db_cluster_identifier("restored");
        let deleted = refusal(delete.skip_final_snapshot(true).send().await);

        assert_eq!(deleted.is_none(), allowed, "{deleted:?}");
        lab.wait_s(300);
        let members = lab.global(RESTORING).await.global_cluster_members().len();
        assert_eq!(members, if allowed { 1 } else { 2 });
    }
}

#[tokio::test]
async fn last_instance_of_a_reader_may_be_deleted() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    assert_eq!(lab.delete_instance(HOME, "gdb1-node2-restored").await, None);
}

#[tokio::test]
async fn protection_of_the_cluster_does_not_keep_its_instances() {
    let lab = Lab::new();
    assert_eq!(lab.cluster(AWAY, "gdb2-cluster").await.deletion_protection(), Some(true));

    assert_eq!(lab.delete_instance(AWAY, "gdb2-node1").await, None);
}

#[tokio::test]
async fn instance_is_deleted_with_or_without_a_word_on_snapshots() {
    let lab = Lab::new();
    let delete = lab.rds(AWAY).delete_db_instance().db_instance_identifier("gdb2-node1");

    assert_eq!(refusal(delete.skip_final_snapshot(true).send().await), None);
}

#[tokio::test]
async fn stopped_cluster_keeps_its_instances_and_itself() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    lab.sandbox.change_world(|world| {
        let here = world.rds.regions.get_mut(AWAY).unwrap();
        here.clusters.get_mut("gdb2-cluster").unwrap().status = "stopped".to_owned();
    });

    let instance = lab.delete_instance(AWAY, "gdb2-node1").await;
    assert_refused(instance, "InvalidDBClusterStateFault", "is in stopped state");
    let added = lab.create_instance(AWAY, "gdb2-cluster", "node").await;
    assert_refused(added, "InvalidDBClusterStateFault", "is in stopped state");
    lab.sandbox.change_world(|world| {
        world.rds.regions.get_mut(AWAY).unwrap().instances.clear();
    });
    let delete = lab.rds(AWAY).delete_db_cluster().db_cluster_identifier("gdb2-cluster");
    let cluster = refusal(delete.skip_final_snapshot(true).send().await);
    assert_refused(cluster, "InvalidDBClusterStateFault", "is in stopped state");
}

#[tokio::test]
async fn cluster_whose_key_is_lost_gives_no_final_snapshot() {
    let lab = Lab::new();
    ready_to_go(&lab).await;
    lab.sandbox.change_world(|world| {
        world.rds.regions.get_mut(AWAY).unwrap().kms_keys.clear();
    });

    let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    assert_refused(deleted, "KMSKeyNotAccessibleFault", "gdb2-cluster");
    let delete = lab.rds(AWAY).delete_db_cluster().db_cluster_identifier("gdb2-cluster");
    assert_eq!(refusal(delete.skip_final_snapshot(true).send().await), None);
}

#[tokio::test]
async fn a_region_holds_a_hundred_manual_snapshots() {
    let lab = Lab::new();
    ready_to_go(&lab).await;
    lab.sandbox.change_world(|world| {
        let volume = world.rds.cluster(AWAY, "gdb2-cluster").unwrap().clone();
        let here = world.rds.regions.get_mut(AWAY).unwrap();
        for number in 0..100 {
            let id = format!("old-{number}");
            let snapshot = failback_sandbox::rds::Snapshot {
                region: AWAY.to_owned(),
                id: id.clone(),
                arn: id.clone(),
                status: "available".to_owned(),
                snapshot_type: "manual".to_owned(),
                cluster_id: "other".to_owned(),
                cluster_resource_id: "other".to_owned(),
                engine: volume.engine.clone(),
                engine_version: volume.engine_version.clone(),
                kms_key: None,
                master_username: None,
                port: 3306,
                vpc_id: String::new(),
                created_at_ms: 0,
                cluster_created_at_ms: 0,
                rows: 0,
                tags: std::collections::BTreeMap::new(),
            };
            here.snapshots.insert(id, snapshot);
        }
    });

    let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;

    assert_refused(deleted, "SnapshotQuotaExceeded", "more than 100 manual snapshots");
}

#[tokio::test]
async fn automated_snapshot_is_found_by_its_type_and_goes_with_its_cluster_unless_told_otherwise() {
    for keeps in [false, true] {
        let lab = Lab::behaving(|behaviour| behaviour.timings.resync_s = 10.0);
        lab.with_reader_in_home().await;
        let fail_over = lab.rds(HOME).failover_global_cluster();
        let target = arn(HOME, "gdb1-cluster-restored");
        let fail_over = fail_over.global_cluster_identifier(RESTORING).allow_data_loss(true);
        fail_over.target_db_cluster_identifier(target).send().await.unwrap();
        lab.wait_s(600);
        let rds = lab.rds(AWAY);
        let kept = async || {
            let found = rds.describe_db_cluster_snapshots().snapshot_type("automated").send().await;
            found.unwrap().db_cluster_snapshots().to_vec()
        };
        let [snapshot] = kept().await.try_into().unwrap();
        let id = snapshot.db_cluster_snapshot_identifier.unwrap();
        assert!(id.starts_with("rds:unplanned-global-failover-gdb2-cluster-"), "{id}");
        let untyped = rds.describe_db_cluster_snapshots().db_cluster_snapshot_identifier(&id);
        assert_refused(refusal(untyped.send().await), "DBClusterSnapshotNotFoundFault", &id);

        lab.detach(RESTORING, AWAY, "gdb2-cluster").await;
        lab.wait_s(300);
        ready_to_go(&lab).await;
        let delete = rds.delete_db_cluster().db_cluster_identifier("gdb2-cluster");
        let delete = delete.skip_final_snapshot(true).delete_automated_backups(!keeps);
        delete.send().await.unwrap();
        lab.wait_s(900);
        assert_eq!(kept().await.len(), usize::from(keeps));
    }
}

#[tokio::test]
async fn failover_leaves_no_snapshot_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.failover_takes_snapshot = false);
    lab.with_reader_in_home().await;
    let fail_over = lab.rds(HOME).failover_global_cluster().global_cluster_identifier(RESTORING);
    let target = arn(HOME, "gdb1-cluster-restored");
    let fail_over = fail_over.target_db_cluster_identifier(target).allow_data_loss(true);
    fail_over.send().await.unwrap();
    lab.wait_s(600);

    let found = lab.rds(AWAY).describe_db_cluster_snapshots();
    let found = found.filters(Filter::builder().name("snapshot-type").values("automated").build());
    assert!(found.send().await.unwrap().db_cluster_snapshots().is_empty());
}

#[tokio::test]
async fn rows_of_the_stale_cluster_alone_live_on_in_its_final_snapshot() {
    let lab = Lab::new();
    let before = lab.sandbox.measured();
    assert_eq!((before.rows_lost, before.rows_only_in_snapshots, before.rows_nowhere), (0, 0, 0));
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.wait_s(120);
    lab.delete_instance(HOME, "gdb1-node1").await;

    lab.delete_cluster(HOME, "gdb1-cluster", "final").await;
    lab.wait_s(900);

    let after = lab.sandbox.measured();
    assert_eq!((after.rows_lost, after.rows_only_in_snapshots, after.rows_nowhere), (0, 25, 0));
}

#[tokio::test]
async fn rows_of_the_stale_cluster_alone_are_nowhere_without_a_final_snapshot() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.wait_s(120);
    lab.delete_instance(HOME, "gdb1-node1").await;

    let delete = lab.rds(HOME).delete_db_cluster().db_cluster_identifier("gdb1-cluster");
    delete.skip_final_snapshot(true).send().await.unwrap();
    lab.wait_s(900);

    let after = lab.sandbox.measured();
    assert_eq!((after.rows_lost, after.rows_only_in_snapshots, after.rows_nowhere), (0, 0, 25));
}

#[tokio::test]
async fn cluster_may_be_a_part_of_its_global_cluster_for_ten_minutes_after_its_removal() {
    let lab = Lab::new();
    lab.sandbox.inject(Fault::next(Verb::Slow { factor: 15.0 }, "RemoveFromGlobalCluster"));
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.delete_instance(HOME, "gdb1-node1").await;
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(450);

    let early = lab.delete_cluster(HOME, "gdb1-cluster", "final").await;
    assert_refused(early, "InvalidDBClusterStateFault", "is a part of a global cluster");
    lab.wait_s(600);
    assert_eq!(lab.delete_cluster(HOME, "gdb1-cluster", "final").await, None);
}

#[tokio::test]
async fn nothing_lingers_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.eventually_consistent = false);
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.delete_instance(HOME, "gdb1-node1").await;
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(1);

    assert_eq!(lab.delete_cluster(HOME, "gdb1-cluster", "final").await, None);
    let delete = lab.rds(HOME).delete_global_cluster().global_cluster_identifier(FORMER);
    assert_eq!(refusal(delete.send().await), None);
}
