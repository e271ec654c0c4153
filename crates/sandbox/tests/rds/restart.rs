//! Security groups that are exchanged, and restarts, which end what exchanged groups leave alive.

use aws_sdk_rds::error::ProvideErrorMetadata;

use crate::support::{AWAY, HOME, Lab, RESTORING, assert_refused, refusal};

/// The shipped world's group that lets nothing in.
const FENCE: &str = "sg-0fe9ce0a11c105e02";
const CLUSTER: &str = "gdb2-cluster";
const NODE: &str = "gdb2-node1";

async fn exchange_groups(lab: &Lab, group: &str) {
    let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier(CLUSTER);
    let modify = modify.vpc_security_group_ids(group).apply_immediately(true);
    modify.send().await.unwrap();
}

async fn restart(lab: &Lab) -> Option<String> {
    let reboot = lab.rds(AWAY).reboot_db_instance().db_instance_identifier(NODE);
    refusal(reboot.force_failover(false).send().await)
}

/// Rows that clients have written so far.
fn rows(lab: &Lab) -> u64 {
    lab.sandbox.measured().rows_written
}

#[tokio::test]
async fn group_that_is_taken_away_shows_removing_and_lets_clients_in_until_the_change_is_through() {
    let lab = Lab::behaving(|behaviour| behaviour.timings.attach_s = 60.0);
    let held = lab.cluster(AWAY, CLUSTER).await.vpc_security_groups()[0].clone();
    let held = held.vpc_security_group_id().unwrap().to_owned();
    exchange_groups(&lab, FENCE).await;
    let groups = async || {
        let cluster = lab.cluster(AWAY, CLUSTER).await;
        let groups = cluster.vpc_security_groups().iter();
        let shown = groups.map(|g| (g.vpc_security_group_id().unwrap(), g.status().unwrap()));
        shown.map(|(id, status)| format!("{id} {status}")).collect::<Vec<_>>()
    };

    assert_eq!(groups().await, [format!("{FENCE} adding"), format!("{held} removing")]);
    lab.wait_s(10);
    assert!(rows(&lab) > 0, "clients that connect now are let in");

    lab.wait_s(90);
    assert_eq!(groups().await, [format!("{FENCE} active")]);
}

#[tokio::test]
async fn session_survives_an_exchange_of_groups_and_ends_with_a_restart() {
    let lab = Lab::new();
    lab.wait_s(60);
    exchange_groups(&lab, FENCE).await;
    lab.wait_s(60);
    let before = rows(&lab);
    lab.wait_s(60);
    assert!(rows(&lab) > before, "who is connected goes on writing");
    assert_eq!(lab.sandbox.with_world(|w| w.writable_clusters().len()), 1);

    assert_eq!(restart(&lab).await, None);
    let after = rows(&lab);
    lab.wait_s(120);

    assert_eq!(lab.instance(AWAY, NODE).await.db_instance_status(), Some("available"));
    assert_eq!(rows(&lab), after, "nobody is let in again");
    assert!(lab.sandbox.with_world(|w| w.writable_clusters().is_empty()));
}

#[tokio::test]
async fn restart_takes_the_instance_out_of_service_for_a_moment_and_is_told() {
    let lab = Lab::new();
    lab.wait_s(60);

    assert_eq!(restart(&lab).await, None);
    assert_eq!(lab.instance(AWAY, NODE).await.db_instance_status(), Some("rebooting"));
    let during = rows(&lab);
    lab.wait_s(10);
    assert_eq!(rows(&lab), during);

    lab.wait_s(120);
    assert_eq!(lab.instance(AWAY, NODE).await.db_instance_status(), Some("available"));
    assert!(rows(&lab) > during, "clients connect again");
    let told: Vec<u16> = lab.sandbox.with_world(|w| w.told().iter().map(|t| t.number).collect());
    assert_eq!(told, [4, 6]);
}

#[tokio::test]
async fn instance_that_is_not_available_is_not_restarted_and_none_fails_over_by_force() {
    let lab = Lab::new();
    assert_eq!(restart(&lab).await, None);

    assert_refused(restart(&lab).await, "InvalidDBInstanceState", "rebooting");
    let reboot = lab.rds(AWAY).reboot_db_instance().db_instance_identifier("none");
    assert_refused(refusal(reboot.send().await), "DBInstanceNotFound", "none");
    lab.wait_s(120);
    let reboot = lab.rds(AWAY).reboot_db_instance().db_instance_identifier(NODE);
    let forced = reboot.force_failover(true).send().await.unwrap_err();
    assert_eq!(forced.code(), Some("InvalidParameterCombination"));
}

#[tokio::test]
async fn restart_of_the_writer_of_a_global_cluster_restarts_its_readers() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let booted = || {
        lab.sandbox.with_world(|world| {
            let region = &world.rds.regions[HOME];
            let reader = region.clusters.values().find(|c| c.global() == Some(RESTORING)).unwrap();
            let of_reader = region.instances.values().find(|i| i.cluster_id == reader.id);
            of_reader.unwrap().booted_ms
        })
    };
    let before = booted();

    assert_eq!(restart(&lab).await, None);

    assert!(booted() > before);
}
