//! DescribeEvents.

use aws_sdk_rds::types::SourceType;

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, refusal};

async fn messages(lab: &Lab, region: &'static str, minutes: i32) -> Vec<String> {
    let told = lab.rds(region).describe_events().duration(minutes).send().await.unwrap();
    told.events().iter().map(|event| event.message().unwrap().to_owned()).collect()
}

fn numbers(lab: &Lab) -> Vec<u16> {
    lab.sandbox.with_world(|world| world.told().iter().map(|told| told.number).collect())
}

#[tokio::test]
async fn creation_of_a_cluster_and_of_its_instance_are_told_where_they_happen() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    assert_eq!(messages(&lab, HOME, 60).await, ["DB cluster created", "DB instance created"]);
    assert!(messages(&lab, AWAY, 60).await.is_empty());
    assert_eq!(numbers(&lab), [170, 5]);
}

#[tokio::test]
async fn deletion_is_told_from_the_snapshot_to_the_end() {
    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    lab.delete_instance(AWAY, "gdb2-node1").await;
    lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    lab.wait_s(900);

    assert_eq!(numbers(&lab), [74, 75, 3, 171]);
}

#[tokio::test]
async fn switchover_is_told_step_by_step() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let before = numbers(&lab).len();
    let switch = lab.rds(AWAY).switchover_global_cluster().global_cluster_identifier(RESTORING);
    switch.target_db_cluster_identifier(arn(HOME, "gdb1-cluster-restored")).send().await.unwrap();
    lab.wait_s(200);

    assert_eq!(numbers(&lab)[before..], [181, 182, 183, 184, 185, 397]);
}

#[tokio::test]
async fn failover_tells_of_the_snapshot_the_fence_and_the_resynchronization() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let before = numbers(&lab).len();
    let fail_over = lab.rds(HOME).failover_global_cluster().global_cluster_identifier(RESTORING);
    let target = arn(HOME, "gdb1-cluster-restored");
    let fail_over = fail_over.target_db_cluster_identifier(target).allow_data_loss(true);
    fail_over.send().await.unwrap();
    lab.wait_s(1_600);

    let told = numbers(&lab)[before..].to_vec();
    for number in [168, 169, 238, 240, 241, 390, 397] {
        assert!(told.contains(&number), "{number} of {told:?}");
    }
}

#[tokio::test]
async fn instance_that_fails_is_told_with_the_reason() {
    for (status, number) in [
        ("insufficient-capacity", 353),
        ("incompatible-network", 36),
        ("incompatible-parameters", 35),
    ] {
        let lab = Lab::new();
        let verb = failback_sandbox::Verb::Fail { status: status.to_owned() };
        lab.sandbox.inject(failback_sandbox::Fault::next(verb, "CreateDBInstance"));
        lab.create_instance(AWAY, "gdb2-cluster", "node").await;
        lab.wait_s(700);

        assert_eq!(numbers(&lab), [number]);
        assert_eq!(lab.instance(AWAY, "node").await.db_instance_status(), Some(status));
    }
}

#[tokio::test]
async fn events_of_the_last_hour_are_told_unless_asked_otherwise() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    lab.wait_s(3_600);

    let rds = lab.rds(HOME);
    assert!(rds.describe_events().send().await.unwrap().events().is_empty());
    assert_eq!(messages(&lab, HOME, 180).await.len(), 2);
    lab.wait_s(15 * 24 * 3_600);
    assert!(messages(&lab, HOME, 30 * 24 * 60).await.is_empty(), "fourteen days at most");
}

#[tokio::test]
async fn events_of_one_thing_want_its_type_as_well() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let name = "gdb1-cluster-restored";
    let describe = || lab.rds(HOME).describe_events().source_identifier(name);

    let typeless = refusal(describe().send().await);
    assert_refused(typeless, "InvalidParameterCombination", "SourceType");
    let told = describe().source_type(SourceType::DbCluster).send().await.unwrap();
    let [event] = told.events() else { panic!("{told:?}") };
    assert_eq!(event.event_categories(), ["creation"]);
    assert_eq!(event.source_arn(), Some(arn(HOME, name).as_str()));
}

#[tokio::test]
async fn events_may_be_missing_or_come_twice_when_told_so() {
    let count = async |unreliable| {
        let lab = Lab::behaving(|behaviour| behaviour.events_are_unreliable = unreliable);
        for number in 0..12 {
            lab.create_instance(AWAY, "gdb2-cluster", &format!("n{number}")).await;
        }
        lab.wait_s(900);
        let told = lab.sandbox.with_world(|world| world.told().to_vec());
        let told: Vec<String> = told.iter().map(|told| format!("{:?}", told.about)).collect();
        let distinct: std::collections::BTreeSet<_> = told.iter().collect();
        (told.len(), distinct.len())
    };

    assert_eq!(count(false).await, (12, 12));
    let (told, distinct) = count(true).await;
    assert!(distinct < 12, "some are missing: {distinct}");
    assert!(told > distinct, "some come twice: {told}");
}

#[tokio::test]
async fn quiet_world_tells_nothing() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;

    assert!(messages(&lab, HOME, 60).await.is_empty());
}
