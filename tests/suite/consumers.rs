//! What clients use to find the database: names and secrets, moved at the right moment and proven.

use failback_cli::definitions::machine_arn;
use failback_cli::drill::{Drill, Ended};
use failback_cli::report::Report;
use failback_sandbox::fault::Faults;
use failback_sandbox::spec::RoutingSpec;
use failback_sandbox::{Fault, Verb};
use failback_states::Status;
use serde_json::{Value, json};

use crate::support::given::{Given, PASSWORD, PUBLIC, READER_SECRET, WEIGHTED, WRITER_SECRET};
use crate::support::rich::rich;
use crate::support::{AWAY, HOME, drive_to, rehearse, rehearse_well};

/// The workshop, whose applications read two secrets.
fn with_secrets() -> Given {
    let mut given = Given::workshop();
    given.add_secrets();
    given
}

fn labelled(drill: &Drill, region: &str, name: &str, label: &str) -> Value {
    let text = drill
        .sandbox
        .with_world(|world| world.secrets.labelled(region, name, label).map(str::to_owned));
    serde_json::from_str(&text.unwrap_or_else(|| panic!("{name} has no {label}"))).expect("JSON")
}

fn versions(drill: &Drill, region: &str, name: &str) -> usize {
    drill.sandbox.with_world(|world| world.secrets.versions(region, name))
}

fn consumers(ended: &Ended) -> Vec<Value> {
    let output = ended.outcome.output.as_ref().expect("a report");
    output["consumers"].as_array().expect("a list").clone()
}

#[tokio::test(start_paused = true)]
async fn secrets_name_the_rebuilt_clusters_and_keep_all_else_and_the_version_before() {
    let (drill, _) = rehearse_well(&rich()).await;

    for (region, name, cluster, reader, ports) in [
        (HOME, WRITER_SECRET, "gdb1-cluster-restored", "", [3308, 3307]),
        (AWAY, READER_SECRET, "gdb2-cluster-restored", "ro-", [3308, 3308]),
    ] {
        let before = labelled(&drill, region, name, "AWSPREVIOUS");
        let now = labelled(&drill, region, name, "AWSCURRENT");
        let host = now["host"].as_str().expect("a host");
        assert!(host.starts_with(&format!("{cluster}.cluster-{reader}")), "{host}");
        assert_eq!(now["dbClusterIdentifier"], cluster);
        assert_eq!((&before["port"], &now["port"]), (&json!(ports[0]), &json!(ports[1])));
        for kept in ["username", "password", "engine", "dbname"] {
            assert_eq!(now[kept], before[kept], "{name}: {kept}");
        }
        assert_eq!(versions(&drill, region, name), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn record_of_a_group_keeps_all_but_its_value_and_its_neighbours_all() {
    let (drill, _) = rehearse_well(&rich()).await;

    let route53 = drill.aws.dns();
    let list = route53.list_resource_record_sets().hosted_zone_id("Z04873361KQ3ZLLX2R0JB");
    let listed = list.send().await.expect("an answer").resource_record_sets;
    let of = |id: &str| {
        let mut group = listed.iter().filter(|r| r.name().starts_with(WEIGHTED));
        group.find(|r| r.set_identifier() == Some(id)).expect("it is there")
    };
    let (blue, green) = (of("blue"), of("green"));
    assert!(blue.resource_records()[0].value().starts_with("gdb1-cluster-restored.cluster-"));
    assert!(green.resource_records()[0].value().starts_with("gdb2-cluster.cluster-"));
    assert_eq!(
        (blue.weight(), blue.health_check_id(), blue.ttl()),
        (Some(10), Some("check-blue"), Some(60))
    );
    assert_eq!(
        (green.weight(), green.health_check_id(), green.ttl()),
        (Some(0), Some("check-green"), Some(60))
    );
}

#[tokio::test(start_paused = true)]
async fn record_of_a_failover_or_latency_group_keeps_all_but_its_value() {
    let failover = ["PRIMARY", "SECONDARY"].map(|role| RoutingSpec::Failover(role.to_owned()));
    let latency = [HOME, AWAY].map(|region| RoutingSpec::Region(region.to_owned()));
    for routing in [failover, latency] {
        let mut given = Given::workshop();
        given.add_group(["first", "second"], routing.clone());
        let (drill, _) = rehearse_well(&given).await;

        let list = drill.aws.dns().list_resource_record_sets();
        let listed = list.hosted_zone_id(&given.world.hosted_zones[0].id).send().await;
        let listed = listed.expect("an answer").resource_record_sets;
        for (id, routing, host) in [
            ("first", &routing[0], "gdb1-cluster-restored.cluster-"),
            ("second", &routing[1], "gdb2-cluster.cluster-"),
        ] {
            let mut group = listed.iter().filter(|r| r.name().starts_with(WEIGHTED));
            let record = group.find(|r| r.set_identifier() == Some(id)).expect("it is there");
            assert!(record.resource_records()[0].value().starts_with(host), "{record:?}");
            assert_eq!(record.health_check_id(), Some(&*format!("check-{id}")));
            assert_eq!(record.ttl(), Some(60));
            let kept = match routing {
                RoutingSpec::Failover(role) => record.failover().map(|r| r.as_str()) == Some(role),
                RoutingSpec::Region(name) => record.region().map(|r| r.as_str()) == Some(name),
                RoutingSpec::Weight(weight) => record.weight() == Some(i64::from(*weight)),
            };
            assert!(kept, "{record:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn report_says_of_each_consumer_what_is_proven_and_when() {
    let mut given = rich();
    given.add_public_name();
    let (drill, ended) = rehearse_well(&given).await;
    let batches = drill.sandbox.calls();
    let batches = batches.iter().filter(|c| c.operation == "ChangeResourceRecordSets").count();
    assert_eq!(batches, 3, "one for each zone, and one for the reader's name");

    let consumers = consumers(&ended);
    let of = |name: &str| {
        let found =
            consumers.iter().find(|c| c["name"].as_str().is_some_and(|n| n.starts_with(name)));
        found.unwrap_or_else(|| panic!("no {name} in {consumers:#?}"))
    };
    for (name, consumer, proof, from, to) in [
        ("db-writer", "dns", "in_sync", "gdb2-cluster.cluster-", "gdb1-cluster-restored.cluster-"),
        (PUBLIC, "dns", "answered", "gdb2-cluster.cluster-", "gdb1-cluster-restored.cluster-ro-"),
        (WEIGHTED, "dns", "in_sync", "gdb2-cluster.cluster-", "gdb1-cluster-restored.cluster-"),
        (
            "db-reader",
            "dns",
            "in_sync",
            "gdb2-cluster.cluster-ro-",
            "gdb2-cluster-restored.cluster-ro-",
        ),
        (
            WRITER_SECRET,
            "secret",
            "read_back",
            "gdb2-cluster.cluster-",
            "gdb1-cluster-restored.cluster-",
        ),
        (
            READER_SECRET,
            "secret",
            "read_back",
            "gdb2-cluster.cluster-ro-",
            "gdb2-cluster-restored.cluster-ro-",
        ),
    ] {
        let said = of(name);
        assert_eq!(
            (&said["consumer"], &said["proof"]),
            (&json!(consumer), &json!(proof)),
            "{said}"
        );
        let starts =
            |field: &str, with: &str| said[field].as_str().is_some_and(|s| s.starts_with(with));
        assert!(starts("from", from) && starts("to", to), "{said}");
        assert_eq!(said["was_moved"], true, "{said}");
    }
    let seconds = |name: &str| of(name)["seconds_after_promotion"].as_f64().expect("a number");
    assert!(seconds(WRITER_SECRET) < seconds("db-writer"), "a secret need not spread");
    assert!(seconds("db-writer") < 120.0, "{}", seconds("db-writer"));
    assert!(seconds(READER_SECRET) > 600.0, "away is rebuilt by then");
    assert_eq!(consumers.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn writers_secrets_move_between_the_promotion_and_the_retirement_of_away() {
    let (drill, ended) = rehearse_well(&with_secrets()).await;

    let calls = drill.sandbox.calls();
    let at = |operation: &str, resource: &str| {
        let found =
            calls.iter().find(|c| c.operation == operation && c.resource.contains(resource));
        found.unwrap_or_else(|| panic!("no {operation} of {resource}")).at_ms
    };
    let output = ended.outcome.output.as_ref().expect("a report");
    let promoted_ms = output["promoted_at_ms"].as_i64().expect("a moment");
    let writer_ms = at("PutSecretValue", WRITER_SECRET);
    assert!(promoted_ms <= writer_ms && writer_ms < promoted_ms + 60_000, "{writer_ms}");
    assert!(writer_ms < at("DeleteDBCluster", "gdb2-cluster"));
    assert!(at("DeleteDBCluster", "gdb2-cluster") < at("PutSecretValue", READER_SECRET));
}

/// Everything that is kept of all executions, and what every function was told and answered.
fn all_that_is_kept(drill: &Drill) -> String {
    let executions = drill.engine.list_executions();
    let histories =
        executions.iter().map(|e| format!("{:?}", drill.engine.history(&e.execution_arn)));
    let invocations = drill.invocations.borrow();
    let said = invocations.iter().map(|i| format!("{:?}", i.answer));
    histories.chain(said).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_secret_holds_stands_in_no_execution_and_no_answer() {
    let (drill, _) = rehearse_well(&with_secrets()).await;

    let kept = all_that_is_kept(&drill);

    assert!(kept.contains(WRITER_SECRET) && kept.contains("read_back"), "something is kept");
    assert!(!kept.contains(PASSWORD));
}

#[tokio::test(start_paused = true)]
async fn run_stopped_between_two_secrets_is_finished_by_starting_again() {
    let mut given = with_secrets();
    let mut second = given.region(HOME).secrets[0].clone();
    second.name = "orders/batch".to_owned();
    given.region(HOME).secrets.push(second);
    let wanted = json!({ "name": "orders/batch", "region": HOME, "points_to": "home_writer" });
    given.input["endpoints"]["secrets"].as_array_mut().expect("a list").push(wanted);
    let drill = given.drill();
    let denied = Verb::Refuse {
        code: "AccessDeniedException".to_owned(),
        message: "not authorized to perform this".to_owned(),
    };
    drill.sandbox.inject(Fault::next(denied, "PutSecretValue").after(1).repeated(1_000));

    let ended = drill.run("first", given.input.clone()).await.expect("it starts");

    let cause = ended.outcome.cause.unwrap_or_default();
    assert_eq!(ended.outcome.error.as_deref(), Some("WriterNotCutOver"), "{cause}");
    assert!(
        cause.contains("SecretsNotMoved") && cause.contains("AccessDeniedException"),
        "{cause}"
    );
    let moved = drill.sandbox.with_world(|w| {
        w.dns.record("Z04873361KQ3ZLLX2R0JB", "db-writer.workshop.internal", "CNAME").cloned()
    });
    let value = moved.expect("the name is there").values.remove(0);
    assert!(
        value.starts_with("gdb1-cluster-restored"),
        "names move whatever becomes of secrets: {value}"
    );
    assert_eq!(versions(&drill, HOME, WRITER_SECRET), 2, "the first of them was moved");
    assert_eq!(versions(&drill, HOME, "orders/batch"), 1);
    drill.sandbox.change_world(|world| world.faults = Faults::default());

    let ended = drill.run("again", given.input.clone()).await.expect("it starts");

    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    for name in [WRITER_SECRET, "orders/batch"] {
        let host = labelled(&drill, HOME, name, "AWSCURRENT")["host"].to_string();
        assert!(host.contains("gdb1-cluster-restored"), "{host}");
        assert_eq!(versions(&drill, HOME, name), 2, "{name}");
    }
    let ended = drill.run("once-more", given.input.clone()).await.expect("it starts");
    let output = ended.outcome.output.expect("a plan");
    assert_eq!(output["decision"], "NOTHING_TO_DO", "{output:#}");
}

#[tokio::test(start_paused = true)]
async fn rotation_that_is_under_way_is_waited_for_and_its_password_kept() {
    let given = with_secrets();
    let drill = given.drill();
    let client = drill.aws.secretsmanager(HOME);
    let put = client.put_secret_value().secret_id(WRITER_SECRET).version_stages("AWSPENDING");
    let before = labelled(&drill, HOME, WRITER_SECRET, "AWSCURRENT");
    let rotated =
        json!({ "host": before["host"], "username": "orders", "password": "new-password" });
    let pending =
        put.secret_string(rotated.to_string()).send().await.expect("it is put").version_id;
    let pending = pending.expect("an id");
    let machine = machine_arn("failback");
    let started = drill.engine.start_execution(&machine, Some("test"), given.input.clone());
    drive_to(&drill, "WaitForCutOverSecret").await;
    assert_eq!(labelled(&drill, HOME, WRITER_SECRET, "AWSCURRENT"), before, "not under its feet");

    // It ends while the run waits for it.
    let described = client.describe_secret().secret_id(WRITER_SECRET).send().await;
    let stages = described.expect("it is there").version_ids_to_stages.expect("labels");
    let current = stages.iter().find(|(_, labels)| labels.iter().any(|l| l == "AWSCURRENT"));
    let update = client.update_secret_version_stage().secret_id(WRITER_SECRET);
    let update = update.version_stage("AWSCURRENT").move_to_version_id(&pending);
    let update = update.remove_from_version_id(current.expect("one").0);
    update.send().await.expect("the label moves");
    let outcome = drill.engine.wait(&started.expect("it starts")).await;

    assert_eq!(outcome.status, Status::Succeeded, "{:?}", outcome.cause);
    let now = labelled(&drill, HOME, WRITER_SECRET, "AWSCURRENT");
    assert_eq!(now["password"], "new-password");
    assert!(
        now["host"].as_str().is_some_and(|host| host.starts_with("gdb1-cluster-restored")),
        "{now}"
    );
}

#[tokio::test(start_paused = true)]
async fn parts_of_the_floor_are_the_whole_of_it() {
    for given in [Given::workshop(), Given::managed()] {
        let (drill, ended) = rehearse(&given).await;
        let report = Report::gather(&drill, &ended, 7, &given.world);
        let floor = report.floor.expect("clients have written at home");
        let sum: f64 = floor.parts.iter().map(|part| part.seconds).sum();
        assert!((sum - floor.seconds).abs() < 0.001, "{floor:#?}");
        let part = |name: &str| floor.parts.iter().find(|p| p.part == name).map(|p| p.seconds);
        if given.input["strategy"] != "detach" {
            // A client that knows the endpoint of home's cluster writes before any name has moved.
            assert_eq!(part("switchover to verified"), Some(floor.seconds), "{floor:#?}");
            continue;
        }
        assert!(floor.seconds <= report.clients.longest_interruption_s + 0.001, "{floor:#?}");
        let spread = part("propagation of the names").expect("names were moved");
        assert!(spread > 10.0 && spread <= 60.0, "{floor:#?}");
        let cached = part("clients' time to live").expect("always");
        assert!(cached <= 7.0, "five seconds of TTL and one attempt: {floor:#?}");
    }
}
