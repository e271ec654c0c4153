//! The command `failback bench`: how fast whole rehearsals run, and where the time goes.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use failback::{Aws, Stack};
use failback_sandbox::client::in_http;
use failback_sandbox::{Outcome, Sandbox};

use crate::drill::{CannotBegin, Drill, EPOCH_MS, Setup, in_virtual_time, sdk_config};
use crate::rehearse::BAD_USAGE;
use crate::stopwatch::{thread_cpu_time, thread_cpu_time_since};

/// The call that a rehearsal makes most often, and how often it is measured by itself.
const LOOK: &[u8] = b"Action=DescribeDBClusters&Version=2014-10-31";
const LOOKS: u32 = 2_000;

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
    match run(arguments).and_then(|totals| Ok((totals, sdk_alone(arguments.seed)?))) {
        Ok((totals, look)) => {
            print(&totals, look);
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
        in_virtual_time(one(seed, &mut totals))?.map_err(|e| e.to_string())?;
    }
    totals.used = thread_cpu_time_since(used);
    Ok(totals)
}

/// A connection over which the same answer is there before the request was read.
#[derive(Debug, Clone)]
struct Ready(Outcome);

impl HttpConnector for Ready {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(in_http(self.0.clone()))
    }
}

/// What one `DescribeDBClusters` costs the SDK and nobody else: no sandbox answers, no function asks.
fn sdk_alone(seed: u64) -> Result<Duration, String> {
    let Setup { world, seed, .. } = Setup::workshop(seed);
    let region = world.regions.first().map(|region| region.name.clone()).unwrap_or_default();
    let sandbox = Sandbox::new(&world, seed, Arc::new(|| EPOCH_MS)).map_err(|e| e.to_string())?;
    let scope = format!("AWS4-HMAC-SHA256 Credential=AK/20260105/{region}/rds/aws4_request");
    let headers = [
        ("authorization".to_owned(), scope),
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
    ];
    let ready = Ready(sandbox.handle("POST", "/", headers, LOOK.to_vec()));
    let client = http_client_fn(move |_, _| SharedHttpConnector::new(ready.clone()));
    let rds = Aws::new(sdk_config(client), Stack::default()).rds(&region);
    let looks = async {
        for _ in 0..LOOKS {
            let seen = rds.describe_db_clusters().send().await.map_err(|e| e.to_string())?;
            if seen.db_clusters().is_empty() {
                return Err(format!("the workshop has no cluster in {region}"));
            }
        }
        Ok(())
    };
    let (used, began) = (thread_cpu_time(), Instant::now());
    in_virtual_time(looks)??;
    Ok(thread_cpu_time_since(used).unwrap_or_else(|| began.elapsed()) / LOOKS)
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

fn print(totals: &Totals, look: Duration) {
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
    let calls = totals.calls as f64 / runs;
    let look_ms = 1_000.0 * look.as_secs_f64();
    println!("the SDK by itself, its answer ready");
    println!("  DescribeDBClusters     {:.0} µs", 1_000.0 * look_ms);
    println!("  {calls:.0} of them            {:.1} ms", calls * look_ms);
}
