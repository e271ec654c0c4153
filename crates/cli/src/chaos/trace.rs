//! What happened in a run, in its order.

use std::cell::RefCell;

/// Lines of a run; kept only when somebody wants to read them.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<RefCell<Vec<String>>>,
}

impl Trace {
    /// One that is kept, or one that costs nothing.
    pub fn new(kept: bool) -> Self {
        Self { lines: kept.then(RefCell::default) }
    }

    /// Notes what happened at a moment, in milliseconds since the run began.
    pub fn note(&self, at_ms: i64, kind: &str, text: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            let line = format!("{} {kind:<12} {}", clock(at_ms), text());
            lines.borrow_mut().push(line);
        }
    }

    /// The lines.
    pub fn lines(&self) -> Vec<String> {
        self.lines.as_ref().map(|lines| lines.borrow().clone()).unwrap_or_default()
    }
}

/// `1:02:03.004`.
pub fn clock(ms: i64) -> String {
    let (s, ms) = (ms.div_euclid(1000), ms.rem_euclid(1000));
    format!("{}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}
