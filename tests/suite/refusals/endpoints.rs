//! Names and secrets that could not be moved.

use serde_json::{Value, json};

use super::{Refused, refused};
use crate::support::given::Given;
use crate::support::{AWAY, HOME};

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
