//! The history as AWS writes it, observers, and the same seed giving the same history.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{Bench, Does, machine, task};
use failback_states::EventType;
use serde_json::{Value, json};

fn lively() -> Value {
    machine(json!({
        "Name": { "Type": "Pass", "Assign": { "id": "{% $uuid() %}", "r": "{% $random() %}" },
            "Next": "Ask" },
        "Ask": task(json!({ "Next": "Each",
            "Retry": [{ "ErrorEquals": ["States.ALL"], "JitterStrategy": "FULL" }] })),
        "Each": { "Type": "Map", "Items": [1, 2, 3], "End": true, "ItemProcessor": {
            "StartAt": "Nap", "States": { "Nap": { "Type": "Wait",
                "Seconds": "{% $floor($random() * 100) %}", "End": true } } } },
    }))
}

async fn history_of(seed: u64) -> String {
    let bench = Bench::seeded(seed, |call| match call.attempt {
        0..=2 => Does::Fail("Busy"),
        _ => Does::Answer(json!({})),
    });
    let ran = bench.run(lively(), json!({})).await;
    serde_json::to_string(&ran.history).expect("it serializes")
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_history_byte_for_byte() {
    let first = history_of(42).await;

    assert_eq!(first, history_of(42).await);
    assert_ne!(first, history_of(43).await);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_written_as_aws_writes_it() {
    let bench = Bench::new(|_| Does::Answer(json!({ "Payload": 1 })));
    let definition = machine(json!({
        "Ask": task(json!({ "TimeoutSeconds": 60, "Assign": { "n": [1] }, "End": true })),
    }));

    let ran = bench.run(definition, json!({ "a": 1 })).await;

    let history = serde_json::to_value(&ran.history).expect("it serializes");
    assert_eq!(
        history,
        json!([
            { "timestamp": "2027-01-15T08:00:00.000Z", "type": "ExecutionStarted", "id": 1,
              "previousEventId": 0, "executionStartedEventDetails": {
                "input": "{\"a\":1}", "inputDetails": { "truncated": false },
                "roleArn": "arn:aws:iam::111122223333:role/states" } },
            { "timestamp": "2027-01-15T08:00:00.000Z", "type": "TaskStateEntered", "id": 2,
              "previousEventId": 0, "stateEnteredEventDetails": { "name": "Ask",
                "input": "{\"a\":1}", "inputDetails": { "truncated": false } } },
            { "timestamp": "2027-01-15T08:00:00.000Z", "type": "TaskScheduled", "id": 3,
              "previousEventId": 2, "taskScheduledEventDetails": { "resourceType": "lambda",
                "resource": "invoke", "region": "eu-west-1",
                "parameters": "{\"FunctionName\":\"f\"}", "timeoutInSeconds": 60 } },
            { "timestamp": "2027-01-15T08:00:00.000Z", "type": "TaskStarted", "id": 4,
              "previousEventId": 3, "taskStartedEventDetails": { "resourceType": "lambda",
                "resource": "invoke" } },
            { "timestamp": "2027-01-15T08:00:00.000Z", "type": "TaskSucceeded", "id": 5,
              "previousEventId": 4, "taskSucceededEventDetails": { "resourceType": "lambda",
                "resource": "invoke", "output": "{\"Payload\":1}",
                "outputDetails": { "truncated": false } } },
            { "timestamp": "2027-01-15T08:00:00.000Z", "type": "TaskStateExited", "id": 6,
              "previousEventId": 5, "stateExitedEventDetails": { "name": "Ask",
                "output": "{\"Payload\":1}", "outputDetails": { "truncated": false },
                "assignedVariables": { "n": "[1]" },
                "assignedVariablesDetails": { "truncated": false } } },
            { "timestamp": "2027-01-15T08:00:00.000Z", "type": "ExecutionSucceeded", "id": 7,
              "previousEventId": 6, "executionSucceededEventDetails": {
                "output": "{\"Payload\":1}", "outputDetails": { "truncated": false } } },
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn a_poll_cycle_costs_nine_events_and_three_transitions() {
    let polls = RefCell::new(0);
    let bench = Bench::new(move |_| {
        *polls.borrow_mut() += 1;
        Does::Answer(
            json!({ "Payload": { "state": if *polls.borrow() > 10 { "DONE" } else { "PENDING" } } }),
        )
    });
    let definition = machine(json!({
        "Check": task(json!({ "Output": "{% $states.result.Payload %}", "Next": "Checked" })),
        "Checked": { "Type": "Choice", "Default": "WaitForIt", "Choices": [
            { "Condition": "{% $states.input.state = 'DONE' %}", "Next": "Done" }] },
        "WaitForIt": { "Type": "Wait", "Seconds": 30, "Next": "Check" },
        "Done": { "Type": "Succeed" },
    }));

    let ran = bench.run(definition, json!({})).await;

    // Ten cycles, a last check and choice, the end, and the execution's own two events.
    assert_eq!(ran.history.len(), 10 * 9 + 7 + 2 + 2);
    assert_eq!(bench.engine.transitions(&ran.execution), 10 * 3 + 2 + 1);
    assert_eq!(ran.took_ms(), 300_000);
}

#[tokio::test(start_paused = true)]
async fn an_observer_sees_each_event_as_it_is_recorded() {
    let bench = Bench::new(|_| Does::Answer(json!({})));
    let seen: Rc<RefCell<Vec<(String, EventType)>>> = Rc::default();
    let sees = Rc::clone(&seen);
    let engine = bench.engine.clone();
    bench.engine.subscribe(Box::new(move |arn, event| {
        assert_eq!(engine.history(arn).last(), Some(event), "the engine can be asked meanwhile");
        sees.borrow_mut().push((arn.to_owned(), event.event_type));
    }));

    let ran = bench.run(lively(), json!({})).await;

    let expected: Vec<_> =
        ran.types().into_iter().map(|event_type| (ran.execution.clone(), event_type)).collect();
    assert_eq!(*seen.borrow(), expected);
}

#[tokio::test(start_paused = true)]
async fn executions_run_side_by_side_while_one_is_waited_for() {
    let bench = Bench::idle();
    let nap = |seconds: u64| common::one(json!({ "Type": "Wait", "Seconds": seconds }));
    let short = bench.create("short", nap(10));
    let long = bench.create("long", nap(100));
    let start = |machine: &str| bench.engine.start_execution(machine, None, json!({})).expect("ok");
    let (short, long) = (start(&short), start(&long));

    let (first, second) = tokio::join!(bench.engine.wait(&short), bench.engine.wait(&long));

    assert_eq!(first.stopped_ms.map(|ms| ms - first.started_ms), Some(10_000));
    assert_eq!(second.stopped_ms.map(|ms| ms - second.started_ms), Some(100_000));
}

#[tokio::test(start_paused = true)]
async fn a_driver_of_its_own_lets_executions_progress_meanwhile() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let bench = Bench::idle();
            let nap = common::one(json!({ "Type": "Wait", "Seconds": 10 }));
            let execution = bench.start(nap, json!({}));
            let engine = bench.engine.clone();
            let driver = tokio::task::spawn_local(async move { engine.drive().await });

            bench.engine.clock().sleep_ms(11_000).await;

            let outcome = bench.engine.describe(&execution).expect("known").outcome;
            assert_eq!(outcome.status, failback_states::Status::Succeeded);
            driver.abort();
        })
        .await;
}
