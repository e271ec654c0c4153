//! Measures how a function starts: the artefact on a Runtime API and on a sandbox of its own, both
//! on loopback, beside a minimal function and beside one of the same duty in Python.
//!
//! `tests/cold-start/run` builds and installs what is measured and calls this.

#[path = "../../../tests/suite/support/http.rs"]
mod http;
#[path = "../../../tests/suite/support/runtime_api.rs"]
mod runtime_api;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use failback_sandbox::{Sandbox, WorldSpec};
use runtime_api::{Told, aws, program, runtime_api};
use serde_json::{Value, json};

const HOME: &str = "us-east-1";
const CLUSTER: &str = "gdb1-cluster";
/// Invocations of a process that is warm.
const WARM: usize = 10;
/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The certificates of authorities that this machine trusts.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What a start may cost.
const ZIP_MB_MAX: f64 = 5.0;
const MEMORY_MIB_MAX: f64 = 16.0;
const OF_MINIMAL_MAX: f64 = 2.5;
const OF_PYTHON_MAX: f64 = 0.05;

/// Measures how the functions' binary starts.
#[derive(Parser)]
struct Args {
    /// The functions' binary.
    bootstrap: PathBuf,
    /// The minimal function's binary.
    minimal: PathBuf,
    /// A Python that has awslambdaric and boto3.
    python: PathBuf,
    /// Starts of each.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Fail where a time is over its bar, too; on a busy machine it says nothing.
    #[arg(long)]
    hold_times: bool,
}

/// Something that starts.
struct Subject {
    name: &'static str,
    command: Vec<PathBuf>,
    handler: &'static str,
    event: Value,
    /// Calls of AWS that an answer takes.
    calls: usize,
}

/// What one start took.
#[derive(Clone, Copy)]
struct Start {
    ready_ms: f64,
    first_ms: f64,
    warm_ms: f64,
    memory_mib: f64,
}

impl Start {
    fn sum_ms(&self) -> f64 {
        self.ready_ms + self.first_ms
    }
}

fn main() {
    let args = Args::parse();
    let sandbox = sandbox();
    let aws = aws(sandbox.clone());
    let subjects = subjects(&args, &sandbox);
    let mut starts: Vec<Vec<Start>> = subjects.iter().map(|_| Vec::new()).collect();
    for run in 0..=args.runs {
        for (subject, starts) in subjects.iter().zip(&mut starts) {
            let start = start(subject, aws, &sandbox);
            // The first reads everything from the disk.
            if run > 0 {
                starts.push(start);
            }
        }
    }
    let medians: Vec<Start> = starts.iter().map(|starts| median_of(starts)).collect();
    let sizes = [size(&args, &args.bootstrap), size(&args, &args.minimal)];
    report(&args, &subjects, &medians, sizes);
}

fn subjects(args: &Args, sandbox: &Sandbox) -> [Subject; 3] {
    let look = sandbox.with_world(|world| {
        let cluster = &world.rds.regions[HOME].clusters[CLUSTER];
        json!({
            "cluster": { "region": HOME, "cluster_id": CLUSTER, "arn": cluster.arn },
            "cluster_resource_id": cluster.resource_id,
            "enabled": cluster.settings.deletion_protection,
        })
    });
    let python = ["-m", "awslambdaric", "handler.handler"].map(PathBuf::from);
    [
        Subject {
            name: "failback",
            command: vec![args.bootstrap.clone()],
            handler: "set_deletion_protection",
            event: look.clone(),
            calls: 1,
        },
        Subject {
            name: "minimal",
            command: vec![args.minimal.clone()],
            handler: "minimal",
            event: json!({}),
            calls: 0,
        },
        Subject {
            name: "Python",
            command: [args.python.clone()].into_iter().chain(python).collect(),
            handler: "handler.handler",
            event: look,
            calls: 1,
        },
    ]
}

fn sandbox() -> Sandbox {
    let now_ms = Arc::new(|| 1_767_582_000_000);
    Sandbox::new(&WorldSpec::workshop(), 7, now_ms).expect("the shipped world")
}

/// Starts a subject, has it answer once and then until it is warm.
fn start(subject: &Subject, aws: SocketAddr, sandbox: &Sandbox) -> Start {
    let (tell, told) = channel();
    let runtime = runtime_api(&subject.event, 1 + WARM, tell);
    let before = sandbox.calls_made();
    let began = Instant::now();
    let mut child = spawn(subject, runtime, aws);
    let ms = |from: Instant, to: Instant| (to - from).as_secs_f64() * 1000.0;

    let ready = next(&told);
    let first = answer(subject, &told);
    let mut warm: Vec<f64> = (0..WARM)
        .map(|_| {
            let given = next(&told);
            ms(given, answer(subject, &told))
        })
        .collect();
    let memory_mib = memory_mib(&child);
    child.kill().expect("it runs");
    child.wait().expect("it was killed");

    let calls = sandbox.calls_after(before);
    assert_eq!(calls.len(), subject.calls * (1 + WARM), "{}: calls of AWS", subject.name);
    assert!(calls.iter().all(|c| c.operation == "DescribeDBClusters"), "{}", subject.name);
    Start {
        ready_ms: ms(began, ready),
        first_ms: ms(ready, first),
        warm_ms: median(&mut warm),
        memory_mib,
    }
}

fn spawn(subject: &Subject, runtime: SocketAddr, aws: SocketAddr) -> Child {
    program(&subject.command[0], subject.handler, runtime, aws)
        .args(&subject.command[1..])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cold-start"))
        // One bundle, as in Lambda; Debian keeps every certificate in a file of its own beside it.
        .env("SSL_CERT_FILE", BUNDLE)
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", subject.command[0].display()))
}

fn next(told: &Receiver<Told>) -> Instant {
    match told.recv_timeout(PATIENCE) {
        Ok(Told::Asked(at)) => at,
        Ok(Told::Said(_, path, body)) => panic!("{path} {body} before an event"),
        Err(_) => panic!("it does not ask for an event"),
    }
}

fn answer(subject: &Subject, told: &Receiver<Told>) -> Instant {
    match told.recv_timeout(PATIENCE) {
        Ok(Told::Said(at, path, body)) => {
            let good = path == "response" && body["state"] == "DONE";
            assert!(good, "{}: {path}: {body}", subject.name);
            at
        }
        Ok(Told::Asked(_)) => panic!("{}: asks again without an answer", subject.name),
        Err(_) => panic!("{} does not answer", subject.name),
    }
}

/// The most that it had in memory so far.
fn memory_mib(child: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.expect("Linux says how much") / 1024.0
}

/// Megabytes of a binary, and of it in a zip.
fn size(args: &Args, binary: &Path) -> (f64, f64) {
    let zip = std::env::temp_dir().join(format!("cold-start-{}.zip", std::process::id()));
    let status = Command::new(&args.python)
        .args(["-m", "zipfile", "-c"])
        .args([zip.as_path(), binary])
        .status()
        .expect("Python runs");
    assert!(status.success(), "zip");
    let mb = |path: &Path| fs::metadata(path).expect("it is there").len() as f64 / 1e6;
    let sizes = (mb(binary), mb(&zip));
    fs::remove_file(zip).expect("it was just made");
    sizes
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn median_of(starts: &[Start]) -> Start {
    let of = |field: fn(&Start) -> f64| median(&mut starts.iter().map(field).collect::<Vec<_>>());
    Start {
        ready_ms: of(|s| s.ready_ms),
        first_ms: of(|s| s.first_ms),
        warm_ms: of(|s| s.warm_ms),
        memory_mib: starts.iter().map(|s| s.memory_mib).fold(0.0, f64::max),
    }
}

fn report(args: &Args, subjects: &[Subject], medians: &[Start], sizes: [(f64, f64); 2]) {
    println!("{} starts of each, in turns; medians, of memory the most\n", args.runs);
    println!("| | MB | zip MB | ready ms | first answer ms | sum ms | warm ms | MiB |");
    println!("|---|---|---|---|---|---|---|---|");
    for (i, (subject, start)) in subjects.iter().zip(medians).enumerate() {
        let (mb, zip) = sizes.get(i).map_or(("–".to_owned(), "–".to_owned()), |(mb, zip)| {
            (format!("{mb:.1}"), format!("{zip:.1}"))
        });
        println!(
            "| {} | {mb} | {zip} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            subject.name,
            start.ready_ms,
            start.first_ms,
            start.sum_ms(),
            start.warm_ms,
            start.memory_mib
        );
    }
    let [ours, minimal, python] = medians else { unreachable!("three subjects") };
    let mut missed = Vec::new();
    let mut bar = |what: &str, value: f64, bar: f64, holds_always: bool| {
        let holds = value <= bar;
        println!("{} {what}: {value:.3}, at most {bar}", if holds { "  ok" } else { "OVER" });
        if !holds && (holds_always || args.hold_times) {
            missed.push(what.to_owned());
        }
    };
    println!();
    bar("zip, MB", sizes[0].1, ZIP_MB_MAX, true);
    bar("memory, MiB", ours.memory_mib, MEMORY_MIB_MAX, true);
    bar(
        "exec to first answer, of the minimal function's",
        ours.sum_ms() / minimal.sum_ms(),
        OF_MINIMAL_MAX,
        false,
    );
    bar("exec to first answer, of Python's", ours.sum_ms() / python.sum_ms(), OF_PYTHON_MAX, false);
    if !missed.is_empty() {
        eprintln!("over its bar: {}", missed.join(", "));
        std::process::exit(1);
    }
}
