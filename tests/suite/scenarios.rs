//! The scenarios of `tests/scenarios/`, one file each.

use std::path::PathBuf;

use failback_cli::scenario::{AlsoStarted, play, read};

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
    files.sort();
    files
}

#[test]
fn every_scenario_ends_as_its_file_says() {
    let mut wrong = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("readable");
        let name = file.file_name().expect("it has a name").to_string_lossy().into_owned();
        match read(&text).and_then(|scenario| play(&scenario)) {
            Ok(wrongs) => wrong.extend(wrongs.into_iter().map(|w| format!("{name}: {w}"))),
            Err(problem) => wrong.push(format!("{name} cannot be played: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_scenario_says_what_it_is_about() {
    let scenarios: Vec<_> = files()
        .iter()
        .map(|file| read(&std::fs::read_to_string(file).expect("readable")).expect("a scenario"))
        .collect();
    assert!(scenarios.len() >= 17);
    for scenario in &scenarios {
        assert!(scenario.story.len() > 80, "{}", scenario.title);
        let same = scenarios.iter().filter(|s| s.title == scenario.title).count();
        assert_eq!(same, 1, "{}", scenario.title);
    }
}

/// A scenario that could not fail would prove nothing.
#[test]
fn scenario_that_expects_something_else_is_told_apart() {
    let text = std::fs::read_to_string(&files()[0]).expect("readable");
    let mut scenario = read(&text).expect("a scenario");
    scenario.expect.error = Some("HomeNotRetired".to_owned());
    scenario.expect.calls.insert("DeleteDBCluster".to_owned(), 1);
    scenario.expect.order = vec!["CreateDBCluster".to_owned()];
    let error = "HomeNotRetired".to_owned();
    scenario.also_started = vec![AlsoStarted { after_s: 0, error }];
    scenario.then = None;

    let wrongs = play(&scenario).expect("it can be played");

    assert_eq!(wrongs.len(), 4, "{wrongs:?}");
}
