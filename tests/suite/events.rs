//! Runs that nobody starts: what is said of home, on the bus of the stack.

use failback_cli::approver::Approver;
use failback_cli::drill::Drill;
use failback_cli::report::invariants;
use failback_sandbox::{Fault, Verb};
use failback_states::{Outcome, Status};
use serde_json::{Value, json};

use crate::lockstep::{source, template};
use crate::support::given::Given;
use crate::support::{AWAY, HOME, call, effects};
use crate::switchover::before_the_disaster;

/// A sample event.
pub fn event(name: &str) -> Value {
    serde_json::from_str(&source::read(&format!("tests/events/{name}.json"))).expect("it is JSON")
}

/// Whether a pattern of a rule matches: the part of EventBridge's syntax that the template uses.
fn matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, inner)| matches(inner, &event[name])),
        Value::Array(any) => any.iter().any(|wanted| match wanted["prefix"].as_str() {
            Some(prefix) => event.as_str().is_some_and(|text| text.starts_with(prefix)),
            None => wanted == event,
        }),
        other => panic!("{other} is no pattern"),
    }
}

/// A pattern with its parameters put in, as the stack of the workshop has them.
fn resolved(pattern: &Value) -> Value {
    let defaults = template::load("template.yaml")["Parameters"].clone();
    match pattern {
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("!Ref") => {
            match pattern["!Ref"].as_str() {
                Some("HomeRegion") => json!(HOME),
                Some(parameter) => defaults[parameter]["Default"].clone(),
                None => panic!("{pattern} refers to nothing"),
            }
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, inner)| (name.clone(), resolved(inner))).collect()
        }
        Value::Array(items) => items.iter().map(resolved).collect(),
        other => other.clone(),
    }
}

/// The rules of the template that an event meets.
fn rules(event: &Value) -> Vec<String> {
    let rules = template::resources("AWS::Events::Rule").into_iter();
    let met = rules.filter(|(_, r)| matches(&resolved(&r["Properties"]["EventPattern"]), event));
    met.map(|(id, _)| id).collect()
}

/// Puts an event on the bus. Answers what the function said, if a rule let the event through.
pub async fn put(drill: &Drill, name: &str) -> Vec<String> {
    let event = event(name);
    let mut said = Vec::new();
    for _ in rules(&event) {
        let answer = call(drill, "hear_event", event.clone()).await;
        let answer = answer.unwrap_or_else(|e| panic!("{name}: {}: {}", e.name(), e.message()));
        said.push(answer["detail"].as_str().expect("a detail").to_owned());
    }
    said
}

async fn put_all(drill: &Drill, names: &[&str]) {
    for name in names {
        assert_eq!(put(drill, name).await.len(), 1, "{name} meets one rule");
    }
}

/// The executions of a machine, the first started first.
fn executions(drill: &Drill, machine: &str) -> Vec<String> {
    let of_machine = format!(":execution:{machine}:");
    let mut all: Vec<_> = drill.engine.list_executions();
    all.sort_by_key(|e| e.outcome.started_ms);
    all.iter().map(|e| e.execution_arn.clone()).filter(|arn| arn.contains(&of_machine)).collect()
}

/// How the only wait for home's recovery ended.
async fn awaited(drill: &Drill) -> Outcome {
    let all = executions(drill, "await-recovery");
    assert_eq!(all.len(), 1, "{all:?}");
    drill.engine.wait(&all[0]).await
}

fn said(outcome: &Outcome) -> (bool, String) {
    let output = outcome.output.as_ref().unwrap_or_else(|| panic!("{outcome:?}"));
    (output["started"] == true, output["detail"].as_str().unwrap_or_default().to_owned())
}

/// Brings the only failback to its end, somebody approving everything.
async fn approved(drill: &Drill) -> Outcome {
    let all = executions(drill, "failback");
    assert_eq!(all.len(), 1, "{all:?}");
    tokio::select! {
        outcome = drill.engine.wait(&all[0]) => outcome,
        never = drill.questions.answer(Approver::Auto, &drill.aws, &drill.clock) => match never {},
    }
}

#[tokio::test(start_paused = true)]
async fn region_that_is_back_starts_a_failback_that_asks_before_it_acts() {
    let given = Given::workshop();
    let drill = given.deployed();
    let began_ms = drill.clock.now_ms();
    put_all(&drill, &["health-open", "health-resolved-open"]).await;

    let outcome = awaited(&drill).await;

    assert!(said(&outcome).0, "{outcome:?}");
    let waited_ms = outcome.stopped_ms.expect("it ended") - began_ms;
    assert!((1_800_000..1_900_000).contains(&waited_ms), "half an hour: {waited_ms}");
    let names = executions(&drill, "failback");
    let incident = names[0].rsplit(':').next().expect("a name").to_owned();
    assert!(incident.starts_with("incident-ec2-"), "{incident}");
    assert!(executions(&drill, "await-recovery")[0].ends_with(&incident), "{incident}");

    let outcome = approved(&drill).await;

    assert_eq!(outcome.status, Status::Succeeded, "{:?}", outcome.cause);
    let output = outcome.output.clone().expect("a report");
    assert_eq!(output["approvals"].as_array().map(Vec::len), Some(3), "{output}");
    let ended = failback_cli::drill::Ended {
        outcome,
        arn: names[0].clone(),
        phase_began_ms: Default::default(),
        moments: Default::default(),
        tables: Vec::new(),
    };
    for invariant in invariants(&drill.sandbox, &ended, &given.world) {
        assert!(invariant.held, "{}: {}", invariant.name, invariant.seen);
    }
}

#[tokio::test(start_paused = true)]
async fn copies_of_an_event_start_nothing_more() {
    let drill = Given::workshop().deployed();
    let copies = ["health-resolved-open", "health-duplicate", "health-backup-copy", "health-open"];
    put_all(&drill, &copies).await;
    assert!(said(&awaited(&drill).await).0);

    put_all(&drill, &copies).await;
    drill.engine.drive_for(7_200_000).await;

    assert_eq!(executions(&drill, "await-recovery").len(), 1);
    assert_eq!(executions(&drill, "failback").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_while_another_event_of_the_incident_is_open() {
    let drill = Given::workshop().deployed();
    put_all(&drill, &["health-open", "health-account-open", "alarm-alarm"]).await;

    let first = put(&drill, "health-resolved-open").await;
    let second = put(&drill, "health-closed").await;

    assert!(first[0].contains("still open: ") && first[0].contains("RDS"), "{first:?}");
    assert!(second[0].contains("failback-home-canary"), "{second:?}");
    assert!(executions(&drill, "await-recovery").is_empty());
    put_all(&drill, &["alarm-ok"]).await;
    assert!(said(&awaited(&drill).await).0);
    assert_eq!(executions(&drill, "failback").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn alarm_back_to_ok_starts_a_failback_and_nothing_else_an_alarm_says() {
    let drill = Given::workshop().deployed();
    put_all(&drill, &["alarm-no-data", "alarm-ok-not-from-alarm"]).await;
    assert!(executions(&drill, "await-recovery").is_empty(), "it was in no trouble");

    let drill = Given::workshop().deployed();
    put_all(&drill, &["alarm-ok"]).await;
    assert!(said(&awaited(&drill).await).0);
}

#[tokio::test(start_paused = true)]
async fn events_about_something_else_are_not_heard() {
    let drill = Given::workshop().deployed();
    for name in ["health-other-region", "health-scheduled", "alarm-other-name"] {
        assert!(put(&drill, name).await.is_empty(), "{name} meets a rule");
    }
    // Rules see no affected account, and a rule that was changed by hand sees anything.
    for name in ["health-other-region", "health-scheduled", "health-other-account"] {
        let answer = call(&drill, "hear_event", event(name)).await;
        let answer = answer.unwrap_or_else(|e| panic!("{name}: {}", e.message()));
        assert!(
            answer["detail"].as_str().unwrap_or_default().starts_with("not heard: "),
            "{answer}"
        );
    }
    assert!(executions(&drill, "await-recovery").is_empty());
    assert!(effects(&drill.sandbox.calls()).is_empty(), "nothing is remembered of them");
}

#[tokio::test(start_paused = true)]
async fn event_that_cannot_be_read_is_refused_by_its_field() {
    let drill = Given::workshop().deployed();
    for (name, field, path) in [
        ("health-closed", "statusCode", "detail.statusCode"),
        ("health-closed", "eventArn", "detail.eventArn"),
        ("alarm-ok", "state", "detail.state.timestamp"),
    ] {
        let mut event = event(name);
        event["detail"].as_object_mut().expect("an object").remove(field);
        let error = call(&drill, "hear_event", event).await.expect_err("it lacks it");
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.message().contains(path), "{}", error.message());
    }
    let mut forecast = event("health-resolved-open");
    forecast["detail"]["endTime"] = json!("Mon, 05 Jan 2026 09:00:00 GMT");
    call(&drill, "hear_event", forecast).await.expect("it is read");
    assert!(executions(&drill, "await-recovery").is_empty(), "an end that lies ahead is none");
}

#[tokio::test(start_paused = true)]
async fn trouble_in_the_window_holds_the_failback_until_its_own_end() {
    let drill = Given::workshop().deployed();
    put_all(&drill, &["health-resolved-open"]).await;
    drill.engine.drive_for(600_000).await;
    put_all(&drill, &["health-account-open"]).await;

    let outcome = awaited(&drill).await;

    let (started, why) = said(&outcome);
    assert!(!started && why.contains("in trouble once more"), "{why}");
    assert!(executions(&drill, "failback").is_empty());
    put_all(&drill, &["health-closed"]).await;
    let second = executions(&drill, "await-recovery").pop().expect("awaited anew");
    assert!(said(&drill.engine.wait(&second).await).0);
    assert_eq!(executions(&drill, "failback").len(), 1);
}

/// A Region whose service does not answer so many times.
fn impair(drill: &Drill, service: &str, operation: &str, times: u32) {
    let fault = Fault::next(Verb::InternalError, operation).repeated(times);
    let (service, region) = (Some(service.to_owned()), Some(HOME.to_owned()));
    drill.sandbox.inject(Fault { service, region, ..fault });
}

#[tokio::test(start_paused = true)]
async fn home_whose_services_do_not_answer_is_waited_for_and_its_window_begins_anew() {
    for (service, operation) in [
        ("rds", "DescribeDBClusters"),
        ("rds", "DescribeDBSubnetGroups"),
        ("ec2", "DescribeNetworkAcls"),
    ] {
        let drill = Given::workshop().deployed();
        let began_ms = drill.clock.now_ms();
        put_all(&drill, &["health-resolved-open"]).await;
        // A quarter of an hour well, then ten minutes without an answer.
        drill.engine.drive_for(900_000).await;
        impair(&drill, service, operation, 10);

        let outcome = awaited(&drill).await;

        assert!(said(&outcome).0, "{operation}: {outcome:?}");
        let waited_ms = outcome.stopped_ms.expect("it ended") - began_ms;
        assert!((3_200_000..3_500_000).contains(&waited_ms), "{operation}: {waited_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn home_that_does_not_come_back_ends_the_wait_by_name() {
    let drill = Given::workshop().deployed();
    impair(&drill, "rds", "DescribeDBClusters", u32::MAX);
    put_all(&drill, &["health-resolved-open"]).await;

    let outcome = awaited(&drill).await;

    assert_eq!(outcome.error.as_deref(), Some("HomeNotRecovered"), "{outcome:?}");
    assert!(outcome.cause.clone().unwrap_or_default().contains("rds:DescribeDBClusters"));
    let length_ms = outcome.stopped_ms.expect("it ended") - outcome.started_ms;
    assert!((43_200_000..43_400_000).contains(&length_ms), "twelve hours: {length_ms}");
    assert!(executions(&drill, "failback").is_empty());
}

#[tokio::test(start_paused = true)]
async fn home_without_its_subnet_group_is_not_back() {
    let mut given = Given::workshop();
    given.accident(|world| {
        let region = world.rds.regions.get_mut(HOME).expect("home");
        region.subnet_groups.clear();
    });
    given.input["limits"] = json!({ "stable_s": 60, "recover_s": 600 });
    let drill = given.deployed();
    put_all(&drill, &["health-resolved-open"]).await;

    let outcome = awaited(&drill).await;

    assert_eq!(outcome.error.as_deref(), Some("HomeNotRecovered"), "{outcome:?}");
    assert!(outcome.cause.unwrap_or_default().contains("DB subnet group"));
}

#[tokio::test(start_paused = true)]
async fn call_that_is_forbidden_ends_the_wait_by_name_at_once() {
    let drill = Given::workshop().deployed();
    let (code, message) = ("AccessDenied".to_owned(), "not authorized".to_owned());
    let refuse = Fault::next(Verb::Refuse { code, message }, "DescribeDBClusters");
    drill.sandbox.inject(Fault { region: Some(AWAY.to_owned()), ..refuse });
    put_all(&drill, &["health-resolved-open"]).await;

    let outcome = awaited(&drill).await;

    assert_eq!(outcome.error.as_deref(), Some("FailbackNotStarted"), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_where_nothing_is_to_be_brought_home() {
    // In quiet times home holds the writer: an incident that nobody failed over for.
    let setup = before_the_disaster();
    let mut given = Given::workshop();
    (given.world, given.input) = (setup.world, setup.input);
    let drill = given.deployed();
    put_all(&drill, &["health-resolved-open"]).await;

    let outcome = awaited(&drill).await;

    let (started, why) = said(&outcome);
    assert!(!started && why.starts_with("nothing to bring home"), "{why}");
    assert!(executions(&drill, "failback").is_empty());

    // And after a failback.
    let drill = Given::workshop().deployed();
    let ended = drill.run("by-hand", json!({})).await.expect("it starts");
    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    put_all(&drill, &["health-resolved-open"]).await;
    assert!(!said(&awaited(&drill).await).0);
    assert_eq!(executions(&drill, "failback").len(), 1, "only the one by hand");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_while_a_run_is_at_work() {
    let mut given = Given::workshop();
    given.input["approvals"] = json!({ "retire_home": true });
    let drill = given.deployed();
    let first = crate::approvals::wait_for_question(&drill, &json!({})).await;
    put_all(&drill, &["health-resolved-open"]).await;

    let outcome = awaited(&drill).await;

    let (started, why) = said(&outcome);
    assert!(!started && why.contains("a second one is not started"), "{why}");
    assert_eq!(executions(&drill, "failback"), [first]);
}

#[tokio::test(start_paused = true)]
async fn incident_is_heard_and_started_once_although_replies_are_lost() {
    for (service, operation) in
        [("dynamodb", "GetItem"), ("dynamodb", "PutItem"), ("states", "StartExecution")]
    {
        for verb in [Verb::LoseReply, Verb::Throttle] {
            let drill = Given::workshop().deployed();
            let fault = Fault::next(verb.clone(), operation);
            drill.sandbox.inject(Fault { service: Some(service.to_owned()), ..fault });
            // EventBridge and Lambda deliver again what was not taken.
            let event = event("health-resolved-open");
            let mut tries = 0;
            while call(&drill, "hear_event", event.clone()).await.is_err() {
                tries += 1;
                assert!(tries < 3, "{verb:?} {operation}");
            }
            assert_eq!(tries, 1, "{verb:?} {operation} befell it");
            let fault = Fault::next(verb.clone(), "StartExecution");
            drill.sandbox.inject(Fault { service: Some("states".to_owned()), ..fault });

            assert!(said(&awaited(&drill).await).0, "{verb:?} {operation}");
            assert_eq!(executions(&drill, "failback").len(), 1, "{verb:?} {operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_events_heard_at_the_same_moment_are_both_remembered() {
    let drill = Given::workshop().deployed();
    let one = failback::call("hear_event", &drill.aws, event("health-open"));
    let other = failback::call("hear_event", &drill.aws, event("health-account-open"));
    let (one, other) = tokio::join!(one, other);
    one.and(other).expect("both are heard");

    put_all(&drill, &["health-resolved-open"]).await;
    assert!(executions(&drill, "await-recovery").is_empty(), "the other one is open");
    put_all(&drill, &["health-closed"]).await;
    assert_eq!(executions(&drill, "await-recovery").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stack_may_have_events_start_what_the_request_says() {
    let drill = Given::workshop().deployed_with(|stack| stack.events_as_requested = true);
    put_all(&drill, &["health-resolved-open"]).await;
    assert!(said(&awaited(&drill).await).0);

    let arn = executions(&drill, "failback").pop().expect("it is started");
    let outcome = drill.engine.wait(&arn).await;

    assert_eq!(outcome.status, Status::Succeeded, "nobody is asked: {:?}", outcome.cause);
}
