//! The command `failback bench`: how fast whole rehearsals run, and where the time goes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::drill::{CannotBegin, Drill, Setup};
use crate::rehearse::BAD_USAGE;

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
    for seed in (arguments.seed..).take(arguments.runs as usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|e| format!("the runtime cannot be built: {e}"))?;
        runtime.block_on(one(seed, &mut totals)).map_err(|e| e.to_string())?;
    }
    Ok(totals)
}

async fn one(seed: u64, totals: &mut Totals) -> Result<(), CannotBegin> {
    let setup = Setup::workshop(seed);
    let began = Instant::now();
    let drill = Drill::new(&setup)?;
    let ended = drill.run("bench", setup.input.clone()).await?;
    totals.whole += began.elapsed();
    let held = crate::report::invariants(&drill.sandbox, &ended, &setup.world);
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
    let whole = totals.whole.as_secs_f64();
    let part = |time: Duration| 100.0 * time.as_secs_f64() / whole;
    let sdk = totals.functions.saturating_sub(totals.sandbox);
    let rest = totals.whole.saturating_sub(totals.functions);
    println!("rehearsals              {} ({} ended badly)", totals.runs, totals.failed);
    println!("rehearsals a second     {:.1} on one core", f64::from(totals.runs) / whole);
    println!("transitions a second    {:.0}", totals.transitions as f64 / whole);
    println!("API calls a second      {:.0}", totals.calls as f64 / whole);
    println!("time in functions, SDK  {:.0} %", part(sdk));
    println!("time in the sandbox     {:.0} %", part(totals.sandbox));
    println!("time in the interpreter {:.0} % (with set-up)", part(rest));
}
