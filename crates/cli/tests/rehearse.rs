//! The command as a person meets it.

use std::process::{Command, Output};

use serde_json::{Value, json};

fn failback(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_failback")).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// A request like the workshop's with a change, in a file of its own.
fn changed_input(name: &str, change: impl FnOnce(&mut Value)) -> std::path::PathBuf {
    let mut input: Value =
        serde_json::from_str(include_str!("../../../statemachine/examples/workshop.json"))
            .expect("the example is JSON");
    change(&mut input);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, input.to_string()).expect("a file");
    path
}

#[test]
fn rehearsal_shows_a_line_for_each_phase_the_tables_and_the_measurements() {
    let run = failback(&["rehearse"]);

    let shown = text(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{shown}");
    assert!(shown.starts_with("seed 1\n"));
    for phase in failback_cli::phases::PHASES {
        let line = shown.lines().find(|l| l.starts_with(phase.title) && l.contains("real"));
        assert!(line.is_some(), "no line for {}", phase.title);
    }
    for table in failback_cli::phases::TABLES {
        assert!(shown.contains(table.title), "no table {}", table.title);
    }
    for measured in ["rows lost               0", "two writable clusters   0 moments"] {
        assert!(shown.contains(measured), "{measured}");
    }
}

#[test]
fn json_is_one_document_with_the_same_content() {
    let run = failback(&["rehearse", "--json", "--seed", "4"]);

    assert_eq!(run.status.code(), Some(0));
    let report: Value = serde_json::from_str(text(&run.stdout)).expect("one JSON document");
    assert_eq!(report["seed"], 4);
    assert_eq!(report["execution"]["status"], "SUCCEEDED");
    assert_eq!(report["tables"].as_array().map(Vec::len), Some(5));
    assert_eq!(report["clients"]["rows_lost"], 0);
    assert_eq!(report["final_snapshots"].as_array().map(Vec::len), Some(2));
    assert!(report["transitions"].as_u64() > Some(100));
    assert!(report["api_calls"]["mutating"].as_u64() > Some(10));
    for endpoint in report["endpoints"].as_array().expect("endpoints") {
        assert_ne!(endpoint["old"], endpoint["new"]);
    }
}

#[test]
fn quiet_prints_only_the_summary() {
    let run = failback(&["rehearse", "--quiet"]);
    let shown = text(&run.stdout);
    assert!(shown.contains("Execution SUCCEEDED"));
    assert!(!shown.contains("DB Cluster Name"));
}

#[test]
fn refused_run_exits_with_one_and_says_why() {
    let input = changed_input("same-region.json", |v| {
        v["away"]["region"] = json!("us-east-1");
    });
    let run = failback(&["rehearse", "--quiet", "--input", input.to_str().expect("a path")]);

    let shown = text(&run.stdout);
    assert_eq!(run.status.code(), Some(1), "{shown}");
    assert!(shown.contains("FailbackRefused") && shown.contains("away.region"), "{shown}");
}

#[test]
fn bad_usage_exits_with_two() {
    let not_json = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("not.json");
    std::fs::write(&not_json, "{").expect("a file");
    let not_json = not_json.to_str().expect("a path");
    for arguments in [
        &["rehearse", "--input", "no/such/file"][..],
        &["rehearse", "--input", not_json],
        &["rehearse", "--world", not_json],
        &["rehearse", "--no-such-flag"],
        &["rehearse", "--seed", "many"],
        &[],
    ] {
        let run = failback(arguments);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_explains_options_and_exit_codes() {
    let run = failback(&["rehearse", "--help"]);
    let shown = text(&run.stdout);
    for word in ["--input", "--world", "--seed", "--json", "--quiet", "Exit code 0"] {
        assert!(shown.contains(word), "{word} is not explained");
    }
}
