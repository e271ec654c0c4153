//! Conditions and updates, as expressions say them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use crate::support::{Item, TABLE, item, lab, n, put, s};

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
