//! Reads an object field by field and refuses what is left over.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Problem;
use crate::template::{Template, expression};

/// Fields of the JSONPath mode, which say so rather than being merely unknown.
const JSONPATH_FIELDS: [&str; 18] = [
    "InputPath",
    "OutputPath",
    "ResultPath",
    "Parameters",
    "ResultSelector",
    "Result",
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "MaxConcurrencyPath",
    "ErrorPath",
    "CausePath",
    "Variable",
    "And",
    "Or",
    "Not",
];

/// The largest number of seconds that the language allows.
pub(super) const SECONDS_MAX: u64 = 99_999_999;

pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    taken: BTreeSet<&'a str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value) -> Result<Self, Problem> {
        let object = value.as_object().ok_or_else(|| Problem::new("must be an object"))?;
        Ok(Self { object, taken: BTreeSet::new() })
    }

    /// The value of a field, which is known from now on.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a Value> {
        let (name, value) = self.object.get_key_value(name)?;
        self.taken.insert(name);
        Some(value)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Problem::new("must be text").at_field(name)),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| Problem::new("is missing").at_field(name))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => Err(Problem::new("must be true or false").at_field(name)),
        }
    }

    /// A whole number from 1, where no expression is allowed.
    pub(super) fn positive(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        match self.whole(name)? {
            Some(0) => Err(Problem::new("must be at least 1").at_field(name)),
            number => Ok(number),
        }
    }

    /// A whole number from 0, where no expression is allowed.
    pub(super) fn whole(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_u64().filter(|number| *number <= SECONDS_MAX) {
            Some(number) => Ok(Some(number)),
            None => {
                let sentence = format!("must be a whole number from 0 to {SECONDS_MAX}");
                Err(Problem::new(sentence).at_field(name))
            }
        }
    }

    pub(super) fn template(&mut self, name: &str) -> Result<Option<Template>, Problem> {
        Ok(self.take(name).map(Template::new))
    }

    /// A whole number of at least `least`, or an expression for one.
    pub(super) fn number_template(
        &mut self,
        name: &str,
        least: u64,
    ) -> Result<Option<Template>, Problem> {
        let Some(value) = self.object.get(name) else { return Ok(None) };
        if value.as_str().is_some_and(|text| expression(text).is_some()) {
            return self.template(name);
        }
        match self.whole(name)? {
            Some(number) if number >= least => Ok(Some(Template::Literal(number.into()))),
            _ => Err(Problem::new(format!("must be at least {least}")).at_field(name)),
        }
    }

    /// Text, or an expression for it.
    pub(super) fn text_template(&mut self, name: &str) -> Result<Option<Template>, Problem> {
        Ok(self.text(name)?.map(|text| Template::new(&text.into())))
    }

    /// The objects of a list, each with its place, such as `Retry[0]`.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<(String, &'a Value)>>, Problem> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let items =
            value.as_array().ok_or_else(|| Problem::new("must be a list").at_field(name))?;
        let placed =
            items.iter().enumerate().map(|(index, item)| (format!("{name}[{index}]"), item));
        Ok(Some(placed.collect()))
    }

    pub(super) fn is_jsonpath(&self) -> bool {
        JSONPATH_FIELDS.iter().any(|name| self.object.contains_key(*name))
    }

    /// Refuses the fields that nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let unknown = self.object.keys().find(|name| !self.taken.contains(name.as_str()));
        let Some(name) = unknown else { return Ok(()) };
        let sentence = if JSONPATH_FIELDS.contains(&name.as_str()) {
            "belongs to JSONPath; this machine is JSONata"
        } else {
            "is not a field that belongs here"
        };
        Err(Problem::new(sentence).at_field(name))
    }
}
