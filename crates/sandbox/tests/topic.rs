//! SNS through the unchanged SDK.

mod network_support;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::builders::PublishFluentBuilder;
use aws_sdk_sns::types::MessageAttributeValue;
use failback_sandbox::{Fault, Verb};
use network_support::{AWAY, HOME, Lab, START_MS, sdk, world};

fn lab() -> (Lab, Client, String) {
    let lab = Lab::new(world());
    let arn = lab.sandbox.create_topic(AWAY, "failback");
    let client = sdk!(aws_sdk_sns, lab, AWAY);
    (lab, client, arn)
}

async fn refused(publish: PublishFluentBuilder) -> (String, String) {
    let error = publish.send().await.unwrap_err();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (text(error.code()), text(error.message()))
}

#[tokio::test]
async fn message_is_kept_with_its_time_and_its_subject() {
    let (lab, client, arn) = lab();
    assert_eq!(arn, "arn:aws:sns:us-west-2:123456789012:failback");
    lab.wait_s(5);
    let kind = MessageAttributeValue::builder().data_type("String").string_value("approval");
    let text = "Promote home?\n<yes> & \"no\" – äöü";

    let publish = client.publish().topic_arn(&arn).subject("Failback asks").message(text);
    let publish = publish.message_attributes("kind", kind.build().unwrap());
    let id = publish.send().await.unwrap().message_id.unwrap();
    client.publish().topic_arn(&arn).message("second").send().await.unwrap();

    let messages = lab.sandbox.messages();
    let [first, second] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((first.at_ms, &first.topic_arn, &first.id), (START_MS + 5_000, &arn, &id));
    assert_eq!(first.subject.as_deref(), Some("Failback asks"));
    assert_eq!((first.text.as_str(), first.attributes["kind"].as_str()), (text, "approval"));
    assert_eq!((second.subject.as_deref(), second.text.as_str()), (None, "second"));
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn topic_is_found_in_its_own_region_only() {
    let (lab, client, arn) = lab();
    let home = sdk!(aws_sdk_sns, lab, HOME);
    let other = arn.replace("failback", "other");

    let missing = client.publish().topic_arn(other).message("x").send().await.unwrap_err();
    assert_eq!(missing.raw_response().unwrap().status().as_u16(), 404);
    assert!(missing.into_service_error().is_not_found_exception());
    for publish in [
        home.publish().topic_arn(&arn).message("x"),
        client.publish().topic_arn("failback").message("x"),
        client.publish().message("x"),
    ] {
        assert_eq!(refused(publish).await.0, "InvalidParameter");
    }
    assert!(lab.sandbox.messages().is_empty());
}

#[tokio::test]
async fn subject_is_a_line_of_a_hundred_printable_characters_at_most() {
    let (lab, client, arn) = lab();
    let publish = |subject: &str| client.publish().topic_arn(&arn).subject(subject).message("x");

    publish(&"s".repeat(100)).send().await.unwrap();
    for subject in [&"s".repeat(101), "two\nlines", "Grüße", " starts with a space", ""] {
        let (code, message) = refused(publish(subject)).await;
        assert_eq!(code, "InvalidParameter", "{subject}");
        assert_eq!(message, "Invalid parameter: Subject", "{subject}");
    }
    assert_eq!(lab.sandbox.messages().len(), 1);
}

#[tokio::test]
async fn message_says_something_in_a_quarter_of_a_mebibyte_at_most() {
    let (_lab, client, arn) = lab();
    let publish = |text: &str| client.publish().topic_arn(&arn).message(text);

    publish(&"x".repeat(256 * 1024)).send().await.unwrap();
    let long = refused(publish(&"x".repeat(256 * 1024 + 1))).await;
    let empty = refused(publish("")).await;

    assert_eq!(
        long,
        ("InvalidParameter".to_owned(), "Invalid parameter: Message too long".to_owned())
    );
    assert_eq!(
        empty,
        ("InvalidParameter".to_owned(), "Invalid parameter: Empty message".to_owned())
    );
}

#[tokio::test]
async fn message_by_protocol_has_a_default() {
    let (_lab, client, arn) = lab();
    let publish =
        |text: &str| client.publish().topic_arn(&arn).message_structure("json").message(text);

    publish(r#"{"default": "short", "email": "long"}"#).send().await.unwrap();
    for text in [r#"{"email": "long"}"#, "no JSON"] {
        assert_eq!(refused(publish(text)).await.0, "InvalidParameter");
    }
}

#[tokio::test]
async fn faults_meet_topics_and_calls_are_recorded() {
    let (lab, client, arn) = lab();
    let publish = || client.publish().topic_arn(&arn).message("x");
    lab.sandbox.inject(Fault::next(Verb::Throttle, "Publish"));
    lab.sandbox.inject(Fault::next(Verb::InternalError, "Publish").after(1));
    lab.sandbox.inject(Fault::next(Verb::LoseReply, "Publish").after(2));

    assert_eq!(refused(publish()).await.0, "Throttling");
    assert_eq!(refused(publish()).await.0, "InternalError");
    assert!(matches!(publish().send().await.unwrap_err(), SdkError::DispatchFailure(_)));

    assert_eq!(lab.sandbox.messages().len(), 1, "the one whose reply was lost");
    for call in lab.sandbox.take_calls() {
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("sns", "Publish"));
        assert_eq!((call.region.as_str(), &call.resource), (AWAY, &arn));
        assert!(call.mutating);
    }
}
