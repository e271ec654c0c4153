//! Looks whether Route 53 has spread its changes, reads each name back, and asks for it where it can.
//!
//! - **State:** `CheckDns`.
//! - **Requires:** nothing.
//! - **Ensures:** nothing; it only reads.
//! - **Idempotent because** it changes nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `route53:GetChange`, `route53:ListResourceRecordSets`,
//!   `route53:TestDNSAnswer`.

use aws_sdk_route53::types::ChangeStatus;
use failback_plan::Answer;
use failback_plan::task::{DnsRecord, Moved, Proven};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::cut_over_dns::{ZoneChange, endpoint, name_moved};
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

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Whether all of them have arrived.
    #[serde(flatten)]
    pub answer: Answer,
    /// Every name, with the proof that was had.
    pub moved: Vec<Moved>,
}

/// Looks.
pub async fn check_dns(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    const CALL: &str = "route53:GetChange";
    let Input { records, changes } = input;
    let pending = |detail: String| Output { answer: Answer::pending(detail), moved: Vec::new() };
    for ZoneChange { zone_id, change_id } in &changes {
        let answer =
            aws.dns().get_change().id(change_id).send().await.map_err(|e| classify(CALL, e))?;
        let in_sync = answer.change_info().is_some_and(|c| *c.status() == ChangeStatus::Insync);
        if !in_sync {
            return Ok(pending(format!("the change of {zone_id} is not in sync yet")));
        }
    }
    let mut moved = Vec::new();
    for record in &records {
        let wanted = endpoint(aws, record).await?;
        let set_identifier = record.set_identifier.as_deref();
        let found = dns::cname(aws, &record.zone_id, &record.name, set_identifier).await?;
        let value = found.as_ref().and_then(dns::single_value);
        if value.as_ref() != Some(&wanted) {
            let has = value.unwrap_or_else(|| "nothing".to_owned());
            return Ok(pending(format!("{} points at {has}", record.name)));
        }
        let answered = match may_be_asked(record) {
            true => dns::answered(aws, &record.zone_id, &record.name).await?,
            false => None,
        };
        match answered {
            Some(values) if values != [wanted.clone()] => {
                let said = values.join(", ");
                return Ok(pending(format!("{} is answered with {said}", record.name)));
            }
            answered => {
                let proof = if answered.is_some() { Proven::Answered } else { Proven::InSync };
                moved.push(Moved { proof: Some(proof), ..name_moved(record, wanted) });
            }
        }
    }
    let detail = format!("{} names are in sync", records.len());
    Ok(Output { answer: Answer::done(detail), moved })
}

/// Name servers of a private zone answer inside its VPCs only, and of a group it is the routing
/// policy that chooses whose value they answer.
fn may_be_asked(record: &DnsRecord) -> bool {
    !record.zone_is_private && record.set_identifier.is_none()
}
