//! The command `failback`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use failback_cli::{bench, chaos, rehearse, scenario, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rehearses the failback of an Aurora Global Database in a sandbox of two simulated Regions.
#[derive(Parser)]
#[command(name = "failback", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole runbook: the real state machines, the real functions, the unchanged AWS SDK,
    /// two simulated Regions, virtual time.
    ///
    /// Exit code 0: the run succeeded and every invariant of SAFETY.md held. 1: the run failed, or an
    /// invariant broke. 2: bad usage, such as a file that cannot be read.
    Rehearse(rehearse::Rehearse),
    /// Serve the two simulated Regions and the state machines over HTTP, for the AWS CLI, boto3 or
    /// any other client.
    ///
    /// Prints one line with the address when it is ready, and runs until SIGINT or SIGTERM (exit
    /// code 0). 2: bad usage, such as an address that is taken.
    Serve(serve::Serve),
    /// Run many rehearsals and print how fast they run and where the time goes.
    Bench(bench::Bench),
    /// Random worlds, random faults and random interference; after every state all invariants are
    /// checked.
    ///
    /// Exit code 0: no invariant broke. 1: one did; its seed and trace are printed. 2: bad usage.
    Chaos(chaos::Chaos),
    /// Play scenarios from files: what is given, what goes wrong, how it must end.
    ///
    /// Exit code 0: all ended as their files say. 1: one did not. 2: bad usage.
    Scenario(scenario::Scenarios),
    /// Print the JSON Schema of an execution's input, as statemachine/failback.schema.json holds it.
    Schema,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Rehearse(arguments) => rehearse::main(&arguments),
        Command::Serve(arguments) => serve::main(&arguments),
        Command::Bench(arguments) => bench::main(&arguments),
        Command::Chaos(arguments) => chaos::main(&arguments),
        Command::Scenario(arguments) => scenario::main(&arguments),
        Command::Schema => {
            println!("{:#}", failback_plan::request::schema());
            ExitCode::SUCCESS
        }
    }
}
