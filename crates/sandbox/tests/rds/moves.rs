//! Switchover and failover.

use aws_sdk_rds::types::GlobalCluster;

use crate::support::{AWAY, HOME, Lab, RESTORING, arn, assert_refused, refusal};

fn writer(global: &GlobalCluster) -> &str {
    let members = global.global_cluster_members();
    let writer = members.iter().find(|member| member.is_writer() == Some(true));
    writer.and_then(|member| member.db_cluster_arn()).unwrap_or_default()
}

async fn switch_over(lab: &Lab, target: &str) -> Option<String> {
    let rds = lab.rds(AWAY);
    let switch = rds.switchover_global_cluster().global_cluster_identifier(RESTORING);
    refusal(switch.target_db_cluster_identifier(target).send().await)
}

/// The way back, called where the writer is now.
async fn switch_back(lab: &Lab) -> Option<String> {
    let rds = lab.rds(HOME);
    let switch = rds.switchover_global_cluster().global_cluster_identifier(RESTORING);
    refusal(switch.target_db_cluster_identifier(arn(AWAY, "gdb2-cluster")).send().await)
}

#[tokio::test]
async fn switchover_moves_the_writer_and_loses_nothing() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    assert_eq!(switch_over(&lab, &arn(HOME, "gdb1-cluster-restored")).await, None);
    lab.wait_s(20);
    let global = lab.global(RESTORING).await;
    let state = global.failover_state().unwrap();
    assert_eq!(state.status().unwrap().as_str(), "switching-over");
    assert_eq!(state.is_data_loss_allowed(), Some(false));
    assert_eq!(writer(&global), arn(AWAY, "gdb2-cluster"));

    lab.wait_s(150);
    let global = lab.global(RESTORING).await;
    assert!(global.failover_state().is_none_or(|state| state.status().is_none()));
    assert_eq!(global.status(), Some("available"));
    assert_eq!(writer(&global), arn(HOME, "gdb1-cluster-restored"));
    let home = lab.sandbox.with_world(|world| {
        let volume = |region: &str, id: &str| {
            world.rows.position(&world.rds.cluster(region, id).unwrap().resource_id)
        };
        (volume(HOME, "gdb1-cluster-restored"), volume(AWAY, "gdb2-cluster"))
    });
    assert_eq!(home.0, home.1);
}

#[tokio::test]
async fn writer_flips_before_the_switchover_is_over() {
    let lab = Lab::behaving(|behaviour| behaviour.timings.jitter = 0.0);
    lab.with_reader_in_home().await;
    switch_over(&lab, &arn(HOME, "gdb1-cluster-restored")).await;

    lab.wait_s(100);

    let global = lab.global(RESTORING).await;
    assert_eq!(writer(&global), arn(HOME, "gdb1-cluster-restored"));
    assert!(global.failover_state().unwrap().status().is_some());
}

#[tokio::test]
async fn switchover_right_after_another_one_is_refused_for_a_while() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    switch_over(&lab, &arn(HOME, "gdb1-cluster-restored")).await;
    lab.wait_s(180);

    let back = switch_back(&lab).await;
    assert_refused(back, "InvalidDBClusterStateFault", "replication setup is still in progress");

    lab.wait_s(400);
    assert_eq!(switch_back(&lab).await, None);
}

#[tokio::test]
async fn switchover_to_what_is_no_reader_is_refused() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    let unknown = switch_over(&lab, &arn(HOME, "none")).await;
    assert_refused(unknown, "DBClusterNotFoundFault", "doesn't exist");
    for (of_the_cluster, code) in
        [(true, "InvalidDBClusterStateFault"), (false, "InvalidGlobalClusterStateFault")]
    {
        lab.sandbox.change_world(|world| {
            world.behaviour.unsuitable_target_is_cluster_state = of_the_cluster;
        });
        let current = switch_over(&lab, &arn(AWAY, "gdb2-cluster")).await;
        assert_refused(current, code, "already the writer");
        let stranger = switch_over(&lab, &arn(HOME, "gdb1-cluster")).await;
        assert_refused(stranger, code, "is not found");
    }
}

#[tokio::test]
async fn failover_with_data_loss_loses_what_has_not_arrived() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    lab.sandbox.change_world(|world| {
        world.set_replication_lag(HOME, "gdb1-cluster-restored", 120_000);
    });
    lab.wait_s(180);
    let rds = lab.rds(HOME);
    let target = arn(HOME, "gdb1-cluster-restored");
    let fail_over = || {
        let fail_over = rds.failover_global_cluster().global_cluster_identifier(RESTORING);
        fail_over.target_db_cluster_identifier(&target).allow_data_loss(true)
    };

    let both = refusal(fail_over().switchover(true).send().await);
    assert_refused(both, "InvalidParameterCombination", "together");
    fail_over().send().await.unwrap();
    lab.wait_s(240);

    assert_eq!(writer(&lab.global(RESTORING).await), target);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "resyncing");
    assert!(lab.sandbox.measured().rows_lost > 0);
    let kept = lab.rds(AWAY).describe_db_cluster_snapshots().snapshot_type("automated");
    let kept = kept.send().await.unwrap();
    let id = kept.db_cluster_snapshots()[0].db_cluster_snapshot_identifier().unwrap();
    assert!(id.starts_with("rds:unplanned-global-failover-gdb2-cluster-"), "{id}");

    lab.wait_s(1_300);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
}
