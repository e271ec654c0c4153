//! Decisions about what clients use to find the database.

use serde_json::Value;

use super::*;
use crate::secret::{SecretFields, SecretProblem};
use crate::seen::SecretSeen;
use crate::task::EndpointKind;

/// A request for two secrets, and for a record of a group.
fn with_consumers() -> Request {
    let mut value = serde_json::to_value(request()).expect("a request is JSON");
    value["endpoints"]["secrets"] = json!([
        { "name": "writer", "region": "us-east-1", "points_to": "home_writer" },
        { "name": "reader", "region": "us-west-2", "points_to": "away_reader" }
    ]);
    Request::parse(&value).expect("a request")
}

fn says(region: &str, name: &str, host: &str, cluster: &str) -> SecretSeen {
    SecretSeen {
        region: region.to_owned(),
        id: name.to_owned(),
        arn: Some(format!("arn:aws:secretsmanager:{region}:1:secret:{name}-AbCdEf")),
        found: Ok(SecretFields {
            host: host.to_owned(),
            cluster_id: Some(cluster.to_owned()),
            port: None,
        }),
    }
}

/// Clusters have ports, and the secrets point to where clients are before the failback.
fn with_secrets(mut seen: Seen) -> Seen {
    for cluster in seen.home.clusters.iter_mut().chain(&mut seen.away.clusters) {
        cluster.settings.port = Some(3306);
    }
    seen.secrets = vec![
        says("us-east-1", "writer", "c2.cluster-x", "c2"),
        says("us-west-2", "reader", "c2.cluster-ro-x", "c2"),
    ];
    seen
}

fn before() -> Seen {
    let former = global("g0", &[(&arn("us-east-1", "c1"), true)]);
    with_secrets(world(&[("c1", "i1")], &[("c2", "i2")], vec![former]))
}

#[test]
fn secret_moves_with_the_names_of_its_role() {
    let plan = decide(&with_consumers(), &before()).expect("nothing stands against it");

    let [writer] = &plan.secrets_of_writer[..] else { panic!("{:?}", plan.secrets_of_writer) };
    let [reader] = &plan.secrets_of_readers[..] else { panic!("{:?}", plan.secrets_of_readers) };
    assert_eq!((writer.secret_id.as_str(), writer.cluster_id.as_str()), ("writer", "c1-restored"));
    assert_eq!(
        (writer.was.as_deref(), writer.endpoint),
        (Some("c2.cluster-x"), EndpointKind::Writer)
    );
    assert_eq!((reader.secret_id.as_str(), reader.cluster_id.as_str()), ("reader", "c2-restored"));
    assert_eq!(
        (reader.secret_region.as_str(), reader.endpoint),
        ("us-west-2", EndpointKind::Reader)
    );
}

#[test]
fn failback_is_complete_only_when_every_secret_says_so() {
    let mut seen = with_secrets(complete());
    let decision = |seen: &Seen| decide(&with_consumers(), seen).expect("a plan").decision;

    assert_eq!(decision(&seen), Decision::Proceed);
    seen.secrets[0] = says("us-east-1", "writer", "c1-restored.cluster-x", "c1-restored");
    assert_eq!(decision(&seen), Decision::Proceed, "one of two");
    seen.secrets[1] = says("us-west-2", "reader", "c2-restored.cluster-ro-x", "c2");
    assert_eq!(decision(&seen), Decision::Proceed, "the host alone is not enough");
    seen.secrets[1] = says("us-west-2", "reader", "c2-restored.cluster-ro-x", "c2-restored");
    assert_eq!(decision(&seen), Decision::NothingToDo);
}

#[test]
fn what_was_turned_back_after_the_promotion_moves_with_the_readers() {
    let mut seen = with_secrets(complete());
    seen.dns[0].value = Some("c2.cluster-x".to_owned());

    let plan = decide(&with_consumers(), &seen).expect("nothing stands against it");

    assert_eq!(
        first_phase(&plan),
        Some("rebuild_away"),
        "home is not looked at as if just promoted"
    );
    let names = plan.cut_over_readers.iter().map(|record| record.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["db.x"]);
    assert_eq!(plan.secrets_of_readers.len(), 2);
    assert!(plan.cut_over_writer.is_empty() && plan.secrets_of_writer.is_empty());
}

#[test]
fn secret_that_cannot_be_moved_is_refused_by_its_field() {
    for problem in [
        SecretProblem::Missing { region: "us-west-2".to_owned() },
        SecretProblem::MarkedForDeletion,
        SecretProblem::Replica { primary: "us-east-1".to_owned() },
        SecretProblem::Managed { service: "rds".to_owned() },
        SecretProblem::NoObject,
        SecretProblem::NoField { field: "host".to_owned() },
    ] {
        let mut seen = before();
        seen.secrets[1].found = Err(problem.clone());
        let refused = decide(&with_consumers(), &seen).expect_err("it cannot be moved").to_string();
        assert!(refused.contains(&problem.to_string()), "{refused}");
        assert!(refused.contains("`endpoints.secrets[1].name`"), "{refused}");
    }
    let mut seen = before();
    seen.secrets[1].arn = seen.secrets[0].arn.clone();
    let refused = decide(&with_consumers(), &seen).expect_err("it is the same one").to_string();
    assert!(refused.contains("same secret as that of `endpoints.secrets[0].name`"), "{refused}");
    let mut seen = before();
    seen.secrets.pop();
    decide(&with_consumers(), &seen).expect_err("what was not read is no good news");
}

#[test]
fn changed_secret_is_a_drift() {
    let (request, seen) = (with_consumers(), before());
    let mut later = before();
    later.secrets[0] = says("us-east-1", "writer", "elsewhere", "c2");

    let drift = Basis::of(&request, &seen).drift(&Basis::of(&request, &later));

    assert_eq!(
        drift,
        ["the secret writer in us-east-1: was points to c2.cluster-x, is points to elsewhere"]
    );
}

/// What a request for one record of a group is refused with, and by which field.
fn refused(change: impl FnOnce(&mut Value, &mut DnsSeen)) -> (String, String) {
    let mut value = serde_json::to_value(request()).expect("a request is JSON");
    let mut seen = before();
    change(&mut value["endpoints"]["dns"][0], &mut seen.dns[0]);
    let request = Request::parse(&value).expect("a request");
    match decide(&request, &seen).expect_err("it must be refused") {
        Refusal::DnsUnusable { field, problem, .. } => (field, problem),
        other => panic!("{other}"),
    }
}

#[test]
fn record_that_cannot_be_moved_is_refused_by_its_field() {
    type Change = fn(&mut Value, &mut DnsSeen);
    let cases: [(Change, &str, &str); 9] = [
        (|v, _| v["zone_id"] = json!("ZOTHER"), "zone_id", "not among those of this account"),
        (|_, d| d.zone_name = "y".to_owned(), "zone_id", "is that of y"),
        (|_, d| d.zone_name = "b.x".to_owned(), "zone_id", "is that of b.x"),
        (|_, d| d.zone_name = "DB.x".to_owned(), "name", "apex"),
        (|_, d| d.kind = Some("A".to_owned()), "name", "of type A, not CNAME"),
        (|_, d| d.kind = None, "name", "no record of that name"),
        (|_, d| d.value = None, "name", "no single value"),
        (|_, d| d.ttl_s = None, "name", "an alias"),
        (|_, d| d.traffic_policy = Some("p1".to_owned()), "name", "traffic policy"),
    ];
    for (change, part, problem) in cases {
        let (field, said) = refused(change);
        assert_eq!(field, format!("endpoints.dns[0].{part}"), "{said}");
        assert!(said.contains(problem), "{said}");
    }
    let (field, said) = refused(|_, d| {
        d.kind = None;
        d.set_identifiers = vec!["blue".to_owned(), "green".to_owned()];
    });
    assert_eq!(field, "endpoints.dns[0].set_identifier");
    assert!(said.contains("blue, green"), "{said}");
}

#[test]
fn record_of_a_group_keeps_its_time_to_live() {
    let of_group = |v: &mut Value, d: &mut DnsSeen| {
        v["set_identifier"] = json!("blue");
        d.set_identifier = Some("blue".to_owned());
    };
    let (field, said) = refused(|v, d| {
        of_group(v, d);
        v["ttl_s"] = json!(5);
    });
    assert_eq!(field, "endpoints.dns[0].ttl_s");
    assert!(said.contains("60 s"), "{said}");

    let mut value = serde_json::to_value(request()).expect("a request is JSON");
    let mut seen = before();
    let alone = decide(&request(), &seen).expect("nothing stands against it");
    of_group(&mut value["endpoints"]["dns"][0], &mut seen.dns[0]);
    let plan = decide(&Request::parse(&value).expect("a request"), &seen).expect("a plan");
    assert_eq!(plan.cut_over_writer[0].ttl_s, 60);
    assert_eq!(alone.cut_over_writer[0].ttl_s, 5, "a record that stands alone gets the short one");
}
