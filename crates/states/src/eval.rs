//! JSONata behind a small trait, so that the engine behind it can be exchanged.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jlens_core::{Bindings, Expression, Options};
use serde_json::{Map, Value};

use crate::functions;
use crate::reads;

/// What a JSONata expression may see while it is evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `$states.input`.
    pub input: &'a Value,
    /// Makes `$states.context`, which few expressions read.
    pub context: &'a dyn Fn() -> Value,
    /// `result` or `errorOutput` and its value, where `$states` has one.
    pub extra: Option<(&'a str, &'a Value)>,
    /// The variables assigned so far, by name without `$`.
    pub variables: &'a Map<String, Value>,
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
pub struct Jlens {
    compiled: RefCell<BTreeMap<String, Rc<Compiled>>>,
}

struct Compiled {
    expression: Expression,
    facts: Facts,
}

/// A bound on one evaluation, so that an expression that never ends fails instead.
const STEPS_MAX: u64 = 20_000_000;

impl Jlens {
    /// An evaluator that has compiled nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn compiled(&self, source: &str) -> Result<Rc<Compiled>, String> {
        if let Some(compiled) = self.compiled.borrow().get(source) {
            return Ok(Rc::clone(compiled));
        }
        let compiled = Rc::new(Compiled::new(source)?);
        self.compiled.borrow_mut().insert(source.to_owned(), Rc::clone(&compiled));
        Ok(compiled)
    }
}

impl Compiled {
    fn new(source: &str) -> Result<Self, String> {
        let expression = Expression::compile(source).map_err(|error| error.message())?;
        let facts = reads::facts(expression.ast());
        Ok(Self { expression, facts })
    }

    /// Adds what the expression may read of its scope: values are copied, most are not read.
    ///
    /// jlens itself can tell which parts of a value are read, but misses some: of
    /// `($n := $n + 1; $n)` it says that nothing is.
    fn bind(&self, mut bindings: Bindings, scope: Scope<'_>) -> Bindings {
        for name in &self.facts.names {
            if name == "states" {
                bindings = bindings.var(name, self.states(scope));
            } else if let Some(value) = scope.variables.get(name) {
                bindings = bindings.var(name, value.clone());
            }
        }
        bindings
    }

    fn states(&self, scope: Scope<'_>) -> Value {
        let mut states = Map::new();
        let mut put = |name: &str, make: &dyn Fn() -> Value| {
            if self.facts.reads_whole_states || self.facts.states_fields.contains(name) {
                states.insert(name.to_owned(), make());
            }
        };
        put("input", &|| scope.input.clone());
        put("context", scope.context);
        if let Some((name, value)) = scope.extra {
            put(name, &|| value.clone());
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
        let compiled = self.compiled(source)?;
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
