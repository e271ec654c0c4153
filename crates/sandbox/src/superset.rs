//! Apache Superset, as far as its API for data sources: what a release 6.1 answers, as measured.
//!
//! It is no part of AWS, so its requests bear no signature; they are told by the address. Faults
//! meet them all the same, and they are recorded as the service `superset`.

mod api;
mod connect;
mod http;
mod uri;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::fault::Verb;
use crate::spec::{ClientLocation, SpecError, SupersetSpec};
use crate::wire::Response;
use crate::world::{Call, Event, World};
use uri::Uri;

pub(crate) use http::connector;

/// What stands in place of a password.
const MASK: &str = "XXXXXXXXXX";
/// How long a login lasts, in milliseconds.
const TOKEN_MS: i64 = 900_000;
/// When a change that nobody waited for is made after all, in milliseconds.
const LATE_MS: f64 = 12_000.0;

/// All instances, and what the databases behind them let in.
#[derive(Debug, Clone, Default)]
pub struct Supersets {
    /// The instances.
    pub instances: Vec<Instance>,
    /// User and password of every account of the databases.
    pub accounts: BTreeSet<(String, String)>,
    /// Hosts that accept a connection and then say nothing.
    pub silent_hosts: BTreeSet<String>,
    tokens_made: u64,
}

/// Whether an instance answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// It does.
    #[default]
    Up,
    /// Nothing listens at its address.
    Down,
    /// It takes requests and says nothing.
    Silent,
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its address, without a final slash.
    pub url: String,
    /// Its only login.
    pub username: String,
    /// That login's password.
    pub password: String,
    /// Whether it answers.
    pub mood: Mood,
    /// Its data sources by their ids.
    pub databases: BTreeMap<i64, Database>,
    location: ClientLocation,
    /// Token → when it expires.
    tokens: BTreeMap<String, i64>,
    /// Session cookie → CSRF token.
    sessions: BTreeMap<String, String>,
}

/// A data source.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// With the password masked.
    pub uri: String,
    /// What is behind the mask.
    pub password: Option<String>,
    /// `sqlalchemy_form` or `dynamic_form`.
    pub configuration_method: String,
    /// JSON text.
    pub extra: String,
    /// JSON text with secrets.
    pub encrypted_extra: Option<String>,
    /// A tunnel that it connects through.
    pub ssh_tunnel: Option<Value>,
    /// How many datasets are made of it.
    pub datasets: u32,
    /// Whether the login may see it.
    pub visible: bool,
    /// How often it was changed.
    pub changes: u32,
}

/// A change that was abandoned by whoever asked for it, and is still to come.
#[derive(Debug, Clone, PartialEq)]
pub struct Late {
    instance: usize,
    id: i64,
    fields: Map<String, Value>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Answered(Response),
    /// The connection is refused or breaks.
    Broken,
    /// Nothing comes for longer than anybody waits.
    Silent,
}

impl Supersets {
    /// Builds what the spec describes; the endpoints in its URIs are host names already.
    pub(crate) fn build(specs: &[SupersetSpec]) -> Result<Self, SpecError> {
        let mut all = Self::default();
        for spec in specs {
            let mut databases = BTreeMap::new();
            for (id, database) in (1..).zip(&spec.databases) {
                let uri = Uri::parse(&database.sqlalchemy_uri).ok_or_else(|| {
                    SpecError::Invalid(format!("the URI of `{}` cannot be read", database.name))
                })?;
                if let Some(password) = &uri.password {
                    all.accounts.insert((uri.user.clone(), password.clone()));
                }
                databases.insert(
                    id,
                    Database {
                        name: database.name.clone(),
                        uri: uri.masked(),
                        password: uri.password,
                        configuration_method: "dynamic_form".to_owned(),
                        extra: json!({ "allows_virtual_table_explore": true }).to_string(),
                        encrypted_extra: None,
                        ssh_tunnel: None,
                        datasets: database.datasets,
                        visible: true,
                        changes: 0,
                    },
                );
            }
            all.instances.push(Instance {
                url: spec.url.trim_end_matches('/').to_owned(),
                username: spec.username.clone(),
                password: spec.password.clone(),
                mood: Mood::Up,
                databases,
                location: spec.location.clone(),
                tokens: BTreeMap::new(),
                sessions: BTreeMap::new(),
            });
        }
        Ok(all)
    }

    /// The instance at this address.
    #[must_use]
    pub fn at(&self, url: &str) -> Option<&Instance> {
        self.instances.iter().find(|i| is_below(url, &i.url))
    }

    /// The same, to be changed by hand.
    pub fn at_mut(&mut self, url: &str) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|i| is_below(url, &i.url))
    }

    /// What a change may change, in a form that is equal exactly when nothing was changed.
    pub(crate) fn contents(&self) -> Vec<(&str, &BTreeMap<i64, Database>)> {
        self.instances.iter().map(|i| (i.url.as_str(), &i.databases)).collect()
    }
}

impl Instance {
    /// The data source of this name.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.values().find(|d| d.name == name)
    }

    /// The same, to be changed by hand.
    pub fn database_mut(&mut self, name: &str) -> Option<&mut Database> {
        self.databases.values_mut().find(|d| d.name == name)
    }
}

impl Database {
    /// The host that it connects to.
    #[must_use]
    pub fn host(&self) -> String {
        Uri::parse(&self.uri).map(|uri| uri.host).unwrap_or_default()
    }
}

fn is_below(url: &str, base: &str) -> bool {
    url.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// A request to an instance.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Answers a request to one of the instances; `None` if none has this address.
pub(crate) fn handle(world: &mut World, request: &Request) -> Option<Reply> {
    let index = world.supersets.instances.iter().position(|i| is_below(&request.url, &i.url))?;
    let path = request.url[world.supersets.instances[index].url.len()..].to_owned();
    let (operation, id) = operation(&request.method, &path);
    let verb = world.faults.meet("superset", operation, "");
    let reply = match verb {
        Some(Verb::Throttle) => answer(429, &json!({ "message": "Too many requests" })),
        Some(Verb::InternalError) => answer(500, &json!({ "message": "Internal server error" })),
        Some(Verb::Refuse { message, .. }) => answer(403, &json!({ "message": message })),
        Some(Verb::LoseRequest) => Reply::Broken,
        Some(Verb::Stuck) => Reply::Silent,
        Some(Verb::Slow { factor }) if operation == "UpdateDatabase" => {
            let fields = serde_json::from_slice(&request.body).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, reason = "a duration of seconds")]
            let at_ms = world.now_ms + (LATE_MS * factor) as i64;
            let late = Late { instance: index, id: id.unwrap_or_default(), fields };
            world.schedule_at(at_ms, Event::Superset(late));
            Reply::Silent
        }
        other => {
            let reply = match world.supersets.instances[index].mood {
                Mood::Up => api::carry_out(world, index, request, (operation, id, &path)),
                Mood::Down => Reply::Broken,
                Mood::Silent => Reply::Silent,
            };
            if matches!(other, Some(Verb::LoseReply)) { Reply::Broken } else { reply }
        }
    };
    let error = match &reply {
        Reply::Answered(answer) if answer.status < 400 => None,
        Reply::Answered(answer) => Some(answer.status.to_string()),
        Reply::Broken | Reply::Silent => Some("LostReply".to_owned()),
    };
    let call = Call {
        at_ms: world.now_ms,
        service: "superset".to_owned(),
        region: String::new(),
        operation: operation.to_owned(),
        mutating: matches!(operation, "UpdateDatabase" | "DeleteDatabase"),
        resource: world.supersets.instances[index].url.clone(),
        error,
        // An application lets its own logins in, and no role.
        asked: [].into(),
    };
    world.calls.push(call);
    world.observe();
    Some(reply)
}

/// A change that was abandoned is made now.
pub(crate) fn apply_late(world: &mut World, late: &Late) {
    // Whoever asked is gone: so is what would have been answered.
    let _unheard = api::update(world, late.instance, late.id, &late.fields);
}

/// The operation, by names of our own, and the id in the path.
fn operation(method: &str, path: &str) -> (&'static str, Option<i64>) {
    let path = path.split('?').next().unwrap_or_default().trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let id = parts.get(3).and_then(|id| id.parse().ok());
    let name = match (method, &parts[..]) {
        ("POST", ["api", "v1", "security", "login"]) => "LogIn",
        ("GET", ["api", "v1", "security", "csrf_token"]) => "GetCsrfToken",
        ("GET", ["api", "v1", "database"]) => "ListDatabases",
        ("POST", ["api", "v1", "database", "test_connection"]) => "TestConnection",
        ("GET", ["api", "v1", "database", _, "connection"]) => "GetConnection",
        ("GET", ["api", "v1", "database", _, "related_objects"]) => "GetRelatedObjects",
        ("PUT", ["api", "v1", "database", _]) => "UpdateDatabase",
        ("DELETE", ["api", "v1", "database", _]) => "DeleteDatabase",
        _ => "",
    };
    (name, id)
}

fn answer(status: u16, body: &Value) -> Reply {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Reply::Answered(Response { status, headers, body: body.to_string().into_bytes() })
}
