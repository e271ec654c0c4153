//! Decisions about what keeps clients out, and what lets them in again.

use super::*;
use crate::seen::{GroupMembershipSeen, SecurityGroupSeen};

#[test]
fn fence_of_an_earlier_run_returns_to_what_it_replaced() {
    let mut seen = world(&[("c1", "i1")], &[("c2", "i2")], vec![]);
    let without = decide(&request(), &seen).expect("nothing stands against it");
    let replaced = |plan: &Plan| plan.promote.fence.replaced_acl("us-west-2", "s").cloned();
    assert_eq!(replaced(&without).as_deref(), Some("acl-default"));

    seen = fenced(seen);
    let mut own = seen.away.network_acls[0].clone();
    own.id = "acl-own".to_owned();
    own.is_default = false;
    seen.away.network_acls.push(own);
    let by = FenceBy::NetworkAcl {
        acl_id: "acl-fence2".into(),
        restore: [("s".into(), "acl-own".into())].into(),
    };
    let fence = Fence { by, ..without.promote.fence };
    let unless_promoted = crate::memory::Promotion {
        cluster: without.promote.cluster,
        global_cluster_id: without.promote.global_cluster_id,
    };
    seen.remembered.fence = Some(crate::memory::FenceLeft { fence, unless_promoted });
    let with = decide(&request(), &seen).expect("nothing stands against it");

    assert_eq!(replaced(&with).as_deref(), Some("acl-own"));
}

#[test]
fn away_that_is_closed_and_nobody_remembers_why_is_refused_until_it_is_open() {
    let open = world(&[("c1", "i1")], &[("c2", "i2")], vec![]);
    let refusal = |request: &Request, seen: &Seen| match decide(request, seen) {
        Err(refused @ Refusal::AwayClosed { .. }) => refused.to_string(),
        other => panic!("{other:?}"),
    };
    decide(&request(), &open).expect("nothing stands against it");
    let closed = refusal(&request(), &fenced(open.clone()));
    for word in ["`c2`", "us-west-2", "[s]", "acl-fence2", "FenceStillUp"] {
        assert!(closed.contains(word), "`{word}` is not named by: {closed}");
    }
    let mut given = request();
    given.away.network.open_acl_id = Some("acl-default".to_owned());
    refusal(&given, &fenced(open.clone()));
    decide(&request(), &fenced(promoted())).expect("the fence has to stay");

    let mut grouped_away = open;
    grouped(&mut grouped_away.home, "sg-fence1", &["sg-open"]);
    grouped(&mut grouped_away.away, "sg-fence2", &["sg-open", "sg-fence2"]);
    let mut by_group = by_group(request());
    by_group.away.network.open_group_ids = vec!["sg-open".to_owned()];
    assert!(refusal(&by_group, &grouped_away).contains("sg-fence2"));
}

#[test]
fn home_is_rebuilt_without_a_way_around_the_fence() {
    let mut seen = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());
    seen.home.clusters[0].settings.global_write_forwarding = true;
    seen.away.clusters[0].settings.global_write_forwarding = true;

    let plan = decide(&request(), &seen).expect("a plan");

    assert!(!plan.rebuild_home.cluster.global_write_forwarding);
    assert!(plan.rebuild_away.cluster.global_write_forwarding);
    assert!(plan.reasons.iter().any(|r| r.contains("forwarded writes")), "{:?}", plan.reasons);
}

#[test]
fn home_that_was_closed_again_is_opened_but_never_in_front_of_a_stale_cluster() {
    let mut seen = fenced(promoted());
    let [open, fence] = &mut seen.home.network_acls[..] else { panic!("two ACLs") };
    fence.associations = std::mem::take(&mut open.associations);

    let plan = decide(&request(), &seen).expect("nothing stands against it");
    assert_eq!(first_phase(&plan), Some("restore_network"));
    assert!(!plan.phases.rebuild_home.run && plan.phases.cut_over_writer.run);

    let mut request = request();
    request.home.captured = Some(plan.captured_home);
    request.home.captured.as_mut().expect("given").cluster_resource_id = "cluster-C1".to_owned();
    let (mut stale, _) = cluster("us-east-1", "c1", "i1");
    stale.id = "c1-old".to_owned();
    seen.home.clusters.push(stale);
    let plan = decide(&request, &seen).expect("nothing stands against it");
    assert_eq!(first_phase(&plan), Some("cut_over_writer"));
}

/// The same, where both sides are fenced by a security group.
fn by_group(mut request: Request) -> Request {
    for (side, id) in [(&mut request.home, "sg-fence1"), (&mut request.away, "sg-fence2")] {
        side.network.fence = FenceKind::SecurityGroup;
        side.network.fence_group_id = Some(id.to_owned());
    }
    request
}

/// Gives a side's clusters these security groups, and lets the side know them and its fence's.
fn grouped(side: &mut RegionSeen, fence: &str, groups: &[&str]) {
    let group = |id: &str, denies_inbound| SecurityGroupSeen {
        id: id.to_owned(),
        vpc_id: "vpc".to_owned(),
        denies_inbound,
    };
    side.security_groups = vec![group(fence, true), group("sg-open", false)];
    for cluster in &mut side.clusters {
        cluster.settings.security_group_ids = groups.iter().map(|id| (*id).to_owned()).collect();
        cluster.security_groups = groups
            .iter()
            .map(|id| GroupMembershipSeen { id: (*id).to_owned(), status: "active".to_owned() })
            .collect();
    }
}

#[test]
fn group_of_the_fence_is_never_carried_over_into_a_rebuilt_cluster() {
    let mut seen = world(&[("c1", "i1")], &[("c2", "i2")], vec![]);
    grouped(&mut seen.home, "sg-fence1", &["sg-open"]);
    grouped(&mut seen.away, "sg-fence2", &["sg-open"]);
    let mut request = by_group(request());
    let open = decide(&request, &seen).expect("nothing stands against it");
    let restore = vec!["sg-open".to_owned()];
    let by = FenceBy::SecurityGroup { group_id: "sg-fence2".to_owned(), restore: restore.clone() };
    assert_eq!(open.promote.fence.by, by);

    grouped(&mut seen.home, "sg-fence1", &["sg-fence1"]);
    let refused = decide(&request, &seen).expect_err("nobody knows its groups").to_string();
    assert!(refused.contains("`home.network.open_group_ids`"), "{refused}");

    request.home.captured = Some(open.captured_home.clone());
    let continued = decide(&request, &seen).expect("an earlier run has remembered them");
    assert_eq!(continued.rebuild_home.cluster.security_group_ids, restore);
    assert_eq!(continued.captured_home, open.captured_home);

    request.home.captured = None;
    request.home.network.open_group_ids = restore.clone();
    let given = decide(&request, &seen).expect("they are given");
    assert_eq!(given.rebuild_home.cluster.security_group_ids, restore);
    assert!(!given.basis.drift(&open.basis).is_empty(), "the plan sees the groups");
}
