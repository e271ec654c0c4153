//! Decisions that rest on what an earlier run has read.

use super::*;

#[test]
fn settings_of_a_cluster_that_is_gone_must_be_given_back() {
    let seen = world(&[], &[("c2", "i2")], Vec::new());
    let refused = decide(&request(), &seen).expect_err("nobody knows what home was like");
    assert!(matches!(refused, Refusal::SettingsUnknown { field: "home.captured", .. }));

    let whole = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());
    let earlier = decide(&request(), &whole).expect("a plan");
    let mut request = request();
    request.home.captured = Some(earlier.captured_home);
    let plan = decide(&request, &seen).expect("now it is known");
    assert_eq!(first_phase(&plan), Some("restore_network"));
    assert_eq!(plan.rebuild_home.cluster.subnet_group.as_deref(), Some("subnets"));
}

#[test]
fn instances_that_an_interrupted_run_deleted_are_rebuilt_as_it_had_read_them() {
    let whole = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());
    let earlier = decide(&request(), &whole).expect("a plan");
    let mut seen = whole;
    seen.home.instances.clear();
    let cluster = seen.home.clusters.iter_mut().find(|c| c.id == "c1").expect("it stands");
    cluster.settings.deletion_protection = false;

    let refused = decide(&request(), &seen).expect_err("nothing says what they were like");
    assert!(matches!(refused, Refusal::SettingsUnreadable { field: "home.captured", .. }));
    let mut given = request();
    given.home.captured = Some(earlier.captured_home.clone());
    let plan = decide(&given, &seen).expect("now it is known");

    assert_eq!(first_phase(&plan), Some("retire_home"));
    assert_eq!(plan.captured_home, earlier.captured_home, "protection and instances as they were");
    given.home.captured =
        Some(Captured { cluster_resource_id: "cluster-OTHER".to_owned(), ..earlier.captured_home });
    decide(&given, &seen).expect_err("settings of another cluster of that name are none of its");
}

#[test]
fn another_cluster_of_the_stale_one_s_name_is_refused_by_a_run_that_continues() {
    let seen = world(&[("c1", "i1")], &[("c2", "i2")], Vec::new());
    let mut request = request();
    request.home.captured = Some(decide(&request, &seen).expect("a plan").captured_home);

    let mut swapped = seen.clone();
    swapped.home.clusters[0].resource_id = "cluster-OTHER".to_owned();
    let refused = decide(&request, &swapped).expect_err("it would be deleted").to_string();
    assert!(refused.contains("home.cluster_id") && refused.contains("cluster-OTHER"), "{refused}");

    let mut renamed = seen.clone();
    renamed.home.clusters[0].id = "c1-old".to_owned();
    let refused = decide(&request, &renamed).expect_err("it is not gone").to_string();
    assert!(refused.contains("`c1-old`") && refused.contains("memory#g0"), "{refused}");

    request.away.captured = request.home.captured.clone();
    let refused =
        decide(&request, &seen).expect_err("home is not rebuilt from another").to_string();
    assert!(refused.contains("away.cluster_id"), "{refused}");
}
