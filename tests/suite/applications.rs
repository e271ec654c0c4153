//! The data sources of applications follow the database, and never hold it up.

use failback_cli::drill::{Drill, Ended};
use failback_sandbox::superset::Mood;
use failback_sandbox::{Fault, Outcome, Verb, World};
use failback_states::Status;
use serde_json::{Value, json};

use crate::support::given::Given;
use crate::support::superset::{
    AT_HOME, AWAY, READ_2, WRITE_1, WRITE_2, change, cluster_of, database, removing, source,
    with_superset,
};
use crate::support::{rehearse, rehearse_well};

const HOME_RESTORED: &str = "gdb1-cluster-restored";
const AWAY_RESTORED: &str = "gdb2-cluster-restored";
const PASSWORDS: [&str; 4] = [
    "sandbox-api-password",
    "sandbox/database:p@ssword%",
    "sandbox%2Fdatabase%3Ap%40ssword%25",
    "not-the-password",
];

/// The database is home whatever became of the applications, and the run says so by its name.
fn assert_left_behind(drill: &Drill, ended: &Ended, words: &[&str]) -> String {
    let outcome = &ended.outcome;
    assert_eq!(outcome.error.as_deref(), Some("ApplicationsNotMoved"), "{:?}", outcome.cause);
    let cause = outcome.cause.clone().unwrap_or_default();
    for word in words {
        assert!(cause.contains(word), "{word} is missing in: {cause}");
    }
    let writable = drill.sandbox.with_world(World::writable_clusters);
    let ids: Vec<&str> = writable.iter().map(|c| c.cluster_id.as_str()).collect();
    assert_eq!(ids, [HOME_RESTORED], "the database is home");
    cause
}

async fn start_again(drill: &Drill, given: &Given) {
    let again = drill.run("again", given.input.clone()).await.expect("it starts");
    let outcome = again.outcome;
    assert_eq!(outcome.status, Status::Succeeded, "{:?}: {:?}", outcome.error, outcome.cause);
}

fn assert_all_moved(drill: &Drill) {
    assert_eq!(cluster_of(drill, AT_HOME, WRITE_1), HOME_RESTORED);
    assert_eq!(cluster_of(drill, AWAY, READ_2), AWAY_RESTORED);
    assert_eq!(cluster_of(drill, AWAY, WRITE_1), HOME_RESTORED);
    assert_eq!(database(drill, AWAY, WRITE_2), None);
}

/// Everything that executions keep, and everything that is reported.
fn assert_no_password_is_kept(drill: &Drill) {
    for execution in drill.engine.list_executions() {
        for event in drill.engine.history(&execution.execution_arn) {
            let text = format!("{event:?}");
            for password in PASSWORDS {
                assert!(!text.contains(password), "{}: {text}", execution.execution_arn);
            }
        }
    }
    for invocation in drill.invocations.borrow().iter() {
        let text = format!("{:?}", invocation.answer);
        assert!(PASSWORDS.iter().all(|password| !text.contains(password)), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn data_sources_of_the_runbook_end_where_it_says() {
    let given = with_superset();
    let (drill, ended) = rehearse_well(&given).await;

    assert_all_moved(&drill);
    let report = ended.outcome.output.expect("a report");
    let sources = report["data_sources"].as_array().expect("a list");
    assert_eq!(sources.len(), 3, "{report}");
    for source in sources {
        assert_eq!(source["moved"], true, "{source}");
        assert_ne!(source["from"], source["to"], "{source}");
    }
    let consumers = report["consumers"].as_array().expect("a list").iter();
    let after: Vec<f64> = consumers
        .filter(|c| c["consumer"] == "data_source" && c["was_moved"] == true)
        .map(|c| c["seconds_after_promotion"].as_f64().expect("this run promoted home"))
        .collect();
    // Two follow the writer, before away is retired; one waits for away to be rebuilt.
    assert!(
        after.len() == 3 && after[0] < 300.0 && after[1] < 300.0 && after[2] > 300.0,
        "{after:?}"
    );
    assert_no_password_is_kept(&drill);
}

#[tokio::test(start_paused = true)]
async fn nothing_but_host_and_name_is_changed() {
    let drill = with_superset().drill();
    let prepare = |database: &mut failback_sandbox::superset::Database| {
        database.encrypted_extra = Some("{\"key\":\"secret\"}".to_owned());
        database.extra = json!({ "engine_params": { "connect_args": { "ssl": {} } } }).to_string();
    };
    change(&drill, AWAY, |i| i.databases.values_mut().for_each(prepare));
    let before = database(&drill, AWAY, WRITE_2).expect("it is there");

    drill.run("test", with_superset().input).await.expect("it starts");

    let after = database(&drill, AWAY, WRITE_1).expect("it is renamed");
    assert_eq!(after.changes, 1, "host and name in one change");
    let mut expected = before.clone();
    expected.uri = before.uri.replace(&before.host(), &after.host());
    (expected.name, expected.changes) = (WRITE_1.to_owned(), 1);
    assert_eq!(after, expected);
}

#[tokio::test(start_paused = true)]
async fn writers_follow_before_away_is_retired_and_readers_when_it_is_rebuilt() {
    let (drill, _) = rehearse_well(&with_superset()).await;

    let invocations = drill.invocations.borrow();
    let states: Vec<(&str, bool)> = invocations
        .iter()
        .filter(|i| i.function == "cut_over_superset" || i.function == "delete_cluster")
        .map(|i| (i.function.as_str(), i.calls.iter().any(|c| c.operation == "UpdateDatabase")))
        .collect();
    let updates = |part: &[(&str, bool)]| part.iter().filter(|(_, updates)| *updates).count();
    let retired =
        states.iter().rposition(|(f, _)| *f == "delete_cluster").expect("away is retired");
    assert_eq!((updates(&states[..retired]), updates(&states[retired..])), (2, 1), "{states:?}");
}

#[tokio::test(start_paused = true)]
async fn data_source_without_a_database_to_connect_to_is_removed() {
    let given = removing();
    let (drill, _) = rehearse_well(&given).await;

    assert_eq!(database(&drill, AWAY, WRITE_2), None);
    assert_eq!(database(&drill, AWAY, WRITE_1), None);
    assert_eq!(cluster_of(&drill, AWAY, READ_2), AWAY_RESTORED);
}

#[tokio::test(start_paused = true)]
async fn data_source_that_is_used_is_not_removed_and_what_to_do_is_said() {
    let given = removing();
    let drill = given.drill();
    change(&drill, AWAY, |i| i.database_mut(WRITE_2).expect("there").datasets = 4);

    let ended = drill.run("test", given.input.clone()).await.expect("it starts");

    assert_left_behind(&drill, &ended, &[WRITE_2, AWAY, "4 charts", "rename_to"]);
    change(&drill, AWAY, |i| i.database_mut(WRITE_2).expect("still there").datasets = 0);
    start_again(&drill, &given).await;
    assert_eq!(database(&drill, AWAY, WRITE_2), None);
}

/// A data source that is left behind, why, and what a person then mends.
struct Left {
    trouble: fn(&Drill),
    words: &'static [&'static str],
    mend: fn(&Drill),
}

const SECRET: &str = "failback-superset-database";

fn set_secret(drill: &Drill, name: &str, text: &str) {
    let scope =
        format!("AKIDSANDBOX/20260101/{}/secretsmanager/aws4_request", crate::support::AWAY);
    let headers = [
        ("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, Signature=0")),
        ("x-amz-target", "secretsmanager.PutSecretValue".to_owned()),
        ("content-type", "application/x-amz-json-1.1".to_owned()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    // A version's id; another text needs another one.
    let token = format!("{:0>32}", text.len());
    let body = json!({ "SecretId": name, "SecretString": text, "ClientRequestToken": token });
    let outcome = drill.sandbox.handle("POST", "/", headers, body.to_string().into_bytes());
    assert!(matches!(&outcome, Outcome::Answered(answer) if answer.status == 200), "{outcome:?}");
}

fn silence(drill: &Drill, wanted: bool) {
    drill.sandbox.change_world(|world| {
        let host = |cluster: &failback_sandbox::rds::Cluster| {
            cluster.host(failback_sandbox::EndpointKind::Reader, &world.account)
        };
        // It may not exist yet: its name is that of the old one's, but for the cluster's.
        let known = world.rds.clusters().find(|c| c.region == crate::support::AWAY).map(host);
        let host = known.expect("away has a cluster");
        let (_, domain) = host.split_once('.').expect("a domain");
        let silent = format!("{AWAY_RESTORED}.{domain}");
        world.supersets.silent_hosts.clear();
        if wanted {
            world.supersets.silent_hosts.insert(silent);
        }
    });
}

fn lefts() -> Vec<Left> {
    vec![
        Left {
            trouble: |d| change(d, AT_HOME, |i| i.mood = Mood::Down),
            words: &[WRITE_1, AT_HOME, "does not answer"],
            mend: |d| change(d, AT_HOME, |i| i.mood = Mood::Up),
        },
        Left {
            trouble: |d| change(d, AT_HOME, |i| i.mood = Mood::Silent),
            words: &[WRITE_1, AT_HOME, "does not answer"],
            mend: |d| change(d, AT_HOME, |i| i.mood = Mood::Up),
        },
        Left {
            trouble: |d| change(d, AT_HOME, |i| i.password = "not-the-password".to_owned()),
            words: &[WRITE_1, AT_HOME, "refuses the login", "failback-superset-api"],
            mend: |d| change(d, AT_HOME, |i| i.password = PASSWORDS[0].to_owned()),
        },
        Left {
            trouble: |d| {
                set_secret(d, SECRET, r#"{"username":"analytics","password":"not-the-password"}"#);
            },
            words: &[WRITE_1, AT_HOME, AWAY, "does not let its user in", SECRET],
            mend: |d| {
                let right = json!({ "username": "analytics", "password": PASSWORDS[1] });
                set_secret(d, SECRET, &right.to_string());
            },
        },
        Left {
            trouble: |d| set_secret(d, SECRET, "plain text"),
            words: &[WRITE_1, AT_HOME, "a JSON object with `password`"],
            mend: |d| {
                let right = json!({ "username": "analytics", "password": PASSWORDS[1] });
                set_secret(d, SECRET, &right.to_string());
            },
        },
        Left {
            trouble: |d| silence(d, true),
            words: &[READ_2, AWAY, "cannot connect"],
            mend: |d| silence(d, false),
        },
        Left {
            trouble: |d| {
                change(d, AWAY, |i| i.database_mut(READ_2).expect("there").name = "x".to_owned())
            },
            words: &[READ_2, AWAY, "there is no data source"],
            mend: |d| {
                change(d, AWAY, |i| i.database_mut("x").expect("there").name = READ_2.to_owned())
            },
        },
        Left {
            trouble: |d| {
                change(d, AWAY, |i| i.database_mut(READ_2).expect("there").visible = false)
            },
            words: &[READ_2, AWAY, "may see"],
            mend: |d| change(d, AWAY, |i| i.database_mut(READ_2).expect("there").visible = true),
        },
        Left {
            trouble: |d| {
                change(d, AWAY, |i| {
                    let copy = i.database(WRITE_2).expect("there").clone();
                    let copy =
                        failback_sandbox::superset::Database { name: WRITE_1.to_owned(), ..copy };
                    i.databases.insert(99, copy);
                });
            },
            words: &[WRITE_2, AWAY, "Remove one of them"],
            mend: |d| change(d, AWAY, |i| drop(i.databases.remove(&99))),
        },
        Left {
            trouble: |d| {
                let tunnel = json!({ "server_address": "bastion" });
                change(d, AWAY, |i| {
                    i.database_mut(READ_2).expect("there").ssh_tunnel = Some(tunnel)
                });
            },
            words: &[READ_2, AWAY, "SSH tunnel"],
            mend: |d| change(d, AWAY, |i| i.database_mut(READ_2).expect("there").ssh_tunnel = None),
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn application_that_is_left_behind_undoes_nothing_and_is_finished_by_starting_again() {
    for left in lefts() {
        let given = with_superset();
        let drill = given.drill();
        (left.trouble)(&drill);
        let before = database(&drill, AWAY, READ_2);

        let ended = drill.run("test", given.input.clone()).await.expect("it starts");

        let cause = assert_left_behind(&drill, &ended, left.words);
        let after = database(&drill, AWAY, READ_2);
        if left.words.contains(&READ_2) {
            assert_eq!(after, before, "what is left is as it was: {cause}");
        }
        assert_no_password_is_kept(&drill);
        (left.mend)(&drill);
        start_again(&drill, &given).await;
        assert_all_moved(&drill);
    }
}

#[tokio::test(start_paused = true)]
async fn superset_that_is_down_does_not_keep_a_run_from_beginning() {
    let given = with_superset();
    let drill = given.drill();
    for url in [AT_HOME, AWAY] {
        change(&drill, url, |i| i.mood = Mood::Down);
    }

    let ended = drill.run("test", given.input.clone()).await.expect("it starts");

    assert_left_behind(&drill, &ended, &[AT_HOME, AWAY, READ_2, WRITE_1, WRITE_2]);
}

/// The answer to a change is not awaited for ever; the change may be made all the same, later.
#[tokio::test(start_paused = true)]
async fn change_that_commits_after_it_was_given_up_is_found_by_reading() {
    let given = with_superset();
    let drill = given.drill();
    drill.sandbox.inject(Fault::next(Verb::Slow { factor: 1.0 }, "UpdateDatabase").repeated(2));

    let ended = drill.run("test", given.input.clone()).await.expect("it starts");

    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    assert_all_moved(&drill);
    for (url, name) in [(AT_HOME, WRITE_1), (AWAY, WRITE_1)] {
        assert_eq!(database(&drill, url, name).expect("there").changes, 1, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_to_superset_may_be_lost_or_refused_for_a_while() {
    let operations = [
        "LogIn",
        "GetCsrfToken",
        "ListDatabases",
        "GetConnection",
        "TestConnection",
        "UpdateDatabase",
        "DeleteDatabase",
    ];
    for operation in operations {
        for verb in [Verb::LoseRequest, Verb::LoseReply, Verb::Throttle, Verb::InternalError] {
            let given = if operation == "DeleteDatabase" { removing() } else { with_superset() };
            let drill = given.drill();
            drill.sandbox.inject(Fault::next(verb.clone(), operation).repeated(3));

            let ended = drill.run("test", given.input.clone()).await.expect("it starts");

            let outcome = ended.outcome;
            assert_eq!(
                outcome.status,
                Status::Succeeded,
                "{operation} {verb:?}: {:?}",
                outcome.cause
            );
        }
    }
}

/// Somebody has pointed it there by hand, with a password that is not the right one.
#[tokio::test(start_paused = true)]
async fn stored_password_that_is_wrong_is_replaced_although_the_host_is_right() {
    let given = with_superset();
    let (drill, _) = rehearse_well(&given).await;
    change(&drill, AT_HOME, |i| {
        i.database_mut(WRITE_1).expect("there").password = Some("not-the-password".to_owned());
    });

    start_again(&drill, &given).await;

    let password = database(&drill, AT_HOME, WRITE_1).expect("there").password;
    assert_eq!(password.as_deref(), Some(PASSWORDS[1]));
}

#[tokio::test(start_paused = true)]
async fn complete_failback_changes_no_data_source() {
    let given = with_superset();
    let (drill, _) = rehearse_well(&given).await;
    let before = drill.sandbox.fingerprint();
    let changes = |calls: &[failback_sandbox::Call]| {
        let superset = calls.iter().filter(|c| c.service == "superset");
        superset.filter(|c| c.mutating).count()
    };
    let first = changes(&drill.sandbox.calls());

    start_again(&drill, &given).await;

    assert_eq!(changes(&drill.sandbox.calls()), first);
    let supersets = |text: &str| text.rsplit("https://superset").next().map(str::to_owned);
    assert_eq!(supersets(&before), supersets(&drill.sandbox.fingerprint()));
}

#[tokio::test(start_paused = true)]
async fn dry_run_looks_at_no_application() {
    let mut given = with_superset();
    given.input["dry_run"] = json!(true);
    let (drill, ended) = rehearse(&given).await;

    let plan = ended.outcome.output.expect("a plan");
    assert_eq!(plan["decision"], "DRY_RUN");
    assert_eq!(plan["data_sources"]["home"].as_array().map(Vec::len), Some(2), "{plan}");
    assert!(drill.sandbox.calls().iter().all(|call| call.service != "superset"));
}

#[tokio::test(start_paused = true)]
async fn request_that_would_send_passwords_over_open_networks_is_refused() {
    for (change, field) in [
        (json!({ "url": "http://superset.example.com", "plain_http": true }), "superset[0].url"),
        (json!({ "url": "http://127.0.0.1:8088" }), "superset[0].url"),
        (json!({ "login_secret_arn": "admin" }), "superset[0].login_secret_arn"),
    ] {
        let mut given = with_superset();
        let instance = &mut given.input["endpoints"]["superset"][0];
        for (name, value) in change.as_object().expect("an object") {
            instance[name] = value.clone();
        }
        let (drill, ended) = rehearse(&given).await;
        let cause = ended.outcome.cause.unwrap_or_default();
        assert_eq!(ended.outcome.error.as_deref(), Some("FailbackRefused"), "{cause}");
        assert!(cause.contains(field), "{cause}");
        assert!(drill.sandbox.calls().iter().all(|call| !call.mutating));
    }
}

#[tokio::test(start_paused = true)]
async fn data_source_is_either_pointed_somewhere_or_removed() {
    for (change, field) in [
        (json!({ "points_to": null }), "points_to"),
        (json!({ "password_secret_arn": null }), "password_secret_arn"),
        (json!({ "remove": true }), "points_to"),
        (json!({ "rename_to": " " }), "rename_to"),
        (json!({ "name": "" }), "name"),
        (json!({ "rename_to": READ_2 }), "rename_to"),
        (json!({ "password": "x" }), "password"),
    ] {
        let mut given = with_superset();
        for (name, value) in change.as_object().expect("an object") {
            source(&mut given, WRITE_2)[name] = value.clone();
        }
        let refused = failback_plan::Request::parse(&given.input).expect_err("it is refused");
        assert!(refused.field.ends_with(field), "{change}: {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn application_follows_a_switchover_too() {
    let mut given = with_superset();
    given.input["strategy"] = Value::from("switchover");
    let (drill, _) = rehearse_well(&given).await;

    assert_eq!(cluster_of(&drill, AT_HOME, WRITE_1), HOME_RESTORED);
    assert_eq!(cluster_of(&drill, AWAY, WRITE_1), HOME_RESTORED);
    assert_eq!(cluster_of(&drill, AWAY, READ_2), "gdb2-cluster");
}
