//! Functions, state machines, template and runbook name the same things.

pub mod definition;
pub mod source;
pub mod template;

use std::collections::{BTreeMap, BTreeSet};

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

/// Permissions that AWS asks for along with a function's calls: to pass roles and keys on, to tag,
/// to take the final snapshot, to read the secret that the Data API logs in with, to use the key of a
/// secret. Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
/// RDS", "… for Amazon RDS Data API" and "… for AWS Secrets Manager", dependent actions.
const ALONG_WITH_CALLS: [(&str, &[&str]); 10] = [
    ("create_cluster", &["rds:AddTagsToResource", PASS_ROLE, KMS[0], KMS[1], KMS[2], KMS[3]]),
    ("create_instances", &["rds:AddTagsToResource", PASS_ROLE, KMS[0], KMS[1], KMS[2], KMS[3]]),
    ("configure_cluster", &["rds:ModifyDBInstance", PASS_ROLE, KMS[0], KMS[1], KMS[2], KMS[3]]),
    ("delete_cluster", &["rds:CreateDBClusterSnapshot", "rds:AddTagsToResource"]),
    ("check_replication", &["secretsmanager:GetSecretValue"]),
    ("plan_failback", &[KMS[1]]),
    ("check_drift", &[KMS[1]]),
    ("cut_over_secret", &[KMS[1], KMS[3]]),
    ("cut_over_superset", &[KMS[1]]),
    ("remove_superset_source", &[KMS[1]]),
];
const PASS_ROLE: &str = "iam:PassRole";
const KMS: [&str; 4] = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"];

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
fn template_deploys_every_machine_with_exactly_what_it_names() {
    let deployed = template::resources("AWS::Serverless::StateMachine");
    let machines = machines();
    let ids: BTreeSet<String> = machines.iter().map(|m| resource_of(m) + "StateMachine").collect();
    assert_eq!(ids, deployed.keys().cloned().collect(), "definitions and the template's machines");

    for machine in &machines {
        let resource = &deployed[&(resource_of(machine) + "StateMachine")];
        let properties = &resource["Properties"];
        let uri = format!("statemachine/{}.asl.json", machine.name);
        assert_eq!(properties["DefinitionUri"], uri, "{}", machine.name);

        let substitutions = properties["DefinitionSubstitutions"].as_object().expect("a mapping");
        let names: BTreeSet<String> = substitutions.keys().cloned().collect();
        assert_eq!(machine.placeholders(), names, "{}: substitutions", machine.name);

        let started = machine.children().into_iter().filter_map(|(_, task)| {
            let arn = task["Arguments"]["StateMachineArn"].as_str()?;
            Some(arn.strip_prefix("${")?.strip_suffix("Arn}")?.to_owned())
        });
        let children: BTreeSet<String> = started.collect();
        let mut functions = BTreeSet::new();
        for (name, value) in substitutions {
            if let Some(function) = name.strip_suffix("FunctionArn") {
                let attribute = format!("{function}Function.Arn");
                assert_eq!(value["!GetAtt"], attribute, "{}: {name}", machine.name);
                functions.insert(attribute);
            } else {
                let child = name.strip_suffix("Arn").expect("an ARN").to_owned();
                assert_eq!(value["!Ref"], child, "{}: {name}", machine.name);
            }
        }
        let allowed = |action| -> BTreeSet<String> {
            template::allowed_on(resource, action).into_iter().map(str::to_owned).collect()
        };
        // Its ARN is told to the person who is asked; no machine invokes it.
        functions.remove(&format!("{}Function.Arn", pascal(BY_HAND)));
        assert_eq!(allowed("lambda:InvokeFunction"), functions, "{}: may invoke", machine.name);
        assert_eq!(allowed("states:StartExecution"), children, "{}: may start", machine.name);
    }
}

/// An event that is lost is a failback that nobody starts.
#[test]
fn every_rule_tries_again_and_keeps_what_it_could_not_deliver() {
    let rules = template::resources("AWS::Events::Rule");
    let functions = template::resources("AWS::Serverless::Function");
    let function = &functions[&(pascal(BY_EVENT) + "Function")]["Properties"];
    let queue =
        function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"]["!GetAtt"]
            .as_str()
            .expect("what the function fails of is kept");
    let policies = template::resources("AWS::SQS::QueuePolicy");
    let policy = policies.values().next().expect("EventBridge may write to the queue");
    let statement = &policy["Properties"]["PolicyDocument"]["Statement"][0];
    let permissions = template::resources("AWS::Lambda::Permission");
    let (mut senders, mut invokers) = (BTreeSet::new(), BTreeSet::new());
    for (id, rule) in &rules {
        let targets = rule["Properties"]["Targets"].as_array().expect("targets");
        for target in targets {
            assert_eq!(target["Arn"]["!GetAtt"], pascal(BY_EVENT) + "Function.Arn", "{id}");
            assert_eq!(target["DeadLetterConfig"]["Arn"]["!GetAtt"], queue, "{id}");
            for limit in ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"] {
                assert!(target["RetryPolicy"][limit].as_u64() > Some(0), "{id}: {limit}");
            }
        }
        senders.insert(format!("{id}.Arn"));
    }
    assert_eq!(rules.len(), 2, "AWS Health and alarms");
    for permission in permissions.values() {
        let properties = &permission["Properties"];
        assert_eq!(properties["FunctionName"]["!Ref"], pascal(BY_EVENT) + "Function");
        invokers.extend(properties["SourceArn"]["!GetAtt"].as_str().map(str::to_owned));
    }
    assert_eq!(invokers, senders, "rules that may invoke the function");
    let allowed = statement["Condition"]["ArnEquals"]["aws:SourceArn"].as_array();
    let allowed = allowed.into_iter().flatten().filter_map(|arn| arn["!GetAtt"].as_str());
    assert_eq!(allowed.map(str::to_owned).collect::<BTreeSet<_>>(), senders, "may send");
    let alarms = template::load("infra/watch.yaml");
    let dimension = &alarms["Resources"]["EventsUnheard"]["Properties"]["Dimensions"][0]["Value"];
    assert_eq!(dimension["!Ref"], "UnheardEventsName", "somebody is told");
}

#[test]
fn every_role_allows_exactly_the_calls_of_its_functions_header() {
    let along_with = BTreeMap::from(ALONG_WITH_CALLS);
    for (id, resource) in template::resources("AWS::Serverless::Function") {
        let function = resource["Properties"]["Handler"].as_str().expect("a handler");
        let mut wanted = source::calls(function);
        // An application lets its own logins in, and no role.
        wanted.retain(|call| !call.starts_with("superset:"));
        let more = along_with.get(function).copied().unwrap_or_default();
        wanted.extend(more.iter().map(|action| (*action).to_owned()));
        assert_eq!(wanted, template::allowed(&resource), "{id}: header (left) and role (right)");
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

#[test]
fn every_failure_before_the_promotion_lifts_the_fence() {
    let machine = Machine::named("promote-home");
    let fails = machine.of_type("Fail");

    // `LimitDetachment` is entered only when the promotion was accepted, or was begun before.
    let kept_up = machine.reachable("FenceWrites", &["LiftFence", "LimitDetachment"]);

    let early: Vec<_> = kept_up.into_iter().filter(|s| fails.contains_key(s)).collect();
    assert!(early.is_empty(), "the fence is left up on the way to {early:?}");
}

#[test]
fn nothing_is_proven_or_promoted_while_a_session_may_be_older_than_the_fence() {
    let machine = Machine::named("promote-home");
    let unended = machine.reachable("FenceWrites", &["RestartInstancesDone?"]);
    assert!(!unended.contains("NoteFence") && !unended.contains("DetachMember"), "{unended:?}");
    let phases = Machine::named("bring-home");
    let unended = phases.reachable("FenceWritesHome", &["RestartInstancesHomeDone?"]);
    assert!(!unended.contains("RetireHome"), "{unended:?}");
}

#[test]
fn nothing_lifts_the_fence_after_the_promotion() {
    let machine = Machine::named("promote-home");
    let after = machine.reachable("LimitDetachment", &[]);
    assert!(!after.contains("LiftFence"), "{after:?}");

    let lift = machine.states()["LiftFence"];
    assert!(lift["Arguments"]["Payload"]["unless_promoted"].is_object(), "LiftFence looks first");
    let phases = Machine::named("bring-home");
    let before_away_is_rebuilt = phases.reachable("BringWriterHome", &["Finish?"]);
    assert!(!before_away_is_rebuilt.contains("LiftFence"), "only Finish lifts the fence");
    let lift = phases.states()["LiftFenceOfStoppedChild"];
    assert!(lift["Arguments"]["Payload"]["unless_promoted"].is_object(), "it looks first");
}

#[test]
fn lock_is_held_before_anything_and_released_on_every_path_after_it() {
    let machine = Machine::named("failback");
    let start = machine.definition["StartAt"].as_str().expect("a start");
    let without_lock = machine.reachable(start, &["AcquireLockDone?"]);
    assert!(!without_lock.contains("LiftLeftFence") && !without_lock.contains("BringHome"));

    let releases = ["ReleaseLock", "ReleaseLockAfterFailure"];
    let unreleased = machine.reachable("LiftLeftFence", &releases);
    let ends: Vec<_> = unreleased
        .into_iter()
        .filter(|s| {
            let state = machine.states()[s];
            state["End"] == true
                || ["Succeed", "Fail"].contains(&state["Type"].as_str().unwrap_or(""))
        })
        .collect();
    assert!(ends.is_empty(), "the lock is kept on the way to {ends:?}");
}

#[test]
fn nothing_is_deleted_or_promoted_by_a_run_that_has_lost_its_lock() {
    for (name, dangerous) in [
        ("retire-cluster", "DeleteInstances"),
        ("promote-home", "FenceWrites"),
        ("switch-over", "SwitchOver"),
    ] {
        let machine = Machine::named(name);
        let start = machine.definition["StartAt"].as_str().expect("a start");
        let unchecked = machine.reachable(start, &["CheckLock"]);
        assert!(!unchecked.contains(dangerous), "{name}: {dangerous} without a look at the lock");
    }
}

#[test]
fn what_cannot_be_seen_later_is_remembered_before() {
    for (name, start, remember, change) in [
        ("bring-home", "TakeInput", "RememberSettings", "RetireHome"),
        ("promote-home", "TakeInput", "RememberFence", "FenceWrites"),
        ("promote-home", "TakeInput", "RememberProof", "DetachMember"),
    ] {
        let machine = Machine::named(name);
        let unremembered = machine.reachable(start, &[remember]);
        assert!(!unremembered.contains(change), "{name}: {change} without {remember}");
    }
}

#[test]
fn waits_are_short_while_writes_are_refused() {
    let promote = Machine::named("promote-home");
    let switch_over = Machine::named("switch-over");
    let cut_over = Machine::named("cut-over");
    let phases = Machine::named("bring-home");
    // Behind `WaitForStragglers` the promotion is called off or unclear, and haste would be wrong.
    let windows = [
        (&promote, promote.reachable("FenceWrites", &["WaitForStragglers"])),
        (&switch_over, switch_over.reachable("LimitSwitchover", &[])),
        (&cut_over, cut_over.reachable("TakeInput", &[])),
        (&phases, phases.reachable("LimitSwitchedOver", &["CutOverWriter"])),
        (&phases, phases.reachable("LimitHomePromoted", &["CutOverWriter"])),
    ];
    for (machine, window) in windows {
        for (state, wait) in machine.of_type("Wait") {
            let long = wait["Seconds"].as_u64().is_none_or(|seconds| seconds > 2);
            assert!(!(long && window.contains(state)), "{}: {state}", machine.name);
        }
    }
}

#[test]
fn request_of_every_environment_is_readable_and_prod_only_plans() {
    let samconfig = source::read("samconfig.toml");
    let environments = source::files("infra/environments", ".yaml");
    assert!(environments.contains("prod"), "{environments:?}");
    for environment in environments {
        let parameters = template::load(&format!("infra/environments/{environment}.yaml"));
        let text = parameters["Request"].as_str().expect("a request");
        let request: Value = serde_json::from_str(text).expect("the request is JSON");
        let request = failback_plan::Request::parse(&request).expect("the request is accepted");
        assert_eq!(parameters["HomeRegion"], request.home.region, "{environment}");
        assert_eq!(parameters["AwayRegion"], request.away.region, "{environment}");
        let dry_run = parameters["DryRun"].as_str().map_or(request.dry_run, |text| text == "true");
        assert_eq!(dry_run, environment == "prod", "{environment}");
        for command in ["build", "deploy"] {
            let section = format!("[{environment}.{command}.parameters]");
            let (_, rest) = samconfig.split_once(&section).unwrap_or_else(|| panic!("{section}"));
            let section_text = rest.split("\n[").next().unwrap_or_default();
            let file = format!("file://infra/environments/{environment}.yaml");
            assert!(section_text.contains(&file), "{section} does not name {file}");
        }
    }
}
