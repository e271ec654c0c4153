//! Small print: quotas, statuses that come by themselves, and what only shows for a while.

use aws_sdk_rds::types::{DbClusterAssociatedRole, Filter};
use failback_sandbox::rds::settings::Domain;
use failback_sandbox::spec::SecurityGroupSpec;
use failback_sandbox::{Fault, Verb, WorldSpec};

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, assert_refused, join, refusal};

#[tokio::test]
async fn account_holds_as_many_global_clusters_as_its_quota_says() {
    let lab = Lab::behaving(|behaviour| behaviour.global_clusters_max = 1);

    let created = lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

    assert_refused(created, "GlobalClusterQuotaExceededFault", "quota");
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(120);
    let delete = lab.rds(HOME).delete_global_cluster().global_cluster_identifier(FORMER);
    delete.send().await.unwrap();
    lab.wait_s(60);
    assert_eq!(lab.create_global(RESTORING, AWAY, "gdb2-cluster").await, None);
}

#[tokio::test]
async fn region_without_global_clusters_knows_none_of_their_calls() {
    let lab = Lab::new();
    lab.sandbox.change_world(|world| {
        world.rds.regions.get_mut(HOME).unwrap().without_global_clusters = true;
    });

    let described = refusal(lab.rds(HOME).describe_global_clusters().send().await);

    assert_refused(described, "InvalidParameterValue", "Access Denied to API Version");
    assert!(refusal(lab.rds(AWAY).describe_global_clusters().send().await).is_none());
    assert_eq!(lab.status(HOME, "gdb1-cluster").await, "available");
}

#[tokio::test]
async fn source_with_a_small_instance_is_refused() {
    let lab = Lab::new();
    lab.sandbox.change_world(|world| {
        let here = world.rds.regions.get_mut(AWAY).unwrap();
        here.instances.get_mut("gdb2-node1").unwrap().settings.class = "db.t4g.medium".to_owned();
    });

    let created = lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

    assert_refused(created, "InvalidParameterCombination", "db.t4g.medium");
}

#[tokio::test]
async fn extended_support_of_a_global_cluster_shows_for_postgresql_only() {
    let lab = Lab::new();
    for (engine, shown) in [("aurora-postgresql", true), ("aurora-mysql", false)] {
        let create = lab.rds(HOME).create_global_cluster().global_cluster_identifier(engine);
        let create = create.engine(engine).engine_lifecycle_support("open-source-rds-x");
        create.send().await.unwrap();
        lab.wait_s(60);
        assert_eq!(lab.global(engine).await.engine_lifecycle_support().is_some(), shown);
    }
}

#[tokio::test]
async fn source_of_a_new_global_cluster_is_modifying_until_it_is_listed_when_told_so() {
    for (modifies, status) in [(true, "modifying"), (false, "available")] {
        let lab = Lab::behaving(|behaviour| behaviour.new_global_modifies_its_source = modifies);
        lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;

        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, status);
        lab.wait_s(90);
        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
    }
}

#[tokio::test]
async fn modified_global_cluster_is_modifying_for_a_moment_when_told_so() {
    for (shows, status) in [(true, "modifying"), (false, "available")] {
        let lab = Lab::behaving(|behaviour| {
            behaviour.global_modification_shows = shows;
            behaviour.global_reads_lag_ms = 0;
        });
        let modify = lab.rds(HOME).modify_global_cluster().global_cluster_identifier(FORMER);
        modify.deletion_protection(true).send().await.unwrap();

        assert_eq!(lab.global(FORMER).await.status(), Some(status));
        lab.wait_s(60);
        assert_eq!(lab.global(FORMER).await.status(), Some("available"));
    }
}

#[tokio::test]
async fn cluster_is_maintained_in_its_weekly_window_and_serves_meanwhile() {
    for (weekly, status) in [(true, "maintenance"), (false, "available")] {
        let lab = Lab::behaving(|behaviour| {
            behaviour.maintained_weekly = weekly;
            behaviour.backs_up_daily = false;
        });
        // The world begins on a Thursday; away's window is on Saturday at 11:15.
        lab.wait_s((2 * 24 + 11) * 3_600 + 16 * 60);

        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, status);
        assert_eq!(lab.sandbox.with_world(|world| world.writable_clusters().len()), 1);
        lab.wait_s(600);
        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");
    }
}

#[tokio::test]
async fn cluster_is_maintained_whenever_it_becomes_available_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.maintained_when_available = true);
    lab.with_reader_in_home().await;
    lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await;
    let mut shown = Vec::new();
    for _ in 0..100 {
        shown.push(lab.status(HOME, "gdb1-cluster-restored").await);
        lab.wait_s(1);
    }
    shown.dedup();
    assert_eq!(shown, ["promoting", "available", "maintenance"]);
}

#[tokio::test]
async fn iam_authentication_shows_the_status_that_is_chosen() {
    for (documented, status) in
        [(true, "update-iam-db-auth"), (false, "configuring-iam-database-auth")]
    {
        let lab = Lab::behaving(|behaviour| behaviour.documented_iam_status = documented);
        let cluster = lab.cluster(AWAY, "gdb2-cluster").await;
        let wanted = !cluster.iam_database_authentication_enabled().unwrap();
        let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier("gdb2-cluster");
        let modify = modify.enable_iam_database_authentication(wanted).apply_immediately(true);
        modify.send().await.unwrap();

        assert_eq!(lab.status(AWAY, "gdb2-cluster").await, status);
    }
}

#[tokio::test]
async fn deleted_instance_is_checked_first_when_told_so_and_keeps_its_cluster_meanwhile() {
    let lab = Lab::behaving(|behaviour| behaviour.deletion_is_prechecked = true);
    lab.unprotect(AWAY, "gdb2-cluster").await;
    assert_eq!(lab.delete_instance(AWAY, "gdb2-node1").await, None);

    let instance = lab.instance(AWAY, "gdb2-node1").await;
    assert_eq!(instance.db_instance_status(), Some("delete-precheck"));
    let again = lab.delete_instance(AWAY, "gdb2-node1").await;
    assert_refused(again, "InvalidDBInstanceState", "already being deleted");
    let early = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    assert_refused(early, "InvalidDBClusterStateFault", "non-deleting state");
    lab.wait_s(30);
    assert_eq!(lab.instance(AWAY, "gdb2-node1").await.db_instance_status(), Some("deleting"));
    assert_eq!(lab.delete_cluster(AWAY, "gdb2-cluster", "final").await, None);
}

#[tokio::test]
async fn instance_waits_for_its_cluster_or_not_as_chosen() {
    for (waits, status) in [(true, "creating"), (false, "available")] {
        let lab = Lab::behaving(|behaviour| {
            behaviour.instances_wait_for_their_cluster = waits;
            behaviour.timings.create_cluster_s = 2_000.0;
        });
        lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
        lab.wait_s(120);
        lab.join_home(RESTORING, "restored").await;
        lab.create_instance(HOME, "restored", "node").await;
        lab.wait_s(700);

        assert_eq!(lab.status(HOME, "restored").await, "creating");
        assert_eq!(lab.instance(HOME, "node").await.db_instance_status(), Some(status));
    }
}

#[tokio::test]
async fn cluster_made_again_has_the_same_host_names_or_others_as_chosen() {
    for anew in [false, true] {
        let lab = Lab::behaving(|behaviour| behaviour.endpoints_are_made_anew = anew);
        let before = lab.cluster(HOME, "gdb1-cluster").await.endpoint;
        lab.retire_home().await;
        lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
        lab.wait_s(900);
        assert_eq!(lab.join_home(RESTORING, "gdb1-cluster").await, None);

        let after = lab.cluster(HOME, "gdb1-cluster").await.endpoint;
        assert_eq!(after != before, anew);
        let found = lab.sandbox.with_world(|world| world.resolve_endpoint(&after.unwrap()));
        assert_eq!(found.unwrap().cluster_id, "gdb1-cluster");
    }
}

#[tokio::test]
async fn certificate_authority_that_does_not_exist_is_not_found() {
    let lab = Lab::new();
    let create = lab.rds(AWAY).create_db_instance().db_instance_identifier("node");
    let create = create.db_cluster_identifier("gdb2-cluster").db_instance_class("db.r6g.large");

    let created = create.engine("aurora-mysql").ca_certificate_identifier("none").send().await;

    assert_refused(refusal(created), "CertificateNotFound", "none");
}

#[tokio::test]
async fn what_only_other_engines_have_is_ignored_at_the_instance() {
    let lab = Lab::new();
    let create = lab.rds(AWAY).create_db_instance().db_instance_identifier("node");
    let create = create.db_cluster_identifier("gdb2-cluster").db_instance_class("db.r6g.large");
    let create = create.engine("aurora-mysql").multi_az(true).storage_type("gp3").port(1_433);
    create.engine_version("8.0").send().await.unwrap();
    lab.wait_s(900);

    let (instance, cluster) =
        (lab.instance(AWAY, "node").await, lab.cluster(AWAY, "gdb2-cluster").await);
    assert_eq!(instance.engine_version(), cluster.engine_version());
    assert_eq!(instance.endpoint().unwrap().port(), cluster.port());
    assert_ne!(instance.storage_type(), Some("gp3"));
}

#[tokio::test]
async fn new_parameter_group_of_an_instance_waits_for_a_reboot() {
    let lab = Lab::new();
    let group = async || {
        let groups = lab.instance(AWAY, "gdb2-node1").await.db_parameter_groups.unwrap();
        groups[0].parameter_apply_status().unwrap().to_owned()
    };
    assert_eq!(group().await, "in-sync");

    let modify = lab.rds(AWAY).modify_db_instance().db_instance_identifier("gdb2-node1");
    let modify = modify.db_parameter_group_name("default.aurora-mysql8.0");
    modify.apply_immediately(true).send().await.unwrap();

    assert_eq!(group().await, "applying");
    lab.wait_s(60);
    assert_eq!(group().await, "pending-reboot");
}

#[tokio::test]
async fn new_security_group_is_being_added_and_then_active() {
    let mut spec = WorldSpec::workshop();
    let groups = &mut spec.regions[1].vpcs[0].security_groups;
    let other = SecurityGroupSpec { id: "sg-0new".to_owned(), ..groups[0].clone() };
    groups.push(other.clone());
    let other = other.id;
    let lab = Lab::of(&spec, 7);
    let mut groups = lab.cluster(AWAY, "gdb2-cluster").await.vpc_security_groups.unwrap();
    let held = groups.remove(0).vpc_security_group_id.unwrap();
    let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier("gdb2-cluster");
    let modify = modify.vpc_security_group_ids(&held).vpc_security_group_ids(&other);
    modify.apply_immediately(true).send().await.unwrap();
    let status = async |id: &str| {
        let groups = lab.cluster(AWAY, "gdb2-cluster").await.vpc_security_groups.unwrap();
        let group = groups.into_iter().find(|g| g.vpc_security_group_id() == Some(id));
        group.unwrap().status.unwrap()
    };

    assert_eq!(status(&held).await, "active");
    assert_eq!(status(&other).await, "adding");
    lab.wait_s(60);
    assert_eq!(status(&other).await, "active");
}

#[tokio::test]
async fn role_that_will_never_work_is_invalid() {
    let lab = Lab::new();
    let verb = Verb::Fail { status: "INVALID".to_owned() };
    lab.sandbox.inject(Fault::next(verb, "AddRoleToDBCluster"));
    let role = "arn:aws:iam::123456789012:role/broken";
    let add = lab.rds(AWAY).add_role_to_db_cluster().db_cluster_identifier("gdb2-cluster");
    add.role_arn(role).send().await.unwrap();
    lab.wait_s(60);

    let roles = lab.cluster(AWAY, "gdb2-cluster").await.associated_roles.unwrap();
    let found = roles.iter().find(|found| found.role_arn() == Some(role)).unwrap();
    assert_eq!(found.status(), Some("INVALID"));
}

#[tokio::test]
async fn sixth_role_and_sixth_endpoint_are_one_too_many_at_creation_too() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let roles = (0..6).map(|number| {
        let arn = format!("arn:aws:iam::123456789012:role/r{number}");
        DbClusterAssociatedRole::builder().role_arn(arn).build().unwrap()
    });
    let join = join(&lab.rds(HOME), RESTORING, "restored");
    let joined = join.set_associated_roles(Some(roles.collect())).send().await;
    assert_refused(refusal(joined), "DBClusterRoleQuotaExceeded", "maximum number of roles");

    let mut last = None;
    for number in 0..6 {
        let create = lab.rds(AWAY).create_db_cluster_endpoint().endpoint_type("ANY");
        let create = create.db_cluster_identifier("gdb2-cluster");
        let create = create.db_cluster_endpoint_identifier(format!("e{number}"));
        last = refusal(create.send().await);
    }
    assert_refused(last, "DBClusterEndpointQuotaExceededFault", "quota");
}

#[tokio::test]
async fn subnet_group_has_to_cover_two_zones() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab.sandbox.change_world(|world| {
        let here = world.rds.regions.get_mut(HOME).unwrap();
        here.subnet_groups.get_mut("gdb1-subnet-group").unwrap().subnets.truncate(1);
    });

    let joined = lab.join_home(RESTORING, "restored").await;

    assert_refused(joined, "DBSubnetGroupDoesNotCoverEnoughAZs", "at least 2 AZs");
}

#[tokio::test]
async fn cluster_that_cannot_be_created_is_told_as_a_failure() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let verb = Verb::Fail { status: "incompatible-network".to_owned() };
    lab.sandbox.inject(Fault::next(verb, "CreateDBCluster"));
    lab.join_home(RESTORING, "restored").await;
    lab.wait_s(600);

    assert_eq!(lab.status(HOME, "restored").await, "incompatible-network");
    let told: Vec<u16> =
        lab.sandbox.with_world(|world| world.told().iter().map(|told| told.number).collect());
    assert_eq!(told, [354]);
}

#[tokio::test]
async fn engine_mode_is_provisioned_or_left_out() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let join = |mode: &str| join(&lab.rds(HOME), RESTORING, "restored").engine_mode(mode).send();

    assert_refused(refusal(join("serverless").await), "InvalidParameterValue", "engine mode");
    assert_eq!(refusal(join("provisioned").await), None);
}

#[tokio::test]
async fn clusters_and_instances_are_found_by_engine_and_domain() {
    let mut spec = WorldSpec::workshop();
    spec.regions[0].clusters[0].settings.domain =
        Some(Domain { id: "d-1".to_owned(), role_name: "directory".to_owned() });
    let lab = Lab::of(&spec, 7);
    for (name, value, found) in
        [("domain", "d-1", 1), ("domain", "d-2", 0), ("engine", "aurora-postgresql", 0)]
    {
        let filter = Filter::builder().name(name).values(value).build();
        let clusters = lab.rds(HOME).describe_db_clusters().filters(filter.clone());
        assert_eq!(clusters.send().await.unwrap().db_clusters().len(), found, "{name}={value}");
        let instances = lab.rds(HOME).describe_db_instances().filters(filter);
        assert_eq!(instances.send().await.unwrap().db_instances().len(), found, "{name}={value}");
    }
}

#[tokio::test]
async fn name_of_a_global_cluster_is_taken_until_it_is_gone() {
    let lab = Lab::new();
    lab.detach(FORMER, HOME, "gdb1-cluster").await;
    lab.wait_s(120);
    let delete = lab.rds(HOME).delete_global_cluster().global_cluster_identifier(FORMER);
    delete.send().await.unwrap();

    let early = lab.create_global(FORMER, AWAY, "gdb2-cluster").await;
    assert_refused(early, "GlobalClusterAlreadyExistsFault", FORMER);

    lab.wait_s(60);
    assert_eq!(lab.create_global(FORMER, AWAY, "gdb2-cluster").await, None);
}
