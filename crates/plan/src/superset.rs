//! Data sources of Apache Superset: which one is meant, what is tested and what is sent, decided
//! from what was read.
//!
//! Source of what Superset does with it: its code, release 6.1, and `tests/superset/run`.

mod uri;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use uri::{Driver, Uri};

/// Seconds after which a test gives up on a host that does not accept, or that stays silent.
const TEST_TIMEOUT_S: u32 = 5;

/// Why a data source cannot be moved without a person; what to do is part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub String);

/// What Superset says of a data source's connection.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Connection {
    /// Its name.
    #[serde(default)]
    pub database_name: Option<String>,
    /// With the password masked. Absent, with status 200, of one that the login may not see.
    #[serde(default)]
    pub sqlalchemy_uri: Option<String>,
    /// How it was entered; what is not sent back is reset.
    #[serde(default)]
    pub configuration_method: Option<String>,
    /// JSON text with the engine's parameters.
    #[serde(default)]
    pub extra: Option<String>,
    /// JSON text whose secrets are masked.
    #[serde(default)]
    pub masked_encrypted_extra: Option<String>,
    /// The server's certificate.
    #[serde(default)]
    pub server_cert: Option<String>,
    /// Whether it connects as whoever asks.
    #[serde(default)]
    pub impersonate_user: Option<bool>,
    /// Set where it connects through an SSH tunnel.
    #[serde(default)]
    pub ssh_tunnel: Option<Value>,
}

/// How a data source shall be.
#[derive(Clone)]
pub struct Wanted {
    /// Its name at the end.
    pub name: String,
    /// The host it connects to at the end.
    pub host: String,
    /// The user of the secret, where it names one.
    pub user: Option<String>,
    /// The password of the secret.
    pub password: String,
}

/// What to send to Superset. Holds passwords: it is not to be shown.
#[derive(Clone, PartialEq)]
pub struct Proposal {
    /// Name and host are as they shall be.
    pub is_there: bool,
    /// The host that it has now.
    pub host: String,
    /// Tests what is stored, the password included.
    pub test_of_stored: Value,
    /// Tests what would be stored.
    pub test: Value,
    /// Stores it: name and host in one change, so that neither stands without the other.
    pub update: Value,
}

/// Which of two names is there. On a re-run the new name is the one.
///
/// # Errors
/// Neither is there, or both are.
pub fn locate(
    name: &str,
    rename_to: Option<&str>,
    under_name: Option<i64>,
    under_new_name: Option<i64>,
) -> Result<i64, Problem> {
    match (under_name, under_new_name, rename_to) {
        (Some(_), Some(_), Some(new)) => Err(Problem(format!(
            "there is a data source of its new name, `{new}`, as well. Remove one of them, or rename \
             it, by hand"
        ))),
        (_, Some(id), Some(_)) | (Some(id), _, _) => Ok(id),
        (None, _, None) => Err(Problem(format!(
            "there is no data source `{name}` that the login may see. Make it, grant access to it, or \
             take it out of the request"
        ))),
        (None, None, Some(new)) => Err(Problem(format!(
            "there is no data source `{name}`, nor one of its new name, `{new}`, that the login may \
             see. Make it, grant access to it, or take it out of the request"
        ))),
    }
}

/// What to test and what to send so that a data source becomes as it is wanted.
///
/// # Errors
/// What keeps it from being changed by its host alone.
pub fn propose(wanted: &Wanted, seen: &Connection) -> Result<Proposal, Problem> {
    let Some(read) = &seen.sqlalchemy_uri else {
        return Err(Problem(
            "the login may not see its connection. Grant it `can_read` and `can_write` on Database \
             and access to this data source"
                .to_owned(),
        ));
    };
    if seen.ssh_tunnel.as_ref().is_some_and(|tunnel| !tunnel.is_null()) {
        return Err(Problem(
            "it connects through an SSH tunnel, behind which nothing can be tested. Change its host \
             by hand"
                .to_owned(),
        ));
    }
    let uri = Uri::parse(read)?;
    if let Some(user) = wanted.user.as_ref().filter(|user| **user != uri.user()) {
        return Err(Problem(format!(
            "it logs in as `{}`, and its secret is that of `{user}`. Name the secret of its own user",
            uri.user()
        )));
    }
    if wanted.password.is_empty() {
        return Err(Problem("its secret holds no password".to_owned()));
    }
    if !uri::survives_decoding_twice(&wanted.password) {
        return Err(Problem(
            "its password contains `%` followed by two hexadecimal digits, which Superset would \
             decode into another password. Give its user another password"
                .to_owned(),
        ));
    }
    let name = seen.database_name.clone().unwrap_or_default();
    let sent = uri.with(&wanted.host, &wanted.password);
    let extra = extra_with_timeouts(seen.extra.as_deref().unwrap_or_default(), uri.driver)?;
    let test = |uri: &str| {
        json!({
            "database_name": name,
            "sqlalchemy_uri": uri,
            "extra": extra,
            "masked_encrypted_extra": seen.masked_encrypted_extra.as_deref().unwrap_or("{}"),
            "server_cert": seen.server_cert,
            "impersonate_user": seen.impersonate_user.unwrap_or_default(),
        })
    };
    let is_there = name == wanted.name && uri.host().eq_ignore_ascii_case(&wanted.host);
    Ok(Proposal {
        is_there,
        host: uri.host().to_owned(),
        test_of_stored: test(read),
        test: test(&sent),
        update: update(&sent, (name != wanted.name).then_some(&wanted.name), seen),
    })
}

/// What is not mentioned stays as it is, except how the data source was entered: that would be reset.
fn update(uri: &str, new_name: Option<&String>, seen: &Connection) -> Value {
    let mut fields = Map::new();
    fields.insert("sqlalchemy_uri".to_owned(), json!(uri));
    if let Some(method) = &seen.configuration_method {
        fields.insert("configuration_method".to_owned(), json!(method));
    }
    if let Some(name) = new_name {
        fields.insert("database_name".to_owned(), json!(name));
    }
    Value::Object(fields)
}

/// The engine's parameters as they are, but for the time-outs of the test.
fn extra_with_timeouts(extra: &str, driver: Driver) -> Result<String, Problem> {
    let unreadable = || Problem("its engine parameters (`extra`) are no JSON object".to_owned());
    let text = if extra.trim().is_empty() { "{}" } else { extra };
    let mut extra: Map<String, Value> = serde_json::from_str(text).map_err(|_| unreadable())?;
    let mut at = &mut extra;
    for name in ["engine_params", "connect_args"] {
        let below = at.entry(name).or_insert(Value::Null);
        if below.is_null() {
            *below = json!({});
        }
        at = below.as_object_mut().ok_or_else(unreadable)?;
    }
    at.insert("connect_timeout".to_owned(), json!(TEST_TIMEOUT_S));
    if driver == Driver::MySql {
        at.insert("read_timeout".to_owned(), json!(TEST_TIMEOUT_S));
    }
    Ok(Value::Object(extra).to_string())
}

/// Takes passwords out of what Superset says, as they are and as they stand in a URI.
pub fn without_passwords(text: &str, passwords: &[&str]) -> String {
    let mut out = text.to_owned();
    for password in passwords.iter().filter(|p| !p.is_empty()) {
        for form in [uri::encoded(password), (*password).to_owned()] {
            out = out.replace(&form, "***");
        }
    }
    out
}

#[cfg(test)]
mod tests;
