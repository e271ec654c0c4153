//! Points names at the endpoints of the rebuilt clusters.
//!
//! - **State:** `CutOverDns`, followed by `CheckDns`.
//! - **Requires:** each record is a CNAME with one value, which alone is changed.
//! - **Ensures:** Route 53 has accepted one batch for each hosted zone, or the names had moved before.
//! - **Idempotent because** a name with the right value is left out, and UPSERT repeats to the same.
//! - **Answers:** DONE.
//! - **Calls:** `rds:DescribeDBClusters`, `route53:ListResourceRecordSets`,
//!   `route53:ChangeResourceRecordSets`.

use std::collections::BTreeMap;

use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use failback_plan::Answer;
use failback_plan::steps::NotAsPlanned;
use failback_plan::task::{DnsRecord, EndpointKind};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe::required;
use crate::{dns, observe};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The records to move.
    pub records: Vec<DnsRecord>,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Always done: the change is accepted as a whole or not at all.
    #[serde(flatten)]
    pub answer: Answer,
    /// Changes to wait for.
    pub changes: Vec<ZoneChange>,
    /// Every name, with the value it had and the value it gets.
    pub moved: Vec<Moved>,
}

/// A change that Route 53 is spreading.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneChange {
    /// Hosted zone id.
    pub zone_id: String,
    /// Change id for `GetChange`.
    pub change_id: String,
}

/// A name that was pointed elsewhere.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// The name.
    pub name: String,
    /// Its value before.
    pub from: Option<String>,
    /// Its value now.
    pub to: String,
}

/// Looks, decides, changes each zone at most once.
pub async fn cut_over_dns(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { records } = input;
    let mut batches: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let mut moved = Vec::new();
    for record in &records {
        let to = endpoint(aws, record).await?;
        let existing =
            dns::record(aws, &record.zone_id, &record.name, record.set_identifier.as_deref()).await?;
        let Some(existing) = existing.filter(|r| *r.r#type() == RrType::Cname) else {
            let text = format!("{} is no CNAME record any more", record.name);
            return Err(NotAsPlanned(text).into());
        };
        let from = dns::single_value(&existing);
        if from.as_deref() != Some(&to) || existing.ttl() != Some(record.ttl_s) {
            let change = upsert(record, existing, &to)?;
            batches.entry(record.zone_id.clone()).or_default().push(change);
        }
        moved.push(Moved { name: record.name.clone(), from, to });
    }
    let mut changes = Vec::new();
    for (zone_id, batch) in batches {
        let change_id = change(aws, &zone_id, batch).await?;
        changes.push(ZoneChange { zone_id, change_id });
    }
    let detail = format!("{} names point at their endpoints", moved.len());
    Ok(Output { answer: Answer::done(detail), changes, moved })
}

/// Read anew: a rebuilt cluster's endpoint is known only once it exists.
pub(crate) async fn endpoint(aws: &Aws, record: &DnsRecord) -> Result<String, FailbackError> {
    const CALL: &str = "rds:DescribeDBClusters";
    let cluster = observe::cluster(aws, &record.region, &record.cluster_id).await?;
    let endpoint = cluster.and_then(|c| match record.endpoint {
        EndpointKind::Writer => c.endpoint,
        EndpointKind::Reader => c.reader_endpoint,
    });
    required(endpoint, CALL, &format!("the endpoint of {}", record.cluster_id))
}

/// Routing policy and health check stay as they are.
fn upsert(
    record: &DnsRecord,
    existing: ResourceRecordSet,
    to: &str,
) -> Result<Change, FailbackError> {
    let unbuilt = |e: aws_sdk_route53::error::BuildError| FailbackError::AwsAnswerUnreadable {
        call: "route53:ChangeResourceRecordSets",
        what: e.to_string(),
    };
    let value = ResourceRecord::builder().value(to).build().map_err(unbuilt)?;
    let mut set = existing;
    set.ttl = Some(record.ttl_s);
    set.resource_records = Some(vec![value]);
    Change::builder()
        .action(ChangeAction::Upsert)
        .resource_record_set(set)
        .build()
        .map_err(unbuilt)
}

async fn change(aws: &Aws, zone_id: &str, changes: Vec<Change>) -> Result<String, FailbackError> {
    const CALL: &str = "route53:ChangeResourceRecordSets";
    let batch = ChangeBatch::builder().set_changes(Some(changes)).build().map_err(|e| {
        FailbackError::AwsAnswerUnreadable { call: CALL, what: e.to_string() }
    })?;
    let request = aws.dns().change_resource_record_sets().hosted_zone_id(zone_id);
    let answer = request.change_batch(batch).send().await.map_err(|e| classify(CALL, e))?;
    let info = required(answer.change_info(), CALL, "a change id")?;
    Ok(info.id().trim_start_matches("/change/").to_owned())
}
