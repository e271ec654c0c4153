//! Inputs, outputs and results: a value with its JSON text.

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::Value;

use crate::failure::{DATA_LIMIT_EXCEEDED, Failure};

/// AWS's bound on any input, output or result, in bytes of JSON.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 262_144;

/// A value that passes from state to state.
///
/// Cheap to clone. The text is made once, when somebody reads it: the history shows it at every
/// step, and of most histories nobody reads most events.
#[derive(Debug, Clone)]
pub(crate) struct Payload(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    value: Value,
    text: OnceCell<String>,
}

impl Payload {
    pub(crate) fn new(value: Value) -> Self {
        Self(Rc::new(Inner { value, text: OnceCell::new() }))
    }

    pub(crate) fn value(&self) -> &Value {
        &self.0.value
    }

    /// The value as JSON.
    pub(crate) fn text(&self) -> &str {
        self.0.text.get_or_init(|| self.0.value.to_string())
    }

    /// The value, copied only when it is still used elsewhere.
    pub(crate) fn into_value(self) -> Value {
        Rc::try_unwrap(self.0).map_or_else(|shared| shared.value.clone(), |inner| inner.value)
    }

    /// The bytes that are too many for AWS, if they are.
    pub(crate) fn oversize(&self) -> Option<usize> {
        let is_small = fits(self.value(), &mut PAYLOAD_BYTES_MAX.clone());
        let bytes = if is_small { 0 } else { self.text().len() };
        (bytes > PAYLOAD_BYTES_MAX).then_some(bytes)
    }

    /// Refuses what AWS would not carry. `what` begins the sentence of the cause.
    pub(crate) fn within_limit(self, what: impl FnOnce() -> String) -> Result<Self, Failure> {
        if self.oversize().is_none() {
            return Ok(self);
        }
        let cause =
            format!("{} with a size exceeding the maximum number of bytes service limit.", what());
        Err(Failure::new(DATA_LIMIT_EXCEEDED, cause))
    }
}

/// Whether the text of a value has at most `room` bytes whatever has to be escaped in it; takes off
/// what it may need.
fn fits(value: &Value, room: &mut usize) -> bool {
    // The longest escape is `\u001f`; the rest is quotes, a colon, a comma and a bracket.
    const ESCAPED: usize = 6;
    const AROUND: usize = 8;
    const NUMBER: usize = 32;
    let mut take = |bytes: usize| {
        let left = room.checked_sub(bytes);
        *room = left.unwrap_or(0);
        left.is_some()
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => take(NUMBER),
        Value::String(text) => take(ESCAPED * text.len() + AROUND),
        Value::Array(items) => take(AROUND) && items.iter().all(|item| fits(item, room)),
        Value::Object(fields) => {
            take(AROUND)
                && fields.iter().all(|(name, value)| {
                    let name = room.checked_sub(ESCAPED * name.len() + AROUND);
                    *room = name.unwrap_or(0);
                    name.is_some() && fits(value, room)
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_to_fit_fits_however_it_is_escaped() {
        let worst = "\u{1f}";
        for items in [1, 100, 5_000, 7_000, 40_000, 50_000] {
            let value = Value::from(vec![worst; items]);
            let payload = Payload::new(value);
            let bytes = payload.text().len();
            assert_eq!(payload.oversize(), (bytes > PAYLOAD_BYTES_MAX).then_some(bytes), "{items}");
        }
    }

    #[test]
    fn payload_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let text_of = |bytes: usize| Value::from("x".repeat(bytes - 2));

        assert_eq!(Payload::new(text_of(PAYLOAD_BYTES_MAX)).oversize(), None);
        let over = PAYLOAD_BYTES_MAX + 1;
        assert_eq!(Payload::new(text_of(over)).oversize(), Some(over));
    }
}
