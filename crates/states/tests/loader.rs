//! What the loader refuses, each with the state and the field.

mod common;

use std::collections::BTreeMap;

use common::{branch, machine, one, task, with};
use failback_states::{Definition, LoadError, LoadOptions};
use serde_json::{Value, json};

/// Everything but the time-outs, which are not what most of these tests are about.
fn lenient() -> LoadOptions {
    LoadOptions { require_timeouts: false, ..LoadOptions::default() }
}

fn refusal(definition: Value, options: &LoadOptions) -> LoadError {
    let loaded = Definition::load_with("m", &definition.to_string(), options);
    loaded.err().unwrap_or_else(|| panic!("this was accepted: {definition}"))
}

/// State, field and a part of the sentence of the refusal.
#[track_caller]
fn refuses(definition: Value, state: Option<&str>, field: &str, part: &str) {
    let options = lenient();
    let error = refusal(definition, &options);
    assert_eq!(error.state.as_deref(), state, "{error}");
    assert_eq!(error.field.as_deref(), Some(field), "{error}");
    assert!(error.problem.contains(part), "{error}");
}

#[track_caller]
fn refuses_state(state: Value, field: &str, part: &str) {
    refuses(one(state), Some("Only"), field, part);
}

#[track_caller]
fn refuses_output(expression: &str, part: &str) {
    let output = json!({ "a": format!("{{% {expression} %}}") });
    refuses_state(json!({ "Type": "Pass", "Output": output }), "Output/a", part);
}

#[track_caller]
fn accepts(definition: Value) {
    let options = lenient();
    let loaded = Definition::load_with("m", &definition.to_string(), &options);
    loaded.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn another_query_language_is_refused() {
    let pass = json!({ "Only": { "Type": "Pass", "End": true } });
    refuses(branch(pass.clone()), None, "QueryLanguage", "JSONata");
    refuses(
        with(machine(pass), json!({ "QueryLanguage": "JSONPath" })),
        None,
        "QueryLanguage",
        "JSONata",
    );
    refuses_state(
        json!({ "Type": "Pass", "QueryLanguage": "JSONPath" }),
        "QueryLanguage",
        "JSONata",
    );
}

#[test]
fn fields_of_the_jsonpath_mode_are_refused_as_such() {
    for field in ["InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector", "Result"]
    {
        refuses_state(json!({ "Type": "Pass", field: "$" }), field, "belongs to JSONPath");
    }
    refuses_state(
        json!({ "Type": "Wait", "Seconds": 1, "SecondsPath": "$" }),
        "SecondsPath",
        "JSONPath",
    );
    refuses_state(task(json!({ "TimeoutSecondsPath": "$" })), "TimeoutSecondsPath", "JSONPath");
    refuses_state(
        json!({ "Type": "Pass", "Output": { "a": [{ "b.$": "$.c" }] } }),
        "Output",
        "`b.$`",
    );
    let rule = json!({ "Variable": "$.a", "BooleanEquals": true, "Next": "Only" });
    refuses(
        machine(json!({ "Only": { "Type": "Choice", "Choices": [rule] } })),
        Some("Only"),
        "Choices[0]",
        "JSONPath",
    );
}

#[test]
fn unknown_fields_are_refused_wherever_they_are() {
    refuses_state(json!({ "Type": "Pass", "Outputs": 1 }), "Outputs", "belongs here");
    refuses_state(json!({ "Type": "Pass", "Retry": [] }), "Retry", "belongs here");
    refuses_state(
        task(json!({ "Retry": [{ "ErrorEquals": ["A"], "Backoff": 2 }] })),
        "Retry[0].Backoff",
        "belongs here",
    );
    refuses_state(
        task(json!({ "Catch": [{ "ErrorEquals": ["A"], "Next": "Only", "ResultPath": "$" }] })),
        "Catch[0].ResultPath",
        "JSONPath",
    );
    refuses(
        with(one(json!({ "Type": "Pass" })), json!({ "Timeout": 1 })),
        None,
        "Timeout",
        "belongs here",
    );
    refuses(
        machine(json!({ "Only": { "Type": "Succeed", "End": true } })),
        Some("Only"),
        "End",
        "belongs here",
    );
}

#[test]
fn a_type_that_does_not_exist_is_refused() {
    refuses_state(json!({ "Type": "Pause" }), "Type", "Pause");
    refuses_state(json!({}), "Type", "missing");
}

#[test]
fn dangling_names_are_refused() {
    let pass = |next: &str| json!({ "Type": "Pass", "Next": next });
    refuses(machine(json!({ "Only": pass("Gone") })), Some("Only"), "Next", "`Gone`");
    let start = with(machine(json!({ "Only": pass("Only") })), json!({ "StartAt": "Gone" }));
    refuses(start, None, "StartAt", "`Gone`");
    let choice = json!({ "Type": "Choice", "Default": "Gone",
        "Choices": [{ "Condition": "{% true %}", "Next": "Only" }] });
    refuses(machine(json!({ "Only": choice })), Some("Only"), "Default", "`Gone`");
    refuses_state(
        task(json!({ "Catch": [{ "ErrorEquals": ["A"], "Next": "Gone" }] })),
        "Catch[0].Next",
        "`Gone`",
    );
}

#[test]
fn a_branch_cannot_lead_out_of_itself() {
    let inner = branch(json!({ "Inner": { "Type": "Pass", "Next": "Only" } }));
    refuses(
        one(json!({ "Type": "Parallel", "Branches": [inner] })),
        Some("Inner"),
        "Next",
        "`Only`",
    );
}

#[test]
fn unreachable_states_are_refused() {
    let definition = machine(json!({
        "First": { "Type": "Succeed" },
        "Island": { "Type": "Pass", "Next": "Shore" },
        "Shore": { "Type": "Pass", "Next": "Island" },
    }));
    let error = refusal(definition, &lenient());
    assert_eq!(error.state.as_deref(), Some("Island"));
    assert_eq!(error.to_string(), "m, state Island: cannot be reached");
}

#[test]
fn a_state_without_an_end_is_refused() {
    refuses(machine(json!({ "Only": { "Type": "Pass" } })), Some("Only"), "Next", "neither");
    refuses_state(json!({ "Type": "Pass", "Next": "Only" }), "End", "beside Next");
}

#[test]
fn names_are_unique_over_all_branches() {
    let inner = branch(json!({ "Only": { "Type": "Succeed" } }));
    let error = refusal(one(json!({ "Type": "Parallel", "Branches": [inner] })), &lenient());
    assert!(error.problem.contains("another state"), "{error}");
}

#[test]
fn a_missing_time_out_is_refused_when_loading_strictly() {
    let strict = LoadOptions::default();
    let on_machine = refusal(one(task(json!({ "TimeoutSeconds": 1 }))), &strict);
    assert_eq!((on_machine.state, on_machine.field.as_deref()), (None, Some("TimeoutSeconds")));
    let on_task = refusal(with(one(task(json!({}))), json!({ "TimeoutSeconds": 1 })), &strict);
    assert_eq!(on_task.state.as_deref(), Some("Only"));
    assert_eq!(on_task.field.as_deref(), Some("TimeoutSeconds"));
    let good = with(one(task(json!({ "TimeoutSeconds": 1 }))), json!({ "TimeoutSeconds": 1 }));
    assert!(Definition::load("m", &good.to_string()).is_ok());
}

#[test]
fn bad_retriers_are_refused() {
    let retry =
        |fields: Value| task(json!({ "Retry": [with(json!({ "ErrorEquals": ["A"] }), fields)] }));
    refuses_state(
        retry(json!({ "JitterStrategy": "Full" })),
        "Retry[0].JitterStrategy",
        "FULL or NONE",
    );
    refuses_state(retry(json!({ "BackoffRate": 0.5 })), "Retry[0].BackoffRate", "1.0");
    refuses_state(retry(json!({ "IntervalSeconds": 0 })), "Retry[0].IntervalSeconds", "at least 1");
    refuses_state(retry(json!({ "MaxAttempts": -1 })), "Retry[0].MaxAttempts", "whole number");
    refuses_state(
        retry(json!({ "IntervalSeconds": 9, "MaxDelaySeconds": 9 })),
        "Retry[0].MaxDelaySeconds",
        "larger",
    );
    refuses_state(retry(json!({ "ErrorEquals": [] })), "Retry[0].ErrorEquals", "names");
}

#[test]
fn only_catchers_lead_on() {
    let retrier = json!({ "ErrorEquals": ["A"], "Next": "Only" });
    refuses_state(task(json!({ "Retry": [retrier] })), "Retry[0].Next", "belongs here");
    let catcher = json!({ "ErrorEquals": ["A"] });
    refuses_state(task(json!({ "Catch": [catcher] })), "Catch[0].Next", "missing");
    let retried = task(json!({ "Retry": [{ "ErrorEquals": ["A"] }] }));
    refuses(machine(json!({ "Only": retried })), Some("Only"), "Next", "neither");
    let caught = task(json!({ "Catch": [{ "ErrorEquals": ["A"], "Next": "Only" }] }));
    refuses(machine(json!({ "Only": caught })), Some("Only"), "Next", "neither");
    for kind in ["Pass", "Succeed", "Fail", "Choice"] {
        let state = json!({ "Type": kind, "Retry": [], "Catch": [],
            "Choices": [{ "Condition": true, "Next": "Only" }] });
        let error = refusal(machine(json!({ "Only": state })), &lenient());
        assert_eq!(error.state.as_deref(), Some("Only"), "{error}");
    }
}

#[test]
fn states_all_stands_alone_and_last() {
    let retry = |entries: Value| task(json!({ "Retry": entries }));
    refuses_state(
        retry(json!([{ "ErrorEquals": ["States.ALL", "A"] }])),
        "Retry[0].ErrorEquals",
        "alone",
    );
    refuses_state(
        retry(json!([{ "ErrorEquals": ["States.ALL"] }, { "ErrorEquals": ["A"] }])),
        "Retry[0].ErrorEquals",
        "last",
    );
    let catch = json!([{ "ErrorEquals": ["States.ALL"], "Next": "Only" },
        { "ErrorEquals": ["A"], "Next": "Only" }]);
    refuses_state(task(json!({ "Catch": catch })), "Catch[0].ErrorEquals", "last");
}

#[test]
fn expressions_without_a_context_are_refused() {
    refuses_output("$.a", "$states.input");
    refuses_output("$", "$states.input");
    refuses_output("$$.a", "$states.input");
    refuses_output("states.input", "`states`");
    refuses_output("*", "context");
    refuses_output("$map([1], function($v) { $ })", "$states.input");
    refuses_output("$eval('1')", "$parse");
    accepts(one(json!({ "Type": "Pass", "Output": [
        "{% $states.input.list[$ > 1] %}",
        "{% $states.input.list.{ 'a': $, 'b': name } %}",
        "{% $states.input.list[name = 'x'].name %}",
        "{% $sort($states.input.list, function($l, $r) { $l.at > $r.at })^(>at) %}",
        "{% ($f := function($n) { $n < 2 ? 1 : $n * $f($n - 1) }; $f(5)) %}",
        "{% $states.input.list#$i.{ 'at': $i } %}",
        "{% $states.input ~> |list|{ 'n': name }| %}",
        "{% $reduce([1, 2], function($a, $b) { $a + $b }) %}",
        "{% $states.input.list{ kind: $sum(size) } %}",
    ] })));
}

#[test]
fn operators_that_aws_rejects_are_refused() {
    refuses_output("$states.input.a ?: 1", "?:");
    refuses_output("$states.input.list[a ?? b]", "??");
    accepts(one(json!({ "Type": "Pass", "Output": "{% $states.input.a ? 1 : 2 %}" })));
}

#[test]
fn text_that_is_no_expression_is_refused() {
    refuses_output("$states.input.", "is not JSONata");
}

#[test]
fn parts_of_states_that_do_not_exist_in_a_field_are_refused() {
    refuses_output("$states.result", "$states.result");
    refuses_output("$states.inputs", "$states.inputs");
    refuses_state(
        task(json!({ "Arguments": "{% $states.result %}" })),
        "Arguments",
        "$states.result",
    );
    refuses_state(
        task(json!({ "Output": "{% $states.errorOutput %}" })),
        "Output",
        "$states.errorOutput",
    );
    let catch = json!([{ "ErrorEquals": ["A"], "Next": "Only", "Output": "{% $states.result %}" }]);
    refuses_state(task(json!({ "Catch": catch })), "Catch[0].Output", "$states.result");
}

#[test]
fn variables_that_nothing_assigns_before_are_refused() {
    refuses_output("$nothing", "$nothing");
    let definition = |reads: &str| {
        machine(json!({
            "First": { "Type": "Pass", "Assign": { "a": 1, "b": "{% $states.input %}" }, "Next": "Ask" },
            "Ask": task(json!({ "Assign": { "c": 1 }, "Next": "End",
                "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "Caught", "Assign": { "d": 1 } }] })),
            "Caught": { "Type": "Pass", "Output": reads, "Next": "End" },
            "End": { "Type": "Succeed" },
        }))
    };
    accepts(definition("{% $a + $b + $d %}"));
    refuses(definition("{% $c %}"), Some("Caught"), "Output", "$c");
    let own = json!({ "Type": "Pass", "Assign": { "a": 1 }, "Output": "{% $a %}" });
    refuses_state(own, "Output", "$a");
}

#[test]
fn a_variable_of_a_loop_is_known_the_second_time_round() {
    accepts(machine(json!({
        "Zero": { "Type": "Pass", "Assign": { "n": 0 }, "Next": "Add" },
        "Add": { "Type": "Pass", "Assign": { "n": "{% $n + 1 %}", "last": "{% $n %}" }, "Next": "More" },
        "More": { "Type": "Choice", "Default": "End",
            "Choices": [{ "Condition": "{% $n < 10 and $last < 9 %}", "Next": "Add" }] },
        "End": { "Type": "Succeed" },
    })));
}

#[test]
fn a_branch_may_not_assign_a_variable_around_it() {
    let inner = branch(json!({ "Inner": { "Type": "Pass", "Assign": { "a": 2 }, "End": true } }));
    let definition = machine(json!({
        "Set": { "Type": "Pass", "Assign": { "a": 1 }, "Next": "Both" },
        "Both": { "Type": "Parallel", "Branches": [inner], "End": true },
    }));
    refuses(definition, Some("Inner"), "Assign/a", "around");
}

#[test]
fn bad_names_of_variables_are_refused() {
    refuses_state(json!({ "Type": "Pass", "Assign": { "states": 1 } }), "Assign/states", "name");
    refuses_state(json!({ "Type": "Pass", "Assign": { "a-b": 1 } }), "Assign/a-b", "name");
}

#[test]
fn resources_that_are_not_supported_are_refused() {
    for resource in [
        "arn:aws:states:::dynamodb:getItem",
        "arn:aws:states:::states:startExecution.sync",
        "arn:aws:states:::lambda:invoke.sync",
        "arn:aws:states:::states:startExecution.sync:2.waitForTaskToken",
        "invoke",
    ] {
        refuses_state(task(json!({ "Resource": resource })), "Resource", resource);
    }
    let extra = "arn:aws:states:::dynamodb:getItem";
    let options = LoadOptions { extra_resources: [extra.to_owned()].into(), ..lenient() };
    let definition = one(task(json!({ "Resource": extra }))).to_string();
    assert!(Definition::load_with("m", &definition, &options).is_ok());
}

#[test]
fn bad_arguments_of_a_nested_execution_are_refused() {
    let start = |arguments: Value| json!({ "Type": "Task", "Resource": common::START_EXECUTION, "Arguments": arguments });
    refuses_state(
        start(json!({ "StateMachineArn": "a", "Inputs": {} })),
        "Arguments/Inputs",
        "startExecution",
    );
    refuses_state(start(json!({ "Input": {} })), "Arguments/StateMachineArn", "missing");
}

#[test]
fn bad_numbers_are_refused() {
    refuses_state(json!({ "Type": "Wait", "Seconds": 1.5 }), "Seconds", "whole number");
    refuses_state(json!({ "Type": "Wait", "Seconds": -1 }), "Seconds", "whole number");
    refuses_state(json!({ "Type": "Wait" }), "Seconds", "either");
    refuses_state(json!({ "Type": "Wait", "Timestamp": "tomorrow" }), "Timestamp", "RFC 3339");
    refuses_state(task(json!({ "TimeoutSeconds": 0 })), "TimeoutSeconds", "at least 1");
    refuses_state(
        task(json!({ "TimeoutSeconds": 5, "HeartbeatSeconds": 5 })),
        "HeartbeatSeconds",
        "smaller",
    );
}

#[test]
fn a_distributed_map_is_refused() {
    let processor = with(
        branch(json!({ "Inner": { "Type": "Succeed" } })),
        json!({ "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" } }),
    );
    refuses_state(
        json!({ "Type": "Map", "ItemProcessor": processor }),
        "ItemProcessor.ProcessorConfig.Mode",
        "INLINE",
    );
}

#[test]
fn text_that_is_not_json_is_refused() {
    assert!(Definition::load("m", "{").is_err_and(|error| error.problem.contains("not JSON")));
}

#[test]
fn a_state_that_stands_there_twice_is_refused() {
    let json = r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"},"A":{"Type":"Fail"}}}"#;
    assert!(Definition::load("m", json).is_err_and(|error| error.problem.contains("`A`")));
}

#[test]
fn placeholders_are_replaced_and_missing_ones_named() {
    let values = BTreeMap::from([("AArn".to_owned(), "arn:a".to_owned())]);

    assert_eq!(
        Definition::substitute(r#"{"a":"${AArn}"}"#, &values).as_deref(),
        Ok(r#"{"a":"arn:a"}"#)
    );
    let error = Definition::substitute("${AArn} ${CArn} ${BArn} ${CArn}", &values).unwrap_err();
    assert!(error.problem.ends_with("BArn, CArn"), "{error}");
}

#[test]
fn a_definition_tells_its_states() {
    let inner = branch(json!({ "Inner": { "Type": "Succeed" } }));
    let json = one(json!({ "Type": "Parallel", "Branches": [inner] })).to_string();
    let definition = Definition::load_with("m", &json, &lenient()).expect("good");

    assert_eq!(definition.states(), BTreeMap::from([("Inner", "Succeed"), ("Only", "Parallel")]));
    assert_eq!(definition.name(), "m");
}
