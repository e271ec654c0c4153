//! The command `failback chaos`: random worlds, random faults, random interference, and the same
//! invariants after every state of all of them.

pub mod faults;
pub mod interference;
pub mod invariants;
pub mod names;
mod repair;
pub mod report;
pub mod run;
pub mod sabotage;
pub mod trace;
pub mod worlds;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use report::Totals;
use run::Done;
use sabotage::{SAFEGUARDS, Safeguard};

use crate::rehearse::BAD_USAGE;

/// What `failback chaos` is told.
#[derive(Debug, clap::Args)]
pub struct Chaos {
    /// How many runs.
    #[arg(long, default_value_t = 100)]
    runs: u64,
    /// Decides every run's own seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Run one run again by its own seed, and print all that happened.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["runs", "jobs"])]
    replay: Option<u64>,
    /// Switch a safeguard off, in the rehearsed copy only, and see that it is missed.
    #[arg(long, value_name = "SAFEGUARD")]
    without: Option<Safeguard>,
    /// Switch each safeguard off in turn until a run breaks an invariant, and print the table.
    #[arg(long, conflicts_with_all = ["replay", "without"])]
    safeguards: bool,
}

/// Runs chaos; answers the exit code that `--help` promises.
pub fn main(arguments: &Chaos) -> ExitCode {
    let result = match (arguments.replay, arguments.safeguards) {
        (Some(seed), _) => replay(seed, arguments.without),
        (None, true) => safeguards(arguments),
        (None, false) => many(arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("failback: {problem}");
            ExitCode::from(BAD_USAGE)
        }
    }
}

/// The seed of run `index` of those that `seed` decides.
pub fn seed_of(seed: u64, index: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index);
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    // Short enough to be read out.
    (x ^ (x >> 31)) >> 24
}

/// One run, all of it as text: the same bytes whenever it is run.
///
/// # Errors
/// A defect of the harness.
pub fn replayed(seed: u64, without: Option<Safeguard>) -> Result<(String, bool), String> {
    let done = run::one(seed, without, true)?;
    let good = done.violations.is_empty();
    let mut text = format!("seed {seed}\n");
    for line in &done.trace {
        text.push_str(line);
        text.push('\n');
    }
    for broken in &done.violations {
        text.push_str(&format!("BROKEN {}: {}\n", broken.invariant, broken.seen));
    }
    text.push_str(&format!("ended {}\n", done.ends.join(", ")));
    text.push_str(&format!("looks {}, violations {}\n", done.looks, done.violations.len()));
    Ok((text, good))
}

fn replay(seed: u64, without: Option<Safeguard>) -> Result<bool, String> {
    let (text, good) = replayed(seed, without)?;
    print!("{text}");
    Ok(good)
}

fn many(arguments: &Chaos) -> Result<bool, String> {
    let began = Instant::now();
    println!("seed {}", arguments.seed);
    let all = all_of(arguments, arguments.without, |_| false)?;
    let mut totals = Totals::default();
    all.into_iter().for_each(|done| totals.add(done));
    for done in totals.broken.iter_mut().take(5) {
        let traced = run::one(done.seed, arguments.without, true)?;
        done.trace = tail(traced.trace);
    }
    print!("{}", totals.text());
    println!("{}", totals.speed(began.elapsed()));
    Ok(totals.broken.is_empty())
}

/// What led to the first violation, without the hundreds of states before.
fn tail(mut trace: Vec<String>) -> Vec<String> {
    const LINES: usize = 40;
    if let Some(broken) = trace.iter().position(|line| line.contains(" BROKEN ")) {
        trace.truncate(broken + 1);
    }
    let first: Vec<String> =
        trace.iter().filter(|l| !l.contains(" state ")).take(12).cloned().collect();
    let last = trace.split_off(trace.len().saturating_sub(LINES));
    if trace.is_empty() {
        last
    } else {
        first.into_iter().chain(["…".to_owned()]).chain(last).collect()
    }
}

/// Runs all seeds on `jobs` threads, in an order of results that does not depend on them. Stops
/// early when a run is what was looked for; then later ones may be missing.
fn all_of(
    arguments: &Chaos,
    without: Option<Safeguard>,
    found: impl Fn(&Done) -> bool + Sync,
) -> Result<Vec<Done>, String> {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let results: Mutex<Vec<(u64, Result<Done, String>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= arguments.runs {
                        break;
                    }
                    let done = run::one(seed_of(arguments.seed, index), without, false);
                    if done.as_ref().map_or(true, &found) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    let mut results = results.lock().unwrap_or_else(|e| e.into_inner());
                    results.push((index, done));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, done)| done).collect()
}

/// One row of the table of safeguards.
fn safeguards(arguments: &Chaos) -> Result<bool, String> {
    let mut all_found = true;
    println!("| safeguard | what is broken | violation | seed | runs |");
    println!("|---|---|---|---|---|");
    for safeguard in SAFEGUARDS {
        let runs = all_of(arguments, Some(safeguard), |done| !done.violations.is_empty())?;
        let found = runs.iter().enumerate().find(|(_, done)| !done.violations.is_empty());
        let (name, how) = (safeguard.name(), safeguard.how());
        match found {
            Some((index, done)) => {
                let broken = &done.violations[0];
                let (rule, seen) = (broken.invariant, &broken.seen);
                println!("| {name} | {how} | {rule}: {seen} | {} | {} |", done.seed, index + 1);
            }
            None => {
                all_found = false;
                println!("| {name} | {how} | none | – | {} |", runs.len());
            }
        }
    }
    Ok(all_found)
}
