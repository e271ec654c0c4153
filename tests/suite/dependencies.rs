//! Where decisions are made there is nothing to act with, and the functions carry no simulation.

use std::collections::BTreeSet;
use std::process::Command;

/// Names of a package's normal dependencies, direct and indirect, and its own.
fn dependencies(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--target", "all"])
        .args(["--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("package names are text");
    let names: BTreeSet<String> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(names.contains(package), "{names:?}");
    names
}

#[test]
fn plan_has_no_runtime_no_client_of_aws_and_no_clock() {
    let names = dependencies("failback-plan");

    let is_forbidden = |name: &&String| {
        let prefixes = ["aws-", "tokio", "hyper", "async-", "futures"];
        let clocks = ["chrono", "time", "jiff"];
        prefixes.iter().any(|p| name.starts_with(p)) || clocks.contains(&name.as_str())
    };
    assert_eq!(names.iter().filter(is_forbidden).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn functions_carry_neither_the_sandbox_nor_the_interpreter() {
    let names = dependencies("failback");

    for simulated in ["failback-sandbox", "failback-states", "failback-cli"] {
        assert!(!names.contains(simulated), "{simulated}");
    }
}
