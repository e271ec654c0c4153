//! Condition expressions.

use std::cmp::Ordering;

use super::attribute::{Attribute, Item};
use super::expression::{Parser, Path, Placeholders, look_up};
use crate::wire::AwsError;

/// What must be true of an item.
#[derive(Debug)]
pub(super) enum Condition {
    Exists(Path),
    NotExists(Path),
    Compare(Operand, Comparator, Operand),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

/// One side of a comparison.
#[derive(Debug)]
pub(super) enum Operand {
    Path(Path),
    Value(Attribute),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const COMPARATORS: [(&str, Comparator); 6] = [
    ("=", Comparator::Equal),
    ("<>", Comparator::Unequal),
    ("<", Comparator::Less),
    ("<=", Comparator::LessOrEqual),
    (">", Comparator::Greater),
    (">=", Comparator::GreaterOrEqual),
];

impl Condition {
    /// Reads a condition.
    pub(super) fn parse(
        kind: &'static str,
        text: &str,
        placeholders: &Placeholders,
    ) -> Result<Self, AwsError> {
        let mut parser = Parser::new(kind, text, placeholders)?;
        let condition = either(&mut parser)?;
        parser.end()?;
        Ok(condition)
    }

    /// Whether it is true of an item, or of there being none.
    pub(super) fn holds(&self, item: Option<&Item>) -> bool {
        match self {
            Self::Exists(path) => look_up(item, path).is_some(),
            Self::NotExists(path) => look_up(item, path).is_none(),
            Self::Compare(left, comparator, right) => {
                comparator.holds(left.of(item), right.of(item))
            }
            Self::And(left, right) => left.holds(item) && right.holds(item),
            Self::Or(left, right) => left.holds(item) || right.holds(item),
            Self::Not(inner) => !inner.holds(item),
        }
    }
}

impl Operand {
    fn of<'a>(&'a self, item: Option<&'a Item>) -> Option<&'a Attribute> {
        match self {
            Self::Path(path) => look_up(item, path),
            Self::Value(value) => Some(value),
        }
    }
}

impl Comparator {
    /// An attribute that is missing is unequal to everything, and neither less nor greater.
    fn holds(self, left: Option<&Attribute>, right: Option<&Attribute>) -> bool {
        let (Some(left), Some(right)) = (left, right) else { return self == Self::Unequal };
        let order = left.order(right);
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Less => order == Some(Ordering::Less),
            Self::Greater => order == Some(Ordering::Greater),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }

    fn needs_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }
}

fn either(parser: &mut Parser<'_>) -> Result<Condition, AwsError> {
    let mut left = both(parser)?;
    while parser.takes_keyword("OR") {
        left = Condition::Or(Box::new(left), Box::new(both(parser)?));
    }
    Ok(left)
}

fn both(parser: &mut Parser<'_>) -> Result<Condition, AwsError> {
    let mut left = negated(parser)?;
    while parser.takes_keyword("AND") {
        left = Condition::And(Box::new(left), Box::new(negated(parser)?));
    }
    Ok(left)
}

fn negated(parser: &mut Parser<'_>) -> Result<Condition, AwsError> {
    if parser.takes_keyword("NOT") {
        return Ok(Condition::Not(Box::new(negated(parser)?)));
    }
    if parser.takes_sign("(") {
        let inner = either(parser)?;
        parser.sign(")")?;
        return Ok(inner);
    }
    match parser.function() {
        Some(name) => function(parser, &name),
        None => comparison(parser),
    }
}

fn function(parser: &mut Parser<'_>, name: &str) -> Result<Condition, AwsError> {
    let make = match name {
        "attribute_exists" => Condition::Exists,
        "attribute_not_exists" => Condition::NotExists,
        "attribute_type" | "begins_with" | "contains" | "size" => {
            return Err(parser.refuse(format!("The function {name} is not modelled")));
        }
        _ => return Err(parser.refuse(format!("Invalid function name; function: {name}"))),
    };
    let Some(path) = parser.path()? else {
        if parser.value()?.is_none() {
            return Err(parser.unexpected());
        }
        return Err(parser.refuse(format!(
            "Operator or function requires a document path; operator or function: {name}"
        )));
    };
    parser.sign(")")?;
    Ok(make(path))
}

fn comparison(parser: &mut Parser<'_>) -> Result<Condition, AwsError> {
    let left = operand(parser)?;
    for keyword in ["BETWEEN", "IN"] {
        if parser.takes_keyword(keyword) {
            return Err(parser.refuse(format!("The operator {keyword} is not modelled")));
        }
    }
    let found = COMPARATORS.iter().find(|(sign, _)| parser.takes_sign(sign));
    let Some((sign, comparator)) = found.copied() else { return Err(parser.unexpected()) };
    let right = operand(parser)?;
    for side in [&left, &right] {
        let Operand::Value(value) = side else { continue };
        if comparator.needs_order() && value.order(value).is_none() {
            return Err(parser.refuse(format!(
                "Incorrect operand type for operator or function; operator or function: {sign}, \
                 operand type: {}",
                value.kind()
            )));
        }
    }
    Ok(Condition::Compare(left, comparator, right))
}

fn operand(parser: &mut Parser<'_>) -> Result<Operand, AwsError> {
    if let Some(value) = parser.value()? {
        return Ok(Operand::Value(value));
    }
    if let Some(name) = parser.function() {
        return Err(parser.refuse(format!("The function {name} is not modelled")));
    }
    parser.path()?.map(Operand::Path).ok_or_else(|| parser.unexpected())
}
