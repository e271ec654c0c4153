//! A batch of changes: all of it happens or nothing.

use std::collections::BTreeMap;

use super::Zone;
use super::record::{RecordKey, RecordSet, Routing};
use crate::spec::{RecordSpec, RoutingSpec};
use crate::wire::AwsError;

/// What a change does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Upsert,
    Delete,
}

impl Action {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "CREATE" => Some(Self::Create),
            "UPSERT" => Some(Self::Upsert),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}

/// One change of a batch.
#[derive(Debug, Clone)]
pub(super) struct RecordChange {
    pub(super) action: Action,
    pub(super) record: RecordSet,
}

impl RecordChange {
    /// The creation of a record of a world's file.
    pub(super) fn creation(spec: &RecordSpec) -> Self {
        let simple = RecordSet::simple(&spec.name, &spec.record_type, i64::from(spec.ttl_s), "");
        let routing = spec.routing.as_ref().map(|routing| match routing {
            RoutingSpec::Weight(weight) => Routing { policy: "Weight", value: weight.to_string() },
            RoutingSpec::Region(region) => Routing { policy: "Region", value: region.clone() },
            RoutingSpec::Failover(role) => Routing { policy: "Failover", value: role.clone() },
        });
        let record = RecordSet {
            values: spec.values.clone(),
            set_identifier: spec.set_identifier.clone(),
            routing,
            health_check_id: spec.health_check_id.clone(),
            ..simple
        };
        Self { action: Action::Create, record }
    }
}

/// What a batch makes of the records it names: their new content, or none for a deleted one.
type Written = BTreeMap<RecordKey, Option<RecordSet>>;

/// Works a batch out against a zone, without writing it.
///
/// # Errors
/// `InvalidChangeBatch` with every reason, `InvalidInput` for a record that is no record.
pub(super) fn apply(zone: &Zone, changes: &[RecordChange]) -> Result<Written, AwsError> {
    if changes.is_empty() || changes.len() > 1_000 {
        return Err(AwsError::bad_request(
            "InvalidInput",
            "1 validation error detected: Value at 'changeBatch.changes' failed to satisfy \
             constraint: Member must have between 1 and 1000 elements",
        ));
    }
    let mut reasons = Vec::new();
    let mut written = Written::new();
    for change in changes {
        let record = &change.record;
        well_formed(record)?;
        reasons.extend(refuse_alone(zone, record));
        let key = record.key();
        let held = match written.get(&key) {
            Some(earlier) => earlier.clone(),
            None => zone.records.get(&key).and_then(|timeline| timeline.current()).cloned(),
        };
        reasons.extend(refuse_against(change, held.as_ref()));
        let after = (change.action != Action::Delete).then(|| record.clone());
        written.insert(key, after);
    }
    reasons.extend(conflicts(zone, &written));
    reasons.extend(apex_lost(zone, &written));
    if reasons.is_empty() {
        return Ok(written);
    }
    reasons.dedup();
    Err(AwsError::bad_request("InvalidChangeBatch", format!("[{}]", reasons.join(", "))))
}

/// What no zone takes, because it is not a record.
fn well_formed(record: &RecordSet) -> Result<(), AwsError> {
    let fault = match (&record.alias, record.ttl_s) {
        (None, None) => "Missing field 'TTL'",
        (None, Some(ttl)) if !(0..=i64::from(i32::MAX)).contains(&ttl) => "TTL out of range",
        (None, _) if record.values.is_empty() => "Missing field 'ResourceRecords'",
        (Some(_), Some(_)) => {
            "Expected exactly one of [AliasTarget, all of [TTL, and \
                               ResourceRecords], or TrafficPolicyInstanceId], but found more than one"
        }
        _ if record.set_identifier.is_some() != record.routing.is_some() => {
            "Expected both of [SetIdentifier, and one of Weight, Region, Failover, GeoLocation or \
             MultiValueAnswer] or none of them"
        }
        _ => return Ok(()),
    };
    let message = format!(
        "Invalid request: {fault} in Change with [Name={}, Type={}]",
        record.name, record.record_type
    );
    Err(AwsError::bad_request("InvalidInput", message))
}

/// Why the zone refuses a record, whatever else it holds.
fn refuse_alone(zone: &Zone, record: &RecordSet) -> Option<String> {
    let RecordSet { name, record_type, .. } = record;
    let zone_name = &zone.name;
    if name != zone_name && !name.ends_with(&format!(".{zone_name}")) {
        return Some(format!("RRSet with DNS name {name} is not permitted in zone {zone_name}"));
    }
    if record_type != "CNAME" {
        return None;
    }
    if name == zone_name {
        return Some(format!(
            "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {zone_name}"
        ));
    }
    (record.values.len() > 1).then(|| {
        format!("RRSet of type CNAME with DNS name {name} may not have more than one value")
    })
}

/// Why a change does not fit what the zone holds under its key.
fn refuse_against(change: &RecordChange, held: Option<&RecordSet>) -> Option<String> {
    let RecordSet { name, record_type, set_identifier, .. } = &change.record;
    let identifier =
        set_identifier.as_ref().map(|id| format!(", set identifier='{id}'")).unwrap_or_default();
    let which = format!("resource record set [name='{name}', type='{record_type}'{identifier}]");
    match (change.action, held) {
        (Action::Create, Some(_)) => Some(format!("Tried to create {which} but it already exists")),
        (Action::Delete, None) => Some(format!("Tried to delete {which} but it was not found")),
        (Action::Delete, Some(held)) if !held.says_the_same(&change.record) => Some(format!(
            "Tried to delete {which} but the values provided do not match the current values"
        )),
        _ => None,
    }
}

/// The records that would stand under the names of the batch after it and may not stand together.
fn conflicts(zone: &Zone, written: &Written) -> Vec<String> {
    let untouched = zone.current().filter(|record| !written.contains_key(&record.key()));
    let after: Vec<&RecordSet> = untouched.chain(written.values().flatten()).collect();
    let mut reasons = Vec::new();
    for changed in written.values().flatten() {
        let RecordSet { name, record_type, .. } = changed;
        let same_name = || after.iter().filter(|record| &record.name == name);
        let beside_cname = |other: &&&RecordSet| {
            &other.record_type != record_type
                && (other.record_type == "CNAME" || record_type == "CNAME")
        };
        if same_name().any(|other| beside_cname(&other)) {
            reasons.push(format!(
                "RRSet of type {record_type} with DNS name {name} is not permitted as it conflicts \
                 with other records with the same DNS name in zone {}",
                zone.name
            ));
        }
        let weighted = |record: &RecordSet| {
            record.routing.as_ref().is_some_and(|routing| routing.policy == "Weight")
        };
        let in_group = same_name().filter(|r| &r.record_type == record_type && weighted(r));
        if weighted(changed) && in_group.clone().any(|other| other.ttl_s != changed.ttl_s) {
            reasons.push(format!(
                "RRSet with DNS name {name}, type {record_type} must have the same TTL as all weighted \
                 record sets of its group"
            ));
        }
        let mixed = same_name()
            .filter(|other| &other.record_type == record_type)
            .any(|other| other.set_identifier.is_some() != changed.set_identifier.is_some());
        if mixed {
            reasons.push(format!(
                "RRSet with DNS name {name}, type {record_type} cannot be created because a record \
                 set with the same name and type and another routing policy exists"
            ));
        }
    }
    reasons
}

/// A zone keeps exactly one SOA and one NS record at its apex.
fn apex_lost(zone: &Zone, written: &Written) -> Option<String> {
    let gone = ["SOA", "NS"].into_iter().find(|record_type| {
        written.get(&RecordKey::new(&zone.name, record_type, None)).is_some_and(Option::is_none)
    })?;
    Some(format!("A HostedZone must contain at least one {gone} record for the zone itself."))
}
