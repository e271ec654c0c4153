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

#[tokio::test]
async fn switchover_and_failover_belong_into_a_region_or_not_as_chosen() {
    for bound in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.moves_are_bound_to_a_region = bound);
        lab.with_reader_in_home().await;
        let target = arn(HOME, "gdb1-cluster-restored");
        let fail_over = lab.rds(AWAY).failover_global_cluster().allow_data_loss(true);
        let fail_over = fail_over.global_cluster_identifier(RESTORING);
        let switch = lab.rds(HOME).switchover_global_cluster();
        let switch =
            switch.global_cluster_identifier(RESTORING).target_db_cluster_identifier(&target);

        let switched = refusal(switch.send().await);
        if bound {
            assert_refused(switched, "InvalidGlobalClusterStateFault", "primary");
            let failed_over = refusal(fail_over.target_db_cluster_identifier(target).send().await);
            assert_refused(failed_over, "InvalidGlobalClusterStateFault", "target");
        } else {
            assert_eq!(switched, None);
        }
    }
}

#[tokio::test]
async fn failover_that_may_lose_nothing_is_a_switchover_from_either_region() {
    for region in [HOME, AWAY] {
        let lab = Lab::new();
        lab.with_reader_in_home().await;
        let fail_over = lab.rds(region).failover_global_cluster();
        let fail_over = fail_over.global_cluster_identifier(RESTORING);
        let target = arn(HOME, "gdb1-cluster-restored");
        fail_over.target_db_cluster_identifier(target).send().await.unwrap();
        lab.wait_s(20);

        let state = lab.global(RESTORING).await.failover_state.unwrap();

        assert_eq!(state.status().unwrap().as_str(), "switching-over");
        assert_eq!(state.is_data_loss_allowed(), Some(false));
        lab.wait_s(200);
        assert_eq!(writer(&lab.global(RESTORING).await), arn(HOME, "gdb1-cluster-restored"));
    }
}

#[tokio::test]
async fn accepted_switchover_is_pending_at_first() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let target = arn(HOME, "gdb1-cluster-restored");
    let switch = lab.rds(AWAY).switchover_global_cluster().global_cluster_identifier(RESTORING);

    let answer = switch.target_db_cluster_identifier(&target).send().await.unwrap();

    let state = answer.global_cluster.unwrap().failover_state.unwrap();
    assert_eq!(state.status().unwrap().as_str(), "pending");
    assert_eq!(state.to_db_cluster_arn(), Some(target.as_str()));
    assert_eq!(state.from_db_cluster_arn(), Some(arn(AWAY, "gdb2-cluster").as_str()));
}

#[tokio::test]
async fn switchover_is_refused_for_a_while_after_a_member_has_joined() {
    let lab = Lab::behaving(|behaviour| behaviour.timings.replication_setup_s = 600.0);
    lab.with_reader_in_home().await;
    let target = arn(HOME, "gdb1-cluster-restored");

    let early = switch_over(&lab, &target).await;
    assert_refused(early, "InvalidDBClusterStateFault", "replication setup is still in progress");

    lab.wait_s(600);
    assert_eq!(switch_over(&lab, &target).await, None);
}

#[tokio::test]
async fn switchover_wants_an_instance_equal_versions_and_every_member_available() {
    let target = arn(HOME, "gdb1-cluster-restored");
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let change = |region: &str, id: &str, change: fn(&mut failback_sandbox::rds::Cluster)| {
        lab.sandbox.change_world(|world| {
            let here = world.rds.regions.get_mut(region).unwrap();
            change(here.clusters.get_mut(id).unwrap());
        });
    };
    let code = "InvalidDBClusterStateFault";

    change(AWAY, "gdb2-cluster", |cluster| cluster.status = "modifying".to_owned());
    assert_refused(switch_over(&lab, &target).await, code, "is in modifying state");
    change(AWAY, "gdb2-cluster", |cluster| {
        cluster.status = "available".to_owned();
        cluster.engine_version = "8.0.mysql_aurora.3.09.0".to_owned();
    });
    assert_refused(switch_over(&lab, &target).await, code, "engine version");
    lab.delete_instance(HOME, "gdb1-node2-restored").await;
    lab.wait_s(600);
    assert_refused(switch_over(&lab, &target).await, code, "has no instance");
}

#[tokio::test]
async fn cancelled_switchover_leaves_the_roles_as_they_were() {
    let lab = Lab::behaving(|behaviour| behaviour.switchovers_are_cancelled = true);
    lab.with_reader_in_home().await;
    switch_over(&lab, &arn(HOME, "gdb1-cluster-restored")).await;
    let mut shown = Vec::new();
    for _ in 0..200 {
        let global = lab.global(RESTORING).await;
        let status = global.failover_state().and_then(|state| state.status().cloned());
        let status = status.map(|status| status.as_str().to_owned());
        if shown.last() != Some(&status) {
            shown.push(status);
        }
        lab.wait_s(1);
    }

    let told = |status: &str| Some(status.to_owned());
    assert_eq!(shown, [told("pending"), told("switching-over"), told("cancelling"), None]);
    assert_eq!(writer(&lab.global(RESTORING).await), arn(AWAY, "gdb2-cluster"));
    let told = lab.sandbox.with_world(|world| world.told().last().unwrap().number);
    assert_eq!(told, 186);
    assert!(lab.sandbox.measured().seconds_without_writes < 60.0);
}

#[tokio::test]
async fn former_writer_becomes_a_reader_in_place() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let before = lab.cluster(AWAY, "gdb2-cluster").await.db_cluster_resource_id;
    switch_over(&lab, &arn(HOME, "gdb1-cluster-restored")).await;
    lab.wait_s(300);

    let after = lab.cluster(AWAY, "gdb2-cluster").await;

    assert_eq!(after.db_cluster_resource_id, before);
    let source = arn(HOME, "gdb1-cluster-restored");
    assert_eq!(after.replication_source_identifier(), Some(source.as_str()));
}

#[tokio::test]
async fn former_writer_rejoins_by_itself_after_a_failover() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let fail_over = lab.rds(HOME).failover_global_cluster().global_cluster_identifier(RESTORING);
    let target = arn(HOME, "gdb1-cluster-restored");
    let fail_over = fail_over.target_db_cluster_identifier(target).allow_data_loss(true);
    fail_over.send().await.unwrap();
    lab.wait_s(300);
    let synchronization = async || {
        let global = lab.global(RESTORING).await;
        let members = global.global_cluster_members();
        let reader = members.iter().find(|m| m.is_writer() == Some(false)).unwrap();
        reader.synchronization_status().unwrap().as_str().to_owned()
    };
    assert_eq!(synchronization().await, "pending-resync");
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "resyncing");

    lab.wait_s(1_200);
    assert_eq!(synchronization().await, "connected");
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
    lab.wait_s(400);
    assert_eq!(switch_back(&lab).await, None);
}
