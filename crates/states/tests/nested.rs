//! Executions that start executions and wait for them.

mod common;

use common::{Bench, Does, EPOCH_MS, START_EXECUTION, arn, branch, machine, one, says, task, with};
use failback_states::{EventType as E, Status};
use serde_json::{Value, json};

fn start_child(arguments: Value, fields: Value) -> Value {
    let arguments = with(json!({ "StateMachineArn": arn("child") }), arguments);
    let base = json!({ "Type": "Task", "Resource": START_EXECUTION, "Arguments": arguments });
    with(base, fields)
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_child_is_its_description_with_json_in_it() {
    let bench = Bench::idle();
    let nap =
        json!({ "Type": "Wait", "Seconds": 5, "Output": { "slept": "{% $states.input.s %}" } });
    bench.create("child", one(nap));
    let arguments = json!({ "Name": "{% $states.context.Execution.Name & '-nap' %}",
        "Input": { "s": 5 } });
    let parent = bench.create("parent", one(start_child(arguments, json!({}))));
    let execution =
        bench.engine.start_execution(&parent, Some("monday"), json!({})).expect("it starts");

    let outcome = bench.engine.wait(&execution).await;

    let child = "arn:aws:states:eu-west-1:111122223333:execution:child:monday-nap";
    assert_eq!(
        outcome.output,
        Some(json!({
            "ExecutionArn": child,
            "Input": { "s": 5 },
            "InputDetails": { "Included": true },
            "Name": "monday-nap",
            "Output": { "slept": 5 },
            "OutputDetails": { "Included": true },
            "RedriveCount": 0,
            "StartDate": EPOCH_MS,
            "StateMachineArn": arn("child"),
            "Status": "SUCCEEDED",
            "StopDate": EPOCH_MS + 5_000,
        }))
    );
    let history = bench.engine.history(&execution);
    let types: Vec<E> = history.iter().map(|event| event.event_type).collect();
    assert_eq!(types[2..6], [E::TaskScheduled, E::TaskStarted, E::TaskSubmitted, E::TaskSucceeded]);
    assert_eq!(history[2].detail("resource"), Some("startExecution.sync:2"));
    assert_eq!(history[2].detail("resourceType"), Some("states"));
    let submitted = history[4].json_detail("output").expect("JSON");
    assert_eq!(submitted["ExecutionArn"], json!(child));
}

#[tokio::test(start_paused = true)]
async fn a_failed_child_is_a_failed_task_that_says_why() {
    let bench = Bench::idle();
    bench.create(
        "child",
        machine(json!({
            "Stop": { "Type": "Fail", "Error": "PlanRefused", "Cause": "two writers" },
        })),
    );
    let definition = machine(json!({
        "Start": start_child(json!({}), json!({
            "Catch": [
                { "ErrorEquals": ["PlanRefused"], "Next": "Never" },
                { "ErrorEquals": ["States.TaskFailed"], "Next": "Caught",
                  "Output": "{% $parse($states.errorOutput.Cause) %}" },
            ],
            "Next": "Never",
        })),
        "Never": { "Type": "Fail", "Error": "Never" },
        "Caught": { "Type": "Pass", "End": true },
    }));

    let ran = bench.run(definition, json!({})).await;

    let cause = ran.output();
    assert_eq!(cause["Status"], json!("FAILED"));
    assert_eq!(cause["Error"], json!("PlanRefused"));
    assert_eq!(cause["Cause"], json!("two writers"));
    assert_eq!(cause["Input"], json!("{}"), "the description in a cause holds text");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_times_out_or_is_stopped_fails_the_task() {
    let bench = Bench::idle();
    let nap = one(json!({ "Type": "Wait", "Seconds": 600 }));
    bench.create("child", with(nap, json!({ "TimeoutSeconds": 60 })));

    let timed_out = bench.run(one(start_child(json!({}), json!({}))), json!({})).await;
    let started = one(start_child(json!({ "Name": "stopped" }), json!({})));
    let parent = bench.start(started, json!({}));
    bench.engine.drive_for(1_000).await;
    let child = "arn:aws:states:eu-west-1:111122223333:execution:child:stopped";
    assert!(bench.engine.stop_execution(child, None, None));
    let stopped = bench.engine.wait(&parent).await;

    assert_eq!(timed_out.error(), "States.TaskFailed");
    assert!(timed_out.cause().contains("\"TIMED_OUT\""), "{}", timed_out.cause());
    assert_eq!(stopped.error.as_deref(), Some("States.TaskFailed"));
    assert!(stopped.cause.expect("a cause").contains("\"ABORTED\""));
}

fn grandchildren(bench: &Bench) {
    bench.create("grandchild", one(json!({ "Type": "Wait", "Seconds": 3600 })));
    let start = json!({ "Type": "Task", "Resource": START_EXECUTION,
        "Arguments": { "StateMachineArn": arn("grandchild") } });
    bench.create("child", one(start));
}

fn statuses(bench: &Bench) -> Vec<Status> {
    bench.engine.list_executions().into_iter().map(|e| e.outcome.status).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stopped_parent_stops_its_children_and_theirs() {
    let bench = Bench::idle();
    grandchildren(&bench);
    let parent = bench.start(one(start_child(json!({}), json!({}))), json!({}));
    bench.engine.drive_for(10_000).await;
    assert_eq!(statuses(&bench), [Status::Running; 3]);

    bench.engine.stop_execution(&parent, None, None);

    assert_eq!(statuses(&bench), [Status::Aborted; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_times_out_stops_its_child() {
    let bench = Bench::idle();
    grandchildren(&bench);
    let definition = one(start_child(json!({}), json!({ "TimeoutSeconds": 30 })));

    let ran = bench.run(definition, json!({})).await;

    assert_eq!(ran.error(), "States.Timeout");
    assert_eq!(statuses(&bench), [Status::Failed, Status::Aborted, Status::Aborted]);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_times_out_stops_its_child() {
    let bench = Bench::idle();
    grandchildren(&bench);
    let definition = one(start_child(json!({}), json!({})));

    let ran = bench.run(with(definition, json!({ "TimeoutSeconds": 30 })), json!({})).await;

    assert_eq!(ran.outcome.status, Status::TimedOut);
    assert_eq!(statuses(&bench), [Status::TimedOut, Status::Aborted, Status::Aborted]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_branch_stops_the_child_of_another() {
    let bench = Bench::new(|_| common::after(1_000, Does::Fail("Broken")));
    grandchildren(&bench);
    let definition = one(json!({ "Type": "Parallel", "Branches": [
        branch(json!({ "Start": start_child(json!({}), json!({ "End": true })) })),
        branch(json!({ "Ask": task(json!({ "End": true })) })),
    ]}));

    let ran = bench.run(definition, json!({})).await;

    assert_eq!(ran.error(), "Broken");
    assert_eq!(statuses(&bench), [Status::Failed, Status::Aborted, Status::Aborted]);
}

#[tokio::test(start_paused = true)]
async fn the_name_of_an_ended_child_is_refused() {
    let bench = Bench::idle();
    bench.create("child", says(json!(1)));
    let definition = one(start_child(json!({ "Name": "again" }), json!({})));

    let first = bench.run(definition.clone(), json!({})).await;
    let second = bench.run(definition, json!({})).await;

    assert_eq!(first.outcome.status, Status::Succeeded);
    assert_eq!(second.error(), "StepFunctions.ExecutionAlreadyExistsException");
}

#[tokio::test(start_paused = true)]
async fn a_child_without_a_machine_is_a_failed_task() {
    let ran = Bench::idle().run(one(start_child(json!({}), json!({}))), json!({})).await;

    assert_eq!(ran.error(), "StepFunctions.StateMachineDoesNotExistException");
}
