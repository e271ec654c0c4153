//! Creating global clusters and joining them: the rules that the other files do not hold.

use aws_sdk_rds::types::Tag;

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, join, refusal};

async fn ready_to_join() -> Lab {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab
}

fn change_away(lab: &Lab, change: impl FnOnce(&mut failback_sandbox::rds::Cluster)) {
    lab.sandbox.change_world(|world| {
        let here = world.rds.regions.get_mut(AWAY).unwrap();
        change(here.clusters.get_mut("gdb2-cluster").unwrap());
    });
}

#[tokio::test]
async fn global_cluster_wants_a_source_or_an_engine() {
    let rds = Lab::new().rds(HOME);

    let nameless = refusal(rds.create_global_cluster().engine("aurora-mysql").send().await);
    assert_refused(nameless, "MissingParameter", "GlobalClusterIdentifier");
    let neither = rds.create_global_cluster().global_cluster_identifier("empty").send().await;
    let words = "value for engineName should be specified";
    assert_refused(refusal(neither), "InvalidParameterValue", words);
}

#[tokio::test]
async fn what_is_inherited_from_the_source_is_refused_beside_it() {
    let lab = Lab::new();
    let create = || {
        let create = lab.rds(AWAY).create_global_cluster().global_cluster_identifier(RESTORING);
        create.source_db_cluster_identifier(arn(AWAY, "gdb2-cluster"))
    };

    let code = "InvalidParameterCombination";
    let version = create().engine_version("8.0.mysql_aurora.3.08.0").send().await;
    assert_refused(refusal(version), code, "engineVersion");
    let database = create().database_name("mylab").send().await;
    assert_refused(refusal(database), code, "databaseName");
    let encryption = create().storage_encrypted(true).send().await;
    assert_refused(refusal(encryption), code, "storageEncrypted");
}

#[tokio::test]
async fn global_cluster_keeps_the_protection_and_the_tags_it_is_given() {
    let lab = Lab::new();
    let create = lab.rds(AWAY).create_global_cluster().global_cluster_identifier(RESTORING);
    let create = create.source_db_cluster_identifier(arn(AWAY, "gdb2-cluster"));
    let tag = Tag::builder().key("workshop").value("dat348").build();
    create.deletion_protection(true).tags(tag).send().await.unwrap();

    let global = lab.global(RESTORING).await;

    assert_eq!(global.deletion_protection(), Some(true));
    assert_eq!(global.tag_list()[0].value(), Some("dat348"));
    assert_eq!((global.engine(), global.storage_encrypted()), (Some("aurora-mysql"), Some(true)));
}

#[tokio::test]
async fn source_that_does_not_exist_is_not_found() {
    let created = Lab::new().create_global(RESTORING, AWAY, "none").await;

    assert_refused(created, "DBClusterNotFoundFault", "none");
}

#[tokio::test]
async fn source_must_be_available_without_backtrack_and_without_a_managed_secret() {
    type Change = fn(&mut failback_sandbox::rds::Cluster);
    let cases: [(Change, &str, &str); 3] = [
        (|c| c.status = "modifying".to_owned(), "InvalidDBClusterStateFault", "modifying"),
        (|c| c.managed_secret_arn = Some("s".to_owned()), "InvalidParameterCombination", "Secrets"),
        (|c| c.settings.backtrack_window_s = Some(60), "InvalidParameterCombination", "backtrack"),
    ];
    for (change, code, words) in cases {
        let lab = Lab::new();
        change_away(&lab, change);
        let created = lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
        assert_refused(created, code, words);
    }
}

#[tokio::test]
async fn global_cluster_is_renamed_with_its_members_and_its_endpoint() {
    let lab = Lab::new();
    let before = lab.global(FORMER).await.endpoint.unwrap();
    let modify = lab.rds(HOME).modify_global_cluster().global_cluster_identifier(FORMER);

    modify.new_global_cluster_identifier("renamed").send().await.unwrap();
    lab.wait_s(5);

    let global = lab.global("renamed").await;
    assert_eq!(global.global_cluster_members().len(), 1);
    assert_ne!(global.endpoint(), Some(before.as_str()));
    let cluster = lab.cluster(HOME, "gdb1-cluster").await;
    assert_eq!(cluster.global_cluster_identifier(), Some("renamed"));
}

#[tokio::test]
async fn modification_of_a_global_cluster_may_be_repeated() {
    let lab = Lab::new();
    let modify = || lab.rds(HOME).modify_global_cluster().global_cluster_identifier(FORMER);
    modify().deletion_protection(true).send().await.unwrap();
    let once = lab.sandbox.fingerprint();

    modify().deletion_protection(true).send().await.unwrap();

    assert_eq!(lab.sandbox.fingerprint(), once);
    let version = refusal(modify().engine_version("8.0.mysql_aurora.3.09.0").send().await);
    assert_refused(version, "InvalidParameterValue", "only supports Major Version Upgrades");
}

#[tokio::test]
async fn member_is_removed_through_any_region() {
    let lab = Lab::new();
    let remove = || lab.rds(AWAY).remove_from_global_cluster().global_cluster_identifier(FORMER);

    let nameless = refusal(remove().send().await);
    assert_refused(nameless, "MissingParameter", "DbClusterIdentifier");
    let bare = refusal(remove().db_cluster_identifier("gdb1-cluster").send().await);
    assert_refused(bare, "InvalidParameterValue", "Malformed db cluster arn");
    let removed = remove().db_cluster_identifier(arn(HOME, "gdb1-cluster")).send().await;
    assert_eq!(refusal(removed), None);
}

#[tokio::test]
async fn removal_of_the_writer_before_the_others_is_refused_by_either_code() {
    for (parameter, code) in
        [(true, "InvalidParameterValue"), (false, "InvalidGlobalClusterStateFault")]
    {
        let lab = Lab::behaving(|b| b.writer_removal_is_invalid_parameter = parameter);
        lab.with_reader_in_home().await;

        let removed = lab.detach(RESTORING, AWAY, "gdb2-cluster").await;

        assert_refused(removed, code, "Can't remove writer cluster");
    }
}

#[tokio::test]
async fn writer_is_not_removed_while_a_member_is_joining_that_is_not_listed_yet() {
    let lab = ready_to_join().await;
    lab.join_home(RESTORING, "restored").await;
    assert_eq!(lab.global(RESTORING).await.global_cluster_members().len(), 1);

    let removed = lab.detach(RESTORING, AWAY, "gdb2-cluster").await;
    assert_refused(removed, "InvalidParameterValue", "Can't remove writer cluster");
    let unlisted = lab.detach(RESTORING, HOME, "restored").await;
    assert_refused(unlisted, "InvalidParameterValue", "is not found in global cluster");
    let second = refusal(join(&lab.rds(HOME), RESTORING, "second").send().await);
    assert_refused(second, "InvalidParameterValue", "already has a member in us-east-1");
}

#[tokio::test]
async fn removed_member_stays_listed_after_it_has_left() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    lab.detach(RESTORING, HOME, "gdb1-cluster-restored").await;
    lab.wait_s(20);
    assert_eq!(lab.global(RESTORING).await.global_cluster_members().len(), 2);

    let writer = lab.detach(RESTORING, AWAY, "gdb2-cluster").await;

    assert_refused(writer, "InvalidParameterValue", "Can't remove writer cluster");
}

#[tokio::test]
async fn cluster_wants_an_identifier_of_the_grammar_and_an_engine() {
    let rds = Lab::new().rds(HOME);
    for id in ["1abc", "a--b", "ab-", "a_b", &"a".repeat(64)] {
        let created = rds.create_db_cluster().db_cluster_identifier(id).engine("aurora-mysql");
        let refused = refusal(created.send().await);
        assert_refused(refused, "InvalidParameterValue", "not a valid identifier");
    }
    let engineless = rds.create_db_cluster().db_cluster_identifier("x").send().await;
    assert_refused(refusal(engineless), "MissingParameter", "Engine");
}

#[tokio::test]
async fn joining_an_unknown_global_cluster_is_refused() {
    let joined = Lab::new().join_home("none", "restored").await;

    assert_refused(joined, "GlobalClusterNotFoundFault", "none");
}

#[tokio::test]
async fn joining_with_another_engine_is_refused() {
    let lab = ready_to_join().await;

    let joined = join(&lab.rds(HOME), RESTORING, "restored").engine("aurora-postgresql");

    let words = "Value for engine should match setting for global cluster";
    assert_refused(refusal(joined.send().await), "InvalidParameterValue", words);
}

#[tokio::test]
async fn joining_with_a_managed_password_or_backtrack_is_refused() {
    let lab = ready_to_join().await;
    let join = || join(&lab.rds(HOME), RESTORING, "restored");

    let managed = refusal(join().manage_master_user_password(true).send().await);
    assert_refused(managed, "InvalidParameterCombination", "Cannot specify managed");
    let backtrack = refusal(join().backtrack_window(60).send().await);
    assert_refused(backtrack, "InvalidParameterCombination", "Backtrack");
}

#[tokio::test]
async fn member_is_not_given_a_managed_password_later() {
    let lab = Lab::new();
    let modify = lab.rds(HOME).modify_db_cluster().db_cluster_identifier("gdb1-cluster");

    let modified = refusal(modify.manage_master_user_password(true).send().await);

    assert_refused(modified, "InvalidParameterCombination", "ManageMasterUserPassword");
}

#[tokio::test]
async fn encrypted_join_without_a_key_is_refused_or_takes_the_default_as_chosen() {
    for needed in [true, false] {
        let lab = Lab::behaving(|behaviour| behaviour.encrypted_join_needs_a_key = needed);
        lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
        lab.wait_s(120);

        let joined = join(&lab.rds(HOME), RESTORING, "restored").set_kms_key_id(None).send().await;

        if needed {
            let words = "is encrypted; pre-signed URL has to be specified";
            assert_refused(refusal(joined), "InvalidParameterCombination", words);
        } else {
            assert!(joined.unwrap().db_cluster.unwrap().kms_key_id.unwrap().contains(HOME));
        }
    }
}

#[tokio::test]
async fn key_that_is_disabled_meanwhile_is_not_accessible() {
    let lab = ready_to_join().await;
    lab.sandbox.change_world(|world| {
        world.rds.regions.get_mut(HOME).unwrap().kms_keys.clear();
    });

    let joined = lab.join_home(RESTORING, "restored").await;

    assert_refused(joined, "KMSKeyNotAccessibleFault", "does not exist, is not enabled");
}

#[tokio::test]
async fn option_group_that_does_not_exist_is_not_found() {
    let lab = ready_to_join().await;

    let joined = join(&lab.rds(HOME), RESTORING, "restored").option_group_name("none").send().await;

    assert_refused(refusal(joined), "OptionGroupNotFoundFault", "none");
}

#[tokio::test]
async fn a_region_holds_forty_clusters_and_forty_instances() {
    let lab = Lab::new();
    let rds = lab.rds(AWAY);
    for number in 1..40 {
        let create = rds.create_db_cluster().db_cluster_identifier(format!("c{number}"));
        let create = create.engine("aurora-mysql").master_username("admin");
        let create = create.db_subnet_group_name("gdb2-subnet-group");
        let create = create.db_cluster_parameter_group_name("gdb2-cluster-mysql8");
        create.master_user_password("secret1234").send().await.unwrap();
        assert_eq!(lab.create_instance(AWAY, "gdb2-cluster", &format!("n{number}")).await, None);
    }

    let create = rds.create_db_cluster().db_cluster_identifier("c40").engine("aurora-mysql");
    let cluster = create.master_username("admin").master_user_password("secret1234").send().await;
    assert_refused(refusal(cluster), "DBClusterQuotaExceededFault", "quota");
    let instance = lab.create_instance(AWAY, "gdb2-cluster", "n40").await;
    assert_refused(instance, "InstanceQuotaExceeded", "DB Instance quota exceeded");
}

#[tokio::test]
async fn insights_and_monitoring_survive_the_join_when_told_so() {
    let lab = Lab::behaving(|behaviour| behaviour.joining_drops_insights = false);
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);

    let join = join(&lab.rds(HOME), RESTORING, "restored").enable_performance_insights(true);
    join.send().await.unwrap();

    let cluster = lab.cluster(HOME, "restored").await;
    assert_eq!(cluster.performance_insights_enabled(), Some(true));
}

#[tokio::test]
async fn instance_has_the_engine_and_the_subnet_group_of_its_cluster() {
    let lab = Lab::new();
    let create = || {
        let create = lab.rds(AWAY).create_db_instance().db_instance_identifier("node");
        create.db_cluster_identifier("gdb2-cluster").db_instance_class("db.r6g.large")
    };

    let engine = refusal(create().engine("aurora-postgresql").send().await);
    assert_refused(engine, "InvalidParameterCombination", "doesn't match the engine");
    let group = create().engine("aurora-mysql").db_subnet_group_name("other").send().await;
    assert_refused(refusal(group), "InvalidParameterCombination", "subnet group");
    let parameters = create().engine("aurora-mysql").db_parameter_group_name("none").send().await;
    assert_refused(refusal(parameters), "DBParameterGroupNotFound", "none");
}

#[tokio::test]
async fn first_instance_of_a_cluster_becomes_its_writer() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;
    lab.create_instance(HOME, "gdb1-cluster-restored", "second").await;

    let cluster = lab.cluster(HOME, "gdb1-cluster-restored").await;

    let writers =
        cluster.db_cluster_members().iter().filter(|m| m.is_cluster_writer() == Some(true));
    let writers: Vec<_> = writers.filter_map(|m| m.db_instance_identifier()).collect();
    assert_eq!(writers, ["gdb1-node2-restored"]);
}

#[tokio::test]
async fn version_is_not_changed_without_an_instance() {
    let lab = Lab::new();
    lab.delete_instance(AWAY, "gdb2-node1").await;
    lab.wait_s(600);
    let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier("gdb2-cluster");

    let modified = refusal(modify.engine_version("8.0.mysql_aurora.3.09.0").send().await);

    let words = "without a healthy primary instance in DB cluster: gdb2-cluster";
    assert_refused(modified, "InvalidParameterCombination", words);
}

#[tokio::test]
async fn cluster_has_five_roles_at_most() {
    let lab = Lab::new();
    let rds = lab.rds(AWAY);
    let add = async |number: usize| {
        let role = format!("arn:aws:iam::123456789012:role/r{number}");
        let add = rds.add_role_to_db_cluster().db_cluster_identifier("gdb2-cluster");
        refusal(add.role_arn(role).send().await)
    };
    let has = lab.cluster(AWAY, "gdb2-cluster").await.associated_roles().len();
    for number in has..5 {
        assert_eq!(add(number).await, None);
    }

    assert_refused(add(5).await, "DBClusterRoleQuotaExceeded", "maximum number of roles");
}

#[tokio::test]
async fn tags_of_aws_are_refused_and_equal_keys_are_overwritten() {
    let lab = Lab::new();
    let rds = lab.rds(AWAY);
    let add = async |key: &str, value: &str| {
        let add = rds.add_tags_to_resource().resource_name(arn(AWAY, "gdb2-cluster"));
        refusal(add.tags(Tag::builder().key(key).value(value).build()).send().await)
    };

    assert_refused(add("aws:cloudformation:stack", "x").await, "InvalidParameterValue", "aws:");
    assert_eq!(add("stage", "one").await, None);
    assert_eq!(add("stage", "two").await, None);
    let tags = lab.cluster(AWAY, "gdb2-cluster").await.tag_list.unwrap();
    let stages: Vec<_> = tags.iter().filter(|tag| tag.key() == Some("stage")).collect();
    assert_eq!(stages.len(), 1);
    assert_eq!(stages[0].value(), Some("two"));
    let gone = rds.add_tags_to_resource().resource_name(arn(AWAY, "none"));
    let gone = gone.tags(Tag::builder().key("a").value("b").build()).send().await;
    assert_refused(refusal(gone), "DBClusterNotFoundFault", "none");
}

#[tokio::test]
async fn cluster_made_again_under_its_name_has_another_resource_id() {
    let lab = ready_to_join().await;
    lab.join_home(RESTORING, "restored").await;
    let first = lab.cluster(HOME, "restored").await.db_cluster_resource_id.unwrap();
    lab.sandbox.set_behaviour(failback_sandbox::Behaviour {
        headless_member_may_be_deleted: true,
        ..Default::default()
    });
    lab.wait_s(500);
    let delete = lab.rds(HOME).delete_db_cluster().db_cluster_identifier("restored");
    delete.skip_final_snapshot(true).send().await.unwrap();
    lab.wait_s(300);

    lab.join_home(RESTORING, "restored").await;

    assert_ne!(lab.cluster(HOME, "restored").await.db_cluster_resource_id, Some(first));
}
