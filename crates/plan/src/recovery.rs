//! Whether home is back, for long enough, and whether there is something to bring home.

use std::collections::BTreeSet;

use crate::incident::Register;
use crate::request::{Request, Side};
use crate::seen::{ClusterSeen, NetworkAclSeen, Seen, SubnetGroupSeen};

/// What was looked at, and since when all was well.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// The incident after which a failback may be started.
    pub incident: &'a str,
    /// What the stack was told.
    pub register: &'a Register,
    /// Executions of the failback that run, by name.
    pub running: &'a [String],
    /// What is wrong with home as it was read; empty when nothing is.
    pub troubles: &'a [String],
    /// Who holds the writer; absent when it could not be read.
    pub writer: Option<Writer>,
    /// Since when every look has been a good one, in epoch milliseconds.
    pub good_since_ms: Option<i64>,
    /// Now, in epoch milliseconds.
    pub now_ms: i64,
    /// For how long every look must be a good one, in seconds.
    pub stable_s: u32,
}

/// Who holds the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// The named cluster of away: there is something to bring home.
    Away(String),
    /// Home, or nobody that the request knows; why, in words.
    NotAway(String),
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Start the failback.
    Start,
    /// Look again.
    Wait {
        /// Since when every look has been a good one.
        good_since_ms: Option<i64>,
        /// Why not yet.
        why: String,
    },
    /// Start nothing, now or later.
    Leave(String),
}

/// Decides whether a failback begins.
pub fn next(look: &Look<'_>) -> Next {
    let Look { incident, register, running, troubles, .. } = *look;
    let ended = register.incident.as_ref().filter(|i| i.id == incident && i.ended_by.is_some());
    if running.iter().any(|name| name == incident) {
        return Next::Leave(format!("the failback {incident} runs already"));
    }
    if let Some(name) = running.first() {
        return Next::Leave(format!("the failback {name} runs; a second one is not started"));
    }
    if ended.is_none() {
        return Next::Leave(
            "home has been in trouble once more since: that incident's end counts".into(),
        );
    }
    let bad = |why: String| Next::Wait { good_since_ms: None, why };
    let open = register.open();
    if !open.is_empty() {
        return bad(format!("still open: {}", open.join(", ")));
    }
    if !troubles.is_empty() {
        return bad(format!("home does not answer as it should: {}", troubles.join("; ")));
    }
    match &look.writer {
        None => return bad("it could not be read who holds the writer".into()),
        Some(Writer::NotAway(why)) => return Next::Leave(format!("nothing to bring home: {why}")),
        Some(Writer::Away(_)) => {}
    }
    let since_ms = look.good_since_ms.unwrap_or(look.now_ms);
    let (good_s, wanted_s) = ((look.now_ms - since_ms) / 1000, i64::from(look.stable_s));
    if good_s < wanted_s {
        let why = format!("home has been well for {good_s} of {wanted_s} s");
        return Next::Wait { good_since_ms: Some(since_ms), why };
    }
    Next::Start
}

/// What of home's network is not as a failback needs it.
pub fn network_troubles(
    home: &Side,
    group_wanted: Option<&str>,
    groups: &[SubnetGroupSeen],
    acls: &[NetworkAclSeen],
) -> Vec<String> {
    let Some(name) = group_wanted else {
        return vec![format!(
            "no DB subnet group is known in {}: neither a cluster there nor anything remembered names one",
            home.region
        )];
    };
    let Some(group) = groups.iter().find(|group| group.name == name) else {
        return vec![format!("the DB subnet group {name} is not there")];
    };
    let mut troubles = Vec::new();
    if group.status != "Complete" {
        troubles.push(format!("the DB subnet group {name} is {}", group.status));
    }
    let subnets: BTreeSet<&String> =
        group.subnet_ids.iter().chain(&home.network.subnet_ids).collect();
    for subnet in subnets {
        if !acls.iter().any(|acl| acl.associations.contains_key(subnet)) {
            troubles.push(format!("EC2 does not know the subnet {subnet}"));
        }
    }
    // A security group is looked for when the plan is made.
    let fence = home.network.fence_acl_id.as_ref();
    if let Some(id) = fence.filter(|id| !acls.iter().any(|acl| acl.id == **id)) {
        troubles.push(format!("EC2 does not know the fence {id}"));
    }
    troubles
}

/// Who holds the writer of the database that the request is about.
pub fn writer(request: &Request, seen: &Seen) -> Writer {
    let home = &request.home;
    let restored = seen.home.cluster(&home.restored_cluster_id);
    if let Some(cluster) = restored.filter(|c| c.status == "promoting" || writes(seen, c)) {
        return Writer::NotAway(format!("{} in {} is the writer", cluster.id, home.region));
    }
    let Some(away) = seen.away.cluster(&request.away.cluster_id) else {
        let (id, region) = (&request.away.cluster_id, &request.away.region);
        return Writer::NotAway(format!("there is no cluster {id} in {region}"));
    };
    if writes(seen, away) {
        return Writer::Away(away.id.clone());
    }
    Writer::NotAway(format!("{} in {} is no writer", away.id, request.away.region))
}

/// Whether clients could write to a cluster, were they let in.
fn writes(seen: &Seen, cluster: &ClusterSeen) -> bool {
    cluster.replication_source.is_none()
        && seen.membership(&cluster.arn).is_none_or(|(_, member)| member.is_writer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Incident;
    use crate::seen::{GlobalClusterSeen, MemberSeen};

    const ID: &str = "incident-rds-0a1b2c3d4e5f";

    fn ended() -> Register {
        let ended_by = Some(("arn".to_owned(), "1".to_owned()));
        let incident = Some(Incident { id: ID.to_owned(), ended_by });
        Register { incident, ..Register::default() }
    }

    fn look(register: &Register) -> Look<'_> {
        Look {
            incident: ID,
            register,
            running: &[],
            troubles: &[],
            writer: Some(Writer::Away("gdb2".to_owned())),
            good_since_ms: Some(0),
            now_ms: 1_800_000,
            stable_s: 1800,
        }
    }

    #[test]
    fn failback_starts_when_home_has_been_well_for_long_enough() {
        let register = ended();
        assert_eq!(next(&look(&register)), Next::Start);
        let early = Look { now_ms: 1_799_999, ..look(&register) };
        assert!(matches!(next(&early), Next::Wait { good_since_ms: Some(0), .. }));
        let first = Look { good_since_ms: None, ..look(&register) };
        assert!(matches!(next(&first), Next::Wait { good_since_ms: Some(1_800_000), .. }));
    }

    #[test]
    fn one_bad_look_begins_the_wait_anew() {
        let register = ended();
        let troubles = vec!["rds:DescribeDBClusters does not answer".to_owned()];
        let bad = [
            Look { troubles: &troubles, ..look(&register) },
            Look { writer: None, ..look(&register) },
        ];
        for bad in bad {
            assert!(matches!(next(&bad), Next::Wait { good_since_ms: None, .. }), "{bad:?}");
        }
    }

    #[test]
    fn nothing_starts_while_a_run_is_at_work_or_home_is_in_trouble_again() {
        let register = ended();
        for name in ["by-hand", ID] {
            let running = [name.to_owned()];
            let busy = Look { running: &running, ..look(&register) };
            assert!(matches!(next(&busy), Next::Leave(_)), "{name}");
        }
        let mut again = ended();
        again.incident = Some(Incident { id: "incident-ec2-1".to_owned(), ended_by: None });
        assert!(matches!(next(&look(&again)), Next::Leave(_)));
    }

    #[test]
    fn nothing_starts_unless_away_holds_the_writer() {
        let register = ended();
        let home = Writer::NotAway("gdb1 is the writer".to_owned());
        assert!(matches!(next(&Look { writer: Some(home), ..look(&register) }), Next::Leave(_)));
    }

    fn workshop() -> (Request, Seen) {
        let text = include_str!("../../../statemachine/examples/workshop.json");
        let request = serde_json::from_str(text).expect("the example is JSON");
        let mut seen = Seen::default();
        let cluster = |id: &str| ClusterSeen {
            id: id.to_owned(),
            arn: format!("arn:{id}"),
            status: "available".to_owned(),
            ..ClusterSeen::default()
        };
        seen.home.clusters = vec![cluster("gdb1-cluster")];
        seen.away.clusters = vec![cluster("gdb2-cluster")];
        (request, seen)
    }

    fn global(id: &str, members: &[(&str, bool)]) -> GlobalClusterSeen {
        let member = |(id, is_writer): &(&str, bool)| MemberSeen {
            arn: format!("arn:{id}"),
            is_writer: *is_writer,
            synchronization: None,
        };
        let members = members.iter().map(member).collect();
        GlobalClusterSeen { id: id.to_owned(), members, ..GlobalClusterSeen::default() }
    }

    #[test]
    fn away_holds_the_writer_after_a_failover_of_either_kind() {
        let (request, mut seen) = workshop();
        seen.global_clusters = vec![global("reinvent-dat348-gdb", &[("gdb1-cluster", true)])];
        assert_eq!(writer(&request, &seen), Writer::Away("gdb2-cluster".to_owned()));
        let members = [("gdb2-cluster", true), ("gdb1-cluster", false)];
        seen.global_clusters = vec![global("reinvent-dat348-gdb", &members)];
        assert_eq!(writer(&request, &seen), Writer::Away("gdb2-cluster".to_owned()));
    }

    #[test]
    fn away_holds_no_writer_in_quiet_times_and_after_the_promotion_of_home() {
        let (request, mut seen) = workshop();
        let members = [("gdb1-cluster", true), ("gdb2-cluster", false)];
        seen.global_clusters = vec![global("reinvent-dat348-gdb", &members)];
        assert!(matches!(writer(&request, &seen), Writer::NotAway(_)));

        let (request, mut seen) = workshop();
        seen.home.clusters[0].id = "gdb1-cluster-restored".to_owned();
        assert!(matches!(writer(&request, &seen), Writer::NotAway(_)), "both write: promoted");
        seen.home.clusters[0].replication_source = Some("arn:gdb2-cluster".to_owned());
        assert!(matches!(writer(&request, &seen), Writer::Away(_)), "it still follows away");
        seen.away.clusters.clear();
        assert!(matches!(writer(&request, &seen), Writer::NotAway(_)), "away is gone");
    }

    #[test]
    fn network_must_be_there_as_a_whole() {
        let (request, _) = workshop();
        let group = SubnetGroupSeen {
            name: "group".to_owned(),
            status: "Complete".to_owned(),
            subnet_ids: vec!["subnet-1".to_owned()],
        };
        let acl = |id: &str, subnets: &[&str]| NetworkAclSeen {
            id: id.to_owned(),
            associations: subnets.iter().map(|s| ((*s).to_owned(), "a".to_owned())).collect(),
            ..NetworkAclSeen::default()
        };
        let fence = request.home.network.fence_acl_id.clone().expect("an ACL");
        let acls = [acl(&fence, &[]), acl("acl-open", &["subnet-1"])];
        let home = &request.home;
        let groups = [group.clone()];
        assert!(network_troubles(home, Some("group"), &groups, &acls).is_empty());

        assert_eq!(network_troubles(home, Some("group"), &groups, &acls[1..]).len(), 1, "no fence");
        assert_eq!(
            network_troubles(home, Some("group"), &groups, &acls[..1]).len(),
            1,
            "no subnet"
        );
        assert_eq!(network_troubles(home, Some("group"), &[], &acls).len(), 1, "no group");
        assert_eq!(network_troubles(home, None, &groups, &acls).len(), 1, "none is known");
        let vague = SubnetGroupSeen { status: String::new(), ..group };
        assert_eq!(network_troubles(home, Some("group"), &[vague], &acls).len(), 1, "no status");
    }
}
