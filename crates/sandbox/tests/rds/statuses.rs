//! The statuses things pass through.

use failback_sandbox::{Fault, Verb};

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, refusal};

/// The statuses a cluster shows within some seconds, each once, in order.
async fn watch(lab: &Lab, region: &'static str, id: &str, seconds: i64) -> Vec<String> {
    let mut shown = Vec::new();
    for _ in 0..seconds {
        let status = lab.status(region, id).await;
        if shown.last() != Some(&status) {
            shown.push(status);
        }
        lab.wait_s(1);
    }
    shown
}

async fn watch_instance(lab: &Lab, id: &str, seconds: i64) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for _ in 0..seconds {
        let status = lab.instance(AWAY, id).await.db_instance_status().unwrap().to_owned();
        if shown.last() != Some(&status) {
            shown.push(status);
        }
        lab.wait_s(1);
    }
    shown
}

#[tokio::test]
async fn joined_cluster_is_creating_and_then_available() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab.join_home(RESTORING, "restored").await;

    assert_eq!(watch(&lab, HOME, "restored", 450).await, ["creating", "available"]);
}

#[tokio::test]
async fn new_cluster_and_instance_pass_through_an_unknown_status_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.unknown_statuses = true);
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab.join_home(RESTORING, "restored").await;
    assert_eq!(watch(&lab, HOME, "restored", 500).await, ["creating", "warming-up", "available"]);

    lab.create_instance(AWAY, "gdb2-cluster", "node").await;
    assert_eq!(watch_instance(&lab, "node", 650).await, ["creating", "warming-up", "available"]);
}

#[tokio::test]
async fn new_instance_is_modified_and_backed_up_first_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.new_instance_backs_up = true);
    lab.create_instance(AWAY, "gdb2-cluster", "node").await;

    let expected = ["creating", "modifying", "backing-up", "available"];
    assert_eq!(watch_instance(&lab, "node", 700).await, expected);
}

#[tokio::test]
async fn cluster_backs_up_whenever_it_becomes_available_when_told_so() {
    for (backs_up, expected) in [
        (true, &["promoting", "available", "backing-up", "available"][..]),
        (false, &["promoting", "available"][..]),
    ] {
        let lab = Lab::behaving(|behaviour| behaviour.backs_up_when_available = backs_up);
        lab.with_reader_in_home().await;
        assert_eq!(lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await, None);
        assert_eq!(watch(&lab, HOME, "gdb1-cluster-restored", 300).await, expected);
    }
}

#[tokio::test]
async fn daily_backup_can_be_turned_off() {
    let lab = Lab::behaving(|behaviour| behaviour.backs_up_daily = false);

    lab.wait_s(10 * 3_600 + 20 * 60 + 30);

    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
}

#[tokio::test]
async fn cluster_that_backs_up_gives_no_final_snapshot_and_goes_without_one() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    lab.delete_instance(AWAY, "gdb2-node1").await;
    lab.wait_s(10 * 3_600 + 20 * 60 + 30);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "backing-up");

    let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;

    assert_refused(deleted, "InvalidDBClusterStateFault", "isn't currently in the available state");
}

#[tokio::test]
async fn modification_shows_what_is_modified() {
    let lab = Lab::new();
    let modify = || {
        let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier("gdb2-cluster");
        modify.apply_immediately(true)
    };
    let role = "arn:aws:iam::123456789012:role/m";

    modify().master_user_password("secret1234").send().await.unwrap();
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "resetting-master-credentials");
    lab.wait_s(30);
    let enabled = lab.cluster(AWAY, "gdb2-cluster").await.iam_database_authentication_enabled();
    let changed = !enabled.unwrap_or(false);
    modify().enable_iam_database_authentication(changed).send().await.unwrap();
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "configuring-iam-database-auth");
    lab.wait_s(30);
    modify().monitoring_interval(15).monitoring_role_arn(role).send().await.unwrap();
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "configuring-enhanced-monitoring");
    lab.wait_s(30);
    modify().preferred_backup_window("01:00-01:30").send().await.unwrap();
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "modifying");
    lab.wait_s(30);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
}

#[tokio::test]
async fn busy_cluster_is_not_modified() {
    let lab = Lab::new();
    let modify = || {
        let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier("gdb2-cluster");
        modify.apply_immediately(true)
    };
    modify().preferred_backup_window("01:00-01:30").send().await.unwrap();

    let again = refusal(modify().preferred_backup_window("02:00-02:30").send().await);

    let words = "is in modifying state but expected it to be one of available";
    assert_refused(again, "InvalidDBClusterStateFault", words);
}

#[tokio::test]
async fn global_cluster_is_creating_then_available_and_stays_so_while_a_member_leaves() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    assert_eq!(lab.global(RESTORING).await.status(), Some("creating"));
    lab.wait_s(30);
    assert_eq!(lab.global(RESTORING).await.status(), Some("available"));

    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(10);
    let global = lab.global(FORMER).await;
    assert_eq!(global.status(), Some("available"));
    assert_eq!(global.global_cluster_members().len(), 1);
}

#[tokio::test]
async fn idle_failover_state_is_empty_or_absent_as_chosen() {
    for empty in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.idle_failover_state_is_empty = empty);

        let global = lab.global(FORMER).await;

        assert_eq!(global.failover_state().is_some(), empty);
        assert!(global.failover_state().is_none_or(|state| state.status().is_none()));
    }
}

#[tokio::test]
async fn removed_writer_is_modifying_for_a_moment_when_told_so() {
    for (modifies, expected) in [(true, "modifying"), (false, "available")] {
        let lab = Lab::behaving(|behaviour| behaviour.writer_removal_modifies = modifies);
        lab.detach(FORMER, HOME, "gdb1-cluster").await;
        assert_eq!(lab.status(HOME, "gdb1-cluster").await, expected);
        lab.wait_s(90);
        assert_eq!(lab.status(HOME, "gdb1-cluster").await, "available");
    }
}

#[tokio::test]
async fn cluster_may_end_in_every_terminal_status() {
    for status in ["failed", "incompatible-network", "inaccessible-encryption-credentials"] {
        let lab = Lab::new();
        lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
        lab.wait_s(120);
        let verb = Verb::Fail { status: status.to_owned() };
        lab.sandbox.inject(Fault::next(verb, "CreateDBCluster"));

        lab.join_home(RESTORING, "restored").await;
        lab.wait_s(3_600);

        assert_eq!(lab.status(HOME, "restored").await, status);
    }
}

#[tokio::test]
async fn reader_shows_the_instance_to_be_promoted_as_its_writer_or_none_as_chosen() {
    for shows in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.reader_shows_a_writer_instance = shows);
        lab.with_reader_in_home().await;

        let reader = lab.cluster(HOME, "gdb1-cluster-restored").await;
        assert_eq!(reader.db_cluster_members()[0].is_cluster_writer(), Some(shows));
        let writer = lab.cluster(AWAY, "gdb2-cluster").await;
        assert_eq!(writer.db_cluster_members()[0].is_cluster_writer(), Some(true));
    }
}

#[tokio::test]
async fn snapshot_tells_its_progress() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    lab.delete_instance(AWAY, "gdb2-node1").await;
    lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    let snapshot = async || {
        let found = lab.rds(AWAY).describe_db_cluster_snapshots();
        let found = found.db_cluster_snapshot_identifier("final").send().await.unwrap();
        let found = found.db_cluster_snapshots()[0].clone();
        (found.status.unwrap(), found.percent_progress.unwrap(), found.snapshot_type.unwrap())
    };

    assert_eq!(snapshot().await, ("creating".to_owned(), 0, "manual".to_owned()));
    lab.wait_s(180);
    assert_eq!(snapshot().await, ("available".to_owned(), 100, "manual".to_owned()));
}

#[tokio::test]
async fn write_forwarding_shows_at_the_reader_only() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let join = crate::support::join(&lab.rds(HOME), RESTORING, "restored");
    join.enable_global_write_forwarding(true).send().await.unwrap();
    lab.wait_s(20);

    let global = lab.global(RESTORING).await;
    let [writer, reader] = global.global_cluster_members() else { panic!("{global:?}") };
    assert_eq!(writer.global_write_forwarding_status(), None);
    assert_eq!(reader.global_write_forwarding_status().unwrap().as_str(), "enabling");
    assert_eq!(writer.readers(), [arn(HOME, "restored")]);
    assert!(reader.readers().is_empty());
    lab.wait_s(400);
    let cluster = lab.cluster(HOME, "restored").await;
    assert_eq!(cluster.global_write_forwarding_status().unwrap().as_str(), "enabled");
}
