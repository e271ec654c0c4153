//! The operations of the API.

use serde_json::{Map, Value, json};

use super::connect::{Connected, connect};
use super::uri::Uri;
use super::{MASK, Reply, Request, TOKEN_MS, answer};
use crate::wire::Response;
use crate::world::World;

/// Carries out a request to an instance that is up.
pub(super) fn carry_out(
    world: &mut World,
    index: usize,
    request: &Request,
    (operation, id, path): (&str, Option<i64>, &str),
) -> Reply {
    if operation == "LogIn" {
        return log_in(world, index, &request.body);
    }
    if let Some(refusal) = unauthorized(world, index, request) {
        return refusal;
    }
    match (operation, id) {
        ("GetCsrfToken", _) => csrf_token(world, index),
        ("ListDatabases", _) => list(world, index, path),
        ("TestConnection", _) => test(world, index, &request.body),
        ("GetConnection", Some(id)) => connection(world, index, id),
        ("GetRelatedObjects", Some(id)) => related_objects(world, index, id),
        ("UpdateDatabase", Some(id)) => match serde_json::from_slice(&request.body) {
            Ok(Value::Object(fields)) => update(world, index, id, &fields),
            Ok(_) => answer(400, &json!({ "message": { "_schema": ["Invalid input type."] } })),
            Err(_) => answer(500, &json!({ "message": "Fatal error" })),
        },
        ("DeleteDatabase", Some(id)) => delete(world, index, id),
        _ => answer(404, &json!({ "message": "Not found" })),
    }
}

fn log_in(world: &mut World, index: usize, body: &[u8]) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str();
    if body["provider"].is_null() && body.is_object() {
        return answer(500, &json!({ "message": "Fatal error" }));
    }
    let (Some(user), Some(password)) = (text("username"), text("password")) else {
        return answer(422, &json!({ "message": { "username": ["Missing data"] } }));
    };
    let now_ms = world.now_ms;
    let supersets = &mut world.supersets;
    supersets.tokens_made += 1;
    let token = format!("token-{}", supersets.tokens_made);
    let instance = &mut supersets.instances[index];
    if user != instance.username || password != instance.password {
        return answer(401, &json!({ "message": "Not authorized" }));
    }
    instance.tokens.retain(|_, expires_ms| *expires_ms > now_ms);
    instance.tokens.insert(token.clone(), now_ms + TOKEN_MS);
    answer(200, &json!({ "access_token": token }))
}

/// Without a token, or without what protects from forged requests where something is sent.
fn unauthorized(world: &World, index: usize, request: &Request) -> Option<Reply> {
    let instance = &world.supersets.instances[index];
    let header = |name: &str| request.headers.get(name).map(String::as_str).unwrap_or_default();
    let token = header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    if instance.tokens.get(token).is_none_or(|expires_ms| *expires_ms <= world.now_ms) {
        return Some(answer(401, &json!({ "msg": "Token has expired" })));
    }
    if request.method == "GET" {
        return None;
    }
    let mut cookies = header("cookie").split("; ").filter_map(|c| c.strip_prefix("session="));
    let csrf = cookies.next().and_then(|session| instance.sessions.get(session));
    let refused =
        |why: &str| Some(answer(400, &json!({ "message": format!("400 Bad Request: {why}") })));
    if csrf.is_none() {
        return refused("The CSRF session token is missing.");
    }
    if csrf.map(String::as_str) != Some(header("x-csrftoken")) {
        return refused("The CSRF token is missing.");
    }
    if instance.url.starts_with("https:") && !super::is_below(header("referer"), &instance.url) {
        return refused("The referrer header is missing.");
    }
    None
}

fn csrf_token(world: &mut World, index: usize) -> Reply {
    world.supersets.tokens_made += 1;
    let number = world.supersets.tokens_made;
    let (session, token) = (format!("session-{number}"), format!("csrf-{number}"));
    let sessions = &mut world.supersets.instances[index].sessions;
    sessions.clear();
    sessions.insert(session.clone(), token.clone());
    let cookie = ("set-cookie".to_owned(), format!("session={session}; HttpOnly; Path=/"));
    let body = json!({ "result": token }).to_string().into_bytes();
    Reply::Answered(Response { status: 200, headers: vec![cookie], body })
}

/// Data sources that the login may not see are not listed, and nothing says so.
fn list(world: &World, index: usize, path: &str) -> Reply {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let wanted = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q");
    let Some((_, wanted)) = wanted else { return answer(400, &json!({ "message": "no filter" })) };
    let Ok(wanted) = serde_json::from_str::<Value>(&wanted) else {
        return answer(400, &json!({ "message": "Not a valid rison/json argument" }));
    };
    let name = &wanted["filters"][0]["value"];
    let all = world.supersets.instances[index].databases.iter();
    let result: Vec<Value> = all
        .filter(|(_, d)| d.visible && d.name == *name)
        .map(|(id, d)| json!({ "id": id, "database_name": d.name }))
        .collect();
    answer(200, &json!({ "count": result.len(), "result": result }))
}

/// Of what is not there, or not to be seen, 200 without the parts that matter.
fn connection(world: &World, index: usize, id: i64) -> Reply {
    let found = world.supersets.instances[index].databases.get(&id);
    let Some(database) = found.filter(|d| d.visible) else {
        return answer(200, &json!({ "id": id, "result": {} }));
    };
    answer(
        200,
        &json!({ "id": id, "result": {
            "id": id,
            "backend": "mysql",
            "database_name": database.name,
            "sqlalchemy_uri": database.uri,
            "configuration_method": database.configuration_method,
            "extra": database.extra,
            "masked_encrypted_extra": database.encrypted_extra.as_ref().map(|_| r#"{"key":"XXXXXXXXXX"}"#),
            "server_cert": null,
            "impersonate_user": false,
            "ssh_tunnel": database.ssh_tunnel,
        } }),
    )
}

fn related_objects(world: &World, index: usize, id: i64) -> Reply {
    let found = world.supersets.instances[index].databases.get(&id);
    let Some(database) = found else { return answer(404, &json!({ "message": "Not found" })) };
    answer(200, &json!({ "charts": { "count": database.datasets }, "dashboards": { "count": 0 } }))
}

/// A URI that is, byte for byte, the stored one is tested with the stored password.
fn test(world: &World, index: usize, body: &[u8]) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let Some(uri) = Uri::parse(text("sqlalchemy_uri")) else {
        return answer(
            400,
            &json!({ "message": { "sqlalchemy_uri": ["Invalid connection string"] } }),
        );
    };
    let stored = world.supersets.instances[index]
        .database(text("database_name"))
        .filter(|d| d.uri == text("sqlalchemy_uri"));
    let password = stored.map_or(uri.password.as_deref(), |d| d.password.as_deref());
    let error = |kind: &str, message: String| {
        answer(
            400,
            &json!({ "errors": [{ "error_type": kind, "message": message, "level": "error" }] }),
        )
    };
    match connect(world, index, &uri, password, text("extra")) {
        Connected::Yes => answer(200, &json!({ "message": "OK" })),
        Connected::HostDown => error(
            "CONNECTION_HOST_DOWN_ERROR",
            format!("The host \"{}\" might be down, and can't be reached.", uri.host),
        ),
        // With the URI, as some drivers do.
        Connected::Denied => error(
            "CONNECTION_ACCESS_DENIED_ERROR",
            format!("Either the username or the password is wrong: {}", text("sqlalchemy_uri")),
        ),
        Connected::Hangs => Reply::Silent,
    }
}

/// Superset connects before it stores; what is not mentioned stays, but for how it was entered.
pub(super) fn update(
    world: &mut World,
    index: usize,
    id: i64,
    fields: &Map<String, Value>,
) -> Reply {
    let instance = &world.supersets.instances[index];
    let Some(before) = instance.databases.get(&id).filter(|d| d.visible).cloned() else {
        return answer(404, &json!({ "message": "Not found" }));
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let mut after = before.clone();
    if let Some(name) = text("database_name") {
        if name != before.name && instance.database(name).is_some() {
            let taken = json!({ "database_name": "A database with the same name already exists." });
            return answer(422, &json!({ "message": taken }));
        }
        name.clone_into(&mut after.name);
    }
    if let Some(uri) = text("sqlalchemy_uri") {
        let Some(uri) = Uri::parse(uri) else {
            let problem = json!({ "sqlalchemy_uri": ["Invalid connection string"] });
            return answer(400, &json!({ "message": problem }));
        };
        if uri.password.as_deref() != Some(MASK) {
            after.password.clone_from(&uri.password);
        }
        after.uri = uri.masked();
    }
    text("configuration_method")
        .unwrap_or("sqlalchemy_form")
        .clone_into(&mut after.configuration_method);
    if let Some(extra) = text("extra") {
        extra.clone_into(&mut after.extra);
    }
    match fields.get("masked_encrypted_extra") {
        Some(Value::Null) => after.encrypted_extra = None,
        Some(Value::String(text)) => after.encrypted_extra = Some(text.clone()),
        _ => {}
    }
    if fields.get("ssh_tunnel").is_some_and(Value::is_null) {
        after.ssh_tunnel = None;
    }
    let Some(uri) = Uri::parse(&after.uri) else {
        return answer(500, &json!({ "message": "Fatal error" }));
    };
    match connect(world, index, &uri, after.password.as_deref(), &after.extra) {
        Connected::Yes => {}
        Connected::Hangs => return Reply::Silent,
        Connected::HostDown | Connected::Denied => {
            let message = "Connection failed, please check your connection settings";
            return answer(422, &json!({ "message": message }));
        }
    }
    if after != before {
        after.changes += 1;
        world.supersets.instances[index].databases.insert(id, after);
    }
    answer(200, &json!({ "id": id, "result": {} }))
}

fn delete(world: &mut World, index: usize, id: i64) -> Reply {
    let databases = &mut world.supersets.instances[index].databases;
    match databases.get(&id).filter(|d| d.visible) {
        None => answer(404, &json!({ "message": "Not found" })),
        Some(database) if database.datasets > 0 => answer(
            422,
            &json!({ "message": "Cannot delete a database that has datasets attached" }),
        ),
        Some(_) => {
            databases.remove(&id);
            answer(200, &json!({ "message": "OK" }))
        }
    }
}
