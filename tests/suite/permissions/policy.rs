//! IAM's decision about one action on one resource, as far as this stack's policies need it.
//! What is not known here is an error: neither an allowance nor a denial.
//!
//! Source: IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements: Condition
//! operators", "Set operators for multivalued context keys".

use failback_sandbox::Asked;
use serde_json::Value;

/// A statement, with all references resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub allows: bool,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    pub conditions: Vec<Condition>,
}

/// A test of one key; all of a statement's must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub set: Option<Set>,
    pub operator: Operator,
    /// A key that is absent holds.
    pub if_exists: bool,
    pub key: String,
    pub values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    StringEquals,
    StringNotEquals,
    StringLike,
    StringNotLike,
    ArnLike,
    Bool,
    Null,
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// What it has that is not known here.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let members = value.as_object().ok_or("a statement is a mapping")?;
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        if let Some(other) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("{other} is not known"));
        }
        let allows = match value["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            other => return Err(format!("the effect {other:?} is not known")),
        };
        let mut conditions = Vec::new();
        for (operator, keys) in value["Condition"].as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().ok_or("an operator holds keys")? {
                conditions.push(Condition::parse(operator, key, texts(values)?)?);
            }
        }
        let (actions, resources) = (texts(&value["Action"])?, texts(&value["Resource"])?);
        Ok(Self { allows, actions, resources, conditions })
    }

    fn applies(&self, asked: &Asked) -> Result<bool, String> {
        let named = self
            .actions
            .iter()
            .any(|action| like(&action.to_ascii_lowercase(), &asked.action.to_ascii_lowercase()));
        if !named || !self.resources.iter().any(|pattern| covers(pattern, &asked.resource)) {
            return Ok(false);
        }
        for condition in &self.conditions {
            if !condition.holds(asked)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether these statements, and no others, allow it.
///
/// # Errors
/// What cannot be decided here.
pub fn allows(statements: &[Statement], asked: &Asked) -> Result<bool, String> {
    if asked.resource.is_empty() {
        return Err(format!("what {} names is not known", asked.action));
    }
    let mut allowed = false;
    for statement in statements {
        if statement.applies(asked)? {
            if !statement.allows {
                return Ok(false);
            }
            allowed = true;
        }
    }
    Ok(allowed)
}

impl Condition {
    fn parse(operator: &str, key: &str, values: Vec<String>) -> Result<Self, String> {
        let (set, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Some(Set::ForAllValues), name),
            Some(("ForAnyValue", name)) => (Some(Set::ForAnyValue), name),
            Some((other, _)) => return Err(format!("{other} is not known")),
            None => (None, operator),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let operator = match name {
            "StringEquals" => Operator::StringEquals,
            "StringNotEquals" => Operator::StringNotEquals,
            "StringLike" => Operator::StringLike,
            "StringNotLike" => Operator::StringNotLike,
            // AWS: ArnEquals and ArnLike behave alike.
            "ArnLike" | "ArnEquals" => Operator::ArnLike,
            "Bool" => Operator::Bool,
            "Null" if set.is_none() && !if_exists => Operator::Null,
            other => return Err(format!("the operator {other} is not known")),
        };
        if values.is_empty() {
            return Err(format!("{key} has no value"));
        }
        Ok(Self { set, operator, if_exists, key: key.to_owned(), values })
    }

    fn holds(&self, asked: &Asked) -> Result<bool, String> {
        let found = asked.keys.iter().find(|(key, _)| key.eq_ignore_ascii_case(&self.key));
        let found = found.map(|(_, values)| values.as_slice()).filter(|v| !v.is_empty());
        if self.operator == Operator::Null {
            return Ok(self.values.iter().any(|wanted| (wanted == "true") == found.is_none()));
        }
        let negative = matches!(self.operator, Operator::StringNotEquals | Operator::StringNotLike);
        let Some(found) = found else {
            return Ok(self.if_exists || negative || self.set == Some(Set::ForAllValues));
        };
        match self.set {
            Some(Set::ForAllValues) => Ok(found.iter().all(|value| self.suits(value))),
            Some(Set::ForAnyValue) => Ok(found.iter().any(|value| self.suits(value))),
            None if found.len() > 1 => Err(format!("{} has several values", self.key)),
            None => Ok(found.iter().all(|value| self.suits(value))),
        }
    }

    fn suits(&self, value: &str) -> bool {
        let any = |suits: &dyn Fn(&str) -> bool| self.values.iter().any(|wanted| suits(wanted));
        match self.operator {
            Operator::StringEquals => any(&|wanted| wanted == value),
            Operator::StringNotEquals => !any(&|wanted| wanted == value),
            Operator::StringLike => any(&|wanted| like(wanted, value)),
            Operator::StringNotLike => !any(&|wanted| like(wanted, value)),
            Operator::ArnLike => any(&|wanted| covers(wanted, value)),
            Operator::Bool => any(&|wanted| wanted.eq_ignore_ascii_case(value)),
            Operator::Null => false,
        }
    }
}

/// A text, a truth value or a list of them.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(format!("{other} is no text")),
    };
    value.as_array().map_or_else(|| Ok(vec![one(value)?]), |all| all.iter().map(one).collect())
}

/// Whether a pattern of ARNs covers one, part by part: no wildcard reaches over the colons before
/// the resource.
fn covers(pattern: &str, arn: &str) -> bool {
    if pattern == "*" || pattern == arn {
        return true;
    }
    let (pattern, arn): (Vec<_>, Vec<_>) =
        (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    pattern.len() == arn.len() && pattern.iter().zip(arn).all(|(pattern, part)| like(pattern, part))
}

/// Whether a text is like a pattern with `*` and `?`.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == '?' || *c == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn statement(effect: &str, action: &Value, resource: &Value, condition: &Value) -> Statement {
        let mut value = json!({ "Effect": effect, "Action": action, "Resource": resource });
        if !condition.is_null() {
            value["Condition"] = condition.clone();
        }
        Statement::parse(&value).expect("it can be read")
    }

    fn asked(action: &str, resource: &str, keys: &[(&str, &[&str])]) -> Asked {
        let keys = keys.iter().map(|(key, values)| {
            ((*key).to_owned(), values.iter().map(|v| (*v).to_owned()).collect())
        });
        Asked {
            action: action.to_owned(),
            resource: resource.to_owned(),
            keys: keys.collect::<BTreeMap<_, _>>(),
            because: "",
        }
    }

    const CLUSTER: &str = "arn:aws:rds:us-east-1:123456789012:cluster:gdb1-cluster";

    #[test]
    fn nothing_is_allowed_that_no_statement_allows() {
        let allow =
            [statement("Allow", &json!("rds:DeleteDBCluster"), &json!(CLUSTER), &json!(null))];

        assert_eq!(allows(&allow, &asked("rds:DeleteDBCluster", CLUSTER, &[])), Ok(true));
        assert_eq!(allows(&allow, &asked("RDS:deletedbcluster", CLUSTER, &[])), Ok(true));
        assert_eq!(allows(&allow, &asked("rds:ModifyDBCluster", CLUSTER, &[])), Ok(false));
        let other = format!("{CLUSTER}-2");
        assert_eq!(allows(&allow, &asked("rds:DeleteDBCluster", &other, &[])), Ok(false));
        assert_eq!(allows(&[], &asked("rds:DeleteDBCluster", CLUSTER, &[])), Ok(false));
    }

    #[test]
    fn one_statement_that_denies_outweighs_all_that_allow() {
        let deny = statement("Deny", &json!("rds:Delete*"), &json!("*"), &json!(null));
        let allow = statement("Allow", &json!("rds:*"), &json!("*"), &json!(null));
        let both = [allow, deny];

        assert_eq!(allows(&both, &asked("rds:DeleteDBCluster", CLUSTER, &[])), Ok(false));
        assert_eq!(allows(&both, &asked("rds:ModifyDBCluster", CLUSTER, &[])), Ok(true));
    }

    #[test]
    fn wildcard_stays_within_its_part_of_an_arn() {
        for (pattern, arn, expected) in [
            ("arn:aws:rds:us-east-1:123456789012:cluster:*gdb*", CLUSTER, true),
            ("arn:aws:rds:*:123456789012:cluster:gdb?-cluster", CLUSTER, true),
            ("arn:aws:rds:us-west-2:123456789012:cluster:*", CLUSTER, false),
            ("arn:aws:rds:*:cluster:gdb1-cluster", CLUSTER, false),
            ("arn:aws:rds:us-east-1:123456789012:db:*", CLUSTER, false),
            // A global cluster has no Region, and a pattern that names one never covers it.
            ("arn:aws:rds:us-east-1:1:global-cluster:*", "arn:aws:rds::1:global-cluster:g", false),
            ("arn:aws:rds::1:global-cluster:*", "arn:aws:rds::1:global-cluster:g", true),
        ] {
            assert_eq!(covers(pattern, arn), expected, "{pattern} {arn}");
        }
    }

    #[test]
    fn pattern_is_like_what_its_wildcards_leave_open() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("*ab", "aab", true),
            ("a?c", "ac", false),
            ("lock#*", "lock#orders", true),
            ("lock#*", "memory#orders", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn conditions_hold_as_their_operators_say() {
        let many: &[(&str, &[&str])] = &[("k", &["a1", "b1"])];
        let one: &[(&str, &[&str])] = &[("K", &["a1"])];
        let none: &[(&str, &[&str])] = &[];
        for (condition, keys, expected) in [
            (json!({ "StringEquals": { "k": ["x", "a1"] } }), one, Ok(true)),
            (json!({ "StringEquals": { "k": "a*" } }), one, Ok(false)),
            (json!({ "StringEquals": { "k": "a1" } }), none, Ok(false)),
            (json!({ "StringEqualsIfExists": { "k": "x" } }), none, Ok(true)),
            (json!({ "StringEqualsIfExists": { "k": "x" } }), one, Ok(false)),
            (json!({ "StringNotEquals": { "k": "a1" } }), one, Ok(false)),
            (json!({ "StringNotEquals": { "k": "a1" } }), none, Ok(true)),
            (json!({ "StringNotLike": { "k": "a*" } }), one, Ok(false)),
            (json!({ "StringLike": { "k": "a*" } }), one, Ok(true)),
            (json!({ "ForAllValues:StringLike": { "k": "a*" } }), many, Ok(false)),
            (json!({ "ForAllValues:StringLike": { "k": ["a*", "b*"] } }), many, Ok(true)),
            (json!({ "ForAllValues:StringLike": { "k": "a*" } }), none, Ok(true)),
            (json!({ "ForAnyValue:StringLike": { "k": "a*" } }), many, Ok(true)),
            (json!({ "ForAnyValue:StringLike": { "k": "a*" } }), none, Ok(false)),
            (json!({ "ArnLike": { "k": "arn:aws:ec2:*:1:vpc/*" } }), one, Ok(false)),
            (json!({ "Bool": { "k": true } }), one, Ok(false)),
            (json!({ "Null": { "k": true } }), none, Ok(true)),
            (json!({ "Null": { "k": false } }), none, Ok(false)),
            (json!({ "Null": { "k": false } }), one, Ok(true)),
            (json!({ "StringLike": { "k": "a*" } }), many, Err("k has several values".to_owned())),
            // All operators, and all keys of one, must hold.
            (json!({ "StringLike": { "k": "a*" }, "Null": { "k": true } }), one, Ok(false)),
            (json!({ "StringLike": { "k": "a*", "l": "*" } }), one, Ok(false)),
        ] {
            let allow = [statement("Allow", &json!("s:Do"), &json!("*"), &condition)];
            assert_eq!(allows(&allow, &asked("s:Do", "*", keys)), expected, "{condition} {keys:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_guessed() {
        let good = json!({ "Effect": "Allow", "Action": "s:Do", "Resource": "*" });
        for (member, value) in [
            ("NotAction", json!("s:Do")),
            ("Principal", json!("*")),
            ("Effect", json!("allow")),
            ("Resource", json!({ "!If": [] })),
            ("Condition", json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } })),
            ("Condition", json!({ "ForSomeValues:StringLike": { "k": "*" } })),
            ("Condition", json!({ "StringLike": { "k": [] } })),
            ("Condition", json!({ "NullIfExists": { "k": true } })),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert!(Statement::parse(&bad).is_err(), "{bad}");
        }
        let allow = [Statement::parse(&good).expect("this one can be read")];
        assert!(allows(&allow, &asked("s:Do", "", &[])).is_err());
    }
}
