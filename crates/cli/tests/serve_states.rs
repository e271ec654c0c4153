//! Step Functions as it is served.

mod served;

use std::collections::BTreeSet;

use failback_cli::serve::Limits;
use serde_json::{Value, json};
use served::{Ask, Served, serve};

const FAILBACK: &str = "arn:aws:states:us-west-2:123456789012:stateMachine:failback";
const ROLE: &str = "arn:aws:iam::123456789012:role/any";

/// A world in which minutes pass while a test asks whether they have.
fn fast() -> Served {
    serve(10_000.0, Limits::default())
}

fn create(served: &Served, name: &str, states: &Value) -> String {
    let definition = json!({
        "QueryLanguage": "JSONata", "TimeoutSeconds": 86_400, "StartAt": "First", "States": states,
    });
    let input = json!({ "name": name, "roleArn": ROLE, "definition": definition.to_string() });
    served.must("CreateStateMachine", &input)["stateMachineArn"].as_str().unwrap().to_owned()
}

fn passes(served: &Served) -> String {
    create(served, "passes", &json!({ "First": { "Type": "Pass", "End": true } }))
}

fn start(served: &Served, machine: &str, name: &str, input: &str) -> String {
    let input = json!({ "stateMachineArn": machine, "name": name, "input": input });
    served.must("StartExecution", &input)["executionArn"].as_str().unwrap().to_owned()
}

/// The description of an execution that has ended.
fn ended(served: &Served, arn: &str) -> Value {
    for _ in 0..20_000 {
        let described = served.must("DescribeExecution", &json!({ "executionArn": arn }));
        if described["status"] != "RUNNING" {
            return described;
        }
    }
    panic!("{arn} does not end");
}

#[test]
fn machines_of_the_repository_are_there_in_their_region_only() {
    let served = fast();
    let listed = served.must("ListStateMachines", &json!({}));
    let names: BTreeSet<&str> = listed["stateMachines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    let expected = failback_cli::definitions::MACHINES.map(|(name, _)| name);
    assert_eq!(names, BTreeSet::from(expected));
    let elsewhere = Ask::states("ListStateMachines", "{}").in_region("us-east-1");
    assert_eq!(served.call(&elsewhere).json(), json!({ "stateMachines": [] }));
    let described = served.must("DescribeStateMachine", &json!({ "stateMachineArn": FAILBACK }));
    assert_eq!(described["status"], "ACTIVE");
    let definition: Value =
        serde_json::from_str(described["definition"].as_str().unwrap()).unwrap();
    assert_eq!(definition["QueryLanguage"], "JSONata");
}

/// A whole failback is left to the AWS CLI: at the speed of this test the time-outs of its Tasks
/// would pass while the functions think.
#[test]
fn failback_is_planned_by_the_functions_behind_its_machine() {
    let served = serve(20.0, Limits::default());
    let mut input: Value =
        serde_json::from_str(include_str!("../../../statemachine/examples/workshop.json")).unwrap();
    input["dry_run"] = true.into();
    let before = served.sandbox.fingerprint();
    let arn = start(&served, FAILBACK, "plan-only", &input.to_string());
    let described = ended(&served, &arn);
    assert_eq!(described["status"], "SUCCEEDED", "{described}");
    assert_eq!(described["name"], "plan-only");
    assert!(described["stopDate"].as_f64() > described["startDate"].as_f64());
    assert!(described["output"].as_str().unwrap().contains("DRY_RUN"), "{described}");
    assert_eq!(served.sandbox.fingerprint(), before);
}

#[test]
fn machine_is_created_once_and_only_if_it_can_run() {
    let served = fast();
    let arn = passes(&served);
    assert_eq!(arn, "arn:aws:states:us-west-2:123456789012:stateMachine:passes");
    assert_eq!(passes(&served), arn);
    let refused = |change: Value, code: &str| {
        let good = r#"{"QueryLanguage": "JSONata", "TimeoutSeconds": 9, "StartAt": "A",
            "States": {"A": {"Type": "Succeed"}}}"#;
        let mut input = json!({ "name": "passes", "roleArn": ROLE, "definition": good });
        for (key, value) in change.as_object().unwrap() {
            input[key] = value.clone();
        }
        served.states("CreateStateMachine", &input).assert_refused(400, code);
    };
    refused(json!({}), "StateMachineAlreadyExists");
    refused(json!({ "name": "a b" }), "InvalidName");
    refused(json!({ "name": "" }), "InvalidName");
    refused(json!({ "name": null }), "ValidationException");
    refused(json!({ "name": 7 }), "SerializationException");
    refused(json!({ "name": "other", "definition": "{" }), "InvalidDefinition");
    refused(json!({ "name": "other", "definition": "{}" }), "InvalidDefinition");
    refused(json!({ "name": "other", "roleArn": "nobody" }), "InvalidArn");
    refused(json!({ "name": "other", "type": "EXPRESS" }), "StateMachineTypeNotSupported");
}

#[test]
fn execution_is_refused_by_the_names_of_aws() {
    let served = fast();
    let machine = passes(&served);
    start(&served, &machine, "taken", "{}");
    let start = |machine: &str, name: &str, input: &str| {
        let input = json!({ "stateMachineArn": machine, "name": name, "input": input });
        served.states("StartExecution", &input)
    };
    start(&machine, "taken", "[1]").assert_refused(400, "ExecutionAlreadyExists");
    start(&machine, "new", "{").assert_refused(400, "InvalidExecutionInput");
    start(&machine, "a b", "{}").assert_refused(400, "InvalidName");
    start("passes", "new", "{}").assert_refused(400, "InvalidArn");
    start(&machine.replace("stateMachine", "execution"), "new", "{}")
        .assert_refused(400, "InvalidArn");
    start(&format!("{machine}-other"), "new", "{}").assert_refused(400, "StateMachineDoesNotExist");
    start(&machine.replace("us-west-2", "us-east-1"), "new", "{}")
        .assert_refused(400, "StateMachineDoesNotExist");
    let unknown = json!({ "executionArn":
        "arn:aws:states:us-west-2:123456789012:execution:passes:unknown" });
    for operation in ["DescribeExecution", "GetExecutionHistory", "StopExecution"] {
        served.states(operation, &unknown).assert_refused(400, "ExecutionDoesNotExist");
        let bad = json!({ "executionArn": machine });
        served.states(operation, &bad).assert_refused(400, "InvalidArn");
        served.states(operation, &json!({})).assert_refused(400, "ValidationException");
    }
    let raw = served.states("DescribeExecution", &unknown).json();
    assert_eq!(raw["__type"], "com.amazonaws.states.v20161123#ExecutionDoesNotExist");
}

#[test]
fn history_comes_in_pages_in_both_directions() {
    let served = fast();
    let arn = start(&served, &passes(&served), "one", r#"{"secret": 1}"#);
    ended(&served, &arn);
    let all = |reverse: bool, size: u64| {
        let mut ids = Vec::new();
        let mut input = json!({ "executionArn": arn, "maxResults": size, "reverseOrder": reverse });
        loop {
            let page = served.must("GetExecutionHistory", &input);
            let events = page["events"].as_array().unwrap();
            assert!(events.len() as u64 <= size);
            ids.extend(events.iter().map(|event| event["id"].as_u64().unwrap()));
            match page["nextToken"].as_str() {
                Some(token) => input["nextToken"] = token.into(),
                None => return ids,
            }
        }
    };
    assert_eq!(all(false, 1_000), [1, 2, 3, 4]);
    assert_eq!(all(false, 1), [1, 2, 3, 4]);
    assert_eq!(all(true, 3), [4, 3, 2, 1]);
    let ask = |extra: Value| {
        let mut input = extra;
        input["executionArn"] = arn.clone().into();
        served.states("GetExecutionHistory", &input)
    };
    ask(json!({ "nextToken": "after" })).assert_refused(400, "InvalidToken");
    ask(json!({ "nextToken": "before-2" })).assert_refused(400, "InvalidToken");
    ask(json!({ "maxResults": 1_001 })).assert_refused(400, "ValidationException");
    ask(json!({ "maxResults": -1 })).assert_refused(400, "ValidationException");
    let events = ask(json!({})).json()["events"].clone();
    assert!(events[0]["timestamp"].is_f64() && events[0]["type"] == "ExecutionStarted");
    assert_eq!(events[0]["executionStartedEventDetails"]["input"], r#"{"secret":1}"#);
    let without = ask(json!({ "includeExecutionData": false }));
    assert!(!without.body.contains("secret"));
}

#[test]
fn task_is_answered_with_its_token_and_an_execution_is_stopped() {
    let served = serve(1.0, Limits::default());
    let machine = create(
        &served,
        "asks",
        &json!({ "First": {
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {
                "FunctionName": "arn:aws:lambda:us-west-2:123456789012:function:plan_failback",
                "Payload": { "request": {}, "token": "{% $states.context.Task.Token %}" }
            },
            "TimeoutSeconds": 60, "End": true
        }}),
    );
    let arn = start(&served, &machine, "one", "{}");
    for operation in ["SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"] {
        let input = json!({ "taskToken": "no-such-token", "output": "{}" });
        served.states(operation, &input).assert_refused(400, "InvalidToken");
    }
    let bad = json!({ "taskToken": "no-such-token", "output": "{" });
    served.states("SendTaskSuccess", &bad).assert_refused(400, "InvalidOutput");
    let stopped = json!({ "executionArn": arn, "error": "Enough", "cause": "of it" });
    assert!(served.must("StopExecution", &stopped)["stopDate"].is_f64());
    let described = ended(&served, &arn);
    assert_eq!(described["status"], "ABORTED");
    assert_eq!((&described["error"], &described["cause"]), (&json!("Enough"), &json!("of it")));
}

#[test]
fn executions_are_listed_latest_first_and_forgotten_in_the_end() {
    let served = fast();
    let machine = passes(&served);
    let mut last = String::new();
    for n in 0..2_000 {
        last = start(&served, &machine, &format!("run-{n}"), "{}");
    }
    ended(&served, &last);
    let listed = || {
        let mut names = Vec::new();
        let mut input = json!({ "stateMachineArn": machine, "maxResults": 300 });
        loop {
            let page = served.must("ListExecutions", &input);
            let executions = page["executions"].as_array().unwrap();
            names.extend(executions.iter().map(|e| e["name"].as_str().unwrap().to_owned()));
            match page["nextToken"].as_str() {
                Some(token) => input["nextToken"] = token.into(),
                None => return names,
            }
        }
    };
    let is_tidy = (0..20_000).any(|_| {
        let input = json!({ "stateMachineArn": machine, "maxResults": 1_000 });
        served.must("ListExecutions", &input)["executions"].as_array().unwrap().len() <= 500
    });
    assert!(is_tidy, "executions that have ended are remembered for ever");
    let names = listed();
    assert_eq!(names.first().map(String::as_str), Some("run-1999"));
    assert!(names.len() <= 500);
    let filtered = json!({ "stateMachineArn": machine, "statusFilter": "FAILED" });
    assert_eq!(served.must("ListExecutions", &filtered)["executions"], json!([]));
    let filtered = json!({ "stateMachineArn": machine, "statusFilter": "SLEEPING" });
    served.states("ListExecutions", &filtered).assert_refused(400, "ValidationException");
}
