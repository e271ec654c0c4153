//! Inputs, outputs and results: a value with its JSON text.

use std::rc::Rc;

use serde_json::Value;

use crate::failure::{DATA_LIMIT_EXCEEDED, Failure};

/// AWS's bound on any input, output or result, in bytes of JSON.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 262_144;

/// A value that passes from state to state.
///
/// Cheap to clone. The text is made once: the history and the data limit ask for it at every
/// step, most of which pass a value on unchanged.
#[derive(Debug, Clone)]
pub(crate) struct Payload(Rc<(Value, String)>);

impl Payload {
    pub(crate) fn new(value: Value) -> Self {
        let text = value.to_string();
        Self(Rc::new((value, text)))
    }

    pub(crate) fn value(&self) -> &Value {
        &self.0.0
    }

    /// The value as JSON.
    pub(crate) fn text(&self) -> &str {
        &self.0.1
    }

    /// The value, copied only when it is still used elsewhere.
    pub(crate) fn into_value(self) -> Value {
        Rc::try_unwrap(self.0).map_or_else(|shared| shared.0.clone(), |(value, _)| value)
    }

    /// Refuses what AWS would not carry. `what` begins the sentence of the cause.
    pub(crate) fn within_limit(self, what: impl FnOnce() -> String) -> Result<Self, Failure> {
        if self.text().len() <= PAYLOAD_BYTES_MAX {
            return Ok(self);
        }
        let cause =
            format!("{} with a size exceeding the maximum number of bytes service limit.", what());
        Err(Failure::new(DATA_LIMIT_EXCEEDED, cause))
    }
}
