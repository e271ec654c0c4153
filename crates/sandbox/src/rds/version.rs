//! Engine versions: `8.0.mysql_aurora.3.08.0` is Aurora MySQL 3.08.0, `15.4` Aurora PostgreSQL 15.4.

/// An engine version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) patch: u32,
}

/// From which minor version on members of a global cluster may differ in the patch, by major
/// version; all of later major versions may.
const PATCH_MAY_DIFFER: [(u32, u32); 4] = [(11, 17), (12, 12), (13, 8), (14, 5)];
const PATCH_MAY_DIFFER_FROM: u32 = 15;

impl Version {
    /// `None` for what is no version.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let aurora = text.split_once("mysql_aurora.").map_or(text, |(_, version)| version);
        let mut numbers = aurora.split('.').map(str::parse::<u32>);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next().transpose().ok()?.unwrap_or_default();
        let patch = numbers.next().transpose().ok()?.unwrap_or_default();
        Some(Self { major, minor, patch })
    }

    /// Whether the writer may be switched over between clusters of these versions.
    fn switches_over_to(self, other: Self, engine: &str) -> bool {
        let minor_since = PATCH_MAY_DIFFER.iter().find(|(major, _)| *major == self.major);
        let patch_may_differ = engine == "aurora-postgresql"
            && (self.major >= PATCH_MAY_DIFFER_FROM
                || minor_since.is_some_and(|(_, minor)| self.minor >= *minor));
        (self.major, self.minor) == (other.major, other.minor)
            && (patch_may_differ || self.patch == other.patch)
    }
}

/// Whether the writer may be switched over between clusters of these versions.
pub(super) fn may_switch_over(engine: &str, one: &str, other: &str) -> bool {
    match (Version::parse(one), Version::parse(other)) {
        (Some(one), Some(other)) => one.switches_over_to(other, engine),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_may_differ_where_the_documentation_says_so() {
        for (engine, one, other, expected) in [
            ("aurora-mysql", "8.0.mysql_aurora.3.08.0", "8.0.mysql_aurora.3.08.0", true),
            ("aurora-mysql", "8.0.mysql_aurora.3.08.0", "8.0.mysql_aurora.3.08.1", false),
            ("aurora-mysql", "8.0.mysql_aurora.3.08.0", "8.0.mysql_aurora.3.09.0", false),
            ("aurora-postgresql", "15.4", "15.4.2", true),
            ("aurora-postgresql", "15.4", "15.5", false),
            ("aurora-postgresql", "14.4", "14.4.1", false),
            ("aurora-postgresql", "14.5.1", "14.5.2", true),
            ("aurora-postgresql", "11.16", "11.16.1", false),
            ("aurora-postgresql", "10.18", "10.18.1", false),
        ] {
            assert_eq!(may_switch_over(engine, one, other), expected, "{engine} {one} {other}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("8.0.mysql_aurora.3.10.0") > version("8.0.mysql_aurora.3.9.2"));
        assert_eq!(Version::parse("newest"), None);
    }
}
