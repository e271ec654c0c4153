//! States without tasks, variables, the context object and the added functions.

mod common;

use common::{Bench, EPOCH_MS, arn, machine, one, says};
use failback_states::{EventType as E, StartError, Status};
use serde_json::{Value, json};

async fn value_of(expression: &str) -> Value {
    let ran = Bench::idle().run(says(format!("{{% {expression} %}}").into()), json!({})).await;
    ran.output()
}

async fn error_of(expression: &str) -> String {
    let ran = Bench::idle().run(says(format!("{{% {expression} %}}").into()), json!({})).await;
    assert_eq!(ran.error(), "States.QueryEvaluationError");
    ran.cause().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_assigned_variable_is_seen_by_the_next_state_only() {
    let definition = machine(json!({
        "First": { "Type": "Pass", "Assign": { "n": 1 }, "Next": "Second" },
        "Second": { "Type": "Pass", "Assign": { "n": "{% $n + 1 %}", "was": "{% $n %}" },
            "Output": "{% $n %}", "Next": "Third" },
        "Third": { "Type": "Pass", "Output": ["{% $states.input %}", "{% $n %}", "{% $was %}"],
            "End": true },
    }));

    let ran = Bench::idle().run(definition, json!({})).await;

    assert_eq!(ran.output(), json!([1, 2, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_variable_may_have_the_name_of_a_function() {
    let definition = machine(json!({
        "Set": { "Type": "Pass", "Assign": { "range": 1, "count": 2, "random": 3 }, "Next": "Get" },
        "Get": { "Type": "Pass", "Output": "{% $range + $count + $random %}", "End": true },
    }));

    assert_eq!(Bench::idle().run(definition, json!({})).await.output(), json!(6));
}

#[tokio::test(start_paused = true)]
async fn a_choice_takes_the_first_rule_that_holds() {
    let definition = machine(json!({
        "Which": { "Type": "Choice", "Default": "Small", "Assign": { "size": "small" },
            "Choices": [
                { "Condition": "{% $states.input > 100 %}", "Next": "Large",
                  "Assign": { "size": "large" }, "Output": "over" },
                { "Condition": "{% $states.input > 10 %}", "Next": "Large" },
            ] },
        "Large": { "Type": "Pass", "End": true },
        "Small": { "Type": "Pass", "Output": "{% $size %}", "End": true },
    }));

    let bench = Bench::idle();
    assert_eq!(bench.run(definition.clone(), json!(101)).await.output(), json!("over"));
    assert_eq!(bench.run(definition.clone(), json!(11)).await.output(), json!(11));
    assert_eq!(bench.run(definition, json!(1)).await.output(), json!("small"));
}

#[tokio::test(start_paused = true)]
async fn the_rule_that_holds_assigns_what_it_says_and_not_what_the_choice_says() {
    let definition = machine(json!({
        "Which": { "Type": "Choice", "Default": "Tell", "Assign": { "size": "small", "other": 1 },
            "Choices": [{ "Condition": "{% $states.input > 10 %}", "Next": "Tell",
                "Assign": { "size": "large" } }] },
        "Tell": { "Type": "Pass", "Output": "{% $size %}", "End": true },
    }));

    let bench = Bench::idle();
    assert_eq!(bench.run(definition.clone(), json!(11)).await.output(), json!("large"));
    assert_eq!(bench.run(definition, json!(1)).await.output(), json!("small"));
}

#[tokio::test(start_paused = true)]
async fn every_evaluation_draws_its_own_random_numbers() {
    let output = json!(["{% $uuid() %}", "{% $uuid() %}", "{% $random() %}", "{% $random() %}"]);

    let drawn = Bench::idle().run(says(output), json!({})).await.output();

    assert_ne!(drawn[0], drawn[1]);
    assert_ne!(drawn[2], drawn[3]);
}

fn choice(condition: &str) -> Value {
    machine(json!({
        "Which": { "Type": "Choice", "Choices": [{ "Condition": condition, "Next": "End" }] },
        "End": { "Type": "Succeed" },
    }))
}

#[tokio::test(start_paused = true)]
async fn a_choice_without_a_way_out_fails() {
    let ran = Bench::idle().run(choice("{% false %}"), json!({})).await;

    assert_eq!(ran.error(), "States.NoChoiceMatched");
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_is_no_boolean_fails() {
    let ran = Bench::idle().run(choice("{% 'yes' %}"), json!({})).await;

    assert_eq!(ran.error(), "States.QueryEvaluationError");
    assert!(ran.cause().contains("Expected 'boolean', but was 'string'"), "{}", ran.cause());
}

#[tokio::test(start_paused = true)]
async fn a_wait_takes_its_seconds() {
    let definition = one(json!({ "Type": "Wait", "Seconds": "{% $floor(2.5 * 60) %}" }));

    let ran = Bench::idle().run(definition, json!("kept")).await;

    assert_eq!(ran.took_ms(), 150_000);
    assert_eq!(ran.output(), json!("kept"));
}

#[tokio::test(start_paused = true)]
async fn a_wait_until_a_time_stamp_ends_then_or_at_once() {
    let wait = |stamp: &str| one(json!({ "Type": "Wait", "Timestamp": stamp }));
    let bench = Bench::idle();

    // The epoch of the bench is 2027-01-15T08:00:00Z.
    assert_eq!(bench.run(wait("2027-01-15T08:01:00Z"), json!({})).await.took_ms(), 60_000);
    assert_eq!(bench.run(wait("2020-01-15T08:01:00+01:00"), json!({})).await.took_ms(), 0);
}

#[tokio::test(start_paused = true)]
async fn fractional_negative_and_textual_seconds_fail() {
    for seconds in ["1.5", "-1", "'10'", "100000000"] {
        let wait = json!({ "Type": "Wait", "Seconds": format!("{{% {seconds} %}}") });
        let ran = Bench::idle().run(one(wait), json!({})).await;
        assert_eq!(ran.error(), "States.QueryEvaluationError", "{seconds}");
        assert_eq!(ran.types()[2], E::EvaluationFailed, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fail_state_says_its_error_and_cause() {
    let definition = machine(json!({
        "Stop": { "Type": "Fail", "Error": "{% 'Refused' & $states.input %}", "Cause": "because" },
    }));

    let ran = Bench::idle().run(definition, json!("Plan")).await;

    assert_eq!((ran.error(), ran.cause()), ("RefusedPlan", "because"));
    assert_eq!(ran.outcome.status, Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_undefined_value_anywhere_fails_the_state() {
    let output = json!({ "a": [1, { "b": "{% $states.input.missing %}" }] });

    let ran = Bench::idle().run(says(output), json!({})).await;

    assert_eq!(ran.error(), "States.QueryEvaluationError");
    assert!(
        ran.cause().contains("'Output/a[1]/b' returned nothing (undefined)"),
        "{}",
        ran.cause()
    );
    let failed = &ran.history[2];
    assert_eq!(failed.detail("location"), Some("Output/a[1]/b"));
    // AWS hangs the failure on what led to the state, not on the state's entry.
    assert_eq!((failed.event_type, failed.previous_event_id), (E::EvaluationFailed, 0));
    assert_eq!(ran.history[3].previous_event_id, 3);
}

#[tokio::test(start_paused = true)]
async fn the_context_tells_the_execution_the_state_and_the_machine() {
    let definition = machine(json!({
        "Nap": { "Type": "Wait", "Seconds": 2, "Next": "Look" },
        "Look": { "Type": "Pass", "Output": "{% $states.context %}", "End": true },
    }));

    let ran = Bench::idle().run(definition, json!({ "a": 1 })).await;

    let context = ran.output();
    assert_eq!(context["Execution"]["Id"], json!(ran.execution));
    assert_eq!(context["Execution"]["Input"], json!({ "a": 1 }));
    assert_eq!(context["Execution"]["StartTime"], json!("2027-01-15T08:00:00.000Z"));
    assert_eq!(context["Execution"]["RedriveCount"], json!(0));
    assert_eq!(context["State"]["Name"], json!("Look"));
    assert_eq!(context["State"]["EnteredTime"], json!("2027-01-15T08:00:02.000Z"));
    assert_eq!(context["State"]["RetryCount"], json!(0));
    assert_eq!(context["StateMachine"], json!({ "Id": arn("machine"), "Name": "machine" }));
    let name = context["Execution"]["Name"].as_str().expect("text");
    assert!(ran.execution.ends_with(&format!(":execution:machine:{name}")));
}

#[tokio::test(start_paused = true)]
async fn time_stands_still_within_an_evaluation_and_is_the_virtual_clock() {
    assert_eq!(value_of("$millis()").await, json!(EPOCH_MS));
    assert_eq!(value_of("$now()").await, json!("2027-01-15T08:00:00.000Z"));
    assert_eq!(value_of("$toMillis($now()) = $millis()").await, json!(true));
}

#[tokio::test(start_paused = true)]
async fn the_added_functions_do_as_aws_says() {
    assert_eq!(value_of(r#"$parse('{"a": [1]}')"#).await, json!({ "a": [1] }));
    assert_eq!(value_of("$partition([1..5], 2)").await, json!([[1, 2], [3, 4], [5]]));
    assert_eq!(value_of("$range(0, 10, 3)").await, json!([0, 3, 6, 9]));
    assert_eq!(value_of("$range(3, 1, -1)").await, json!([3, 2, 1]));
    assert_eq!(
        value_of("$hash('a', 'SHA-1')").await,
        json!("86f7e437faa5a7fce15d1ddcb9eaeaea377667b8")
    );
    assert_eq!(value_of("$length($hash('a', 'SHA-512'))").await, json!(128));
    let uuid = value_of("$uuid()").await;
    assert_eq!(uuid.as_str().map(|uuid| (uuid.len(), &uuid[14..15])), Some((36, "4")));
    assert_eq!(value_of("$uuid() != $uuid()").await, json!(true));
    assert_eq!(value_of("$random() >= 0 and $random() < 1").await, json!(true));
    assert_eq!(value_of("$random(7) = $random(7)").await, json!(true));
}

#[tokio::test(start_paused = true)]
async fn the_added_functions_refuse_bad_arguments() {
    assert!(error_of("$parse('{')").await.contains("not JSON"));
    assert!(error_of("$partition([1], 0)").await.contains("positive"));
    assert!(error_of("$range(1, 2, 0)").await.contains("step"));
    assert!(error_of("$range(1, 5000, 1)").await.contains("more than 1000"));
    assert!(error_of("$hash('a', 'CRC')").await.contains("CRC"));
    assert!(error_of("1 + 'a'").await.contains("threw an error"));
}

#[tokio::test(start_paused = true)]
async fn an_output_beyond_the_data_limit_fails() {
    let ran = Bench::idle().run(says(json!("{% $pad('', 262143, 'x') %}")), json!({})).await;

    assert_eq!(ran.error(), "States.DataLimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn an_endless_loop_ends_with_the_history_limit() {
    let definition = machine(json!({
        "Ping": { "Type": "Wait", "Seconds": 1, "Next": "Pong" },
        "Pong": { "Type": "Pass", "Next": "Ping" },
    }));

    let ran = Bench::idle().run(definition, json!({})).await;

    assert_eq!(ran.outcome.status, Status::Failed);
    assert_eq!(ran.history.len(), 25_000);
    assert_eq!(ran.types().last(), Some(&E::ExecutionFailed));
    assert_eq!(ran.error(), "States.Runtime");
}

#[tokio::test(start_paused = true)]
async fn a_name_starts_one_execution_only() {
    let bench = Bench::idle();
    let machine = bench.create("machine", one(json!({ "Type": "Wait", "Seconds": 60 })));
    let start = |input: Value| bench.engine.start_execution(&machine, Some("monday"), input);
    let arn = start(json!(1)).expect("it starts");

    assert_eq!(start(json!(1)).as_ref(), Ok(&arn), "the same name and input answer the same");
    assert_eq!(start(json!(2)), Err(StartError::ExecutionAlreadyExists(arn.clone())));
    bench.engine.wait(&arn).await;
    assert_eq!(start(json!(1)), Err(StartError::ExecutionAlreadyExists(arn)));
    assert_eq!(bench.engine.list_executions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn ended_executions_are_forgotten_but_for_the_last_and_those_that_run() {
    let bench = Bench::idle();
    let machine = bench.create("machine", says(json!(1)));
    let running = bench.create("running", one(json!({ "Type": "Wait", "Seconds": 60 })));
    let running = bench.engine.start_execution(&running, None, json!({})).expect("it starts");
    let start = |name: &str| bench.engine.start_execution(&machine, Some(name), json!({}));
    let mut arns = Vec::new();
    for name in ["a", "b", "c"] {
        arns.push(start(name).expect("it starts"));
        bench.engine.wait(&arns[arns.len() - 1]).await;
    }

    assert_eq!(bench.engine.forget_closed(3), 0);
    assert_eq!(bench.engine.forget_closed(1), 2);

    let known: Vec<_> =
        bench.engine.list_executions().into_iter().map(|e| e.execution_arn).collect();
    assert_eq!(known, [running.clone(), arns[2].clone()]);
    assert_eq!(bench.engine.describe(&arns[0]), None);
    assert_eq!(bench.engine.history(&arns[0]), []);
    assert!(start("a").is_ok(), "its name is free again");
    assert_eq!(bench.engine.wait(&running).await.status, Status::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_aws_would_refuse_is_refused() {
    let bench = Bench::idle();
    let machine = bench.create("machine", says(json!(1)));
    let start = |name: &str| bench.engine.start_execution(&machine, Some(name), json!({}));

    assert!(matches!(start("a b"), Err(StartError::InvalidName(_))));
    assert!(matches!(start(&"x".repeat(81)), Err(StartError::InvalidName(_))));
    assert!(start(&"x".repeat(80)).is_ok());
    let unknown = bench.engine.start_execution(&arn("other"), None, json!({}));
    assert!(matches!(unknown, Err(StartError::StateMachineDoesNotExist(_))));
    let large = bench.engine.start_execution(&machine, None, "x".repeat(300_000).into());
    assert!(matches!(large, Err(StartError::InvalidExecutionInput(_))));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_execution_says_who_stopped_it() {
    let bench = Bench::idle();
    let execution = bench.start(one(json!({ "Type": "Wait", "Seconds": 60 })), json!({}));
    bench.engine.drive_for(10_000).await;

    assert!(bench.engine.stop_execution(&execution, Some("Operator"), Some("enough")));
    let outcome = bench.engine.wait(&execution).await;

    assert_eq!(outcome.status, Status::Aborted);
    assert_eq!(outcome.error.as_deref(), Some("Operator"));
    assert_eq!(outcome.stopped_ms, Some(EPOCH_MS + 10_000));
    let last = bench.engine.history(&execution).pop().expect("an event");
    assert_eq!(last.event_type, E::ExecutionAborted);
    assert_eq!(last.detail("cause"), Some("enough"));
    assert!(!bench.engine.stop_execution(&execution, None, None), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn transitions_are_counted_as_they_are_billed() {
    let bench = Bench::new(|call| match call.attempt {
        0 => common::Does::Fail("Busy"),
        _ => common::Does::Answer(json!({})),
    });
    let definition = machine(json!({
        "Ask": common::task(json!({ "Retry": [{ "ErrorEquals": ["Busy"] }], "Next": "Done" })),
        "Done": { "Type": "Succeed" },
    }));

    let ran = bench.run(definition, json!({})).await;

    assert_eq!(bench.engine.transitions(&ran.execution), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_at_speed_runs_ahead_of_tokios() {
    let started = tokio::time::Instant::now();
    let clock = failback_states::Clock::at_speed(EPOCH_MS, 60.0);

    clock.sleep_ms(3_600_000).await;

    assert!(clock.now_ms() >= EPOCH_MS + 3_600_000);
    assert_eq!(started.elapsed().as_secs(), 60);
}
