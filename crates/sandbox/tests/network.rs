//! EC2 through the unchanged SDK: network ACLs, subnets and security groups.

mod network_support;

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{Filter, NetworkAcl, PortRange, RuleAction, Tag};
use failback_sandbox::network::{AclEntry, Connection, Flow};
use network_support::{
    AWAY, AWAY_GROUP, AWAY_SUBNETS, HOME, HOME_DEFAULT, HOME_FENCE, HOME_SUBNETS, Lab,
    OTHER_VPC_ACL, sdk, world,
};

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

async fn acls(ec2: &aws_sdk_ec2::Client, name: &str, value: &str) -> Vec<NetworkAcl> {
    let answer = ec2.describe_network_acls().filters(filter(name, value)).send().await.unwrap();
    answer.network_acls().to_vec()
}

async fn association(ec2: &aws_sdk_ec2::Client, subnet: &str) -> (String, String) {
    let found = acls(ec2, "association.subnet-id", subnet).await;
    let [acl] = found.as_slice() else { panic!("{subnet} has {} ACLs", found.len()) };
    let mine = acl.associations().iter().find(|a| a.subnet_id() == Some(subnet)).unwrap();
    let id = mine.network_acl_association_id().unwrap().to_owned();
    (id, acl.network_acl_id().unwrap().to_owned())
}

async fn replace(
    ec2: &aws_sdk_ec2::Client,
    association: &str,
    acl: &str,
) -> Result<String, String> {
    let call = ec2.replace_network_acl_association().association_id(association);
    match call.network_acl_id(acl).send().await {
        Ok(answer) => Ok(answer.new_association_id().unwrap().to_owned()),
        Err(error) => Err(error.code().unwrap_or_default().to_owned()),
    }
}

#[tokio::test]
async fn every_replacement_of_an_association_issues_a_new_id_and_kills_the_old_one() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let (first, acl) = association(&ec2, HOME_SUBNETS[0]).await;
    assert_eq!(acl, HOME_DEFAULT);

    let second = replace(&ec2, &first, HOME_FENCE).await.unwrap();
    let again = replace(&ec2, &first, HOME_FENCE).await;
    let third = replace(&ec2, &second, HOME_FENCE).await.unwrap();

    assert_ne!(first, second);
    assert_ne!(second, third);
    assert_eq!(again, Err("InvalidAssociationID.NotFound".to_owned()));
    assert_eq!(association(&ec2, HOME_SUBNETS[0]).await, (third, HOME_FENCE.to_owned()));
}

#[tokio::test]
async fn acl_that_is_in_place_is_associated_anew_or_not_as_chosen() {
    for anew in [true, false] {
        let lab = Lab::new(world());
        lab.sandbox.change_world(|world| world.behaviour.same_acl_is_associated_anew = anew);
        let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
        let (first, _) = association(&ec2, HOME_SUBNETS[0]).await;

        let second = replace(&ec2, &first, HOME_DEFAULT).await.unwrap();

        assert_eq!(second != first, anew);
        assert_eq!(association(&ec2, HOME_SUBNETS[0]).await.0, second);
    }
}

#[tokio::test]
async fn subnet_without_an_association_of_its_own_has_the_default_acl() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);

    for subnet in HOME_SUBNETS {
        let found = acls(&ec2, "association.subnet-id", subnet).await;
        let [acl] = found.as_slice() else { panic!("{subnet} has {} ACLs", found.len()) };
        assert_eq!((acl.network_acl_id(), acl.is_default()), (Some(HOME_DEFAULT), Some(true)));
    }
}

#[tokio::test]
async fn acl_that_cannot_be_associated_is_refused_and_leaves_the_association() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let (id, _) = association(&ec2, HOME_SUBNETS[0]).await;
    let before = lab.sandbox.fingerprint();

    for (acl, code) in [
        ("acl-0123456789abcdef0", "InvalidNetworkAclID.NotFound"),
        ("not-an-acl", "InvalidNetworkAclId.Malformed"),
        (OTHER_VPC_ACL, "InvalidParameterValue"),
        ("", "MissingParameter"),
    ] {
        assert_eq!(replace(&ec2, &id, acl).await, Err(code.to_owned()), "{acl}");
    }

    assert_eq!(lab.sandbox.fingerprint(), before);
    assert_eq!(association(&ec2, HOME_SUBNETS[0]).await, (id, HOME_DEFAULT.to_owned()));
}

#[tokio::test]
async fn acl_of_another_region_does_not_exist_here() {
    let lab = Lab::new(world());
    let away = sdk!(aws_sdk_ec2, lab, AWAY);
    let (id, _) = association(&away, AWAY_SUBNETS[0]).await;

    let replaced = replace(&away, &id, HOME_FENCE).await;

    assert_eq!(replaced, Err("InvalidNetworkAclID.NotFound".to_owned()));
}

#[tokio::test]
async fn acl_shows_its_rules_with_the_implicit_deny_and_its_tags() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);

    let answer = ec2.describe_network_acls().network_acl_ids(HOME_FENCE).send().await.unwrap();

    let [fence] = answer.network_acls() else { panic!("one ACL") };
    let rules: Vec<(i32, bool, &str)> = fence
        .entries()
        .iter()
        .map(|e| (e.rule_number().unwrap(), e.egress().unwrap(), e.rule_action().unwrap().as_str()))
        .collect();
    let deny = "deny";
    assert_eq!(
        rules,
        [(100, false, deny), (100, true, deny), (32_767, false, deny), (32_767, true, deny)]
    );
    assert_eq!(fence.is_default(), Some(false));
    assert!(fence.associations().is_empty());
    assert_eq!(fence.tags()[0].value(), Some("fence"));
}

#[tokio::test]
async fn acls_are_found_by_every_filter_a_caller_relies_on() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let (id, _) = association(&ec2, HOME_SUBNETS[0]).await;

    for (name, value, expected) in [
        ("association.association-id", id.as_str(), vec![HOME_DEFAULT]),
        ("association.network-acl-id", HOME_DEFAULT, vec![HOME_DEFAULT]),
        ("default", "true", vec![HOME_DEFAULT, OTHER_VPC_ACL]),
        ("vpc-id", "vpc-0000000000000e000", vec![HOME_DEFAULT, HOME_FENCE]),
        ("network-acl-id", HOME_FENCE, vec![HOME_FENCE]),
        ("tag:purpose", "fence", vec![HOME_FENCE]),
        ("tag-key", "purp*", vec![HOME_FENCE]),
        ("association.subnet-id", "subnet-0123456789abcdef0", vec![]),
    ] {
        let found = acls(&ec2, name, value).await;
        let ids: Vec<&str> = found.iter().map(|acl| acl.network_acl_id().unwrap()).collect();
        assert_eq!(ids, expected, "{name}={value}");
    }
    let misspelt = ec2.describe_network_acls().filters(filter("subnet", "x")).send().await;
    assert_eq!(misspelt.unwrap_err().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn listing_goes_on_over_pages_that_are_shorter_than_asked() {
    let lab = Lab::new(world());
    lab.sandbox.change_world(|world| world.network.page_size = 1);
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);

    let mut pages = ec2.describe_network_acls().into_paginator().items().send();
    let mut found = 0;
    while let Some(acl) = pages.next().await {
        acl.unwrap();
        found += 1;
    }

    assert_eq!(found, 3);
    let tiny = ec2.describe_network_acls().max_results(3).send().await;
    assert_eq!(tiny.unwrap_err().code(), Some("InvalidParameterValue"));
    let stale = ec2.describe_network_acls().next_token("of-yesterday").send().await;
    assert_eq!(stale.unwrap_err().code(), Some("InvalidNextToken"));
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_its_own_code() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);

    let acl = ec2.describe_network_acls().network_acl_ids("acl-0123456789abcdef0").send().await;
    let subnet = ec2.describe_subnets().subnet_ids("subnet-0123456789abcdef0").send().await;
    let group = ec2.describe_security_groups().group_ids("sg-0123456789abcdef0").send().await;
    let vpc = ec2.describe_vpcs().vpc_ids("vpc-0123456789abcdef0").send().await;

    assert_eq!(acl.unwrap_err().code(), Some("InvalidNetworkAclID.NotFound"));
    assert_eq!(subnet.unwrap_err().code(), Some("InvalidSubnetID.NotFound"));
    assert_eq!(group.unwrap_err().code(), Some("InvalidGroup.NotFound"));
    assert_eq!(vpc.unwrap_err().code(), Some("InvalidVpcID.NotFound"));
}

#[tokio::test]
async fn subnets_groups_and_vpcs_are_described_in_full() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, AWAY);

    let subnets = ec2.describe_subnets().subnet_ids(AWAY_SUBNETS[1]).send().await.unwrap();
    let groups = ec2.describe_security_groups().group_ids(AWAY_GROUP).send().await.unwrap();
    let vpcs = ec2.describe_vpcs().send().await.unwrap();

    let [subnet] = subnets.subnets() else { panic!("one subnet") };
    assert_eq!(subnet.vpc_id(), Some("vpc-0000000000000a000"));
    assert_eq!(subnet.availability_zone(), Some("us-west-2b"));
    assert_eq!(subnet.cidr_block(), Some("10.2.2.0/24"));
    let [group] = groups.security_groups() else { panic!("one group") };
    let [rule] = group.ip_permissions() else { panic!("one rule") };
    assert_eq!((rule.from_port(), rule.to_port()), (Some(3306), Some(3306)));
    assert_eq!(rule.ip_ranges()[0].cidr_ip(), Some("10.0.0.0/8"));
    let [vpc] = vpcs.vpcs() else { panic!("one VPC") };
    assert_eq!(vpc.cidr_block(), Some("10.2.0.0/16"));
}

#[tokio::test]
async fn tags_are_written_for_every_resource_or_for_none() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let tag = Tag::builder().key("owner").value("failback").build();

    let some = ec2.create_tags().resources(HOME_FENCE).resources("acl-gone").tags(tag.clone());
    assert_eq!(some.send().await.unwrap_err().code(), Some("InvalidID"));
    assert!(acls(&ec2, "tag:owner", "failback").await.is_empty());
    ec2.create_tags().resources(HOME_FENCE).tags(tag.clone()).send().await.unwrap();
    assert_eq!(acls(&ec2, "tag:owner", "failback").await.len(), 1);
    ec2.delete_tags().resources(HOME_FENCE).tags(tag).send().await.unwrap();
    assert!(acls(&ec2, "tag:owner", "failback").await.is_empty());
    assert_eq!(acls(&ec2, "tag:purpose", "fence").await.len(), 1);
}

#[tokio::test]
async fn dry_run_changes_nothing() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let (id, _) = association(&ec2, HOME_SUBNETS[0]).await;

    let call = ec2.replace_network_acl_association().association_id(&id).dry_run(true);
    let answer = call.network_acl_id(HOME_FENCE).send().await;

    assert_eq!(answer.unwrap_err().code(), Some("DryRunOperation"));
    assert_eq!(association(&ec2, HOME_SUBNETS[0]).await.0, id);
}

/// Whether home's client reaches away's cluster, by a new and by an established connection.
fn reaches(lab: &Lab) -> (bool, bool) {
    lab.sandbox.with_world(|world| {
        let flow = Flow {
            region: AWAY,
            subnets: &AWAY_SUBNETS.map(str::to_owned),
            groups: &[AWAY_GROUP.to_owned()],
            client: "10.1.20.5".parse().unwrap(),
            port: 3306,
        };
        let by = |connection| world.network.reachable(&flow, connection);
        (by(Connection::New), by(Connection::Established))
    })
}

#[test]
fn denying_acl_cuts_established_connections_and_a_security_group_does_not() {
    let lab = Lab::new(world());
    assert_eq!(reaches(&lab), (true, true));

    lab.sandbox.change_world(|world| world.network.set_ingress(AWAY, AWAY_GROUP, vec![]));
    assert_eq!(reaches(&lab), (false, true));

    lab.fence(AWAY, AWAY_SUBNETS, network_support::AWAY_FENCE);
    assert_eq!(reaches(&lab), (false, false));
}

#[test]
fn fence_that_leaves_one_subnet_open_is_no_fence() {
    let lab = Lab::new(world());

    lab.fence(AWAY, [AWAY_SUBNETS[0]; 2], network_support::AWAY_FENCE);

    assert_eq!(reaches(&lab), (true, true));
}

#[test]
fn acl_is_stateless_and_needs_a_rule_for_the_answers_too() {
    let lab = Lab::new(world());
    let inbound_only = vec![AclEntry::everything(100, false, true)];

    lab.sandbox.change_world(|world| {
        world.network.set_entries(AWAY, network_support::AWAY_FENCE, inbound_only)
    });
    lab.fence(AWAY, AWAY_SUBNETS, network_support::AWAY_FENCE);

    assert_eq!(reaches(&lab), (false, false));
}

/// Whether a change of an ACL's entry is refused, and with which code.
fn code_of<T, E: ProvideErrorMetadata>(
    result: Result<T, aws_sdk_ec2::error::SdkError<E>>,
) -> Option<String> {
    Some(result.err()?.code().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn changed_entry_acts_on_established_connections_at_once() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, AWAY);
    let (_, acl) = association(&ec2, AWAY_SUBNETS[0]).await;
    let deny = |number: i32| {
        let create = ec2.create_network_acl_entry().network_acl_id(&acl).rule_number(number);
        let create = create.protocol("6").rule_action(RuleAction::Deny).egress(false);
        let ports = PortRange::builder().from(3306).to(3306).build();
        create.cidr_block("10.1.0.0/16").port_range(ports).send()
    };
    assert_eq!(reaches(&lab), (true, true));

    assert_eq!(code_of(deny(50).await), None);
    assert_eq!(reaches(&lab), (false, false));
    let delete = ec2.delete_network_acl_entry().network_acl_id(&acl).egress(false);
    assert_eq!(code_of(delete.rule_number(50).send().await), None);
    assert_eq!(reaches(&lab), (true, true));
    // A rule behind the one that allows everything never acts.
    assert_eq!(code_of(deny(200).await), None);
    assert_eq!(reaches(&lab), (true, true));

    let replace = ec2.replace_network_acl_entry().network_acl_id(&acl).rule_number(100);
    let replace = replace.protocol("-1").rule_action(RuleAction::Deny).egress(true);
    assert_eq!(code_of(replace.cidr_block("0.0.0.0/0").send().await), None);
    assert_eq!(reaches(&lab), (false, false));
}

#[tokio::test]
async fn entry_is_made_once_and_changed_only_where_it_exists() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let create = |number: i32| {
        let create = ec2.create_network_acl_entry().network_acl_id(HOME_FENCE).egress(false);
        let create = create.rule_number(number).protocol("-1").rule_action(RuleAction::Deny);
        create.cidr_block("0.0.0.0/0").send()
    };
    let before = lab.sandbox.fingerprint();

    let twice = code_of(create(100).await);
    assert_eq!(twice.as_deref(), Some("NetworkAclEntryAlreadyExists"));
    let reserved = code_of(create(32_767).await);
    assert_eq!(reserved.as_deref(), Some("InvalidParameterValue"));
    let delete = ec2.delete_network_acl_entry().network_acl_id(HOME_FENCE).egress(false);
    let missing = code_of(delete.rule_number(7).send().await);
    assert_eq!(missing.as_deref(), Some("InvalidNetworkAclEntry.NotFound"));
    let replace = ec2.replace_network_acl_entry().network_acl_id(HOME_FENCE).egress(true);
    let replace = replace.rule_number(7).protocol("-1").rule_action(RuleAction::Deny);
    let missing = code_of(replace.cidr_block("0.0.0.0/0").send().await);
    assert_eq!(missing.as_deref(), Some("InvalidNetworkAclEntry.NotFound"));
    assert_eq!(lab.sandbox.fingerprint(), before);

    let mut last = None;
    for number in 1..=20 {
        last = code_of(create(number).await);
    }
    assert_eq!(last.as_deref(), Some("NetworkAclEntryLimitExceeded"));
}

#[tokio::test]
async fn default_acl_and_one_in_use_are_not_deleted() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let delete = |id: &str| ec2.delete_network_acl().network_acl_id(id).send();

    let default = code_of(delete(HOME_DEFAULT).await);
    assert_eq!(default.as_deref(), Some("InvalidParameterValue"));
    lab.fence(HOME, HOME_SUBNETS, HOME_FENCE);
    assert_eq!(code_of(delete(HOME_FENCE).await).as_deref(), Some("DependencyViolation"));
    lab.fence(HOME, HOME_SUBNETS, HOME_DEFAULT);
    assert_eq!(code_of(delete(HOME_FENCE).await), None);
    let gone = code_of(delete(HOME_FENCE).await);
    assert_eq!(gone.as_deref(), Some("InvalidNetworkAclID.NotFound"));
}

#[tokio::test]
async fn new_acl_denies_everything() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, AWAY);
    let created = ec2.create_network_acl().vpc_id("vpc-0000000000000a000").send().await.unwrap();
    let id = created.network_acl.unwrap().network_acl_id.unwrap();

    lab.fence(AWAY, AWAY_SUBNETS, &id);

    assert_eq!(reaches(&lab), (false, false));
}

#[tokio::test]
async fn too_many_calls_of_ec2_have_a_code_of_their_own() {
    let lab = Lab::new(world());
    let ec2 = sdk!(aws_sdk_ec2, lab, HOME);
    let fault = failback_sandbox::Fault::next(failback_sandbox::Verb::Throttle, "DescribeVpcs");
    lab.sandbox.inject(fault);

    let limited = code_of(ec2.describe_vpcs().send().await);

    assert_eq!(limited.as_deref(), Some("RequestLimitExceeded"));
}
