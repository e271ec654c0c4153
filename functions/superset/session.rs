//! A login of Superset's API and what can be asked and done with it.

use std::collections::BTreeMap;
use std::time::Duration;

use failback_plan::superset::{Connection, without_passwords};
use failback_plan::task::Superset;
use serde_json::{Value, json};

use super::{Login, Trouble};
use crate::aws::Aws;
use crate::web::{self, Answered};

/// For answers that take Superset no time.
const QUICK: Duration = Duration::from_secs(6);
/// For a test, which gives up on its own before.
const TEST: Duration = Duration::from_secs(15);
/// For a change, before which Superset connects once more, without a time-out of ours.
const CHANGE: Duration = Duration::from_secs(15);

/// Errors of a test that no waiting mends. Source: `SupersetErrorType`, Superset 6.1.
const DENIED: [&str; 4] = [
    "CONNECTION_ACCESS_DENIED_ERROR",
    "CONNECTION_INVALID_USERNAME_ERROR",
    "CONNECTION_INVALID_PASSWORD_ERROR",
    "CONNECTION_UNKNOWN_DATABASE_ERROR",
];

/// How much of what Superset says is repeated.
const SAID_MAX: usize = 300;

/// What a test of a connection came to.
pub(crate) enum Tested {
    /// The database answers.
    Works,
    /// It does not let this user in.
    Denied(String),
}

/// A session. It knows passwords so that it can keep them out of what it says.
pub(crate) struct Session<'a> {
    aws: &'a Aws,
    url: &'a str,
    token: String,
    csrf: String,
    cookies: BTreeMap<String, String>,
    secrets: Vec<String>,
}

impl<'a> Session<'a> {
    /// Logs in. `secrets` are further texts that must never be repeated.
    pub(crate) async fn log_in(
        aws: &'a Aws,
        superset: &'a Superset,
        login: &Login,
        secrets: &[&str],
    ) -> Result<Self, Trouble> {
        let mut session = Self {
            aws,
            url: &superset.url,
            token: String::new(),
            csrf: String::new(),
            cookies: BTreeMap::new(),
            secrets: secrets
                .iter()
                .copied()
                .chain([login.password.as_str()])
                .map(str::to_owned)
                .collect(),
        };
        let body = json!({
            "username": login.user,
            "password": login.password,
            "provider": superset.provider.to_string(),
        });
        let answer = session.ask("POST", "/api/v1/security/login", Some(&body), QUICK).await?;
        if answer.status == 401 {
            return Err(Trouble::Lasting(format!(
                "Superset refuses the login of {}. Correct that secret, or the login",
                superset.login_secret_arn
            )));
        }
        session.token = session.text(&answer, "access_token", "the login")?;
        let answer = session.ask("GET", "/api/v1/security/csrf_token/", None, QUICK).await?;
        session.csrf = session.text(&answer, "result", "the request for a CSRF token")?;
        Ok(session)
    }

    /// The id of a data source, by its name.
    pub(crate) async fn find(&mut self, name: &str) -> Result<Option<i64>, Trouble> {
        let query = json!({
            "filters": [{ "col": "database_name", "opr": "eq", "value": name }],
            "columns": ["id", "database_name"],
        });
        let path = format!("/api/v1/database/?q={}", percent_encoded(&query.to_string()));
        let answer = self.ask("GET", &path, None, QUICK).await?;
        let found = answer.body["result"].as_array().filter(|_| answer.status == 200);
        let Some(found) = found else {
            return Err(self.refused(&answer, "the list of data sources"));
        };
        // The metadata database may compare without regard to case.
        let same = found.iter().find(|source| source["database_name"] == name);
        Ok(same.and_then(|source| source["id"].as_i64()))
    }

    /// How a data source connects.
    pub(crate) async fn connection(&mut self, id: i64) -> Result<Connection, Trouble> {
        let path = format!("/api/v1/database/{id}/connection");
        let answer = self.ask("GET", &path, None, QUICK).await?;
        let read = serde_json::from_value(answer.body["result"].clone());
        match read {
            Ok(connection) if answer.status == 200 => Ok(connection),
            _ => Err(self.refused(&answer, "the request for its connection")),
        }
    }

    /// Whether the database answers.
    pub(crate) async fn test(&mut self, body: &Value) -> Result<Tested, Trouble> {
        let answer =
            self.ask("POST", "/api/v1/database/test_connection/", Some(body), TEST).await?;
        let denied =
            answer.body["errors"].as_array().into_iter().flatten().any(|error| {
                error["error_type"].as_str().is_some_and(|kind| DENIED.contains(&kind))
            });
        match answer.status {
            200 => Ok(Tested::Works),
            _ if denied => Ok(Tested::Denied(self.said(&answer.body))),
            // Whatever else a test says is said of a host that may be up in a while.
            400 | 408 | 422 => Err(Trouble::Passing(format!(
                "Superset cannot connect to the new host: {}",
                self.said(&answer.body)
            ))),
            _ => Err(self.refused(&answer, "the test of the connection")),
        }
    }

    /// Changes a data source. Superset has it as it was, or as it shall be.
    pub(crate) async fn update(&mut self, id: i64, body: &Value) -> Result<(), Trouble> {
        let path = format!("/api/v1/database/{id}");
        let answer = self.ask("PUT", &path, Some(body), CHANGE).await?;
        match answer.status {
            200 => Ok(()),
            // A name that is taken stays taken; anything else of this status is the database's
            // state, or a metadata database that was busy.
            422 if answer.body["message"]["database_name"].is_null() => Err(Trouble::Passing(
                format!("Superset has not changed it: {}", self.said(&answer.body)),
            )),
            _ => Err(self.refused(&answer, "the change")),
        }
    }

    /// Removes a data source, or finds it gone.
    pub(crate) async fn delete(&mut self, id: i64) -> Result<(), Trouble> {
        let path = format!("/api/v1/database/{id}");
        let answer = self.ask("DELETE", &path, None, QUICK).await?;
        match answer.status {
            200 | 404 => Ok(()),
            422 => {
                let used = self.used_by(id).await?;
                Err(Trouble::Lasting(format!(
                    "Superset does not remove it: {} {used}. Rename it instead (`rename_to`, \
                     `points_to`), or remove what uses it",
                    self.said(&answer.body)
                )))
            }
            _ => Err(self.refused(&answer, "the removal")),
        }
    }

    async fn used_by(&mut self, id: i64) -> Result<String, Trouble> {
        let path = format!("/api/v1/database/{id}/related_objects/");
        let answer = self.ask("GET", &path, None, QUICK).await?;
        let count = |kind: &str| answer.body[kind]["count"].as_i64().unwrap_or_default();
        Ok(format!("({} charts and {} dashboards use it)", count("charts"), count("dashboards")))
    }

    /// Sends a request with everything that Superset wants to see. The `Referer` is wanted behind
    /// HTTPS only, and does no harm before it.
    async fn ask(
        &mut self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
        within: Duration,
    ) -> Result<Answered, Trouble> {
        let mut headers = vec![("referer", format!("{}/", self.url))];
        if !self.token.is_empty() {
            headers.push(("authorization", format!("Bearer {}", self.token)));
        }
        if !self.csrf.is_empty() {
            headers.push(("x-csrftoken", self.csrf.clone()));
        }
        if !self.cookies.is_empty() {
            let all: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
            headers.push(("cookie", all.join("; ")));
        }
        let request =
            web::Request { method, url: format!("{}{path}", self.url), headers, body, within };
        let answer = web::send(self.aws, request).await.map_err(|why| {
            Trouble::Passing(format!("Superset does not answer: {}", self.without_secrets(&why)))
        })?;
        self.cookies.extend(answer.cookies.iter().cloned());
        Ok(answer)
    }

    fn text(&self, answer: &Answered, field: &str, what: &str) -> Result<String, Trouble> {
        let text = answer.body[field].as_str().filter(|_| answer.status == 200);
        text.map(str::to_owned).ok_or_else(|| self.refused(answer, what))
    }

    /// An answer that is of no use.
    fn refused(&self, answer: &Answered, what: &str) -> Trouble {
        let said = self.said(&answer.body);
        let text = format!("Superset answers {what} with status {}: {said}", answer.status);
        match answer.status {
            300..400 => {
                Trouble::Lasting(format!("{text}. Check `url`: redirections are not followed"))
            }
            400 | 403..=407 | 409..=421 | 422 => Trouble::Lasting(text),
            // An expired token, too many requests, a server in trouble, a page in place of JSON.
            _ => Trouble::Passing(text),
        }
    }

    /// What Superset says, without passwords and not at any length.
    fn said(&self, body: &Value) -> String {
        let first = &body["errors"][0]["message"];
        let message = [first, &body["message"], &body["msg"]].into_iter().find(|m| !m.is_null());
        let text = match message {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "it gives no reason".to_owned(),
        };
        self.without_secrets(&text)
    }

    fn without_secrets(&self, text: &str) -> String {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let shown = without_passwords(text, &secrets);
        // Some drivers' errors are many lines of which the first says nothing.
        let words: Vec<&str> = shown.split_whitespace().collect();
        words.join(" ").chars().take(SAID_MAX).collect()
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
