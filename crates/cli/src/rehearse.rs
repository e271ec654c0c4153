//! The command `failback rehearse`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use failback_plan::request::Approvals;
use failback_sandbox::WorldSpec;

use crate::approver::Approver;
use crate::drill::{CannotBegin, Drill, Setup, in_virtual_time};
use crate::progress::Progress;
use crate::report::Report;
use crate::text;

/// Exit code of a command that could not begin.
pub const BAD_USAGE: u8 = 2;

/// What `failback rehearse` is told.
#[derive(Debug, clap::Args)]
pub struct Rehearse {
    /// The execution's input; the workshop's when absent.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The two Regions and their clients; the workshop's when absent.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Decides everything that is left to chance; the same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Have every approval asked for, and answered like this.
    #[arg(long, value_enum, value_name = "HOW")]
    approve: Option<Approver>,
    /// Print the report as one JSON document and nothing else.
    #[arg(long)]
    json: bool,
    /// No progress and no tables, only the summary.
    #[arg(long)]
    quiet: bool,
}

/// Rehearses; answers the exit code that `--help` promises.
pub fn main(arguments: &Rehearse) -> ExitCode {
    match setup(arguments).and_then(|setup| rehearse(&setup, arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("failback: {problem}");
            ExitCode::from(BAD_USAGE)
        }
    }
}

fn setup(arguments: &Rehearse) -> Result<Setup, String> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))
    };
    let mut setup = Setup::workshop(arguments.seed);
    if let Some(path) = &arguments.world {
        setup.world = WorldSpec::from_json(&read(path)?)
            .map_err(|e| format!("{} is not a world: {e}", path.display()))?;
    }
    if let Some(path) = &arguments.input {
        setup.input = serde_json::from_str(&read(path)?)
            .map_err(|e| format!("{} is not JSON: {e}", path.display()))?;
    }
    if arguments.approve.is_some() {
        let all = serde_json::to_value(Approvals::all()).map_err(|e| e.to_string())?;
        setup.input["approvals"] = all;
    }
    Ok(setup)
}

/// Answers whether the run was good.
fn rehearse(setup: &Setup, arguments: &Rehearse) -> Result<bool, String> {
    let report = in_virtual_time(run(setup, arguments))?.map_err(|e| e.to_string())?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?;
        println!("{text}");
    } else {
        println!("\n{}", text::summary(&report));
    }
    Ok(report.is_good())
}

async fn run(setup: &Setup, arguments: &Rehearse) -> Result<Report, CannotBegin> {
    let drill = Drill::new(setup)?;
    drill.approve_by(arguments.approve.unwrap_or_default());
    let shows = !arguments.json && !arguments.quiet;
    let progress = shows.then(|| Rc::new(Progress::new()));
    if let Some(progress) = progress.clone() {
        println!("seed {}", setup.seed);
        drill.observe(Box::new(move |news| progress.tell(news)));
    }
    let ended = drill.run("rehearsal", setup.input.clone()).await?;
    if let Some(progress) = progress {
        progress.finish(ended.outcome.stopped_ms.unwrap_or(ended.outcome.started_ms));
    }
    Ok(Report::gather(&drill, &ended, setup.seed, &setup.world))
}
