//! What is created with settings shows them, and what is shown can be created again.

use crate::support::{AWAY, HOME, Lab, RESTORING, arn, assert_refused, join, refusal};

#[tokio::test]
async fn workshop_world_shows_the_settings_of_both_clusters() {
    let lab = Lab::new();

    let home = lab.cluster(HOME, "gdb1-cluster").await;
    assert_eq!(home.db_cluster_parameter_group(), Some("gdb1-cluster-mysql8"));
    assert_eq!(home.backup_retention_period(), Some(7));
    assert_eq!(home.enabled_cloudwatch_logs_exports(), ["audit", "error", "slowquery"]);
    assert_eq!(home.iam_database_authentication_enabled(), Some(true));
    assert_eq!(home.performance_insights_retention_period(), Some(7));
    assert_eq!(home.associated_roles()[0].status(), Some("ACTIVE"));
    assert_eq!(home.tag_list().len(), 3);
    assert_eq!(home.storage_encrypted(), Some(true));

    let away = lab.instance(AWAY, "gdb2-node1").await;
    assert_eq!(away.db_instance_class(), Some("db.r6g.xlarge"));
    assert_eq!(away.monitoring_interval(), Some(30));
    assert_eq!(away.performance_insights_retention_period(), Some(31));
    assert_eq!(away.promotion_tier(), Some(0));
    let groups = away.db_parameter_groups();
    assert_eq!(groups[0].db_parameter_group_name(), Some("gdb2-node-mysql8"));
    let zones = away.db_subnet_group().unwrap().subnets().iter();
    assert_eq!(zones.filter(|subnet| subnet.subnet_availability_zone().is_some()).count(), 3);
}

#[tokio::test]
async fn joined_cluster_drops_insights_and_monitoring_until_they_are_set_again() {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    let rds = lab.rds(HOME);
    let role = "arn:aws:iam::123456789012:role/gdb1-rds-monitoring";

    let join = join(&rds, RESTORING, "restored").enable_performance_insights(true);
    let join = join.monitoring_interval(60).monitoring_role_arn(role);
    join.backup_retention_period(7).copy_tags_to_snapshot(true).send().await.unwrap();
    lab.wait_s(500);
    let cluster = lab.cluster(HOME, "restored").await;
    assert_eq!(cluster.performance_insights_enabled(), Some(false));
    assert_eq!(cluster.monitoring_interval(), Some(0));
    assert_eq!(cluster.backup_retention_period(), Some(7));
    assert_eq!(cluster.copy_tags_to_snapshot(), Some(true));

    let modify = rds.modify_db_cluster().db_cluster_identifier("restored");
    let modify = modify.enable_performance_insights(true).monitoring_interval(60);
    modify.monitoring_role_arn(role).apply_immediately(true).send().await.unwrap();
    assert_eq!(lab.status(HOME, "restored").await, "configuring-enhanced-monitoring");
    lab.wait_s(60);
    let cluster = lab.cluster(HOME, "restored").await;
    assert_eq!(cluster.status(), Some("available"));
    assert_eq!(cluster.performance_insights_enabled(), Some(true));
    assert_eq!(cluster.monitoring_interval(), Some(60));
}

#[tokio::test]
async fn advanced_insights_want_a_long_retention() {
    let lab = Lab::new();
    let modify = lab.rds(AWAY).modify_db_cluster().db_cluster_identifier("gdb2-cluster");

    let modified = modify.database_insights_mode("advanced".into()).send().await;

    assert_refused(refusal(modified), "InvalidParameterCombination", "465");
}

#[tokio::test]
async fn role_is_added_once_and_becomes_active() {
    let lab = Lab::new();
    let role = "arn:aws:iam::123456789012:role/export";
    let add = || {
        let add = lab.rds(AWAY).add_role_to_db_cluster().db_cluster_identifier("gdb2-cluster");
        add.role_arn(role).send()
    };

    add().await.unwrap();
    let roles = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(roles.associated_roles()[1].status(), Some("PENDING"));
    assert_refused(refusal(add().await), "DBClusterRoleAlreadyExists", role);

    lab.wait_s(20);
    let roles = lab.cluster(AWAY, "gdb2-cluster").await;
    assert_eq!(roles.associated_roles()[1].status(), Some("ACTIVE"));
}

#[tokio::test]
async fn tags_are_added_to_whatever_has_them() {
    let lab = Lab::new();
    let rds = lab.rds(HOME);
    let tag = |key: &str| aws_sdk_rds::types::Tag::builder().key(key).value("run-1").build();

    for name in [
        arn(HOME, "gdb1-cluster"),
        "arn:aws:rds:us-east-1:123456789012:db:gdb1-node1".to_owned(),
        "arn:aws:rds::123456789012:global-cluster:reinvent-dat348-gdb".to_owned(),
    ] {
        let add = rds.add_tags_to_resource().resource_name(&name);
        add.tags(tag("failback")).send().await.unwrap();
        let tags = rds.list_tags_for_resource().resource_name(&name).send().await.unwrap();
        assert!(tags.tag_list().iter().any(|tag| tag.key() == Some("failback")), "{name}");
    }
    let add = rds.add_tags_to_resource().resource_name(arn(HOME, "gdb1-cluster"));
    let reserved = refusal(add.tags(tag("aws:mine")).send().await);
    assert_refused(reserved, "InvalidParameterValue", "reserved");
}

#[tokio::test]
async fn custom_endpoint_leads_to_instances_that_exist() {
    let lab = Lab::new();
    let create = |member: &'static str| {
        let create = lab.rds(AWAY).create_db_cluster_endpoint();
        let create = create.db_cluster_identifier("gdb2-cluster").endpoint_type("ANY");
        create.db_cluster_endpoint_identifier("reports").static_members(member)
    };

    let missing = refusal(create("none").send().await);
    assert_refused(missing, "DBInstanceNotFound", "none");
    create("gdb2-node1").send().await.unwrap();
    lab.wait_s(20);

    let describe = lab.rds(AWAY).describe_db_cluster_endpoints();
    let listed = describe.db_cluster_identifier("gdb2-cluster").send().await.unwrap();
    let custom = listed.db_cluster_endpoints().iter().find(|e| e.endpoint_type() == Some("CUSTOM"));
    assert_eq!(custom.unwrap().status(), Some("available"));
    assert_eq!(custom.unwrap().static_members(), ["gdb2-node1"]);
}

#[tokio::test]
async fn writer_endpoint_of_a_reader_cluster_is_inactive() {
    let lab = Lab::new();
    lab.with_reader_in_home().await;

    let describe = lab.rds(HOME).describe_db_cluster_endpoints();
    let listed = describe.db_cluster_identifier("gdb1-cluster-restored").send().await.unwrap();

    let of = |kind: &str| {
        let found = listed.db_cluster_endpoints().iter().find(|e| e.endpoint_type() == Some(kind));
        found.unwrap().status().unwrap().to_owned()
    };
    assert_eq!((of("WRITER"), of("READER")), ("inactive".to_owned(), "available".to_owned()));
}

#[tokio::test]
async fn groups_are_looked_up_by_name() {
    let rds = Lab::new().rds(HOME);

    let subnets = rds.describe_db_subnet_groups().db_subnet_group_name("gdb1-subnet-group");
    let subnets = subnets.send().await.unwrap();
    assert_eq!(subnets.db_subnet_groups()[0].vpc_id(), Some("vpc-0a4d3c6e8f1b27590"));
    let clusters = rds.describe_db_cluster_parameter_groups();
    let clusters = clusters.db_cluster_parameter_group_name("gdb1-cluster-mysql8");
    let clusters = clusters.send().await.unwrap();
    let family = clusters.db_cluster_parameter_groups()[0].db_parameter_group_family();
    assert_eq!(family, Some("aurora-mysql8.0"));
    let instances = rds.describe_db_parameter_groups().db_parameter_group_name("none");
    assert_refused(refusal(instances.send().await), "DBParameterGroupNotFound", "none");
}

#[tokio::test]
async fn data_api_is_enabled_by_its_own_call() {
    let lab = Lab::new();

    let enable = lab.rds(AWAY).enable_http_endpoint().resource_arn(arn(AWAY, "gdb2-cluster"));
    assert_eq!(enable.send().await.unwrap().http_endpoint_enabled(), Some(true));

    assert_eq!(lab.cluster(AWAY, "gdb2-cluster").await.http_endpoint_enabled(), Some(true));
}
