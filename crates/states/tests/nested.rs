//! Executions that start executions and wait for them.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{Bench, Does, EPOCH_MS, START_EXECUTION, arn, branch, machine, one, says, task, with};
use failback_states::{
    Clock, Definition, Engine, EventType as E, LoadOptions, Status, TaskCall, TaskFuture,
};
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

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_only_started_goes_on_by_itself() {
    let bench = Bench::idle();
    grandchildren(&bench);
    let resource = json!({ "Resource": "arn:aws:states:::states:startExecution" });
    let definition = one(start_child(json!({ "Name": "alone" }), resource));

    let ran = bench.run(definition, json!({})).await;

    let child = "arn:aws:states:eu-west-1:111122223333:execution:child:alone";
    assert_eq!(ran.output(), json!({ "ExecutionArn": child, "StartDate": EPOCH_MS }));
    assert_eq!(ran.took_ms(), 0);
    assert_eq!(bench.engine.wait(child).await.status, Status::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_itself_wait_for_an_execution() {
    let holder: Rc<RefCell<Option<Engine>>> = Rc::default();
    let held = Rc::clone(&holder);
    let waits = move |call: TaskCall| -> TaskFuture<'static> {
        let engine = held.borrow().clone().expect("set below");
        Box::pin(async move {
            let machine = arn("child");
            let name = format!("for-{}", call.state_name);
            let child = engine.start_execution(&machine, Some(&name), json!({})).expect("starts");
            Ok(json!(engine.wait(&child).await.stopped_ms))
        })
    };
    let engine = Engine::new(Clock::new(EPOCH_MS), Rc::new(waits), 1);
    *holder.borrow_mut() = Some(engine.clone());
    let load = |name: &str, definition: Value| {
        let lenient = LoadOptions { require_timeouts: false, ..LoadOptions::default() };
        let loaded = Definition::load_with(name, &definition.to_string(), &lenient);
        engine.create_state_machine(arn(name), loaded.expect("good"));
    };
    load("child", one(json!({ "Type": "Wait", "Seconds": 7 })));
    load(
        "parent",
        one(json!({ "Type": "Parallel", "Branches": [
            branch(json!({ "A": task(json!({ "End": true })) })),
            branch(json!({ "B": task(json!({ "End": true })) })),
        ]})),
    );

    let parent = engine.start_execution(&arn("parent"), None, json!({})).expect("starts");
    let outcome = engine.wait(&parent).await;

    assert_eq!(outcome.output, Some(json!([EPOCH_MS + 7_000, EPOCH_MS + 7_000])));
    holder.borrow_mut().take();
}
