//! Functions, state machines, template and runbook name the same things.

pub mod definition;
mod deployed;
mod order;
pub mod source;
pub mod template;

use std::collections::BTreeSet;

use failback::error::{ErrorClass, ErrorName};
use serde_json::Value;
use strum::IntoEnumIterator;

use definition::{Machine, flows, machines};
use source::pascal;

/// Error names that Lambda and Step Functions, not our code, report, and that a Task retries: every
/// function may run twice, also one that crashed or hung.
const PLATFORM: [&str; 8] = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
];

/// The one function that a person invokes.
const BY_HAND: &str = "answer_approval";

/// The one function that rules of EventBridge invoke.
const BY_EVENT: &str = "hear_event";

fn function_names() -> BTreeSet<String> {
    failback::FUNCTIONS.iter().map(|f| f.name.to_owned()).collect()
}

/// Names of our errors, of one class or of both.
fn error_names(class: Option<ErrorClass>) -> BTreeSet<&'static str> {
    let wanted = |e: &ErrorName| class.is_none_or(|class| e.class() == class);
    ErrorName::iter().filter(wanted).map(Into::into).collect()
}

/// `Failback` for `failback`, `RetireCluster` for `retire-cluster`.
fn resource_of(machine: &Machine) -> String {
    pascal(&machine.name.replace('-', "_"))
}

#[test]
fn every_function_has_a_file_a_handler_a_resource_and_a_task() {
    let functions = function_names();

    let files = source::files("functions", ".rs").into_iter();
    let with_header = files.filter(|f| source::header(f, "Calls").is_some()).collect();
    assert_eq!(functions, with_header, "FUNCTIONS and the files that name their calls");

    let mut handlers = BTreeSet::new();
    for (id, resource) in template::resources("AWS::Serverless::Function") {
        let handler = resource["Properties"]["Handler"].as_str().expect("a handler").to_owned();
        assert_eq!(id, pascal(&handler) + "Function", "the resource with handler {handler}");
        assert_eq!(resource["Metadata"]["BuildProperties"]["Binary"], "bootstrap", "{id}");
        handlers.insert(handler);
    }
    assert_eq!(functions, handlers, "FUNCTIONS and the template's handlers");

    let flows = flows();
    let mut invoked: BTreeSet<String> = flows
        .iter()
        .flat_map(|m| m.invocations().into_iter().map(|(_, _, f)| f.to_owned()))
        .collect();
    invoked.extend([BY_HAND, BY_EVENT].map(str::to_owned));
    assert_eq!(functions, invoked, "FUNCTIONS and the functions that a Task invokes");
}

#[test]
fn every_task_invokes_the_function_it_is_named_after() {
    for machine in flows() {
        let (functions, children) = (machine.invocations(), machine.children());
        for (state, task, function) in &functions {
            let arn = format!("${{{}FunctionArn}}", pascal(function));
            assert_eq!(task["Arguments"]["FunctionName"], arn, "{}: {state}", machine.name);
        }
        let tasks = machine.of_type("Task").len();
        assert_eq!(tasks, functions.len() + children.len(), "{}: a third kind", machine.name);
    }
}

#[test]
fn every_payload_has_exactly_the_fields_its_function_takes() {
    for machine in flows() {
        for (state, task, function) in machine.invocations() {
            let payload = task["Arguments"]["Payload"].as_object().expect("a payload");
            assert_eq!(
                payload[failback::CONTEXT],
                serde_json::json!({
                    "execution": "{% $states.context.Execution.Id %}",
                    "state": "{% $states.context.State.Name %}",
                }),
                "{}: {state} does not say who calls",
                machine.name
            );
            let keys = payload.keys().filter(|key| *key != failback::CONTEXT);
            let keys: BTreeSet<String> = keys.cloned().collect();
            assert_eq!(keys, source::input_fields(function), "{}: {state}", machine.name);
        }
    }
}

#[test]
fn every_error_that_a_task_handles_can_be_raised() {
    let mut known = error_names(None);
    known.extend(PLATFORM);
    known.extend(["States.ALL", "ApprovalRejected"]);
    for machine in flows() {
        for (state, task, _) in machine.invocations() {
            for field in ["Retry", "Catch"] {
                let unknown: Vec<_> =
                    definition::errors(task, field).difference(&known).copied().collect();
                assert!(unknown.is_empty(), "{}: {state}: {field}: {unknown:?}", machine.name);
            }
        }
    }
}

#[test]
fn exactly_the_transient_errors_are_retried_and_everywhere_alike() {
    let transient = error_names(Some(ErrorClass::Transient));
    let platform = BTreeSet::from(PLATFORM);
    let mut policies = BTreeSet::new();
    for machine in flows() {
        for (state, task, _) in machine.invocations() {
            let retried = definition::errors(task, "Retry");
            let ours: BTreeSet<_> = retried.difference(&platform).copied().collect();
            assert_eq!(ours, transient, "{}: {state}", machine.name);
            if definition::waits_for_a_person(task) {
                // Who has not answered in time is not asked again.
                assert!(!retried.contains("States.Timeout"), "{}: {state}", machine.name);
                continue;
            }
            assert!(retried.is_superset(&platform), "{}: {state}", machine.name);
            policies.insert(task["Retry"].to_string());
        }
    }
    assert_eq!(policies.len(), 1, "{policies:#?}");
}

#[test]
fn failed_child_is_never_started_again_by_a_retry() {
    for machine in flows() {
        for (state, task) in machine.children() {
            for error in definition::errors(task, "Retry") {
                let throttled = error.starts_with("StepFunctions.");
                assert!(throttled, "{}: {state} retries {error}", machine.name);
            }
        }
    }
}

#[test]
fn every_task_is_bounded_and_caught() {
    let template = template::load("template.yaml");
    let function_s = template["Globals"]["Function"]["Timeout"].as_u64().expect("a time-out");
    for machine in machines() {
        assert!(machine.definition["TimeoutSeconds"].is_u64(), "{}", machine.name);
    }
    for machine in flows() {
        let seconds = |task: &Value| task["TimeoutSeconds"].as_u64().unwrap_or_default();
        for (state, task) in machine.of_type("Task") {
            let by_limit = definition::waits_for_a_person(task)
                && task["TimeoutSeconds"] == "{% $plan.limits.approval_s %}";
            assert!(by_limit || seconds(task) > 0, "{}: {state} has no time-out", machine.name);
            let caught = definition::errors(task, "Catch").contains("States.ALL");
            assert!(caught, "{}: an error of {state} ends the execution", machine.name);
            assert!(task["Retry"].is_array(), "{}: {state} has no Retry", machine.name);
        }
        for (state, task, _) in machine.invocations() {
            if definition::waits_for_a_person(task) {
                continue;
            }
            assert!(seconds(task) > function_s, "{}: {state}: function first", machine.name);
        }
        for (state, task) in machine.children() {
            let arn = task["Arguments"]["StateMachineArn"].as_str().expect("an ARN");
            let child = arn.trim_start_matches("${").trim_end_matches("StateMachineArn}");
            let child = machines().into_iter().find(|m| resource_of(m) == child).expect("a child");
            let child_s = child.definition["TimeoutSeconds"].as_u64().expect("checked above");
            assert!(seconds(task) > child_s, "{}: {state}: child first", machine.name);
        }
    }
}

#[test]
fn every_state_says_why_it_exists() {
    for machine in machines() {
        assert!(machine.definition["Comment"].is_string(), "{}", machine.name);
    }
    for machine in flows() {
        for (state, value) in machine.states() {
            let comment = value["Comment"].as_str().unwrap_or_default();
            assert!(!comment.is_empty(), "{}: {state} has no Comment", machine.name);
        }
    }
}

/// An engine that we did not write leaves it out (docs/engine.md); a Pass that ends says the same.
#[test]
fn no_output_is_left_to_a_succeed_state() {
    for machine in machines() {
        for (state, value) in machine.of_type("Succeed") {
            assert!(value.get("Output").is_none(), "{}: {state} has an Output", machine.name);
        }
    }
}

/// The graph checks below see the states of a Map as a machine of their own, and nothing deeper.
#[test]
fn machines_are_flat_but_for_the_items_of_a_map() {
    let flat = ["Task", "Pass", "Choice", "Wait", "Succeed", "Fail"];
    let is_flat = |value: &Value| flat.contains(&value["Type"].as_str().unwrap_or_default());
    for machine in machines() {
        for (state, value) in machine.states() {
            let allowed = is_flat(value) || value["Type"] == "Map";
            assert!(allowed, "{}: {state} is a {}", machine.name, value["Type"]);
        }
        for inner in machine.inner() {
            for (state, value) in inner.states() {
                // A Fail would fail the Map, and with it all other items.
                let allowed = is_flat(value) && value["Type"] != "Fail";
                assert!(allowed, "{}: {state} is a {}", inner.name, value["Type"]);
            }
        }
    }
}

#[test]
fn every_loop_has_a_deadline_that_leads_out_of_it() {
    for machine in flows() {
        let choices = machine.of_type("Choice");
        let guards: Vec<&str> = choices
            .iter()
            .filter(|(guard, choice)| {
                definition::after_deadline(choice)
                    .is_some_and(|out| !machine.reachable(out, &[]).contains(*guard))
            })
            .map(|(guard, _)| *guard)
            .collect();
        for state in machine.states().into_keys() {
            let endless = !guards.contains(&state) && machine.is_on_cycle(state, &guards);
            assert!(!endless, "{}: {state} is on a loop without a deadline", machine.name);
        }
    }
}

#[test]
fn no_loop_moves_its_own_deadline() {
    for machine in flows() {
        for (state, value) in machine.states() {
            let moves = value["Assign"].get("deadline_ms").is_some();
            let loops = moves && machine.is_on_cycle(state, &[]);
            assert!(!loops, "{}: {state} sets the deadline again in each round", machine.name);
        }
    }
}

#[test]
fn every_choice_routes_exactly_what_its_function_answers() {
    for machine in flows() {
        let states = machine.states();
        for (state, task, function) in machine.invocations() {
            let answers = source::answers(function);
            let next = task["Next"].as_str().unwrap_or_default();
            let routed = states.get(next).map(|s| definition::routed_states(s)).unwrap_or_default();
            let mut explicit: BTreeSet<&str> = answers.iter().map(String::as_str).collect();
            if !explicit.remove("PENDING") {
                assert!(routed.is_empty(), "{}: {state}: {function} never waits", machine.name);
                continue;
            }
            assert_eq!(routed, explicit, "{}: {next} and {function}", machine.name);
            let wait = states[next]["Default"].as_str().expect("PENDING is the default");
            assert_eq!(states[wait]["Type"], "Wait", "{}: {next}", machine.name);
            assert_eq!(states[wait]["Next"], state, "{}: {wait}", machine.name);
        }
    }
}

#[test]
fn every_way_to_fail_has_a_heading_in_the_runbook() {
    let machines = machines();
    let failures: BTreeSet<String> = machines
        .iter()
        .flat_map(|m| m.of_type("Fail").into_values())
        .map(|fail| fail["Error"].as_str().expect("a name").to_owned())
        // The parent ends by the name under which its phases ended.
        .filter(|name| name != "{% $failure.Error %}")
        .chain(definition::made_up_failures())
        .collect();
    let runbook = source::read("docs/runbook.md");
    let sections = runbook.split("\n### ").skip(1);
    let mut headings = BTreeSet::new();
    for section in sections {
        let heading = section.lines().next().unwrap_or_default();
        for part in ["- **True:**", "- **Not done:**", "- **Do", "- **Continue:**"] {
            assert!(section.contains(part), "{heading} lacks {part}");
        }
        assert!(headings.insert(heading.to_owned()), "{heading} stands there twice");
    }
    assert_eq!(failures, headings, "Fail states and the runbook's headings");
}
