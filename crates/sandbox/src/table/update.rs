//! Update expressions: `SET` and `REMOVE`.

use super::attribute::{Attribute, Item};
use super::expression::{Parser, Path, Placeholders, Step, look_up, shown};
use super::{KEY, invalid};
use crate::wire::AwsError;

/// What to do to an item.
#[derive(Debug, Default)]
pub(super) struct Update {
    sets: Vec<(Path, Operand)>,
    removes: Vec<Path>,
}

/// What an attribute is set to.
#[derive(Debug)]
enum Operand {
    Value(Attribute),
    Path(Path),
    IfNotExists(Path, Box<Operand>),
    Sum { left: Box<Operand>, right: Box<Operand>, minus: bool },
}

impl Update {
    /// Reads an update.
    pub(super) fn parse(text: &str, placeholders: &Placeholders) -> Result<Self, AwsError> {
        let mut parser = Parser::new("UpdateExpression", text, placeholders)?;
        let mut update = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        while parser.peek().is_some() {
            let sections = ["SET", "REMOVE", "ADD", "DELETE"];
            let section = sections.into_iter().find(|section| parser.takes_keyword(section));
            let section = section.ok_or_else(|| parser.unexpected())?;
            if seen.contains(&section) {
                return Err(parser.refuse(format!(
                    "The \"{section}\" section can only be used once in an update expression;"
                )));
            }
            seen.push(section);
            match section {
                "SET" => update.sets = listed(&mut parser, assignment)?,
                "REMOVE" => update.removes = listed(&mut parser, path)?,
                _ => return Err(parser.refuse(format!("The section {section} is not modelled"))),
            }
        }
        update.check_paths(&parser)?;
        Ok(update)
    }

    fn check_paths(&self, parser: &Parser<'_>) -> Result<(), AwsError> {
        let paths: Vec<&Path> =
            self.sets.iter().map(|(path, _)| path).chain(&self.removes).collect();
        if paths.iter().any(|path| path[0] == Step::Name(KEY.to_owned())) {
            return Err(invalid(format!(
                "One or more parameter values were invalid: Cannot update attribute {KEY}. This \
                 attribute is part of the key"
            )));
        }
        for (index, one) in paths.iter().enumerate() {
            let overlaps =
                |other: &&&Path| other.starts_with(one.as_slice()) || one.starts_with(other);
            if let Some(other) = paths[index + 1..].iter().find(overlaps) {
                return Err(parser.refuse(format!(
                    "Two document paths overlap with each other; must remove or rewrite one of \
                     these paths; path one: {}, path two: {}",
                    shown(one),
                    shown(other)
                )));
            }
        }
        Ok(())
    }

    /// The item afterwards. Every value is taken from the item as it was.
    pub(super) fn apply(&self, item: &Item) -> Result<Item, AwsError> {
        let values: Vec<Attribute> =
            self.sets.iter().map(|(_, value)| value.of(item)).collect::<Result<_, _>>()?;
        let mut updated = item.clone();
        for ((path, _), value) in self.sets.iter().zip(values) {
            set(&mut updated, path, value)?;
        }
        // From the end of a list, so that no element moves before it is removed.
        let mut removes: Vec<&Path> = self.removes.iter().collect();
        removes.sort_unstable_by(|one, other| other.cmp(one));
        removes.into_iter().try_for_each(|path| remove(&mut updated, path))?;
        Ok(updated)
    }
}

impl Operand {
    fn of(&self, item: &Item) -> Result<Attribute, AwsError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Path(path) => look_up(Some(item), path).cloned().ok_or_else(|| {
                invalid(
                    "The provided expression refers to an attribute that does not exist in the \
                     item",
                )
            }),
            Self::IfNotExists(path, otherwise) => match look_up(Some(item), path) {
                Some(value) => Ok(value.clone()),
                None => otherwise.of(item),
            },
            Self::Sum { left, right, minus } => match (left.of(item)?, right.of(item)?) {
                (Attribute::N(left), Attribute::N(right)) => {
                    left.plus(&right, *minus).map(Attribute::N)
                }
                _ => Err(invalid("An operand in the update expression has an incorrect data type")),
            },
        }
    }
}

fn listed<T>(
    parser: &mut Parser<'_>,
    one: fn(&mut Parser<'_>) -> Result<T, AwsError>,
) -> Result<Vec<T>, AwsError> {
    let mut all = vec![one(parser)?];
    while parser.takes_sign(",") {
        all.push(one(parser)?);
    }
    Ok(all)
}

fn path(parser: &mut Parser<'_>) -> Result<Path, AwsError> {
    parser.path()?.ok_or_else(|| parser.unexpected())
}

fn assignment(parser: &mut Parser<'_>) -> Result<(Path, Operand), AwsError> {
    let target = path(parser)?;
    parser.sign("=")?;
    let left = operand(parser)?;
    let minus = parser.takes_sign("-");
    if !minus && !parser.takes_sign("+") {
        return Ok((target, left));
    }
    let right = operand(parser)?;
    Ok((target, Operand::Sum { left: Box::new(left), right: Box::new(right), minus }))
}

fn operand(parser: &mut Parser<'_>) -> Result<Operand, AwsError> {
    if let Some(value) = parser.value()? {
        return Ok(Operand::Value(value));
    }
    match parser.function().as_deref() {
        None => path(parser).map(Operand::Path),
        Some("if_not_exists") => {
            let tested = path(parser)?;
            parser.sign(",")?;
            let otherwise = operand(parser)?;
            parser.sign(")")?;
            Ok(Operand::IfNotExists(tested, Box::new(otherwise)))
        }
        Some("list_append") => Err(parser.refuse("The function list_append is not modelled")),
        Some(other) => Err(parser.refuse(format!("Invalid function name; function: {other}"))),
    }
}

/// What holds the last step of a path, if it is there.
fn parent<'a>(item: &'a mut Item, path: &[Step]) -> Option<&'a mut Attribute> {
    let (Step::Name(first), rest) = path.split_first()? else { return None };
    rest.iter().try_fold(item.get_mut(first)?, |value, step| match (value, step) {
        (Attribute::M(members), Step::Name(name)) => members.get_mut(name),
        (Attribute::L(list), Step::Index(index)) => list.get_mut(*index),
        _ => None,
    })
}

fn no_such_place() -> AwsError {
    invalid("The document path provided in the update expression is invalid for update")
}

fn set(item: &mut Item, path: &[Step], value: Attribute) -> Result<(), AwsError> {
    if let [Step::Name(name)] = path {
        item.insert(name.clone(), value);
        return Ok(());
    }
    let (last, above) = path.split_last().ok_or_else(no_such_place)?;
    match (parent(item, above), last) {
        (Some(Attribute::M(members)), Step::Name(name)) => {
            members.insert(name.clone(), value);
        }
        (Some(Attribute::L(list)), Step::Index(index)) => match list.get_mut(*index) {
            Some(element) => *element = value,
            None => list.push(value),
        },
        _ => return Err(no_such_place()),
    }
    Ok(())
}

fn remove(item: &mut Item, path: &[Step]) -> Result<(), AwsError> {
    if let [Step::Name(name)] = path {
        item.remove(name);
        return Ok(());
    }
    let (last, above) = path.split_last().ok_or_else(no_such_place)?;
    match (parent(item, above), last) {
        (Some(Attribute::M(members)), Step::Name(name)) => {
            members.remove(name);
        }
        (Some(Attribute::L(list)), Step::Index(index)) => {
            if *index < list.len() {
                list.remove(*index);
            }
        }
        _ => return Err(no_such_place()),
    }
    Ok(())
}
