//! The Data API of RDS: SQL over HTTP, as far as asking how far each Region has got.
//!
//! It is the only exact answer to "has everything arrived?": positions, not a lag in milliseconds.
//! A position here is the number of rows that a cluster holds.

mod statement;

use serde_json::{Map, Value, json};

use crate::network::{Connection, Flow};
use crate::rds::Cluster;
use crate::wire::{AwsError, Request, Response, json};
use crate::world::{Pace, World};
use statement::Statement;

/// An address of the service itself, outside of every VPC.
const SERVICE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);

/// What `ExecuteStatement` may carry here.
const KNOWN: [&str; 8] = [
    "resourceArn",
    "secretArn",
    "sql",
    "database",
    "schema",
    "includeResultMetadata",
    "continueAfterTimeout",
    "formatRecordsAs",
];

/// Where a member of a global cluster stands.
pub(crate) struct Position {
    region: String,
    /// Rows that it holds.
    rows: u64,
    /// How far it is behind, in milliseconds; nothing for the writer.
    lag_ms: Option<i64>,
}

/// Answers a call of the Data API.
///
/// # Errors
/// What the Data API answers to a call it refuses; `BadRequestException` for a statement or a
/// member that is not modelled.
pub(crate) fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    if request.operation() != "ExecuteStatement" || request.method != "POST" {
        return Err(AwsError::not_found("UnknownOperationException", ""));
    }
    let members = json::read(&request.body)?;
    if let Some(name) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(bad_request(format!("{name} of ExecuteStatement is not modelled")));
    }
    let arn = required(&members, "resourceArn")?;
    let cluster = world.rds.cluster_by_arn(arn).filter(|c| c.region == request.region);
    let cluster = cluster.ok_or_else(|| bad_request("Invalid cluster arn"))?.clone();
    let statement = Statement::parse(required(&members, "sql")?, &cluster.engine)?;
    check_endpoint(&cluster)?;
    check_secret(world, &cluster, required(&members, "secretArn")?)?;
    check_writer(world, &cluster)?;
    let answer = statement.answer(&positions(world, &cluster), world.now_ms, &members)?;
    Ok(json::answer("application/json", &answer))
}

fn required<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, AwsError> {
    let text = members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| bad_request(format!("{name} is missing")))
}

fn check_endpoint(cluster: &Cluster) -> Result<(), AwsError> {
    if cluster.settings.http_endpoint {
        return Ok(());
    }
    let message = format!("HttpEndpoint is not enabled for resource {}", cluster.arn);
    Err(AwsError::bad_request("HttpEndpointNotEnabledException", message))
}

/// The caller may read a secret that an operator made or that RDS manages for this cluster.
fn check_secret(world: &World, cluster: &Cluster, arn: &str) -> Result<(), AwsError> {
    if world.secrets.is_readable(arn) || cluster.managed_secret_arn.as_deref() == Some(arn) {
        return Ok(());
    }
    let message = format!("Access to the secret {arn} is denied, or it does not exist");
    Err(AwsError::new(403, "ForbiddenException", message))
}

/// Statements run on the writer instance, which a reader of a global cluster does not have.
fn check_writer(world: &World, cluster: &Cluster) -> Result<(), AwsError> {
    if !world.rds.serves(cluster) || cluster.is_reader() {
        let message = "The writer instance in the DB cluster isn't available.";
        return Err(AwsError::new(504, "DatabaseUnavailableException", message));
    }
    let subnets = world.cluster_subnets(&cluster.region, &cluster.id);
    let flow = Flow {
        region: &cluster.region,
        subnets: &subnets,
        groups: &[],
        client: SERVICE,
        port: u16::try_from(cluster.settings.port).unwrap_or_default(),
    };
    let fenced = world.behaviour.data_api_is_fenced
        && !world.network.reachable(&flow, Connection::Established);
    if fenced || world.pace == Pace::Stuck {
        let message = "Request timed out";
        return Err(AwsError::bad_request("StatementTimeoutException", message));
    }
    Ok(())
}

/// Where the members of the cluster's global cluster stand, the writer first; none when it stands
/// alone.
fn positions(world: &mut World, cluster: &Cluster) -> Vec<Position> {
    let Some(global) = cluster.global().map(str::to_owned) else { return Vec::new() };
    let members = world.rds.clusters_in(&global);
    let mut members: Vec<(String, String, bool)> = members
        .map(|c| (c.region.clone(), c.resource_id.clone(), c.resource_id == cluster.resource_id))
        .collect();
    members.sort_by_key(|(region, _, writer)| (!writer, region.clone()));
    let now_ms = world.now_ms;
    let rows = &mut world.rows;
    members
        .into_iter()
        .filter_map(|(region, volume, writer)| {
            rows.catch_up(&volume, now_ms);
            let lag_ms = rows.lag_now(&volume, now_ms);
            // A reader that does not replicate yet has nothing to show.
            let shown = writer || lag_ms.is_some();
            let lag_ms = lag_ms.filter(|_| !writer);
            shown.then(|| Position { region, rows: rows.position(&volume), lag_ms })
        })
        .collect()
}

fn bad_request(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("BadRequestException", message)
}

/// A value as a record carries it.
fn field(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "isNull": true }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(flag) => json!({ "booleanValue": flag }),
        Value::Number(number) if number.is_i64() => json!({ "longValue": number }),
        other => json!({ "doubleValue": other }),
    }
}
