//! What RDS tells of itself, and DescribeEvents.

use aws_smithy_types::date_time::{DateTime, Format};

use super::params::{invalid_combination, invalid_value, page};
use super::{Answer, Cluster, Instance, Snapshot};
use crate::wire::{AwsError, Params, Xml, iso8601};
use crate::world::World;

const MINUTE_MS: i64 = 60_000;
/// How far back a caller sees who says nothing.
const WINDOW_MS: i64 = 60 * MINUTE_MS;
/// How far back anyone sees.
const KEPT_MS: i64 = 14 * 24 * 60 * MINUTE_MS;

/// What is told: the number in `RDS-EVENT-…`, the category and the words, in which `{}` stands for
/// the thing that it is about.
const TOLD: [(u16, &str, &str); 29] = [
    (3, "deletion", "DB instance deleted"),
    (4, "availability", "DB instance shutdown"),
    (5, "creation", "DB instance created"),
    (6, "availability", "DB instance restarted"),
    (35, "failure", "DB instance put into {}"),
    (36, "failure", "DB instance in {}"),
    (74, "backup", "Creating manual cluster snapshot"),
    (75, "backup", "Manual cluster snapshot created"),
    (168, "backup", "Creating automated cluster snapshot"),
    (169, "backup", "Automated cluster snapshot created"),
    (170, "creation", "DB cluster created"),
    (171, "deletion", "DB cluster deleted"),
    (181, "global-failover", "Global switchover to DB cluster {} started"),
    (182, "global-failover", "Old primary DB cluster {} successfully shut down"),
    (183, "global-failover", "Waiting for data synchronization across global cluster members"),
    (184, "global-failover", "New primary DB cluster {} was successfully promoted"),
    (185, "global-failover", "Global switchover to DB cluster {} finished"),
    (186, "global-failover", "Global switchover to DB cluster {} is canceled"),
    (187, "global-failover", "Global switchover to DB cluster {} failed"),
    (238, "global-failover", "Global failover to DB cluster {} completed"),
    (239, "global-failover", "Global failover to DB cluster {} failed"),
    (240, "global-failover", "Started resynchronizing members of DB cluster post global failover"),
    (241, "global-failover", "Finished resynchronizing members of DB cluster"),
    (353, "failure", "The DB instance can't be created due to insufficient resource limits"),
    (354, "failure", "The DB cluster can't be created due to incompatible resources"),
    (390, "global-failover", "Write fencing of DB instance succeeded"),
    (391, "global-failover", "Write fencing of DB instance timed out"),
    (
        397,
        "global-failover",
        "Aurora finished changing the DNS entry of the global writer endpoint",
    ),
    (418, "failure", "Amazon RDS is unable to access the KMS encryption key of DB instance"),
];

/// Everything that was told, in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Log {
    told: Vec<Told>,
    /// How much there would be to tell, for the chance that some of it is not.
    happened: i64,
}

/// An event of RDS as a caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When, in epoch milliseconds.
    pub at_ms: i64,
    /// The number in `RDS-EVENT-…`; DescribeEvents does not show it.
    pub number: u16,
    /// Its category.
    pub category: &'static str,
    /// The words.
    pub message: String,
    /// What it is about.
    pub about: Source,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    region: String,
    kind: &'static str,
    id: String,
    arn: String,
}

impl From<&Cluster> for Source {
    fn from(it: &Cluster) -> Self {
        Self::new(&it.region, "db-cluster", &it.id, &it.arn)
    }
}

impl From<&Instance> for Source {
    fn from(it: &Instance) -> Self {
        Self::new(&it.region, "db-instance", &it.id, &it.arn)
    }
}

impl From<&Snapshot> for Source {
    fn from(it: &Snapshot) -> Self {
        Self::new(&it.region, "db-cluster-snapshot", &it.id, &it.arn)
    }
}

impl Source {
    fn new(region: &str, kind: &'static str, id: &str, arn: &str) -> Self {
        Self { region: region.to_owned(), kind, id: id.to_owned(), arn: arn.to_owned() }
    }
}

impl World {
    /// Tells that something happened to a thing; `word` is the other thing the words name.
    pub(crate) fn tell(&mut self, number: u16, about: impl Into<Source>, word: &str) {
        let Some((_, category, words)) = TOLD.iter().find(|(known, ..)| *known == number) else {
            return;
        };
        self.log.happened += 1;
        let copies = if self.behaviour.events_are_unreliable {
            // Best effort: a quarter is missing, a quarter comes twice, and some come late.
            [0, 1, 1, 2]
                [usize::try_from(crate::rows::mix(self.seed, self.log.happened) % 4).unwrap_or(1)]
        } else {
            1
        };
        let message = words.replace("{}", word);
        let (at_ms, about) = (self.now_ms, about.into());
        let told = Told { at_ms, number, category, message, about };
        let late = self.behaviour.events_are_unreliable && self.log.happened % 5 == 0;
        let at = self.log.told.len().saturating_sub(usize::from(late));
        self.log.told.splice(at..at, std::iter::repeat_n(told, copies));
    }

    /// Everything that RDS told of itself, in the order of time.
    #[must_use]
    pub fn told(&self) -> &[Told] {
        &self.log.told
    }
}

pub(super) fn describe(world: &mut World, region: &str, params: &Params) -> Answer {
    let (id, kind) = (params.get("SourceIdentifier"), params.get("SourceType"));
    if id.is_some() && kind.is_none() {
        let message = "SourceType must be supplied when SourceIdentifier is given";
        return Err(invalid_combination(message));
    }
    let (from_ms, to_ms) = window(world.now_ms, params)?;
    let categories = params.list("EventCategories.EventCategory");
    let fits = |told: &&Told| {
        let about = &told.about;
        about.region == region
            && (from_ms..=to_ms).contains(&told.at_ms)
            && kind.is_none_or(|kind| kind == about.kind)
            && id.is_none_or(|id| id.eq_ignore_ascii_case(&about.id))
            && (categories.is_empty() || categories.iter().any(|c| c == told.category))
    };
    let (found, marker) = page(world.log.told.iter().filter(fits).collect(), params)?;
    Ok(Some(Xml::fragment(|xml| {
        xml.maybe("Marker", marker);
        xml.list("Events", "Event", found, |xml, told: &Told| {
            xml.text("SourceIdentifier", &told.about.id);
            xml.text("SourceType", told.about.kind);
            xml.text("Message", &told.message);
            xml.texts("EventCategories", "EventCategory", [told.category]);
            xml.text("Date", iso8601(told.at_ms));
            xml.text("SourceArn", &told.about.arn);
        });
    })))
}

/// First and last moment asked for.
fn window(now_ms: i64, params: &Params) -> Result<(i64, i64), AwsError> {
    let moment = |name: &str| {
        params.get(name).map(|text| {
            DateTime::from_str(text, Format::DateTime)
                .ok()
                .and_then(|at| at.to_millis().ok())
                .ok_or_else(|| invalid_value(format!("Invalid value {text} for {name}")))
        })
    };
    let to_ms = moment("EndTime").transpose()?.unwrap_or(now_ms);
    let long_ms = params.int("Duration")?.map_or(WINDOW_MS, |n| i64::from(n) * MINUTE_MS);
    let from_ms = moment("StartTime").transpose()?.unwrap_or(to_ms - long_ms);
    Ok((from_ms.max(now_ms - KEPT_MS), to_ms))
}
