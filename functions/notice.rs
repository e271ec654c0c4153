//! Events of AWS Health and of CloudWatch alarms, in the words of the plan.
//!
//! Sources: AWS Health User Guide, "Reference: AWS Health events Amazon EventBridge schema";
//! CloudWatch User Guide, "Alarm events and EventBridge".

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use failback_plan::InvalidRequest;
use failback_plan::incident::{Notice, Says};
use serde::Deserialize;
use serde_json::Value;

/// What EventBridge wraps every event in. It has further fields, and may get more.
#[derive(Debug, Clone, Deserialize)]
pub struct Envelope {
    /// EventBridge's own id.
    pub id: String,
    /// Who says it.
    pub source: String,
    /// What kind of thing is said.
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    /// When it was handed to EventBridge.
    pub time: String,
    /// What it is about: of an alarm, its ARN.
    #[serde(default)]
    pub resources: Vec<String>,
    /// What is said.
    pub detail: Value,
}

/// A notice, or why the event is none.
pub(crate) type Read = Result<Result<Notice, String>, InvalidRequest>;

/// Reads an event. It is none of ours when it is not about `home`, or about another account's things.
///
/// # Errors
/// A field without which it cannot be judged is missing or cannot be read.
pub(crate) fn read(event: &Envelope, home: &str, account: &str) -> Read {
    match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.health", "AWS Health Event") => health(event, home, account),
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => alarm(event),
        (source, kind) => Ok(Err(format!("{kind} of {source} says nothing about a Region"))),
    }
}

/// AWS's own sample of an event that is resolved still has the status `open`: its end is what tells.
fn health(event: &Envelope, home: &str, account: &str) -> Read {
    let detail = &event.detail;
    let maybe = |field: &str| detail[field].as_str().filter(|text| !text.is_empty());
    let text = |field: &str| maybe(field).ok_or_else(|| invalid(field, "is missing"));
    let (about, region) = (text("eventArn")?, text("eventRegion")?);
    let other = |why: String| Ok(Err(format!("{about} {why}")));
    if region != home {
        return other(format!("is about {region}"));
    }
    if text("eventTypeCategory")? != "issue" {
        return other("is no issue".to_owned());
    }
    // Where an organization's events come together, those of other accounts come, too.
    let theirs = maybe("affectedAccount").filter(|affected| *affected != account);
    if let Some(theirs) = theirs
        && text("eventScopeCode")? != "PUBLIC"
    {
        return other(format!("is about the account {theirs}"));
    }
    let moment = |field: &str| maybe(field).map(|text| date(field, text)).transpose();
    let time_ms = date("time", &event.time)?;
    let updated_ms = moment("lastUpdatedTime")?.unwrap_or(time_ms);
    // An end that lies ahead is a forecast.
    let end_ms = moment("endTime")?.filter(|end_ms| *end_ms <= time_ms.max(updated_ms));
    // An end counts from then on, however the update is dated.
    let said_ms = updated_ms.max(end_ms.unwrap_or_default());
    let says = match text("statusCode")? {
        "closed" => Says::Well { again: true },
        "open" if end_ms.is_some() => Says::Well { again: true },
        "open" => Says::Trouble,
        status => return other(format!("is {status}")),
    };
    Ok(Ok(Notice {
        about: about.to_owned(),
        communication: maybe("communicationId").unwrap_or(&event.id).to_owned(),
        what: text("service")?.to_owned(),
        says,
        said_ms,
    }))
}

fn alarm(event: &Envelope) -> Read {
    let detail = &event.detail;
    let text = |field: &str, value: &Value| {
        value.as_str().map(str::to_owned).ok_or_else(|| invalid(field, "is missing"))
    };
    let said = text("state.timestamp", &detail["state"]["timestamp"])?;
    let says = match text("state.value", &detail["state"]["value"])?.as_str() {
        "OK" => Says::Well { again: detail["previousState"]["value"] == "ALARM" },
        "ALARM" => Says::Trouble,
        _ => Says::Nothing,
    };
    let about = event.resources.first().ok_or_else(|| invalid("resources", "names no alarm"))?;
    Ok(Ok(Notice {
        about: about.clone(),
        said_ms: date("state.timestamp", &said)?,
        // Delivered twice, it says the same of the same moment.
        communication: said,
        what: text("alarmName", &detail["alarmName"])?,
        says,
    }))
}

fn invalid(field: &str, problem: &str) -> InvalidRequest {
    InvalidRequest { field: format!("detail.{field}"), problem: format!("of the event {problem}") }
}

/// Epoch milliseconds. AWS Health writes `Fri, 27 Jan 2023 09:01:22 GMT`, EventBridge
/// `2023-01-27T09:01:22Z`, CloudWatch `2019-10-02T17:04:40.985+0000`.
fn date(field: &str, text: &str) -> Result<i64, InvalidRequest> {
    let with_colon = match text.split_at_checked(text.len().saturating_sub(5)) {
        Some((head, "+0000")) => format!("{head}Z"),
        _ => text.to_owned(),
    };
    DateTime::from_str(&with_colon, Format::DateTimeWithOffset)
        .or_else(|_| DateTime::from_str(text, Format::HttpDate))
        .ok()
        .and_then(|moment| moment.to_millis().ok())
        .ok_or_else(|| invalid(field, &format!("is no date: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_date_is_read() {
        for (text, ms) in [
            ("Fri, 27 Jan 2023 09:01:22 GMT", 1_674_810_082_000),
            ("2023-01-27T09:01:22Z", 1_674_810_082_000),
            ("2019-10-02T17:04:40.985+0000", 1_570_035_880_985),
            ("2019-10-02T19:04:40+02:00", 1_570_035_880_000),
        ] {
            assert_eq!(date("time", text), Ok(ms), "{text}");
        }
        let error = date("endTime", "soon").expect_err("it is no date");
        assert_eq!(error.field, "detail.endTime");
    }
}
