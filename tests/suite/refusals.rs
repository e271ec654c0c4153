//! What must not begin does not: every refusal names its reason, and nothing was changed.

use failback_sandbox::World;
use failback_sandbox::rds::{Cluster, Membership};
use failback_sandbox::spec::{
    NetworkAclEntrySpec, NetworkAclSpec, ParameterGroupSpec, SnapshotSpec, SubnetSpec, VpcSpec,
};
use failback_states::Status;
use serde_json::{Value, json};

use crate::support;
use crate::support::given::{Given, THIRD};
use crate::support::{AWAY, HOME, rehearse};

/// The fence ACL of a Region of the workshop.
const HOME_FENCE: &str = "acl-0deadbeef0a11c105";
const AWAY_FENCE: &str = "acl-0fe9ce00a11c105ed";

/// An error as the state machine sees it.
struct Refused {
    name: &'static str,
    message: String,
}

impl Refused {
    fn names(self, error: &str, words: &[&str]) {
        assert_eq!(self.name, error, "{}", self.message);
        for word in words {
            assert!(self.message.contains(word), "`{word}` is not named by: {}", self.message);
        }
    }

    /// The input is at fault.
    fn for_the_input(self, words: &[&str]) {
        self.names("InvalidRequest", words);
    }

    /// The topology is at fault.
    fn for_the_topology(self, words: &[&str]) {
        self.names("PlanRefused", words);
    }
}

/// Plans in the changed workshop; it must be refused and nothing may be different afterwards.
async fn refused(change: impl FnOnce(&mut Given)) -> Refused {
    let mut given = Given::workshop();
    change(&mut given);
    let drill = given.drill();
    let before = drill.sandbox.fingerprint();

    let payload = json!({ "request": given.input });
    let answer = support::call(&drill, "plan_failback", payload).await;

    let error = match answer {
        Ok(plan) => panic!("it was planned: {}", plan["reasons"]),
        Err(error) => error,
    };
    assert_eq!(drill.sandbox.fingerprint(), before, "{error}");
    let changes = drill.sandbox.calls().into_iter().filter(|call| call.mutating);
    assert_eq!(changes.collect::<Vec<_>>(), [], "{error}");
    Refused { name: error.name(), message: error.message() }
}

/// The same for a change of the input alone.
async fn refused_input(change: impl FnOnce(&mut Value)) -> Refused {
    refused(|given| change(&mut given.input)).await
}

/// The same for something that happened to a cluster's record.
async fn refused_cluster(
    region: &'static str,
    id: &'static str,
    change: impl Fn(&mut Cluster) + 'static,
) -> Refused {
    refused(|given| {
        given.accident(move |world: &mut World| {
            let here = world.rds.regions.get_mut(region).expect("the Region");
            change(here.clusters.get_mut(id).expect("the cluster"));
        });
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn unchanged_workshop_is_planned() {
    let given = Given::workshop();
    let drill = given.drill();

    let payload = json!({ "request": given.input });
    let plan = support::call(&drill, "plan_failback", payload).await.expect("it is safe");

    assert_eq!(plan["decision"], "PROCEED");
}

#[tokio::test(start_paused = true)]
async fn unknown_field_is_refused_wherever_it_is() {
    refused_input(|i| i["dryrun"] = json!(true)).await.for_the_input(&["`dryrun`"]);
    refused_input(|i| i["home"]["network"]["fence"] = json!("acl-1"))
        .await
        .for_the_input(&["`home.network.fence`"]);
    refused_input(|i| i["endpoints"]["dns"][1]["type"] = json!("CNAME"))
        .await
        .for_the_input(&["`endpoints.dns[1].type`"]);
}

#[tokio::test(start_paused = true)]
async fn home_and_away_in_one_region_are_refused() {
    refused_input(|i| i["away"]["region"] = json!(HOME))
        .await
        .for_the_input(&["`away.region`", "us-east-1"]);
}

#[tokio::test(start_paused = true)]
async fn environment_request_that_is_not_json_is_refused() {
    let given = Given::workshop();
    let drill = given.drill();
    let config = aws_config::SdkConfig::builder().build();
    let aws = failback::Aws::new(
        config,
        failback::Stack {
            environment_request: Some("home: us-east-1".to_owned()),
            ..failback::Stack::default()
        },
    );

    let payload = json!({ "request": given.input });
    let error = failback::call("plan_failback", &aws, payload).await.expect_err("it is no JSON");

    Refused { name: error.name(), message: error.message() }.for_the_input(&["`FAILBACK_REQUEST`"]);
    assert_eq!(drill.sandbox.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn cluster_id_that_is_in_use_is_refused_in_every_region() {
    let id = "gdb1-cluster-restored";
    for region in [HOME, AWAY] {
        refused(|given| given.add_cluster(region, id)).await.for_the_topology(&[
            "`home.restored_cluster_id`",
            id,
            region,
        ]);
    }
    let id = "gdb2-cluster-restored";
    for region in [HOME, AWAY] {
        refused(|given| given.add_cluster(region, id)).await.for_the_topology(&[
            "`away.restored_cluster_id`",
            id,
            region,
        ]);
    }
}

#[tokio::test(start_paused = true)]
async fn reader_of_another_writer_is_not_taken_for_the_rebuilt_home() {
    let id = "gdb1-cluster-restored";
    let source = "arn:aws:rds:eu-west-1:123456789012:cluster:orders";
    refused(|given| {
        given.add_cluster(HOME, id);
        given.accident(move |world| {
            let here = world.rds.regions.get_mut(HOME).expect("the Region");
            here.clusters.get_mut(id).expect("added").membership = reader_of(source);
        });
    })
    .await
    .for_the_topology(&["`home.restored_cluster_id`", id, HOME]);
}

#[tokio::test(start_paused = true)]
async fn cluster_id_of_a_member_in_a_third_region_is_refused() {
    let id = "gdb1-cluster-restored";
    refused(|given| {
        given.add_third_region(id);
        add_global(given, "orders", &[(THIRD, id, true)]);
    })
    .await
    .for_the_topology(&["`home.restored_cluster_id`", id, THIRD]);
}

#[tokio::test(start_paused = true)]
async fn instance_id_that_is_in_use_is_refused() {
    for (region, field, id) in [
        (HOME, "`home.restored_instances`", "gdb1-node2-restored"),
        (AWAY, "`away.restored_instances`", "gdb2-node2-restored"),
    ] {
        refused(|given| {
            given.add_cluster(region, "orders");
            let orders = given.region(region).clusters.last_mut().expect("added");
            orders.instances[0].id = id.to_owned();
        })
        .await
        .for_the_topology(&[field, id, region, "orders"]);
    }
}

#[tokio::test(start_paused = true)]
async fn global_cluster_id_that_is_in_use_is_refused() {
    for (field, id) in [
        ("`global_clusters.restoring`", "reinvent-dat348-gdb-restoring"),
        ("`global_clusters.restored`", "reinvent-dat348-gdb-restored"),
    ] {
        refused(|given| {
            given.add_cluster(HOME, "orders");
            add_global(given, id, &[(HOME, "orders", true)]);
        })
        .await
        .for_the_topology(&[field, id]);
    }
}

#[tokio::test(start_paused = true)]
async fn final_snapshot_id_that_is_taken_is_refused_given_or_derived() {
    for (region, field) in [(HOME, "home"), (AWAY, "away")] {
        let words = [format!("`{field}.final_snapshot_id`"), region.to_owned()];
        refused(|given| {
            given.input[field]["final_snapshot_id"] = json!("taken");
            add_snapshot(given, region, "taken");
        })
        .await
        .for_the_topology(&[&words[0], &words[1], "`taken`"]);

        let derived = derived_snapshot_id(field).await;
        refused(|given| add_snapshot(given, region, &derived))
            .await
            .for_the_topology(&[&words[0], &words[1], &derived]);
    }
}

/// The id that the plan of the unchanged workshop gives the final snapshot.
async fn derived_snapshot_id(side: &str) -> String {
    let given = Given::workshop();
    let payload = json!({ "request": given.input });
    let plan = support::call(&given.drill(), "plan_failback", payload).await.expect("safe");
    let id = &plan[format!("retire_{side}")]["final_snapshot_id"];
    id.as_str().expect("a text").to_owned()
}

#[tokio::test(start_paused = true)]
async fn missing_groups_are_refused_at_home_and_away() {
    for (region, cluster) in [(HOME, "gdb1-cluster"), (AWAY, "gdb2-cluster")] {
        refused_cluster(region, cluster, |c| c.settings.subnet_group = "gone".to_owned())
            .await
            .for_the_topology(&["DB subnet group `gone`", region, cluster]);
        refused_cluster(region, cluster, |c| c.settings.parameter_group = "gone".to_owned())
            .await
            .for_the_topology(&["DB cluster parameter group `gone`", region, cluster]);
        refused_cluster(region, cluster, |c| c.settings.security_groups.push("sg-9".to_owned()))
            .await
            .for_the_topology(&["security group `sg-9`", region, cluster]);
        refused(|given| {
            given.accident(move |world| {
                let here = world.rds.regions.get_mut(region).expect("the Region");
                here.parameter_groups.retain(|name, _| name.starts_with("default."));
            });
        })
        .await
        .for_the_topology(&["DB parameter group `gdb", region, cluster]);
    }
}

#[tokio::test(start_paused = true)]
async fn home_that_is_a_live_writer_is_refused() {
    refused(|given| given.add_former_member(AWAY, "gdb2-cluster")).await.for_the_topology(&[
        "`gdb1-cluster`",
        HOME,
        "live global cluster `reinvent-dat348-gdb`",
    ]);
}

#[tokio::test(start_paused = true)]
async fn former_global_cluster_with_a_member_in_a_third_region_is_refused() {
    refused(|given| {
        given.add_third_region("gdb3-cluster");
        given.add_former_member(THIRD, "gdb3-cluster");
    })
    .await
    .for_the_topology(&["`reinvent-dat348-gdb`", "eu-west-1", "gdb3-cluster"]);
}

#[tokio::test(start_paused = true)]
async fn away_that_does_not_exist_is_refused() {
    refused_input(|i| i["away"]["cluster_id"] = json!("orders")).await.for_the_topology(&[
        "`orders`",
        AWAY,
        "`away.cluster_id`",
    ]);
}

#[tokio::test(start_paused = true)]
async fn away_that_is_not_available_is_refused() {
    for status in ["modifying", "stopped"] {
        refused_cluster(AWAY, "gdb2-cluster", move |c| c.status = status.to_owned())
            .await
            .for_the_topology(&["`gdb2-cluster`", AWAY, status]);
    }
}

#[tokio::test(start_paused = true)]
async fn away_without_a_writer_instance_is_refused() {
    refused(|given| given.cluster(AWAY).instances.clear()).await.for_the_topology(&[
        "`gdb2-cluster`",
        AWAY,
        "writer instance",
    ]);
}

#[tokio::test(start_paused = true)]
async fn away_that_is_not_the_writer_is_refused() {
    refused(|given| {
        given.add_cluster(HOME, "orders");
        add_global(given, "orders", &[(HOME, "orders", true), (AWAY, "gdb2-cluster", false)]);
    })
    .await
    .for_the_topology(&["`gdb2-cluster`", AWAY, "not a writer", ":cluster:orders"]);

    // Just detached, it is listed nowhere and still replicates.
    let source = "arn:aws:rds:us-east-1:123456789012:cluster:orders";
    refused_cluster(AWAY, "gdb2-cluster", move |c| c.membership = reader_of(source))
        .await
        .for_the_topology(&["`gdb2-cluster`", AWAY, source]);
}

#[tokio::test(start_paused = true)]
async fn away_that_is_the_writer_of_another_global_cluster_is_refused() {
    refused(|given| add_global(given, "orders", &[(AWAY, "gdb2-cluster", true)]))
        .await
        .for_the_topology(&["`gdb2-cluster`", "global cluster `orders`"]);
}

#[tokio::test(start_paused = true)]
async fn away_whose_password_rds_manages_is_refused() {
    refused(|given| {
        let arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:rds!cluster-1";
        given.cluster(AWAY).managed_secret_arn = Some(arn.to_owned());
    })
    .await
    .for_the_topology(&["`gdb2-cluster`", AWAY, "`ManageMasterUserPassword`"]);
}

#[tokio::test(start_paused = true)]
async fn away_with_backtrack_is_refused() {
    refused(|given| given.cluster(AWAY).settings.backtrack_window_s = Some(3600))
        .await
        .for_the_topology(&["`gdb2-cluster`", "backtrack"]);
}

#[tokio::test(start_paused = true)]
async fn engines_that_cannot_join_are_refused() {
    refused(|given| {
        let home = given.region(HOME);
        for groups in [&mut home.cluster_parameter_groups, &mut home.parameter_groups] {
            groups.push(ParameterGroupSpec {
                name: "own-postgresql15".to_owned(),
                family: "aurora-postgresql15".to_owned(),
                description: String::new(),
            });
        }
        home.clusters[0].engine = "aurora-postgresql".to_owned();
        home.clusters[0].engine_version = "15.4".to_owned();
        home.clusters[0].settings.parameter_group = "own-postgresql15".to_owned();
        home.clusters[0].instances[0].settings.parameter_group = "own-postgresql15".to_owned();
    })
    .await
    .for_the_topology(&["`gdb1-cluster`", "aurora-postgresql", "aurora-mysql"]);
}

#[tokio::test(start_paused = true)]
async fn parameter_groups_of_another_family_are_refused() {
    refused(|given| {
        given.region(HOME).cluster_parameter_groups[1].family = "aurora-mysql5.7".to_owned();
    })
    .await
    .for_the_topology(&[
        "DB cluster parameter group `gdb1-cluster-mysql8`",
        HOME,
        "`aurora-mysql5.7`",
        "`aurora-mysql8.0`",
    ]);
    refused(|given| given.region(AWAY).parameter_groups[1].family = "aurora-mysql5.7".to_owned())
        .await
        .for_the_topology(&["DB parameter group `gdb2-node-mysql8`", AWAY, "`aurora-mysql5.7`"]);
}

#[tokio::test(start_paused = true)]
async fn protected_cluster_is_refused_unless_the_input_allows() {
    for (protected, open) in [(0, 1), (1, 0)] {
        let id = ["gdb1-cluster", "gdb2-cluster"][protected];
        refused(|given| {
            given.input["clear_deletion_protection"] = json!(false);
            let clusters = given.clusters();
            clusters[open].settings.deletion_protection = false;
        })
        .await
        .for_the_topology(&[id, "`clear_deletion_protection`"]);
    }
}

#[tokio::test(start_paused = true)]
async fn protected_former_global_cluster_is_refused_even_if_the_input_allows() {
    refused(|given| given.world.global_clusters[0].deletion_protection = true)
        .await
        .for_the_topology(&["global cluster `reinvent-dat348-gdb`"]);
}

#[tokio::test(start_paused = true)]
async fn fence_that_does_not_exist_is_refused() {
    for (side, region) in [("home", HOME), ("away", AWAY)] {
        refused_input(|i| i[side]["network"]["fence_acl_id"] = json!("acl-0123"))
            .await
            .for_the_topology(&[&format!("{side}.network.fence_acl_id"), "`acl-0123`", region]);
    }
}

#[tokio::test(start_paused = true)]
async fn fence_that_lets_traffic_in_is_refused() {
    for (side, region, fence) in [("home", HOME, HOME_FENCE), ("away", AWAY, AWAY_FENCE)] {
        refused(|given| {
            let acls = &mut given.vpc(region).network_acls;
            let fence = acls.iter_mut().find(|acl| acl.id == fence).expect("the fence");
            fence.entries.push(NetworkAclEntrySpec {
                rule_number: 90,
                egress: false,
                protocol: "-1".to_owned(),
                allow: true,
                cidr: "10.0.0.0/8".to_owned(),
                ports: None,
            });
        })
        .await
        .for_the_topology(&[
            &format!("{side}.network.fence_acl_id"),
            fence,
            "lets traffic in",
        ]);
    }
}

#[tokio::test(start_paused = true)]
async fn fence_of_another_vpc_is_refused() {
    refused(|given| {
        given.region(AWAY).vpcs.push(other_vpc());
        given.input["away"]["network"]["fence_acl_id"] = json!("acl-0other");
    })
    .await
    .for_the_topology(&["away.network.fence_acl_id", "`acl-0other`", "vpc-0other"]);
}

#[tokio::test(start_paused = true)]
async fn names_that_cannot_be_moved_are_refused() {
    let dns = |given: &mut Given, field: &str, value: Value| {
        given.input["endpoints"]["dns"][0][field] = value;
    };
    refused(|given| dns(given, "name", json!("absent.workshop.internal")))
        .await
        .for_the_topology(&["`endpoints.dns[0].name`", "absent.workshop.internal", "no record"]);
    refused(|given| dns(given, "name", json!("workshop.internal")))
        .await
        .for_the_topology(&["`endpoints.dns[0].name`", "apex"]);
    refused(|given| dns(given, "zone_id", json!("Z0UNKNOWN")))
        .await
        .for_the_topology(&["`endpoints.dns[0].zone_id`", "Z0UNKNOWN"]);
    refused(|given| {
        let record = &mut given.world.hosted_zones[0].records[0];
        record.record_type = "A".to_owned();
        record.values = vec!["10.2.10.7".to_owned()];
        given.world.clients.clear();
    })
    .await
    .for_the_topology(&["`endpoints.dns[0].name`", "db-writer.workshop.internal", "type A"]);
}

#[tokio::test(start_paused = true)]
async fn refusal_ends_the_whole_execution_before_anything_is_changed() {
    type Change = fn(&mut Given);
    let unsafe_worlds: [(Change, &str); 3] = [
        (
            |given| given.add_former_member(AWAY, "gdb2-cluster"),
            "live global cluster `reinvent-dat348-gdb`",
        ),
        (|given| given.input["away"]["network"]["fence_acl_id"] = json!("acl-0123"), "`acl-0123`"),
        (|given| given.input["dryrun"] = json!(true), "`dryrun`"),
    ];
    for (change, reason) in unsafe_worlds {
        let mut given = Given::workshop();
        given.world.clients.clear();
        change(&mut given);
        let before = given.drill().sandbox.fingerprint();

        let (drill, ended) = rehearse(&given).await;

        assert_eq!(ended.outcome.status, Status::Failed);
        assert_eq!(ended.outcome.error.as_deref(), Some("FailbackRefused"));
        let cause = ended.outcome.cause.expect("a cause");
        assert!(cause.contains(reason), "{cause}");
        assert_eq!(drill.sandbox.fingerprint(), before);
        let changes = |call: &failback_sandbox::Call| call.mutating && call.service != "dynamodb";
        assert!(
            !drill.sandbox.calls().iter().any(changes),
            "only the lock was taken and given back"
        );
    }
}

/// A member that replicates and that no global cluster lists.
fn reader_of(source: &str) -> Membership {
    Membership::Reader { global: "orders".to_owned(), source: source.to_owned() }
}

fn add_global(given: &mut Given, id: &str, members: &[(&str, &str, bool)]) {
    let members = members.iter().map(|(region, cluster, writer)| {
        json!({ "region": region, "cluster": cluster, "writer": writer })
    });
    let spec = json!({ "id": id, "members": members.collect::<Vec<_>>() });
    given.world.global_clusters.push(serde_json::from_value(spec).expect("a global cluster"));
}

/// A snapshot that this failback did not make.
fn add_snapshot(given: &mut Given, region: &str, id: &str) {
    given.add_cluster(region, "orders");
    let spec = SnapshotSpec { id: id.to_owned(), cluster: "orders".to_owned(), rows: 0 };
    given.region(region).snapshots.push(spec);
}

/// A VPC whose only use is the deny-all ACL in it.
fn other_vpc() -> VpcSpec {
    let acl = |id: &str, default: bool, entries: Vec<NetworkAclEntrySpec>| NetworkAclSpec {
        id: id.to_owned(),
        default,
        entries,
        tags: Default::default(),
    };
    VpcSpec {
        id: "vpc-0other".to_owned(),
        cidr: "10.9.0.0/16".to_owned(),
        subnets: vec![SubnetSpec {
            id: "subnet-0other".to_owned(),
            availability_zone: "us-west-2a".to_owned(),
            cidr: "10.9.1.0/24".to_owned(),
            network_acl: None,
            tags: Default::default(),
        }],
        network_acls: vec![
            acl("acl-0other-default", true, vec![]),
            acl("acl-0other", false, vec![]),
        ],
        security_groups: vec![],
        tags: Default::default(),
    }
}

/// A request that names the workshop's secrets, which something has happened to.
async fn refused_secret(change: impl FnOnce(&mut Given)) -> Refused {
    refused(|given| {
        given.add_secrets();
        change(given);
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn secret_that_cannot_be_moved_is_refused_by_its_field_and_without_its_value() {
    let field = "`endpoints.secrets[0].name`";
    let with_value = async |value: Value| {
        refused_secret(|given| given.region(HOME).secrets[0].value = value).await
    };
    let missing = refused_secret(|given| drop(given.region(HOME).secrets.pop())).await;
    missing.for_the_topology(&[field, "orders/writer", "no secret of that name in us-east-1"]);
    for (value, problem) in [
        (json!("hunter2"), "no JSON object"),
        (json!({"username": "u", "password": "hunter2"}), "no field `host`"),
        (json!({"host": "mysql://u:hunter2@h/db"}), "`host` does not hold"),
    ] {
        let refused = with_value(value).await;
        assert!(!refused.message.contains("hunter2"), "{}", refused.message);
        refused.for_the_topology(&[field, problem]);
    }
    let replica = refused_secret(|given| {
        let mut secret = given.region(HOME).secrets.remove(0);
        secret.replicas = vec![HOME.to_owned()];
        given.region(AWAY).secrets.push(secret);
    });
    replica.await.for_the_topology(&[field, "a replica", "us-west-2"]);
    let managed = refused_secret(|given| {
        given.region(HOME).secrets[0].owning_service = Some("rds".to_owned());
    });
    managed.await.for_the_topology(&[field, "rds manages it"]);
}

#[tokio::test(start_paused = true)]
async fn secret_that_is_marked_for_deletion_or_may_not_be_read_is_refused_by_its_field() {
    let field = "`endpoints.secrets[0].name`";
    let mut given = Given::workshop();
    given.add_secrets();
    let payload = || json!({ "request": given.input });

    let drill = given.drill();
    let client = drill.aws.secretsmanager(HOME);
    client.delete_secret().secret_id("orders/writer").send().await.expect("it is marked");
    let error = failback::call("plan_failback", &drill.aws, payload()).await.expect_err("refused");
    Refused { name: error.name(), message: error.message() }
        .for_the_topology(&[field, "marked for deletion"]);

    for operation in ["DescribeSecret", "GetSecretValue"] {
        let drill = given.drill();
        let verb = failback_sandbox::Verb::Refuse {
            code: "AccessDeniedException".to_owned(),
            message: "not authorized to perform this".to_owned(),
        };
        drill.sandbox.inject(failback_sandbox::Fault::next(verb, operation));
        let error = failback::call("plan_failback", &drill.aws, payload()).await;
        let error = error.expect_err("refused");
        Refused { name: error.name(), message: error.message() }.for_the_topology(&[
            field,
            "may not be read",
            "AccessDeniedException",
        ]);
    }
}

#[tokio::test(start_paused = true)]
async fn name_in_a_zone_that_is_not_its_own_or_of_a_group_it_does_not_name_is_refused() {
    let foreign = refused(|given| {
        given.add_public_name();
        given.input["endpoints"]["dns"][0]["zone_id"] = json!("Z0PUBLIC0000000000001");
    });
    foreign.await.for_the_topology(&["`endpoints.dns[0].zone_id`", "is that of example.com"]);
    for identifier in [json!(null), json!("red")] {
        let unnamed = refused(|given| {
            given.add_weighted_name();
            given.input["endpoints"]["dns"][2]["set_identifier"] = identifier;
        });
        unnamed.await.for_the_topology(&["`endpoints.dns[2].set_identifier`", "blue, green"]);
    }
    let shorter = refused(|given| {
        given.add_weighted_name();
        given.input["endpoints"]["dns"][2]["ttl_s"] = json!(5);
    });
    shorter.await.for_the_topology(&["`endpoints.dns[2].ttl_s`", "60 s"]);
}
