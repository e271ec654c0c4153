//! A rebuilt cluster has every setting that its predecessor had; docs/settings.md says which.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_rds::types::{DbCluster, DbClusterEndpoint, DbInstance, Tag};
use failback_cli::drill::{Drill, plan_of};
use failback_sandbox::{Fault, Verb};
use failback_states::Status;
use serde_json::{Value, json};

use crate::support::rich::{PLAIN, rich};
use crate::support::{AWAY, HOME, rehearse_well};

/// A field and how its value is read.
type Field<T> = (&'static str, fn(&T) -> String);

/// A cluster with what its describe call leaves out.
struct Cluster {
    described: DbCluster,
    endpoints: Vec<DbClusterEndpoint>,
    /// Its instances, the writer first.
    instances: Vec<DbInstance>,
}

fn text(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn tags(tags: &[Tag]) -> String {
    text(tags.iter().map(|t| (t.key(), t.value())).collect::<BTreeMap<_, _>>())
}

/// Fields of a cluster that are marked "restored".
const CLUSTER_RESTORED: [Field<Cluster>; 30] = [
    ("DBClusterParameterGroup", |c| text(c.described.db_cluster_parameter_group())),
    ("DBSubnetGroup", |c| text(c.described.db_subnet_group())),
    ("VpcSecurityGroups", |c| {
        let groups = c.described.vpc_security_groups().iter();
        text(groups.map(|g| g.vpc_security_group_id()).collect::<BTreeSet<_>>())
    }),
    ("Port", |c| text(c.described.port())),
    ("DBClusterOptionGroupMemberships", |c| {
        let groups = c.described.db_cluster_option_group_memberships().iter();
        text(groups.map(|g| g.db_cluster_option_group_name()).collect::<Vec<_>>())
    }),
    ("BackupRetentionPeriod", |c| text(c.described.backup_retention_period())),
    ("PreferredBackupWindow", |c| text(c.described.preferred_backup_window())),
    ("PreferredMaintenanceWindow", |c| text(c.described.preferred_maintenance_window())),
    ("KmsKeyId", |c| text(c.described.kms_key_id())),
    ("StorageType", |c| text(c.described.storage_type())),
    ("EnabledCloudwatchLogsExports", |c| {
        text(c.described.enabled_cloudwatch_logs_exports().iter().collect::<BTreeSet<_>>())
    }),
    ("IAMDatabaseAuthenticationEnabled", |c| {
        text(c.described.iam_database_authentication_enabled())
    }),
    ("HttpEndpointEnabled", |c| text(c.described.http_endpoint_enabled())),
    ("DeletionProtection", |c| text(c.described.deletion_protection())),
    ("CopyTagsToSnapshot", |c| text(c.described.copy_tags_to_snapshot())),
    ("TagList", |c| tags(c.described.tag_list())),
    ("NetworkType", |c| text(c.described.network_type())),
    ("ServerlessV2ScalingConfiguration", |c| {
        text(c.described.serverless_v2_scaling_configuration())
    }),
    ("PerformanceInsightsEnabled", |c| text(c.described.performance_insights_enabled())),
    ("PerformanceInsightsKMSKeyId", |c| text(c.described.performance_insights_kms_key_id())),
    ("PerformanceInsightsRetentionPeriod", |c| {
        text(c.described.performance_insights_retention_period())
    }),
    ("DatabaseInsightsMode", |c| text(c.described.database_insights_mode())),
    ("MonitoringInterval", |c| text(c.described.monitoring_interval())),
    ("MonitoringRoleArn", |c| text(c.described.monitoring_role_arn())),
    ("AutoMinorVersionUpgrade", |c| text(c.described.auto_minor_version_upgrade())),
    ("DomainMemberships", |c| {
        let domains = c.described.domain_memberships().iter();
        text(domains.map(|d| (d.domain(), d.iam_role_name())).collect::<Vec<_>>())
    }),
    ("AssociatedRoles", |c| {
        let roles = c.described.associated_roles().iter();
        text(roles.map(|r| (r.role_arn(), r.feature_name())).collect::<BTreeSet<_>>())
    }),
    ("CustomEndpoints", custom_endpoints),
    ("LocalWriteForwardingStatus", |c| text(c.described.local_write_forwarding_status())),
    // Shown by readers only: proven by a run of its own.
    ("GlobalWriteForwardingRequested", |c| text(c.described.global_write_forwarding_requested())),
];

/// Custom endpoints, their members by their places in the cluster: ids are new.
fn custom_endpoints(cluster: &Cluster) -> String {
    let place = |id: &String| {
        cluster.instances.iter().position(|i| i.db_instance_identifier() == Some(id.as_str()))
    };
    let places = |ids: &[String]| ids.iter().map(place).collect::<BTreeSet<_>>();
    let read = |e: &DbClusterEndpoint| {
        let members = (places(e.static_members()), places(e.excluded_members()));
        let kind = e.custom_endpoint_type().map(str::to_owned);
        (e.db_cluster_endpoint_identifier().map(str::to_owned), kind, members)
    };
    text(cluster.endpoints.iter().map(read).collect::<BTreeSet<_>>())
}

/// Fields of a cluster that are marked "writer's".
const CLUSTER_OF_THE_WRITER: [Field<DbCluster>; 5] = [
    ("Engine", |c| text(c.engine())),
    ("EngineVersion", |c| text(c.engine_version())),
    ("StorageEncrypted", |c| text(c.storage_encrypted())),
    ("DatabaseName", |c| text(c.database_name())),
    ("MasterUsername", |c| text(c.master_username())),
];

/// Fields of an instance that are marked "restored", beside its role in the cluster.
const INSTANCE_RESTORED: [Field<DbInstance>; 16] = [
    ("DBInstanceClass", |i| text(i.db_instance_class())),
    ("DBParameterGroups", |i| {
        let groups = i.db_parameter_groups().iter();
        text(groups.map(|g| g.db_parameter_group_name()).collect::<Vec<_>>())
    }),
    ("AvailabilityZone", |i| text(i.availability_zone())),
    ("PromotionTier", |i| text(i.promotion_tier())),
    ("PubliclyAccessible", |i| text(i.publicly_accessible())),
    ("AutoMinorVersionUpgrade", |i| text(i.auto_minor_version_upgrade())),
    ("PreferredMaintenanceWindow", |i| text(i.preferred_maintenance_window())),
    ("MonitoringInterval", |i| text(i.monitoring_interval())),
    ("MonitoringRoleArn", |i| text(i.monitoring_role_arn())),
    ("PerformanceInsightsEnabled", |i| text(i.performance_insights_enabled())),
    ("PerformanceInsightsKMSKeyId", |i| text(i.performance_insights_kms_key_id())),
    ("PerformanceInsightsRetentionPeriod", |i| text(i.performance_insights_retention_period())),
    ("CACertificateIdentifier", |i| text(i.ca_certificate_identifier())),
    ("CopyTagsToSnapshot", |i| text(i.copy_tags_to_snapshot())),
    ("TagList", |i| tags(i.tag_list())),
    ("NetworkType", |i| text(i.network_type())),
];

/// Fields of an instance that are marked "writer's".
const INSTANCE_OF_THE_WRITER: [Field<DbInstance>; 2] =
    [("Engine", |i| text(i.engine())), ("EngineVersion", |i| text(i.engine_version()))];

/// The writer's place: the first of what [`describe`] lists.
const INSTANCE_ROLE: &str = "IsClusterWriter";

/// A section's table in docs/settings.md: field → what becomes of it.
fn documented(section: &str) -> BTreeMap<String, String> {
    let text = include_str!("../../docs/settings.md");
    let heading = format!("\n## {section}\n");
    let (_, rest) = text.split_once(&heading).expect("the section exists");
    let body = rest.split("\n## ").next().unwrap_or_default();
    let mut rows = BTreeMap::new();
    for line in body.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [fields, becomes, reason] = cells[..] else { panic!("three cells: {line}") };
        assert!(reason.ends_with('.'), "a reason: {line}");
        for field in fields.split(", ") {
            let field = field.trim_matches('`').to_owned();
            assert!(rows.insert(field, becomes.to_owned()).is_none(), "twice: {line}");
        }
    }
    rows
}

fn marked(section: &str, mark: &str) -> BTreeSet<String> {
    let rows = documented(section).into_iter();
    rows.filter(|(_, becomes)| becomes == mark).map(|(field, _)| field).collect()
}

fn names<'a>(fields: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    fields.into_iter().map(str::to_owned).collect()
}

/// Field names as their words run together: the SDK writes them in another case.
fn letters(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

/// All fields that the SDK knows of a type, by its debug output.
fn fields_of(value: impl std::fmt::Debug) -> BTreeSet<String> {
    let text = format!("{value:#?}");
    let fields = text.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    fields.map(|(name, _)| letters(name)).collect()
}

#[test]
fn fields_marked_as_restored_are_those_that_are_proven() {
    let cluster = |mark| marked("Cluster", mark);
    assert_eq!(cluster("restored"), names(CLUSTER_RESTORED.map(|f| f.0)));
    assert_eq!(cluster("writer's"), names(CLUSTER_OF_THE_WRITER.map(|f| f.0)));
    let instance = |mark| marked("Instance", mark);
    let restored = INSTANCE_RESTORED.map(|f| f.0).into_iter().chain([INSTANCE_ROLE]);
    assert_eq!(instance("restored"), names(restored));
    assert_eq!(instance("writer's"), names(INSTANCE_OF_THE_WRITER.map(|f| f.0)));
}

#[test]
fn every_field_that_aws_describes_is_documented() {
    let marks = BTreeSet::from(["restored", "writer's", "not restored"]);
    for (section, mut known) in [
        ("Cluster", fields_of(DbCluster::builder().build())),
        ("Instance", fields_of(DbInstance::builder().build())),
    ] {
        let documented = documented(section);
        assert!(documented.values().all(|mark| marks.contains(mark.as_str())), "{section}");
        // The cluster lists it for its instances.
        known.extend((section == "Instance").then(|| letters(INSTANCE_ROLE)));
        let written: BTreeSet<_> = documented.keys().map(|field| letters(field)).collect();
        let missing: Vec<_> = known.difference(&written).collect();
        let unknown: Vec<_> = written.difference(&known).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{missing:?} {unknown:?}");
    }
}

async fn describe(drill: &Drill, region: &str, id: &str) -> Cluster {
    let rds = drill.aws.rds(region);
    let clusters = rds.describe_db_clusters().db_cluster_identifier(id).send().await;
    let described = clusters.expect("it exists").db_clusters()[0].clone();
    let endpoints = rds.describe_db_cluster_endpoints().db_cluster_identifier(id).send().await;
    let endpoints = endpoints.expect("it exists").db_cluster_endpoints().to_vec();
    let all = rds.describe_db_instances().send().await.expect("described");
    let own = all.db_instances().iter().filter(|i| i.db_cluster_identifier() == Some(id));
    let mut instances: Vec<_> = own.cloned().collect();
    let writes = |i: &DbInstance| {
        described.db_cluster_members().iter().any(|m| {
            m.db_instance_identifier() == i.db_instance_identifier()
                && m.is_cluster_writer() == Some(true)
        })
    };
    instances.sort_by_key(|i| (!writes(i), i.db_instance_identifier().map(str::to_owned)));
    assert!(instances.first().is_some_and(writes), "{id} has no writer");
    Cluster {
        described,
        endpoints: endpoints.into_iter().filter(|e| e.endpoint_type() == Some("CUSTOM")).collect(),
        instances,
    }
}

/// Fields that clusters which stand alone, or write, show.
fn shown_by_all() -> impl Iterator<Item = &'static Field<Cluster>> {
    CLUSTER_RESTORED.iter().filter(|f| f.0 != "GlobalWriteForwardingRequested")
}

/// Every field of the one is as it is of the other.
fn assert_restored(before: &Cluster, after: &Cluster) {
    for (field, read) in shown_by_all() {
        assert_eq!(read(after), read(before), "{field}");
    }
    assert_eq!(after.instances.len(), before.instances.len());
    for (old, new) in before.instances.iter().zip(&after.instances) {
        let id = new.db_instance_identifier();
        for (field, read) in INSTANCE_RESTORED {
            assert_eq!(read(new), read(old), "{field} of {id:?}");
        }
    }
}

/// Every field that is restored was different from what nobody chose.
fn assert_unusual(cluster: &Cluster, plain: &Cluster) {
    for (field, read) in shown_by_all() {
        assert_ne!(read(cluster), read(plain), "{field} is as usual");
    }
    for instance in &cluster.instances {
        for (field, read) in INSTANCE_RESTORED {
            let id = instance.db_instance_identifier();
            assert_ne!(read(instance), read(&plain.instances[0]), "{field} of {id:?} is as usual");
        }
    }
}

fn assert_of_the_writer(after: &Cluster, writer: &Cluster) {
    for (field, read) in CLUSTER_OF_THE_WRITER {
        assert_eq!(read(&after.described), read(&writer.described), "{field}");
    }
    for instance in &after.instances {
        for (field, read) in INSTANCE_OF_THE_WRITER {
            assert_eq!(read(instance), read(&writer.instances[0]), "{field}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rebuilt_clusters_have_the_settings_of_those_they_replace() {
    let given = rich();
    let drill = given.drill();
    let home = describe(&drill, HOME, "gdb1-cluster").await;
    let away = describe(&drill, AWAY, "gdb2-cluster").await;
    assert_unusual(&home, &describe(&drill, HOME, PLAIN).await);
    assert_unusual(&away, &describe(&drill, AWAY, PLAIN).await);

    // The same world once more: the first was only looked at.
    let (drill, _) = rehearse_well(&given).await;

    let new_home = describe(&drill, HOME, "gdb1-cluster-restored").await;
    let new_away = describe(&drill, AWAY, "gdb2-cluster-restored").await;
    assert_restored(&home, &new_home);
    assert_restored(&away, &new_away);
    assert_of_the_writer(&new_home, &away);
    assert_of_the_writer(&new_away, &away);
}

#[tokio::test(start_paused = true)]
async fn settings_given_back_restore_a_cluster_that_is_gone() {
    let given = rich();
    let drill = given.drill();
    let away = describe(&drill, AWAY, "gdb2-cluster").await;
    let denied = Verb::Refuse { code: "AccessDenied".to_owned(), message: "no".to_owned() };
    let mut fault = Fault::next(denied, "CreateDBCluster");
    fault.region = Some(AWAY.to_owned());
    drill.sandbox.inject(fault);
    let interrupted = drill.run("first", given.input.clone()).await.expect("it starts");
    assert_eq!(interrupted.outcome.status, Status::Failed);
    let plan = plan_of(&drill.engine, &interrupted.arn).expect("it was planned");

    let mut input = given.input.clone();
    let mut captured: Value = json!(plan.captured_away);
    captured["cluster"]["global_write_forwarding"] = json!(true);
    input["away"]["captured"] = captured;
    input["home"]["captured"] = json!(plan.captured_home);
    let ended = drill.run("second", input).await.expect("it starts");

    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    let new_away = describe(&drill, AWAY, "gdb2-cluster-restored").await;
    assert_restored(&away, &new_away);
    assert_eq!(new_away.described.global_write_forwarding_requested(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn new_instance_takes_after_the_one_that_the_input_names() {
    let mut given = rich();
    given.input["away"]["restored_instances"] =
        json!([{ "id": "gdb2-restored1", "like": "gdb2-node2" }]);
    let old = describe(&given.drill(), AWAY, "gdb2-cluster").await;

    let (drill, _) = rehearse_well(&given).await;

    let new = describe(&drill, AWAY, "gdb2-cluster-restored").await;
    for (field, read) in INSTANCE_RESTORED {
        assert_eq!(read(&new.instances[0]), read(&old.instances[1]), "{field}");
    }
}
