//! What the functions' files say of themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A file of the repository.
pub fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names of a directory's files that end with `suffix`, without it.
pub fn files(directory: &str, suffix: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    entries
        .filter_map(|entry| entry.expect("readable").file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(suffix)?.to_owned()))
        .collect()
}

/// `detach_member` becomes `DetachMember`.
pub fn pascal(function: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    function.split('_').map(capital).collect()
}

/// A field of a file's header, such as `- **Calls:** …`, with its continuation lines.
pub fn header(function: &str, field: &str) -> Option<String> {
    let text = read(&format!("functions/{function}.rs"));
    let start = format!("//! - **{field}:**");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
    let first = lines.next()?.strip_prefix(&start)?;
    let more = lines.map_while(|line| line.strip_prefix("//!   "));
    Some([first].into_iter().chain(more).collect::<Vec<_>>().join(" "))
}

/// The API calls a function's header names, as `service:Operation`.
pub fn calls(function: &str) -> BTreeSet<String> {
    let calls = header(function, "Calls").unwrap_or_else(|| panic!("{function}: no Calls"));
    let quoted = calls.split('`').skip(1).step_by(2);
    quoted.filter(|call| call.contains(':')).map(str::to_owned).collect()
}

/// The values of `state` a function's header names; empty where it answers something else.
pub fn answers(function: &str) -> BTreeSet<String> {
    let answers = header(function, "Answers").unwrap_or_default();
    let words = answers.split(|c: char| !c.is_ascii_uppercase());
    words.filter(|w| ["DONE", "PENDING", "FAILED"].contains(w)).map(str::to_owned).collect()
}

/// The fields of a function's `Input`, by their names in the payload.
pub fn input_fields(function: &str) -> BTreeSet<String> {
    let text = read(&format!("functions/{function}.rs"));
    let (_, body) = text
        .split_once("pub struct Input {\n")
        .unwrap_or_else(|| panic!("functions/{function}.rs has no `pub struct Input {{`"));
    let body = body.split_once("\n}").map_or(body, |(body, _)| body);
    let mut fields = BTreeSet::new();
    let mut renamed = None;
    for line in body.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once("rename = \"") {
            renamed = rest.split('"').next().map(str::to_owned);
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':')) {
            let name = name.trim_start_matches("r#").to_owned();
            fields.insert(renamed.take().unwrap_or(name));
        }
    }
    fields
}
