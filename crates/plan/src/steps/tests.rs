//! Single steps, over every status and role that decides them.

use super::*;
use crate::seen::{ClusterMemberSeen, GlobalClusterSeen, MemberSeen, SnapshotSeen};
use crate::settings::ClusterSettings;
use crate::task::{Answer, ClusterRef, InstancePlan, Progress, Rebuild};

const STATUSES: [&str; 8] = [
    "available",
    "backing-up",
    "modifying",
    "promoting",
    "deleting",
    "resyncing",
    "failed",
    "a status nobody has heard of",
];

fn reference(id: &str) -> ClusterRef {
    ClusterRef {
        region: "us-east-1".to_owned(),
        cluster_id: id.to_owned(),
        arn: format!("arn:{id}"),
    }
}

fn cluster(status: &str) -> ClusterSeen {
    ClusterSeen {
        id: "c".to_owned(),
        arn: "arn:c".to_owned(),
        resource_id: "cluster-C".to_owned(),
        status: status.to_owned(),
        members: vec![ClusterMemberSeen { instance_id: "w".to_owned(), is_writer: true }],
        ..ClusterSeen::default()
    }
}

fn instance(id: &str, status: &str) -> InstanceSeen {
    InstanceSeen {
        id: id.to_owned(),
        cluster_id: Some("c".to_owned()),
        status: status.to_owned(),
        ..InstanceSeen::default()
    }
}

fn global(members: &[(&str, bool)]) -> GlobalClusterSeen {
    let member = |(arn, is_writer): &(&str, bool)| MemberSeen {
        arn: (*arn).to_owned(),
        is_writer: *is_writer,
        synchronization: Some("connected".to_owned()),
    };
    GlobalClusterSeen {
        id: "g".to_owned(),
        status: "available".to_owned(),
        members: members.iter().map(member).collect(),
        ..GlobalClusterSeen::default()
    }
}

fn snapshot(of: &str, status: &str) -> SnapshotSeen {
    SnapshotSeen {
        id: "s".to_owned(),
        arn: "arn:s".to_owned(),
        cluster_resource_id: Some(of.to_owned()),
        status: status.to_owned(),
    }
}

fn acts<T>(decided: &Decided<T>) -> bool {
    matches!(decided, Ok(Step::Act(_)))
}

#[test]
fn reader_is_promoted_only_when_available_with_a_serving_instance() {
    let both = global(&[("arn:w", true), ("arn:c", false)]);
    let mut promoted = Vec::new();
    for status in STATUSES {
        for instance_status in ["available", "creating", "deleting"] {
            let seen = cluster(status);
            let instances = [instance("w", instance_status)];
            let decided =
                detach(Some(&both), Some(&seen), &instances, &reference("c"), LeavesAs::Reader);
            if acts(&decided) {
                promoted.push((status, instance_status));
            }
        }
    }
    assert_eq!(promoted, [("available", "available")]);
}

#[test]
fn nothing_leaves_in_another_role_than_planned_or_during_an_operation() {
    let seen = cluster("available");
    let instances = [instance("w", "available")];
    let leave = |global: &GlobalClusterSeen, role| {
        detach(Some(global), Some(&seen), &instances, &reference("c"), role)
    };

    assert!(leave(&global(&[("arn:c", true)]), LeavesAs::Reader).is_err());
    assert!(leave(&global(&[("arn:c", false)]), LeavesAs::Writer).is_err());
    let others = leave(&global(&[("arn:c", true), ("arn:r", false)]), LeavesAs::Writer);
    assert!(matches!(others, Ok(Step::Wait(_))), "the writer goes last");
    let mut busy = global(&[("arn:c", false)]);
    busy.operation = Some("switching-over".to_owned());
    assert!(matches!(leave(&busy, LeavesAs::Reader), Ok(Step::Wait(_))));
    assert!(matches!(leave(&global(&[]), LeavesAs::Reader), Ok(Step::Done(_))));
}

#[test]
fn fence_stays_unless_home_is_certainly_still_a_reader() {
    let both = global(&[("arn:w", true), ("arn:c", false)]);
    let mut reader = cluster("available");
    reader.replication_source = Some("arn:w".to_owned());
    let begun = |global: Option<&GlobalClusterSeen>, seen: Option<&ClusterSeen>| {
        promotion_begun(global, seen, &reference("c")).is_some()
    };

    assert!(!begun(Some(&both), Some(&reader)));
    assert!(!begun(Some(&both), None), "without a home cluster away is the only one");
    assert!(begun(None, Some(&reader)));
    assert!(begun(Some(&global(&[("arn:w", true)])), Some(&reader)));
    assert!(begun(Some(&both), Some(&cluster("promoting"))));
    assert!(begun(Some(&both), Some(&cluster("available"))), "it no longer replicates");
}

#[test]
fn promotion_is_done_only_when_home_stands_alone_and_is_available() {
    for status in STATUSES {
        let answer = detachment(
            Some(&global(&[])),
            Some(&cluster(status)),
            &reference("c"),
            LeavesAs::Reader,
        );
        let expected = match status {
            "available" => Progress::Done,
            "failed" => Progress::Failed,
            _ => Progress::Pending,
        };
        assert_eq!(answer.state, expected, "{status}");
    }
    let gone = |role| detachment(None, None, &reference("c"), role).state;
    assert_eq!(gone(LeavesAs::Reader), Progress::Pending);
    assert_eq!(gone(LeavesAs::Writer), Progress::Done);
}

#[test]
fn readers_are_deleted_before_the_writer() {
    let seen = cluster("available");
    let delete = |instances: &[InstanceSeen]| delete_instances(Some(&seen), "cluster-C", instances);

    let both = delete(&[instance("w", "available"), instance("r", "available")]);
    assert_eq!(both, Ok(Step::Act(vec!["r".to_owned()])));
    let going = delete(&[instance("w", "available"), instance("r", "deleting")]);
    assert!(matches!(going, Ok(Step::Wait(_))));
    assert_eq!(delete(&[instance("w", "available")]), Ok(Step::Act(vec!["w".to_owned()])));
    assert!(matches!(delete(&[instance("w", "deleting")]), Ok(Step::Done(_))));
    assert!(matches!(delete(&[]), Ok(Step::Done(_))));
}

#[test]
fn cluster_of_the_same_name_but_another_identity_is_never_touched() {
    let seen = cluster("available");
    let deletion = Deletion {
        cluster: Some(&seen),
        resource_id: "cluster-OTHER",
        snapshot: None,
        snapshot_id: "s",
    };
    assert!(delete_cluster(deletion, &[], None).is_err());
    assert!(delete_instances(Some(&seen), "cluster-OTHER", &[instance("w", "available")]).is_err());
}

#[test]
fn cluster_is_deleted_only_when_available_unprotected_unlisted_and_without_instances() {
    let mut deleted = Vec::new();
    for status in STATUSES {
        for protected in [true, false] {
            for listed_in in [None, Some("g")] {
                for instance_status in ["available", "deleting"] {
                    let mut seen = cluster(status);
                    seen.settings =
                        ClusterSettings { deletion_protection: protected, ..Default::default() };
                    let deletion = Deletion {
                        cluster: Some(&seen),
                        resource_id: "cluster-C",
                        snapshot: None,
                        snapshot_id: "s",
                    };
                    let instances = [instance("w", instance_status)];
                    if acts(&delete_cluster(deletion, &instances, listed_in)) {
                        deleted.push((status, protected, listed_in, instance_status));
                    }
                }
            }
        }
    }
    assert_eq!(deleted, [("available", false, None, "deleting")]);
}

#[test]
fn deletion_counts_only_with_an_available_snapshot_of_that_very_cluster() {
    let answer = |snapshot: Option<&SnapshotSeen>| -> Answer {
        deletion(Deletion { cluster: None, resource_id: "cluster-C", snapshot, snapshot_id: "s" })
    };
    assert_eq!(answer(None).state, Progress::Pending);
    assert_eq!(answer(Some(&snapshot("cluster-C", "creating"))).state, Progress::Pending);
    assert_eq!(answer(Some(&snapshot("cluster-C", "available"))).state, Progress::Done);
    assert_eq!(answer(Some(&snapshot("cluster-X", "available"))).state, Progress::Failed);
    assert_eq!(answer(Some(&snapshot("cluster-C", "failed"))).state, Progress::Failed);
}

fn rebuild() -> Rebuild {
    Rebuild {
        global_cluster_id: "g".to_owned(),
        source: reference("w"),
        target: reference("c"),
        cluster: ClusterSettings::default(),
        instances: vec![InstancePlan { id: "w1".to_owned(), settings: Default::default() }],
    }
}

#[test]
fn nothing_joins_a_global_cluster_that_does_not_list_its_writer() {
    let mut source = cluster("available");
    source.arn = "arn:w".to_owned();
    let create = |g: Option<&GlobalClusterSeen>| create_cluster(&rebuild(), g, Some(&source), None);

    assert!(matches!(create(None), Ok(Step::Wait(_))));
    assert!(matches!(create(Some(&global(&[]))), Ok(Step::Wait(_))));
    assert!(matches!(create(Some(&global(&[("arn:w", false)]))), Ok(Step::Wait(_))));
    assert!(acts(&create(Some(&global(&[("arn:w", true)])))));
}

#[test]
fn cluster_that_joined_as_a_writer_is_a_failure_and_not_available() {
    let listed = |is_writer| global(&[("arn:c", is_writer)]);
    let instances = [instance("w1", "available")];
    let state = |g: &GlobalClusterSeen, status: &str| {
        member(&rebuild(), Some(g), Some(&cluster(status)), &instances).state
    };
    assert_eq!(state(&listed(true), "available"), Progress::Failed);
    assert_eq!(state(&listed(false), "available"), Progress::Done);
    assert_eq!(state(&listed(false), "creating"), Progress::Pending);
    assert_eq!(state(&listed(false), "promoting"), Progress::Failed);
    assert_eq!(state(&global(&[]), "available"), Progress::Pending);
}
