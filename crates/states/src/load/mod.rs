//! Loads definitions and refuses, with the state and the field, what AWS would refuse or what
//! could only fail later.

mod check;
mod distinct;
mod fields;
mod resource;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::definition::Definition;
use crate::eval::{Evaluator, Jlens};
use fields::Fields;

/// Why a definition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{machine}{}{}: {problem}", at("state", .state), at("field", .field))]
pub struct LoadError {
    /// The name the machine was loaded under.
    pub machine: String,
    /// The state at fault, if one is.
    pub state: Option<String>,
    /// The field at fault, such as `Retry[0].JitterStrategy`.
    pub field: Option<String>,
    /// What is wrong with it, as a sentence.
    pub problem: String,
}

fn at(what: &str, name: &Option<String>) -> String {
    name.as_ref().map(|name| format!(", {what} {name}")).unwrap_or_default()
}

/// How strictly to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Refuse a machine or a Task without `TimeoutSeconds`. On by default: a task without one
    /// may hang for the year that an execution may last.
    pub require_timeouts: bool,
    /// Refuse an expression that reads a variable which nothing before it assigns. On by default.
    pub check_variables: bool,
    /// Refuse a key that ends in `.$`. On by default: to AWS it is a key like any other here, but
    /// in JSONPath it marks a path, so it is what was left behind.
    pub refuse_path_keys: bool,
    /// Accept a machine whose query language is JSONPath when each state says JSONata. Off by
    /// default.
    pub allow_mixed_query_languages: bool,
    /// Resources to accept besides those the interpreter knows, without `.waitForTaskToken`; they
    /// are given to the task runner like any other.
    pub extra_resources: BTreeSet<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            require_timeouts: true,
            check_variables: true,
            refuse_path_keys: true,
            allow_mixed_query_languages: false,
            extra_resources: BTreeSet::new(),
        }
    }
}

impl Definition {
    /// Loads the definition `json` under `name`, strictly.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] that names the state and the field: for text that is no JSON, JSONPath
    /// fields, states that are missing or cannot be reached, missing time-outs, unknown fields,
    /// bad expressions and undefined variables.
    pub fn load(name: &str, json: &str) -> Result<Self, LoadError> {
        Self::load_with(name, json, &LoadOptions::default())
    }

    /// Loads the definition `json` under `name`, as strictly as `options` say.
    ///
    /// # Errors
    ///
    /// As [`Definition::load`].
    pub fn load_with(name: &str, json: &str, options: &LoadOptions) -> Result<Self, LoadError> {
        load(json, options, &Jlens::new())
            .map_err(|problem| LoadError {
                machine: name.to_owned(),
                state: problem.state,
                field: problem.field,
                problem: problem.sentence,
            })
            .map(|definition| Self { name: name.to_owned(), ..definition })
    }

    /// Replaces each `${Name}` in `json` by its value, as a SAM template's
    /// `DefinitionSubstitutions` does.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] that names every placeholder without a value.
    pub fn substitute(json: &str, values: &BTreeMap<String, String>) -> Result<String, LoadError> {
        let mut filled = String::with_capacity(json.len());
        let mut missing = BTreeSet::new();
        let mut rest = json;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                filled.push_str("${");
                rest = after;
                break;
            };
            match values.get(name) {
                Some(value) => filled.push_str(value),
                None => _ = missing.insert(name),
            }
            rest = tail;
        }
        filled.push_str(rest);
        if missing.is_empty() {
            return Ok(filled);
        }
        let names = missing.into_iter().collect::<Vec<_>>().join(", ");
        Err(LoadError {
            machine: "definition".to_owned(),
            state: None,
            field: None,
            problem: format!("no value for the placeholders {names}"),
        })
    }
}

/// A refusal before the machine's name is known.
#[derive(Debug)]
pub(crate) struct Problem {
    state: Option<String>,
    field: Option<String>,
    sentence: String,
}

impl Problem {
    fn new(sentence: impl Into<String>) -> Self {
        Self { state: None, field: None, sentence: sentence.into() }
    }

    fn at_field(mut self, field: impl Into<String>) -> Self {
        self.field.get_or_insert(field.into());
        self
    }

    fn at_state(mut self, state: &str) -> Self {
        self.state.get_or_insert(state.to_owned());
        self
    }
}

/// What loading needs to know everywhere.
struct Loader<'a> {
    options: &'a LoadOptions,
    evaluator: &'a dyn Evaluator,
    /// The query language of states that do not say: JSONata, or JSONPath in a mixed machine.
    jsonata_by_default: bool,
}

fn load(
    json: &str,
    options: &LoadOptions,
    evaluator: &dyn Evaluator,
) -> Result<Definition, Problem> {
    let source = distinct::parse(json)
        .map_err(|error| Problem::new(format!("the definition is not JSON: {error}")))?;
    let mut fields = Fields::new(&source)?;
    let comment = fields.text("Comment")?;
    if let Some(version) = fields.text("Version")?
        && version != "1.0"
    {
        return Err(Problem::new(format!("{version} is not a version; 1.0 is")).at_field("Version"));
    }
    let language = fields.text("QueryLanguage")?;
    let jsonata_by_default = language.as_deref() == Some("JSONata");
    if !jsonata_by_default && !options.allow_mixed_query_languages {
        return Err(Problem::new("must be JSONata").at_field("QueryLanguage"));
    }
    let timeout_s = fields.positive("TimeoutSeconds")?;
    if timeout_s.is_none() && options.require_timeouts {
        return Err(Problem::new("the machine has no time-out").at_field("TimeoutSeconds"));
    }
    let loader = Loader { options, evaluator, jsonata_by_default };
    let machine = loader.machine(&mut fields)?;
    fields.finish()?;
    check::check(&machine, &loader)?;
    Ok(Definition {
        name: String::new(),
        comment,
        timeout_s,
        machine: Rc::new(machine),
        source: Rc::new(source),
    })
}
