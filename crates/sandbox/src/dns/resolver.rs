//! How a client turns a name into the host it connects to.

use std::collections::BTreeMap;

use super::record::{RecordSet, normalise};
use super::{Dns, Zone};
use crate::spec::ClientLocation;

/// More aliases in a row than this are a loop.
const CHAIN_MAX: usize = 8;

/// What a resolver keeps an alias record's answer for, in seconds: an alias has no TTL of its own.
const ALIAS_TTL_S: i64 = 60;

/// What the authoritative name servers answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Go on with another name.
    Alias {
        /// The other name, without its final dot.
        to: String,
        /// How long the answer may be kept, in seconds.
        ttl_s: i64,
    },
    /// The name ends here: an address, or a name of a zone outside this account.
    End,
    /// The zone that is responsible knows no such name.
    NoSuchName,
}

impl Dns {
    /// Asks the name servers for a name as a client at a place sees it. A private zone of the
    /// client's VPC comes before a public one of the same name; the longest zone name wins.
    #[must_use]
    pub fn lookup(&self, from: &ClientLocation, name: &str, now_ms: i64) -> Lookup {
        let name = normalise(name);
        let Some(zone) = self.responsible(from, &name) else { return Lookup::End };
        let wildcard = name.split_once('.').map(|(_, rest)| format!("\\052.{rest}"));
        let candidates = [Some(name), wildcard];
        let found = candidates.iter().flatten().find_map(|name| zone.answer(from, name, now_ms));
        match found {
            None => Lookup::NoSuchName,
            Some(record) => match (&record.alias, record.record_type.as_str()) {
                (Some(alias), _) => Lookup::Alias { to: bare(&alias.dns_name), ttl_s: ALIAS_TTL_S },
                (None, "CNAME") => Lookup::Alias {
                    to: record.values.first().map(|value| bare(value)).unwrap_or_default(),
                    ttl_s: record.ttl_s.unwrap_or_default(),
                },
                _ => Lookup::End,
            },
        }
    }

    fn responsible(&self, from: &ClientLocation, name: &str) -> Option<&Zone> {
        let covers = |zone: &&Zone| {
            name == zone.name
                || name.strip_suffix(&zone.name).is_some_and(|host| host.ends_with('.'))
        };
        let visible = |zone: &&Zone| {
            zone.private_to.is_empty()
                || zone.private_to.iter().any(|v| v.region == from.region && v.vpc == from.vpc)
        };
        self.zones
            .values()
            .filter(|zone| covers(zone) && visible(zone))
            .max_by_key(|zone| (zone.name.len(), !zone.private_to.is_empty()))
    }
}

impl Zone {
    /// The record the name servers answer with: the one that leads on to an endpoint, or an
    /// address. Among several, the routing policy chooses.
    fn answer(&self, from: &ClientLocation, name: &str, now_ms: i64) -> Option<&RecordSet> {
        let served = self.records.values().filter_map(|timeline| timeline.served(now_ms));
        served
            .filter(|record| {
                record.name == name && matches!(record.record_type.as_str(), "A" | "AAAA" | "CNAME")
            })
            .max_by_key(|record| preference(record, from))
    }
}

impl Zone {
    /// The record of a type that the name servers answer with to a question from nowhere in
    /// particular.
    pub(super) fn answer_of_type(
        &self,
        name: &str,
        record_type: &str,
        now_ms: i64,
    ) -> Option<&RecordSet> {
        let nowhere = ClientLocation {
            region: String::new(),
            vpc: String::new(),
            ip: std::net::Ipv4Addr::UNSPECIFIED,
        };
        let served = self.records.values().filter_map(|timeline| timeline.served(now_ms));
        served
            .filter(|record| record.name == name && record.record_type == record_type)
            .max_by_key(|record| preference(record, &nowhere))
    }
}

/// How strongly a routing policy speaks for a record; enough of each policy to follow a record
/// that a plan moves, without health checks.
fn preference(record: &RecordSet, from: &ClientLocation) -> u64 {
    match &record.routing {
        None => 1,
        Some(routing) => match routing.policy {
            "Weight" => routing.value.parse().unwrap_or(0),
            "Region" => u64::from(routing.value == from.region),
            "Failover" => u64::from(routing.value == "PRIMARY"),
            _ => 1,
        },
    }
}

fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A client's resolver with its cache.
#[derive(Debug, Clone, Default)]
pub struct Resolver {
    cache: BTreeMap<String, Cached>,
    /// How long an answer is kept at least, in milliseconds, whatever its TTL says: what a runtime
    /// with a cache of its own does.
    pub keep_ms_min: i64,
}

#[derive(Debug, Clone)]
struct Cached {
    to: String,
    until_ms: i64,
}

impl Resolver {
    /// A resolver that keeps answers for at least `keep_ms_min` milliseconds.
    #[must_use]
    pub fn new(keep_ms_min: i64) -> Self {
        Self { cache: BTreeMap::new(), keep_ms_min }
    }

    /// The host a name leads to, without the final dot; `None` when the name does not resolve.
    pub fn resolve(
        &mut self,
        dns: &Dns,
        from: &ClientLocation,
        name: &str,
        now_ms: i64,
    ) -> Option<String> {
        let mut name = bare(name);
        for _ in 0..CHAIN_MAX {
            match self.next(dns, from, &name, now_ms)? {
                Some(to) => name = to,
                None => return Some(name),
            }
        }
        None
    }

    /// The next name of a chain, `Some(None)` at its end, `None` when the name does not exist.
    /// That a name does not exist is not kept, nor that it ends here.
    fn next(
        &mut self,
        dns: &Dns,
        from: &ClientLocation,
        name: &str,
        now_ms: i64,
    ) -> Option<Option<String>> {
        if let Some(cached) = self.cache.get(name).filter(|cached| now_ms < cached.until_ms) {
            return Some(Some(cached.to.clone()));
        }
        match dns.lookup(from, name, now_ms) {
            Lookup::End => Some(None),
            Lookup::NoSuchName => None,
            Lookup::Alias { to, ttl_s } => {
                let until_ms = now_ms + (ttl_s * 1_000).max(self.keep_ms_min);
                self.cache.insert(name.to_owned(), Cached { to: to.clone(), until_ms });
                Some(Some(to))
            }
        }
    }
}
