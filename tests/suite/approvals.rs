//! Runs that ask a person, and runs that meet each other.

use crate::support;
use crate::support::given::Given;
use crate::support::{AWAY, drive_to, effects};
use failback_cli::approver::Approver;
use failback_cli::definitions::machine_arn;
use failback_cli::drill::{Drill, Ended};
use failback_cli::report::invariants;
use failback_sandbox::table::Attribute;
use failback_sandbox::{Fault, Verb};
use failback_states::Status;
use serde_json::{Value, json};

/// The workshop, in which everything is asked about.
pub fn asking() -> Given {
    let mut given = Given::workshop();
    given.input["approvals"] =
        json!({ "retire_home": true, "promote_home": true, "retire_away": true });
    given
}

async fn run(given: &Given, approver: Approver) -> (Drill, Ended) {
    let drill = given.drill();
    drill.approve_by(approver);
    let ended = drill.run("asking", given.input.clone()).await.expect("the execution starts");
    (drill, ended)
}

fn assert_ends_by(ended: &Ended, name: &str) {
    assert_eq!(ended.outcome.error.as_deref(), Some(name), "{:?}", ended.outcome.cause);
}

fn assert_invariants(drill: &Drill, ended: &Ended, given: &Given) {
    for invariant in invariants(&drill.sandbox, ended, &given.world) {
        assert!(invariant.held, "{}: {}", invariant.name, invariant.seen);
    }
}

/// What the stack's table holds under keys that begin like this.
fn kept(drill: &Drill, prefix: &str) -> Vec<String> {
    drill.sandbox.with_world(|world| {
        let keys = world.tables.items(AWAY, "failback").map(|(id, _)| id.to_owned());
        keys.filter(|key| key.starts_with(prefix)).collect()
    })
}

/// Starts a run and lets it come as far as the first question.
pub async fn wait_for_question(drill: &Drill, input: &Value) -> String {
    let arn = drill
        .engine
        .start_execution(&machine_arn("failback"), Some("first"), input.clone())
        .expect("it starts");
    for _ in 0..100 {
        if !drill.sandbox.messages().is_empty() {
            return arn;
        }
        drill.engine.drive_for(5_000).await;
    }
    panic!("nobody was asked");
}

pub async fn answer(drill: &Drill, decision: &str, gate: &str) -> Result<Value, String> {
    let payload = json!({
        "approval_id": format!("first-0-{gate}"),
        "decision": decision,
        "who": "Ada",
        "why": "looked at the graphs",
    });
    let answer = support::call(drill, "answer_approval", payload).await;
    answer.map_err(|e| format!("{}: {}", e.name(), e.message()))
}

#[tokio::test(start_paused = true)]
async fn approved_run_ends_well_and_reports_who_approved() {
    let given = asking();
    let (drill, ended) = run(&given, Approver::Auto).await;

    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    assert_invariants(&drill, &ended, &given);
    let output = ended.outcome.output.expect("a report");
    let approvals = output["approvals"].as_array().expect("a list");
    let ids: Vec<_> = approvals.iter().map(|a| a["approval_id"].as_str().unwrap_or("")).collect();
    let gates = ["asking-0-retire-home", "asking-0-promote-home", "asking-0-retire-away"];
    assert_eq!(ids, gates);
    assert_eq!(approvals[0]["who"], "the operator of the rehearsal");
    assert_eq!(output["proof"]["kind"], "lag_samples");
}

#[tokio::test(start_paused = true)]
async fn rejected_step_is_not_taken_and_away_serves() {
    let given = asking();
    let (drill, ended) = run(&given, Approver::Reject).await;

    assert_ends_by(&ended, "ApprovalRejected");
    let cause = ended.outcome.cause.clone().unwrap_or_default();
    assert!(cause.contains("it is a rehearsal"), "who and why: {cause}");
    assert_invariants(&drill, &ended, &given);
    let changes = effects(&drill.sandbox.calls());
    assert!(!changes.keys().any(|c| c.starts_with("rds:") || c.starts_with("ec2:")), "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_a_no() {
    let given = asking();
    let (drill, ended) = run(&given, Approver::Nobody).await;

    assert_ends_by(&ended, "ApprovalNotGiven");
    let length_ms = ended.outcome.stopped_ms.expect("it ended") - ended.outcome.started_ms;
    assert!((14_400_000..14_600_000).contains(&length_ms), "four hours: {length_ms}");
    assert_invariants(&drill, &ended, &given);
    let late = failback::call(
        "answer_approval",
        &drill.aws,
        json!({ "approval_id": "asking-0-retire-home", "decision": "approve", "who": "A", "why": "b" }),
    );
    let error = late.await.expect_err("nobody waits any more");
    assert_eq!(error.name(), "ApprovalNotOpen", "{}", error.message());
}

#[tokio::test(start_paused = true)]
async fn first_answer_counts() {
    let given = asking();
    let drill = given.drill();
    wait_for_question(&drill, &given.input).await;

    assert!(answer(&drill, "approve", "promote-home").await.is_err(), "not asked yet");
    answer(&drill, "approve", "retire-home").await.expect("the run waits for it");
    answer(&drill, "approve", "retire-home").await.expect("the same once more");
    let error = answer(&drill, "reject", "retire-home").await.expect_err("it is approved");
    assert!(error.contains("answered already: approve"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn asking_and_answering_survive_lost_replies_and_throttling() {
    let calls = [
        ("dynamodb", "PutItem"),
        ("sns", "Publish"),
        ("dynamodb", "UpdateItem"),
        ("states", "SendTaskSuccess"),
    ];
    for (service, operation) in calls {
        for verb in [Verb::LoseReply, Verb::Throttle] {
            let given = asking();
            let drill = given.drill();
            drill.approve_by(Approver::Auto);
            let fault = Fault::next(verb.clone(), operation);
            drill.sandbox.inject(Fault { service: Some(service.to_owned()), ..fault });
            let ended = drill.run("asking", given.input.clone()).await.expect("it starts");

            let text = format!("{verb:?} {operation}: {:?}", ended.outcome.cause);
            assert_eq!(ended.outcome.status, Status::Succeeded, "{text}");
            assert_invariants(&drill, &ended, &given);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answer_needs_an_author_and_a_reason() {
    let given = asking();
    let drill = given.drill();
    wait_for_question(&drill, &given.input).await;
    for field in ["who", "why"] {
        let mut payload = json!({
            "approval_id": "first-0-retire-home", "decision": "approve", "who": "Ada", "why": "so",
        });
        payload[field] = json!(" ");
        let error = support::call(&drill, "answer_approval", payload).await;
        assert!(error.expect_err("it is empty").message().contains(&format!("`{field}`")));
    }
}

#[tokio::test(start_paused = true)]
async fn task_token_stands_in_no_message_and_no_answer() {
    let given = asking();
    let drill = given.drill();
    wait_for_question(&drill, &given.input).await;
    let token = drill.sandbox.with_world(|world| {
        let item = world.tables.item(AWAY, "failback", "approval#first-0-retire-home");
        match item.expect("the approval is kept").get("token") {
            Some(Attribute::S(token)) => token.clone(),
            other => panic!("{other:?} is no token"),
        }
    });

    for message in drill.sandbox.messages() {
        assert!(!message.text.contains(&token), "{}", message.text);
        assert!(message.text.contains("first-0-retire-home"), "{}", message.text);
    }
    let answers = drill.invocations.borrow().clone();
    let asked = answers.iter().find(|i| i.function == "request_approval").expect("it was asked");
    assert!(!asked.answer.as_ref().expect("it worked").to_string().contains(&token));
}

#[tokio::test(start_paused = true)]
async fn world_that_changed_while_the_run_waited_is_not_touched() {
    let given = asking();
    let drill = given.drill();
    let arn = wait_for_question(&drill, &given.input).await;
    drill.sandbox.change_world(|world| {
        let region = world.rds.regions.get_mut(support::HOME).expect("home");
        let cluster = region.clusters.get_mut("gdb1-cluster").expect("it is there");
        cluster.settings.deletion_protection = !cluster.settings.deletion_protection;
    });
    let before = drill.sandbox.calls_made();
    answer(&drill, "approve", "retire-home").await.expect("the run waits for it");

    let outcome = drill.engine.wait(&arn).await;

    assert_eq!(outcome.error.as_deref(), Some("TopologyDrifted"), "{:?}", outcome.cause);
    let cause = outcome.cause.unwrap_or_default();
    assert!(
        cause.contains("gdb1-cluster in us-east-1: was") && cause.contains("protected"),
        "{cause}"
    );
    let changes = effects(&drill.sandbox.calls_after(before));
    assert!(!changes.keys().any(|c| c.starts_with("rds:") || c.starts_with("ec2:")), "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn second_run_is_refused_while_one_runs() {
    let given = asking();
    let drill = given.drill();
    let first = wait_for_question(&drill, &given.input).await;
    let before = drill.sandbox.fingerprint();

    let second = drill.run("second", given.input.clone()).await.expect("it starts");

    assert_ends_by(&second, "AnotherRunInProgress");
    assert!(second.outcome.cause.unwrap_or_default().contains(&first));
    assert_eq!(drill.sandbox.fingerprint(), before, "it changed nothing");
}

#[tokio::test(start_paused = true)]
async fn two_runs_started_at_the_same_moment_are_one() {
    let given = Given::workshop();
    let drill = given.drill();
    let machine = machine_arn("failback");
    let start = |name: &str| {
        drill.engine.start_execution(&machine, Some(name), given.input.clone()).expect("it starts")
    };
    let (one, other) = (start("one"), start("other"));
    let ended = [drill.engine.wait(&one).await, drill.engine.wait(&other).await];

    let good = ended.iter().filter(|o| o.status == Status::Succeeded).count();
    let errors: Vec<_> = ended.iter().filter_map(|o| o.error.clone()).collect();
    assert_eq!(good, 1, "{errors:?}");
    assert!(["AnotherRunInProgress", "LockNotAcquired"].contains(&&*errors[0]), "{errors:?}");
    assert!(drill.sandbox.measured().moments_with_two_writable_clusters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn lock_of_a_run_that_was_stopped_is_taken_over() {
    let given = asking();
    let drill = given.drill();
    let first = wait_for_question(&drill, &given.input).await;
    drill.engine.stop_execution(&first, Some("Stopped"), Some("by the operator"));
    assert_eq!(kept(&drill, "lock#"), ["lock#reinvent-dat348-gdb"], "it could not release it");

    drill.approve_by(Approver::Auto);
    let ended = drill.run("second", given.input.clone()).await.expect("it starts");

    assert_eq!(ended.outcome.status, Status::Succeeded, "{:?}", ended.outcome.cause);
    assert_invariants(&drill, &ended, &given);
    assert!(kept(&drill, "lock#").is_empty() && kept(&drill, "memory#").is_empty());
}

#[tokio::test(start_paused = true)]
async fn fence_that_a_stopped_run_left_is_lifted_before_anything_is_planned() {
    let mut given = Given::workshop();
    let drill = given.drill();
    let machine = machine_arn("failback");
    let arn = drill.engine.start_execution(&machine, Some("first"), given.input.clone());
    let arn = arn.expect("it starts");
    drive_to(&drill, "CheckReplicationBehindFence").await;
    drill.engine.stop_execution(&arn, Some("Stopped"), Some("by the operator"));
    assert!(drill.sandbox.with_world(|w| w.writable_clusters()).is_empty(), "away is fenced");

    // No plan can be made of this: the fence goes all the same.
    given.input["home"]["network"]["fence_acl_id"] = json!("acl-0123456789abcdef0");
    let ended = drill.run("second", given.input.clone()).await.expect("it starts");

    assert_ends_by(&ended, "FailbackRefused");
    let writable = drill.sandbox.with_world(|w| w.writable_clusters());
    assert_eq!(writable.len(), 1, "away serves again: {writable:?}");
    assert_eq!(writable[0].cluster_id, "gdb2-cluster");
}

#[tokio::test(start_paused = true)]
async fn phases_that_are_stopped_leave_no_fence_and_no_lock() {
    for machine in ["bring-home", "promote-home"] {
        let given = Given::workshop();
        let drill = given.drill();
        let started = drill.engine.start_execution(
            &machine_arn("failback"),
            Some("first"),
            given.input.clone(),
        );
        let arn = started.expect("it starts");
        drive_to(&drill, "CheckReplicationBehindFence").await;
        let running = drill.engine.list_executions();
        let of_machine = format!(":execution:{machine}:");
        let child = running.iter().find(|e| e.execution_arn.contains(&of_machine)).expect("runs");
        drill.engine.stop_execution(&child.execution_arn, Some("Stopped"), Some("by hand"));

        let outcome = drill.engine.wait(&arn).await;

        let name = outcome.error.as_deref().unwrap_or_default();
        assert!(["RunInterrupted", "PromotionCalledOff"].contains(&name), "{machine}: {name}");
        let writable = drill.sandbox.with_world(|w| w.writable_clusters());
        assert_eq!(writable.len(), 1, "{machine}: away serves again: {writable:?}");
        assert!(kept(&drill, "lock#").is_empty(), "{machine}");
    }
}
