//! Clusters that are not as they must be to be replaced, copied or joined.

use failback_sandbox::World;
use failback_sandbox::rds::Cluster;
use failback_sandbox::spec::ParameterGroupSpec;
use serde_json::json;

use super::{Refused, add_global, reader_of, refused, refused_input};
use crate::support::given::THIRD;
use crate::support::{AWAY, HOME};

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
