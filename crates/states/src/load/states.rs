//! Reads the states of a machine, type by type.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::Fields;
use super::{Loader, Problem};
use crate::clock::parse_rfc3339;
use crate::definition::{
    Catcher, Kind, Machine, MapState, Pattern, Retrier, Rule, State, Task, Wait,
};
use crate::template::Template;

/// AWS's bound on the length of a state's name, in characters.
const NAME_CHARS_MAX: usize = 80;

/// What `startExecution` takes.
const START_EXECUTION_ARGUMENTS: [&str; 4] = ["StateMachineArn", "Name", "Input", "TraceHeader"];

impl Loader<'_> {
    /// `StartAt` and `States` of a machine, a branch or an item processor.
    pub(super) fn machine(&self, fields: &mut Fields<'_>) -> Result<Machine, Problem> {
        let start_at = fields.required_text("StartAt")?;
        let value =
            fields.take("States").ok_or_else(|| Problem::new("is missing").at_field("States"))?;
        let object = value
            .as_object()
            .filter(|states| !states.is_empty())
            .ok_or_else(|| Problem::new("must be an object with a state").at_field("States"))?;
        let mut states = BTreeMap::new();
        for (name, value) in object {
            let state = self.state(name, value).map_err(|problem| problem.at_state(name))?;
            states.insert(name.clone(), state);
        }
        Ok(Machine { start_at, states })
    }

    fn state(&self, name: &str, value: &Value) -> Result<State, Problem> {
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(Problem::new(format!("a name has 1 to {NAME_CHARS_MAX} characters")));
        }
        let mut fields = Fields::new(value)?;
        let type_name = fields.required_text("Type")?;
        fields.text("Comment")?;
        self.query_language(&mut fields)?;
        let mut state = State {
            name: name.to_owned(),
            kind: self.kind(&type_name, &mut fields)?,
            assign: None,
            output: None,
            next: None,
            retry: Vec::new(),
            catch: Vec::new(),
        };
        if !matches!(state.kind, Kind::Fail { .. }) {
            state.output = fields.template("Output")?;
        }
        if !matches!(state.kind, Kind::Fail { .. } | Kind::Succeed) {
            state.assign = assign(&mut fields)?;
        }
        if !matches!(state.kind, Kind::Fail { .. } | Kind::Succeed | Kind::Choice { .. }) {
            state.next = next(&mut fields)?;
        }
        if matches!(state.kind, Kind::Task(_) | Kind::Parallel { .. } | Kind::Map(_)) {
            state.retry = list(&mut fields, "Retry", retrier)?;
            state.catch = list(&mut fields, "Catch", catcher)?;
            catch_all_is_last(state.retry.iter().map(|r| &r.errors), "Retry")?;
            catch_all_is_last(state.catch.iter().map(|c| &c.errors), "Catch")?;
        }
        fields.finish()?;
        Ok(state)
    }

    fn query_language(&self, fields: &mut Fields<'_>) -> Result<(), Problem> {
        match fields.text("QueryLanguage")?.as_deref() {
            Some("JSONata") => Ok(()),
            // A Fail state without expressions is the same in both languages.
            None if self.jsonata_by_default => Ok(()),
            None => {
                Err(Problem::new("must say JSONata, the machine does not")
                    .at_field("QueryLanguage"))
            }
            Some(_) => Err(Problem::new("must be JSONata").at_field("QueryLanguage")),
        }
    }

    fn kind(&self, type_name: &str, fields: &mut Fields<'_>) -> Result<Kind, Problem> {
        Ok(match type_name {
            "Task" => Kind::Task(self.task(fields)?),
            "Pass" => Kind::Pass,
            "Choice" => self.choice(fields)?,
            "Wait" => Kind::Wait(wait(fields)?),
            "Parallel" => self.parallel(fields)?,
            "Map" => Kind::Map(self.map(fields)?),
            "Succeed" => Kind::Succeed,
            "Fail" => Kind::Fail {
                error: fields.text_template("Error")?,
                cause: fields.text_template("Cause")?,
            },
            other => {
                return Err(
                    Problem::new(format!("{other} is not a type of state")).at_field("Type")
                );
            }
        })
    }

    fn task(&self, fields: &mut Fields<'_>) -> Result<Task, Problem> {
        let resource = self.resource(fields.required_text("Resource")?)?;
        let raw_arguments = fields.take("Arguments");
        let arguments = fields.template("Arguments")?;
        if matches!(resource.pattern, Pattern::NestedExecution | Pattern::StartExecution) {
            nested_arguments(raw_arguments)?;
        }
        let timeout = fields.number_template("TimeoutSeconds", 1)?;
        let heartbeat = fields.number_template("HeartbeatSeconds", 1)?;
        if timeout.is_none() && self.options.require_timeouts {
            return Err(Problem::new("the task has no time-out").at_field("TimeoutSeconds"));
        }
        if let (Some(Template::Literal(timeout)), Some(Template::Literal(heartbeat))) =
            (&timeout, &heartbeat)
            && heartbeat.as_u64() >= timeout.as_u64()
        {
            let sentence = "must be smaller than TimeoutSeconds";
            return Err(Problem::new(sentence).at_field("HeartbeatSeconds"));
        }
        Ok(Task { resource, arguments, timeout, heartbeat })
    }

    fn choice(&self, fields: &mut Fields<'_>) -> Result<Kind, Problem> {
        let rules = list(fields, "Choices", rule)?;
        if rules.is_empty() {
            return Err(Problem::new("must hold a rule").at_field("Choices"));
        }
        Ok(Kind::Choice { rules, default: fields.text("Default")? })
    }

    fn parallel(&self, fields: &mut Fields<'_>) -> Result<Kind, Problem> {
        let mut branches = Vec::new();
        for (place, value) in fields.list("Branches")?.unwrap_or_default() {
            let branch = self.inner_machine(value).map_err(|problem| problem.at_field(place))?;
            branches.push(branch);
        }
        if branches.is_empty() {
            return Err(Problem::new("must hold a branch").at_field("Branches"));
        }
        Ok(Kind::Parallel { branches, arguments: fields.template("Arguments")? })
    }

    fn map(&self, fields: &mut Fields<'_>) -> Result<MapState, Problem> {
        let value = fields
            .take("ItemProcessor")
            .ok_or_else(|| Problem::new("is missing").at_field("ItemProcessor"))?;
        let processor =
            self.inner_machine(value).map_err(|problem| problem.at_field("ItemProcessor"))?;
        Ok(MapState {
            items: fields.template("Items")?,
            selector: fields.template("ItemSelector")?,
            max_concurrency: fields.number_template("MaxConcurrency", 0)?,
            processor,
        })
    }

    fn inner_machine(&self, value: &Value) -> Result<Machine, Problem> {
        let mut fields = Fields::new(value)?;
        fields.text("Comment")?;
        if let Some(config) = fields.take("ProcessorConfig") {
            let mut config = Fields::new(config)?;
            let mode = config.text("Mode")?;
            if mode.is_some_and(|mode| mode != "INLINE") {
                return Err(Problem::new("only INLINE is supported")
                    .at_field("ItemProcessor.ProcessorConfig.Mode"));
            }
            config.finish()?;
        }
        let machine = self.machine(&mut fields)?;
        fields.finish()?;
        Ok(machine)
    }
}

fn assign(fields: &mut Fields<'_>) -> Result<Option<Template>, Problem> {
    let Some(value) = fields.take("Assign") else { return Ok(None) };
    let variables =
        value.as_object().ok_or_else(|| Problem::new("must be an object").at_field("Assign"))?;
    for name in variables.keys() {
        let well_formed = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && name.chars().count() <= NAME_CHARS_MAX;
        if !well_formed || name == "states" {
            return Err(Problem::new(format!("`{name}` is not a variable's name"))
                .at_field(format!("Assign/{name}")));
        }
    }
    fields.template("Assign")
}

fn next(fields: &mut Fields<'_>) -> Result<Option<String>, Problem> {
    match (fields.text("Next")?, fields.flag("End")?) {
        (Some(next), None | Some(false)) => Ok(Some(next)),
        (None, Some(true)) => Ok(None),
        (Some(_), Some(true)) => Err(Problem::new("cannot be beside Next").at_field("End")),
        (None, _) => Err(Problem::new("the state has neither Next nor End").at_field("Next")),
    }
}

fn wait(fields: &mut Fields<'_>) -> Result<Wait, Problem> {
    match (fields.number_template("Seconds", 0)?, fields.text_template("Timestamp")?) {
        (Some(seconds), None) => Ok(Wait::Seconds(seconds)),
        (None, Some(timestamp)) => {
            if let Template::Literal(Value::String(text)) = &timestamp
                && parse_rfc3339(text).is_none()
            {
                return Err(Problem::new("must be an RFC 3339 time stamp").at_field("Timestamp"));
            }
            Ok(Wait::Timestamp(timestamp))
        }
        _ => Err(Problem::new("a Wait has either Seconds or Timestamp").at_field("Seconds")),
    }
}

/// Reads each object of an optional list and refuses its unknown fields.
fn list<T>(
    fields: &mut Fields<'_>,
    name: &str,
    read: fn(&mut Fields<'_>) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let mut all = Vec::new();
    for (place, value) in fields.list(name)?.unwrap_or_default() {
        let read_one = || {
            let mut inner = Fields::new(value)?;
            inner.text("Comment")?;
            let one = read(&mut inner)?;
            inner.finish()?;
            Ok(one)
        };
        all.push(read_one().map_err(|problem: Problem| Problem {
            field: Some(match problem.field {
                Some(field) => format!("{place}.{field}"),
                None => place,
            }),
            ..problem
        })?);
    }
    Ok(all)
}

fn rule(fields: &mut Fields<'_>) -> Result<Rule, Problem> {
    let condition = match fields.take("Condition") {
        Some(Value::Bool(flag)) => Template::Literal(Value::Bool(*flag)),
        Some(value) => match Template::new(value) {
            condition @ Template::Expression(_) => condition,
            _ => {
                let sentence = "must be an expression between {% and %}";
                return Err(Problem::new(sentence).at_field("Condition"));
            }
        },
        // Better said than that a Condition is missing.
        None if fields.is_jsonpath() => {
            return Err(Problem::new("the rule belongs to JSONPath; this machine is JSONata"));
        }
        None => return Err(Problem::new("is missing").at_field("Condition")),
    };
    Ok(Rule {
        condition,
        next: fields.required_text("Next")?,
        assign: assign(fields)?,
        output: fields.template("Output")?,
    })
}

fn errors(fields: &mut Fields<'_>) -> Result<Vec<String>, Problem> {
    let names: Option<Vec<String>> = fields
        .take("ErrorEquals")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect());
    match names {
        Some(names) if !names.is_empty() => Ok(names),
        _ => Err(Problem::new("must list names of errors").at_field("ErrorEquals")),
    }
}

fn retrier(fields: &mut Fields<'_>) -> Result<Retrier, Problem> {
    let errors = errors(fields)?;
    let interval_s = fields.positive("IntervalSeconds")?.unwrap_or(1);
    let attempts_max = fields.whole("MaxAttempts")?.unwrap_or(3);
    let backoff_rate = match fields.take("BackoffRate") {
        None => 2.0,
        Some(rate) => rate
            .as_f64()
            .filter(|rate| *rate >= 1.0)
            .ok_or_else(|| Problem::new("must be at least 1.0").at_field("BackoffRate"))?,
    };
    let delay_max_s = fields.positive("MaxDelaySeconds")?;
    if delay_max_s.is_some_and(|max_s| max_s <= interval_s || max_s >= 31_622_400) {
        let sentence = "must be larger than IntervalSeconds and smaller than 31622400";
        return Err(Problem::new(sentence).at_field("MaxDelaySeconds"));
    }
    let full_jitter = match fields.text("JitterStrategy")?.as_deref() {
        None | Some("NONE") => false,
        Some("FULL") => true,
        Some(_) => {
            return Err(Problem::new("must be FULL or NONE").at_field("JitterStrategy"));
        }
    };
    Ok(Retrier { errors, interval_s, attempts_max, backoff_rate, delay_max_s, full_jitter })
}

fn catcher(fields: &mut Fields<'_>) -> Result<Catcher, Problem> {
    Ok(Catcher {
        errors: errors(fields)?,
        next: fields.required_text("Next")?,
        assign: assign(fields)?,
        output: fields.template("Output")?,
    })
}

/// `States.ALL` must stand alone in the last entry: behind it nothing could ever match.
fn catch_all_is_last<'a>(
    entries: impl ExactSizeIterator<Item = &'a Vec<String>>,
    field: &str,
) -> Result<(), Problem> {
    let last = entries.len().saturating_sub(1);
    for (index, errors) in entries.enumerate() {
        let catches_all = errors.iter().any(|error| error == "States.ALL");
        if catches_all && (errors.len() > 1 || index != last) {
            return Err(Problem::new("States.ALL must be alone and in the last entry")
                .at_field(format!("{field}[{index}].ErrorEquals")));
        }
    }
    Ok(())
}

fn nested_arguments(arguments: Option<&Value>) -> Result<(), Problem> {
    // An expression for all arguments can only be judged when it is evaluated.
    let Some(Value::Object(arguments)) = arguments else { return Ok(()) };
    if !arguments.contains_key("StateMachineArn") {
        return Err(Problem::new("is missing").at_field("Arguments/StateMachineArn"));
    }
    let unknown = arguments.keys().find(|k| !START_EXECUTION_ARGUMENTS.contains(&k.as_str()));
    match unknown {
        Some(key) => Err(Problem::new("is not an argument of startExecution")
            .at_field(format!("Arguments/{key}"))),
        None => Ok(()),
    }
}
