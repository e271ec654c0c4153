//! `template.yaml`, its intrinsic functions kept as `{"!Sub": …}`.

use std::collections::{BTreeMap, BTreeSet};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::source;

/// A YAML file of the repository.
pub fn load(path: &str) -> Value {
    let text = source::read(path);
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
    to_json(documents.first().unwrap_or_else(|| panic!("{path} is empty")))
}

fn to_json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::Boolean(flag)) => json!(flag),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(entries) => {
            let entry = |(key, value): (&Yaml, &Yaml)| {
                (key.as_str().expect("keys are text").to_owned(), to_json(value))
            };
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tag, inner) => json!({ format!("!{}", tag.suffix): to_json(inner) }),
        other => panic!("not expected in a template: {other:?}"),
    }
}

/// The template's resources of one type.
pub fn resources(kind: &str) -> BTreeMap<String, Value> {
    let template = load("template.yaml");
    let all = template["Resources"].as_object().expect("Resources is a mapping").clone();
    all.into_iter().filter(|(_, resource)| resource["Type"] == kind).collect()
}

/// The statements of a resource's own policies.
fn statements(resource: &Value) -> Vec<&Value> {
    let policies = resource["Properties"]["Policies"].as_array().into_iter().flatten();
    policies.flat_map(|p| p["Statement"].as_array().into_iter().flatten()).collect()
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// The actions a resource's own policies allow.
pub fn allowed(resource: &Value) -> BTreeSet<String> {
    let actions = statements(resource).into_iter().flat_map(|s| list(&s["Action"]));
    actions.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a resource's own policies allow an action on.
pub fn allowed_on<'a>(resource: &'a Value, action: &str) -> BTreeSet<&'a str> {
    statements(resource)
        .into_iter()
        .filter(|s| list(&s["Action"]).into_iter().any(|a| a == action))
        .flat_map(|s| list(&s["Resource"]))
        .filter_map(|r| r["!GetAtt"].as_str().or(r["!Ref"].as_str()).or(r["!Sub"].as_str()))
        .collect()
}
