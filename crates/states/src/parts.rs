//! Which parts of each variable an expression reads, so that no more than these is copied for it.
//!
//! A variable may hold a whole plan of which an expression wants one number. [`crate::reads`] says
//! which variables are read at all; here is said which fields of them. In doubt, all.

use std::collections::BTreeMap;

use jlens_core::ast::Attrs;
use jlens_core::{Node, NodeKind};
use serde_json::{Map, Number, Value};

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// Of an object, these fields.
    Fields(BTreeMap<String, Part>),
}

/// What an expression reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// By variable, without `$`; a local variable may be among them.
    pub(crate) of: BTreeMap<String, Part>,
    /// When the expression is nothing but a path of fields, such as `$plan.limits.verify_s`: the
    /// variable and the fields.
    pub(crate) path: Option<Vec<String>>,
}

impl Parts {
    pub(crate) fn new(root: &Node) -> Self {
        let mut parts = Self::default();
        parts.note(root);
        parts.path = match &root.kind {
            NodeKind::Path { steps, keep_singleton_array: false } if is_plain(&root.attrs) => {
                let names = leading_names(steps);
                (names.len() == steps.len() && steps.iter().all(|s| is_plain(&s.attrs)))
                    .then_some(names)
            }
            NodeKind::Variable { name } if is_plain(&root.attrs) => Some(vec![name.clone()]),
            _ => None,
        };
        parts
    }

    fn note(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Variable { name } => self.add(std::slice::from_ref(name)),
            NodeKind::Path { steps, .. } => {
                let names = leading_names(steps);
                // A `%` further along leads back out of a field.
                let looks_back = [node].into_iter().chain(steps).any(|n| looks_back(&n.attrs));
                if !names.is_empty() && !looks_back {
                    self.add(&names);
                    let (first, rest) = steps.split_at(1);
                    first[0].for_each_child(|child| self.note(child));
                    rest.iter().for_each(|step| self.note(step));
                } else {
                    steps.iter().for_each(|step| self.note(step));
                }
                self.note_attributes(node);
            }
            _ => node.for_each_child(|child| self.note(child)),
        }
    }

    /// A path's predicates and groups; its steps are noted already.
    fn note_attributes(&mut self, path: &Node) {
        let mut bare = path.clone();
        bare.kind = NodeKind::Null;
        bare.for_each_child(|child| self.note(child));
    }

    fn add(&mut self, names: &[String]) {
        let Some((last, path)) = names.split_last() else { return };
        let mut fields = &mut self.of;
        for name in path {
            let part = fields.entry(name.clone());
            match part.or_insert_with(|| Part::Fields(BTreeMap::new())) {
                Part::Whole => return,
                Part::Fields(inner) => fields = inner,
            }
        }
        fields.insert(last.clone(), Part::Whole);
    }
}

/// The variable with which a path begins and the fields that follow it by name; none if it begins
/// otherwise. The value that the last of them names is read whole.
fn leading_names(steps: &[Node]) -> Vec<String> {
    let mut names = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        match &step.kind {
            NodeKind::Variable { name } if index == 0 => names.push(name.clone()),
            NodeKind::Name { name } if index > 0 => names.push(name.clone()),
            _ => break,
        }
        if !is_plain(&step.attrs) {
            break;
        }
    }
    names
}

/// True when a step does nothing but name a value.
fn is_plain(attrs: &Attrs) -> bool {
    let Attrs {
        keep_array,
        cons_array,
        tuple,
        focus,
        index,
        stages,
        predicate,
        group,
        ancestor,
        ancestor_label,
        seeking_parent,
    } = attrs;
    !(*keep_array || *cons_array || *tuple)
        && focus.is_none()
        && index.is_none()
        && stages.is_empty()
        && predicate.is_empty()
        && group.is_none()
        && ancestor.is_none()
        && ancestor_label.is_none()
        && seeking_parent.is_empty()
}

fn looks_back(attrs: &Attrs) -> bool {
    attrs.tuple
        || attrs.ancestor.is_some()
        || attrs.ancestor_label.is_some()
        || !attrs.seeking_parent.is_empty()
}

impl Part {
    /// The part of this part's value that a field of it may be asked for; `None` if it is not read.
    pub(crate) fn field(&self, name: &str) -> Option<&Part> {
        match self {
            Self::Whole => Some(self),
            Self::Fields(fields) => fields.get(name),
        }
    }

    /// A copy of the part. What is no object is copied whole: a path leads through every item of an
    /// array.
    pub(crate) fn copy(&self, value: &Value) -> Value {
        match (self, value) {
            (Self::Fields(fields), Value::Object(object)) => fields
                .iter()
                .filter_map(|(name, part)| Some((name.clone(), part.copy(object.get(name)?))))
                .collect::<Map<_, _>>()
                .into(),
            _ => value.clone(),
        }
    }
}

/// What a path of fields leads to, exactly as JSONata would answer it, or `None` when it takes
/// JSONata to know: for a field that is missing, a path through an array, an array of fewer than two
/// items, and a number that JSONata would write differently.
pub(crate) fn follow(value: &Value, fields: &[String]) -> Option<Value> {
    let found = fields.iter().try_fold(value, |value, name| value.as_object()?.get(name))?;
    let unwrapped = found.as_array().is_some_and(|items| items.len() < 2);
    (!unwrapped && is_as_jsonata_writes_it(found)).then(|| found.clone())
}

fn is_as_jsonata_writes_it(value: &Value) -> bool {
    match value {
        Value::Number(number) => is_plain_number(number),
        Value::Array(items) => items.iter().all(is_as_jsonata_writes_it),
        Value::Object(fields) => fields.values().all(is_as_jsonata_writes_it),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// JSONata's numbers are floating: a whole one that is exact there is written without a fraction.
fn is_plain_number(number: &Number) -> bool {
    const EXACT_MAX: u64 = 1 << 53;
    match number.as_i64() {
        Some(whole) => whole.unsigned_abs() < EXACT_MAX,
        None => number.is_f64() && number.as_f64().is_some_and(|float| float.fract() != 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parts(source: &str) -> Parts {
        Parts::new(&jlens_core::parse(source).expect("an expression").root)
    }

    fn fields<const N: usize>(fields: [(&str, Part); N]) -> Part {
        Part::Fields(fields.map(|(name, part)| (name.to_owned(), part)).into())
    }

    #[test]
    fn paths_name_the_fields_that_they_read() {
        let read = parts("$plan.limits.verify_s * 1000 + $plan.home.lag[0].ms");

        let expected = fields([
            ("limits", fields([("verify_s", Part::Whole)])),
            ("home", fields([("lag", Part::Whole)])),
        ]);
        assert_eq!(read.of["plan"], expected);
        assert_eq!(read.path, None);
    }

    #[test]
    fn what_is_not_a_plain_path_reads_the_whole_variable() {
        for source in [
            "$lookup($plan, 'a')",
            "$plan[a = 1].b",
            "$plan.*",
            "$plan.a.(%.b)",
            "$plan.a & $string($plan)",
            "$plan.a@$x.b",
            "$plan#$i.a",
            "($p := $plan; $p.a)",
            "$plan{a: b}",
        ] {
            let read = parts(source);
            let whole = read.of["plan"] == Part::Whole
                || read.of["plan"] == fields([("a", Part::Whole)]) && source.contains(".a@");
            assert!(whole, "{source}: {read:?}");
        }
    }

    #[test]
    fn predicates_and_groups_read_their_own_variables() {
        let read = parts("$plan.a[b = $x.c].d{$y.e: $z.f}");

        let named: Vec<&str> = read.of.keys().map(String::as_str).collect();
        assert_eq!(named, ["plan", "x", "y", "z"]);
        assert_eq!(read.of["plan"], fields([("a", Part::Whole)]));
        assert_eq!(read.of["x"], fields([("c", Part::Whole)]));
    }

    #[test]
    fn copy_holds_what_is_read_and_nothing_else() {
        let value = json!({ "a": { "b": 1, "c": 2 }, "d": [{ "e": 3, "f": 4 }], "g": 5 });
        let part = fields([
            ("a", fields([("b", Part::Whole), ("missing", Part::Whole)])),
            ("d", fields([("e", Part::Whole)])),
        ]);

        let copy = part.copy(&value);

        assert_eq!(copy, json!({ "a": { "b": 1 }, "d": [{ "e": 3, "f": 4 }] }));
    }

    #[test]
    fn followed_path_answers_as_jsonata_does() {
        let values = [
            json!(null),
            json!(true),
            json!("text"),
            json!(""),
            json!(0),
            json!(-7),
            json!(1.5),
            json!(2.0),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(u64::MAX),
            json!(1e300),
            json!({}),
            json!({ "z": 1, "a": [], "m": [null, { "k": [1] }] }),
            json!([]),
            json!([1]),
            json!([[1, 2]]),
            json!([1, 2]),
            json!([[1, 2], [3]]),
            json!([[], []]),
        ];
        let mut followed = 0;
        for value in values {
            for source in ["$x", "$x.a", "$x.a.b"] {
                let path = parts(source).path.expect("a path");
                let variable = json!({ "a": { "b": value } });
                let Some(answer) = follow(&variable, &path[1..]) else { continue };
                followed += 1;
                let bindings = jlens_core::Bindings::new().var("x", variable.clone());
                let expression = jlens_core::Expression::compile(source).expect("an expression");
                let expected = expression.evaluate(None, &bindings).expect("a value");
                let (answer, expected) = (answer.to_string(), expected.map(|v| v.to_string()));
                assert_eq!(Some(answer), expected, "{source} of {variable}");
            }
        }
        assert!(followed > 30, "{followed}");
    }
}
