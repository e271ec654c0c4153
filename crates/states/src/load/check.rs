//! What only shows when all states are known: reachability, expressions and variables.

use std::collections::{BTreeMap, BTreeSet};

use super::{Loader, Problem};
use crate::definition::{Kind, Machine, State, Wait};
use crate::template::Template;

type Names = BTreeSet<String>;

pub(super) fn check(machine: &Machine, loader: &Loader<'_>) -> Result<(), Problem> {
    unique_names(machine, &mut Names::new())?;
    check_machine(machine, &Names::new(), loader)
}

/// Names are unique over all nesting: the history knows states by name alone.
fn unique_names(machine: &Machine, seen: &mut Names) -> Result<(), Problem> {
    for state in machine.states.values() {
        if !seen.insert(state.name.clone()) {
            return Err(Problem::new("another state has this name").at_state(&state.name));
        }
        for inner in inner_machines(state) {
            unique_names(inner, seen)?;
        }
    }
    Ok(())
}

fn inner_machines(state: &State) -> Vec<&Machine> {
    match &state.kind {
        Kind::Parallel { branches, .. } => branches.iter().collect(),
        Kind::Map(map) => vec![&map.processor],
        _ => Vec::new(),
    }
}

fn check_machine(machine: &Machine, outer: &Names, loader: &Loader<'_>) -> Result<(), Problem> {
    if !machine.states.contains_key(&machine.start_at) {
        let sentence = format!("`{}` is not a state", machine.start_at);
        return Err(Problem::new(sentence).at_field("StartAt"));
    }
    for state in machine.states.values() {
        for edge in edges(state) {
            if !machine.states.contains_key(edge.target) {
                let sentence = format!("`{}` is not a state beside this one", edge.target);
                return Err(Problem::new(sentence).at_field(edge.field).at_state(&state.name));
            }
        }
    }
    let assigned = assigned_before(machine, outer);
    for state in machine.states.values() {
        let Some(variables) = assigned.get(state.name.as_str()) else {
            return Err(Problem::new("cannot be reached").at_state(&state.name));
        };
        let checked = check_state(state, variables, loader);
        checked.map_err(|problem| problem.at_state(&state.name))?;
        for inner in inner_machines(state) {
            reassigns_nothing(inner, variables)?;
            check_machine(inner, variables, loader)?;
        }
    }
    Ok(())
}

/// A way from a state to another.
struct Edge<'a> {
    target: &'a str,
    field: String,
    assign: Option<&'a Template>,
}

fn edges<'a>(state: &'a State) -> Vec<Edge<'a>> {
    let mut edges = Vec::new();
    let mut add = |target: &'a str, field: String, assign: &'a Option<Template>| {
        edges.push(Edge { target, field, assign: assign.as_ref() });
    };
    if let Some(next) = &state.next {
        add(next, "Next".to_owned(), &state.assign);
    }
    if let Kind::Choice { rules, default } = &state.kind {
        for (index, rule) in rules.iter().enumerate() {
            add(&rule.next, format!("Choices[{index}].Next"), &rule.assign);
        }
        if let Some(default) = default {
            add(default, "Default".to_owned(), &state.assign);
        }
    }
    for (index, catcher) in state.catch.iter().enumerate() {
        add(&catcher.next, format!("Catch[{index}].Next"), &catcher.assign);
    }
    edges
}

fn names_in(assign: Option<&Template>) -> Names {
    match assign {
        Some(Template::Literal(value)) => {
            value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
        }
        Some(Template::Object(fields)) => fields.iter().map(|(name, _)| name.clone()).collect(),
        _ => Names::new(),
    }
}

/// For each state that can be reached, the variables that some way to it assigns.
///
/// "Some" and not "every": which way is taken is known only at run time, and a refusal must be
/// certain.
fn assigned_before<'a>(machine: &'a Machine, outer: &Names) -> BTreeMap<&'a str, Names> {
    let mut assigned = BTreeMap::from([(machine.start_at.as_str(), outer.clone())]);
    let mut waiting = vec![machine.start_at.as_str()];
    while let Some(name) = waiting.pop() {
        let before = assigned[name].clone();
        for edge in edges(&machine.states[name]) {
            let mut after = before.clone();
            after.extend(names_in(edge.assign));
            let known = assigned.contains_key(edge.target);
            let target = assigned.entry(edge.target).or_default();
            let size = target.len();
            target.extend(after);
            if !known || target.len() > size {
                waiting.push(edge.target);
            }
        }
    }
    assigned
}

/// AWS refuses a branch that assigns a variable of the states around it.
fn reassigns_nothing(inner: &Machine, outer: &Names) -> Result<(), Problem> {
    for state in inner.states.values() {
        let own = names_in(state.assign.as_ref());
        let on_edges = edges(state).into_iter().flat_map(|edge| names_in(edge.assign));
        if let Some(name) = own.into_iter().chain(on_edges).find(|name| outer.contains(name)) {
            let sentence = "is a variable of the states around, which a branch may not assign";
            return Err(Problem::new(sentence)
                .at_field(format!("Assign/{name}"))
                .at_state(&state.name));
        }
    }
    Ok(())
}

/// What `$states` holds besides `input` and `context` where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    Result,
    ErrorOutput,
}

fn check_state(state: &State, variables: &Names, loader: &Loader<'_>) -> Result<(), Problem> {
    for (place, template, extra) in templates(state) {
        if loader.options.refuse_path_keys
            && let Some(key) = template.keys().into_iter().find(|key| key.ends_with(".$"))
        {
            let sentence = format!("the key `{key}` belongs to JSONPath; this machine is JSONata");
            return Err(Problem::new(sentence).at_field(place));
        }
        for (place, source) in template.expressions(&place) {
            let checked = check_expression(source, extra, variables, loader);
            checked.map_err(|problem| problem.at_field(place))?;
        }
    }
    Ok(())
}

/// Every field of a state that may hold expressions, with its place.
fn templates<'a>(state: &'a State) -> Vec<(String, &'a Template, Extra)> {
    let after = match state.kind {
        Kind::Task(_) | Kind::Parallel { .. } | Kind::Map(_) => Extra::Result,
        _ => Extra::Nothing,
    };
    let mut fields = Vec::new();
    let mut add = |place: &str, template: Option<&'a Template>, extra| {
        fields.extend(template.map(|template| (place.to_owned(), template, extra)));
    };
    add("Assign", state.assign.as_ref(), after);
    add("Output", state.output.as_ref(), after);
    match &state.kind {
        Kind::Task(task) => {
            add("Arguments", task.arguments.as_ref(), Extra::Nothing);
            add("TimeoutSeconds", task.timeout.as_ref(), Extra::Nothing);
            add("HeartbeatSeconds", task.heartbeat.as_ref(), Extra::Nothing);
        }
        Kind::Parallel { arguments, .. } => add("Arguments", arguments.as_ref(), Extra::Nothing),
        Kind::Map(map) => {
            add("Items", map.items.as_ref(), Extra::Nothing);
            add("ItemSelector", map.selector.as_ref(), Extra::Nothing);
            add("MaxConcurrency", map.max_concurrency.as_ref(), Extra::Nothing);
        }
        Kind::Fail { error, cause } => {
            add("Error", error.as_ref(), Extra::Nothing);
            add("Cause", cause.as_ref(), Extra::Nothing);
        }
        Kind::Choice { rules, .. } => {
            for (index, rule) in rules.iter().enumerate() {
                let place = |field: &str| format!("Choices[{index}].{field}");
                add(&place("Condition"), Some(&rule.condition), Extra::Nothing);
                add(&place("Assign"), rule.assign.as_ref(), Extra::Nothing);
                add(&place("Output"), rule.output.as_ref(), Extra::Nothing);
            }
        }
        Kind::Wait(Wait::Seconds(seconds)) => add("Seconds", Some(seconds), Extra::Nothing),
        Kind::Wait(Wait::Timestamp(stamp)) => add("Timestamp", Some(stamp), Extra::Nothing),
        Kind::Pass | Kind::Succeed => {}
    }
    for (index, catcher) in state.catch.iter().enumerate() {
        let place = |field: &str| format!("Catch[{index}].{field}");
        add(&place("Assign"), catcher.assign.as_ref(), Extra::ErrorOutput);
        add(&place("Output"), catcher.output.as_ref(), Extra::ErrorOutput);
    }
    fields
}

fn check_expression(
    source: &str,
    extra: Extra,
    variables: &Names,
    loader: &Loader<'_>,
) -> Result<(), Problem> {
    let refuse = |sentence: String| Err(Problem::new(format!("{{% {source} %}} {sentence}")));
    let facts = match loader.evaluator.analyse(source) {
        Ok(facts) => facts,
        Err(error) => return refuse(format!("is not JSONata: {error}")),
    };
    if let Some(refusal) = facts.refusals.into_iter().next() {
        return refuse(refusal);
    }
    for field in &facts.states_fields {
        let exists = match field.as_str() {
            "input" | "context" => true,
            "result" => extra == Extra::Result,
            "errorOutput" => extra == Extra::ErrorOutput,
            _ => false,
        };
        if !exists {
            return refuse(format!("reads $states.{field}, which does not exist here"));
        }
    }
    let undefined = facts.variables.iter().find(|name| !variables.contains(*name));
    match undefined {
        Some(name) if loader.options.check_variables => {
            refuse(format!("reads ${name}, which nothing before it assigns"))
        }
        _ => Ok(()),
    }
}
