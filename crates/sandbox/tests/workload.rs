//! Clients: what they reach, what they keep, and what they notice.

mod network_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use failback_sandbox::rds::Membership;
use failback_sandbox::workload::{ClientReport, Failure, Purpose};
use failback_sandbox::{Measured, Sandbox, WorldSpec};
use network_support::{
    AWAY, AWAY_FENCE, AWAY_GROUP, AWAY_SUBNETS, HOME, Lab, NAME, START_MS, ZONE, client, world_with,
};
use serde_json::json;

/// Home's default ACL in the shipped world.
const WORKSHOP_DEFAULT_ACL: &str = "acl-0e5f1a37b6c8d9405";

fn reports(lab: &Lab) -> Vec<ClientReport> {
    lab.sandbox.with_world(|world| world.workload.reports(world.now_ms))
}

fn report(lab: &Lab) -> ClientReport {
    reports(lab).remove(0)
}

/// Points the name at another cluster's writer endpoint, in sync at once.
fn point_name_at(lab: &Lab, region: &str, cluster: &str) {
    let record = lab.sandbox.with_world(|world| {
        let kind = failback_sandbox::EndpointKind::Writer;
        world.rds.cluster(region, cluster).unwrap().host(kind, &world.account)
    });
    lab.sandbox.change_world(|world| world.dns.set_cname(ZONE, NAME, 60, &record));
}

/// Makes home's cluster stand alone, as after a promotion.
fn promote_home(lab: &Lab) {
    lab.sandbox.change_world(|world| {
        let here = world.rds.regions.get_mut(HOME).unwrap();
        here.clusters.get_mut("gdb1").unwrap().membership = Membership::Standalone;
    });
}

#[test]
fn undisturbed_client_writes_a_row_every_interval() {
    let lab = Lab::new(world_with(vec![client("orders")]));

    lab.wait_s(600);

    let report = report(&lab);
    assert_eq!(report.purpose, Purpose::Write);
    assert_eq!(report.acknowledged, 1_200);
    assert!(report.failures.is_empty());
    assert_eq!(report.longest_gap.length_ms(), 500);
    assert_eq!(report.seconds_interrupted, 0.0);
    let [served] = report.served_by.as_slice() else { panic!("one cluster") };
    assert_eq!((served.cluster.cluster_id.as_str(), served.turns), ("gdb2", 1_200));
    assert_eq!(lab.sandbox.measured().rows_written, 1_200);
}

#[test]
fn fence_cuts_a_connection_that_works_and_the_time_without_writes_is_measured() {
    let lab = Lab::new(world_with(vec![client("orders")]));
    lab.wait_s(60);

    lab.fence(AWAY, AWAY_SUBNETS, AWAY_FENCE);
    lab.wait_s(30);
    let fenced = report(&lab);
    lab.fence(AWAY, AWAY_SUBNETS, "acl-0000000000000a0de");
    lab.wait_s(30);
    let lifted = report(&lab);

    assert_eq!(fenced.acknowledged, 120);
    assert_eq!(fenced.failures[&Failure::ConnectionLost], 1);
    assert!(fenced.failures[&Failure::CannotConnect] >= 28, "{:?}", fenced.failures);
    assert!((29.0..=31.5).contains(&fenced.seconds_interrupted), "{fenced:?}");
    assert!((30.0..=31.5).contains(&lifted.seconds_interrupted), "{lifted:?}");
    assert_eq!(lifted.longest_gap.length_ms() as f64 / 1_000.0, lifted.seconds_interrupted);
    assert!(lifted.acknowledged > 170);
}

#[test]
fn cluster_behind_a_closed_security_group_is_writable_while_a_session_lives() {
    let lab = Lab::new(world_with(vec![client("orders")]));
    lab.wait_s(60);
    let writable = || lab.sandbox.with_world(failback_sandbox::World::writable_clusters).len();

    lab.sandbox.change_world(|world| world.network.set_ingress(AWAY, AWAY_GROUP, vec![]));
    assert_eq!(writable(), 1, "the session goes on");
    promote_home(&lab);
    assert_eq!(lab.sandbox.measured().moments_with_two_writable_clusters.len(), 1);

    lab.fence(AWAY, AWAY_SUBNETS, AWAY_FENCE);
    assert_eq!(writable(), 1, "home's");
    let measured = lab.sandbox.measured();
    assert!(measured.moments_with_two_writable_clusters[0].to_ms.is_some(), "{measured:?}");
}

#[test]
fn reader_that_is_deleted_answers_an_established_session_for_three_minutes() {
    for (grace_s, goes_on) in [(180.0, true), (0.0, false)] {
        let lab = Lab::new(world_with(vec![json!({
            "name": "reports",
            "location": { "region": HOME, "vpc": "vpc-0000000000000e000", "ip": "10.1.20.6" },
            "reads_from": "{reader:us-east-1/gdb1}",
        })]));
        lab.sandbox.change_world(|world| {
            world.behaviour.timings.jitter = 0.0;
            world.behaviour.timings.reader_grace_s = grace_s;
        });
        lab.wait_s(60);
        let before = report(&lab).acknowledged;
        assert!(before > 50, "{before}");

        delete_home_instance(&lab);
        lab.wait_s(100);
        assert_eq!(report(&lab).acknowledged > before + 90, goes_on);

        lab.wait_s(100);
        let after = report(&lab).acknowledged;
        lab.wait_s(30);
        assert_eq!(report(&lab).acknowledged, after, "nothing answers any more");
    }
}

/// Deletes the one instance of home's cluster through the API.
fn delete_home_instance(lab: &Lab) {
    let id = lab
        .sandbox
        .with_world(|world| world.rds.regions[HOME].instances.keys().next().unwrap().clone());
    let scope = format!("Credential=AKIDSANDBOX/20260101/{HOME}/rds/aws4_request, x");
    let headers = [("authorization".to_owned(), format!("AWS4-HMAC-SHA256 {scope}"))];
    let body = format!("Action=DeleteDBInstance&DBInstanceIdentifier={id}");
    let outcome = lab.sandbox.handle("POST", "/", headers, body.into_bytes());
    let failback_sandbox::Outcome::Answered(response) = outcome else { panic!("no answer") };
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
}

#[test]
fn closed_security_group_lets_an_established_connection_go_on_writing() {
    let lab = Lab::new(world_with(vec![client("early"), client("late")]));
    lab.wait_s(60);

    lab.sandbox.change_world(|world| world.network.set_ingress(AWAY, AWAY_GROUP, vec![]));
    lab.wait_s(60);

    assert_eq!(report(&lab).acknowledged, 240);
    // A fence of a moment makes them connect again, and then the group refuses.
    lab.fence(AWAY, AWAY_SUBNETS, AWAY_FENCE);
    lab.wait_s(1);
    lab.fence(AWAY, AWAY_SUBNETS, "acl-0000000000000a0de");
    lab.wait_s(59);
    for report in reports(&lab) {
        assert_eq!(report.acknowledged, 240, "{}", report.client);
    }
}

#[test]
fn client_stays_on_the_cluster_that_works_although_its_name_has_moved() {
    let lab = Lab::new(world_with(vec![client("orders")]));
    lab.wait_s(60);

    promote_home(&lab);
    point_name_at(&lab, HOME, "gdb1");
    lab.wait_s(600);
    let before = report(&lab);
    lab.fence(AWAY, AWAY_SUBNETS, AWAY_FENCE);
    lab.wait_s(60);
    let after = report(&lab);

    assert_eq!(before.served_by.len(), 1);
    let order: Vec<&str> = after.served_by.iter().map(|s| s.cluster.cluster_id.as_str()).collect();
    assert_eq!(order, ["gdb2", "gdb1"]);
    assert!(after.seconds_interrupted < 3.0, "{after:?}");
}

#[test]
fn client_whose_name_leads_to_a_reader_gets_an_error_until_it_is_promoted() {
    let lab = Lab::new(world_with(vec![client("orders")]));
    point_name_at(&lab, HOME, "gdb1");

    lab.wait_s(60);
    let refused = report(&lab);
    promote_home(&lab);
    lab.wait_s(10);
    let promoted = report(&lab);

    assert_eq!(refused.acknowledged, 0);
    assert!(refused.failures[&Failure::ReadOnly] >= 59);
    assert_eq!(refused.longest_gap.length_ms(), 60_000);
    assert_eq!(promoted.served_by[0].cluster.region, HOME);
}

#[test]
fn client_that_resolves_again_is_held_back_by_the_ttl() {
    let lab = Lab::new(world_with(vec![client("orders")]));
    lab.wait_s(10);
    promote_home(&lab);

    point_name_at(&lab, HOME, "gdb1");
    lab.fence(AWAY, AWAY_SUBNETS, AWAY_FENCE);
    lab.wait_s(120);

    let report = report(&lab);
    let moved_ms = report.served_by[1].from_ms - START_MS;
    assert!((60_000..=62_000).contains(&moved_ms), "{moved_ms}");
}

#[test]
fn name_that_leads_nowhere_is_an_unknown_host() {
    let mut lost = client("lost");
    lost["writes_to"] = json!("missing.example.internal");
    let lab = Lab::new(world_with(vec![lost]));

    lab.wait_s(10);

    assert!(report(&lab).failures[&Failure::UnknownHost] >= 9);
}

#[test]
fn reader_name_takes_no_writes_and_answers_reads() {
    let reader = lab_reader_host();
    let mut client = client("dashboard");
    client["writes_to"] = json!(reader);
    client["reads_from"] = json!(reader);
    let lab = Lab::new(world_with(vec![client]));

    lab.wait_s(60);

    let reports = reports(&lab);
    assert_eq!((reports[0].purpose, reports[0].acknowledged), (Purpose::Write, 0));
    assert!(reports[0].failures[&Failure::ReadOnly] >= 59);
    assert_eq!((reports[1].purpose, reports[1].acknowledged), (Purpose::Read, 60));
}

/// The reader endpoint of away's cluster, which has two instances.
fn lab_reader_host() -> String {
    let lab = Lab::new(world_with(vec![]));
    lab.sandbox.with_world(|world| {
        let kind = failback_sandbox::EndpointKind::Reader;
        world.rds.cluster(AWAY, "gdb2").unwrap().host(kind, &world.account)
    })
}

/// The shipped world, for two minutes, with home's private subnets on an ACL.
fn workshop(home_acl: Option<&str>) -> (Vec<ClientReport>, Measured) {
    let now_ms = Arc::new(AtomicI64::new(START_MS));
    let clock = Arc::clone(&now_ms);
    let clock = Arc::new(move || clock.load(Ordering::SeqCst));
    let sandbox = Sandbox::new(&WorldSpec::workshop(), 7, clock).unwrap();
    if let Some(acl) = home_acl {
        sandbox.change_world(|world| {
            let cluster = world.rds.clusters().find(|c| c.region == HOME).unwrap();
            for subnet in world.cluster_subnets(HOME, &cluster.id.clone()) {
                world.network.associate(HOME, &subnet, acl).unwrap();
            }
        });
    }
    now_ms.fetch_add(120_000, Ordering::SeqCst);
    let reports = sandbox.with_world(|world| world.workload.reports(world.now_ms));
    (reports, sandbox.measured())
}

#[test]
fn clients_of_the_workshop_write_in_away_and_nowhere_else() {
    let (reports, measured) = workshop(None);

    assert!(measured.moments_with_two_writable_clusters.is_empty());
    let writers = reports.iter().filter(|report| report.purpose == Purpose::Write);
    for ClientReport { client, acknowledged, served_by, failures, .. } in writers {
        assert!(served_by.iter().all(|served| served.cluster.region == AWAY), "{client}");
        // One still uses the stale cluster's own endpoint; the deny-all ACL is in its way.
        let forgotten = client == "forgotten-home";
        assert_eq!(*acknowledged == 0, forgotten, "{client}");
        assert_eq!(failures.contains_key(&Failure::CannotConnect), forgotten, "{client}");
    }
}

#[test]
fn network_that_is_restored_before_the_stale_cluster_is_gone_splits_the_brain() {
    let (_, measured) = workshop(Some(WORKSHOP_DEFAULT_ACL));

    let [moment] = measured.moments_with_two_writable_clusters.as_slice() else {
        panic!("one split: {measured:?}")
    };
    assert_eq!(moment.clusters.len(), 2);
}

#[test]
fn same_seed_tells_the_same_story() {
    let story = || {
        let lab = Lab::new(world_with(["a", "b", "c", "d"].map(client).to_vec()));
        lab.wait_s(100);
        lab.fence(AWAY, AWAY_SUBNETS, AWAY_FENCE);
        lab.wait_s(100);
        reports(&lab)
    };

    assert_eq!(story(), story());
}

#[test]
fn two_hours_of_four_clients_are_as_long_however_often_the_world_is_looked_at() {
    let clients = || world_with(["a", "b", "c", "d"].map(client).to_vec());
    let (often, once) = (Lab::new(clients()), Lab::new(clients()));

    for _ in 0..720 {
        often.wait_s(10);
    }
    once.wait_s(7_200);

    assert_eq!(reports(&often), reports(&once));
    assert_eq!(lab_rows(&once), 4 * 14_400);
}

fn lab_rows(lab: &Lab) -> u64 {
    lab.sandbox.measured().rows_written
}
