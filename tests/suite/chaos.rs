//! Chaos itself: it is the same every time, it can fail, and what it found once stays found.

use failback_cli::chaos::sabotage::{SAFEGUARDS, Safeguard};
use failback_cli::chaos::{replayed, run};
use failback_cli::lambda::mishap::FUNCTION_TIMEOUT_MS;

use crate::lockstep::source::read;

/// Its `detach_member` does not answer and works late.
const DETACHES_LATE: u64 = 14_502_193_366;

/// A name is moved to another cluster between a look that is out of date and the change.
const NAME_MOVES: u64 = 213_187_609_418;

/// Seeds in which something was once broken, by what it was.
const FOUND: [(u64, &str); 11] = [
    (
        729_372_978_215,
        "protection of a cluster that only bore the stale one's name was switched off",
    ),
    (696_081_783_257, "the same, at another moment"),
    (987_450_104_468, "home was closed by a fence that came late, and no later run opened it"),
    (241_377_154_252, "a cluster that got the stale one's name between two runs was taken for it"),
    (1_039_665_780_690, "away was gone, and its fence was waited for all the same"),
    (787_603_698_609, "a run refused at the lock was blamed for what the run at work said itself"),
    (150_032_048_086, "a deletion that came late was judged by a look twenty minutes later"),
    (
        DETACHES_LATE,
        "a function that was given up acted half an hour later, when Lambda had ended it",
    ),
    (NAME_MOVES, "a change met a cluster that had got the name since the look, and nobody said so"),
    (
        927_679_598_292,
        "a run that could not reach the lock was blamed for what the run at work said itself",
    ),
    (550_815_719_541, "a reader without an instance was taken for one that is as planned"),
];

#[test]
fn seed_replays_byte_for_byte() {
    let (first, _) = replayed(FOUND[0].0, None).expect("it runs");
    let (second, _) = replayed(FOUND[0].0, None).expect("it runs");

    assert!(first.lines().count() > 100, "{first}");
    assert_eq!(first, second);
}

#[test]
fn function_that_works_late_does_so_when_it_is_due() {
    let (told, _) = replayed(DETACHES_LATE, None).expect("it runs");

    // Lambda ends it 50 s after 0:31:21; what waits for stragglers counts on that.
    let late = told.lines().find(|line| line.contains("straggler")).expect("there is one");
    assert!(late.starts_with("0:32:") && late.ends_with("detach_member"), "{late}");
}

#[test]
fn change_that_met_another_cluster_by_its_name_is_said_and_taken_back() {
    let (told, _) = replayed(NAME_MOVES, None).expect("it runs");

    let ended = told.lines().find(|line| line.contains("run-0 ended")).expect("it ended");
    for words in ["HomeNotRetired", "AnotherClusterMet", "is switched on again"] {
        assert!(ended.contains(words), "`{words}` is not said by: {ended}");
    }
}

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, what) in FOUND {
        let done = run::one(seed, None, false).expect("it runs");
        assert!(done.violations.is_empty(), "{what}: seed {seed}: {:?}", done.violations);
    }
}

/// The rows of docs/safeguards.md: a safeguard's name, the rule that broke, and the seed.
fn rows() -> Vec<(String, String, u64)> {
    let document = read("docs/safeguards.md");
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = document.lines().filter(|l| l.starts_with("| ")).map(cells);
    rows.filter_map(|c| Some((c[0].clone(), c[2].clone(), c[3].parse().ok()?))).collect()
}

#[test]
fn every_safeguard_is_missed_when_it_is_switched_off() {
    let rows = rows();
    for safeguard in SAFEGUARDS {
        let row = rows.iter().find(|(name, _, _)| name == safeguard.name());
        let (_, violation, seed) = row.expect("docs/safeguards.md has a row for each");
        assert_missed(safeguard, violation, *seed);
        let with = run::one(*seed, None, false).expect("it runs");
        assert!(with.violations.is_empty(), "{}: {:?}", safeguard.name(), with.violations);
    }
}

fn assert_missed(safeguard: Safeguard, violation: &str, seed: u64) {
    let without = run::one(seed, Some(safeguard), false).expect("it runs");
    let broken = without.violations.first().expect("it is missed");
    let text = format!("{}: {}", broken.invariant, broken.seen);
    assert_eq!(violation, text, "{}, seed {seed}", safeguard.name());
}

#[test]
fn functions_are_ended_when_the_template_says() {
    let template = include_str!("../../template.yaml");
    let timeout = format!("    Timeout: {}", FUNCTION_TIMEOUT_MS / 1000);
    assert!(template.lines().any(|line| line.starts_with(&timeout)), "{timeout}");
}
