//! What is accepted as a request, and what is refused by the field's name.

use serde_json::json;

use super::check::is_region;
use super::*;

fn workshop() -> Value {
    serde_json::from_str(include_str!("../../../../statemachine/examples/workshop.json"))
        .expect("the example is JSON")
}

fn refused(change: impl FnOnce(&mut Value)) -> InvalidRequest {
    let mut value = workshop();
    change(&mut value);
    Request::parse(&value).expect_err("it must be refused")
}

#[test]
fn example_of_the_workshop_is_accepted() {
    Request::parse(&workshop()).expect("the example parses");
}

#[test]
fn unknown_field_is_refused_by_its_path() {
    let error = refused(|v| v["home"]["clusterid"] = json!("x"));
    assert_eq!(error.field, "home.clusterid");
    assert!(error.problem.contains("unknown field `clusterid`"), "{error}");
}

#[test]
fn boolean_given_as_text_is_refused() {
    let error = refused(|v| v["clear_deletion_protection"] = json!("False"));
    assert_eq!(error.field, "clear_deletion_protection");
}

#[test]
fn input_that_looks_like_a_secret_is_refused_without_repeating_it() {
    for secret in [
        "AKIAIOSFODNN7EXAMPLE",
        "mysql://admin:hunter2@db.example.com/app",
        "host=db password=hunter2",
        "-----BEGIN RSA PRIVATE KEY-----",
    ] {
        let error = refused(|v| v["endpoints"]["dns"][0]["set_identifier"] = json!(secret));
        assert_eq!(error.field, "endpoints.dns[0].set_identifier");
        assert!(!error.to_string().contains(secret), "{error}");
    }
    let error = refused(|v| v["password"] = json!("hunter2"));
    assert_eq!(error.field, "password", "unknown fields are refused anyway");
}

#[test]
fn secret_of_the_data_api_is_one_of_the_cluster_s_region() {
    let arn = "arn:aws:secretsmanager:us-west-2:1:secret:x-AbCdEf";
    let error = refused(|v| v["home"]["data_api"] = json!({ "secret_arn": arn }));
    assert_eq!(error.field, "home.data_api.secret_arn");
    let mut value = workshop();
    value["away"]["data_api"] = json!({ "secret_arn": arn });
    Request::parse(&value).expect("it is of away's Region");
}

#[test]
fn secret_is_named_by_its_arn_or_by_its_name_and_region() {
    let arn = "arn:aws:secretsmanager:us-west-2:1:secret:orders/db-AbCdEf";
    let with = |secret: Value| {
        let mut value = workshop();
        value["endpoints"]["secrets"] = json!([secret]);
        Request::parse(&value)
    };
    for (secret, id) in [
        (json!({"secret_arn": arn, "points_to": "home_writer"}), arn),
        (
            json!({"name": "orders/db", "region": "us-west-2", "points_to": "home_writer"}),
            "orders/db",
        ),
    ] {
        let request = with(secret).expect("it is named");
        let secret = &request.endpoints.secrets[0];
        assert_eq!((secret.id(), secret.region()), (id, "us-west-2"));
        assert!(secret.short_name().starts_with("orders/db"));
    }
    for (secret, field) in [
        (json!({"points_to": "home_writer"}), "secret_arn"),
        (json!({"secret_arn": "orders", "points_to": "home_writer"}), "secret_arn"),
        (json!({"secret_arn": arn, "name": "x", "points_to": "home_writer"}), "secret_arn"),
        (json!({"name": "x", "points_to": "home_writer"}), "region"),
        (json!({"name": "x", "region": "home", "points_to": "home_writer"}), "region"),
        (json!({"name": "a b", "region": "us-east-1", "points_to": "home_writer"}), "name"),
    ] {
        let error = with(secret.clone()).expect_err("it is not named");
        assert_eq!(error.field, format!("endpoints.secrets[0].{field}"), "{secret}");
    }
}

#[test]
fn record_that_stands_there_twice_is_refused() {
    let error = refused(|v| {
        let mut again = v["endpoints"]["dns"][0].clone();
        again["name"] = json!("DB-writer.workshop.internal.");
        again["points_to"] = json!("away_reader");
        v["endpoints"]["dns"].as_array_mut().expect("a list").push(again);
    });
    assert_eq!(error.field, "endpoints.dns[2].name");
}

#[test]
fn same_region_twice_is_refused() {
    let error = refused(|v| v["away"]["region"] = v["home"]["region"].clone());
    assert_eq!(error.field, "away.region");
}

#[test]
fn same_id_twice_is_refused() {
    let error = refused(|v| v["away"]["restored_cluster_id"] = v["home"]["cluster_id"].clone());
    assert_eq!(error.field, "away.restored_cluster_id");
    let error = refused(|v| v["global_clusters"]["restored"] = json!("reinvent-dat348-gdb"));
    assert_eq!(error.field, "global_clusters.restored");
}

#[test]
fn id_that_rds_would_store_differently_is_refused() {
    for bad in ["", "1abc", "a--b", "a-", "Abc", "a_b", &"a".repeat(64)] {
        let error = refused(|v| v["home"]["restored_cluster_id"] = json!(bad));
        assert_eq!(error.field, "home.restored_cluster_id", "{bad}");
    }
}

#[test]
fn region_must_look_like_one() {
    for bad in ["", "us-east", "useast1", "US-EAST-1", "us-east-x"] {
        assert!(!is_region(bad), "{bad}");
    }
    for good in ["us-east-1", "us-gov-west-1", "ap-southeast-2"] {
        assert!(is_region(good), "{good}");
    }
}

#[test]
fn wait_without_an_end_is_refused() {
    let error = refused(|v| v["limits"] = json!({ "create_s": 0 }));
    assert_eq!(error.field, "limits.create_s");
}

#[test]
fn fence_that_could_not_be_lifted_is_refused() {
    let error = refused(|v| {
        v["home"]["network"]["open_acl_id"] = v["home"]["network"]["fence_acl_id"].clone();
    });
    assert_eq!(error.field, "home.network.open_acl_id");
}

#[test]
fn missing_field_is_named() {
    let error = refused(|v| {
        v.as_object_mut().expect("an object").remove("away");
    });
    assert!(error.problem.contains("missing field `away`"), "{error}");
}
