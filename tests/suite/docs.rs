//! What the documents say is so: their links lead somewhere, their commands exist, the tests that
//! SAFETY.md names exist, and what README.md quotes is what is printed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use failback_cli::drill::{Setup, in_virtual_time};
use failback_cli::report::Report;
use failback_cli::text;
use failback_sandbox::WorldSpec;

use crate::support::begin;

/// Stands in README.md before the quotation of the rehearsal.
const QUOTATION: &str = "<!-- tests/suite/docs.rs writes this quotation. -->\n```text\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Paths below `directory`, relative to the root, whose names end with `suffix`.
fn files(directory: &str, suffix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(directory)).expect("a directory of the repository") {
        let entry = entry.expect("readable");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let path = format!("{directory}/{name}");
        if entry.path().is_dir() {
            found.extend(files(&path, suffix));
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every document with its text.
fn documents() -> Vec<(String, String)> {
    let in_root = ["README.md", "SAFETY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let paths = in_root.map(str::to_owned).into_iter().chain(files("docs", ".md"));
    paths.map(|path| (path.clone(), read(&path))).collect()
}

/// The text without its code blocks, where brackets and backticks mean something else.
fn prose(document: &str) -> String {
    let mut in_code = false;
    let outside = document.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !fence && !in_code
    });
    outside.collect::<Vec<_>>().join("\n")
}

/// The code blocks of one language.
fn code_blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("\n```{language}\n");
    let blocks = document.split(&start).skip(1);
    blocks.map(|rest| rest.split("\n```").next().expect("a block ends")).collect()
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `a/b/../c` as `a/c`, without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            _ => out.push(part),
        }
    }
    out
}

/// The anchors of a document's headings, as GitHub writes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let text = prose(document);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for (path, document) in documents() {
        for rest in prose(&document).split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let directory = Path::new(&path).parent().unwrap_or(Path::new(""));
            let file =
                if file.is_empty() { PathBuf::from(&path) } else { normal(&directory.join(file)) };
            assert!(root().join(&file).exists(), "{path} links to {target}, which does not exist");
            if !anchor.is_empty() {
                let there = fs::read_to_string(root().join(&file)).expect("a document");
                assert!(anchors(&there).contains(anchor), "{path}: no heading for {target}");
            }
        }
    }
}

/// `crates/plan`, but not `rds:DescribeDBClusters`, `functions/<name>.rs` or `statemachine/*.json`.
#[test]
fn every_path_that_is_named_exists() {
    let is_path = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let begins = text.split('/').next().is_some_and(|first| root().join(first).is_dir());
        text.contains('/') && text.chars().all(plain) && begins
    };
    for (path, document) in documents() {
        for named in in_backticks(&prose(&document)).filter(|text| is_path(text)) {
            assert!(root().join(named).exists(), "{path} names {named}, which does not exist");
        }
    }
}

/// What a shell would be given, continuation lines joined and comments left out.
fn commands(document: &str) -> Vec<String> {
    let blocks = code_blocks(document, "sh");
    let lines = blocks.iter().flat_map(|block| {
        let joined = block.replace("\\\n", " ");
        joined.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    lines
        .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The word after `option`, wherever it stands.
fn values<'a>(command: &'a str, option: &str) -> Vec<&'a str> {
    let words: Vec<&str> = command.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1]).collect()
}

#[test]
fn every_command_exists() {
    let aliases = read(".cargo/config.toml");
    let environments = read("samconfig.toml");
    let members = files("crates", "Cargo.toml");
    let manifests: Vec<String> =
        members.iter().map(|p| read(p)).chain([read("Cargo.toml")]).collect();
    for document in ["README.md", "CONTRIBUTING.md"] {
        let commands = commands(&read(document));
        assert!(commands.iter().any(|c| c == "cargo rehearse"), "{document}: no rehearsal");
        assert!(commands.iter().any(|c| c == "tests/run"), "{document}: no test run");
        for command in commands {
            let words: Vec<&str> = command.split_whitespace().collect();
            match words[..] {
                ["cargo", "test", ..] | ["aws" | "sam", ..] => {}
                ["cargo", alias, ..] => {
                    assert!(aliases.contains(&format!("{alias} = ")), "no alias: {command}");
                }
                [program, ..] => assert!(is_executable(program), "{document}: {command}"),
                [] => unreachable!("empty commands are left out"),
            }
            for package in values(&command, "-p") {
                let name = format!("name = \"{package}\"");
                assert!(manifests.iter().any(|m| m.contains(&name)), "no package: {command}");
            }
            for test in values(&command, "--test") {
                let exists = [format!("tests/{test}.rs"), format!("tests/{test}/main.rs")]
                    .iter()
                    .any(|path| root().join(path).exists());
                assert!(exists, "no test: {command}");
            }
            for file in values(&command, "--template-file") {
                assert!(root().join(file).exists(), "no template: {command}");
            }
            for environment in values(&command, "--config-env") {
                let section = format!("[{environment}.deploy.parameters]");
                assert!(environments.contains(&section), "no environment: {command}");
            }
        }
    }
}

fn is_executable(path: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(root().join(path)).is_ok_and(|m| m.permissions().mode() & 0o100 != 0)
}

/// Names of all test functions of the workspace.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in ["crates", "functions", "tests"].into_iter().flat_map(|d| files(d, ".rs")) {
        let mut is_test = false;
        for line in read(&path).lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                names.extend(rest.split('(').next().map(str::to_owned));
                is_test = false;
            }
        }
    }
    names
}

#[test]
fn every_line_of_safety_is_kept_shown_and_bounded_by_tests_that_exist() {
    let tests = tests();
    let document = read("SAFETY.md");
    let sections: Vec<&str> = document.split("\n## ").skip(1).collect();
    let numbered = sections.iter().filter(|s| s.starts_with(|c: char| c.is_ascii_digit()));
    let mut count = 0;
    for (index, section) in numbered.enumerate() {
        count += 1;
        assert!(section.starts_with(&format!("{}. ", index + 1)), "out of order: {section}");
        if section.contains("*Not guaranteed yet.*") {
            continue;
        }
        for part in ["- **Kept by:** ", "- **Shown by:** ", "- **Not guaranteed:** "] {
            assert!(section.contains(part), "{part}is missing: {section}");
        }
        let shown = section.split("- **Shown by:** ").nth(1).unwrap_or_default();
        let shown = shown.split("\n- **").next().unwrap_or_default();
        assert!(in_backticks(shown).count() > 0, "no test shows it: {section}");
        for test in in_backticks(shown) {
            assert!(tests.contains(test), "SAFETY.md names the test {test}, which does not exist");
        }
    }
    assert_eq!(count, 12, "a line of SAFETY.md is missing");
}

#[test]
fn every_test_that_a_document_names_exists() {
    let tests = tests();
    let functions: BTreeSet<&str> = failback::FUNCTIONS.iter().map(|f| f.name).collect();
    let switches = read("crates/sandbox/src/behaviour.rs");
    for (path, document) in documents() {
        // Four words and more are the name of a test, of a function, or of a switch of the sandbox.
        let is_sentence = |text: &&str| {
            text.split('_').count() > 3 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        for named in in_backticks(&prose(&document)).filter(is_sentence) {
            let is_switch = switches.contains(&format!("pub {named}:"));
            assert!(
                tests.contains(named) || functions.contains(named) || is_switch,
                "{path} names {named}, which is no test"
            );
        }
    }
}

/// Every record is listed, and is told by its date.
#[test]
fn every_decision_is_listed_with_all_its_parts() {
    let index = read("docs/adr/README.md");
    for path in files("docs/adr", ".md").iter().filter(|p| !p.ends_with("README.md")) {
        let name = path.rsplit('/').next().expect("a file name");
        assert!(index.contains(&format!("({name})")), "docs/adr/README.md does not list {name}");
        let record = read(path);
        let date = name.get(..10).expect("a name begins with a date");
        assert!(record.contains(&format!("\nDate: {date} · Status: ")), "{path}: date or status");
        let parts =
            ["Context", "Decision", "Consequences", "Alternatives", "What would change our mind"];
        for part in parts {
            assert!(record.contains(&format!("\n## {part}\n")), "{path}: no {part}");
        }
    }
}

#[test]
fn example_in_the_readme_is_the_shipped_one() {
    let readme = read("README.md");
    let example = read("statemachine/examples/workshop.json");
    assert_eq!(code_blocks(&readme, "json"), [example.trim_end()]);
}

/// A document speaks of the project, not of where and on what occasion it was written.
#[test]
fn documents_speak_of_the_project_alone() {
    for (path, document) in documents() {
        // Names of tests may speak of a client's session.
        let prose: String = document.split('`').step_by(2).collect();
        for word in ["/work/", "/tmp/", "/root/", "issue #"] {
            assert!(!document.to_lowercase().contains(word), "{path} says `{word}`");
        }
        assert!(!prose.to_lowercase().contains("session"), "{path} says `session`");
    }
}

/// What the rehearsal of seed 1 prints, without the lines that real time changes.
async fn rehearse() -> (Report, String) {
    let input = serde_json::from_str(&read("statemachine/examples/workshop.json"));
    let setup =
        Setup { world: WorldSpec::workshop(), input: input.expect("the example is JSON"), seed: 1 };
    let drill = begin(&setup);
    let ended = drill.run("rehearsal", setup.input.clone()).await.expect("the execution starts");
    let report = Report::gather(&drill, &ended, setup.seed, &setup.world);
    let last_table = ended.tables.last().map(text::table).unwrap_or_default();
    let quoted = ["Execution", "Measured", "Invariants"];
    let summary = text::summary(&report);
    let mut parts = vec![format!("…\n{}", last_table.trim_end()), "…".to_owned()];
    for part in summary.trim_end().split("\n\n") {
        if quoted.iter().any(|title| part.starts_with(title)) {
            parts.push(part.trim_end().to_owned());
        } else if parts.last().is_none_or(|last| last != "…") {
            parts.push("…".to_owned());
        }
    }
    (report, parts.join("\n"))
}

#[test]
fn readme_and_costs_say_what_the_rehearsal_prints() {
    let (report, printed) = in_virtual_time(rehearse()).expect("a runtime");

    let safety = read("SAFETY.md");
    for invariant in &report.invariants {
        let row = format!("\n| {} | ", invariant.name);
        assert!(safety.contains(&row), "SAFETY.md does not say what `{}` is", invariant.name);
    }
    let counted =
        format!("seed 1: *T* = {}, *A* = {};", report.transitions, report.api_calls.total);
    assert!(read("docs/deploy.md").contains(&counted), "docs/deploy.md does not say {counted}");
    let readme = read("README.md");
    let (before, rest) = readme.split_once(QUOTATION).expect("README.md quotes the rehearsal");
    let (quoted, after) = rest.split_once("\n```\n").expect("the quotation ends");
    if quoted != printed && std::env::var_os("UPDATE").is_some() {
        let updated = format!("{before}{QUOTATION}{printed}\n```\n{after}");
        fs::write(root().join("README.md"), updated).expect("README.md can be written");
        return;
    }
    assert_eq!(quoted, printed, "`UPDATE=1` writes the quotation anew");
}
