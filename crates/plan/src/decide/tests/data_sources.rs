//! Decisions about the data sources of applications.

use super::*;
use crate::task::EndpointKind;

/// The runbook's three cases.
fn with_data_sources() -> Request {
    const SECRET: &str = "arn:aws:secretsmanager:us-west-2:1:secret:app";
    let mut value = serde_json::to_value(request()).expect("JSON");
    value["endpoints"]["superset"] = json!([
        { "url": "https://home.example/", "login_secret_arn": SECRET, "data_sources": [
            { "name": "mysql aurora-gdb1-write", "points_to": "home_writer", "password_secret_arn": SECRET },
        ] },
        { "url": "https://away.example", "login_secret_arn": SECRET, "data_sources": [
            { "name": "mysql aurora-gdb2-read", "points_to": "away_reader", "password_secret_arn": SECRET },
            { "name": "mysql aurora-gdb2-write", "remove": true },
        ] },
    ]);
    Request::parse(&value).expect("a request")
}

#[test]
fn data_sources_of_the_writer_move_with_it_and_the_others_when_away_is_rebuilt() {
    let seen = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());

    let sources = decide(&with_data_sources(), &seen).expect("a plan").data_sources;

    let [writer] = &sources.home[..] else { panic!("{:?}", sources.home) };
    let to = &writer.point.as_ref().expect("it stays").to;
    assert_eq!((to.cluster_id.as_str(), to.endpoint), ("c1-restored", EndpointKind::Writer));
    assert_eq!(writer.superset.url, "https://home.example");
    let [reader, removed] = &sources.away[..] else { panic!("{:?}", sources.away) };
    let to = &reader.point.as_ref().expect("it stays").to;
    assert_eq!((to.cluster_id.as_str(), to.endpoint), ("c2-restored", EndpointKind::Reader));
    assert!(removed.remove && removed.point.is_none());
}

/// Whether a data source is moved is known to Superset alone.
#[test]
fn complete_failback_still_has_its_data_sources_looked_at() {
    let plan = decide(&with_data_sources(), &complete()).expect("nothing stands against it");

    assert_eq!(plan.decision, Decision::Proceed);
    assert_eq!(first_phase(&plan), None, "nothing of the database is touched");
    assert!(plan.reasons.iter().any(|r| r.contains("data sources")), "{:?}", plan.reasons);
}
