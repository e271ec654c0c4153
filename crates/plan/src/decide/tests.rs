//! Decisions of whole topologies.

mod captured;
mod data_sources;
mod endpoints;
mod fences;

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::memory::Memory;
use crate::plan::Decision;
use crate::seen::{
    ClusterMemberSeen, ClusterSeen, DnsSeen, GlobalClusterSeen, InstanceSeen, MemberSeen,
    NetworkAclSeen, RegionSeen, SubnetGroupSeen,
};
use crate::settings::{ClusterSettings, InstanceSettings};

const VERSION: &str = "8.0.mysql_aurora.3.08.0";

fn request() -> Request {
    let side = |region: &str, n: u8, acl: &str| {
        json!({
            "region": region,
            "cluster_id": format!("c{n}"),
            "restored_cluster_id": format!("c{n}-restored"),
            "restored_instances": [{ "id": format!("i{n}-restored") }],
            "network": { "fence_acl_id": acl }
        })
    };
    let value = json!({
        "home": side("us-east-1", 1, "acl-fence1"),
        "away": side("us-west-2", 2, "acl-fence2"),
        "global_clusters": { "former": "g0", "restoring": "g1", "restored": "g2" },
        "clear_deletion_protection": true,
        "endpoints": { "dns": [{ "zone_id": "Z", "name": "db.x.", "points_to": "home_writer" }] }
    });
    Request::parse(&value).expect("a request")
}

fn arn(region: &str, id: &str) -> String {
    format!("arn:aws:rds:{region}:1:cluster:{id}")
}

fn cluster(region: &str, id: &str, instance: &str) -> (ClusterSeen, InstanceSeen) {
    let settings = ClusterSettings {
        subnet_group: Some("subnets".to_owned()),
        deletion_protection: true,
        ..ClusterSettings::default()
    };
    let cluster = ClusterSeen {
        id: id.to_owned(),
        arn: arn(region, id),
        resource_id: format!("cluster-{}", id.to_uppercase()),
        status: "available".to_owned(),
        engine: "aurora-mysql".to_owned(),
        engine_version: VERSION.to_owned(),
        endpoint: Some(format!("{id}.cluster-x")),
        reader_endpoint: Some(format!("{id}.cluster-ro-x")),
        members: vec![ClusterMemberSeen { instance_id: instance.to_owned(), is_writer: true }],
        settings,
        ..ClusterSeen::default()
    };
    let instance = InstanceSeen {
        id: instance.to_owned(),
        cluster_id: Some(id.to_owned()),
        status: "available".to_owned(),
        settings: InstanceSettings { captured_from: instance.to_owned(), ..Default::default() },
    };
    (cluster, instance)
}

fn region(name: &str, fence: &str, clusters: &[(&str, &str)]) -> RegionSeen {
    let acl = |id: &str, is_default, denies_inbound, subnets: &[&str]| NetworkAclSeen {
        id: id.to_owned(),
        vpc_id: "vpc".to_owned(),
        is_default,
        denies_inbound,
        associations: subnets.iter().map(|s| ((*s).to_owned(), "aclassoc".to_owned())).collect(),
    };
    let (clusters, instances) = clusters.iter().map(|(id, i)| cluster(name, id, i)).unzip();
    RegionSeen {
        region: name.to_owned(),
        clusters,
        instances,
        subnet_groups: vec![SubnetGroupSeen {
            name: "subnets".to_owned(),
            status: "Complete".to_owned(),
            subnet_ids: vec!["s".to_owned()],
        }],
        network_acls: vec![acl("acl-default", true, false, &["s"]), acl(fence, false, true, &[])],
        ..RegionSeen::default()
    }
}

fn world(home: &[(&str, &str)], away: &[(&str, &str)], globals: Vec<GlobalClusterSeen>) -> Seen {
    Seen {
        home: region("us-east-1", "acl-fence1", home),
        away: region("us-west-2", "acl-fence2", away),
        global_clusters: globals,
        dns: vec![DnsSeen {
            zone_id: "Z".to_owned(),
            name: "db.x".to_owned(),
            set_identifier: None,
            kind: Some("CNAME".to_owned()),
            value: Some("c2.cluster-x".to_owned()),
            ttl_s: Some(60),
            traffic_policy: None,
            set_identifiers: Vec::new(),
            zone_name: "x".to_owned(),
            zone_is_private: true,
        }],
        secrets: Vec::new(),
        remembered: Memory::default(),
    }
}

fn global(id: &str, members: &[(&str, bool)]) -> GlobalClusterSeen {
    let member = |(arn, is_writer): &(&str, bool)| MemberSeen {
        arn: (*arn).to_owned(),
        is_writer: *is_writer,
        synchronization: Some("connected".to_owned()),
    };
    GlobalClusterSeen {
        id: id.to_owned(),
        status: "available".to_owned(),
        members: members.iter().map(member).collect(),
        ..GlobalClusterSeen::default()
    }
}

fn first_phase(plan: &Plan) -> Option<&'static str> {
    let p = &plan.phases;
    let phases = [
        ("retire_home", &p.retire_home),
        ("restore_network", &p.restore_network),
        ("rebuild_home", &p.rebuild_home),
        ("bring_writer_home", &p.bring_writer_home),
        ("cut_over_writer", &p.cut_over_writer),
        ("retire_away", &p.retire_away),
        ("rebuild_away", &p.rebuild_away),
        ("finish", &p.finish),
    ];
    phases.into_iter().find(|(_, phase)| phase.run).map(|(name, _)| name)
}

#[test]
fn after_a_failover_everything_is_still_to_do() {
    let former = global("g0", &[(&arn("us-east-1", "c1"), true)]);
    let seen = world(&[("c1", "i1")], &[("c2", "i2")], vec![former]);

    let plan = decide(&request(), &seen).expect("nothing stands against it");

    assert_eq!(plan.decision, Decision::Proceed);
    assert_eq!(first_phase(&plan), Some("retire_home"));
    assert_eq!(plan.retire_home.detach_from.as_deref(), Some("g0"));
    assert_eq!(plan.retire_home.final_snapshot_id, "c1-final-c1");
    assert_eq!(plan.rebuild_home.source.arn, arn("us-west-2", "c2"));
    assert_eq!(plan.rebuild_away.source.arn, arn("us-east-1", "c1-restored"));
    assert_eq!(plan.promote.fence.replaced_acl("us-west-2", "s"), Some(&"acl-default".to_owned()));
    assert!(plan.finish.protection.iter().all(|p| p.enabled));
}

#[test]
fn home_that_catches_up_is_only_brought_to_its_end() {
    let members = [(&*arn("us-west-2", "c2"), true), (&*arn("us-east-1", "c1-restored"), false)];
    let seen =
        world(&[("c1-restored", "i1-restored")], &[("c2", "i2")], vec![global("g1", &members)]);

    let plan = decide(&request(), &seen).expect("nothing stands against it");

    assert_eq!(first_phase(&plan), Some("restore_network"));
}

#[test]
fn promoted_home_is_never_fenced_or_promoted_again() {
    let seen = fenced(promoted());

    let plan = decide(&request(), &seen).expect("nothing stands against it");

    assert_eq!(first_phase(&plan), Some("cut_over_writer"));
    assert!(!plan.phases.bring_writer_home.run);
}

/// Home is a writer of its own, and away has been left behind in the global cluster.
fn promoted() -> Seen {
    let left_behind = global("g1", &[(&arn("us-west-2", "c2"), true)]);
    world(&[("c1-restored", "i1-restored")], &[("c2", "i2")], vec![left_behind])
}

fn fenced(mut seen: Seen) -> Seen {
    let [open, fence] = &mut seen.away.network_acls[..] else { panic!("two ACLs") };
    fence.associations = std::mem::take(&mut open.associations);
    seen
}

#[test]
fn cluster_that_only_bears_the_name_of_home_is_not_taken_for_a_promoted_one() {
    let refused = decide(&request(), &promoted());
    assert!(matches!(refused, Err(Refusal::IdInUse { .. })), "away is open: {refused:?}");
}

#[test]
fn remembered_proof_shows_that_home_was_promoted_although_somebody_opened_away() {
    let mut seen = promoted();
    let reference = |region: &str, id: &str| ClusterRef {
        region: region.to_owned(),
        cluster_id: id.to_owned(),
        arn: arn(region, id),
    };
    seen.remembered.proof = Some(crate::memory::Proof {
        kind: crate::memory::ProofKind::LagSamples,
        detail: String::new(),
        fenced_at_ms: 0,
        cluster: reference("us-east-1", "c1-restored"),
        source: reference("us-west-2", "c2"),
        source_resource_id: "cluster-C2".to_owned(),
    });

    let plan = decide(&request(), &seen).expect("nothing stands against it");

    assert_eq!(first_phase(&plan), Some("cut_over_writer"));
}

#[test]
fn drift_names_what_was_and_what_is() {
    let before = world(&[("c1", "i1")], &[("c2", "i2")], vec![]);
    let planned = decide(&request(), &before).expect("nothing stands against it").basis;
    assert!(planned.drift(&Basis::of(&request(), &before)).is_empty());

    let mut after = before.clone();
    after.away.clusters[0].engine_version = "9".to_owned();
    after.home.clusters[0].status = "backing-up".to_owned();
    let now = Basis::of(&request(), &after);

    assert_ne!(now.hash, planned.hash);
    let drift = planned.drift(&now);
    assert_eq!(drift.len(), 1, "a backup is no drift: {drift:?}");
    assert!(drift[0].contains("c2") && drift[0].contains(VERSION), "{drift:?}");
}

#[test]
fn home_that_is_being_promoted_counts_as_promoted_although_it_is_still_listed() {
    let members = [(&*arn("us-west-2", "c2"), true), (&*arn("us-east-1", "c1-restored"), false)];
    let mut seen =
        world(&[("c1-restored", "i1-restored")], &[("c2", "i2")], vec![global("g1", &members)]);
    seen.home.clusters[0].status = "promoting".to_owned();

    let plan = decide(&request(), &seen).expect("nothing stands against it");

    assert_eq!(first_phase(&plan), Some("cut_over_writer"));
}

/// Both clusters are rebuilt and the name leads home.
fn complete() -> Seen {
    let members =
        [(&*arn("us-east-1", "c1-restored"), true), (&*arn("us-west-2", "c2-restored"), false)];
    let mut seen = world(
        &[("c1-restored", "i1-restored")],
        &[("c2-restored", "i2-restored")],
        vec![global("g2", &members)],
    );
    seen.dns[0].value = Some("c1-restored.cluster-x".to_owned());
    seen
}

#[test]
fn complete_failback_leaves_nothing_to_do() {
    let mut seen = complete();

    let plan = decide(&request(), &seen).expect("nothing stands against it");

    assert_eq!(plan.decision, Decision::NothingToDo, "{:?}", plan.reasons);
    assert_eq!(first_phase(&plan), None);

    seen.dns[0].value = Some("c2.cluster-x".to_owned());
    let plan = decide(&request(), &seen).expect("nothing stands against it");
    assert_eq!(plan.decision, Decision::Proceed, "a name still points elsewhere");
}

#[test]
fn failback_whose_last_run_was_stopped_is_not_complete_although_every_table_holds() {
    let stopped =
        decide(&request(), &world(&[("c1", "i1")], &[("c2", "i2")], vec![])).expect("a plan");
    let mut request = request();
    let mut seen = complete();
    seen.remembered.captured_home = Some(stopped.captured_home);
    seen.remembered.complete(&mut request);

    let plan = decide(&request, &seen).expect("nothing stands against it");

    assert_eq!(plan.decision, Decision::Proceed);
    assert_eq!(first_phase(&plan), Some("rebuild_away"), "what is last is done again");
    assert!(plan.finish.protection.iter().any(|p| p.enabled), "{:?}", plan.finish);
}

#[test]
fn cluster_without_an_instance_is_never_as_planned() {
    let mut seen = complete();
    let table = decide(&request(), &seen).expect("nothing stands against it").expect.finished;
    assert!(crate::verify::differences(&seen, &table).is_empty());

    seen.away.instances.clear();

    let differences = crate::verify::differences(&seen, &table);
    assert_eq!(differences, ["c2-restored in us-west-2 has no instance"]);
}

#[test]
fn home_must_be_open_before_it_is_promoted_and_at_the_end() {
    let seen = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());

    let plan = decide(&request(), &seen).expect("a plan");

    for table in [&plan.expect.home_rebuilt, &plan.expect.finished] {
        assert!(table.network.contains(&plan.restore_network), "{table:?}");
    }
}

/// Every membership of the stale home cluster and of away in one global cluster: only those in which
/// home is cut off for good, and away stands alone as a writer, may be acted on.
#[test]
fn only_a_stale_home_and_a_standalone_away_are_acted_on() {
    let (home, away, third) =
        (arn("us-east-1", "c1"), arn("us-west-2", "c2"), arn("eu-west-1", "c3"));
    let roles = [None, Some(false), Some(true)];
    let mut accepted = Vec::new();
    for id in ["g0", "other"] {
        for home_role in roles {
            for away_role in roles {
                for third_role in roles {
                    let all = [(&*home, home_role), (&*away, away_role), (&*third, third_role)];
                    let members: Vec<_> =
                        all.iter().filter_map(|(a, r)| r.map(|r| (*a, r))).collect();
                    let seen = world(&[("c1", "i1")], &[("c2", "i2")], vec![global(id, &members)]);
                    if decide(&request(), &seen).is_ok() {
                        accepted.push((id, home_role, away_role, third_role));
                    }
                }
            }
        }
    }
    let expected = [
        ("g0", None, None, None),
        ("g0", Some(false), None, None),
        ("g0", Some(true), None, None),
        // A global cluster of someone else in a third Region is none of our business.
        ("other", None, None, None),
        ("other", None, None, Some(false)),
        ("other", None, None, Some(true)),
        ("other", Some(false), None, None),
        ("other", Some(true), None, None),
    ];
    assert_eq!(accepted, expected);
}

#[test]
fn dry_run_plans_and_does_not_proceed() {
    let seen = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());
    let mut request = request();
    request.dry_run = true;

    let plan = decide(&request, &seen).expect("a plan");

    assert_eq!(plan.decision, Decision::DryRun);
    assert_eq!(first_phase(&plan), Some("retire_home"));
}

#[test]
fn smaller_cluster_than_before_is_remarked_on() {
    let mut seen = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());
    let (_, second) = cluster("us-east-1", "c1", "i1b");
    seen.home.instances.push(second);

    let plan = decide(&request(), &seen).expect("a plan");

    let remark = "c1 has 2 instances and is rebuilt with 1";
    assert!(plan.reasons.iter().any(|r| r == remark), "{:?}", plan.reasons);
}

#[test]
fn missing_parameter_group_is_named() {
    let mut seen = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());
    seen.home.clusters[0].settings.parameter_group = Some("gone".to_owned());
    let refused = decide(&request(), &seen).expect_err("it could not be rebuilt");
    assert!(refused.to_string().contains("`gone`"), "{refused}");

    seen.home.cluster_parameter_groups =
        BTreeMap::from([("gone".to_owned(), "aurora-mysql5.7".to_owned())]);
    let refused = decide(&request(), &seen).expect_err("it is of another family");
    assert!(refused.to_string().contains("aurora-mysql8.0"), "{refused}");
}
