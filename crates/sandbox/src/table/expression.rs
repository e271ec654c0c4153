//! What condition and update expressions have in common: words, placeholders and paths.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::attribute::{Attribute, Item, read_item};
use super::invalid;
use crate::wire::AwsError;

/// The longest expression, in bytes.
const EXPRESSION_BYTES_MAX: usize = 4 * 1024;

/// Words that may not stand for an attribute without a placeholder.
/// Source: DynamoDB developer guide, "Reserved words in DynamoDB".
static RESERVED: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("reserved.txt").split_whitespace().collect());

/// `ExpressionAttributeNames` and `ExpressionAttributeValues`, and which of them were used.
pub(super) struct Placeholders {
    names: BTreeMap<String, String>,
    values: Item,
    used: RefCell<BTreeSet<String>>,
}

impl Placeholders {
    /// Reads them off a request.
    pub(super) fn read(members: &Map<String, Value>) -> Result<Self, AwsError> {
        let given = |name: &str| members.get(name).filter(|value| !value.is_null());
        let mut names = BTreeMap::new();
        if let Some(given) = given("ExpressionAttributeNames") {
            for (key, name) in given.as_object().into_iter().flatten() {
                check_key("ExpressionAttributeNames", '#', key)?;
                names.insert(key.clone(), name.as_str().unwrap_or_default().to_owned());
            }
            refuse_empty("ExpressionAttributeNames", names.is_empty())?;
        }
        let mut values = Item::new();
        if let Some(given) = given("ExpressionAttributeValues") {
            values = read_item(given)?;
            refuse_empty("ExpressionAttributeValues", values.is_empty())?;
            values.keys().try_for_each(|key| check_key("ExpressionAttributeValues", ':', key))?;
        }
        Ok(Self { names, values, used: RefCell::default() })
    }

    /// Refuses what no expression has used; to be called after all are parsed.
    pub(super) fn check_used(&self, any_expression: bool) -> Result<(), AwsError> {
        let used = self.used.borrow();
        let names: Vec<&String> = self.names.keys().collect();
        let values: Vec<&String> = self.values.keys().collect();
        for (parameter, keys) in
            [("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)]
        {
            if !any_expression && !keys.is_empty() {
                let message = format!("{parameter} can only be specified when using expressions");
                return Err(invalid(message));
            }
            let unused: Vec<&str> =
                keys.into_iter().filter(|key| !used.contains(*key)).map(String::as_str).collect();
            if !unused.is_empty() {
                return Err(invalid(format!(
                    "Value provided in {parameter} unused in expressions: keys: {{{}}}",
                    unused.join(", ")
                )));
            }
        }
        Ok(())
    }

    fn resolve<'a, T>(&self, from: &'a BTreeMap<String, T>, key: &str) -> Option<&'a T> {
        self.used.borrow_mut().insert(key.to_owned());
        from.get(key)
    }
}

fn check_key(parameter: &str, mark: char, key: &str) -> Result<(), AwsError> {
    let rest = key.strip_prefix(mark).unwrap_or_default();
    if !rest.is_empty() && rest.chars().all(is_word) {
        return Ok(());
    }
    Err(invalid(format!("{parameter} contains invalid key: Syntax error; key: \"{key}\"")))
}

fn refuse_empty(parameter: &str, empty: bool) -> Result<(), AwsError> {
    if empty { Err(invalid(format!("{parameter} must not be empty"))) } else { Ok(()) }
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A member of a map.
    Name(String),
    /// An element of a list.
    Index(usize),
}

/// Where in an item; never empty, and the first step is a name.
pub(super) type Path = Vec<Step>;

/// A path as messages show it.
pub(super) fn shown(path: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Name(name) => name.clone(),
        Step::Index(index) => format!("[{index}]"),
    };
    format!("[{}]", path.iter().map(step).collect::<Vec<_>>().join(", "))
}

/// What stands at a path, if anything does.
pub(super) fn look_up<'a>(item: Option<&'a Item>, path: &[Step]) -> Option<&'a Attribute> {
    let (Step::Name(first), rest) = path.split_first()? else { return None };
    rest.iter().try_fold(item?.get(first)?, |value, step| match (value, step) {
        (Attribute::M(members), Step::Name(name)) => members.get(name),
        (Attribute::L(list), Step::Index(index)) => list.get(*index),
        _ => None,
    })
}

/// A word of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// An attribute, a function or a keyword.
    Word(String),
    /// `#name`.
    Name(String),
    /// `:value`.
    Value(String),
    /// An index or another number.
    Number(String),
    /// An operator or a parenthesis.
    Sign(&'static str),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Value(text) | Self::Number(text) => text,
            Self::Sign(sign) => sign,
        }
    }
}

const SIGNS: [&str; 14] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", ".", "[", "]", "+", "-"];

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The words of an expression, one after the other.
pub(super) struct Parser<'a> {
    /// `ConditionExpression` or `UpdateExpression`.
    kind: &'static str,
    tokens: Vec<Token>,
    at: usize,
    placeholders: &'a Placeholders,
}

impl<'a> Parser<'a> {
    /// Cuts an expression into words.
    pub(super) fn new(
        kind: &'static str,
        text: &str,
        placeholders: &'a Placeholders,
    ) -> Result<Self, AwsError> {
        let mut parser = Self { kind, tokens: Vec::new(), at: 0, placeholders };
        if text.trim().is_empty() {
            return Err(parser.refuse("The expression can not be empty;"));
        }
        if text.len() > EXPRESSION_BYTES_MAX {
            let size = text.len();
            let problem = format!(
                "Expression size has exceeded the maximum allowed size; expression size: {size}"
            );
            return Err(parser.refuse(problem));
        }
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let (token, length) = parser.token(first, rest)?;
            parser.tokens.push(token);
            rest = rest[length..].trim_start();
        }
        Ok(parser)
    }

    fn token(&self, first: char, rest: &str) -> Result<(Token, usize), AwsError> {
        let word = |from: usize| {
            rest[from..].find(|c| !is_word(c)).map_or(rest.len(), |length| from + length)
        };
        type Kind = (bool, fn(String) -> Token, usize);
        let kinds: [Kind; 4] = [
            (first == '#', Token::Name, 1),
            (first == ':', Token::Value, 1),
            (first.is_ascii_digit(), Token::Number, 0),
            (first.is_ascii_alphabetic() || first == '_', Token::Word, 0),
        ];
        for (fits, make, from) in kinds {
            let end = if fits { word(from) } else { 0 };
            if end > from {
                return Ok((make(rest[..end].to_owned()), end));
            }
        }
        let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
        sign.map(|sign| (Token::Sign(sign), sign.len())).ok_or_else(|| {
            let near: String = rest.chars().take(12).collect();
            self.refuse(format!("Syntax error; token: \"{first}\", near: \"{near}\""))
        })
    }

    /// A refusal of this expression.
    pub(super) fn refuse(&self, problem: impl std::fmt::Display) -> AwsError {
        invalid(format!("Invalid {}: {problem}", self.kind))
    }

    /// The word at hand is not what belongs here.
    pub(super) fn unexpected(&self) -> AwsError {
        let token = self.tokens.get(self.at).map_or("<EOF>", Token::text);
        let near = self.tokens.iter().skip(self.at.saturating_sub(1)).take(3);
        let near: Vec<&str> = near.map(Token::text).collect();
        self.refuse(format!("Syntax error; token: \"{token}\", near: \"{}\"", near.join(" ")))
    }

    /// The word at hand.
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the sign at hand if it is this one.
    pub(super) fn takes_sign(&mut self, sign: &str) -> bool {
        let taken = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(taken);
        taken
    }

    /// Takes the sign at hand, which must be this one.
    pub(super) fn sign(&mut self, sign: &str) -> Result<(), AwsError> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Takes the word at hand if it is this keyword, in any case.
    pub(super) fn takes_keyword(&mut self, keyword: &str) -> bool {
        let taken =
            matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(taken);
        taken
    }

    /// Takes the name of a function, if one with its parenthesis is at hand.
    pub(super) fn function(&mut self) -> Option<String> {
        let next = self.tokens.get(self.at + 1);
        match self.peek() {
            Some(Token::Word(word)) if next == Some(&Token::Sign("(")) => {
                let word = word.clone();
                self.at += 2;
                Some(word)
            }
            _ => None,
        }
    }

    /// Refuses anything behind the end.
    pub(super) fn end(&self) -> Result<(), AwsError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Takes a path, or nothing when none is at hand.
    pub(super) fn path(&mut self) -> Result<Option<Path>, AwsError> {
        let Some(first) = self.name()? else { return Ok(None) };
        let mut path = vec![Step::Name(first)];
        loop {
            if self.takes_sign(".") {
                path.push(Step::Name(self.name()?.ok_or_else(|| self.unexpected())?));
            } else if self.takes_sign("[") {
                let Some(Token::Number(digits)) = self.peek() else {
                    return Err(self.unexpected());
                };
                path.push(Step::Index(digits.parse().map_err(|_| self.unexpected())?));
                self.at += 1;
                self.sign("]")?;
            } else {
                return Ok(Some(path));
            }
        }
    }

    fn name(&mut self) -> Result<Option<String>, AwsError> {
        let name = match self.peek() {
            Some(Token::Word(word)) => {
                if RESERVED.contains(word.to_ascii_uppercase().as_str()) {
                    return Err(self.refuse(format!(
                        "Attribute name is a reserved keyword; reserved keyword: {word}"
                    )));
                }
                word.clone()
            }
            Some(Token::Name(key)) => {
                let name = self.placeholders.resolve(&self.placeholders.names, key);
                name.cloned().ok_or_else(|| {
                    self.refuse(format!(
                        "An expression attribute name used in the document path is not defined; \
                         attribute name: {key}"
                    ))
                })?
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(name))
    }

    /// Takes the value of a placeholder, or nothing when none is at hand.
    pub(super) fn value(&mut self) -> Result<Option<Attribute>, AwsError> {
        let Some(Token::Value(key)) = self.peek() else { return Ok(None) };
        let value = self.placeholders.resolve(&self.placeholders.values, key);
        let value = value.cloned().ok_or_else(|| {
            self.refuse(format!(
                "An expression attribute value used in expression is not defined; attribute \
                 value: {key}"
            ))
        })?;
        self.at += 1;
        Ok(Some(value))
    }
}
