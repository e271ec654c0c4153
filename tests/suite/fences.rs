//! Away, and the stale cluster at home, fenced by a security group.

use failback_cli::drill::{Drill, Ended};
use failback_cli::report::invariants;
use failback_plan::Plan;
use failback_sandbox::spec::{IngressSpec, VpcSpec};
use failback_sandbox::{Call, Fault, Verb};
use failback_states::{Outcome, Status};
use serde_json::json;

use crate::support;
use crate::support::given::Given;
use crate::support::{AWAY, HOME, drive_to, rehearse, rehearse_well, took_effect};

const AWAY_FENCE: &str = "sg-0fe9ce0a11c105e02";
const AWAY_CLUSTER: &str = "gdb2-cluster";

fn assert_safe(drill: &Drill, ended: &Ended, given: &Given) {
    for invariant in invariants(&drill.sandbox, ended, &given.world) {
        assert!(invariant.held, "{}: {}", invariant.name, invariant.seen);
    }
}

/// What changed something, in order: operation and resource.
fn changes(drill: &Drill) -> Vec<(String, String)> {
    let calls = drill.sandbox.calls();
    let changing = calls.iter().filter(|call| took_effect(call));
    changing.map(|call: &Call| (call.operation.clone(), call.resource.clone())).collect()
}

fn groups(drill: &Drill, region: &str, cluster: &str) -> Vec<String> {
    drill.sandbox.with_world(|world| {
        let cluster = world.rds.cluster(region, cluster);
        cluster.map(|c| c.settings.security_groups.clone()).unwrap_or_default()
    })
}

fn serves(drill: &Drill) -> bool {
    drill.sandbox.with_world(|w| w.writable_clusters().iter().any(|c| c.cluster_id == AWAY_CLUSTER))
}

#[tokio::test(start_paused = true)]
async fn workshop_fenced_by_security_groups_ends_well_and_moves_no_subnet_to_a_fence() {
    let given = Given::by_security_group();
    let open = groups(&given.drill(), AWAY, AWAY_CLUSTER);

    let (drill, ended) = rehearse_well(&given).await;

    assert_safe(&drill, &ended, &given);
    assert_eq!(
        groups(&drill, AWAY, "gdb2-cluster-restored"),
        open,
        "the fence is not carried over"
    );
    let changes = changes(&drill);
    let moved = |(operation, _): &&(String, String)| operation == "ReplaceNetworkAclAssociation";
    // Home's three subnets leave the network ACL by which the disaster was isolated.
    assert_eq!(changes.iter().filter(moved).count(), 3);
    let at = |wanted: (&str, &str)| {
        let found = changes.iter().position(|(o, r)| (o.as_str(), r.as_str()) == wanted);
        found.unwrap_or_else(|| panic!("{wanted:?} is not in {changes:#?}"))
    };
    let order = [
        at(("RebootDBInstance", "gdb1-node1")),
        at(("DeleteDBInstance", "gdb1-node1")),
        at(("RebootDBInstance", "gdb2-node1")),
        at((
            "RemoveFromGlobalCluster",
            "arn:aws:rds:us-east-1:123456789012:cluster:gdb1-cluster-restored",
        )),
        at(("DeleteDBInstance", "gdb2-node1")),
    ];
    assert!(order.is_sorted(), "{order:?} of {changes:#?}");
}

#[tokio::test(start_paused = true)]
async fn change_that_met_another_cluster_by_its_name_says_which_and_what_was_done_to_it() {
    let given = Given::by_security_group();
    for (function, enabled, words) in [
        ("fence_writes", None, AWAY_FENCE),
        ("set_deletion_protection", Some(true), "It is protected from deletion now"),
        ("set_deletion_protection", Some(false), "is switched on again"),
    ] {
        let drill = given.drill();
        drill.sandbox.change_world(|world| {
            let region = world.rds.regions.get_mut(AWAY).expect("away");
            let cluster = region.clusters.get_mut(AWAY_CLUSTER).expect("its cluster");
            cluster.settings.deletion_protection = enabled == Some(false);
        });
        let asked = json!({ "request": given.input });
        let plan = support::call(&drill, "plan_failback", asked).await.expect("it is safe");
        drill.engine.drive_for(60_000).await;
        // A description that is out of date shows what there was before a change: here is one.
        for enabled in [true, false] {
            let home = &plan["retire_home"];
            let payload = json!({
                "cluster": home["cluster"], "enabled": enabled,
                "cluster_resource_id": home["cluster_resource_id"]
            });
            support::call(&drill, "set_deletion_protection", payload).await.expect("it is home's");
        }
        drill.sandbox.change_world(|world| {
            let region = world.rds.regions.get_mut(AWAY).expect("away");
            let cluster = region.clusters.get_mut(AWAY_CLUSTER).expect("its cluster");
            cluster.resource_id = "cluster-OTHER".to_owned();
        });
        let before = Verb::StaleRead { age_ms: 20_000 };
        drill.sandbox.inject(Fault::next(before, "DescribeDBClusters"));

        let fence = &plan["promote"]["fence"];
        let payload = match enabled {
            None => json!({ "fence": fence }),
            Some(enabled) => json!({
                "cluster": fence["cluster"], "enabled": enabled,
                "cluster_resource_id": fence["cluster_resource_id"]
            }),
        };
        let error = support::call(&drill, function, payload).await.expect_err("it met another");

        assert_eq!(error.name(), "AnotherClusterMet", "{function}: {error}");
        for word in ["cluster-OTHER", AWAY_CLUSTER, AWAY, words] {
            assert!(error.message().contains(word), "{function}: {}", error.message());
        }
        let is_protected = drill.sandbox.with_world(|world| {
            world.rds.cluster(AWAY, AWAY_CLUSTER).expect("it is there").settings.deletion_protection
        });
        assert_eq!(is_protected, enabled.is_some(), "{function}");
    }
}

/// Replication is seen to have caught up until the fence is up, and is not seen any more then.
pub async fn blind_behind_the_fence(given: &Given) -> (Drill, Outcome) {
    let drill = given.drill();
    let machine = failback_cli::definitions::machine_arn("failback");
    let started = drill.engine.start_execution(&machine, Some("blind"), given.input.clone());
    drive_to(&drill, "RestartInstances").await;
    drill.sandbox.change_world(|w| w.behaviour.metric_data_missing = true);
    let outcome = drill.engine.wait(&started.expect("it starts")).await;
    (drill, outcome)
}

#[tokio::test(start_paused = true)]
async fn away_serves_again_with_its_own_groups_if_replication_does_not_catch_up() {
    let given = Given::by_security_group();
    let open = groups(&given.drill(), AWAY, AWAY_CLUSTER);

    let (drill, outcome) = blind_behind_the_fence(&given).await;

    assert_eq!(outcome.error.as_deref(), Some("PromotionCalledOff"), "{:?}", outcome.cause);
    assert_eq!(groups(&drill, AWAY, AWAY_CLUSTER), open);
    assert!(serves(&drill));

    drill.sandbox.change_world(|w| w.behaviour.metric_data_missing = false);
    let ended = drill.run("seeing", given.input.clone()).await.expect("it starts");
    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    assert_safe(&drill, &ended, &given);
}

#[tokio::test(start_paused = true)]
async fn group_that_a_stopped_run_left_is_taken_away_before_anything_is_planned() {
    let given = Given::by_security_group();
    let drill = given.drill();
    let machine = failback_cli::definitions::machine_arn("failback");
    let first = drill.engine.start_execution(&machine, Some("first"), given.input.clone());
    drive_to(&drill, "CheckReplicationBehindFence").await;
    drill.engine.stop_execution(&first.expect("it starts"), Some("Stopped"), None);
    assert_eq!(groups(&drill, AWAY, AWAY_CLUSTER), [AWAY_FENCE]);
    assert!(!serves(&drill), "no session is left either");

    let mut input = given.input.clone();
    // No plan can be made of this: the fence goes all the same.
    input["home"]["network"]["fence_group_id"] = json!("sg-0123456789abcdef0");
    let refused = drill.run("second", input).await.expect("it starts");
    assert_eq!(refused.outcome.error.as_deref(), Some("FailbackRefused"));
    assert!(serves(&drill));

    let ended = drill.run("third", given.input.clone()).await.expect("it starts");
    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    assert_safe(&drill, &ended, &given);
}

/// Home's subnets were never isolated: clients of before the disaster may still be connected.
#[tokio::test(start_paused = true)]
async fn stale_cluster_in_an_open_network_is_closed_and_its_sessions_ended_before_it_goes() {
    let mut given = Given::by_security_group();
    for subnet in &mut given.vpc(HOME).subnets {
        subnet.network_acl = None;
    }

    let (drill, _) = rehearse(&given).await;

    let changes = changes(&drill);
    let at = |operation: &str, resource: &str| {
        changes.iter().position(|(o, r)| o == operation && r == resource)
    };
    let closed = at("ModifyDBCluster", "gdb1-cluster").expect("it is closed");
    let restarted = at("RebootDBInstance", "gdb1-node1").expect("its sessions are ended");
    let deleted = at("DeleteDBInstance", "gdb1-node1").expect("it goes");
    assert!(closed < restarted && restarted < deleted, "{changes:#?}");
}

#[tokio::test(start_paused = true)]
async fn group_that_is_no_fence_is_refused_before_anything_is_touched() {
    type Change = fn(&mut Given);
    let cases: [(Change, &[&str]); 4] = [
        (
            |given| given.input["away"]["network"]["fence_group_id"] = json!("sg-0123"),
            &["away.network.fence_group_id", "`sg-0123`", "does not exist"],
        ),
        (
            |given| {
                let groups = &mut given.vpc(AWAY).security_groups;
                let fence = groups.iter_mut().find(|g| g.id == AWAY_FENCE).expect("the fence");
                fence.ingress.push(IngressSpec {
                    protocol: "tcp".to_owned(),
                    ports: Some((3306, 3306)),
                    cidr: "10.0.0.0/8".to_owned(),
                });
            },
            &["away.network.fence_group_id", AWAY_FENCE, "lets traffic in"],
        ),
        (
            |given| {
                let mut other: VpcSpec = given.vpc(AWAY).clone();
                other.id = "vpc-0other".to_owned();
                other.subnets.clear();
                other.network_acls.retain(|acl| acl.default);
                other.network_acls[0].id = "acl-0other".to_owned();
                other.security_groups.retain(|g| g.id == AWAY_FENCE);
                given.vpc(AWAY).security_groups.retain(|g| g.id != AWAY_FENCE);
                given.region(AWAY).vpcs.push(other);
            },
            &["away.network.fence_group_id", "vpc-0other"],
        ),
        (
            |given| given.input["away"]["network"]["fence_group_id"] = json!(null),
            &["away.network.fence_group_id", "no fence"],
        ),
    ];
    for (change, words) in cases {
        let mut given = Given::by_security_group();
        change(&mut given);
        let (drill, ended) = rehearse(&given).await;
        let cause = ended.outcome.cause.unwrap_or_default();
        assert_eq!(ended.outcome.error.as_deref(), Some("FailbackRefused"), "{cause}");
        for word in words {
            assert!(cause.contains(word), "{word}: {cause}");
        }
        assert!(changes(&drill).iter().all(|(o, _)| !o.contains("DB")));
    }
}

#[tokio::test(start_paused = true)]
async fn plan_says_what_a_cluster_behind_a_group_returns_to() {
    let mut given = Given::by_security_group();
    given.input["dry_run"] = json!(true);
    let (drill, ended) = rehearse_well(&given).await;

    let output = ended.outcome.output.expect("the plan");
    let plan: Plan = serde_json::from_value(output.clone()).expect("a plan");

    assert_eq!(output["promote"]["fence"]["by"]["kind"], "security_group");
    let restore = output["promote"]["fence"]["by"]["restore"].clone();
    assert_eq!(restore, json!(groups(&drill, AWAY, AWAY_CLUSTER)));
    let facts = plan.basis.facts.values().any(|fact| fact.contains("security groups [sg-"));
    assert!(facts, "{:?}", plan.basis.facts);
}
