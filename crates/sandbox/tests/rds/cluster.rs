//! Clusters: joining, modifying, deleting.

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, join, refusal};

#[tokio::test]
async fn cluster_is_found_by_name_and_by_arn() {
    let lab = Lab::new();
    let rds = lab.rds(HOME);

    for name in ["GDB1-cluster".to_owned(), arn(HOME, "gdb1-cluster")] {
        let found = rds.describe_db_clusters().db_cluster_identifier(name).send().await.unwrap();
        assert_eq!(found.db_clusters()[0].db_cluster_identifier(), Some("gdb1-cluster"));
    }
    let missing = rds.describe_db_clusters().db_cluster_identifier("gdb2-cluster").send().await;
    assert_refused(refusal(missing), "DBClusterNotFoundFault", "gdb2-cluster");
}

#[tokio::test]
async fn joining_before_the_source_is_listed_is_refused() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

    let joined = lab.join_home(RESTORING, "gdb1-cluster-restored").await;

    let words = "is in a state which is not valid for physical replication";
    assert_refused(joined, "InvalidDBClusterStateFault", words);
}

#[tokio::test]
async fn joining_cluster_is_created_as_a_reader_of_the_writer() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);

    assert_eq!(lab.join_home(RESTORING, "gdb1-cluster-restored").await, None);

    let cluster = lab.cluster(HOME, "gdb1-cluster-restored").await;
    assert_eq!(cluster.status(), Some("creating"));
    let source = arn(AWAY, "gdb2-cluster");
    assert_eq!(cluster.replication_source_identifier(), Some(source.as_str()));
    let writer = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(writer.read_replica_identifiers(), [arn(HOME, "gdb1-cluster-restored")]);
    lab.wait_s(400);
    assert_eq!(lab.status(HOME, "gdb1-cluster-restored").await, "available");
}

#[tokio::test]
async fn joining_with_what_is_inherited_is_refused() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let rds = lab.rds(HOME);
    let join = || join(&rds, RESTORING, "gdb1-cluster-restored");

    let code = "InvalidParameterCombination";
    let named = refusal(join().master_username("admin").send().await);
    assert_refused(named, code, "Cannot specify user name for cross region replication cluster");
    let secret = refusal(join().master_user_password("secret123").send().await);
    assert_refused(secret, code, "Cannot specify password");
    let database = refusal(join().database_name("mylab").send().await);
    assert_refused(database, code, "Cannot specify database name");
}

#[tokio::test]
async fn joining_with_other_properties_than_the_members_is_refused() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let rds = lab.rds(HOME);
    let join = || join(&rds, RESTORING, "gdb1-cluster-restored");

    let code = "InvalidParameterValue";
    let version = refusal(join().engine_version("8.0.mysql_aurora.3.04.0").send().await);
    assert_refused(version, code, "Value for engineVersion should match setting for global");
    let plain = refusal(join().storage_encrypted(false).send().await);
    assert_refused(plain, code, "Value for storageEncrypted should match");
    let source = join().replication_source_identifier(arn(AWAY, "gdb2-cluster")).send().await;
    assert_refused(refusal(source), "InvalidDBClusterStateFault", "doesn't have binlogs enabled");
}

#[tokio::test]
async fn joining_in_the_region_or_under_the_name_of_a_member_is_refused() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);

    let same_region = refusal(join(&lab.rds(AWAY), RESTORING, "another").send().await);
    assert_refused(same_region, "InvalidParameterValue", "already has a member in us-west-2");
    let same_name = lab.join_home(RESTORING, "gdb2-cluster").await;
    assert_refused(same_name, "InvalidParameterValue", "already used by a member");
}

#[tokio::test]
async fn key_of_another_region_is_not_accessible() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let key = lab.cluster(AWAY, "gdb2-cluster").await.kms_key_id().unwrap().to_owned();

    let joined = join(&lab.rds(HOME), RESTORING, "restored").kms_key_id(key).send().await;

    assert_refused(refusal(joined), "KMSKeyNotAccessibleFault", "us-west-2");
}

#[tokio::test]
async fn groups_that_do_not_exist_are_not_found() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let rds = lab.rds(HOME);
    let join = || join(&rds, RESTORING, "restored");

    let subnets = refusal(join().db_subnet_group_name("none").send().await);
    assert_refused(subnets, "DBSubnetGroupNotFoundFault", "'none' does not exist.");
    let parameters = refusal(join().db_cluster_parameter_group_name("none").send().await);
    assert_refused(parameters, "DBClusterParameterGroupNotFound", "none");
    let security =
        refusal(join().set_vpc_security_group_ids(Some(vec!["sg-1".into()])).send().await);
    assert_refused(security, "InvalidParameterValue", "sg-1");
}

#[tokio::test]
async fn first_cluster_of_an_empty_global_cluster_becomes_its_writer() {
    let lab = Lab::new();
    let rds = lab.rds(HOME);
    let create = rds.create_global_cluster().global_cluster_identifier("empty");
    create.engine("aurora-mysql").storage_encrypted(true).send().await.unwrap();
    lab.wait_s(60);

    let nameless = refusal(join(&rds, "empty", "first").send().await);
    assert_refused(nameless, "MissingParameter", "MasterUsername");
    let first = join(&rds, "empty", "first").master_username("admin");
    first.master_user_password("secret123").send().await.unwrap();
    lab.wait_s(30);

    assert_eq!(lab.global("empty").await.global_cluster_members()[0].is_writer(), Some(true));
}

#[tokio::test]
async fn name_of_an_existing_cluster_is_refused() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);

    let joined = lab.join_home(RESTORING, "gdb1-cluster").await;

    assert_refused(joined, "DBClusterAlreadyExistsFault", "already exists");
}

#[tokio::test]
async fn member_of_a_global_cluster_is_not_deleted() {
    let lab = Lab::new();
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.delete_instance(HOME, "gdb1-node1").await;

    let deleted = lab.delete_cluster(HOME, "gdb1-cluster", "final").await;

    assert_refused(deleted, "InvalidDBClusterStateFault", "is a part of a global cluster");
}

#[tokio::test]
async fn writer_with_readers_is_not_deleted() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    lab.unprotect(AWAY, "gdb2-cluster").await;

    let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;

    assert_refused(deleted, "InvalidGlobalClusterStateFault", "primary member");
}

#[tokio::test]
async fn removed_member_is_a_part_of_its_global_cluster_for_a_while() {
    let lab = Lab::new();
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.delete_instance(HOME, "gdb1-node1").await;

    let early = lab.delete_cluster(HOME, "gdb1-cluster", "final").await;
    assert_refused(early, "InvalidDBClusterStateFault", "is a part of a global cluster");

    lab.wait_s(90);
    assert_eq!(lab.delete_cluster(HOME, "gdb1-cluster", "final").await, None);
}

#[tokio::test]
async fn protected_cluster_is_not_deleted() {
    let lab = Lab::new();

    let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;

    assert_refused(deleted, "InvalidParameterCombination", "Cannot delete protected Cluster");
}

#[tokio::test]
async fn cluster_with_a_live_instance_is_not_deleted() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;

    let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;

    let words = "it still contains DB instances in non-deleting state";
    assert_refused(deleted, "InvalidDBClusterStateFault", words);
}

#[tokio::test]
async fn deletion_wants_a_final_snapshot_or_none_but_not_both() {
    let lab = Lab::new();
    let delete = || lab.rds(AWAY).delete_db_cluster().db_cluster_identifier("gdb2-cluster");

    let neither = refusal(delete().send().await);
    assert_refused(neither, "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required");
    let both = delete().skip_final_snapshot(true).final_db_snapshot_identifier("final");
    assert_refused(refusal(both.send().await), "InvalidParameterCombination", "can not");
}

#[tokio::test]
async fn deleted_cluster_goes_after_its_instances_and_its_snapshot() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    assert_eq!(lab.delete_instance(AWAY, "gdb2-node1").await, None);

    let delete = lab.rds(AWAY).delete_db_cluster().db_cluster_identifier("gdb2-cluster");
    let deleted = delete.final_db_snapshot_identifier("final").send().await.unwrap();
    assert_eq!(deleted.db_cluster().unwrap().status(), Some("available"));
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "deleting");

    let snapshot = || async {
        let describe = lab.rds(AWAY).describe_db_cluster_snapshots();
        let found = describe.db_cluster_snapshot_identifier("final").send().await.unwrap();
        found.db_cluster_snapshots()[0].status().unwrap().to_owned()
    };
    assert_eq!(snapshot().await, "creating");
    lab.wait_s(180);
    assert_eq!(snapshot().await, "available");
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "deleting");

    lab.wait_s(300);
    let gone = lab.rds(AWAY).describe_db_clusters().db_cluster_identifier("gdb2-cluster");
    assert_refused(refusal(gone.send().await), "DBClusterNotFoundFault", "gdb2-cluster");
    assert_eq!(snapshot().await, "available");
}

#[tokio::test]
async fn name_of_an_existing_snapshot_is_refused() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    lab.delete_instance(AWAY, "gdb2-node1").await;
    lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    lab.wait_s(600);
    lab.unprotect(HOME, "gdb1-cluster").await;
    lab.sandbox.change_world(|world| {
        let snapshots = &mut world.rds.regions.get_mut(AWAY).unwrap().snapshots;
        let taken = snapshots.remove("final").unwrap();
        let here = &mut world.rds.regions.get_mut(HOME).unwrap().snapshots;
        here.insert("final".to_owned(), taken);
    });

    let deleted = lab.delete_cluster(HOME, "gdb1-cluster", "final").await;

    assert_refused(deleted, "DBClusterSnapshotAlreadyExistsFault", "final");
}

#[tokio::test]
async fn promoting_cluster_gives_no_final_snapshot() {
    let lab = Lab::behaving(|behaviour| {
        behaviour.timings.removed_still_listed_s = 1.0;
        behaviour.timings.part_of_global_s = 0.0;
    });
    lab.with_reader_in_home().await;
    lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await;
    lab.delete_instance(HOME, "gdb1-node2-restored").await;
    lab.wait_s(5);

    let deleted = lab.delete_cluster(HOME, "gdb1-cluster-restored", "final").await;

    let words = "not currently in the available state";
    assert_refused(deleted, "InvalidDBClusterStateFault", words);
}

#[tokio::test]
async fn clearing_the_protection_twice_changes_nothing_more() {
    let lab = Lab::new();
    lab.unprotect(HOME, "gdb1-cluster").await;
    let once = lab.sandbox.fingerprint();

    lab.unprotect(HOME, "gdb1-cluster").await;

    assert_eq!(lab.sandbox.fingerprint(), once);
    assert_eq!(lab.cluster(HOME, "gdb1-cluster").await.deletion_protection(), Some(false));
}

#[tokio::test]
async fn available_cluster_backs_up_by_itself_once_a_day() {
    let lab = Lab::new();

    lab.wait_s(10 * 3_600 + 20 * 60 + 30);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "backing-up");

    lab.wait_s(200);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
}
