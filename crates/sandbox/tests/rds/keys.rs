//! Keys, encryption by default, pre-signed URLs and IAM roles.

use failback_sandbox::{Behaviour, WorldSpec};

use crate::support::{AWAY, HOME, HOME_KEY, Lab, RESTORING, assert_refused, join, refusal};

async fn ready_to_join(change: impl FnOnce(&mut Behaviour), encrypted: bool) -> Lab {
    let mut spec = WorldSpec::workshop();
    for cluster in spec.regions.iter_mut().flat_map(|region| &mut region.clusters) {
        cluster.kms_key = cluster.kms_key.take().filter(|_| encrypted);
    }
    let lab = Lab::of(&spec, 7);
    lab.sandbox.change_world(|world| change(&mut world.behaviour));
    lab.create_global(RESTORING, AWAY, "gdb2-cluster").await;
    lab.wait_s(120);
    lab
}

async fn join_plainly(lab: &Lab) -> Option<String> {
    let join = join(&lab.rds(HOME), RESTORING, "restored");
    refusal(join.set_kms_key_id(None).set_storage_encrypted(None).send().await)
}

async fn encryption(lab: &Lab, region: &'static str, id: &str) -> (bool, String) {
    let cluster = lab.cluster(region, id).await;
    let kind = cluster.storage_encryption_type().unwrap().as_str().to_owned();
    (cluster.storage_encrypted().unwrap(), kind)
}

#[tokio::test]
async fn new_cluster_without_a_key_is_encrypted_by_default_or_not_as_chosen() {
    for (by_default, kind) in [(true, "sse-rds"), (false, "none")] {
        let lab = Lab::behaving(|behaviour| behaviour.encrypts_by_default = by_default);
        let create = lab.rds(HOME).create_db_cluster().db_cluster_identifier("plain");
        let create = create.engine("aurora-mysql").master_username("admin");
        let create = create.db_subnet_group_name("gdb1-subnet-group");
        create.master_user_password("secret1234").send().await.unwrap();

        assert_eq!(encryption(&lab, HOME, "plain").await, (false, kind.to_owned()));
        assert_eq!(encryption(&lab, HOME, "gdb1-cluster").await, (true, "sse-kms".to_owned()));
    }
}

#[tokio::test]
async fn cluster_encrypted_by_default_joins_what_is_not_encrypted_or_not_as_chosen() {
    for joins in [true, false] {
        let change = |b: &mut Behaviour| b.default_encryption_joins_unencrypted = joins;
        let lab = ready_to_join(change, false).await;
        let global = lab.global(RESTORING).await;
        assert_eq!(global.storage_encryption_type().unwrap().as_str(), "none");

        let joined = join_plainly(&lab).await;

        if joins {
            assert_eq!(joined, None);
            assert_eq!(encryption(&lab, HOME, "restored").await, (false, "sse-rds".to_owned()));
        } else {
            assert_refused(joined, "InvalidParameterValue", "storageEncrypted should match");
        }
    }
}

#[tokio::test]
async fn encrypted_join_takes_a_presigned_url_of_the_right_regions_when_told_so() {
    let change = |b: &mut Behaviour| b.encrypted_join_needs_a_presigned_url = true;
    let lab = ready_to_join(change, true).await;
    let url = |from: &str, to: &str| {
        format!("https://rds.{from}.amazonaws.com/?Action=CreateDBCluster&DestinationRegion={to}")
    };
    let join = |url: Option<String>| {
        let join = join(&lab.rds(HOME), RESTORING, "restored");
        join.set_pre_signed_url(url).send()
    };

    let none = refusal(join(None).await);
    assert_refused(none, "InvalidParameterCombination", "pre-signed URL has to be specified");
    for wrong in [url(HOME, HOME), url(AWAY, AWAY)] {
        let refused = refusal(join(Some(wrong)).await);
        assert_refused(refused, "InvalidParameterValue", "PreSignedUrl could not be authenticated");
    }
    assert_eq!(refusal(join(Some(url(AWAY, HOME))).await), None);
}

#[tokio::test]
async fn members_share_a_storage_type_when_told_so() {
    for shared in [false, true] {
        let change = |b: &mut Behaviour| b.members_share_a_storage_type = shared;
        let lab = ready_to_join(change, true).await;
        let join = join(&lab.rds(HOME), RESTORING, "restored").storage_type("aurora-iopt1");

        let joined = refusal(join.send().await);

        assert_eq!(joined.is_some(), shared, "{joined:?}");
    }
}

#[tokio::test]
async fn member_whose_key_is_lost_midway_is_lost_and_a_cluster_of_its_own_waits_for_a_week() {
    let away_key = async |lab: &Lab| lab.cluster(AWAY, "gdb2-cluster").await.kms_key_id.unwrap();
    let lab = Lab::new();
    let key = away_key(&lab).await;
    lab.sandbox.change_world(|world| world.disable_key(HOME, HOME_KEY));
    lab.sandbox.change_world(|world| world.disable_key(AWAY, &key));
    lab.wait_s(120);

    let lost = "inaccessible-encryption-credentials";
    assert_eq!(lab.status(HOME, "gdb1-cluster").await, lost);
    let recoverable = format!("{lost}-recoverable");
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, recoverable);
    assert!(lab.sandbox.with_world(|world| world.writable_clusters().is_empty()));
    assert!(lab.sandbox.with_world(|world| world.told().iter().any(|told| told.number == 418)));

    lab.sandbox.change_world(|world| world.enable_key(AWAY, &key));
    lab.sandbox.change_world(|world| world.enable_key(HOME, HOME_KEY));
    lab.wait_s(120);
    assert_eq!(lab.status(HOME, "gdb1-cluster").await, lost);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, "available");

    lab.sandbox.change_world(|world| world.disable_key(AWAY, &key));
    lab.wait_s(8 * 24 * 3_600);
    lab.sandbox.change_world(|world| world.enable_key(AWAY, &key));
    lab.wait_s(120);
    assert_eq!(lab.status(AWAY, "gdb2-cluster").await, lost);
}

#[tokio::test]
async fn key_disabled_while_a_cluster_joins_leaves_it_lost() {
    let lab = ready_to_join(|_| {}, true).await;
    assert_eq!(lab.join_home(RESTORING, "restored").await, None);

    lab.sandbox.change_world(|world| world.disable_key(HOME, HOME_KEY));
    lab.wait_s(600);

    assert_eq!(lab.status(HOME, "restored").await, "inaccessible-encryption-credentials");
}

#[tokio::test]
async fn new_role_cannot_be_used_for_a_while() {
    let lab = ready_to_join(|_| {}, true).await;
    let role = "arn:aws:iam::123456789012:role/new";
    lab.sandbox.change_world(|world| world.make_role(role));
    let rds = lab.rds(AWAY);
    let add = || rds.add_role_to_db_cluster().db_cluster_identifier("gdb2-cluster").role_arn(role);
    let instance = || {
        let create = rds.create_db_instance().db_instance_identifier("node").engine("aurora-mysql");
        let create = create.db_cluster_identifier("gdb2-cluster").db_instance_class("db.r6g.large");
        create.monitoring_interval(15).monitoring_role_arn(role)
    };

    let words = "IAM role ARN value is invalid or does not include the required permissions";
    assert_refused(refusal(add().send().await), "InvalidParameterValue", words);
    assert_refused(refusal(instance().send().await), "InvalidParameterValue", words);
    lab.wait_s(120);
    assert_eq!(refusal(add().send().await), None);
    assert_eq!(refusal(instance().send().await), None);
}

#[tokio::test]
async fn new_secret_is_being_created_and_then_active() {
    let lab = Lab::new();
    let create = lab.rds(HOME).create_db_cluster().db_cluster_identifier("managed");
    let create = create.engine("aurora-mysql").master_username("admin");
    let create = create.db_subnet_group_name("gdb1-subnet-group");
    create.manage_master_user_password(true).send().await.unwrap();
    let status = async || {
        let secret = lab.cluster(HOME, "managed").await.master_user_secret.unwrap();
        secret.secret_status.unwrap()
    };

    assert_eq!(status().await, "creating");
    lab.wait_s(30);
    assert_eq!(status().await, "active");
}

#[tokio::test]
async fn source_with_a_managed_secret_takes_no_reader() {
    let lab = ready_to_join(|_| {}, true).await;
    lab.sandbox.change_world(|world| {
        let here = world.rds.regions.get_mut(AWAY).unwrap();
        let secret = Some("secret".to_owned());
        here.clusters.get_mut("gdb2-cluster").unwrap().managed_secret_arn = secret;
    });

    let joined = lab.join_home(RESTORING, "restored").await;

    assert_refused(joined, "InvalidParameterCombination", "managed master user password");
}
