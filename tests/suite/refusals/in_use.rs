//! Identifiers that something else has already.

use failback_sandbox::spec::SnapshotSpec;
use serde_json::json;

use super::{add_global, reader_of, refused};
use crate::support::given::{Given, THIRD};
use crate::support::{self, AWAY, HOME};

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

/// A snapshot that this failback did not make.
fn add_snapshot(given: &mut Given, region: &str, id: &str) {
    given.add_cluster(region, "orders");
    let spec = SnapshotSpec { id: id.to_owned(), cluster: "orders".to_owned(), rows: 0 };
    given.region(region).snapshots.push(spec);
}
