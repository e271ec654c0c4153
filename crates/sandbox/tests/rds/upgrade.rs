//! Versions: upgrades of clusters and of global clusters, and which versions go together.

use failback_sandbox::{Fault, Verb, WorldSpec};

use crate::support::{AWAY, HOME, Lab, RESTORING, VERSION, arn, assert_refused, refusal};

const MINOR: &str = "8.0.mysql_aurora.3.09.0";
const MAJOR: &str = "9.0.mysql_aurora.4.01.0";
const READER: &str = "gdb1-cluster-restored";

async fn upgrade(lab: &Lab, region: &'static str, id: &str, version: &str) -> Option<String> {
    let modify = lab.rds(region).modify_db_cluster().db_cluster_identifier(id);
    refusal(modify.engine_version(version).apply_immediately(true).send().await)
}

#[tokio::test]
async fn global_cluster_upgrades_all_members_to_another_major_version_only() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let modify = || lab.rds(AWAY).modify_global_cluster().global_cluster_identifier(RESTORING);

    let minor = refusal(modify().engine_version(MINOR).send().await);
    assert_refused(minor, "InvalidParameterValue", "only supports Major Version Upgrades");
    let unasked = refusal(modify().engine_version(MAJOR).send().await);
    assert_refused(unasked, "InvalidParameterCombination", "AllowMajorVersionUpgrade");
    let allowed = modify().engine_version(MAJOR).allow_major_version_upgrade(true).send().await;
    assert_eq!(refusal(allowed), None);

    assert_eq!(lab.status(HOME, READER).await, "upgrading");
    let busy = refusal(modify().deletion_protection(true).send().await);
    assert_refused(busy, "InvalidGlobalClusterStateFault", "is upgrading");
    lab.wait_s(900);
    let global = lab.global(RESTORING).await;
    assert_eq!((global.status(), global.engine_version()), (Some("available"), Some(MAJOR)));
    for (region, id) in [(AWAY, "gdb2-cluster"), (HOME, READER)] {
        assert_eq!(lab.cluster(region, id).await.engine_version(), Some(MAJOR));
    }
}

#[tokio::test]
async fn minor_version_is_changed_at_the_readers_first() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    let early = upgrade(&lab, AWAY, "gdb2-cluster", MINOR).await;
    assert_refused(early, "InvalidParameterValue", "upgrade global replicas first");
    assert_eq!(upgrade(&lab, HOME, READER, MINOR).await, None);
    assert_eq!(lab.status(HOME, READER).await, "upgrading");
    lab.wait_s(900);
    assert_eq!(upgrade(&lab, AWAY, "gdb2-cluster", MINOR).await, None);
    lab.wait_s(900);

    assert_eq!(lab.cluster(AWAY, "gdb2-cluster").await.engine_version(), Some(MINOR));
    assert_eq!(lab.global(RESTORING).await.engine_version(), Some(MINOR));
    let back = upgrade(&lab, AWAY, "gdb2-cluster", VERSION).await;
    assert_refused(back, "InvalidParameterCombination", "Cannot upgrade");
}

#[tokio::test]
async fn upgrade_that_fails_ends_in_its_terminal_status_with_the_old_version() {
    let lab = Lab::new();
    let verb = Verb::Fail { status: "upgrade_failed".to_owned() };
    lab.sandbox.inject(Fault::next(verb, "ModifyDBCluster"));

    upgrade(&lab, AWAY, "gdb2-cluster", MINOR).await;
    lab.wait_s(900);

    let cluster = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(cluster.status(), Some("upgrade_failed"));
    assert_eq!(cluster.engine_version(), Some(VERSION));
}

#[tokio::test]
async fn switchover_takes_patches_that_differ_where_the_documentation_does() {
    for (engine, writer, reader, may) in [
        ("aurora-mysql", VERSION, "8.0.mysql_aurora.3.08.1", false),
        ("aurora-postgresql", "15.4", "15.4.1", true),
        ("aurora-postgresql", "14.4", "14.4.1", false),
    ] {
        let lab = Lab::of(&WorldSpec::workshop(), 7);
        lab.with_reader_in_home().await;
        lab.sandbox.change_world(|world| {
            for (region, id, version) in [(AWAY, "gdb2-cluster", writer), (HOME, READER, reader)] {
                let here = world.rds.regions.get_mut(region).unwrap();
                let cluster = here.clusters.get_mut(id).unwrap();
                cluster.engine = engine.to_owned();
                cluster.engine_version = version.to_owned();
            }
        });
        let switch = lab.rds(AWAY).switchover_global_cluster();
        let switch = switch.global_cluster_identifier(RESTORING);
        let switched = refusal(switch.target_db_cluster_identifier(arn(HOME, READER)).send().await);
        assert_eq!(switched.is_none(), may, "{engine} {writer} {reader}: {switched:?}");
    }
}
