//! Points names at the endpoints of the rebuilt clusters.
//!
//! - **State:** `CutOverDns`, followed by `CutOverSecret` and `CheckDns`.
//! - **Requires:** each record is a CNAME with one value, which alone is changed.
//! - **Ensures:** Route 53 has accepted one batch for each hosted zone, or the names had moved before.
//! - **Idempotent because** a name with the right value is left out, and UPSERT repeats to the same.
//! - **Answers:** DONE.
//! - **Calls:** `rds:DescribeDBClusters`, `route53:ListResourceRecordSets`,
//!   `route53:ChangeResourceRecordSets`.

use std::collections::BTreeMap;

use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet,
};
use failback_plan::Answer;
use failback_plan::steps::NotAsPlanned;
use failback_plan::task::{ConsumerKind, DnsRecord, Moved};
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

/// Looks, decides, changes each zone at most once. A zone that cannot be changed keeps no other
/// from being changed.
pub async fn cut_over_dns(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { records } = input;
    let mut zones: BTreeMap<&str, Vec<&DnsRecord>> = BTreeMap::new();
    for record in &records {
        zones.entry(&record.zone_id).or_default().push(record);
    }
    let (mut changes, mut moved, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for (zone_id, records) in zones {
        match change_zone(aws, zone_id, &records).await {
            Ok((change_id, names)) => {
                moved.extend(names);
                changes.extend(change_id.map(|change_id| {
                    let zone_id = zone_id.to_owned();
                    ZoneChange { zone_id, change_id }
                }));
            }
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(failure) = FailbackError::worst(failures) {
        return Err(failure);
    }
    let detail = format!("{} names point at their endpoints", moved.len());
    Ok(Output { answer: Answer::done(detail), changes, moved })
}

/// All names of a zone in one batch, which Route 53 carries out as a whole or not at all.
async fn change_zone(
    aws: &Aws,
    zone_id: &str,
    records: &[&DnsRecord],
) -> Result<(Option<String>, Vec<Moved>), FailbackError> {
    let (mut batch, mut moved) = (Vec::new(), Vec::new());
    for record in records {
        let to = endpoint(aws, record).await?;
        let set_identifier = record.set_identifier.as_deref();
        let existing = dns::cname(aws, zone_id, &record.name, set_identifier).await?;
        let existing = existing.filter(|existing| existing.alias_target().is_none());
        let Some(existing) = existing else {
            let text = format!("{} is no CNAME record any more", record.name);
            return Err(NotAsPlanned(text).into());
        };
        let is_right = dns::single_value(&existing).as_deref() == Some(&to);
        if !is_right || existing.ttl() != Some(record.ttl_s) {
            batch.push(upsert(record, existing, &to)?);
        }
        moved.push(name_moved(record, to));
    }
    if batch.is_empty() {
        return Ok((None, moved));
    }
    Ok((Some(change(aws, zone_id, batch).await?), moved))
}

/// What is reported of a name.
pub(crate) fn name_moved(record: &DnsRecord, to: String) -> Moved {
    let which = record.set_identifier.as_ref().map(|id| format!(" ({id})"));
    Moved {
        consumer: ConsumerKind::Dns,
        name: format!("{}{}", record.name, which.unwrap_or_default()),
        place: record.zone_id.clone(),
        from: record.was.clone(),
        to,
        proof: None,
    }
}

/// Where a record shall point.
pub(crate) async fn endpoint(aws: &Aws, record: &DnsRecord) -> Result<String, FailbackError> {
    observe::endpoint(aws, &record.region, &record.cluster_id, record.endpoint).await
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
