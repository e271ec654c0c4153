//! The state machines as their files hold them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::source;

/// One state machine.
pub struct Machine {
    /// The file's name without `.asl.json`.
    pub name: String,
    /// The whole definition.
    pub definition: Value,
}

/// All state machines.
pub fn machines() -> Vec<Machine> {
    let files = source::files("statemachine", ".asl.json");
    let read = |name: String| {
        let text = source::read(&format!("statemachine/{name}.asl.json"));
        let definition = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        Machine { name, definition }
    };
    files.into_iter().map(read).collect()
}

/// All of them, and what each of their Map states does with an item as a machine of its own.
pub fn flows() -> Vec<Machine> {
    let mut all = machines();
    let inner = all.iter().flat_map(Machine::inner).collect::<Vec<_>>();
    all.extend(inner);
    all
}

impl Machine {
    /// What its Map states do with an item.
    pub fn inner(&self) -> Vec<Self> {
        let maps = self.of_type("Map").into_iter();
        maps.map(|(state, map)| Self {
            name: format!("{}, {state}", self.name),
            definition: map["ItemProcessor"].clone(),
        })
        .collect()
    }

    /// The machine of that file.
    pub fn named(name: &str) -> Self {
        machines().into_iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Every state by its name.
    pub fn states(&self) -> BTreeMap<&str, &Value> {
        let states = self.definition["States"].as_object().expect("States is an object");
        states.iter().map(|(name, state)| (name.as_str(), state)).collect()
    }

    /// States of one type.
    pub fn of_type(&self, kind: &str) -> BTreeMap<&str, &Value> {
        self.states().into_iter().filter(|(_, state)| state["Type"] == kind).collect()
    }

    /// Tasks that invoke a function, with the function each of them is named after.
    pub fn invocations(&self) -> Vec<(&str, &Value, &'static str)> {
        let tasks = self.of_type("Task").into_iter();
        tasks
            .filter(|(_, task)| {
                task["Resource"] == "arn:aws:states:::lambda:invoke" || waits_for_a_person(task)
            })
            .map(|(name, task)| (name, task, function_of(name)))
            .collect()
    }

    /// Tasks that start another machine and wait for its end.
    pub fn children(&self) -> Vec<(&str, &Value)> {
        let tasks = self.of_type("Task").into_iter();
        tasks
            .filter(|(_, task)| task["Resource"] == "arn:aws:states:::states:startExecution.sync:2")
            .collect()
    }

    /// Where each state can go next.
    pub fn graph(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.states().into_iter().map(|(name, state)| (name, successors(state))).collect()
    }

    /// The states that can be reached from `start` without entering one of `closed`.
    pub fn reachable<'a>(&'a self, start: &'a str, closed: &[&str]) -> BTreeSet<&'a str> {
        let graph = self.graph();
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(state) = open.pop() {
            if seen.insert(state) {
                let next = graph.get(state).unwrap_or_else(|| panic!("no state {state}"));
                open.extend(next.iter().filter(|next| !closed.contains(next)));
            }
        }
        seen
    }

    /// Whether the state lies on a cycle that avoids the states of `closed`.
    pub fn is_on_cycle(&self, state: &str, closed: &[&str]) -> bool {
        let graph = self.graph();
        let next = graph[state].iter().filter(|next| !closed.contains(next));
        next.copied().any(|next| self.reachable(next, closed).contains(state))
    }

    /// Placeholders such as `${DetachMemberFunctionArn}`.
    pub fn placeholders(&self) -> BTreeSet<String> {
        let text = self.definition.to_string();
        let parts = text.split("${").skip(1);
        parts.filter_map(|part| Some(part.split_once('}')?.0.to_owned())).collect()
    }
}

/// The function a Task is named after: the longest that its name begins with.
fn function_of(task: &str) -> &'static str {
    let functions = failback::FUNCTIONS.iter().map(|f| f.name);
    functions
        .filter(|name| task.starts_with(&source::pascal(name)))
        .max_by_key(|name| name.len())
        .unwrap_or_else(|| panic!("{task} is named after no function"))
}

fn successors(state: &Value) -> BTreeSet<&str> {
    let list = |field: &str| state[field].as_array().into_iter().flatten();
    let rules = list("Choices").chain(list("Catch")).map(|rule| &rule["Next"]);
    rules.chain([&state["Next"], &state["Default"]]).filter_map(Value::as_str).collect()
}

/// The error names that `Retry` or `Catch` of a Task lists.
pub fn errors<'a>(task: &'a Value, field: &str) -> BTreeSet<&'a str> {
    let entries = task[field].as_array().into_iter().flatten();
    entries
        .flat_map(|entry| entry["ErrorEquals"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect()
}

/// Whether a Task waits for an answer to its token.
pub fn waits_for_a_person(task: &Value) -> bool {
    task["Resource"] == "arn:aws:states:::lambda:invoke.waitForTaskToken"
}

/// Names under which the parent ends although no Fail state bears them: it puts them together itself.
pub fn made_up_failures() -> BTreeSet<String> {
    let machine = Machine::named("failback");
    let text = machine.definition.to_string();
    let names = text.split("\"Error\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    names
        .filter(|name| !name.starts_with("{%") && *name != "DeadlinePassed")
        .map(str::to_owned)
        .collect()
}

/// The conditions of a Choice.
pub fn conditions(choice: &Value) -> Vec<&str> {
    let rules = choice["Choices"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["Condition"].as_str()).collect()
}

/// The values of `$answer.state` that a Choice has a rule for.
pub fn routed_states(choice: &Value) -> BTreeSet<&str> {
    conditions(choice)
        .into_iter()
        .filter_map(|c| c.strip_prefix("{% $answer.state = '")?.strip_suffix("' %}"))
        .collect()
}

/// Where a Choice goes once its deadline has passed.
pub fn after_deadline(choice: &Value) -> Option<&str> {
    let mut rules = choice["Choices"].as_array()?.iter();
    rules.find(|rule| rule["Condition"] == "{% $millis() > $deadline_ms %}")?["Next"].as_str()
}
