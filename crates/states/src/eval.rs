//! JSONata behind a small trait, so that the engine behind it can be exchanged.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jlens_core::{Bindings, Expression, Options};
use serde_json::{Map, Value};

use crate::functions;
use crate::reads;

/// What a JSONata expression may see while it is evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The reserved variable `$states`.
    pub states: &'a Value,
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
    compiled: RefCell<BTreeMap<String, Compiled>>,
}

#[derive(Clone)]
struct Compiled {
    expression: Expression,
    random: bool,
}

/// A bound on one evaluation, so that an expression that never ends fails instead.
const STEPS_MAX: u64 = 20_000_000;

impl Jlens {
    /// An evaluator that has compiled nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn compiled(&self, source: &str) -> Result<Compiled, String> {
        if let Some(compiled) = self.compiled.borrow().get(source) {
            return Ok(compiled.clone());
        }
        let expression = Expression::compile(source).map_err(|error| error.message())?;
        let random = reads::facts(expression.ast()).random;
        let compiled = Compiled { expression, random };
        self.compiled.borrow_mut().insert(source.to_owned(), compiled.clone());
        Ok(compiled)
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
        let mut bindings = functions::bind(Bindings::new());
        if compiled.random {
            let seed = seed();
            options = options.seed(seed);
            bindings = functions::bind_random(bindings, seed);
        }
        // Variables last: one that has the name of a function stands for itself.
        for (name, value) in scope.variables {
            bindings = bindings.var(name, value.clone());
        }
        bindings = bindings.var("states", scope.states.clone());
        compiled
            .expression
            .evaluate_with(None, &bindings, &options)
            .map_err(|error| error.message())
    }
}
