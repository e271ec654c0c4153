//! JSONata behind a small trait, so that the engine behind it can be exchanged.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use jlens_core::{Bindings, Expression, Options};
use serde_json::{Map, Value};

use crate::functions;
use crate::parts::{Part, Parts, follow};
use crate::reads;

/// What a JSONata expression may see while it is evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `$states.input`.
    pub input: &'a Value,
    /// Makes `$states.context`, with or without the execution's input in it, which may be large
    /// and is hardly ever read there.
    pub context: &'a dyn Fn(bool) -> Value,
    /// `result` or `errorOutput` and its value, where `$states` has one.
    pub extra: Option<(&'a str, &'a Value)>,
    /// The variables assigned so far, by name without `$`.
    pub variables: &'a dyn Fn(&str) -> Option<&'a Value>,
    /// What `$now()` and `$millis()` answer: the same throughout one evaluation.
    pub now_ms: i64,
}

/// What an expression uses, found without evaluating it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The variables it reads that are neither its own nor functions, without `$`.
    pub variables: BTreeSet<String>,
    /// The fields it reads of `$states`, such as `input`.
    pub states_fields: BTreeSet<String>,
    /// Whether it may read further fields of `$states`, which it does not name.
    pub reads_whole_states: bool,
    /// Every variable and function that it names, its own included, without `$`.
    pub names: BTreeSet<String>,
    /// Whether its value depends on the random numbers.
    pub random: bool,
    /// What the Amazon States Language forbids in it, as sentences.
    pub refusals: Vec<String>,
}

/// An implementation of JSONata with the functions that the Amazon States Language adds.
pub trait Evaluator {
    /// Says what `source` (an expression without its `{% %}`) uses, or why it is no expression.
    fn analyse(&self, source: &str) -> Result<Facts, String>;

    /// The value of `source`, `None` if it is undefined, or why it has none.
    ///
    /// `seed` is asked for only when the expression uses random numbers.
    fn evaluate(
        &self,
        source: &str,
        scope: Scope<'_>,
        seed: &mut dyn FnMut() -> u64,
    ) -> Result<Option<Value>, String>;
}

/// The evaluator in use: `jlens-core`.
#[derive(Default)]
pub struct Jlens(());

struct Compiled {
    expression: Expression,
    facts: Facts,
    parts: Parts,
}

thread_local! {
    /// Compiled once for all evaluators of a thread: many engines run the same definitions.
    static COMPILED: RefCell<HashMap<String, Rc<Compiled>>> = RefCell::default();
}

/// How many expressions are remembered before all are forgotten: some fifty machines' worth.
const COMPILED_MAX: usize = 10_000;

/// A bound on one evaluation, so that an expression that never ends fails instead.
const STEPS_MAX: u64 = 20_000_000;

impl Jlens {
    /// An evaluator.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Compiled {
    /// The compiled expression, by its source.
    fn of(source: &str) -> Result<Rc<Self>, String> {
        COMPILED.with_borrow_mut(|known| {
            if let Some(compiled) = known.get(source) {
                return Ok(Rc::clone(compiled));
            }
            let compiled = Rc::new(Self::new(source)?);
            if known.len() >= COMPILED_MAX {
                known.clear();
            }
            known.insert(source.to_owned(), Rc::clone(&compiled));
            Ok(compiled)
        })
    }

    fn new(source: &str) -> Result<Self, String> {
        let expression = Expression::compile(source).map_err(|error| error.message())?;
        let facts = reads::facts(expression.ast());
        let parts = Parts::new(&expression.ast().root);
        Ok(Self { expression, facts, parts })
    }

    /// The value of an expression that only names one; `None` if it takes more than to look it up.
    fn looked_up(&self, scope: Scope<'_>) -> Option<Value> {
        let (variable, fields) = self.parts.path.as_deref()?.split_first()?;
        if variable != "states" {
            return follow((scope.variables)(variable)?, fields);
        }
        let (field, fields) = fields.split_first()?;
        match (field.as_str(), scope.extra) {
            ("input", _) => follow(scope.input, fields),
            (name, Some((extra, value))) if name == extra => follow(value, fields),
            _ => None,
        }
    }

    /// Adds what the expression may read of its scope, and no more: values are copied.
    ///
    /// jlens itself can tell which parts of a value are read, but misses some: of
    /// `($n := $n + 1; $n)` it says that nothing is.
    fn bind(&self, mut bindings: Bindings, scope: Scope<'_>) -> Bindings {
        for name in &self.facts.names {
            let part = self.parts.of.get(name).unwrap_or(&Part::Whole);
            if name == "states" {
                bindings = bindings.var(name, self.states(part, scope));
            } else if let Some(value) = (scope.variables)(name) {
                bindings = bindings.var(name, part.copy(value));
            }
        }
        bindings
    }

    fn states(&self, part: &Part, scope: Scope<'_>) -> Value {
        let mut states = Map::new();
        let mut put = |name: &str, copy: &dyn Fn(&Part) -> Value| {
            if self.facts.reads_whole_states || self.facts.states_fields.contains(name) {
                states.insert(name.to_owned(), copy(part.field(name).unwrap_or(&Part::Whole)));
            }
        };
        put("input", &|part| part.copy(scope.input));
        put("context", &|part| {
            let execution = part.field("Execution");
            (scope.context)(execution.is_some_and(|e| e.field("Input").is_some()))
        });
        if let Some((name, value)) = scope.extra {
            put(name, &|part| part.copy(value));
        }
        states.into()
    }
}

impl Evaluator for Jlens {
    fn analyse(&self, source: &str) -> Result<Facts, String> {
        let ast = jlens_core::parse(source).map_err(|error| error.message())?;
        Ok(reads::facts(&ast))
    }

    fn evaluate(
        &self,
        source: &str,
        scope: Scope<'_>,
        seed: &mut dyn FnMut() -> u64,
    ) -> Result<Option<Value>, String> {
        let compiled = Compiled::of(source)?;
        if let Some(value) = compiled.looked_up(scope) {
            return Ok(Some(value));
        }
        let mut options = Options::new().now(scope.now_ms).max_steps(STEPS_MAX);
        let mut bindings = functions::pure();
        if compiled.facts.random {
            let seed = seed();
            options = options.seed(seed);
            bindings = functions::bind_random(bindings, seed);
        }
        // The scope last: a variable that has the name of a function stands for itself.
        let bindings = compiled.bind(bindings, scope);
        compiled
            .expression
            .evaluate_with(None, &bindings, &options)
            .map_err(|error| error.message())
    }
}
