//! The command `failback bench`: how fast whole rehearsals run, and where the time goes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::drill::{CannotBegin, Drill, Setup};
use crate::rehearse::BAD_USAGE;
use crate::stopwatch::thread_cpu_time;

/// What `failback bench` is told.
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// How many rehearsals to run, one after another, each with its own seed.
    #[arg(long, default_value_t = 100)]
    runs: u32,
    /// The seed of the first.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the runs came to.
#[derive(Debug, Default)]
struct Totals {
    runs: u32,
    failed: u32,
    transitions: u64,
    calls: u64,
    /// CPU time, where the system tells it: what a core can do.
    used: Option<Duration>,
    /// The rest is by the clock on the wall. Other programs stretch it, but all of it alike.
    whole: Duration,
    functions: Duration,
    sandbox: Duration,
}

/// Runs the benchmark and prints it; exit code 1 if a run did not end well.
pub fn main(arguments: &Bench) -> ExitCode {
    match run(arguments) {
        Ok(totals) => {
            print(&totals);
            if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("failback: {problem}");
            ExitCode::from(BAD_USAGE)
        }
    }
}

fn run(arguments: &Bench) -> Result<Totals, String> {
    let mut totals = Totals::default();
    let used = thread_cpu_time();
    for seed in (arguments.seed..).take(arguments.runs as usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|e| format!("the runtime cannot be built: {e}"))?;
        runtime.block_on(one(seed, &mut totals)).map_err(|e| e.to_string())?;
    }
    totals.used = thread_cpu_time().zip(used).map(|(now, then)| now.saturating_sub(then));
    Ok(totals)
}

async fn one(seed: u64, totals: &mut Totals) -> Result<(), CannotBegin> {
    let setup = Setup::workshop(seed);
    let began = Instant::now();
    let drill = Drill::new(&setup)?;
    let ended = drill.run("bench", setup.input.clone()).await?;
    let held = crate::report::invariants(&drill.sandbox, &ended, &setup.world);
    totals.whole += began.elapsed();
    let good = ended.outcome.output.is_some() && held.iter().all(|i| i.held);
    totals.runs += 1;
    totals.failed += u32::from(!good);
    totals.transitions += drill.transitions();
    totals.calls += drill.sandbox.calls().len() as u64;
    totals.functions += drill.time_in_functions();
    totals.sandbox += drill.time_in_sandbox();
    Ok(())
}

fn print(totals: &Totals) {
    let runs = f64::from(totals.runs);
    let used = totals.used.unwrap_or(totals.whole).as_secs_f64();
    let clock = if totals.used.is_some() { "CPU time" } else { "the clock on the wall" };
    let part = |time: Duration| {
        let share = time.as_secs_f64() / totals.whole.as_secs_f64();
        format!("{:.1} ms ({:.0} %)", 1_000.0 * share * used / runs, 100.0 * share)
    };
    let sdk = totals.functions.saturating_sub(totals.sandbox);
    let rest = totals.whole.saturating_sub(totals.functions);
    println!("rehearsals               {} ({} ended badly)", totals.runs, totals.failed);
    println!("rehearsals a second      {:.1} on one core, by {clock}", runs / used);
    println!("of each rehearsal");
    println!("  state transitions      {:.0}", totals.transitions as f64 / runs);
    println!("  API calls              {:.0}", totals.calls as f64 / runs);
    println!("  functions and SDK      {}", part(sdk));
    println!("  sandbox                {}", part(totals.sandbox));
    println!("  interpreter, clients   {} with set-up and checks", part(rest));
}
