//! Holds docs/sandbox.md to the tests that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("../../docs/sandbox.md")).expect("docs/sandbox.md")
}

/// A rule: what it says, the tests that hold it, and how much it is worth.
struct Rule {
    text: String,
    tests: Vec<String>,
    grade: String,
}

/// The rows of the tables below "Rules".
fn rules(document: &str) -> Vec<Rule> {
    let (_, rules) = document.split_once("\n## Rules\n").expect("a chapter of rules");
    let rules = rules.split("\n## ").next().unwrap_or_default();
    let rows = rules.lines().filter(|line| line.starts_with("| "));
    rows.filter(|line| !line.starts_with("| rule ")).map(rule).collect()
}

fn rule(line: &str) -> Rule {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [text, tests, grade] = cells.as_slice() else { panic!("three cells: {line}") };
    let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Rule { text: (*text).to_owned(), tests, grade: (*grade).to_owned() }
}

/// Names of the tests in a file, or in all files of a directory.
fn tests_in(path: &Path) -> BTreeSet<String> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a directory");
        return entries.flat_map(|entry| tests_in(&entry.expect("readable").path())).collect();
    }
    let source = fs::read_to_string(path).expect("a file of tests");
    let after_attributes = source.split("#[test]\n").skip(1);
    let after_attributes = after_attributes.chain(source.split("#[tokio::test]\n").skip(1));
    after_attributes
        .filter_map(|rest| rest.split_once("fn ")?.1.split_once('('))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn every_test_that_a_rule_names_exists() {
    let known = tests_in(&root().join("tests"));

    for rule in rules(&document()) {
        for test in rule.tests {
            assert!(known.contains(&test), "`{test}`, named by {:?}, does not exist", rule.text);
        }
    }
}

#[test]
fn every_test_of_rds_and_of_networks_holds_a_rule() {
    let rules = rules(&document());
    let named: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.tests).collect();

    for path in ["tests/rds", "tests/network.rs"] {
        for test in tests_in(&root().join(path)) {
            assert!(named.contains(&test), "no rule in docs/sandbox.md names `{test}` of {path}");
        }
    }
}

#[test]
fn every_rule_has_a_known_grade_and_stands_once() {
    let mut seen = BTreeSet::new();
    for rule in rules(&document()) {
        assert!(["A", "W", "C", "I", "?"].contains(&rule.grade.as_str()), "{}", rule.text);
        assert!(seen.insert((rule.text.clone(), rule.tests)), "{} stands twice", rule.text);
    }
}

#[test]
fn what_the_document_claims_is_what_is_counted() {
    let document = document();
    let rules = rules(&document);
    let covered = rules.iter().filter(|rule| !rule.tests.is_empty()).count();
    let tests: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.tests).collect();
    let claim = format!(
        "{covered} of {} rules are modelled and held by {} tests.",
        rules.len(),
        tests.len()
    );

    let mut grades: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for rule in &rules {
        let (covered, listed) = grades.entry(&rule.grade).or_default();
        *covered += usize::from(!rule.tests.is_empty());
        *listed += 1;
    }
    println!("{claim}");
    for (grade, (covered, listed)) in grades {
        println!("{grade}: {covered} of {listed}");
    }
    assert!(document.contains(&claim), "docs/sandbox.md must say: {claim}");
}

#[test]
fn every_duration_stands_with_its_default() {
    let timings = serde_json::to_value(failback_sandbox::Timings::default()).expect("JSON");
    let document = document();
    for (name, seconds) in timings.as_object().expect("a structure") {
        let row = format!("| `{name}` | {seconds:#} |");
        let row = row.replace(".0 |", " |");
        assert!(document.contains(&row), "docs/sandbox.md must have the row {row}");
    }
}
