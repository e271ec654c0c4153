//! Failovers with data loss, and the former writer that Aurora brings back by itself.

use failback_sandbox::network::AclEntry;
use failback_sandbox::{ClusterName, Fault, Verb};

use crate::support::{AWAY, HOME, Lab, RESTORING, arn, assert_refused, join, refusal};

const READER: &str = "gdb1-cluster-restored";

async fn fail_over(lab: &Lab) {
    let fail_over = lab.rds(HOME).failover_global_cluster().global_cluster_identifier(RESTORING);
    let fail_over = fail_over.target_db_cluster_identifier(arn(HOME, READER));
    fail_over.allow_data_loss(true).send().await.unwrap();
}

/// How many of the two members take writes.
fn writers(lab: &Lab) -> usize {
    let of_the_two = |name: &&ClusterName| [READER, "gdb2-cluster"].contains(&&*name.cluster_id);
    lab.sandbox.with_world(|world| world.writable_clusters().iter().filter(of_the_two).count())
}

#[tokio::test]
async fn former_writer_that_rejoins_by_itself_stands_in_the_way_of_a_rebuild() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    lab.unprotect(AWAY, "gdb2-cluster").await;
    fail_over(&lab).await;
    lab.wait_s(300);

    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "resyncing");
    let key = lab.cluster(AWAY, "gdb2-cluster").await.kms_key_id;
    let rebuilt = join(&lab.rds(AWAY), RESTORING, "rebuilt").set_kms_key_id(key).send().await;
    assert_refused(refusal(rebuilt), "InvalidParameterValue", "already has a member in us-west-2");
    let detached = lab.detach(RESTORING, AWAY, "gdb2-cluster").await;
    assert_refused(detached, "InvalidDBClusterStateFault", "is in resyncing state");
    lab.delete_instance(AWAY, "gdb2-node1").await;
    let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    assert_refused(deleted, "InvalidDBClusterStateFault", "is a part of a global cluster");
}

#[tokio::test]
async fn former_writer_stays_listed_or_is_listed_again_as_chosen() {
    for (stays, during) in [(true, 2), (false, 1)] {
        let lab = Lab::behaving(|behaviour| {
            behaviour.former_writer_stays_listed = stays;
            behaviour.timings.jitter = 0.0;
        });
        lab.with_reader_in_home().await;
        fail_over(&lab).await;
        lab.wait_s(150);
        assert_eq!(lab.global(RESTORING).await.global_cluster_members().len(), during);

        lab.wait_s(100);
        let global = lab.global(RESTORING).await;
        let [.., former] = global.global_cluster_members() else { panic!("{global:?}") };
        let members = global.global_cluster_members().iter();
        let former = members.chain([former]).find(|m| m.is_writer() == Some(false)).unwrap();
        assert_eq!(former.synchronization_status().unwrap().as_str(), "pending-resync");
        lab.wait_s(1_300);
        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
        let source = arn(HOME, READER);
        let cluster = lab.cluster(AWAY, "gdb2-cluster").await;
        assert_eq!(cluster.replication_source_identifier(), Some(source.as_str()));
    }
}

#[tokio::test]
async fn fence_of_a_failover_may_time_out_and_then_two_clusters_take_writes() {
    for (fences, number, during) in [(true, 390, 1), (false, 391, 2)] {
        let lab = Lab::behaving(|behaviour| {
            behaviour.failover_fences_writes = fences;
            behaviour.timings.jitter = 0.0;
        });
        lab.with_reader_in_home().await;
        // Home's network is open: nothing but the fence is between the two.
        lab.sandbox.change_world(|world| {
            for subnet in world.cluster_subnets(HOME, READER) {
                let acl = world.network.acl_of(HOME, &subnet).unwrap().to_owned();
                world.network.set_entries(HOME, &acl, AclEntry::allow_all());
            }
        });
        fail_over(&lab).await;
        lab.wait_s(150);
        assert_eq!(writers(&lab), during);

        lab.wait_s(100);
        assert_eq!(writers(&lab), 1);
        let told =
            lab.sandbox.with_world(|world| world.told().iter().any(|told| told.number == number));
        assert!(told, "{number}");
    }
}

#[tokio::test]
async fn failover_and_switchover_may_fail_and_leave_the_roles_as_they_were() {
    for (operation, lossy, number) in
        [("SwitchoverGlobalCluster", false, 187), ("FailoverGlobalCluster", true, 239)]
    {
        let lab = Lab::new();
        lab.with_reader_in_home().await;
        let verb = Verb::Fail { status: "failed".to_owned() };
        lab.sandbox.inject(Fault::next(verb, operation));
        if lossy {
            fail_over(&lab).await;
        } else {
            let switch = lab.rds(AWAY).switchover_global_cluster();
            let switch = switch.global_cluster_identifier(RESTORING);
            switch.target_db_cluster_identifier(arn(HOME, READER)).send().await.unwrap();
        }
        lab.wait_s(600);

        let cluster = lab.cluster(HOME, READER).await;
        let source = arn(AWAY, "gdb2-cluster");
        assert_eq!(cluster.replication_source_identifier(), Some(source.as_str()));
        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
        let told = lab.sandbox.with_world(|world| world.told().last().unwrap().number);
        assert_eq!(told, number);
    }
}

#[tokio::test]
async fn members_show_modifying_during_a_switchover_or_stay_available_as_chosen() {
    for (shows, status) in [(true, "modifying"), (false, "available")] {
        let lab = Lab::behaving(|behaviour| behaviour.switchover_shows_modifying = shows);
        lab.with_reader_in_home().await;
        let switch = lab.rds(AWAY).switchover_global_cluster();
        let switch = switch.global_cluster_identifier(RESTORING);
        switch.target_db_cluster_identifier(arn(HOME, READER)).send().await.unwrap();
        lab.wait_s(30);

        assert_eq!(lab.status(HOME, READER).await, status);
        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, status);
        assert_eq!(lab.global(RESTORING).await.status(), Some("switching-over"));
    }
}

#[tokio::test]
async fn switchover_that_meets_an_internal_failure_has_not_begun() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    lab.sandbox.inject(Fault::next(Verb::InternalError, "SwitchoverGlobalCluster").repeated(2));
    let switch = async || {
        let switch = lab.rds(AWAY).switchover_global_cluster();
        let switch = switch.global_cluster_identifier(RESTORING);
        refusal(switch.target_db_cluster_identifier(arn(HOME, READER)).send().await)
    };

    for _ in 0..2 {
        assert_refused(switch().await, "InternalFailure", "");
        assert!(lab.global(RESTORING).await.failover_state.is_none_or(|s| s.status.is_none()));
    }
    assert_eq!(switch().await, None);
}
