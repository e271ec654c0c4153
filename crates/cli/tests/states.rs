//! Step Functions as functions reach it: through the unchanged SDK, in the process of the
//! interpreter that runs them.

use std::rc::Rc;
use std::sync::Arc;

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use failback::{Aws, Stack};
use failback_cli::drill::{Drill, Setup};
use failback_cli::states::{Door, StepFunctions};
use failback_sandbox::{Fault, Sandbox, Verb, WorldSpec};
use failback_states::{Clock, Definition, Engine, Status, TaskCall, TaskFuture};
use serde_json::{Value, json};

const AWAY: &str = "us-west-2";
const START_MS: i64 = 1_767_582_000_000;

fn machine(name: &str) -> String {
    format!("arn:aws:states:us-west-2:123456789012:stateMachine:{name}")
}

fn definition(name: &str, states: &Value) -> Definition {
    let definition = json!({
        "QueryLanguage": "JSONata", "TimeoutSeconds": 86_400, "StartAt": "First", "States": states,
    });
    Definition::load(name, &definition.to_string()).unwrap()
}

/// The drill's Step Functions and a machine that waits for an hour.
fn drill() -> Drill {
    let drill = Drill::new(&Setup::workshop(1)).unwrap();
    let wait = json!({ "First": { "Type": "Wait", "Seconds": 3600, "End": true } });
    drill.engine.create_state_machine(machine("waits"), definition("waits", &wait));
    drill
}

#[tokio::test(start_paused = true)]
async fn function_starts_describes_lists_and_stops_executions() {
    let drill = drill();
    let sfn = drill.aws.sfn(AWAY);
    let waits = machine("waits");

    let start = || sfn.start_execution().state_machine_arn(&waits).name("one").input("{\"a\":1}");
    let arn = start().send().await.unwrap().execution_arn;
    assert_eq!(start().send().await.unwrap().execution_arn, arn, "the same start again");
    let described = sfn.describe_execution().execution_arn(&arn).send().await.unwrap();
    assert_eq!(described.status().as_str(), "RUNNING");
    assert_eq!(described.input(), Some("{\"a\":1}"));
    let listed = sfn.list_executions().state_machine_arn(&waits).status_filter("RUNNING".into());
    assert_eq!(listed.send().await.unwrap().executions()[0].execution_arn(), arn);
    let stop = sfn.stop_execution().execution_arn(&arn).error("Superseded").cause("by hand");
    stop.send().await.unwrap();

    let outcome = drill.engine.wait(&arn).await;
    assert_eq!((outcome.status, outcome.error.as_deref()), (Status::Aborted, Some("Superseded")));
}

#[tokio::test(start_paused = true)]
async fn machines_of_the_repository_are_found_in_their_region_only() {
    let drill = drill();
    let (here, there) = (drill.aws.sfn(AWAY), drill.aws.sfn("us-east-1"));
    let failback = machine("failback");

    let listed = here.list_executions().state_machine_arn(&failback).send().await.unwrap();
    assert!(listed.executions().is_empty());
    let error = there.list_executions().state_machine_arn(&failback).send().await.unwrap_err();
    assert_eq!(error.code(), Some("StateMachineDoesNotExist"));
    let unknown = here.describe_execution();
    let unknown =
        unknown.execution_arn(machine("failback").replace("stateMachine", "execution") + ":x");
    let error = unknown.send().await.unwrap_err().into_service_error();
    assert!(error.is_execution_does_not_exist());
}

/// An interpreter whose functions are the test's own: they get clients that reach it.
struct Lab {
    sandbox: Sandbox,
    engine: Engine,
    aws: Aws,
    door: Door,
}

/// What a function is: clients and the attempt of a Task in, an answer out.
type Function = fn(Aws, TaskCall) -> TaskFuture<'static>;

fn lab(function: Function, machines: &[(&str, Value)]) -> Lab {
    let clock = Clock::new(START_MS);
    let for_world = clock.clone();
    let now = Arc::new(move || for_world.now_ms());
    let sandbox = Sandbox::new(&WorldSpec::workshop(), 1, now).unwrap();
    let door = Door::new();
    let client = door.client(&sandbox, sandbox.http_client());
    let aws = Aws::new(failback_cli::drill::sdk_config(client), Stack::default());
    let for_tasks = aws.clone();
    let runner = move |call: TaskCall| function(for_tasks.clone(), call);
    let engine = Engine::new(clock, Rc::new(runner), 1);
    let states = StepFunctions::new(engine.clone(), "123456789012".to_owned());
    for (name, states_of) in machines {
        states.install(&machine(name), definition(name, states_of));
    }
    door.open(Rc::new(states));
    Lab { sandbox, engine, aws, door }
}

fn task(resource: &str, arguments: &Value) -> Value {
    let task = json!({ "Type": "Task", "Resource": resource, "Arguments": arguments,
                       "TimeoutSeconds": 60, "End": true });
    json!({ "First": task })
}

/// Asks a function, with the execution's input and its own ARN.
fn invoking() -> Value {
    let payload =
        json!({ "input": "{% $states.input %}", "self": "{% $states.context.Execution.Id %}" });
    task("arn:aws:states:::lambda:invoke", &json!({ "FunctionName": "f", "Payload": payload }))
}

/// Waits until somebody answers with the token; what is asked is never done.
fn waiting() -> Value {
    let payload = json!({ "token": "{% $states.context.Task.Token %}" });
    let arguments = json!({ "FunctionName": "f", "Payload": payload });
    task("arn:aws:states:::lambda:invoke.waitForTaskToken", &arguments)
}

/// Answers the token in its input, or keeps the one that it is given as an item.
fn answers(aws: Aws, call: TaskCall) -> TaskFuture<'static> {
    Box::pin(async move {
        let sfn = aws.sfn(AWAY);
        if call.task_token.is_some() {
            return Ok(json!({}));
        }
        let payload = &call.arguments["Payload"];
        let token = payload["input"]["token"].as_str().unwrap();
        let own = payload["self"].as_str().unwrap();
        let described = sfn.describe_execution().execution_arn(own).send().await.unwrap();
        let success = sfn.send_task_success().task_token(token).output("{\"answer\": \"yes\"}");
        let sent = success.send().await.map(|_| "sent".to_owned());
        let sent = sent.unwrap_or_else(|e| e.code().unwrap_or("no code").to_owned());
        Ok(json!({ "own": described.status().as_str(), "sent": sent }))
    })
}

#[tokio::test(start_paused = true)]
async fn function_of_one_execution_answers_the_token_of_another() {
    let lab = lab(answers, &[("asks", waiting()), ("answers", invoking())]);
    let asking = lab.engine.start_execution(&machine("asks"), Some("a"), json!({})).unwrap();
    lab.engine.drive_for(1_000).await;
    let scheduled = lab.engine.history(&asking);
    let scheduled = scheduled.iter().find_map(|event| event.json_detail("parameters")).unwrap();
    let input = json!({ "token": scheduled["Payload"]["token"] });

    let answering = lab.engine.start_execution(&machine("answers"), None, input.clone()).unwrap();
    let answered = lab.engine.wait(&answering).await;
    let asked = lab.engine.wait(&asking).await;
    let again = lab.engine.start_execution(&machine("answers"), None, input).unwrap();
    let again = lab.engine.wait(&again).await;

    assert_eq!(answered.output, Some(json!({ "own": "RUNNING", "sent": "sent" })));
    assert_eq!(asked.output, Some(json!({ "answer": "yes" })));
    assert_eq!(again.output, Some(json!({ "own": "RUNNING", "sent": "TaskTimedOut" })));
}

/// Stops the execution that invoked it.
fn stops_itself(aws: Aws, call: TaskCall) -> TaskFuture<'static> {
    Box::pin(async move {
        let own = call.arguments["Payload"]["self"].as_str().unwrap();
        let stop = aws.sfn(AWAY).stop_execution().execution_arn(own).error("Enough");
        stop.send().await.unwrap();
        Ok(json!({}))
    })
}

#[tokio::test(start_paused = true)]
async fn function_may_stop_the_execution_that_invoked_it() {
    let lab = lab(stops_itself, &[("stops", invoking())]);

    let arn = lab.engine.start_execution(&machine("stops"), None, json!({})).unwrap();
    let outcome = lab.engine.wait(&arn).await;

    assert_eq!((outcome.status, outcome.error.as_deref()), (Status::Aborted, Some("Enough")));
}

#[tokio::test(start_paused = true)]
async fn faults_meet_step_functions_and_calls_are_recorded() {
    let lab = lab(answers, &[("answers", waiting())]);
    let sfn = lab.aws.sfn(AWAY);
    let arn = machine("answers");
    let start = |name: &str| sfn.start_execution().state_machine_arn(&arn).name(name);
    for (skip, verb) in [Verb::Throttle, Verb::LoseRequest, Verb::LoseReply].into_iter().enumerate()
    {
        let fault = Fault::next(verb, "StartExecution").after(u32::try_from(skip).unwrap());
        lab.sandbox.inject(fault);
    }

    let throttled = start("a").send().await.unwrap_err();
    assert_eq!(throttled.code(), Some("ThrottlingException"));
    assert!(start("b").send().await.is_err());
    assert!(start("c").send().await.is_err());
    let names: Vec<String> = lab.engine.list_executions().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["c"], "only the one whose reply was lost");
    let unknown = sfn.send_task_success().task_token("none").output("{}").send().await;
    assert_eq!(unknown.unwrap_err().code(), Some("InvalidToken"));

    let calls = lab.sandbox.take_calls();
    assert!(calls.iter().all(|call| call.service == "states" && call.region == AWAY));
    assert!(calls.iter().all(|call| call.mutating));
    let told: Vec<_> = calls.iter().map(|c| (c.resource.as_str(), c.error.as_deref())).collect();
    assert_eq!(
        told,
        [
            (arn.as_str(), Some("ThrottlingException")),
            (arn.as_str(), Some("LostRequest")),
            (arn.as_str(), Some("LostReply")),
            ("none", Some("InvalidToken")),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn stale_read_knows_neither_a_start_nor_an_end_of_just_now() {
    let drill = drill();
    let sfn = drill.aws.sfn(AWAY);
    let waits = machine("waits");
    let stale = |operation: &str| {
        drill.sandbox.inject(Fault::next(Verb::StaleRead { age_ms: 5_000 }, operation));
    };
    let list = || sfn.list_executions().state_machine_arn(&waits).send();

    drill.engine.drive_for(60_000).await;
    let arn = drill.engine.start_execution(&waits, None, json!({})).unwrap();
    stale("ListExecutions");
    assert!(list().await.unwrap().executions().is_empty());
    assert_eq!(list().await.unwrap().executions().len(), 1);
    drill.engine.wait(&arn).await;
    stale("DescribeExecution");
    let describe = || sfn.describe_execution().execution_arn(&arn).send();
    assert_eq!(describe().await.unwrap().status().as_str(), "RUNNING");
    assert_eq!(describe().await.unwrap().status().as_str(), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn drill_has_the_table_and_the_topic_of_its_stack_in_away() {
    let drill = Drill::new(&Setup::workshop(1)).unwrap();
    let stack = drill.aws.stack().clone();
    let (table, topic) = (stack.table_arn.unwrap(), stack.topic_arn.unwrap());

    assert_eq!(table, "arn:aws:dynamodb:us-west-2:123456789012:table/failback");
    assert_eq!(topic, "arn:aws:sns:us-west-2:123456789012:failback");
    drill.aws.dynamodb(AWAY).describe_table().table_name(table).send().await.unwrap();
    drill.aws.sns(AWAY).publish().topic_arn(topic).message("asks").send().await.unwrap();
    assert_eq!(drill.sandbox.messages()[0].text, "asks");
}

#[tokio::test(start_paused = true)]
async fn interpreter_is_not_reached_once_its_door_is_closed() {
    let lab = lab(answers, &[("answers", waiting())]);
    let sfn = lab.aws.sfn(AWAY);
    let list = || sfn.list_executions().state_machine_arn(machine("answers"));
    assert!(list().send().await.is_ok());

    drop(lab.door);

    assert!(list().send().await.is_err());
}
