//! What an engine version implies.

/// The parameter group family of an engine version, `None` if the version is of no known form.
///
/// Source: Aurora User Guide, "Working with parameter groups": `aurora-mysql8.0`,
/// `aurora-postgresql15`.
pub fn parameter_group_family(engine: &str, version: &str) -> Option<String> {
    match engine {
        "aurora-mysql" => {
            let mut parts = version.split('.');
            let (major, minor) = (parts.next()?, parts.next()?);
            let numbers = [major, minor].iter().all(|n| n.parse::<u32>().is_ok());
            numbers.then(|| format!("aurora-mysql{major}.{minor}"))
        }
        "aurora-postgresql" => {
            let major: u32 = version.split('.').next()?.parse().ok()?;
            Some(format!("aurora-postgresql{major}"))
        }
        _ => None,
    }
}

/// The CloudWatch metric that tells how far a secondary is behind for user transactions.
///
/// `AuroraGlobalDBRPOLag` for all Aurora PostgreSQL and for Aurora MySQL from 3.04.0 and 2.12.0
/// on; older versions publish only `AuroraGlobalDBReplicationLag`. Source: Aurora User Guide,
/// "Using switchover or failover in Aurora Global Database".
pub fn lag_metric(engine: &str, version: &str) -> &'static str {
    let modern = engine == "aurora-postgresql"
        || version.split_once("mysql_aurora.").is_some_and(|(_, own)| {
            let parts: Vec<u32> = own.split('.').map_while(|n| n.parse().ok()).collect();
            match parts[..] {
                [3, minor, ..] => minor >= 4,
                [2, minor, ..] => minor >= 12,
                [major, ..] => major > 3,
                [] => false,
            }
        });
    if modern { "AuroraGlobalDBRPOLag" } else { "AuroraGlobalDBReplicationLag" }
}

/// The first minor versions of Aurora PostgreSQL that may differ in their patch level.
/// Source: Aurora User Guide, "Patch level compatibility for managed cross-Region switchovers".
const PATCH_MAY_DIFFER_FROM: [(u32, u32); 4] = [(11, 17), (12, 12), (13, 8), (14, 5)];

/// Whether the writer may be switched over between members of these versions: major and minor
/// version must be equal; the patch level too, but for newer Aurora PostgreSQL. The guide lists
/// exceptions to that, which Aurora itself refuses.
pub fn can_switch_over(engine: &str, one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let numbers = |version: &str| -> Option<(u32, u32)> {
        let mut parts = version.split('.').map(|n| n.parse().ok());
        Some((parts.next()??, parts.next()??))
    };
    let (Some(one), Some(other)) = (numbers(one), numbers(other)) else { return false };
    let (major, minor) = one;
    engine == "aurora-postgresql"
        && one == other
        && (major >= 15 || PATCH_MAY_DIFFER_FROM.iter().any(|&(m, n)| m == major && minor >= n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_follows_from_engine_and_version() {
        let family = parameter_group_family("aurora-mysql", "8.0.mysql_aurora.3.08.0");
        assert_eq!(family.as_deref(), Some("aurora-mysql8.0"));
        let family = parameter_group_family("aurora-postgresql", "15.4");
        assert_eq!(family.as_deref(), Some("aurora-postgresql15"));
        assert_eq!(parameter_group_family("mysql", "8.0"), None);
        assert_eq!(parameter_group_family("aurora-mysql", "newest"), None);
    }

    #[test]
    fn old_mysql_has_only_the_storage_lag() {
        for (version, metric) in [
            ("8.0.mysql_aurora.3.08.0", "AuroraGlobalDBRPOLag"),
            ("8.0.mysql_aurora.3.04.0", "AuroraGlobalDBRPOLag"),
            ("8.0.mysql_aurora.3.03.1", "AuroraGlobalDBReplicationLag"),
            ("5.7.mysql_aurora.2.12.0", "AuroraGlobalDBRPOLag"),
            ("5.7.mysql_aurora.2.11.4", "AuroraGlobalDBReplicationLag"),
        ] {
            assert_eq!(lag_metric("aurora-mysql", version), metric, "{version}");
        }
        assert_eq!(lag_metric("aurora-postgresql", "13.9"), "AuroraGlobalDBRPOLag");
    }

    #[test]
    fn writer_is_switched_over_only_between_versions_that_aurora_takes_for_equal() {
        for (engine, one, other, can) in [
            ("aurora-mysql", "8.0.mysql_aurora.3.08.0", "8.0.mysql_aurora.3.08.0", true),
            ("aurora-mysql", "8.0.mysql_aurora.3.08.0", "8.0.mysql_aurora.3.08.1", false),
            ("aurora-postgresql", "15.4", "15.4", true),
            ("aurora-postgresql", "15.4.1", "15.4.3", true),
            ("aurora-postgresql", "15.4", "15.5", false),
            ("aurora-postgresql", "15.4", "16.4", false),
            ("aurora-postgresql", "14.5.1", "14.5.2", true),
            ("aurora-postgresql", "14.4.1", "14.4.2", false),
            ("aurora-postgresql", "newest", "15.4", false),
        ] {
            assert_eq!(can_switch_over(engine, one, other), can, "{engine} {one} {other}");
        }
    }
}
