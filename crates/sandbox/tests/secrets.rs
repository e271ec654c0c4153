//! Secrets Manager through the unchanged SDK.

mod network_support;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use failback_sandbox::{Fault, Verb};
use network_support::{AWAY, HOME, Lab, sdk, world};
use serde_json::json;

const NAME: &str = "orders/database";
/// What the secret says at the start, but for the host.
const TOKEN: &str = "token-of-thirty-two-characters-0";

/// A world in which home has a secret with the host of away's writer, and away its replica.
fn lab() -> (Lab, Client, Client) {
    let mut spec = world();
    let value = json!({"username": "app", "host": format!("{{writer:{AWAY}/gdb2}}"), "port": 3306});
    spec["regions"][0]["secrets"] = json!([{"name": NAME, "value": value, "replicas": [AWAY]}, {"name": "plain", "value": "x"}]);
    let managed = json!({"name": "rds!cluster-1", "value": "y", "owning_service": "rds"});
    spec["regions"][1]["secrets"] = json!([managed]);
    let lab = Lab::new(spec);
    let clients = [HOME, AWAY].map(|region| sdk!(aws_sdk_secretsmanager, lab, region));
    let [home, away] = clients;
    (lab, home, away)
}

async fn text(client: &Client, id: &str) -> String {
    let answer = client.get_secret_value().secret_id(id).send().await.unwrap();
    answer.secret_string.unwrap()
}

async fn labelled(client: &Client, label: &str) -> (String, String) {
    let call = client.get_secret_value().secret_id(NAME).version_stage(label);
    let answer = call.send().await.unwrap();
    (answer.version_id.unwrap(), answer.secret_string.unwrap())
}

/// The code of a refusal and what it says.
macro_rules! refused {
    ($call:expr) => {{
        let error = $call.send().await.unwrap_err();
        (
            error.code().unwrap_or_default().to_owned(),
            error.message().unwrap_or_default().to_owned(),
        )
    }};
}

#[tokio::test]
async fn secret_is_read_by_name_by_arn_and_by_an_arn_without_its_end() {
    let (_lab, home, _) = lab();
    let described = home.describe_secret().secret_id(NAME).send().await.unwrap();
    let arn = described.arn().unwrap();
    let (partial, _) = arn.rsplit_once('-').unwrap();

    let by_name = text(&home, NAME).await;

    assert!(
        arn.starts_with("arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/database-")
    );
    assert_eq!(arn.len(), partial.len() + 7);
    let host = r#""host":"gdb2.cluster-"#;
    assert!(by_name.contains(host) && by_name.ends_with(r#""port":3306}"#), "{by_name}");
    assert_eq!(text(&home, arn).await, by_name);
    assert_eq!(text(&home, partial).await, by_name);
    assert_eq!(text(&home, "plain").await, "x", "a value need not be JSON");
}

#[tokio::test]
async fn new_version_becomes_current_and_the_old_one_previous() {
    let (lab, home, _) = lab();
    let (first, before) = labelled(&home, "AWSCURRENT").await;
    lab.wait_s(60);

    let put = home.put_secret_value().secret_id(NAME).client_request_token(TOKEN);
    let answer = put.secret_string("second").send().await.unwrap();

    assert_eq!(answer.version_id(), Some(TOKEN));
    assert_eq!(answer.version_stages(), ["AWSCURRENT"]);
    assert_eq!(labelled(&home, "AWSCURRENT").await, (TOKEN.to_owned(), "second".to_owned()));
    assert_eq!(labelled(&home, "AWSPREVIOUS").await, (first.clone(), before));
    let third =
        home.put_secret_value().secret_id(NAME).secret_string("third").send().await.unwrap();
    let described = home.describe_secret().secret_id(NAME).send().await.unwrap();
    let stages = described.version_ids_to_stages().unwrap();
    assert_eq!(stages[third.version_id().unwrap()], ["AWSCURRENT"]);
    assert_eq!(stages[TOKEN], ["AWSPREVIOUS"]);
    assert!(!stages.contains_key(&first), "a version without a label is not listed");
    let by_id = home.get_secret_value().secret_id(NAME).version_id(&first).send().await;
    assert!(by_id.is_ok(), "and can be read all the same");
}

#[tokio::test]
async fn same_token_with_the_same_value_does_nothing_and_with_another_is_refused() {
    let (lab, home, _) = lab();
    let put = |text: &str| {
        home.put_secret_value().secret_id(NAME).client_request_token(TOKEN).secret_string(text)
    };
    put("second").send().await.unwrap();
    let after = lab.sandbox.fingerprint();

    put("second").send().await.unwrap();
    assert_eq!(lab.sandbox.fingerprint(), after);
    assert_eq!(refused!(put("other")).0, "ResourceExistsException");
    let short = home.put_secret_value().secret_id(NAME).client_request_token("short");
    assert_eq!(refused!(short.secret_string("x")).0, "InvalidParameterException");
    assert_eq!(refused!(home.put_secret_value().secret_id(NAME)).0, "InvalidRequestException");

    // Wherever the label is by then.
    home.put_secret_value().secret_id(NAME).secret_string("third").send().await.unwrap();
    let again = put("second").send().await.unwrap();
    assert_eq!(again.version_stages(), ["AWSPREVIOUS"]);
    assert_eq!(text(&home, NAME).await, "third");
}

#[tokio::test]
async fn label_moves_by_hand_and_takes_the_previous_one_along() {
    let (_lab, home, _) = lab();
    let (first, _) = labelled(&home, "AWSCURRENT").await;
    let put = home.put_secret_value().secret_id(NAME).client_request_token(TOKEN);
    put.secret_string("second").send().await.unwrap();
    let back = || {
        let update = home.update_secret_version_stage().secret_id(NAME);
        update.version_stage("AWSCURRENT").move_to_version_id(&first)
    };

    assert_eq!(refused!(back()).0, "InvalidParameterException", "whose label is it now?");
    back().remove_from_version_id(TOKEN).send().await.unwrap();

    assert_eq!(labelled(&home, "AWSCURRENT").await.0, first);
    assert_eq!(labelled(&home, "AWSPREVIOUS").await.0, TOKEN);
}

#[tokio::test]
async fn pending_version_is_not_what_readers_get() {
    let (_lab, home, _) = lab();
    let before = text(&home, NAME).await;

    let put = home.put_secret_value().secret_id(NAME).version_stages("AWSPENDING");
    put.secret_string("next").send().await.unwrap();

    assert_eq!(text(&home, NAME).await, before);
    assert_eq!(labelled(&home, "AWSPENDING").await.1, "next");
}

#[tokio::test]
async fn replica_follows_and_cannot_be_written() {
    let (lab, home, away) = lab();
    let before = text(&away, NAME).await;
    lab.wait_s(60);

    home.put_secret_value().secret_id(NAME).secret_string("second").send().await.unwrap();

    assert_eq!(text(&away, NAME).await, before, "not at once");
    lab.wait_s(5);
    assert_eq!(text(&away, NAME).await, "second");
    let (code, message) = refused!(away.put_secret_value().secret_id(NAME).secret_string("x"));
    assert_eq!(code, "InvalidRequestException");
    assert!(message.contains("primary secret's region"), "{message}");
    let described = [&home, &away].map(|client| client.describe_secret().secret_id(NAME));
    for call in described {
        assert_eq!(call.send().await.unwrap().primary_region(), Some(HOME));
    }
    let alone = home.describe_secret().secret_id("plain").send().await.unwrap();
    assert_eq!(alone.primary_region(), None);
}

#[tokio::test]
async fn secret_marked_for_deletion_is_described_and_neither_read_nor_written() {
    let (lab, home, _) = lab();
    let delete = home.delete_secret().secret_id(NAME).recovery_window_in_days(7);
    delete.send().await.unwrap();

    let described = home.describe_secret().secret_id(NAME).send().await.unwrap();
    assert!(described.deleted_date().is_some());
    assert_eq!(refused!(home.get_secret_value().secret_id(NAME)).0, "InvalidRequestException");
    let put = home.put_secret_value().secret_id(NAME).secret_string("x");
    assert_eq!(refused!(put).0, "InvalidRequestException");
    let create = || home.create_secret().name(NAME).secret_string("x");
    assert_eq!(refused!(create()).0, "InvalidRequestException");

    home.restore_secret().secret_id(NAME).send().await.unwrap();
    assert!(text(&home, NAME).await.contains("host"));
    home.delete_secret().secret_id(NAME).send().await.unwrap();
    lab.wait_s(31 * 86_400);
    assert_eq!(refused!(home.describe_secret().secret_id(NAME)).0, "ResourceNotFoundException");
    create().send().await.unwrap();
    assert_eq!(text(&home, NAME).await, "x");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_by_name() {
    let (_lab, home, away) = lab();
    let arn = home.describe_secret().secret_id(NAME).send().await.unwrap().arn.unwrap();

    for (client, id) in [(&home, "nothing"), (&away, "plain"), (&away, arn.as_str())] {
        let (code, message) = refused!(client.get_secret_value().secret_id(id));
        assert_eq!(code, "ResourceNotFoundException", "{id}");
        assert_eq!(message, "Secrets Manager can't find the specified secret.");
    }
    let label = home.get_secret_value().secret_id(NAME).version_stage("AWSPENDING");
    let (code, message) = refused!(label);
    assert_eq!(code, "ResourceNotFoundException");
    assert!(message.contains("staging label: AWSPENDING"), "{message}");
    let created = home.create_secret().name(NAME).secret_string("x");
    assert_eq!(refused!(created).0, "ResourceExistsException");
}

#[tokio::test]
async fn secret_that_a_service_manages_is_read_and_not_written() {
    let (_lab, _, away) = lab();

    assert_eq!(text(&away, "rds!cluster-1").await, "y");
    let described = away.describe_secret().secret_id("rds!cluster-1").send().await.unwrap();
    assert_eq!(described.owning_service(), Some("rds"));
    let put = away.put_secret_value().secret_id("rds!cluster-1").secret_string("x");
    assert_eq!(refused!(put).0, "InvalidRequestException");
}

#[tokio::test]
async fn secret_keeps_a_hundred_versions_and_forgets_old_ones_without_a_label() {
    let (lab, home, _) = lab();
    let put = || home.put_secret_value().secret_id("plain").secret_string("y");
    for _ in 1..100 {
        put().send().await.unwrap();
    }

    assert_eq!(refused!(put()).0, "LimitExceededException");
    lab.wait_s(2 * 86_400);
    put().send().await.unwrap();

    let versions = lab.sandbox.with_world(|world| world.secrets.versions(HOME, "plain"));
    assert_eq!(versions, 3, "the current one, the previous one before it, and that one");
}

#[tokio::test]
async fn faults_meet_secrets_and_calls_are_recorded_without_their_values() {
    let (lab, home, _) = lab();
    lab.wait_s(60);
    let put = || {
        let put = home.put_secret_value().secret_id(NAME).client_request_token(TOKEN);
        put.secret_string("hunter2")
    };
    lab.sandbox.inject(Fault::next(Verb::Throttle, "PutSecretValue"));
    lab.sandbox.inject(Fault::next(Verb::InternalError, "PutSecretValue").after(1));
    lab.sandbox.inject(Fault::next(Verb::LoseReply, "PutSecretValue").after(2));
    lab.sandbox.inject(Fault::next(Verb::StaleRead { age_ms: 10_000 }, "GetSecretValue"));

    assert_eq!(refused!(put()).0, "ThrottlingException");
    assert_eq!(refused!(put()).0, "InternalServiceError");
    assert!(matches!(put().send().await.unwrap_err(), SdkError::DispatchFailure(_)));
    assert!(text(&home, NAME).await.contains("host"), "a stale read shows what was before");
    assert_eq!(text(&home, NAME).await, "hunter2", "the one whose reply was lost");

    let calls = lab.sandbox.take_calls();
    assert_eq!(calls.len(), 5);
    assert!(!format!("{calls:?}").contains("hunter2"));
    for call in calls {
        assert_eq!((call.service.as_str(), call.region.as_str()), ("secretsmanager", HOME));
        assert_eq!(
            (call.resource.as_str(), call.mutating),
            (NAME, call.operation != "GetSecretValue")
        );
    }
}
