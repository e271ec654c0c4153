//! Faults meet the calls they are meant for, and no others.

use failback_sandbox::{Fault, Verb};

use crate::support::{AWAY, FORMER, HOME, Lab, assert_refused, refusal};

#[tokio::test]
async fn throttled_call_changes_nothing() {
    let lab = Lab::new();
    let before = lab.sandbox.fingerprint();
    lab.sandbox.inject(Fault::next(Verb::Throttle, "RemoveFromGlobalCluster"));

    let refused = lab.detach(FORMER, HOME, "gdb1-cluster").await;

    assert_refused(refused, "Throttling", "Rate exceeded");
    assert_eq!(lab.sandbox.fingerprint(), before);
    assert_eq!(lab.detach(FORMER, HOME, "gdb1-cluster").await, None);
}

#[tokio::test]
async fn lost_reply_has_changed_the_world_all_the_same() {
    let lab = Lab::new();
    lab.sandbox.inject(Fault::next(Verb::LoseReply, "RemoveFromGlobalCluster"));

    let rds = lab.rds(HOME);
    let remove = rds.remove_from_global_cluster().global_cluster_identifier(FORMER);
    let lost = remove
        .db_cluster_identifier(crate::support::arn(HOME, "gdb1-cluster"))
        .send()
        .await
        .unwrap_err();

    assert!(matches!(lost, aws_sdk_rds::error::SdkError::DispatchFailure(_)), "{lost:?}");
    lab.wait_s(60);
    assert!(lab.global(FORMER).await.global_cluster_members().is_empty());
    let call = lab.sandbox.calls().into_iter().find(|call| call.mutating).unwrap();
    assert_eq!(call.error.as_deref(), Some("LostReply"));
}

#[tokio::test]
async fn lost_request_has_changed_nothing() {
    let lab = Lab::new();
    let before = lab.sandbox.fingerprint();
    lab.sandbox.inject(Fault::next(Verb::LoseRequest, "RemoveFromGlobalCluster"));

    assert!(lab.detach(FORMER, HOME, "gdb1-cluster").await.is_some());

    assert_eq!(lab.sandbox.fingerprint(), before);
}

#[tokio::test]
async fn stale_read_shows_what_was_true_a_while_ago() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(70);
    let verb = Verb::StaleRead { age_ms: 60_000 };
    lab.sandbox.inject(Fault::next(verb, "DescribeGlobalClusters"));

    assert_eq!(lab.global(FORMER).await.global_cluster_members().len(), 1);
    assert_eq!(lab.global(FORMER).await.global_cluster_members().len(), 0);
}

#[tokio::test]
async fn stuck_step_never_ends() {
    let lab = Lab::new();
    lab.sandbox.inject(Fault::next(Verb::Stuck, "DeleteDBInstance"));

    assert_eq!(lab.delete_instance(AWAY, "gdb2-node1").await, None);
    lab.wait_s(24 * 3_600);

    let status = lab.instance(AWAY, "gdb2-node1").await.db_instance_status().unwrap().to_owned();
    assert_eq!(status, "deleting");
}

#[tokio::test]
async fn slow_step_takes_longer() {
    let lab = Lab::new();
    lab.sandbox.inject(Fault::next(Verb::Slow { factor: 10.0 }, "DeleteDBInstance"));

    lab.delete_instance(AWAY, "gdb2-node1").await;
    lab.wait_s(1_000);
    assert_eq!(lab.instance(AWAY, "gdb2-node1").await.db_instance_status(), Some("deleting"));

    lab.wait_s(3_600);
    let again = lab.delete_instance(AWAY, "gdb2-node1").await;
    assert_refused(again, "DBInstanceNotFound", "gdb2-node1");
}

#[tokio::test]
async fn failed_step_ends_in_a_terminal_status() {
    let lab = Lab::new();
    let verb = Verb::Fail { status: "insufficient-capacity".to_owned() };
    lab.sandbox.inject(Fault::next(verb, "CreateDBInstance"));

    lab.create_instance(AWAY, "gdb2-cluster", "node").await;
    lab.wait_s(700);

    let status = lab.instance(AWAY, "node").await.db_instance_status().unwrap().to_owned();
    assert_eq!(status, "insufficient-capacity");
}

#[tokio::test]
async fn fault_lets_calls_pass_first_and_wears_out() {
    let lab = Lab::new();
    let fault = Fault::next(Verb::InternalError, "DescribeDBClusters").after(1).repeated(2);
    lab.sandbox.inject(fault);
    let rds = lab.rds(HOME);

    let mut codes = Vec::new();
    for _ in 0..4 {
        let refused = refusal(rds.describe_db_clusters().send().await);
        codes.push(refused.map(|refused| refused.split(':').next().unwrap().to_owned()));
    }

    let failure = Some("InternalFailure".to_owned());
    assert_eq!(codes, [None, failure.clone(), failure, None]);
}

#[tokio::test]
async fn operation_that_is_not_modelled_is_refused_as_the_service_would() {
    let lab = Lab::new();

    let refused = refusal(lab.rds(HOME).describe_db_security_groups().send().await);

    assert_refused(refused, "InvalidAction", "DescribeDBSecurityGroups");
}

#[tokio::test]
async fn every_call_is_recorded_with_what_it_was_about() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;

    let calls = lab.sandbox.take_calls();

    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((call.service.as_str(), call.region.as_str()), ("rds", HOME));
    assert_eq!(call.operation, "RemoveFromGlobalCluster");
    assert!(call.mutating && call.resource.ends_with("cluster:gdb1-cluster"));
    assert!(lab.sandbox.calls().is_empty());
}

#[tokio::test]
async fn instance_without_capacity_may_get_it_after_a_while() {
    let lab = Lab::new();
    let status = "insufficient-capacity".to_owned();
    let verb = Verb::FailForAWhile { status, for_ms: 600_000 };
    lab.sandbox.inject(Fault::next(verb, "CreateDBInstance"));
    lab.create_instance(AWAY, "gdb2-cluster", "node").await;
    let status = async || lab.instance(AWAY, "node").await.db_instance_status.unwrap();

    lab.wait_s(700);
    assert_eq!(status().await, "insufficient-capacity");
    lab.wait_s(600);
    assert_eq!(status().await, "available");
}

#[tokio::test]
async fn cluster_may_begin_to_back_up_at_the_very_moment_of_its_deletion() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    lab.delete_instance(AWAY, "gdb2-node1").await;
    lab.sandbox.inject(Fault::next(Verb::BackUpFirst, "DeleteDBCluster"));

    let early = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    assert_refused(early, "InvalidDBClusterStateFault", "isn't currently in the available state");
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "backing-up");
    lab.wait_s(200);
    assert_eq!(lab.delete_cluster(AWAY, "gdb2-cluster", "final").await, None);
}

#[tokio::test]
async fn some_calls_are_throttled_by_chance_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.throttled_percent = 30);
    let rds = lab.rds(HOME);
    let mut throttled = 0;
    for _ in 0..200 {
        if let Some(refused) = refusal(rds.describe_db_clusters().send().await) {
            assert!(refused.starts_with("Throttling: "), "{refused}");
            throttled += 1;
        }
    }
    assert!((30..90).contains(&throttled), "{throttled}");
}

#[tokio::test]
async fn member_in_a_third_region_has_to_leave_before_the_writer() {
    let mut spec = failback_sandbox::WorldSpec::workshop();
    let mut third = spec.regions[0].clone();
    "eu-west-1".clone_into(&mut third.name);
    third.clusters[0].id = "third".to_owned();
    third.clusters[0].instances[0].id = "third-node".to_owned();
    spec.regions.push(third);
    let member = failback_sandbox::spec::MemberSpec {
        region: "eu-west-1".to_owned(),
        cluster: "third".to_owned(),
        writer: false,
    };
    spec.global_clusters[0].members.push(member);
    let lab = Lab::of(&spec, 7);

    let early = lab.detach(FORMER, HOME, "gdb1-cluster").await;
    assert_refused(early, "InvalidParameterValue", "Can't remove writer cluster");
    assert_eq!(lab.detach(FORMER, "eu-west-1", "third").await, None);
    lab.wait_s(120);
    assert_eq!(lab.detach(FORMER, HOME, "gdb1-cluster").await, None);
}

#[tokio::test]
async fn join_may_land_as_an_empty_writer_when_the_global_cluster_has_lost_its_own() {
    for needs_a_user in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.first_writer_needs_a_user = needs_a_user);
        lab.create_global("restoring", AWAY, "gdb2-cluster").await;
        lab.wait_s(120);
        assert_eq!(lab.detach("restoring", AWAY, "gdb2-cluster").await, None);
        lab.wait_s(120);

        let joined = lab.join_home("restoring", "restored").await;

        if needs_a_user {
            assert_refused(joined, "MissingParameter", "MasterUsername");
        } else {
            assert_eq!(joined, None);
            lab.wait_s(300);
            let member = lab.global("restoring").await.global_cluster_members()[0].clone();
            assert_eq!(member.is_writer(), Some(true));
            let cluster = lab.cluster(HOME, "restored").await;
            assert_eq!(cluster.replication_source_identifier(), None);
        }
    }
}
