//! What clients use to find the database: whether it can be moved, where to, and whether it has been.

use std::collections::BTreeMap;

use super::Draft;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::request::{DnsRequest, PointsTo, Request};
use crate::secret::{self, Destination};
use crate::seen::{ClusterSeen, DnsSeen, Seen};
use crate::task::{ClusterRef, DnsRecord, EndpointKind, HostSecret};

/// Five seconds, the time to live of Aurora's own names.
const TTL_S: i64 = 5;

/// Refuses what cannot be moved, by the name of its field.
///
/// # Errors
/// The first one found.
pub(super) fn check(request: &Request, seen: &Seen) -> Result<(), Refusal> {
    for (i, wanted) in request.endpoints.dns.iter().enumerate() {
        let name = wanted.name.trim_end_matches('.');
        if let Err((part, problem)) = check_record(wanted, name, seen) {
            return Err(Refusal::DnsUnusable {
                field: format!("endpoints.dns[{i}].{part}"),
                name: name.to_owned(),
                problem,
            });
        }
    }
    secrets(request, seen)
}

/// Only the value of an existing CNAME is ever changed.
fn check_record(
    wanted: &DnsRequest,
    name: &str,
    seen: &Seen,
) -> Result<(), (&'static str, String)> {
    let found = seen.record(&wanted.zone_id, &wanted.name, wanted.set_identifier.as_deref());
    let Some(record) = found else {
        let what = "is not among those of this account";
        return Err(("zone_id", format!("the hosted zone {} {what}", wanted.zone_id)));
    };
    let (lower, zone) = (name.to_ascii_lowercase(), record.zone_name.to_ascii_lowercase());
    if lower == zone {
        return Err(("name", "it is the apex of its zone, where no CNAME can stand".to_owned()));
    }
    if !lower.ends_with(&format!(".{zone}")) {
        let problem = format!("the hosted zone {} is that of {zone}", wanted.zone_id);
        return Err(("zone_id", problem));
    }
    match record.kind.as_deref() {
        Some("CNAME") => {}
        Some(other) => return Err(("name", format!("it is of type {other}, not CNAME"))),
        None => return Err(not_there(wanted, record)),
    }
    if let Some(policy) = &record.traffic_policy {
        return Err(("name", format!("the traffic policy instance {policy} keeps it")));
    }
    let Some(ttl_s) = record.ttl_s else {
        return Err(("name", "it is an alias, which has no value of its own".to_owned()));
    };
    if record.value.is_none() {
        return Err(("name", "it has no single value".to_owned()));
    }
    match wanted.ttl_s {
        Some(other) if wanted.set_identifier.is_some() && other != ttl_s => {
            let problem = format!(
                "it is one of a group, whose time to live of {ttl_s} s stays as it is. Leave the \
                 field out"
            );
            Err(("ttl_s", problem))
        }
        _ => Ok(()),
    }
}

/// No record is where one is wanted.
fn not_there(wanted: &DnsRequest, record: &DnsSeen) -> (&'static str, String) {
    if record.set_identifiers.is_empty() && wanted.set_identifier.is_some() {
        return ("name", "no record of that name and set identifier exists".to_owned());
    }
    if record.set_identifiers.is_empty() {
        return ("name", "no record of that name exists in the zone".to_owned());
    }
    let those = record.set_identifiers.join(", ");
    ("set_identifier", format!("the records of that name have the set identifiers {those}"))
}

fn secrets(request: &Request, seen: &Seen) -> Result<(), Refusal> {
    let mut fields_by_arn = BTreeMap::new();
    for (i, wanted) in request.endpoints.secrets.iter().enumerate() {
        let part = if wanted.secret_arn.is_some() { "secret_arn" } else { "name" };
        let field = format!("endpoints.secrets[{i}].{part}");
        let refuse = |problem: String| {
            Err(Refusal::SecretUnusable {
                field: field.clone(),
                secret: wanted.short_name().to_owned(),
                region: wanted.region().to_owned(),
                problem,
            })
        };
        let Some(found) = seen.secret(wanted.region(), wanted.id()) else {
            return refuse("it was not read".to_owned());
        };
        if let Err(problem) = &found.found {
            return refuse(problem.to_string());
        }
        let Some(arn) = &found.arn else { return refuse("it has no ARN".to_owned()) };
        if let Some(other) = fields_by_arn.insert(arn.clone(), field.clone()) {
            return refuse(format!("it is the same secret as that of `{other}`"));
        }
    }
    Ok(())
}

impl Draft<'_> {
    fn destination(&self, points_to: PointsTo) -> (&ClusterRef, EndpointKind) {
        match points_to {
            PointsTo::HomeWriter => (&self.home_restored, EndpointKind::Writer),
            PointsTo::HomeReader => (&self.home_restored, EndpointKind::Reader),
            PointsTo::AwayReader => (&self.away_restored, EndpointKind::Reader),
        }
    }

    /// The names that move with the writer, and those that wait for away.
    pub(super) fn dns(&self) -> (Vec<DnsRecord>, Vec<DnsRecord>) {
        let records = self.request.endpoints.dns.iter().map(|record| {
            let (cluster, endpoint) = self.destination(record.points_to);
            let set_identifier = record.set_identifier.as_deref();
            let found = self.seen.record(&record.zone_id, &record.name, set_identifier);
            let kept_s = found.filter(|_| set_identifier.is_some()).and_then(|d| d.ttl_s);
            DnsRecord {
                zone_id: record.zone_id.clone(),
                name: record.name.trim_end_matches('.').to_owned(),
                set_identifier: record.set_identifier.clone(),
                ttl_s: record.ttl_s.or(kept_s).unwrap_or(TTL_S),
                was: found.and_then(|d| d.value.clone()),
                zone_is_private: found.is_some_and(|d| d.zone_is_private),
                region: cluster.region.clone(),
                cluster_id: cluster.cluster_id.clone(),
                endpoint,
            }
        });
        records.partition(|r| r.cluster_id == self.home_restored.cluster_id)
    }

    /// The secrets that move with the writer's names, and those that wait for away.
    pub(super) fn secrets(&self) -> (Vec<HostSecret>, Vec<HostSecret>) {
        let secrets = self.request.endpoints.secrets.iter().map(|secret| {
            let (cluster, endpoint) = self.destination(secret.points_to);
            let found = self.seen.secret(secret.region(), secret.id());
            let fields = found.and_then(|secret| secret.found.as_ref().ok());
            HostSecret {
                secret_region: secret.region().to_owned(),
                secret_id: secret.id().to_owned(),
                was: fields.map(|fields| fields.host.clone()),
                region: cluster.region.clone(),
                cluster_id: cluster.cluster_id.clone(),
                endpoint,
            }
        });
        secrets.partition(|s| s.cluster_id == self.home_restored.cluster_id)
    }
}

/// Something that points at an endpoint, and shall point at another one.
pub(super) trait Consumer {
    /// Whether it points where it shall.
    fn points_right(&self, seen: &Seen) -> bool;
}

/// Whether all of them point where they shall.
pub(super) fn all_right<C: Consumer>(seen: &Seen, consumers: [&Vec<C>; 2]) -> bool {
    consumers.into_iter().flatten().all(|consumer| consumer.points_right(seen))
}

impl Consumer for DnsRecord {
    fn points_right(&self, seen: &Seen) -> bool {
        let to = cluster(seen, &self.region, &self.cluster_id)
            .and_then(|cluster| cluster.host(self.endpoint));
        let found = seen.record(&self.zone_id, &self.name, self.set_identifier.as_deref());
        to.is_some() && found.is_some_and(|d| d.value.as_ref() == to)
    }
}

impl Consumer for HostSecret {
    fn points_right(&self, seen: &Seen) -> bool {
        let to = cluster(seen, &self.region, &self.cluster_id)
            .and_then(|cluster| destination(cluster, self.endpoint));
        let found = seen.secret(&self.secret_region, &self.secret_id);
        let fields = found.and_then(|secret| secret.found.as_ref().ok());
        to.zip(fields).is_some_and(|(to, fields)| secret::points_to(fields, &to))
    }
}

fn cluster<'a>(seen: &'a Seen, region: &str, id: &str) -> Option<&'a ClusterSeen> {
    let side = if region == seen.home.region { &seen.home } else { &seen.away };
    side.cluster(id)
}

/// Where a secret shall say that the cluster is; `None` while the cluster does not say it itself.
pub fn destination(cluster: &ClusterSeen, kind: EndpointKind) -> Option<Destination> {
    Some(Destination {
        host: cluster.host(kind)?.clone(),
        cluster_id: cluster.id.clone(),
        port: u16::try_from(cluster.settings.port?).ok()?,
    })
}

/// A run that finds home promoted long ago moves with the readers what of the writer somebody has
/// turned back since; what is right already is left alone.
pub(super) fn with_stragglers(mut plan: Plan) -> Plan {
    if !plan.phases.cut_over_writer.run && plan.phases.finish.run {
        plan.cut_over_readers.extend(std::mem::take(&mut plan.cut_over_writer));
        plan.secrets_of_readers.extend(std::mem::take(&mut plan.secrets_of_writer));
    }
    plan
}
