//! The Route 53 operations: restXml in both directions.

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use super::batch::{Action, RecordChange};
use super::record::{RecordKey, reversed};
use super::{Alias, Change, Dns, Moment, RecordSet, Routing, Zone, normalise};
use crate::wire::{AwsError, Params, ROUTE53_NAMESPACE, Request, Response, Xml, iso8601};
use crate::world::{Pace, World};

/// The longest a change takes to reach every name server, in milliseconds.
const SYNC_MS_MAX: i64 = 60_000;

/// The most record sets a page holds.
const RECORDS_PER_PAGE: usize = 300;
/// The most zones a page holds.
const ZONES_PER_PAGE: usize = 100;

/// Answers a Route 53 call.
///
/// # Errors
/// What Route 53 answers to a call it refuses; `InvalidAction` for an operation not modelled.
pub(crate) fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    let params = Params::parse(request.query.as_bytes());
    let id = request.path.split('/').nth(3).unwrap_or_default();
    let answer = match request.operation().as_str() {
        "ChangeResourceRecordSets" => change_records(world, id, &request.body),
        "GetChange" => world.dns.get_change(world.now_ms, id),
        "ListResourceRecordSets" => world.dns.list_records(id, &params),
        "GetHostedZone" => world.dns.get_zone(id),
        "TestDNSAnswer" => world.dns.test_answer(&params, world.now_ms),
        "ListHostedZones" => world.dns.list_zones(&params),
        "ListHostedZonesByName" => world.dns.list_zones_by_name(&params),
        other => Err(AwsError::unknown_operation(other)),
    };
    answer.map(Response::xml)
}

fn change_records(world: &mut World, id: &str, body: &[u8]) -> Result<String, AwsError> {
    world.dns.zone(id)?;
    let (changes, comment) = read_batch(body)?;
    let sync_s = world.behaviour.timings.dns_sync_s;
    let drawn_ms = world.draw_ms(sync_s);
    let normal = world.pace == Pace::Normal;
    let moment = Moment {
        now_ms: world.now_ms,
        // A minute is what Route 53 promises, unless something goes wrong.
        pending_ms: if normal { drawn_ms.min(SYNC_MS_MAX) } else { drawn_ms },
        busy_ms: world.behaviour.dns_busy_ms,
        served_before_sync: world.behaviour.dns_served_before_sync,
    };
    let change_id = world.dns.submit(moment, id, &changes, comment)?;
    let change = world.dns.change(&change_id)?;
    Ok(respond("ChangeResourceRecordSets", |xml| {
        write_change(xml, &change_id, change, world.now_ms);
    }))
}

impl Dns {
    fn zone(&self, id: &str) -> Result<&Zone, AwsError> {
        self.zones.get(id).ok_or_else(|| no_such_zone(id))
    }

    fn change(&self, id: &str) -> Result<&Change, AwsError> {
        self.changes.get(id).ok_or_else(|| {
            AwsError::not_found("NoSuchChange", format!("Could not find resource with ID: {id}"))
        })
    }

    fn get_change(&self, now_ms: i64, id: &str) -> Result<String, AwsError> {
        let change = self.change(id)?;
        Ok(respond("GetChange", |xml| write_change(xml, id, change, now_ms)))
    }

    fn list_records(&self, id: &str, params: &Params) -> Result<String, AwsError> {
        let zone = self.zone(id)?;
        let size = page_size(params, RECORDS_PER_PAGE)?;
        let start = params.get("name").map(|name| {
            let record_type = params.get("type").unwrap_or_default();
            RecordKey::new(name, record_type, params.get("identifier"))
        });
        if params.has("type") && start.is_none() {
            return Err(invalid_input(
                "Start record type is not allowed without start record name",
            ));
        }
        let mut left = zone.current().filter(|r| start.as_ref().is_none_or(|s| r.key() >= *s));
        let page: Vec<&RecordSet> = left.by_ref().take(size).collect();
        let next = left.next();
        Ok(respond("ListResourceRecordSets", |xml| {
            xml.list("ResourceRecordSets", "ResourceRecordSet", page, write_record);
            xml.text("IsTruncated", next.is_some());
            if let Some(next) = next {
                xml.text("NextRecordName", &next.name);
                xml.text("NextRecordType", &next.record_type);
                xml.maybe("NextRecordIdentifier", next.set_identifier.as_ref());
            }
            xml.text("MaxItems", size);
        }))
    }

    fn get_zone(&self, id: &str) -> Result<String, AwsError> {
        let zone = self.zone(id)?;
        Ok(respond("GetHostedZone", |xml| {
            write_zone(xml, (id, zone));
            if zone.private_to.is_empty() {
                xml.element("DelegationSet", |xml| {
                    let servers = ["ns-0.awsdns-00.com", "ns-512.awsdns-00.net"];
                    xml.texts("NameServers", "NameServer", servers);
                });
            } else {
                xml.list("VPCs", "VPC", &zone.private_to, |xml, vpc| {
                    xml.text("VPCRegion", &vpc.region);
                    xml.text("VPCId", &vpc.vpc);
                });
            }
        }))
    }

    /// What the name servers of a public zone answer at this moment.
    fn test_answer(&self, params: &Params, now_ms: i64) -> Result<String, AwsError> {
        let given = |name: &str| {
            let missing = || invalid_input(format!("Missing required parameter: {name}"));
            params.get(name).filter(|text| !text.is_empty()).ok_or_else(missing)
        };
        let zone = self.zone(given("hostedzoneid")?)?;
        let (name, record_type) = (normalise(given("recordname")?), given("recordtype")?);
        for other in ["resolverip", "edns0clientsubnetip", "edns0clientsubnetmask"] {
            if params.has(other) {
                return Err(invalid_input(format!("{other} is not modelled")));
            }
        }
        if !zone.private_to.is_empty() {
            return Err(invalid_input("TestDNSAnswer only supports public hosted zones"));
        }
        let record = zone.answer_of_type(&name, record_type, now_ms);
        Ok(respond("TestDNSAnswer", |xml| {
            xml.text("Nameserver", "ns-0.awsdns-00.com");
            xml.text("RecordName", &name);
            xml.text("RecordType", record_type);
            let values = record.map(|record| record.values.as_slice()).unwrap_or_default();
            xml.texts("RecordData", "RecordDataEntry", values);
            xml.text("ResponseCode", if record.is_some() { "NOERROR" } else { "NXDOMAIN" });
            xml.text("Protocol", "UDP");
        }))
    }

    fn list_zones(&self, params: &Params) -> Result<String, AwsError> {
        let size = page_size(params, ZONES_PER_PAGE)?;
        let marker = params.get("marker").unwrap_or_default().to_owned();
        let mut left = self.zones.range(marker.clone()..).map(|(id, zone)| (id.as_str(), zone));
        let page: Vec<(&str, &Zone)> = left.by_ref().take(size).collect();
        let next = left.next();
        Ok(respond("ListHostedZones", |xml| {
            xml.list("HostedZones", "HostedZone", page, write_zone_content);
            xml.text("Marker", &marker);
            xml.text("IsTruncated", next.is_some());
            xml.maybe("NextMarker", next.map(|(id, _)| id));
            xml.text("MaxItems", size);
        }))
    }

    fn list_zones_by_name(&self, params: &Params) -> Result<String, AwsError> {
        let size = page_size(params, ZONES_PER_PAGE)?;
        let order = |name: &str, id: &str| (reversed(name), id.to_owned());
        let from_name = params.get("dnsname").map(normalise);
        let from_id = params.get("hostedzoneid").unwrap_or_default();
        let start = from_name.as_ref().map(|name| order(name, from_id));
        let mut zones: Vec<(&str, &Zone)> =
            self.zones.iter().map(|(id, zone)| (id.as_str(), zone)).collect();
        zones.sort_by_key(|(id, zone)| order(&zone.name, id));
        let mut left = zones.into_iter().filter(|(id, zone)| {
            start.as_ref().is_none_or(|start| order(&zone.name, id) >= *start)
        });
        let page: Vec<(&str, &Zone)> = left.by_ref().take(size).collect();
        let next = left.next();
        Ok(respond("ListHostedZonesByName", |xml| {
            xml.list("HostedZones", "HostedZone", page, write_zone_content);
            xml.maybe("DNSName", from_name.as_ref());
            xml.text("IsTruncated", next.is_some());
            if let Some((id, zone)) = next {
                xml.text("NextDNSName", &zone.name);
                xml.text("NextHostedZoneId", id);
            }
            xml.text("MaxItems", size);
        }))
    }
}

pub(super) fn no_such_zone(id: &str) -> AwsError {
    AwsError::not_found("NoSuchHostedZone", format!("No hosted zone found with ID: {id}"))
}

pub(super) fn prior_request_not_complete() -> AwsError {
    let message = "The request was rejected because Route 53 was still processing a prior request.";
    AwsError::bad_request("PriorRequestNotComplete", message)
}

fn invalid_input(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidInput", message)
}

/// A page's size; more than Route 53 gives is taken down to what it gives.
fn page_size(params: &Params, most: usize) -> Result<usize, AwsError> {
    match params.int("maxitems").map_err(|error| invalid_input(error.message))? {
        None => Ok(most),
        Some(asked) => match usize::try_from(asked) {
            Ok(asked @ 1..) => Ok(asked.min(most)),
            _ => Err(invalid_input("MaxItems must be at least 1")),
        },
    }
}

fn respond(operation: &str, content: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::new();
    xml.root(&format!("{operation}Response"), ROUTE53_NAMESPACE, content);
    xml.finish()
}

fn write_change(xml: &mut Xml, id: &str, change: &Change, now_ms: i64) {
    xml.element("ChangeInfo", |xml| {
        xml.text("Id", format!("/change/{id}"));
        let in_sync = change.in_sync_at_ms <= now_ms;
        xml.text("Status", if in_sync { "INSYNC" } else { "PENDING" });
        xml.text("SubmittedAt", iso8601(change.submitted_at_ms));
        xml.maybe("Comment", change.comment.as_ref());
    });
}

fn write_zone(xml: &mut Xml, zone: (&str, &Zone)) {
    xml.element("HostedZone", |xml| write_zone_content(xml, zone));
}

fn write_zone_content(xml: &mut Xml, (id, zone): (&str, &Zone)) {
    xml.text("Id", format!("/hostedzone/{id}"));
    xml.text("Name", &zone.name);
    xml.text("CallerReference", id);
    xml.element("Config", |xml| xml.text("PrivateZone", !zone.private_to.is_empty()));
    xml.text("ResourceRecordSetCount", zone.current().count());
}

fn write_record(xml: &mut Xml, record: &RecordSet) {
    xml.text("Name", &record.name);
    xml.text("Type", &record.record_type);
    xml.maybe("SetIdentifier", record.set_identifier.as_ref());
    if let Some(routing) = &record.routing {
        xml.text(routing.policy, &routing.value);
    }
    xml.maybe("TTL", record.ttl_s);
    if let Some(alias) = &record.alias {
        xml.element("AliasTarget", |xml| {
            xml.text("HostedZoneId", &alias.hosted_zone_id);
            xml.text("DNSName", &alias.dns_name);
            xml.text("EvaluateTargetHealth", alias.evaluate_target_health);
        });
    } else {
        xml.list("ResourceRecords", "ResourceRecord", &record.values, |xml, value| {
            xml.text("Value", value);
        });
    }
    xml.maybe("HealthCheckId", record.health_check_id.as_ref());
}

/// Reads `ChangeResourceRecordSetsRequest`.
fn read_batch(body: &[u8]) -> Result<(Vec<RecordChange>, Option<String>), AwsError> {
    let unreadable = |error: XmlDecodeError| invalid_input(format!("Malformed XML: {error}"));
    let mut document = Document::try_from(body).map_err(unreadable)?;
    let mut root = document.root_element().map_err(unreadable)?;
    let mut changes = Vec::new();
    let mut comment = None;
    while let Some(mut batch) = root.next_tag() {
        while let Some(mut tag) = batch.next_tag() {
            if tag.start_el().matches("Comment") {
                comment = Some(text(&mut tag).map_err(unreadable)?);
            } else if tag.start_el().matches("Changes") {
                while let Some(mut change) = tag.next_tag() {
                    changes.push(read_change(&mut change).map_err(unreadable)??);
                }
            }
        }
    }
    Ok((changes, comment))
}

fn text(tag: &mut ScopedDecoder<'_, '_>) -> Result<String, XmlDecodeError> {
    try_data(tag).map(|text| text.into_owned())
}

fn read_change(
    change: &mut ScopedDecoder<'_, '_>,
) -> Result<Result<RecordChange, AwsError>, XmlDecodeError> {
    let mut action = String::new();
    let mut record = None;
    while let Some(mut tag) = change.next_tag() {
        match tag.start_el().local() {
            "Action" => action = text(&mut tag)?,
            "ResourceRecordSet" => record = Some(read_record(&mut tag)?),
            _ => {}
        }
    }
    Ok(match (Action::parse(&action), record) {
        (Some(action), Some(record)) => Ok(RecordChange { action, record }),
        (None, _) => Err(invalid_input(format!("Unknown action '{action}'"))),
        (_, None) => Err(invalid_input("Missing field 'ResourceRecordSet'")),
    })
}

fn read_record(tag: &mut ScopedDecoder<'_, '_>) -> Result<RecordSet, XmlDecodeError> {
    let mut record =
        RecordSet { ttl_s: None, values: Vec::new(), ..RecordSet::simple("", "", 0, "") };
    while let Some(mut tag) = tag.next_tag() {
        let element = tag.start_el().local().to_owned();
        match element.as_str() {
            "Name" => record.name = normalise(&text(&mut tag)?),
            "Type" => record.record_type = text(&mut tag)?,
            "SetIdentifier" => record.set_identifier = Some(text(&mut tag)?),
            "HealthCheckId" => record.health_check_id = Some(text(&mut tag)?),
            "TTL" => {
                let ttl = text(&mut tag)?;
                let number = ttl.parse().map_err(|_| XmlDecodeError::custom("TTL is no number"))?;
                record.ttl_s = Some(number);
            }
            "ResourceRecords" => {
                while let Some(mut value) = tag.next_tag() {
                    while let Some(mut inner) = value.next_tag() {
                        record.values.push(text(&mut inner)?);
                    }
                }
            }
            "AliasTarget" => record.alias = Some(read_alias(&mut tag)?),
            other => {
                let policies = ["Weight", "Region", "Failover", "MultiValueAnswer"];
                if let Some(policy) = policies.into_iter().find(|policy| *policy == other) {
                    record.routing = Some(Routing { policy, value: text(&mut tag)? });
                }
            }
        }
    }
    Ok(record)
}

fn read_alias(tag: &mut ScopedDecoder<'_, '_>) -> Result<Alias, XmlDecodeError> {
    let mut alias = Alias {
        hosted_zone_id: String::new(),
        dns_name: String::new(),
        evaluate_target_health: false,
    };
    while let Some(mut tag) = tag.next_tag() {
        match tag.start_el().local() {
            "HostedZoneId" => alias.hosted_zone_id = text(&mut tag)?,
            "DNSName" => alias.dns_name = text(&mut tag)?,
            "EvaluateTargetHealth" => alias.evaluate_target_health = text(&mut tag)? == "true",
            _ => {}
        }
    }
    Ok(alias)
}
