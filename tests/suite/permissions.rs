//! The roles of the template and what is called, held to each other in both directions.

mod policy;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

use failback_cli::definitions;
use failback_cli::lambda::{self, Invocation};
use failback_sandbox::{Asked, Call};
use tokio::sync::OnceCell;

use crate::calls;
use crate::lockstep::definition::{Machine, machines};
use crate::support::given::Given;
use policy::{Statement, allows};
use roles::{Rendered, Roles, STACK};

/// The names of the secrets that the applications of the tests read.
const SECRETS: &str = "orders/*";
/// Which secret a key is used for.
const SECRET_CONTEXT: &str = "kms:EncryptionContext:SecretARN";

/// Has every invocation of this process held to its function's role, as the template renders it.
pub fn watch() {
    lambda::let_witness(|invocation: &Invocation| hold(&invocation.function, &invocation.calls));
}

/// Panics when a function's role does not allow a call that it made.
pub fn hold(function: &str, calls: &[Call]) {
    // Tests rename what is there and move it to other Regions of the account; the curated runs
    // below are held to the narrow names.
    static ROLES: OnceLock<Roles> = OnceLock::new();
    static SEEN: Mutex<BTreeSet<(String, Asked)>> = Mutex::new(BTreeSet::new());
    let wide = || {
        Rendered::of("dev")
            .with("NamePattern", "*")
            .with("HostedZoneId", "*")
            .with("EndpointSecretName", SECRETS)
    };
    let roles = ROLES.get_or_init(|| wide().functions());
    let role = &roles[function];
    for asked in calls.iter().flat_map(|call| call.asked.iter()) {
        let asked = deployed(asked);
        let mut seen = SEEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.insert((function.to_owned(), asked.clone())) {
            drop(seen);
            assert_eq!(allows(role, &asked), Ok(true), "the role of {function} and {asked:#?}");
        }
    }
}

/// The drill's machines lack the stack's name.
fn deployed(asked: &Asked) -> Asked {
    let mut asked = asked.clone();
    for kind in [":execution:", ":stateMachine:"] {
        if let Some((before, name)) = asked.resource.split_once(kind) {
            let name = if name == "*" { definitions::MACHINES[0].0 } else { name };
            asked.resource = format!("{before}{kind}{STACK}-{name}");
        }
    }
    asked
}

/// The roles of the stack that the curated runs happen in.
fn roles() -> Roles {
    let zone = &Given::workshop().input["endpoints"]["dns"][0]["zone_id"];
    Rendered::of("dev")
        .with("HostedZoneId", zone.as_str().expect("a zone"))
        .with("EndpointSecretName", SECRETS)
        .functions()
}

/// What each function asks in the runs that make each of its calls.
async fn asked_by_function() -> &'static BTreeMap<String, BTreeSet<Asked>> {
    static ASKED: OnceCell<BTreeMap<String, BTreeSet<Asked>>> = OnceCell::const_new();
    let ask = || async {
        let made = calls::made().await.into_iter();
        made.map(|(function, calls)| {
            let asked = calls.iter().flat_map(|call| call.asked.iter().map(deployed)).collect();
            (function, asked)
        })
        .collect()
    };
    ASKED.get_or_init(ask).await
}

/// What of it a role does not allow.
fn denied(role: &[Statement], asked: &BTreeSet<Asked>) -> Vec<Asked> {
    let allowed = |asked: &Asked| allows(role, asked).unwrap_or_else(|e| panic!("{e}: {asked:?}"));
    asked.iter().filter(|asked| !allowed(asked)).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn every_call_is_allowed_and_no_action_is_allowed_in_vain() {
    let roles = roles();
    let asked = asked_by_function().await;
    assert_eq!(roles.keys().collect::<Vec<_>>(), asked.keys().collect::<Vec<_>>());

    let (mut actions, mut wanted) = (0, 0);
    let mut in_vain = Vec::new();
    for (function, role) in &roles {
        let asked = &asked[function];
        assert_eq!(denied(role, asked), [], "{function}");
        wanted += asked.len();
        for (i, statement) in role.iter().enumerate() {
            for (j, action) in statement.actions.iter().enumerate() {
                assert!(!action.contains('*'), "{function}: {action}");
                let mut without = role.clone();
                without[i].actions.remove(j);
                actions += 1;
                if denied(&without, asked).is_empty() {
                    in_vain.push(format!("{function}: {action}"));
                }
            }
        }
    }

    assert!(in_vain.is_empty(), "allowed, and never needed: {in_vain:#?}");
    println!("{} roles, {actions} allowed actions, {wanted} different demands", roles.len());
}

#[tokio::test(start_paused = true)]
async fn no_resource_is_allowed_in_vain() {
    // What a run does in one Region it may have to do in the other, as the request says: for the
    // two, and for what a cluster has or has not, one is enough.
    let alike = |resource: &str| {
        let mut parts: Vec<&str> = resource.splitn(6, ':').collect();
        if let Some(region) = parts.get_mut(3) {
            *region = "";
        }
        parts.join(":")
    };
    let roles = roles();
    let asked = asked_by_function().await;
    let mut in_vain = Vec::new();
    for (function, role) in &roles {
        for (i, statement) in role.iter().enumerate() {
            let kinds: BTreeSet<String> = statement.resources.iter().map(|r| alike(r)).collect();
            for kind in kinds {
                let mut without = role.clone();
                without[i].resources.retain(|resource| alike(resource) != kind);
                if denied(&without, &asked[function]).is_empty() {
                    in_vain.push(format!("{function}: {:?} on {kind}", statement.actions));
                }
            }
        }
    }

    assert!(in_vain.is_empty(), "allowed, and never needed: {in_vain:#?}");
}

#[tokio::test(start_paused = true)]
async fn every_condition_refuses_what_it_is_there_to_refuse() {
    let roles = roles();
    let asked = asked_by_function().await;
    let mut conditions = 0;
    for (function, role) in &roles {
        for statement in role {
            for condition in &statement.conditions {
                conditions += 1;
                let meant = asked[function].iter().filter(|asked| {
                    allows(std::slice::from_ref(statement), asked) == Ok(true)
                        && asked.keys.contains_key(&condition.key)
                });
                let mut refused = 0;
                for asked in meant {
                    let mut other = asked.clone();
                    other.keys.insert(condition.key.clone(), vec!["another".to_owned()]);
                    assert_eq!(allows(role, &other), Ok(false), "{function}: {other:#?}");
                    refused += 1;
                }
                assert!(refused > 0, "{function}: nobody asks with {}", condition.key);
            }
        }
    }
    println!("{conditions} conditions");
}

/// What docs/permissions.md has below its introduction: written by what was called.
async fn table() -> String {
    let mut rows =
        vec!["| function | its calls | along with them |".to_owned(), "|---|---|---|".to_owned()];
    for (function, asked) in asked_by_function().await {
        let mut own = BTreeSet::new();
        let mut along: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for asked in asked {
            let action = format!("`{}`", asked.action);
            match asked.because {
                "" => own.insert(action),
                reason => along.entry(reason).or_default().insert(action),
            };
        }
        let list = |actions: BTreeSet<String>| actions.into_iter().collect::<Vec<_>>().join(", ");
        let along: Vec<String> =
            along.into_iter().map(|(why, actions)| format!("{}: {why}", list(actions))).collect();
        rows.push(format!("| `{function}` | {} | {} |", list(own), along.join("; ")));
    }
    rows.join("\n") + "\n"
}

#[tokio::test(start_paused = true)]
async fn permissions_are_listed_with_what_aws_demands_along_and_why() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/permissions.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let (introduction, _) = document.split_once("| function |").expect("the table");
    let wanted = introduction.to_owned() + &table().await;
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &wanted).expect("the document can be written");
        return;
    }
    assert!(document == wanted, "docs/permissions.md is not what was called; UPDATE=1 writes it");
}

#[test]
fn roles_are_passed_and_keys_are_used_only_through_the_services_that_need_them() {
    let mut guarded = BTreeMap::new();
    for (function, role) in Rendered::of("dev").functions() {
        for statement in role {
            for action in &statement.actions {
                let of_secrets = statement.conditions.iter().any(|c| c.key == SECRET_CONTEXT);
                let (service, key) = match action.as_str() {
                    "iam:PassRole" => ("rds.amazonaws.com", "iam:PassedToService"),
                    action if action.starts_with("kms:") && of_secrets => {
                        ("secretsmanager.", "kms:ViaService")
                    }
                    action if action.starts_with("kms:") => ("rds.", "kms:ViaService"),
                    _ => continue,
                };
                let condition = statement.conditions.iter().find(|c| c.key == key);
                let condition = condition.unwrap_or_else(|| panic!("{function}: {action}"));
                assert_eq!(condition.operator, policy::Operator::StringEquals, "{function}");
                for value in &condition.values {
                    assert!(value.contains(service) && !value.contains('*'), "{function}: {value}");
                }
                *guarded.entry(key).or_insert(0) += 1;
            }
        }
    }
    assert!(guarded.values().all(|n| *n > 0) && guarded.len() == 2, "{guarded:?}");
}

#[test]
fn every_machine_may_invoke_its_functions_and_start_its_children_and_nothing_else() {
    let rendered = Rendered::of("dev");
    let roles = rendered.machines();
    let arn =
        |kind: &str, rest: &str| format!("arn:aws:states:us-west-2:123456789012:{kind}:{rest}");
    for machine in machines() {
        let role = &roles[machine.name.as_str()];
        let may = |action: &str, resource: &str| {
            let asked = Asked {
                action: action.to_owned(),
                resource: resource.to_owned(),
                keys: BTreeMap::new(),
                because: "",
            };
            allows(role, &asked).expect("it can be decided")
        };
        let invokes = |machine: &Machine| -> Vec<String> {
            machine.invocations().iter().map(|(_, _, f)| (*f).to_owned()).collect()
        };
        let mut invoked = BTreeSet::from_iter(invokes(&machine));
        invoked.extend(machine.inner().iter().flat_map(invokes));
        for function in failback::FUNCTIONS {
            let allowed = may("lambda:InvokeFunction", &definitions::function_arn(function.name));
            assert_eq!(
                allowed,
                invoked.contains(function.name),
                "{}: {}",
                machine.name,
                function.name
            );
        }

        let every: BTreeSet<&str> = definitions::MACHINES.iter().map(|(name, _)| *name).collect();
        let started: BTreeSet<&str> = every
            .iter()
            .copied()
            .filter(|child| {
                let placeholder = definitions::substitutions()
                    .into_iter()
                    .find(|(_, arn)| *arn == definitions::machine_arn(child))
                    .map(|(name, _)| format!("${{{name}}}"));
                machine.children().into_iter().any(|(_, task)| {
                    task["Arguments"]["StateMachineArn"].as_str() == placeholder.as_deref()
                })
            })
            .collect();
        for child in every {
            let is_child = started.contains(child);
            let name = format!("{STACK}-{child}");
            let start = may("states:StartExecution", &arn("stateMachine", &name));
            assert_eq!(start, is_child, "{} starts {child}", machine.name);
            for action in ["states:DescribeExecution", "states:StopExecution"] {
                let allowed = may(action, &arn("execution", &format!("{name}:any")));
                assert_eq!(allowed, is_child, "{}: {action} of {child}", machine.name);
            }
        }
        let rule = "arn:aws:events:us-west-2:123456789012:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule";
        for action in ["events:PutTargets", "events:PutRule", "events:DescribeRule"] {
            assert_eq!(may(action, rule), !started.is_empty(), "{}: {action}", machine.name);
        }
        let others: Vec<&String> = role
            .iter()
            .flat_map(|statement| &statement.actions)
            .filter(|action| {
                !["lambda:", "states:", "events:", "logs:"].iter().any(|s| action.starts_with(s))
            })
            .collect();
        assert!(others.is_empty(), "{}: {others:?}", machine.name);
    }
}
