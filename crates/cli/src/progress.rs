//! What whoever watches a rehearsal sees: a live line on a terminal, plain lines elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::drill::News;
use crate::phases::PHASES;
use crate::text;

/// Shows the progress of one run.
pub struct Progress {
    shown: RefCell<Shown>,
    real_start: Instant,
}

struct Shown {
    /// Absent where nobody watches a terminal.
    bar: Option<ProgressBar>,
    phase: Option<(usize, i64)>,
    start_ms: Option<i64>,
}

impl Progress {
    /// A live line if standard output is a terminal, plain lines if not.
    pub fn new() -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::new(PHASES.len() as u64);
            let style = ProgressStyle::with_template("{spinner} [{bar:24}] {pos}/{len} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let shown = Shown { bar, phase: None, start_ms: None };
        Self { shown: RefCell::new(shown), real_start: Instant::now() }
    }

    /// Takes in what happened.
    pub fn tell(&self, news: &News<'_>) {
        let mut shown = self.shown.borrow_mut();
        match news {
            News::PhaseBegan(index, at_ms) => {
                shown.end_phase(*at_ms, self.real_start);
                shown.start_ms.get_or_insert(*at_ms);
                shown.phase = Some((*index, *at_ms));
                if let Some(bar) = &shown.bar {
                    bar.set_position(*index as u64);
                    bar.set_message(PHASES[*index].title);
                }
            }
            News::StateEntered(state, at_ms) => {
                if let (Some(bar), Some((index, _)), Some(start_ms)) =
                    (&shown.bar, shown.phase, shown.start_ms)
                {
                    let virtual_s = (at_ms - start_ms) as f64 / 1000.0;
                    let real = self.real_start.elapsed().as_secs_f64();
                    bar.set_message(format!(
                        "{} · {state} · virtual {} · real {real:.1}s",
                        PHASES[index].title,
                        text::duration(virtual_s)
                    ));
                    bar.tick();
                }
            }
            News::Table(table) => shown.print(&format!("\n{}", text::table(table))),
        }
    }

    /// Ends the last phase.
    pub fn finish(&self, at_ms: i64) {
        let mut shown = self.shown.borrow_mut();
        shown.end_phase(at_ms, self.real_start);
        if let Some(bar) = &shown.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Shown {
    fn end_phase(&mut self, at_ms: i64, real_start: Instant) {
        if let Some((index, began_ms)) = self.phase.take() {
            let virtual_s = (at_ms - began_ms) as f64 / 1000.0;
            let line = format!(
                "{:<32} virtual {:>10}   real {:>5.1}s",
                PHASES[index].title,
                text::duration(virtual_s),
                real_start.elapsed().as_secs_f64()
            );
            self.print(&line);
        }
    }

    fn print(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => println!("{text}"),
        }
    }
}
