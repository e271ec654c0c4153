//! In which order checks come, and codes that nobody has seen.

use aws_sdk_rds::types::Tag;
use failback_sandbox::{Behaviour, Check, Codes, WorldSpec};

use crate::support::{AWAY, FORMER, HOME, Lab, RESTORING, arn, assert_refused, join, refusal};

/// A kind of check first, the others after it.
fn first(kind: Check) -> [Check; 7] {
    let mut order = Check::USUAL;
    let at = order.iter().position(|k| *k == kind).unwrap();
    order[..=at].rotate_right(1);
    order
}

fn set(lab: &Lab, change: impl FnOnce(&mut Behaviour)) {
    lab.sandbox.change_world(|world| change(&mut world.behaviour));
}

async fn ready_to_join() -> Lab {
    let lab = Lab::new();
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab
}

#[tokio::test]
async fn join_that_breaks_several_rules_is_refused_for_the_first_one_and_changes_nothing() {
    let lab = ready_to_join().await;
    let before = lab.sandbox.fingerprint();
    for (kind, code) in [
        (Check::Malformed, "InvalidParameterValue"),
        (Check::Exists, "DBClusterAlreadyExistsFault"),
        (Check::Combination, "InvalidParameterCombination"),
        (Check::Dependencies, "DBSubnetGroupNotFoundFault"),
    ] {
        set(&lab, |behaviour| behaviour.check_order = first(kind));
        let join = join(&lab.rds(HOME), RESTORING, "gdb1-cluster").master_username("admin");
        let join = join.db_subnet_group_name("none");
        let reserved = Tag::builder().key("aws:mine").value("x").build();
        // Where settings cannot be read, nobody looks for the groups that they name.
        let tags = (kind != Check::Dependencies).then(|| vec![reserved]);
        assert_refused(refusal(join.set_tags(tags).send().await), code, "");
        assert_eq!(lab.sandbox.fingerprint(), before);
    }
    for (kind, code) in [
        (Check::NotFound, "GlobalClusterNotFoundFault"),
        (Check::Exists, "DBClusterAlreadyExistsFault"),
    ] {
        set(&lab, |behaviour| behaviour.check_order = first(kind));
        let joined = lab.join_home("none", "gdb1-cluster").await;
        assert_refused(joined, code, "");
        assert_eq!(lab.sandbox.fingerprint(), before);
    }
}

#[tokio::test]
async fn deletion_that_breaks_several_rules_is_refused_for_the_first_one_and_changes_nothing() {
    let lab = Lab::new();
    let key = lab.cluster(AWAY, "gdb2-cluster").await.kms_key_id.unwrap();
    lab.sandbox.change_world(|world| world.disable_key(AWAY, &key));
    let before = lab.sandbox.fingerprint();
    for (kind, code) in [
        (Check::State, "InvalidParameterCombination"),
        (Check::Dependencies, "KMSKeyNotAccessibleFault"),
    ] {
        set(&lab, |behaviour| behaviour.check_order = first(kind));
        let deleted = lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
        assert_refused(deleted, code, "");
        assert_eq!(lab.sandbox.fingerprint(), before);
    }
}

#[tokio::test]
async fn new_global_cluster_instance_and_modification_follow_the_order_as_well() {
    let lab = Lab::new();
    let before = lab.sandbox.fingerprint();
    let changed = |kind| set(&lab, |behaviour| behaviour.check_order = first(kind));

    changed(Check::Exists);
    let exists = lab.create_global(FORMER, HOME, "gdb1-cluster").await;
    assert_refused(exists, "GlobalClusterAlreadyExistsFault", FORMER);
    changed(Check::State);
    let state = lab.create_global(FORMER, HOME, "gdb1-cluster").await;
    assert_refused(state, "InvalidDBClusterStateFault", "already a member");

    changed(Check::Exists);
    let exists = lab.create_instance(AWAY, "none", "gdb2-node1").await;
    assert_refused(exists, "DBInstanceAlreadyExists", "");
    changed(Check::NotFound);
    let missing = lab.create_instance(AWAY, "none", "gdb2-node1").await;
    assert_refused(missing, "DBClusterNotFoundFault", "none");

    let modify = || {
        let modify = lab.rds(HOME).modify_db_cluster().db_cluster_identifier("gdb1-cluster");
        modify.manage_master_user_password(true).vpc_security_group_ids("sg-none").send()
    };
    changed(Check::Combination);
    assert_refused(refusal(modify().await), "InvalidParameterCombination", "global cluster");
    changed(Check::Dependencies);
    assert_refused(refusal(modify().await), "InvalidParameterValue", "sg-none");
    assert_eq!(lab.sandbox.fingerprint(), before);
}

/// All codes that nobody has seen, replaced.
fn unknown() -> Codes {
    let mut codes = serde_json::to_value(Codes::default()).unwrap();
    for (name, code) in codes.as_object_mut().unwrap() {
        *code = format!("Unseen{name}").into();
    }
    serde_json::from_value(codes).unwrap()
}

/// What is refused with a code, as guessed and as told.
async fn under_both(name: &str, ask: impl AsyncFn(&Lab) -> Option<String>, lab: &Lab) {
    let usual = serde_json::to_value(Codes::default()).unwrap();
    set(lab, |behaviour| behaviour.codes = Codes::default());
    assert_refused(ask(lab).await, usual[name].as_str().unwrap(), "");
    set(lab, |behaviour| behaviour.codes = unknown());
    assert_refused(ask(lab).await, &format!("Unseen{name}"), "");
    set(lab, |behaviour| behaviour.codes = Codes::default());
}

#[tokio::test]
async fn refusals_of_which_only_the_reason_is_known_have_the_codes_that_are_chosen() {
    let lab = ready_to_join().await;

    let source = async |lab: &Lab| {
        let create = lab.rds(HOME).create_global_cluster().global_cluster_identifier("other");
        let create = create.source_db_cluster_identifier(arn(AWAY, "gdb2-cluster"));
        refusal(create.send().await)
    };
    under_both("source_elsewhere", source, &lab).await;
    let global = async |lab: &Lab| {
        let describe = lab.rds(HOME).describe_global_clusters();
        let name = "arn:aws:rds::123456789012:global-cluster:x";
        refusal(describe.global_cluster_identifier(name).send().await)
    };
    under_both("arn_as_global_id", global, &lab).await;
    let elsewhere = async |lab: &Lab| {
        let describe = lab.rds(HOME).describe_db_clusters();
        let name = arn(AWAY, "gdb2-cluster");
        refusal(describe.db_cluster_identifier(name).send().await)
    };
    under_both("cluster_elsewhere", elsewhere, &lab).await;
    let region = async |lab: &Lab| {
        let key = lab.cluster(AWAY, "gdb2-cluster").await.kms_key_id;
        let join = join(&lab.rds(AWAY), RESTORING, "another").set_kms_key_id(key);
        refusal(join.send().await)
    };
    under_both("region_taken", region, &lab).await;
    let name = async |lab: &Lab| lab.join_home(RESTORING, "gdb2-cluster").await;
    under_both("name_taken", name, &lab).await;
    let managed = async |lab: &Lab| {
        let join = join(&lab.rds(HOME), RESTORING, "restored").manage_master_user_password(true);
        refusal(join.send().await)
    };
    under_both("managed_secret", managed, &lab).await;
    let backtrack = async |lab: &Lab| {
        refusal(join(&lab.rds(HOME), RESTORING, "restored").backtrack_window(60).send().await)
    };
    under_both("backtrack", backtrack, &lab).await;
    let keyless = async |lab: &Lab| {
        let join = join(&lab.rds(HOME), RESTORING, "restored").set_kms_key_id(None);
        refusal(join.send().await)
    };
    under_both("key_missing", keyless, &lab).await;
    let arguments = async |lab: &Lab| {
        let delete = lab.rds(AWAY).delete_db_cluster().db_cluster_identifier("gdb2-cluster");
        refusal(delete.send().await)
    };
    under_both("snapshot_arguments", arguments, &lab).await;
}

#[tokio::test]
async fn refusals_between_regions_and_of_protected_things_have_the_codes_that_are_chosen() {
    let mut spec = WorldSpec::workshop();
    spec.global_clusters[0].deletion_protection = true;
    let lab = Lab::of(&spec, 7);
    let protected = async |lab: &Lab| {
        let delete = lab.rds(HOME).delete_global_cluster().global_cluster_identifier(FORMER);
        refusal(delete.send().await)
    };
    under_both("protected_global", protected, &lab).await;

    let lab = Lab::new();
    lab.with_reader_in_home().await;
    let switch = async |lab: &Lab| {
        let switch = lab.rds(HOME).switchover_global_cluster();
        let switch = switch.global_cluster_identifier(RESTORING);
        let target = arn(HOME, "gdb1-cluster-restored");
        refusal(switch.target_db_cluster_identifier(target).send().await)
    };
    under_both("called_elsewhere", switch, &lab).await;
    set(&lab, |behaviour| behaviour.promoting_a_replica_detaches = false);
    let promote = async |lab: &Lab| {
        let promote = lab.rds(HOME).promote_read_replica_db_cluster();
        refusal(promote.db_cluster_identifier("gdb1-cluster-restored").send().await)
    };
    under_both("not_promotable", promote, &lab).await;

    let lab = Lab::new();
    lab.unprotect(AWAY, "gdb2-cluster").await;
    lab.delete_instance(AWAY, "gdb2-node1").await;
    let key = lab.cluster(AWAY, "gdb2-cluster").await.kms_key_id.unwrap();
    lab.sandbox.change_world(|world| world.disable_key(AWAY, &key));
    let lost = async |lab: &Lab| lab.delete_cluster(AWAY, "gdb2-cluster", "final").await;
    under_both("snapshot_without_key", lost, &lab).await;
}
