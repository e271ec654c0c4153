//! JSON with JSONata expressions in it, as `Arguments`, `Assign` and `Output` hold it.

use serde_json::{Map, Value};

/// Names the place of an expression; only failures ask.
pub(crate) type Place<'a> = &'a dyn Fn() -> String;

/// A value of a definition: JSON in which any string may be an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Template {
    /// No expression inside.
    Literal(Value),
    /// The text between `{%` and `%}`.
    Expression(String),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

impl Template {
    pub(crate) fn new(value: &Value) -> Self {
        match value {
            Value::String(text) => match expression(text) {
                Some(source) => Self::Expression(source.to_owned()),
                None => Self::Literal(value.clone()),
            },
            Value::Array(items) => Self::array(items.iter().map(Self::new).collect(), value),
            Value::Object(fields) => {
                Self::object(fields.iter().map(|(k, v)| (k.clone(), Self::new(v))).collect(), value)
            }
            _ => Self::Literal(value.clone()),
        }
    }

    fn array(items: Vec<Self>, value: &Value) -> Self {
        let literal = items.iter().all(|item| matches!(item, Self::Literal(_)));
        if literal { Self::Literal(value.clone()) } else { Self::Array(items) }
    }

    fn object(fields: Vec<(String, Self)>, value: &Value) -> Self {
        let literal = fields.iter().all(|(_, field)| matches!(field, Self::Literal(_)));
        if literal { Self::Literal(value.clone()) } else { Self::Object(fields) }
    }

    /// Every expression inside with its place, such as `Output/result` or `Arguments/ids[0]`.
    pub(crate) fn expressions(&self, place: &str) -> Vec<(String, &str)> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expression(source) => vec![(place.to_owned(), source)],
            Self::Array(items) => (items.iter().enumerate())
                .flat_map(|(index, item)| item.expressions(&format!("{place}[{index}]")))
                .collect(),
            Self::Object(fields) => (fields.iter())
                .flat_map(|(key, field)| field.expressions(&format!("{place}/{key}")))
                .collect(),
        }
    }

    /// Every key of every object inside.
    pub(crate) fn keys(&self) -> Vec<&str> {
        match self {
            Self::Literal(value) => keys_of(value),
            Self::Expression(_) => Vec::new(),
            Self::Array(items) => items.iter().flat_map(Self::keys).collect(),
            Self::Object(fields) => (fields.iter())
                .flat_map(|(key, field)| std::iter::once(key.as_str()).chain(field.keys()))
                .collect(),
        }
    }

    /// The value, with each expression replaced by what `evaluate(source, place)` answers.
    pub(crate) fn fill<E>(
        &self,
        place: Place<'_>,
        evaluate: &mut dyn FnMut(&str, Place<'_>) -> Result<Value, E>,
    ) -> Result<Value, E> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expression(source) => evaluate(source, place),
            Self::Array(items) => (items.iter().enumerate())
                .map(|(index, item)| item.fill(&|| format!("{}[{index}]", place()), evaluate))
                .collect(),
            Self::Object(fields) => {
                let mut filled = Map::new();
                for (key, field) in fields {
                    let value = field.fill(&|| format!("{}/{key}", place()), evaluate)?;
                    filled.insert(key.clone(), value);
                }
                Ok(Value::Object(filled))
            }
        }
    }
}

fn keys_of(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().flat_map(keys_of).collect(),
        Value::Object(fields) => (fields.iter())
            .flat_map(|(key, field)| std::iter::once(key.as_str()).chain(keys_of(field)))
            .collect(),
        _ => Vec::new(),
    }
}

/// What stands between `{%` and `%}`; no other text, not even a blank, may surround them.
pub(crate) fn expression(text: &str) -> Option<&str> {
    Some(text.strip_prefix("{%")?.strip_suffix("%}")?.trim())
}
