//! The whole way home, by hand: what is measured is what happened to the data.

use failback_sandbox::{ClusterName, WorldSpec};

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, START_MS};

/// Puts all private subnets of a Region on an ACL.
fn put_subnets_on(lab: &Lab, region: &str, acl: &str) {
    let subnets = lab.sandbox.with_world(|world| {
        let groups = world.rds.regions[region].subnet_groups.values();
        groups.flat_map(|group| group.subnets.clone()).collect::<Vec<_>>()
    });
    lab.sandbox.change_world(|world| {
        for subnet in &subnets {
            world.network.associate(region, subnet, acl).unwrap();
        }
    });
}

const HOME_DEFAULT_ACL: &str = "acl-0e5f1a37b6c8d9405";
const AWAY_FENCE_ACL: &str = "acl-0fe9ce00a11c105ed";

async fn retire(lab: &Lab, region: &'static str, cluster: &str, instance: &str, snapshot: &str) {
    lab.unprotect(region, cluster).await;
    assert_eq!(lab.delete_instance(region, instance).await, None);
    assert_eq!(lab.delete_cluster(region, cluster, snapshot).await, None);
    lab.wait_s(800);
}

#[tokio::test]
async fn careful_failback_loses_no_row_and_never_has_two_writers() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(120);
    retire(&lab, HOME, "gdb1-cluster", "gdb1-node1", "gdb1-final").await;
    put_subnets_on(&lab, HOME, HOME_DEFAULT_ACL);
    lab.with_reader_in_home().await;

    put_subnets_on(&lab, AWAY, AWAY_FENCE_ACL);
    lab.wait_s(30);
    assert_eq!(lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await, None);
    lab.wait_s(120);

    let measured = lab.sandbox.measured();
    assert!(measured.rows_written > 1_000, "{measured:?}");
    assert_eq!(measured.rows_lost, 0, "{measured:?}");
    assert!(measured.moments_with_two_writable_clusters.is_empty(), "{measured:?}");
    let home = "gdb1-cluster-restored".to_owned();
    assert_eq!(measured.writer, Some(ClusterName { region: HOME.into(), cluster_id: home }));
    assert!(measured.seconds_without_writes > 100.0);
}

#[tokio::test]
async fn network_restored_before_the_stale_cluster_is_gone_makes_two_writers() {
    let lab = Lab::new();
    lab.wait_s(10);

    put_subnets_on(&lab, HOME, HOME_DEFAULT_ACL);
    lab.wait_s(60);

    let measured = lab.sandbox.measured();
    let [moment] = measured.moments_with_two_writable_clusters.as_slice() else {
        panic!("{measured:?}")
    };
    assert_eq!((moment.from_ms, moment.to_ms), (START_MS + 10_000, None));
    assert!(measured.rows_lost > 0, "the stale cluster acknowledged rows: {measured:?}");
}

#[tokio::test]
async fn reader_detached_while_away_is_written_to_loses_rows_and_splits() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(120);
    retire(&lab, HOME, "gdb1-cluster", "gdb1-node1", "gdb1-final").await;
    put_subnets_on(&lab, HOME, HOME_DEFAULT_ACL);
    lab.with_reader_in_home().await;

    lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await;
    lab.wait_s(120);
    put_subnets_on(&lab, AWAY, AWAY_FENCE_ACL);
    lab.wait_s(1);

    let measured = lab.sandbox.measured();
    assert_eq!(measured.moments_with_two_writable_clusters.len(), 1, "{measured:?}");
    assert!(measured.rows_lost > 0, "{measured:?}");
}

#[tokio::test]
async fn final_snapshot_records_what_the_cluster_held() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(120);

    retire(&lab, HOME, "gdb1-cluster", "gdb1-node1", "gdb1-final").await;

    let rows = lab.sandbox.with_world(|world| world.rds.regions[HOME].snapshots["gdb1-final"].rows);
    assert_eq!(rows, 1_025);
}

#[tokio::test]
async fn same_seed_makes_the_same_run() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let lab = Lab::of(&WorldSpec::workshop(), seed);
        lab.with_reader_in_home().await;
        let lags = lab.sandbox.with_world(|world| {
            world.replication_lag(HOME, "gdb1-cluster-restored", START_MS, lab.now_ms())
        });
        runs.push((lab.sandbox.fingerprint(), lags));
    }

    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[test]
fn workshop_world_begins_with_one_writable_cluster() {
    let lab = Lab::new();

    let writable = lab.sandbox.with_world(failback_sandbox::World::writable_clusters);

    assert_eq!(writable, [ClusterName { region: AWAY.into(), cluster_id: "gdb2-cluster".into() }]);
}

#[test]
fn spec_with_an_unknown_field_or_a_dangling_name_is_refused_with_its_name() {
    let unknown = WorldSpec::from_json(r#"{"account": "1", "regions": [], "regoins": []}"#);
    assert!(unknown.unwrap_err().to_string().contains("regoins"));

    let mut spec = WorldSpec::workshop();
    spec.regions[0].clusters[0].settings.subnet_group = "none".to_owned();
    let clock = std::sync::Arc::new(|| START_MS);
    let refused = failback_sandbox::Sandbox::new(&spec, 1, clock).unwrap_err();
    assert!(refused.to_string().contains("`none`"), "{refused}");
}
