//! Route 53 records: looking at them.

use aws_sdk_route53::types::{ResourceRecordSet, RrType};
use failback_plan::seen::DnsSeen;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe::{Read, absent_if, required};

/// As many records as one page holds: at one name there can be a hundred.
const RECORDS_PER_PAGE: i32 = 300;

/// A hosted zone.
struct Zone {
    /// Its name without the final dot.
    name: String,
    is_private: bool,
}

/// A hosted zone, `None` if it does not exist or is another account's.
async fn zone(aws: &Aws, zone_id: &str) -> Read<Option<Zone>> {
    const CALL: &str = "route53:GetHostedZone";
    let answer = match aws.dns().get_hosted_zone().id(zone_id).send().await {
        Ok(answer) => answer,
        Err(error) => return absent_if(classify(CALL, error), "NoSuchHostedZone"),
    };
    let zone = required(answer.hosted_zone(), CALL, "a hosted zone")?;
    Ok(Some(Zone {
        name: zone.name().trim_end_matches('.').to_owned(),
        is_private: zone.config().is_some_and(|config| config.private_zone()),
    }))
}

/// All records of a name, of whatever type.
async fn records(aws: &Aws, zone_id: &str, name: &str) -> Read<Vec<ResourceRecordSet>> {
    const CALL: &str = "route53:ListResourceRecordSets";
    let name = name.trim_end_matches('.');
    // A wildcard is listed as its escape.
    let listed_as = name.strip_prefix("*.").map(|rest| format!("\\052.{rest}"));
    let listed_as = listed_as.as_deref().unwrap_or(name);
    let is_ours =
        |r: &ResourceRecordSet| r.name().trim_end_matches('.').eq_ignore_ascii_case(listed_as);
    let request = aws.dns().list_resource_record_sets().hosted_zone_id(zone_id);
    let request = request.start_record_name(name).max_items(RECORDS_PER_PAGE);
    let answer = request.send().await.map_err(|e| classify(CALL, e))?;
    Ok(answer.resource_record_sets().iter().filter(|r| is_ours(r)).cloned().collect())
}

/// The CNAME record of that name and set identifier.
pub async fn cname(
    aws: &Aws,
    zone_id: &str,
    name: &str,
    set_identifier: Option<&str>,
) -> Read<Option<ResourceRecordSet>> {
    let records = records(aws, zone_id, name).await?;
    Ok(records.into_iter().find(|r| is_cname(r) && r.set_identifier() == set_identifier))
}

fn is_cname(record: &ResourceRecordSet) -> bool {
    *record.r#type() == RrType::Cname
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
    let Some(zone) = zone(aws, zone_id).await? else { return Ok(None) };
    let records = records(aws, zone_id, name).await?;
    let wanted = records.iter().find(|r| is_cname(r) && r.set_identifier() == set_identifier);
    let found = wanted.or_else(|| records.iter().find(|r| !is_cname(r)));
    let beside = records.iter().filter(|r| is_cname(r)).filter_map(|r| r.set_identifier());
    Ok(Some(DnsSeen {
        zone_id: zone_id.to_owned(),
        name: name.to_owned(),
        set_identifier: set_identifier.map(str::to_owned),
        kind: found.map(|r| r.r#type().as_str().to_owned()),
        value: found.and_then(single_value),
        ttl_s: found.and_then(|r| r.ttl()),
        traffic_policy: found.and_then(|r| r.traffic_policy_instance_id()).map(str::to_owned),
        set_identifiers: beside.map(str::to_owned).collect(),
        zone_name: zone.name,
        zone_is_private: zone.is_private,
    }))
}

/// What Route 53's name servers answer to a question for a CNAME; `None` where they cannot be
/// asked, as in a private zone, or were not to be.
pub async fn answered(aws: &Aws, zone_id: &str, name: &str) -> Read<Option<Vec<String>>> {
    const CALL: &str = "route53:TestDNSAnswer";
    let request = aws.dns().test_dns_answer().hosted_zone_id(zone_id);
    let answer = request.record_name(name).record_type(RrType::Cname).send().await;
    match answer {
        Ok(answer) => {
            let values = answer.record_data().iter();
            Ok(Some(values.map(|value| value.trim_end_matches('.').to_owned()).collect()))
        }
        Err(error) => match classify(CALL, error) {
            // A proof that is not to be had is said to be missing; it is no reason to hold clients up.
            FailbackError::AwsRejected { .. } => Ok(None),
            other => Err(other),
        },
    }
}
