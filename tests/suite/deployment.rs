//! What is deployed is what the code reads and what docs/deploy.md says of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::lockstep::{source, template};

#[test]
fn functions_that_complete_a_request_are_told_the_environments() {
    let mut told = 0;
    for (id, resource) in template::resources("AWS::Serverless::Function") {
        let function = resource["Properties"]["Handler"].as_str().expect("a handler");
        let text = source::read(&format!("functions/{function}.rs"));
        let completes = text.contains("request::complete(");
        let variables = &resource["Properties"]["Environment"]["Variables"];
        for variable in ["FAILBACK_REQUEST", "FAILBACK_DRY_RUN"] {
            assert_eq!(variables.get(variable).is_some(), completes, "{id}: {variable}");
        }
        told += usize::from(completes);
    }
    assert!(told > 0, "no function completes a request");
}

#[test]
fn every_machine_keeps_its_history_says_what_it_does_and_is_traced() {
    for (id, resource) in template::resources("AWS::Serverless::StateMachine") {
        let properties = &resource["Properties"];
        assert_eq!(properties["Type"], "STANDARD", "{id}");
        assert_eq!(properties["Tracing"]["Enabled"], true, "{id}");
        assert_eq!(properties["Logging"]["Level"], "ALL", "{id}");
        assert_eq!(properties["Logging"]["IncludeExecutionData"], true, "{id}");
    }
    let template = template::load("template.yaml");
    assert_eq!(template["Globals"]["Function"]["Tracing"], "Active");
}

/// The rows of docs/deploy.md's table of parameters: name and default.
fn documented() -> BTreeMap<String, String> {
    let text = source::read("docs/deploy.md");
    let (_, table) = text.split_once("| parameter | default | meaning |").expect("the table");
    let mut rows = BTreeMap::new();
    for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [names, default, _] = cells[..] else { panic!("{line}") };
        for name in names.split(", ") {
            rows.insert(name.trim_matches('`').to_owned(), default.trim_matches('`').to_owned());
        }
    }
    rows
}

#[test]
fn every_parameter_is_explained_with_its_default() {
    let template = template::load("template.yaml");
    let parameters = template["Parameters"].as_object().expect("parameters");
    let shown = |parameter: &Value| match parameter.get("Default") {
        None => "none".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let declared: BTreeMap<String, String> =
        parameters.iter().map(|(name, parameter)| (name.clone(), shown(parameter))).collect();
    assert_eq!(documented(), declared, "docs/deploy.md (left) and template.yaml (right)");
}

#[test]
fn every_environment_gives_only_parameters_that_there_are() {
    let template = template::load("template.yaml");
    let declared: BTreeSet<&String> =
        template["Parameters"].as_object().expect("parameters").keys().collect();
    for environment in source::files("infra/environments", ".yaml") {
        let given = template::load(&format!("infra/environments/{environment}.yaml"));
        let given: BTreeSet<&String> = given.as_object().expect("parameters").keys().collect();
        assert!(given.is_subset(&declared), "{environment}: {given:?}");
    }
}
