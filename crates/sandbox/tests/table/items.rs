//! Items: how they are written, read, removed and listed, and what is refused.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TableStatus,
};
use failback_sandbox::{Behaviour, Fault, Verb};

use crate::network_support::{AWAY, HOME, sdk};
use crate::support::{Item, TABLE, get, item, lab, n, put, s};

#[tokio::test]
async fn item_comes_back_as_it_was_put() {
    let (lab, client) = lab();
    let members = HashMap::from([("run".to_owned(), s("r-1")), ("at".to_owned(), n(-7))]);
    let list = vec![n(1), AttributeValue::Bool(false), AttributeValue::Null(true)];
    let lock = item([
        ("id", s("lock")),
        ("held", AttributeValue::Bool(true)),
        ("by", AttributeValue::M(members)),
        ("steps", AttributeValue::L(list)),
        ("empty", s("")),
    ]);

    put(&client, lock.clone()).await;

    assert_eq!(get(&client, "lock").await, Some(lock));
    assert_eq!(get(&client, "other").await, None);
    let held = lab.sandbox.with_world(|world| {
        assert_eq!(world.tables.items(AWAY, TABLE).count(), 1);
        assert_eq!(world.tables.items(HOME, TABLE).count(), 0);
        world.tables.item(AWAY, TABLE, "lock").map(|item| item["held"].clone())
    });
    assert_eq!(held, Some(failback_sandbox::table::Attribute::Bool(true)));
}

#[tokio::test]
async fn item_is_put_once_when_it_must_not_be_there() {
    let (_lab, client) = lab();
    let put = async |run: &str, returned: ReturnValuesOnConditionCheckFailure| {
        client
            .put_item()
            .table_name("arn:aws:dynamodb:us-west-2:123456789012:table/failback")
            .set_item(Some(item([("id", s("lock")), ("run", s(run))])))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(returned)
            .send()
            .await
            .map_err(SdkError::into_service_error)
    };

    put("first", ReturnValuesOnConditionCheckFailure::AllOld).await.unwrap();
    let told = put("second", ReturnValuesOnConditionCheckFailure::AllOld).await.unwrap_err();
    let untold = put("third", ReturnValuesOnConditionCheckFailure::None).await.unwrap_err();

    let PutItemError::ConditionalCheckFailedException(told) = told else { panic!("{told:?}") };
    assert_eq!(told.message(), Some("The conditional request failed"));
    assert_eq!(told.item().unwrap()["run"], s("first"));
    let PutItemError::ConditionalCheckFailedException(untold) = untold else {
        panic!("{untold:?}")
    };
    assert_eq!(untold.item(), None);
    assert_eq!(get(&client, "lock").await.unwrap()["run"], s("first"));
}

#[tokio::test]
async fn update_whose_condition_fails_changes_nothing() {
    let (lab, client) = lab();
    put(&client, item([("id", s("lock")), ("run", s("mine"))])).await;
    let before = lab.sandbox.fingerprint();
    let steal = client
        .update_item()
        .table_name(TABLE)
        .key("id", s("lock"))
        .update_expression("SET run = :other")
        .condition_expression("run = :other")
        .expression_attribute_values(":other", s("theirs"))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err()
        .into_service_error();

    assert!(steal.is_conditional_check_failed_exception());
    assert_eq!(lab.sandbox.fingerprint(), before);
    assert_eq!(get(&client, "lock").await.unwrap()["run"], s("mine"));
}

#[tokio::test]
async fn deletion_may_depend_on_what_is_deleted() {
    let (_lab, client) = lab();
    put(&client, item([("id", s("lock")), ("run", s("mine"))])).await;
    let delete = async |run: &str| {
        client
            .delete_item()
            .table_name(TABLE)
            .key("id", s("lock"))
            .condition_expression("attribute_not_exists(id) OR run = :run")
            .expression_attribute_values(":run", s(run))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(SdkError::into_service_error)
    };

    assert!(delete("theirs").await.unwrap_err().is_conditional_check_failed_exception());
    assert_eq!(delete("mine").await.unwrap().attributes.unwrap()["run"], s("mine"));
    assert_eq!(delete("mine").await.unwrap().attributes, None);
    assert_eq!(get(&client, "lock").await, None);
}

#[tokio::test]
async fn read_that_is_not_consistent_sees_a_change_late() {
    let (lab, client) = lab();
    lab.wait_s(60);
    put(&client, item([("id", s("a")), ("n", n(1))])).await;
    let read =
        async || client.get_item().table_name(TABLE).key("id", s("a")).send().await.unwrap().item;

    assert_eq!(read().await, None);
    assert!(get(&client, "a").await.is_some());
    lab.wait_s(1);
    assert_eq!(read().await, get(&client, "a").await);
    put(&client, item([("id", s("a")), ("n", n(2))])).await;
    assert_eq!(read().await.unwrap()["n"], n(1));
    client.delete_item().table_name(TABLE).key("id", s("a")).send().await.unwrap();
    assert_eq!(read().await.unwrap()["n"], n(1));
    lab.wait_s(1);
    assert_eq!(read().await, None);
}

#[tokio::test]
async fn lag_of_such_reads_can_be_turned_off_and_a_fault_brings_it_back() {
    let (lab, client) = lab();
    lab.sandbox.set_behaviour(Behaviour { item_reads_lag_ms: 0, ..Behaviour::default() });
    lab.wait_s(60);
    put(&client, item([("id", s("a"))])).await;
    let read = async |consistent| {
        let get = client.get_item().table_name(TABLE).key("id", s("a"));
        get.consistent_read(consistent).send().await.unwrap().item.is_some()
    };

    assert!(read(false).await);
    lab.sandbox.inject(Fault::next(Verb::StaleRead { age_ms: 5_000 }, "GetItem").repeated(2));
    assert!(!read(false).await);
    assert!(read(true).await, "a consistent read is never stale");
}

#[tokio::test]
async fn item_whose_time_to_live_is_over_is_still_there() {
    let (lab, client) = lab();
    put(&client, item([("id", s("lock")), ("expires", n(1))])).await;

    lab.wait_s(3_600);

    assert!(get(&client, "lock").await.is_some());
}

#[tokio::test]
async fn key_must_be_one_text_that_says_something() {
    let (_lab, client) = lab();
    let put = async |item: Item| {
        let put = client.put_item().table_name(TABLE).set_item(Some(item)).send().await;
        put.unwrap_err().message().unwrap().to_owned()
    };
    let get = async |key: Item| {
        let get = client.get_item().table_name(TABLE).set_key(Some(key)).send().await;
        get.unwrap_err().message().unwrap().to_owned()
    };

    assert!(put(item([("x", n(1))])).await.contains("Missing the key id in the item"));
    assert!(
        put(item([("id", n(1))])).await.contains("Type mismatch for key id expected: S actual: N")
    );
    assert!(
        put(item([("id", s(""))])).await.contains("cannot contain an empty string value. Key: id")
    );
    assert!(put(item([("id", s(&"x".repeat(2049)))])).await.contains("Size of hashkey"));
    let schema = "The provided key element does not match the schema";
    assert_eq!(get(item([("id", n(1))])).await, schema);
    assert_eq!(get(item([("id", s("a")), ("x", n(1))])).await, schema);
    assert!(get(item([("id", s(""))])).await.contains("empty string value"));
}

#[tokio::test]
async fn item_has_four_hundred_kilobytes_at_most() {
    let (_lab, client) = lab();
    let of = |bytes: usize| item([("id", s("a")), ("x", s(&"x".repeat(bytes)))]);

    put(&client, of(400 * 1024 - 4)).await;
    let put = client.put_item().table_name(TABLE).set_item(Some(of(400 * 1024 - 3)));
    let error = put.send().await.unwrap_err();

    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(error.message(), Some("Item size has exceeded the maximum allowed size"));
}

#[tokio::test]
async fn table_is_known_in_its_region_by_name_and_by_arn() {
    let (lab, client) = lab();
    let home = sdk!(aws_sdk_dynamodb, lab, HOME);
    let arn = "arn:aws:dynamodb:us-west-2:123456789012:table/failback";

    for name in [TABLE, arn] {
        let table = client.describe_table().table_name(name).send().await.unwrap().table.unwrap();
        assert_eq!(table.table_status(), Some(&TableStatus::Active));
        assert_eq!(table.table_arn(), Some(arn));
        assert_eq!(table.key_schema()[0].attribute_name(), "id");
        let missing = home.describe_table().table_name(name).send().await.unwrap_err();
        assert!(missing.into_service_error().is_resource_not_found_exception(), "{name}");
    }
    let short = client.describe_table().table_name("x").send().await.unwrap_err();
    assert_eq!(short.code(), Some("ValidationException"));
}

#[tokio::test]
async fn scan_goes_through_a_table_page_by_page() {
    let (lab, client) = lab();
    for id in ["a", "b", "c"] {
        put(&client, item([("id", s(id)), ("odd", AttributeValue::Bool(id != "b"))])).await;
    }
    lab.wait_s(2);
    let scan = || client.scan().table_name(TABLE);

    let all = scan().filter_expression("odd = :yes");
    let all = all.expression_attribute_values(":yes", AttributeValue::Bool(true));
    let all = all.send().await.unwrap();
    let first = scan().limit(2).send().await.unwrap();
    let rest =
        scan().set_exclusive_start_key(first.last_evaluated_key.clone()).send().await.unwrap();

    assert_eq!((all.count, all.scanned_count), (2, 3));
    assert_eq!(first.last_evaluated_key.unwrap()["id"], s("b"));
    assert_eq!(rest.items()[0]["id"], s("c"));
    assert_eq!(rest.last_evaluated_key, None);
}

#[tokio::test]
async fn what_is_not_modelled_is_refused_and_never_overlooked() {
    let (_lab, client) = lab();

    let get = client.get_item().table_name(TABLE).key("id", s("a")).projection_expression("id");
    let error = get.send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(error.message(), Some("ProjectionExpression of GetItem is not modelled"));
    let query = client.query().table_name(TABLE).key_condition_expression("id = :v");
    let error = query.expression_attribute_values(":v", s("a")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnknownOperationException"));
    let set = AttributeValue::Ss(vec!["x".to_owned()]);
    let put =
        client.put_item().table_name(TABLE).set_item(Some(item([("id", s("a")), ("x", set)])));
    assert_eq!(put.send().await.unwrap_err().code(), Some("ValidationException"));
}

#[tokio::test]
async fn faults_meet_tables_in_the_words_of_dynamodb_and_calls_are_recorded() {
    let (lab, client) = lab();
    let write = || {
        let put = client.put_item().table_name(TABLE).item("id", s("lock"));
        put.condition_expression("attribute_not_exists(id)")
    };
    lab.sandbox.inject(Fault::next(Verb::Throttle, "PutItem"));
    lab.sandbox.inject(Fault::next(Verb::InternalError, "PutItem").after(1));
    lab.sandbox.inject(Fault::next(Verb::LoseReply, "PutItem").after(2));

    let throttled = write().send().await.unwrap_err().into_service_error();
    let failed = write().send().await.unwrap_err().into_service_error();
    let lost = write().send().await.unwrap_err();
    let second = write().send().await.unwrap_err().into_service_error();

    assert_eq!(throttled.code(), Some("ThrottlingException"));
    assert!(failed.is_internal_server_error());
    assert!(matches!(lost, SdkError::DispatchFailure(_)));
    assert!(second.is_conditional_check_failed_exception(), "the lost reply was a success");
    let calls = lab.sandbox.take_calls();
    assert!(calls.iter().all(|c| c.service == "dynamodb" && c.region == AWAY && c.mutating));
    assert!(calls.iter().all(|c| c.operation == "PutItem" && c.resource == "failback/lock"));
    let errors: Vec<_> = calls.iter().map(|c| c.error.as_deref()).collect();
    assert_eq!(
        errors,
        [
            Some("ThrottlingException"),
            Some("InternalServerError"),
            Some("LostReply"),
            Some("ConditionalCheckFailedException")
        ]
    );
}
