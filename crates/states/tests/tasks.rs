//! Task states: retries, catchers, time-outs, heartbeats and task tokens.

mod common;

use common::{Bench, Does, EPOCH_MS, WAIT_FOR_TOKEN, after, machine, one, task, with};
use failback_states::{EventType as E, Status, TokenError};
use serde_json::{Value, json};

fn always_fails(error: &'static str) -> Bench {
    Bench::new(move |_| Does::Fail(error))
}

fn retry(retriers: Value) -> Value {
    one(task(json!({ "Retry": retriers })))
}

#[tokio::test(start_paused = true)]
async fn retries_wait_longer_each_time_up_to_the_longest_delay() {
    let bench = always_fails("Busy");
    let retrier = json!([{ "ErrorEquals": ["Busy"], "IntervalSeconds": 2, "BackoffRate": 2.5,
        "MaxAttempts": 5, "MaxDelaySeconds": 30 }]);

    let ran = bench.run(retry(retrier), json!({})).await;

    assert_eq!(ran.error(), "Busy");
    // Pauses of 2, 5, 12.5, 30 (not 31.25) and 30 (not 78.125) seconds.
    assert_eq!(bench.called_at_ms(), [0, 2_000, 7_000, 19_500, 49_500, 79_500]);
    assert_eq!(ran.took_ms(), 79_500);
}

#[tokio::test(start_paused = true)]
async fn a_retrier_without_numbers_retries_after_one_two_and_four_seconds() {
    let bench = always_fails("Busy");

    bench.run(retry(json!([{ "ErrorEquals": ["States.ALL"] }])), json!({})).await;

    assert_eq!(bench.called_at_ms(), [0, 1_000, 3_000, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn a_retrier_with_no_attempts_hands_over_to_the_catcher() {
    let bench = always_fails("Busy");
    let definition = machine(json!({
        "Ask": task(json!({
            "Retry": [{ "ErrorEquals": ["Busy"], "MaxAttempts": 0 }, { "ErrorEquals": ["States.ALL"] }],
            "Catch": [{ "ErrorEquals": ["Busy"], "Next": "Caught" }],
            "End": true,
        })),
        "Caught": { "Type": "Succeed" },
    }));

    let ran = bench.run(definition, json!({})).await;

    assert_eq!(bench.called_at_ms(), [0], "the second retrier is not asked");
    assert_eq!(ran.output(), json!({ "Error": "Busy", "Cause": "as the script says" }));
}

#[tokio::test(start_paused = true)]
async fn each_retrier_counts_its_own_attempts() {
    let bench = Bench::new(|call| match call.attempt {
        0 | 2 => Does::Fail("Busy"),
        1 | 3 => Does::Fail("Away"),
        _ => Does::Answer(json!("done")),
    });
    let retriers = json!([
        { "ErrorEquals": ["Busy"], "IntervalSeconds": 1, "BackoffRate": 10, "MaxAttempts": 2 },
        { "ErrorEquals": ["Away"], "IntervalSeconds": 100, "BackoffRate": 1, "MaxAttempts": 2 },
    ]);

    let ran = bench.run(retry(retriers), json!({})).await;

    assert_eq!(ran.output(), json!("done"));
    assert_eq!(bench.called_at_ms(), [0, 1_000, 101_000, 111_000, 211_000]);
}

#[tokio::test(start_paused = true)]
async fn full_jitter_stays_below_the_delay_and_comes_from_the_seed() {
    let retrier = json!([{ "ErrorEquals": ["Busy"], "IntervalSeconds": 10, "BackoffRate": 1,
        "MaxAttempts": 20, "JitterStrategy": "FULL" }]);
    let mut schedules = Vec::new();
    for seed in [1, 1, 2] {
        let bench = Bench::seeded(seed, |_| Does::Fail("Busy"));
        bench.run(retry(retrier.clone()), json!({})).await;
        schedules.push(bench.called_at_ms());
    }

    let pauses: Vec<i64> = schedules[0].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| (0..=10_000).contains(pause)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause < 5_000), "{pauses:?}");
    assert_eq!(schedules[0], schedules[1]);
    assert_ne!(schedules[0], schedules[2]);
}

#[tokio::test(start_paused = true)]
async fn arguments_are_evaluated_anew_at_each_attempt() {
    let bench = Bench::new(|call| match call.attempt {
        2 => Does::Answer(json!({})),
        _ => Does::Fail("Busy"),
    });
    let definition = one(task(json!({
        "Arguments": { "n": "{% $states.context.State.RetryCount %}", "at": "{% $millis() %}" },
        "Retry": [{ "ErrorEquals": ["Busy"] }],
    })));

    bench.run(definition, json!({})).await;

    let arguments: Vec<Value> = bench.calls().into_iter().map(|call| call.arguments).collect();
    assert_eq!(arguments[0], json!({ "n": 0, "at": EPOCH_MS }));
    assert_eq!(arguments[2], json!({ "n": 2, "at": EPOCH_MS + 3_000 }));
}

#[tokio::test(start_paused = true)]
async fn a_catcher_assigns_and_answers_what_went_wrong() {
    let bench = always_fails("Broken");
    let definition = machine(json!({
        "Ask": task(json!({
            "Assign": { "never": 1 }, "Output": "never",
            "Catch": [
                { "ErrorEquals": ["Other"], "Next": "End" },
                { "ErrorEquals": ["States.TaskFailed"], "Next": "End",
                  "Assign": { "error": "{% $states.errorOutput.Error %}" },
                  "Output": { "was": "{% $states.input %}" } },
            ],
            "End": true,
        })),
        "End": { "Type": "Pass", "Output": ["{% $error %}", "{% $states.input %}"], "End": true },
    }));

    let ran = bench.run(definition, json!(7)).await;

    assert_eq!(ran.output(), json!(["Broken", { "was": 7 }]));
}

async fn caught_by(names: &[&str], fields: Value, does: fn() -> Does) -> bool {
    let bench = Bench::new(move |_| does());
    let definition = machine(json!({
        "Ask": with(task(fields), json!({
            "Catch": [{ "ErrorEquals": names, "Next": "Caught" }], "End": true,
        })),
        "Caught": { "Type": "Succeed" },
    }));
    let ran = bench.run(definition, json!({})).await;
    ran.entered().contains(&"Caught")
}

#[tokio::test(start_paused = true)]
async fn task_failed_matches_every_error_but_a_time_out() {
    let timeout = json!({ "TimeoutSeconds": 5 });

    assert!(caught_by(&["States.TaskFailed"], json!({}), || Does::Fail("Any")).await);
    assert!(!caught_by(&["States.TaskFailed"], timeout.clone(), || Does::Never).await);
    assert!(caught_by(&["States.Timeout"], timeout.clone(), || Does::Never).await);
    assert!(!caught_by(&["States.HeartbeatTimeout"], timeout.clone(), || Does::Never).await);
    assert!(caught_by(&["States.ALL"], timeout, || Does::Never).await);
}

#[tokio::test(start_paused = true)]
async fn a_result_beyond_the_data_limit_is_not_caught_by_all() {
    let too_large = || Does::Answer("x".repeat(262_144).into());
    let just_fits = || Does::Answer("x".repeat(262_142).into());

    assert!(!caught_by(&["States.ALL"], json!({}), too_large).await);
    assert!(!caught_by(&["States.TaskFailed"], json!({}), too_large).await);
    assert!(caught_by(&["States.DataLimitExceeded"], json!({}), too_large).await);
    assert!(!caught_by(&["States.DataLimitExceeded"], json!({}), just_fits).await);
}

#[tokio::test(start_paused = true)]
async fn a_runtime_error_is_caught_by_nothing() {
    assert!(!caught_by(&["States.ALL"], json!({}), || Does::Fail("States.Runtime")).await);
    assert!(!caught_by(&["States.Runtime"], json!({}), || Does::Fail("States.Runtime")).await);
}

#[tokio::test(start_paused = true)]
async fn a_failed_evaluation_of_a_task_is_caught_and_retried() {
    let bench = Bench::new(|call| Does::Answer(json!({ "n": call.attempt })));
    let definition = one(task(json!({
        "Output": "{% $states.result.n > 0 ? 'enough' : $states.result.missing %}",
        "Retry": [{ "ErrorEquals": ["States.QueryEvaluationError"] }],
    })));

    let ran = bench.run(definition, json!({})).await;

    assert_eq!(ran.output(), json!("enough"));
    assert_eq!(bench.called_at_ms(), [0, 1_000]);
    assert_eq!(ran.types().iter().filter(|t| **t == E::EvaluationFailed).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_may_be_an_expression_and_ends_the_task_on_time() {
    let bench = Bench::new(|_| Does::Never);
    let definition = one(task(json!({ "TimeoutSeconds": "{% $states.input.limit_s * 2 %}" })));

    let ran = bench.run(definition, json!({ "limit_s": 30 })).await;

    assert_eq!(ran.error(), "States.Timeout");
    assert_eq!(ran.took_ms(), 60_000);
    assert_eq!(ran.outcome.status, Status::Failed);
    assert_eq!(
        ran.types(),
        [
            E::ExecutionStarted,
            E::TaskStateEntered,
            E::TaskScheduled,
            E::TaskStarted,
            E::TaskTimedOut,
            E::ExecutionFailed
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_just_in_time_succeeds() {
    let bench = Bench::new(|_| after(60_000, Does::Answer(json!("in time"))));

    let ran = bench.run(one(task(json!({ "TimeoutSeconds": 60 }))), json!({})).await;

    assert_eq!(ran.output(), json!("in time"));
}

#[tokio::test(start_paused = true)]
async fn the_machine_times_out_as_a_whole() {
    let bench = Bench::new(|_| Does::Never);
    let definition = with(one(task(json!({}))), json!({ "TimeoutSeconds": 90 }));

    let ran = bench.run(definition, json!({})).await;

    assert_eq!(ran.outcome.status, Status::TimedOut);
    assert_eq!(ran.error(), "States.Timeout");
    assert_eq!(ran.took_ms(), 90_000);
    assert_eq!(ran.types().last(), Some(&E::ExecutionTimedOut));
}

fn token_task(fields: Value) -> Value {
    let arguments = json!({ "token": "{% $states.context.Task.Token %}" });
    task(with(json!({ "Resource": WAIT_FOR_TOKEN, "Arguments": arguments }), fields))
}

fn answers_at_once() -> Bench {
    Bench::new(|_| Does::Answer(json!("asked")))
}

fn token_of(bench: &Bench) -> String {
    bench.calls().last().and_then(|call| call.task_token.clone()).expect("a token")
}

#[tokio::test(start_paused = true)]
async fn a_task_token_brings_the_result() {
    let bench = answers_at_once();
    let execution = bench.start(one(token_task(json!({}))), json!({}));
    bench.engine.drive_for(5_000).await;
    let token = token_of(&bench);

    let sent = bench.engine.send_task_success(&token, json!({ "approved": true }));
    let outcome = bench.engine.wait(&execution).await;

    assert_eq!(sent, Ok(()));
    assert_eq!(bench.calls()[0].arguments, json!({ "token": token }));
    assert_eq!(bench.calls()[0].resource, common::INVOKE);
    assert_eq!(outcome.output, Some(json!({ "approved": true })));
    assert_eq!(outcome.stopped_ms, Some(EPOCH_MS + 5_000));
    let types: Vec<E> = bench.engine.history(&execution).iter().map(|e| e.event_type).collect();
    assert_eq!(types[2..6], [E::TaskScheduled, E::TaskStarted, E::TaskSubmitted, E::TaskSucceeded]);
    assert_eq!(
        bench.engine.send_task_success(&token, json!({})),
        Err(TokenError::TaskTimedOut),
        "a token is good for one answer"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_token_brings_a_failure() {
    let bench = answers_at_once();
    let execution = bench.start(one(token_task(json!({}))), json!({}));
    bench.engine.drive_for(1_000).await;

    bench.engine.send_task_failure(&token_of(&bench), "Refused", "not today").expect("it waits");
    let outcome = bench.engine.wait(&execution).await;

    assert_eq!(outcome.error.as_deref(), Some("Refused"));
    assert_eq!(outcome.cause.as_deref(), Some("not today"));
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_to_a_token_stands() {
    let bench = answers_at_once();
    let execution = bench.start(one(token_task(json!({}))), json!({}));
    bench.engine.drive_for(1_000).await;
    let token = token_of(&bench);

    // The engine is not driven between the two.
    assert_eq!(bench.engine.send_task_success(&token, json!(1)), Ok(()));
    assert_eq!(
        bench.engine.send_task_failure(&token, "Late", "too late"),
        Err(TokenError::TaskTimedOut)
    );
    assert_eq!(bench.engine.send_task_heartbeat(&token), Err(TokenError::TaskTimedOut));

    assert_eq!(bench.engine.wait(&execution).await.output, Some(json!(1)));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_token_is_refused() {
    let bench = answers_at_once();

    assert_eq!(bench.engine.send_task_heartbeat("made up"), Err(TokenError::InvalidToken));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_task_alive_and_their_lapse_is_a_time_out() {
    let bench = answers_at_once();
    let fields = json!({ "HeartbeatSeconds": 10, "TimeoutSeconds": 3600 });
    let execution = bench.start(one(token_task(fields)), json!({}));
    for _ in 0..3 {
        bench.engine.drive_for(9_000).await;
        bench.engine.send_task_heartbeat(&token_of(&bench)).expect("it waits");
    }

    let outcome = bench.engine.wait(&execution).await;

    assert_eq!(outcome.error.as_deref(), Some("States.Timeout"));
    assert_eq!(outcome.stopped_ms, Some(EPOCH_MS + 37_000));
    assert_eq!(
        bench.engine.send_task_success(&token_of(&bench), json!({})),
        Err(TokenError::TaskTimedOut)
    );
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_counts_while_the_function_is_still_running() {
    let bench = Bench::new(|_| after(15_000, Does::Answer(json!("asked"))));
    let execution = bench.start(one(token_task(json!({ "HeartbeatSeconds": 10 }))), json!({}));
    bench.engine.drive_for(8_000).await;
    bench.engine.send_task_heartbeat(&token_of(&bench)).expect("it waits");
    bench.engine.drive_for(8_000).await;

    bench.engine.send_task_success(&token_of(&bench), json!(1)).expect("it still waits");

    assert_eq!(bench.engine.wait(&execution).await.output, Some(json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_heartbeat_is_caught_under_both_names() {
    let lapse = json!({ "Resource": WAIT_FOR_TOKEN, "HeartbeatSeconds": 10 });
    let asked = || Does::Answer(json!({}));

    assert!(caught_by(&["States.Timeout"], lapse.clone(), asked).await);
    assert!(caught_by(&["States.HeartbeatTimeout"], lapse.clone(), asked).await);
    assert!(!caught_by(&["States.TaskFailed"], lapse, asked).await);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_token_of_its_own() {
    let bench = answers_at_once();
    let fields = json!({ "TimeoutSeconds": 5, "Retry": [{ "ErrorEquals": ["States.Timeout"] }] });

    bench.run(one(token_task(fields)), json!({})).await;

    let mut tokens: Vec<_> = bench.calls().into_iter().map(|call| call.task_token).collect();
    tokens.dedup();
    assert_eq!(tokens.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_forgotten_with_their_execution() {
    let bench = answers_at_once();
    let ended = bench.start(one(token_task(json!({}))), json!({}));
    bench.engine.drive_for(1_000).await;
    let used = token_of(&bench);
    bench.engine.send_task_success(&used, json!(1)).expect("it waits");
    bench.engine.wait(&ended).await;
    let running = bench.start(one(token_task(json!({}))), json!({}));
    bench.engine.drive_for(1_000).await;

    assert_eq!(bench.engine.forget_closed(0), 1);

    let answer = |token: &str| bench.engine.send_task_success(token, json!(2));
    assert_eq!(answer(&used), Err(TokenError::InvalidToken));
    assert_eq!(answer(&token_of(&bench)), Ok(()));
    assert_eq!(bench.engine.wait(&running).await.output, Some(json!(2)));
}
