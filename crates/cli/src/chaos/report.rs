//! What many runs came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::run::Done;

/// Violations that are shown with their trace.
const SHOWN_MAX: usize = 5;

/// What many runs came to.
#[derive(Debug, Default)]
pub struct Totals {
    runs: u64,
    executions: u64,
    looks: u64,
    gave_settings: u64,
    struck: BTreeMap<&'static str, u64>,
    first_ends: BTreeMap<String, u64>,
    last_ends: BTreeMap<String, u64>,
    /// Seeds of runs in which something was broken, and what.
    pub broken: Vec<Done>,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, done: Done) {
        self.runs += 1;
        self.executions += done.ends.len() as u64;
        self.looks += done.looks;
        self.gave_settings += u64::from(done.gave_settings);
        for (kind, times) in &done.struck {
            *self.struck.entry(kind).or_default() += times;
        }
        let count = |ends: &mut BTreeMap<String, u64>, end: Option<&String>| {
            if let Some(end) = end {
                *ends.entry(end.clone()).or_default() += 1;
            }
        };
        count(&mut self.first_ends, done.ends.first());
        count(&mut self.last_ends, done.ends.last());
        if !done.violations.is_empty() {
            self.broken.push(done);
        }
    }

    /// The report, but for what the clock on the wall says.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        line(format!("runs                    {}", self.runs));
        line(format!("executions              {}", self.executions));
        line(format!("looks at all invariants {}", self.looks));
        line(format!("settings given back     {} runs", self.gave_settings));
        for (title, counts) in [
            ("the first execution ended", &self.first_ends),
            ("the last execution ended", &self.last_ends),
        ] {
            line(format!("\n{title}"));
            by_count(counts).into_iter().for_each(&mut line);
        }
        line("\nfaults and interference that struck".to_owned());
        let struck = self.struck.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect();
        by_count(&struck).into_iter().for_each(&mut line);
        line(format!("\nviolations              {}", self.broken.len()));
        for done in self.broken.iter().take(SHOWN_MAX) {
            line(format!("\nseed {} (ended {})", done.seed, done.ends.join(", ")));
            for broken in &done.violations {
                line(format!("  BROKEN {}: {}", broken.invariant, broken.seen));
            }
            done.trace.iter().for_each(|traced| line(format!("  {traced}")));
            line(format!("  all of it: failback chaos --replay {}", done.seed));
        }
        for done in self.broken.iter().skip(SHOWN_MAX) {
            let rules: Vec<_> = done.violations.iter().map(|v| v.invariant).collect();
            line(format!("seed {}: {}", done.seed, rules.join(", ")));
        }
        out
    }

    /// Runs a second.
    pub fn speed(&self, took: Duration) -> String {
        let rate = self.runs as f64 / took.as_secs_f64().max(0.001);
        format!("runs a second           {rate:.1} ({:.1} s)", took.as_secs_f64())
    }
}

fn by_count(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), (*name).clone()));
    sorted.into_iter().map(|(name, n)| format!("  {n:>6}  {name}")).collect()
}
