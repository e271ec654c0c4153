//! Parallel and Map: results in order, failing fast, and what the history says.

mod common;

use common::{Bench, Does, after, branch, machine, one, task, with};
use failback_states::{EventType as E, HistoryEvent};
use serde_json::{Value, json};

fn wait(seconds: u64) -> Value {
    json!({ "Type": "Wait", "Seconds": seconds, "End": true })
}

fn ids(history: &[HistoryEvent]) -> Vec<(u64, u64, E)> {
    history.iter().map(|e| (e.id, e.previous_event_id, e.event_type)).collect()
}

#[tokio::test(start_paused = true)]
async fn branches_run_at_once_and_answer_in_their_order() {
    let definition = one(json!({ "Type": "Parallel", "Branches": [
        branch(json!({ "Slow": with(wait(30), json!({ "Output": "slow" })) })),
        branch(json!({ "Fast": with(wait(10), json!({ "Output": "fast" })) })),
    ]}));

    let ran = Bench::idle().run(definition, json!({})).await;

    assert_eq!(ran.output(), json!(["slow", "fast"]));
    assert_eq!(ran.took_ms(), 30_000);
    assert_eq!(
        ids(&ran.history),
        [
            (1, 0, E::ExecutionStarted),
            (2, 0, E::ParallelStateEntered),
            (3, 2, E::ParallelStateStarted),
            (4, 3, E::WaitStateEntered),
            (5, 3, E::WaitStateEntered),
            (6, 5, E::WaitStateExited),
            (7, 4, E::WaitStateExited),
            (8, 7, E::ParallelStateSucceeded),
            (9, 7, E::ParallelStateExited),
            (10, 9, E::ExecutionSucceeded),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_branch_cuts_the_others_off() {
    let definition = one(json!({ "Type": "Parallel", "Branches": [
        branch(json!({ "Sleep": wait(3600) })),
        branch(json!({
            "Pause": { "Type": "Wait", "Seconds": 5, "Next": "Break" },
            "Break": { "Type": "Fail", "Error": "Broken", "Cause": "here" },
        })),
        branch(json!({ "Ask": task(json!({ "End": true })) })),
    ]}));
    let bench = Bench::new(|_| Does::Never);

    let ran = bench.run(definition, json!({})).await;

    assert_eq!((ran.error(), ran.took_ms()), ("Broken", 5_000));
    let ended = &ran.types()[10..];
    assert_eq!(
        ended,
        [E::WaitStateAborted, E::TaskStateAborted, E::ParallelStateFailed, E::ExecutionFailed]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_branch_may_be_caught_and_retried() {
    let bench = Bench::new(|_| Does::Fail("Busy"));
    let definition = machine(json!({
        "Both": { "Type": "Parallel", "End": true,
            "Branches": [branch(json!({ "Ask": task(json!({ "End": true })) }))],
            "Retry": [{ "ErrorEquals": ["Busy"], "MaxAttempts": 1, "IntervalSeconds": 7 }],
            "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "Caught",
                "Output": "{% $states.errorOutput.Error %}" }] },
        "Caught": { "Type": "Pass", "End": true },
    }));

    let ran = bench.run(definition, json!({})).await;

    assert_eq!(ran.output(), json!("Busy"));
    assert_eq!(bench.called_at_ms(), [0, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn a_branch_reads_the_variables_around_it_and_keeps_its_own() {
    let definition = machine(json!({
        "Set": { "Type": "Pass", "Assign": { "outer": 1 }, "Next": "Both" },
        "Both": { "Type": "Parallel", "Arguments": { "from": "{% $outer %}" }, "Branches": [
            branch(json!({
                "SetInner": { "Type": "Pass", "Assign": { "inner": 10 }, "Next": "Add" },
                "Add": { "Type": "Pass",
                    "Output": "{% $outer + $inner + $states.input.from %}", "End": true },
            })),
            branch(json!({ "Other": { "Type": "Pass", "Assign": { "inner": 2 }, "End": true } })),
        ], "Assign": { "sum": "{% $states.result[0] %}" }, "Next": "Tell" },
        "Tell": { "Type": "Pass", "Output": "{% $sum %}", "End": true },
    }));

    let ran = Bench::idle().run(definition, json!({})).await;

    assert_eq!(ran.output(), json!(12));
}

fn map(fields: Value, processor: Value) -> Value {
    one(with(json!({ "Type": "Map", "ItemProcessor": processor }), fields))
}

#[tokio::test(start_paused = true)]
async fn a_map_answers_in_the_order_of_its_items() {
    let bench = Bench::new(|call| {
        let seconds = call.arguments.as_i64().unwrap_or_default();
        after(seconds * 1_000, Does::Answer(json!(seconds * 10)))
    });
    let ask = task(json!({ "Arguments": "{% $states.input %}", "End": true }));
    let definition = map(json!({}), branch(json!({ "Ask": ask })));

    let ran = bench.run(definition, json!([3, 1, 2])).await;

    assert_eq!(ran.output(), json!([30, 10, 20]));
    assert_eq!(ran.took_ms(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn a_map_runs_no_more_iterations_at_once_than_it_may() {
    let bench = Bench::new(|_| after(10_000, Does::Answer(json!({}))));
    let ask = task(json!({ "End": true }));
    let limits = json!({ "MaxConcurrency": "{% 1 + 1 %}" });

    let ran = bench.run(map(limits, branch(json!({ "Ask": ask }))), json!([1, 2, 3, 4, 5])).await;

    assert_eq!(bench.called_at_ms(), [0, 0, 10_000, 10_000, 20_000]);
    assert_eq!(ran.took_ms(), 30_000);
}

#[tokio::test(start_paused = true)]
async fn an_item_selector_sees_the_item_its_index_and_the_states_input() {
    let fields = json!({
        "Items": "{% $states.input.names %}",
        "ItemSelector": {
            "name": "{% $states.context.Map.Item.Value %}",
            "place": "{% $states.context.Map.Item.Index + 1 %}",
            "of": "{% $count($states.input.names) %}",
        },
    });
    let processor = branch(json!({ "Tell": { "Type": "Pass", "End": true,
        "Output": "{% $states.input.name & $states.input.place & '/' & $states.input.of \
                    & $states.context.Map.Item.Index %}" } }));

    let ran = Bench::idle().run(map(fields, processor), json!({ "names": ["a", "b"] })).await;

    assert_eq!(ran.output(), json!(["a1/20", "b2/21"]));
}

#[tokio::test(start_paused = true)]
async fn a_failing_iteration_ends_the_map() {
    let bench = Bench::new(|call| match call.arguments.as_i64() {
        Some(2) => after(1_000, Does::Fail("Broken")),
        _ => Does::Never,
    });
    let ask = task(json!({ "Arguments": "{% $states.input %}", "End": true }));

    let ran = bench.run(map(json!({}), branch(json!({ "Ask": ask }))), json!([1, 2, 3])).await;

    assert_eq!((ran.error(), ran.took_ms()), ("Broken", 1_000));
    let types = ran.types();
    assert_eq!(
        types[types.len() - 8..],
        [
            E::TaskFailed,
            E::MapIterationFailed,
            E::TaskStateAborted,
            E::MapIterationAborted,
            E::TaskStateAborted,
            E::MapIterationAborted,
            E::MapStateFailed,
            E::ExecutionFailed,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_map_within_a_map_keeps_its_items_apart() {
    let inner = with(
        json!({ "Type": "Map", "ItemProcessor": branch(json!({ "Tell": { "Type": "Pass",
            "Output": "{% $states.context.Map.Item.Value * 10 %}", "End": true } })) }),
        json!({ "End": true }),
    );

    let definition = map(json!({}), branch(json!({ "Inner": inner })));

    let ran = Bench::idle().run(definition, json!([[1], [2, 3]])).await;

    assert_eq!(ran.output(), json!([[10], [20, 30]]));
}

#[tokio::test(start_paused = true)]
async fn an_iteration_follows_the_one_that_made_room_for_it() {
    let processor = branch(json!({ "Nap": wait(1) }));

    let definition = map(json!({ "MaxConcurrency": 1 }), processor);

    let ran = Bench::idle().run(definition, json!([1, 2])).await;

    assert_eq!(
        ids(&ran.history),
        [
            (1, 0, E::ExecutionStarted),
            (2, 0, E::MapStateEntered),
            (3, 2, E::MapStateStarted),
            (4, 3, E::MapIterationStarted),
            (5, 4, E::WaitStateEntered),
            (6, 5, E::WaitStateExited),
            (7, 6, E::MapIterationSucceeded),
            (8, 6, E::MapIterationStarted),
            (9, 8, E::WaitStateEntered),
            (10, 9, E::WaitStateExited),
            (11, 10, E::MapIterationSucceeded),
            (12, 11, E::MapStateSucceeded),
            (13, 11, E::MapStateExited),
            (14, 13, E::ExecutionSucceeded),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_has_ended_is_not_cut_off() {
    let definition = one(json!({ "Type": "Parallel", "Branches": [
        branch(json!({ "Short": wait(1) })),
        branch(json!({
            "Pause": { "Type": "Wait", "Seconds": 5, "Next": "Break" },
            "Break": { "Type": "Fail", "Error": "Broken" },
        })),
    ]}));

    let ran = Bench::idle().run(definition, json!({})).await;

    assert_eq!(ran.error(), "Broken");
    assert!(!ran.types().contains(&E::WaitStateAborted), "{:?}", ran.types());
}
