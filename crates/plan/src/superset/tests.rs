use serde_json::{Value, json};

use super::*;

const OLD: &str = "gdb1-cluster.cluster-abc.us-east-1.rds.amazonaws.com";
const NEW: &str = "gdb1-cluster-restored.cluster-abc.us-east-1.rds.amazonaws.com";

fn wanted() -> Wanted {
    Wanted {
        name: "mysql aurora-gdb1-write".to_owned(),
        host: NEW.to_owned(),
        user: None,
        password: "p@ss".to_owned(),
    }
}

fn connection() -> Connection {
    serde_json::from_value(json!({
        "id": 7,
        "database_name": "mysql aurora-gdb1-write",
        "sqlalchemy_uri": format!("mysql+pymysql://app:XXXXXXXXXX@{OLD}:3306/lab?charset=utf8mb4"),
        "configuration_method": "dynamic_form",
        "extra": r#"{"metadata_cache_timeout": {"x": 1}, "engine_params": {"pool_size": 3, "connect_args": {"ssl": {"ca": "/ca"}, "connect_timeout": 60}}}"#,
        "masked_encrypted_extra": r#"{"key": "XXXXXXXXXX"}"#,
        "server_cert": "-----BEGIN CERTIFICATE-----",
        "impersonate_user": true,
        "ssh_tunnel": null,
    }))
    .expect("a connection")
}

fn problem(wanted: &Wanted, seen: &Connection) -> String {
    match propose(wanted, seen) {
        Err(Problem(text)) => text,
        Ok(_) => panic!("something is proposed"),
    }
}

#[test]
fn host_alone_is_changed_and_the_real_password_is_sent() {
    let proposal = propose(&wanted(), &connection()).expect("a proposal");

    assert!(!proposal.is_there);
    assert_eq!(proposal.host, OLD);
    let sent = format!("mysql+pymysql://app:p%40ss@{NEW}:3306/lab?charset=utf8mb4");
    assert_eq!(
        proposal.update,
        json!({ "sqlalchemy_uri": sent, "configuration_method": "dynamic_form" })
    );
    assert_eq!(proposal.test["sqlalchemy_uri"], sent);
}

/// `null` for the encrypted part or the tunnel would erase them, `parameters` change the driver.
#[test]
fn what_is_not_to_be_changed_is_not_mentioned() {
    let update = propose(&wanted(), &connection()).expect("a proposal").update;

    for field in ["masked_encrypted_extra", "ssh_tunnel", "parameters", "extra", "server_cert"] {
        assert!(update.get(field).is_none(), "{field}");
    }
}

#[test]
fn name_and_host_are_changed_together() {
    let mut seen = connection();
    seen.database_name = Some("mysql aurora-gdb2-write".to_owned());

    let proposal = propose(&wanted(), &seen).expect("a proposal");

    assert!(!proposal.is_there);
    assert_eq!(proposal.update["database_name"], "mysql aurora-gdb1-write");
    assert!(proposal.update["sqlalchemy_uri"].as_str().is_some_and(|uri| uri.contains(NEW)));
    // Superset finds what is masked by the name under which it has it.
    assert_eq!(proposal.test["database_name"], "mysql aurora-gdb2-write");
}

#[test]
fn name_without_the_host_or_the_host_without_the_name_is_not_there() {
    let mut seen = connection();
    seen.sqlalchemy_uri = seen.sqlalchemy_uri.map(|uri| uri.replace(OLD, &NEW.to_uppercase()));
    assert!(propose(&wanted(), &seen).expect("a proposal").is_there);

    seen.database_name = Some("mysql aurora-gdb2-write".to_owned());
    assert!(!propose(&wanted(), &seen).expect("a proposal").is_there);
}

#[test]
fn test_has_time_outs_and_everything_else_as_it_is_stored() {
    let proposal = propose(&wanted(), &connection()).expect("a proposal");

    for test in [&proposal.test, &proposal.test_of_stored] {
        let extra: Value =
            serde_json::from_str(test["extra"].as_str().expect("text")).expect("JSON");
        assert_eq!(
            extra,
            json!({
                "metadata_cache_timeout": {"x": 1},
                "engine_params": {
                    "pool_size": 3,
                    "connect_args": {"ssl": {"ca": "/ca"}, "connect_timeout": 5, "read_timeout": 5},
                },
            })
        );
        assert_eq!(test["masked_encrypted_extra"], r#"{"key": "XXXXXXXXXX"}"#);
        assert_eq!(test["server_cert"], "-----BEGIN CERTIFICATE-----");
        assert_eq!(test["impersonate_user"], true);
    }
    // Byte for byte as it was read: so Superset tests with the password that it has stored.
    assert_eq!(
        proposal.test_of_stored["sqlalchemy_uri"],
        *connection().sqlalchemy_uri.expect("it has one")
    );
}

#[test]
fn postgresql_is_tested_with_the_time_out_that_its_driver_knows() {
    let mut seen = connection();
    seen.sqlalchemy_uri = Some(format!("postgresql+psycopg2://app:XXXXXXXXXX@{OLD}/lab"));
    seen.extra = None;

    let proposal = propose(&wanted(), &seen).expect("a proposal");

    assert_eq!(
        proposal.test["extra"],
        r#"{"engine_params":{"connect_args":{"connect_timeout":5}}}"#
    );
    assert_eq!(
        proposal.update["sqlalchemy_uri"],
        format!("postgresql+psycopg2://app:p%40ss@{NEW}/lab")
    );
}

#[test]
fn connection_without_a_uri_is_one_that_the_login_may_not_see() {
    assert!(problem(&wanted(), &Connection::default()).contains("may not see"));
}

#[test]
fn what_cannot_be_changed_by_its_host_alone_is_left_to_a_person() {
    let mut seen = connection();
    seen.ssh_tunnel = Some(json!({ "server_address": "bastion" }));
    assert!(problem(&wanted(), &seen).contains("SSH tunnel"));

    let mut seen = connection();
    seen.extra = Some("[]".to_owned());
    assert!(problem(&wanted(), &seen).contains("`extra`"));

    let wanted_by_another = Wanted { user: Some("root".to_owned()), ..wanted() };
    let text = problem(&wanted_by_another, &connection());
    assert!(text.contains("`app`") && text.contains("`root`"), "{text}");

    let empty = Wanted { password: String::new(), ..wanted() };
    assert!(problem(&empty, &connection()).contains("no password"));

    let twice = Wanted { password: "a%41".to_owned(), ..wanted() };
    let text = problem(&twice, &connection());
    assert!(text.contains("hexadecimal") && !text.contains("a%41"), "{text}");
}

#[test]
fn new_name_counts_before_the_old_one_and_two_are_too_many() {
    assert_eq!(locate("a", None, Some(1), None), Ok(1));
    assert_eq!(locate("a", Some("b"), Some(1), None), Ok(1));
    assert_eq!(locate("a", Some("b"), None, Some(2)), Ok(2));
    for (rename_to, old, new, words) in [
        (None, None, None, "no data source `a`"),
        (Some("b"), None, None, "`b`"),
        (Some("b"), Some(1), Some(2), "Remove one of them"),
    ] {
        let Problem(text) = locate("a", rename_to, old, new).expect_err("a problem");
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn passwords_are_taken_out_of_what_is_said_in_either_form() {
    let said = "cannot connect to mysql://app:p%40ss@h: denied for p@ss";
    let shown = without_passwords(said, &["p@ss", ""]);
    assert_eq!(shown, "cannot connect to mysql://app:***@h: denied for ***");
}
