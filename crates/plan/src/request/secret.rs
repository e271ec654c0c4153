//! Keys and passwords that somebody put where they do not belong.

use serde_json::Value;

use super::InvalidRequest;

/// An input is kept in the execution's history for months: whoever may read it must not find a key.
/// The text itself is not repeated in the error.
pub(super) fn none_in(path: &str, value: &Value) -> Result<(), InvalidRequest> {
    let below = |part: &str| {
        if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
    };
    match value {
        Value::Object(fields) => {
            fields.iter().try_for_each(|(name, value)| none_in(&below(name), value))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, value)| none_in(&format!("{path}[{i}]"), value)),
        Value::String(text) => match secret_kind(text) {
            Some(kind) => Err(InvalidRequest::new(
                path,
                format!(
                    "looks like {kind}, which must not stand in an execution's input. Treat it as \
                     disclosed, and name a Secrets Manager secret instead"
                ),
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// What kind of secret a text looks like.
fn secret_kind(text: &str) -> Option<&'static str> {
    let access_key = |word: &str| {
        (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word.len() == 20
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    let lower = text.to_ascii_lowercase();
    // `scheme://user:password@host`, but not `scheme://user@host`.
    let with_password = text.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?'])
            .next()
            .and_then(|authority| authority.rsplit_once('@'))
            .is_some_and(|(user, _)| user.contains(':'))
    });
    if text.split(|c: char| !c.is_ascii_alphanumeric()).any(access_key) {
        Some("an AWS access key")
    } else if text.contains("PRIVATE KEY-----") {
        Some("a private key")
    } else if with_password
        || ["password=", "passwd=", "pwd="].iter().any(|word| lower.contains(word))
    {
        Some("a password")
    } else {
        None
    }
}
