//! Attribute values, as DynamoDB types them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::invalid;
use super::number::Number;
use crate::wire::AwsError;

/// How deep values nest at most.
const LEVELS_MAX: usize = 32;

/// An item: its attributes by name.
pub type Item = BTreeMap<String, Attribute>;

/// A value of the types that are modelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// Text.
    S(String),
    /// A number.
    N(Number),
    /// A truth value.
    Bool(bool),
    /// Nothing, said on purpose.
    Null,
    /// Values by name.
    M(Item),
    /// Values in order.
    L(Vec<Attribute>),
}

impl Attribute {
    /// Reads `{"S": "text"}` and the like.
    ///
    /// # Errors
    /// `ValidationException` for what DynamoDB refuses and for types that are not modelled,
    /// `SerializationException` for what is no value at all.
    pub fn read(value: &Value) -> Result<Self, AwsError> {
        Self::read_at(value, 1)
    }

    fn read_at(value: &Value, level: usize) -> Result<Self, AwsError> {
        if level > LEVELS_MAX {
            return Err(invalid("Nesting Levels have exceeded supported limits"));
        }
        let members = value.as_object().ok_or_else(|| unreadable("a structure"))?;
        let mut members = members.iter();
        let (Some((kind, value)), None) = (members.next(), members.next()) else {
            let problem = if value.as_object().is_some_and(Map::is_empty) {
                "is empty"
            } else {
                "has more than one datatypes set"
            };
            return Err(invalid(format!(
                "Supplied AttributeValue {problem}, must contain exactly one of the supported \
                 datatypes"
            )));
        };
        Ok(match kind.as_str() {
            "S" => Self::S(value.as_str().ok_or_else(|| unreadable("a string"))?.to_owned()),
            "N" => Self::N(Number::parse(value.as_str().ok_or_else(|| unreadable("a string"))?)?),
            "BOOL" => Self::Bool(value.as_bool().ok_or_else(|| unreadable("a boolean"))?),
            "NULL" if value == true => Self::Null,
            "NULL" => {
                let message = "One or more parameter values were invalid: Null attribute value \
                               types must have the value of true";
                return Err(invalid(message));
            }
            "M" => Self::M(read_members(value, level + 1)?),
            "L" => {
                let list = value.as_array().ok_or_else(|| unreadable("a list"))?;
                Self::L(
                    list.iter()
                        .map(|one| Self::read_at(one, level + 1))
                        .collect::<Result<_, _>>()?,
                )
            }
            "B" | "SS" | "NS" | "BS" => {
                return Err(invalid(format!("Values of the type {kind} are not modelled")));
            }
            _ => {
                let message = "Supplied AttributeValue is empty, must contain exactly one of the \
                               supported datatypes";
                return Err(invalid(message));
            }
        })
    }

    /// The value as it stands on the wire.
    #[must_use]
    pub fn to_wire(&self) -> Value {
        match self {
            Self::S(text) => json!({ "S": text }),
            Self::N(number) => json!({ "N": number.to_string() }),
            Self::Bool(flag) => json!({ "BOOL": flag }),
            Self::Null => json!({ "NULL": true }),
            Self::M(members) => json!({ "M": to_wire(members) }),
            Self::L(list) => json!({ "L": list.iter().map(Self::to_wire).collect::<Vec<_>>() }),
        }
    }

    /// The name of its type.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::M(_) => "M",
            Self::L(_) => "L",
        }
    }

    /// The text of a value of type S.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::S(text) => Some(text),
            _ => None,
        }
    }

    /// The order of two texts or of two numbers; nothing else has one.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::S(left), Self::S(right)) => Some(left.cmp(right)),
            (Self::N(left), Self::N(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size(),
            Self::Bool(_) | Self::Null => 1,
            Self::M(members) => 3 + size(members) + members.len(),
            Self::L(list) => 3 + list.iter().map(|one| one.size() + 1).sum::<usize>(),
        }
    }
}

/// The attributes of an item, or of a key.
///
/// # Errors
/// As [`Attribute::read`].
pub(super) fn read_item(value: &Value) -> Result<Item, AwsError> {
    read_members(value, 1)
}

fn read_members(value: &Value, level: usize) -> Result<Item, AwsError> {
    let members = value.as_object().ok_or_else(|| unreadable("a map"))?;
    let read =
        |(name, value): (&String, &Value)| Ok((name.clone(), Attribute::read_at(value, level)?));
    members.iter().map(read).collect()
}

/// An item as it stands on the wire.
#[must_use]
pub fn to_wire(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), value.to_wire())).collect())
}

/// Bytes that DynamoDB counts for an item: names and values.
pub(super) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}

fn unreadable(wanted: &str) -> AwsError {
    AwsError::bad_request("SerializationException", format!("Expected {wanted}"))
}
