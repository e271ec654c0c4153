//! DynamoDB through the unchanged SDK: conditions, updates, and what a read may miss.

mod network_support;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TableStatus,
};
use failback_sandbox::{Behaviour, Fault, Verb};
use network_support::{AWAY, HOME, Lab, sdk, world};

const TABLE: &str = "failback";

type Item = HashMap<String, AttributeValue>;

fn lab() -> (Lab, Client) {
    let lab = Lab::new(world());
    let arn = lab.sandbox.create_table(AWAY, TABLE);
    assert_eq!(arn, "arn:aws:dynamodb:us-west-2:123456789012:table/failback");
    let client = sdk!(aws_sdk_dynamodb, lab, AWAY);
    (lab, client)
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn item<const N: usize>(members: [(&str, AttributeValue); N]) -> Item {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn put(client: &Client, item: Item) {
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

async fn get(client: &Client, id: &str) -> Option<Item> {
    let get = client.get_item().table_name(TABLE).key("id", s(id)).consistent_read(true);
    get.send().await.unwrap().item
}

/// Whether `condition` is true of `item`, as a write that depends on it finds out.
async fn holds(client: &Client, item: &Item, condition: &str, values: Item) -> bool {
    put(client, item.clone()).await;
    let values = Some(values).filter(|values| !values.is_empty());
    let answer = client
        .update_item()
        .table_name(TABLE)
        .key("id", item["id"].clone())
        .condition_expression(condition)
        .set_expression_attribute_values(values)
        .send()
        .await;
    match answer {
        Ok(_) => true,
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => false,
        Err(error) => panic!("{condition}: {error:?}"),
    }
}

/// Code and message with which an update of the item `a` is refused.
async fn refused(
    client: &Client,
    update: Option<&str>,
    condition: Option<&str>,
    names: &[(&str, &str)],
    values: Item,
) -> (String, String) {
    let mut call = client.update_item().table_name(TABLE).key("id", s("a"));
    for (key, name) in names {
        call = call.expression_attribute_names(*key, *name);
    }
    let error = call
        .set_update_expression(update.map(str::to_owned))
        .set_condition_expression(condition.map(str::to_owned))
        .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
        .send()
        .await
        .unwrap_err();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (text(error.code()), text(error.message()))
}

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
async fn conditions_compare_values_of_one_type() {
    let (_lab, client) = lab();
    let a = item([
        ("id", s("a")),
        ("n", n(9)),
        ("t", s("m")),
        ("deep", AttributeValue::M(item([("er", AttributeValue::L(vec![n(3)]))]))),
    ]);
    let v = || item([(":v", n(10))]);
    let text = || item([(":v", s("z"))]);

    for (condition, values, expected) in [
        ("n < :v", v(), true),
        ("n <= :v", v(), true),
        ("n > :v", v(), false),
        ("n >= :v", v(), false),
        ("n = :v", v(), false),
        ("n <> :v", v(), true),
        (":v > n", v(), true),
        ("t < :v", text(), true),
        ("n < :v", text(), false),
        ("n <> :v", text(), true),
        ("absent = :v", v(), false),
        ("absent < :v", v(), false),
        ("absent <> :v", v(), true),
        ("deep.er[0] < :v", v(), true),
        ("attribute_exists(deep.er[0])", item([]), true),
        ("attribute_exists(deep.er[1])", item([]), false),
        ("attribute_not_exists(deep.more)", item([]), true),
    ] {
        assert_eq!(holds(&client, &a, condition, values).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn not_binds_before_and_and_and_before_or() {
    let (_lab, client) = lab();
    let a = item([("id", s("a")), ("x", n(1))]);
    let (yes, no) = ("attribute_exists(x)", "attribute_exists(y)");

    for (condition, expected) in [
        (format!("{yes} OR {no} AND {no}"), true),
        (format!("({yes} OR {no}) AND {no}"), false),
        (format!("NOT {no} AND {yes}"), true),
        (format!("NOT ({no} OR {yes})"), false),
        (format!("not {yes} or not {no}"), true),
    ] {
        assert_eq!(holds(&client, &a, &condition, item([])).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn update_sets_and_removes_and_makes_what_is_not_there() {
    let (_lab, client) = lab();
    let update = async |expression: &str, values: Item| {
        client
            .update_item()
            .table_name(TABLE)
            .key("id", s("a"))
            .update_expression(expression)
            .expression_attribute_names("#s", "state")
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .unwrap()
            .attributes
            .unwrap()
    };

    let made = update(
        "SET #s = :s, tries = if_not_exists(tries, :n)",
        item([(":s", s("HELD")), (":n", n(1))]),
    )
    .await;
    let expected = item([("id", s("a")), ("state", s("HELD")), ("tries", n(1))]);
    assert_eq!(made, expected);
    let changed = update(
        "REMOVE #s SET tries = tries + :n, seen = :m",
        item([(":n", n(2)), (":m", AttributeValue::M(item([])))]),
    )
    .await;
    assert_eq!(
        changed,
        item([("id", s("a")), ("tries", n(3)), ("seen", AttributeValue::M(item([])))])
    );
    let deep = update("SET seen.#s = tries, tries = tries - :n", item([(":n", n(1))])).await;
    assert_eq!(deep["seen"], AttributeValue::M(item([("state", n(3))])));
    assert_eq!(deep["tries"], n(2));
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
async fn placeholder_that_nothing_uses_is_refused() {
    let (_lab, client) = lab();
    let one = || item([(":v", n(1))]);

    for (update, names, values, says) in [
        ("SET a = :v", &[("#x", "x")][..], one(), "unused in expressions: keys: {#x}"),
        ("REMOVE a", &[], one(), "ExpressionAttributeValues unused in expressions: keys: {:v}"),
        ("SET a = :w", &[], one(), "value used in expression is not defined; attribute value: :w"),
        (
            "SET #a = :v",
            &[],
            one(),
            "name used in the document path is not defined; attribute name: #a",
        ),
    ] {
        let (code, message) = refused(&client, Some(update), None, names, values).await;
        assert_eq!(code, "ValidationException");
        assert!(message.contains(says), "{update}: {message}");
    }
    let (code, message) = refused(&client, None, None, &[], one()).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(message, "ExpressionAttributeValues can only be specified when using expressions");
}

#[tokio::test]
async fn expression_that_cannot_be_read_is_refused() {
    let (_lab, client) = lab();

    for (condition, says) in [
        ("", "Invalid ConditionExpression: The expression can not be empty;"),
        ("id", "Syntax error; token: \"<EOF>\""),
        ("id = ", "Syntax error; token: \"<EOF>\""),
        ("id == :v", "Syntax error; token: \"=\""),
        ("(attribute_exists(id)", "Syntax error; token: \"<EOF>\""),
        ("attribute_exists(id) id", "Syntax error; token: \"id\""),
        ("attribute_exists(:v)", "requires a document path"),
        ("exists(id)", "Invalid function name; function: exists"),
        ("id ! :v", "Syntax error; token: \"!\""),
        ("begins_with(id, :v)", "is not modelled"),
        ("id IN (:v)", "is not modelled"),
    ] {
        let values = if condition.contains(":v") { item([(":v", s("a"))]) } else { item([]) };
        let (code, message) = refused(&client, None, Some(condition), &[], values).await;
        assert_eq!(code, "ValidationException", "{condition}");
        assert!(message.contains(says), "{condition}: {message}");
    }
    let values = item([(":v", AttributeValue::Bool(true))]);
    let (_, message) = refused(&client, None, Some("id < :v"), &[], values).await;
    assert!(message.contains("Incorrect operand type"), "{message}");
}

#[tokio::test]
async fn reserved_word_stands_for_an_attribute_only_behind_a_placeholder() {
    let (_lab, client) = lab();
    let value = || item([(":v", s("a"))]);

    for word in ["state", "Status", "ttl", "owner", "token", "region"] {
        let update = format!("SET {word} = :v");
        let (code, message) = refused(&client, Some(&update), None, &[], value()).await;
        assert_eq!(code, "ValidationException");
        let says = format!("Attribute name is a reserved keyword; reserved keyword: {word}");
        assert!(message.contains(&says), "{message}");
        let condition = format!("{word} = :v");
        let (_, message) = refused(&client, None, Some(&condition), &[], value()).await;
        assert!(message.contains(&says), "{message}");
    }
}

#[tokio::test]
async fn update_that_would_contradict_itself_is_refused() {
    let (_lab, client) = lab();
    put(&client, item([("id", s("a")), ("t", s("text"))])).await;
    let v = || item([(":v", n(1))]);

    for (update, says) in [
        ("SET id = :v", "This attribute is part of the key"),
        ("SET x = :v, x.y = :v", "Two document paths overlap"),
        ("SET x = :v REMOVE x", "Two document paths overlap"),
        ("SET x = :v SET y = :v", "can only be used once"),
        ("SET x.y = :v", "document path provided in the update expression is invalid"),
        ("SET x = absent, y = :v", "refers to an attribute that does not exist"),
        ("SET x = t + :v", "incorrect data type"),
        ("ADD x :v", "is not modelled"),
        ("PUT x = :v", "Syntax error; token: \"PUT\""),
    ] {
        let (code, message) = refused(&client, Some(update), None, &[], v()).await;
        assert_eq!(code, "ValidationException", "{update}");
        assert!(message.contains(says), "{update}: {message}");
    }
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
