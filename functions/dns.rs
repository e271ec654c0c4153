//! Route 53 records: looking at them.

use aws_sdk_route53::types::{ResourceRecordSet, RrType};
use failback_plan::seen::DnsSeen;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe::{Read, required};

/// The name of a hosted zone without its final dot, `None` if the zone does not exist.
pub async fn zone_name(aws: &Aws, zone_id: &str) -> Read<Option<String>> {
    const CALL: &str = "route53:GetHostedZone";
    let answer = match aws.dns().get_hosted_zone().id(zone_id).send().await {
        Ok(answer) => answer,
        Err(error) => {
            return match classify(CALL, error) {
                FailbackError::AwsRejected { code, .. } if code == "NoSuchHostedZone" => Ok(None),
                other => Err(other),
            };
        }
    };
    let zone = required(answer.hosted_zone(), CALL, "a hosted zone")?;
    Ok(Some(zone.name().trim_end_matches('.').to_owned()))
}

/// The record of that name and set identifier, whatever its type; a CNAME before any other.
pub async fn record(
    aws: &Aws,
    zone_id: &str,
    name: &str,
    set_identifier: Option<&str>,
) -> Read<Option<ResourceRecordSet>> {
    const CALL: &str = "route53:ListResourceRecordSets";
    let is_ours = |r: &ResourceRecordSet| {
        r.name().trim_end_matches('.').eq_ignore_ascii_case(name.trim_end_matches('.'))
    };
    let answer = aws
        .dns()
        .list_resource_record_sets()
        .hosted_zone_id(zone_id)
        .start_record_name(name)
        .max_items(100)
        .send()
        .await
        .map_err(|e| classify(CALL, e))?;
    let same_name: Vec<_> =
        answer.resource_record_sets().iter().filter(|r| is_ours(r)).cloned().collect();
    let wanted = |r: &&ResourceRecordSet| {
        *r.r#type() == RrType::Cname && r.set_identifier() == set_identifier
    };
    Ok(same_name
        .iter()
        .find(wanted)
        .or_else(|| same_name.iter().find(|r| *r.r#type() != RrType::Cname))
        .cloned())
}

/// The only value of a record, without a final dot.
pub fn single_value(record: &ResourceRecordSet) -> Option<String> {
    match record.resource_records() {
        [only] => Some(only.value().trim_end_matches('.').to_owned()),
        _ => None,
    }
}

/// A record as the plan wants to see it; `None` if the zone does not exist.
pub async fn seen(
    aws: &Aws,
    zone_id: &str,
    name: &str,
    set_identifier: Option<&str>,
) -> Read<Option<DnsSeen>> {
    let Some(zone_name) = zone_name(aws, zone_id).await? else { return Ok(None) };
    let found = record(aws, zone_id, name, set_identifier).await?;
    Ok(Some(DnsSeen {
        zone_id: zone_id.to_owned(),
        name: name.to_owned(),
        set_identifier: set_identifier.map(str::to_owned),
        kind: found.as_ref().map(|r| r.r#type().as_str().to_owned()),
        value: found.as_ref().and_then(single_value),
        zone_name,
    }))
}
