//! Route 53: hosted zones, their records, and when the world's name servers know of a change.
//!
//! A change has two moments. The API shows it at once; the authoritative name servers answer with
//! it when the change is `INSYNC`, up to a minute later, and every client's resolver may keep the
//! old answer for the record's TTL after that. A cut-over is finished only then, which is why the
//! model keeps the moments apart.

mod api;
mod batch;
mod record;
mod resolver;

use std::collections::BTreeMap;

pub use record::{Alias, RecordSet, Routing, normalise};
pub use resolver::{Lookup, Resolver};

pub(crate) use api::handle;

use crate::spec::{HostedZoneSpec, SpecError, ZoneVpcSpec};
use crate::wire::AwsError;
use record::RecordKey;

/// A hosted zone.
#[derive(Debug, Clone)]
struct Zone {
    name: String,
    /// The VPCs that see it; empty for a public zone.
    private_to: Vec<ZoneVpcSpec>,
    records: BTreeMap<RecordKey, Timeline>,
    changed_at_ms: Option<i64>,
}

/// What a record has said and from when the name servers say it. The last entry is what the API
/// shows; an entry without a record says that it was deleted.
#[derive(Debug, Clone, Default)]
struct Timeline(Vec<(i64, Option<RecordSet>)>);

/// A submitted batch of changes.
#[derive(Debug, Clone)]
struct Change {
    submitted_at_ms: i64,
    in_sync_at_ms: i64,
    comment: Option<String>,
}

/// All hosted zones of the account.
#[derive(Debug, Clone, Default)]
pub struct Dns {
    zones: BTreeMap<String, Zone>,
    changes: BTreeMap<String, Change>,
}

/// When a batch takes effect.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now_ms: i64,
    /// How long it stays `PENDING`.
    pending_ms: i64,
    /// How long the zone refuses another batch.
    busy_ms: i64,
    served_before_sync: bool,
}

impl Timeline {
    fn of(record: RecordSet) -> Self {
        Self(vec![(i64::MIN, Some(record))])
    }

    fn current(&self) -> Option<&RecordSet> {
        self.0.last().and_then(|(_, record)| record.as_ref())
    }

    /// What the name servers say: the latest change they know of. One that arrives after a later
    /// one has nothing to say any more.
    fn served(&self, now_ms: i64) -> Option<&RecordSet> {
        let known = self.0.iter().rev().find(|(from_ms, _)| *from_ms <= now_ms);
        known.and_then(|(_, record)| record.as_ref())
    }
}

impl Zone {
    fn new(name: &str, private_to: Vec<ZoneVpcSpec>) -> Self {
        let name = normalise(name);
        let apex = |record_type, ttl_s, values: &[&str]| RecordSet {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..RecordSet::simple(&name, record_type, ttl_s, "")
        };
        let soa = "ns-0.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
        let born = [
            apex("NS", 172_800, &["ns-0.awsdns-00.com.", "ns-512.awsdns-00.net."]),
            apex("SOA", 900, &[soa]),
        ];
        let records = born.map(|record| (record.key(), Timeline::of(record)));
        Self { records: records.into(), name, private_to, changed_at_ms: None }
    }

    /// The records as the API shows them, in the order it lists them.
    fn current(&self) -> impl Iterator<Item = &RecordSet> {
        self.records.values().filter_map(Timeline::current)
    }
}

impl Dns {
    /// The zones of a world at its start, all of them in sync.
    ///
    /// # Errors
    /// [`SpecError::Invalid`] for a record that its zone would refuse.
    pub fn build(zones: &[HostedZoneSpec]) -> Result<Self, SpecError> {
        let mut dns = Self::default();
        for spec in zones {
            let mut zone = Zone::new(&spec.name, spec.private_to.clone());
            let changes: Vec<_> = spec.records.iter().map(batch::RecordChange::creation).collect();
            if !changes.is_empty() {
                let written = batch::apply(&zone, &changes).map_err(|error| {
                    SpecError::Invalid(format!("{}: {}", spec.id, error.message))
                })?;
                let records = written.into_iter().filter_map(|(key, record)| Some((key, record?)));
                let timelines = records.map(|(key, record)| (key, Timeline::of(record)));
                zone.records.extend(timelines);
            }
            dns.zones.insert(spec.id.clone(), zone);
        }
        Ok(dns)
    }

    /// What the API shows for a record of the zone with this id: an operator's look.
    #[must_use]
    pub fn record(&self, zone_id: &str, name: &str, record_type: &str) -> Option<&RecordSet> {
        let name = normalise(name);
        let zone = self.zones.get(zone_id)?;
        zone.current().find(|record| record.name == name && record.record_type == record_type)
    }

    /// When the name servers knew all changes that were made in a time, in epoch milliseconds; nothing
    /// if there were none.
    #[must_use]
    pub fn in_sync_ms(&self, from_ms: i64, to_ms: i64) -> Option<i64> {
        let made = self.changes.values().filter(|c| (from_ms..=to_ms).contains(&c.submitted_at_ms));
        made.map(|change| change.in_sync_at_ms).max()
    }

    /// Makes a name an alias of another one, in sync at once: what an operator did long ago, or
    /// what a test wants to be true. Returns whether there is such a zone.
    pub fn set_cname(&mut self, zone_id: &str, name: &str, ttl_s: i64, value: &str) -> bool {
        let record = RecordSet::simple(name, "CNAME", ttl_s, value);
        let zone = self.zones.get_mut(zone_id);
        zone.map(|zone| zone.records.insert(record.key(), Timeline::of(record))).is_some()
    }

    /// Brings changes that would never be in sync into sync now.
    pub(crate) fn unstick(&mut self, never_ms: i64, now_ms: i64) {
        for change in self.changes.values_mut().filter(|c| c.in_sync_at_ms >= never_ms) {
            change.in_sync_at_ms = now_ms;
        }
        let timelines = self.zones.values_mut().flat_map(|zone| zone.records.values_mut());
        for (from_ms, _) in timelines.flat_map(|timeline| timeline.0.iter_mut()) {
            if *from_ms >= never_ms {
                *from_ms = now_ms;
            }
        }
    }

    /// Writes a batch into a zone and says under which id it is pending.
    ///
    /// # Errors
    /// `NoSuchHostedZone`, `PriorRequestNotComplete`, and those of a batch.
    fn submit(
        &mut self,
        moment: Moment,
        zone_id: &str,
        changes: &[batch::RecordChange],
        comment: Option<String>,
    ) -> Result<String, AwsError> {
        let Moment { now_ms, pending_ms, busy_ms, served_before_sync } = moment;
        let zone = self.zones.get_mut(zone_id).ok_or_else(|| api::no_such_zone(zone_id))?;
        if zone.changed_at_ms.is_some_and(|at_ms| now_ms < at_ms + busy_ms) {
            return Err(api::prior_request_not_complete());
        }
        let written = batch::apply(zone, changes)?;
        let in_sync_at_ms = now_ms.saturating_add(pending_ms);
        let served_from_ms = if served_before_sync { now_ms } else { in_sync_at_ms };
        for (key, record) in written {
            zone.records.entry(key).or_default().0.push((served_from_ms, record));
        }
        zone.changed_at_ms = Some(now_ms);
        let change = Change { submitted_at_ms: now_ms, in_sync_at_ms, comment };
        let id = format!("C{:013}", self.changes.len() + 1);
        self.changes.insert(id.clone(), change);
        Ok(id)
    }
}
