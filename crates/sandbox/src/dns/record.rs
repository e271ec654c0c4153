//! Resource record sets and how they are told apart.

/// A name in lower case with its final dot, and `*` as Route 53 writes it.
#[must_use]
pub fn normalise(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(rest) => format!("\\052.{rest}."),
        None => format!("{name}."),
    }
}

/// How Route 53 chooses between record sets of the same name and type: the element's name and its
/// value, such as `Weight` and `10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// `Weight`, `Region`, `Failover` or `MultiValueAnswer`.
    pub policy: &'static str,
    /// The element's text.
    pub value: String,
}

/// Another record that this one stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The zone the target lies in.
    pub hosted_zone_id: String,
    /// The target's name.
    pub dns_name: String,
    /// Whether the target's health counts.
    pub evaluate_target_health: bool,
}

/// A resource record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// Its full name, normalised.
    pub name: String,
    /// `CNAME`, `A`, …
    pub record_type: String,
    /// Tells it from others of the same name and type, which then all have one.
    pub set_identifier: Option<String>,
    /// How it is chosen among them.
    pub routing: Option<Routing>,
    /// Seconds a resolver may keep it; an alias has none.
    pub ttl_s: Option<i64>,
    /// What it says.
    pub values: Vec<String>,
    /// What it stands for instead of saying something.
    pub alias: Option<Alias>,
    /// The health check that can take it out of the answers.
    pub health_check_id: Option<String>,
}

/// Orders records as `ListResourceRecordSets` does: by name from the right, type and identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordKey {
    labels: Vec<String>,
    record_type: String,
    set_identifier: Option<String>,
}

impl RecordKey {
    pub(super) fn new(name: &str, record_type: &str, set_identifier: Option<&str>) -> Self {
        Self {
            labels: reversed(&normalise(name)),
            record_type: record_type.to_owned(),
            set_identifier: set_identifier.map(str::to_owned),
        }
    }
}

/// The labels of a name from the right, the order in which Route 53 sorts.
pub(super) fn reversed(name: &str) -> Vec<String> {
    name.trim_end_matches('.').rsplit('.').map(str::to_owned).collect()
}

impl RecordSet {
    /// A record of one value without a routing policy.
    #[must_use]
    pub fn simple(name: &str, record_type: &str, ttl_s: i64, value: &str) -> Self {
        Self {
            name: normalise(name),
            record_type: record_type.to_owned(),
            set_identifier: None,
            routing: None,
            ttl_s: Some(ttl_s),
            values: vec![value.to_owned()],
            alias: None,
            health_check_id: None,
        }
    }

    pub(super) fn key(&self) -> RecordKey {
        RecordKey::new(&self.name, &self.record_type, self.set_identifier.as_deref())
    }

    /// Whether both say the same. A host name's case and final dot say nothing, the order of
    /// values neither.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let plain = |record: &Self| Self { values: Vec::new(), ..record.clone() };
        let sorted = |record: &Self| {
            let mut values: Vec<String> = record
                .values
                .iter()
                .map(|value| value.trim_end_matches('.').to_ascii_lowercase())
                .collect();
            values.sort();
            values
        };
        plain(self) == plain(other) && sorted(self) == sorted(other)
    }
}
