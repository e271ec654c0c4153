//! Looks whether Route 53 has spread its changes, and reads each name back.
//!
//! - **State:** `CheckDns`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `route53:GetChange`, `route53:ListResourceRecordSets`.

use aws_sdk_route53::types::ChangeStatus;
use failback_plan::Answer;
use failback_plan::task::DnsRecord;
use serde::Deserialize;

use crate::aws::Aws;
use crate::cut_over_dns::{ZoneChange, endpoint};
use crate::dns;
use crate::error::{FailbackError, classify};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The records that were moved.
    pub records: Vec<DnsRecord>,
    /// The changes to wait for.
    pub changes: Vec<ZoneChange>,
}

/// Looks.
pub async fn check_dns(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    const CALL: &str = "route53:GetChange";
    let Input { records, changes } = input;
    for ZoneChange { zone_id, change_id } in &changes {
        let answer =
            aws.dns().get_change().id(change_id).send().await.map_err(|e| classify(CALL, e))?;
        let in_sync = answer.change_info().is_some_and(|c| *c.status() == ChangeStatus::Insync);
        if !in_sync {
            return Ok(Answer::pending(format!("the change of {zone_id} is not in sync yet")));
        }
    }
    for record in &records {
        let wanted = endpoint(aws, record).await?;
        let found =
            dns::record(aws, &record.zone_id, &record.name, record.set_identifier.as_deref()).await?;
        let value = found.as_ref().and_then(dns::single_value);
        if value.as_ref() != Some(&wanted) {
            let has = value.unwrap_or_else(|| "nothing".to_owned());
            return Ok(Answer::pending(format!("{} points at {has}", record.name)));
        }
    }
    Ok(Answer::done(format!("{} names are in sync", records.len())))
}
