//! Secrets by which applications find their database: one field of a JSON text is changed, and not
//! a byte of the others.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Value, json};
use sha2::{Digest, Sha256};

/// What a secret says about where its database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFields {
    /// `host`.
    pub host: String,
    /// `dbClusterIdentifier`, where it is there.
    pub cluster_id: Option<String>,
    /// `port`, where it is there, as digits.
    pub port: Option<String>,
}

/// Where a secret shall say that its database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Host name of the endpoint.
    pub host: String,
    /// `DBClusterIdentifier` of the cluster.
    pub cluster_id: String,
    /// Its port.
    pub port: u16,
}

/// Why a secret cannot be moved. No text repeats what the secret holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs, reason = "the error text of each variant is its documentation")]
pub enum SecretProblem {
    #[error("there is no secret of that name in {region}")]
    Missing { region: String },
    #[error("it may not be read ({code}: {message})")]
    Unreadable { code: String, message: String },
    #[error("it is marked for deletion. Restore it, or leave it out")]
    MarkedForDeletion,
    #[error("it is a replica, which cannot be written. Name the secret in {primary}")]
    Replica { primary: String },
    #[error("{service} manages it, and nobody else may write it")]
    Managed { service: String },
    #[error("its value is binary, not a text in JSON")]
    Binary,
    #[error("its value is no JSON object")]
    NoObject,
    #[error("its value has no field `{field}`")]
    NoField { field: String },
    #[error("its value has the field `{field}` more than once: which one counts is not known")]
    Twice { field: String },
    #[error("its field `{field}` does not hold what such a field holds")]
    Unfit { field: String },
}

/// What a secret's text says.
///
/// # Errors
/// [`SecretProblem`] of a text that cannot be moved.
pub fn read(text: &str) -> Result<SecretFields, SecretProblem> {
    let fields = Fields::of(text)?;
    let host = fields.text("host")?.ok_or(SecretProblem::NoField { field: "host".to_owned() })?;
    // Neither a password in the wrong field nor a URI may reach an execution.
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if host.is_empty() || host.len() > 255 || !host.chars().all(is_name) {
        return Err(SecretProblem::Unfit { field: "host".to_owned() });
    }
    let cluster_id = fields.text("dbClusterIdentifier")?;
    let is_id = |id: &String| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if cluster_id.as_ref().is_some_and(|id| !is_id(id)) {
        return Err(SecretProblem::Unfit { field: "dbClusterIdentifier".to_owned() });
    }
    Ok(SecretFields { host, cluster_id, port: fields.port()? })
}

/// The text that points to the destination; `None` if it does already.
///
/// # Errors
/// [`SecretProblem`] of a text that cannot be moved.
pub fn moved(text: &str, to: &Destination) -> Result<Option<String>, SecretProblem> {
    let now = read(text)?;
    if points_to(&now, to) {
        return Ok(None);
    }
    let fields = Fields::of(text)?;
    let mut changes = vec![("host", json!(to.host))];
    if now.cluster_id.is_some() {
        changes.push(("dbClusterIdentifier", json!(to.cluster_id)));
    }
    if now.port.is_some_and(|port| port != to.port.to_string()) {
        // As it was: some applications cannot read the other form.
        let as_text = fields.value("port")?.is_some_and(|port| port.is_string());
        changes.push(("port", if as_text { json!(to.port.to_string()) } else { json!(to.port) }));
    }
    let mut spans: Vec<(Range<usize>, String)> = Vec::new();
    for (name, value) in changes {
        spans.extend(fields.span(name)?.map(|span| (span, value.to_string())));
    }
    spans.sort_by_key(|(span, _)| span.start);
    let mut out = text.to_owned();
    for (span, value) in spans.into_iter().rev() {
        out.replace_range(span, &value);
    }
    Ok(Some(out))
}

/// Whether a secret says that its database is there. Fields that it does not have say nothing.
pub fn points_to(fields: &SecretFields, to: &Destination) -> bool {
    fields.host == to.host
        && fields.cluster_id.as_ref().is_none_or(|id| *id == to.cluster_id)
        && fields.port.as_ref().is_none_or(|port| *port == to.port.to_string())
}

/// What names the new version of a secret: the same whenever the same state of it is moved to the
/// same place, so that a lost reply makes no second version, and another once the secret has
/// changed, by hand or by rotation. The secret's content is no part of it.
pub fn version_token(arn: &str, version: &str, changed_at: &str, to: &Destination) -> String {
    let mut digest = Sha256::new();
    let port = to.port.to_string();
    for part in [arn, version, changed_at, &to.host, &to.cluster_id, &port] {
        digest.update(part);
        digest.update("\n");
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields of a JSON object and where their values stand in the text.
struct Fields<'a> {
    text: &'a str,
    fields: Vec<(String, Range<usize>)>,
}

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Result<Self, SecretProblem> {
        let is_object = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
        if !is_object {
            return Err(SecretProblem::NoObject);
        }
        let fields = scan(text).ok_or(SecretProblem::NoObject)?;
        Ok(Self { text, fields })
    }

    fn span(&self, name: &str) -> Result<Option<Range<usize>>, SecretProblem> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(SecretProblem::Twice { field: name.to_owned() }),
            (first, None) => Ok(first.map(|(_, span)| span.clone())),
        }
    }

    fn value(&self, name: &str) -> Result<Option<Value>, SecretProblem> {
        let Some(span) = self.span(name)? else { return Ok(None) };
        Ok(serde_json::from_str(&self.text[span]).ok())
    }

    fn text(&self, name: &str) -> Result<Option<String>, SecretProblem> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(SecretProblem::Unfit { field: name.to_owned() }),
        }
    }

    fn port(&self) -> Result<Option<String>, SecretProblem> {
        let port = match self.value("port")? {
            None => return Ok(None),
            Some(Value::String(text)) => text.parse::<u16>().ok(),
            Some(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        let port = port.ok_or(SecretProblem::Unfit { field: "port".to_owned() })?;
        Ok(Some(port.to_string()))
    }
}

/// The top level of a text that is known to be a JSON object.
fn scan(text: &str) -> Option<Vec<(String, Range<usize>)>> {
    let mut fields = Vec::new();
    let mut at = skip(text, 0, '{')?;
    if skip(text, at, '}').is_some() {
        return Some(fields);
    }
    loop {
        let (name, after) = next::<String>(text, at)?;
        let colon = skip(text, after, ':')?;
        let begin = text.len() - text[colon..].trim_start().len();
        let (_, end) = next::<IgnoredAny>(text, begin)?;
        fields.push((name, begin..end));
        match skip(text, end, ',') {
            Some(comma) => at = comma,
            None => return skip(text, end, '}').map(|_| fields),
        }
    }
}

/// Behind a mark that comes next, white space left out.
fn skip(text: &str, at: usize, mark: char) -> Option<usize> {
    let rest = text[at..].trim_start();
    rest.starts_with(mark).then(|| text.len() - rest.len() + mark.len_utf8())
}

/// The value that comes next and where it ends.
fn next<'de, T: Deserialize<'de>>(text: &'de str, at: usize) -> Option<(T, usize)> {
    let mut values = Deserializer::from_str(&text[at..]).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, at + values.byte_offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Destination {
        Destination {
            host: "gdb1.cluster-x.rds.amazonaws.com".to_owned(),
            cluster_id: "gdb1-restored".to_owned(),
            port: 3306,
        }
    }

    #[test]
    fn nothing_but_the_place_is_changed_not_even_a_space() {
        let text = "{ \"password\": \"a\\u00e9\\\\\\\"{\",\n  \"host\" :\"old.host\", \"n\": 1.50e2, \
                    \"dbClusterIdentifier\":\"gdb2\",\"big\":123456789012345678901234567890, \"port\": 3306 , \
                    \"deep\": {\"host\": \"inner\"} }\n";

        let changed = moved(text, &home()).expect("it can be moved").expect("it changes");

        let expected = text
            .replace("\"old.host\"", "\"gdb1.cluster-x.rds.amazonaws.com\"")
            .replace("\"gdb2\"", "\"gdb1-restored\"");
        assert_eq!(changed, expected);
        assert_eq!(moved(&changed, &home()), Ok(None), "once is enough");
    }

    #[test]
    fn port_keeps_its_form_and_is_changed_only_where_it_differs() {
        let changed =
            |text: &str| moved(text, &home()).expect("it can be moved").expect("it changes");
        assert!(changed(r#"{"host":"h","port":"3307"}"#).ends_with(r#""port":"3306"}"#));
        assert!(changed(r#"{"host":"h","port":3307}"#).ends_with(r#""port":3306}"#));
        assert!(!changed(r#"{"host":"h"}"#).contains("port"));
        let right = r#"{"host":"gdb1.cluster-x.rds.amazonaws.com","port":3307}"#;
        assert!(changed(right).ends_with(r#""port":3306}"#), "a port alone is a difference");
    }

    #[test]
    fn what_cannot_be_moved_is_said_without_repeating_it() {
        let no_field = |field: &str| SecretProblem::NoField { field: field.to_owned() };
        let unfit = |field: &str| SecretProblem::Unfit { field: field.to_owned() };
        let twice = SecretProblem::Twice { field: "host".to_owned() };
        for (text, problem) in [
            ("hunter2", SecretProblem::NoObject),
            ("[1]", SecretProblem::NoObject),
            (r#"{"host":"h"} x"#, SecretProblem::NoObject),
            ("{}", no_field("host")),
            (r#"{"Host":"h"}"#, no_field("host")),
            (r#"{"host":"h","ho\u0073t":"i"}"#, twice),
            (r#"{"host":null}"#, unfit("host")),
            (r#"{"host":"mysql://app:hunter2@h"}"#, unfit("host")),
            (r#"{"host":"h","port":"many"}"#, unfit("port")),
            (r#"{"host":"h","dbClusterIdentifier":"a b"}"#, unfit("dbClusterIdentifier")),
        ] {
            assert_eq!(read(text), Err(problem.clone()), "{text}");
            assert_eq!(moved(text, &home()), Err(problem.clone()), "{text}");
            assert!(!problem.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn token_is_the_same_for_the_same_state_and_place_and_no_other() {
        let token = |version: &str, changed: &str, to: &Destination| {
            version_token("arn", version, changed, to)
        };
        let elsewhere = Destination { host: "other".to_owned(), ..home() };

        let first = token("v1", "1", &home());

        assert_eq!(first.len(), 64);
        assert_eq!(first, token("v1", "1", &home()));
        for other in
            [token("v2", "1", &home()), token("v1", "2", &home()), token("v1", "1", &elsewhere)]
        {
            assert_ne!(first, other);
        }
    }
}
