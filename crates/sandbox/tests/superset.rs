//! Apache Superset answers as release 6.1 was measured to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use failback_sandbox::superset::{Database, Mood};
use failback_sandbox::{EndpointKind, Fault, Sandbox, Verb, WorldSpec};
use serde_json::{Value, json};

const URL: &str = "https://superset.us-west-2.workshop.internal";
const READ: &str = "mysql aurora-gdb2-read";
const WRITE: &str = "mysql aurora-gdb2-write";
const PASSWORD: &str = "sandbox%2Fdatabase%3Ap%40ssword%25";

struct Bench {
    sandbox: Sandbox,
    web: SharedHttpConnector,
    now_ms: Arc<AtomicI64>,
    headers: BTreeMap<&'static str, String>,
}

/// Status, cookies and body; `None` if nothing came.
type Answered = Option<(u16, Vec<String>, Value)>;

impl Bench {
    fn new() -> Self {
        let now_ms = Arc::new(AtomicI64::new(1_767_225_600_000));
        let clock = now_ms.clone();
        let clock = Arc::new(move || clock.load(Ordering::Relaxed));
        let sandbox = Sandbox::new(&WorldSpec::workshop(), 7, clock).expect("the shipped world");
        let web = sandbox.web(None);
        Self { sandbox, web, now_ms, headers: BTreeMap::new() }
    }

    async fn logged_in() -> Self {
        let mut bench = Self::new();
        let login =
            json!({ "username": "failback", "password": "sandbox-api-password", "provider": "db" });
        let (_, _, body) =
            bench.ask("POST", "/api/v1/security/login", &login).await.expect("an answer");
        let token = body["access_token"].as_str().expect("a token");
        bench.headers.insert("authorization", format!("Bearer {token}"));
        let (_, cookies, body) = bench
            .ask("GET", "/api/v1/security/csrf_token/", &Value::Null)
            .await
            .expect("an answer");
        let cookie = cookies[0].split(';').next().expect("a cookie").to_owned();
        bench.headers.insert("cookie", cookie);
        bench.headers.insert("x-csrftoken", body["result"].as_str().expect("a token").to_owned());
        bench.headers.insert("referer", format!("{URL}/"));
        bench
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Answered {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = HttpRequest::new(SdkBody::from(text));
        request.set_method(method).expect("a method");
        request.set_uri(format!("{URL}{path}")).expect("a URI");
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, value.clone());
        }
        let answer = self.web.call(request).await.ok()?;
        let cookies = answer.headers().iter().filter(|(name, _)| *name == "set-cookie");
        let cookies = cookies.map(|(_, value)| value.to_owned()).collect();
        let body = serde_json::from_slice(answer.body().bytes().expect("in memory"));
        Some((answer.status().as_u16(), cookies, body.unwrap_or_default()))
    }

    async fn status(&self, method: &str, path: &str, body: &Value) -> u16 {
        self.ask(method, path, body).await.expect("an answer").0
    }

    fn database(&self, name: &str) -> Option<Database> {
        self.sandbox.with_world(|world| world.supersets.at(URL)?.database(name).cloned())
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Database)) {
        self.sandbox.change_world(|world| {
            let instance = world.supersets.at_mut(URL).expect("the instance");
            change(instance.database_mut(name).expect("the data source"));
        });
    }

    fn host(&self, kind: EndpointKind) -> String {
        self.sandbox.with_world(|world| {
            world.rds.cluster("us-west-2", "gdb2-cluster").expect("away").host(kind, &world.account)
        })
    }
}

fn uri(host: &str, password: &str) -> String {
    format!("mysql+pymysql://analytics:{password}@{host}:3306/mylab?charset=utf8mb4")
}

#[tokio::test]
async fn login_answers_each_mistake_in_its_own_way() {
    let bench = Bench::new();
    for (login, status) in [
        (
            json!({ "username": "failback", "password": "sandbox-api-password", "provider": "db" }),
            200,
        ),
        (json!({ "username": "failback", "password": "wrong", "provider": "db" }), 401),
        (json!({ "username": "failback", "password": "sandbox-api-password" }), 500),
        (json!({ "username": "failback", "provider": "db" }), 422),
    ] {
        assert_eq!(bench.status("POST", "/api/v1/security/login", &login).await, status, "{login}");
    }
}

#[tokio::test]
async fn token_expires_after_a_quarter_of_an_hour() {
    let bench = Bench::logged_in().await;
    let path = "/api/v1/database/1/connection";
    assert_eq!(bench.status("GET", path, &Value::Null).await, 200);

    bench.now_ms.fetch_add(900_000, Ordering::Relaxed);
    assert_eq!(bench.status("GET", path, &Value::Null).await, 401);
}

#[tokio::test]
async fn what_is_sent_wants_cookie_token_and_referer() {
    for missing in ["cookie", "x-csrftoken", "referer"] {
        let mut bench = Bench::logged_in().await;
        bench.headers.remove(missing);
        let status = bench.status("DELETE", "/api/v1/database/2", &Value::Null).await;
        assert_eq!(status, 400, "without {missing}");
        assert!(bench.database(WRITE).is_some());
    }
}

#[tokio::test]
async fn what_may_not_be_seen_is_answered_like_what_is_not_there() {
    let bench = Bench::logged_in().await;
    bench.change(READ, |database| database.visible = false);
    for id in [1, 99] {
        let path = format!("/api/v1/database/{id}/connection");
        let (status, _, body) = bench.ask("GET", &path, &Value::Null).await.expect("an answer");
        assert_eq!((status, body["result"].get("sqlalchemy_uri")), (200, None));
        let path = format!("/api/v1/database/{id}");
        assert_eq!(bench.status("PUT", &path, &json!({})).await, 404);
    }
    let filter = json!({ "filters": [{ "col": "database_name", "opr": "eq", "value": READ }] });
    let query: String = filter.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/api/v1/database/?q={query}");
    let (status, _, body) = bench.ask("GET", &path, &Value::Null).await.expect("an answer");
    assert_eq!((status, body["count"].as_i64()), (200, Some(0)));
}

#[tokio::test]
async fn connection_is_made_before_anything_is_stored() {
    let bench = Bench::logged_in().await;
    let before = bench.database(READ).expect("there");
    let writer = bench.host(EndpointKind::Writer);
    for (uri, status) in [
        (uri("dead.cluster-x.us-west-2.rds.amazonaws.com", PASSWORD), 422),
        (uri(&writer, "wrong"), 422),
        ("no URI".to_owned(), 400),
    ] {
        let body = json!({ "sqlalchemy_uri": uri, "configuration_method": "dynamic_form" });
        assert_eq!(bench.status("PUT", "/api/v1/database/1", &body).await, status, "{uri}");
        assert_eq!(bench.database(READ), Some(before.clone()));
    }
    let body =
        json!({ "sqlalchemy_uri": uri(&writer, PASSWORD), "configuration_method": "dynamic_form" });
    for _ in 0..2 {
        assert_eq!(bench.status("PUT", "/api/v1/database/1", &body).await, 200);
    }
    let after = bench.database(READ).expect("there");
    assert_eq!((after.host(), after.changes), (writer, 1), "a repetition changes nothing");
    assert!(!after.uri.contains("ssword"), "{}", after.uri);
}

/// The traps for a client that sends too little or too much.
#[tokio::test]
async fn what_is_left_out_is_reset_and_null_erases() {
    let bench = Bench::logged_in().await;
    bench.change(READ, |database| {
        database.encrypted_extra = Some("{}".to_owned());
        database.ssh_tunnel = Some(json!({}));
    });

    bench.status("PUT", "/api/v1/database/1", &json!({ "unknown": 1 })).await;
    let database = bench.database(READ).expect("there");
    assert_eq!(database.configuration_method, "sqlalchemy_form");
    assert!(database.encrypted_extra.is_some() && database.ssh_tunnel.is_some());

    bench
        .status(
            "PUT",
            "/api/v1/database/1",
            &json!({ "masked_encrypted_extra": null, "ssh_tunnel": null }),
        )
        .await;
    let database = bench.database(READ).expect("there");
    assert!(database.encrypted_extra.is_none() && database.ssh_tunnel.is_none());
}

#[tokio::test]
async fn password_is_decoded_twice() {
    let bench = Bench::logged_in().await;
    bench.sandbox.change_world(|world| {
        world.supersets.accounts.insert(("analytics".to_owned(), "aA".to_owned()));
    });
    let body = json!({ "sqlalchemy_uri": uri(&bench.host(EndpointKind::Reader), "a%2541") });
    assert_eq!(bench.status("PUT", "/api/v1/database/1", &body).await, 200);
    assert_eq!(bench.database(READ).expect("there").password.as_deref(), Some("aA"));
}

#[tokio::test]
async fn stored_uri_is_tested_with_the_stored_password() {
    let bench = Bench::logged_in().await;
    let test = |uri: &str| json!({ "database_name": READ, "sqlalchemy_uri": uri, "extra": "{}" });
    let stored = bench.database(READ).expect("there").uri;
    let path = "/api/v1/database/test_connection/";
    assert_eq!(bench.status("POST", path, &test(&stored)).await, 200);

    bench.change(READ, |database| database.password = Some("wrong".to_owned()));
    let (status, _, body) = bench.ask("POST", path, &test(&stored)).await.expect("an answer");
    assert_eq!(status, 400);
    assert_eq!(body["errors"][0]["error_type"], "CONNECTION_ACCESS_DENIED_ERROR");
}

#[tokio::test]
async fn silent_host_hangs_unless_the_test_has_a_time_out() {
    let bench = Bench::logged_in().await;
    let host = bench.host(EndpointKind::Writer);
    bench.sandbox.change_world(|world| world.supersets.silent_hosts.insert(host.clone()));
    let path = "/api/v1/database/test_connection/";
    let with = |limits: Value| {
        let extra = json!({ "engine_params": { "connect_args": limits } }).to_string();
        json!({ "database_name": READ, "sqlalchemy_uri": uri(&host, PASSWORD), "extra": extra })
    };
    assert!(bench.ask("POST", path, &with(json!({ "connect_timeout": 5 }))).await.is_none());
    assert_eq!(bench.status("POST", path, &with(json!({ "read_timeout": 5 }))).await, 400);
    let change = json!({ "sqlalchemy_uri": uri(&host, PASSWORD) });
    assert!(bench.ask("PUT", "/api/v1/database/1", &change).await.is_none());
}

#[tokio::test]
async fn change_that_was_given_up_is_made_later() {
    let bench = Bench::logged_in().await;
    bench.sandbox.inject(Fault::next(Verb::Slow { factor: 1.0 }, "UpdateDatabase"));
    let body = json!({ "database_name": "renamed", "configuration_method": "dynamic_form" });
    assert!(bench.ask("PUT", "/api/v1/database/1", &body).await.is_none());
    assert!(bench.database(READ).is_some());

    bench.now_ms.fetch_add(12_000, Ordering::Relaxed);
    assert!(bench.database("renamed").is_some() && bench.database(READ).is_none());
}

#[tokio::test]
async fn name_is_taken_once_and_what_is_used_is_not_removed() {
    let bench = Bench::logged_in().await;
    let body = json!({ "database_name": WRITE });
    assert_eq!(bench.status("PUT", "/api/v1/database/1", &body).await, 422);
    assert_eq!(bench.status("DELETE", "/api/v1/database/1", &Value::Null).await, 422);
    assert_eq!(bench.status("DELETE", "/api/v1/database/2", &Value::Null).await, 200);
    assert_eq!(bench.status("DELETE", "/api/v1/database/2", &Value::Null).await, 404);
}

#[tokio::test]
async fn instance_that_is_down_or_silent_answers_nothing() {
    for mood in [Mood::Down, Mood::Silent] {
        let bench = Bench::logged_in().await;
        bench.sandbox.change_world(|world| world.supersets.at_mut(URL).expect("there").mood = mood);
        assert!(bench.ask("GET", "/api/v1/database/1/connection", &Value::Null).await.is_none());
    }
}
