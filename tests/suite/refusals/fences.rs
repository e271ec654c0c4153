//! Fences that would keep nobody out.

use failback_sandbox::spec::{NetworkAclEntrySpec, NetworkAclSpec, SubnetSpec, VpcSpec};
use serde_json::json;

use super::{refused, refused_input};
use crate::support::{AWAY, HOME};

/// The fence ACL of a Region of the workshop.
const HOME_FENCE: &str = "acl-0deadbeef0a11c105";
const AWAY_FENCE: &str = "acl-0fe9ce00a11c105ed";

#[tokio::test(start_paused = true)]
async fn fence_that_does_not_exist_is_refused() {
    for (side, region) in [("home", HOME), ("away", AWAY)] {
        refused_input(|i| i[side]["network"]["fence_acl_id"] = json!("acl-0123"))
            .await
            .for_the_topology(&[&format!("{side}.network.fence_acl_id"), "`acl-0123`", region]);
    }
}

#[tokio::test(start_paused = true)]
async fn fence_that_lets_traffic_in_is_refused() {
    for (side, region, fence) in [("home", HOME, HOME_FENCE), ("away", AWAY, AWAY_FENCE)] {
        refused(|given| {
            let acls = &mut given.vpc(region).network_acls;
            let fence = acls.iter_mut().find(|acl| acl.id == fence).expect("the fence");
            fence.entries.push(NetworkAclEntrySpec {
                rule_number: 90,
                egress: false,
                protocol: "-1".to_owned(),
                allow: true,
                cidr: "10.0.0.0/8".to_owned(),
                ports: None,
            });
        })
        .await
        .for_the_topology(&[
            &format!("{side}.network.fence_acl_id"),
            fence,
            "lets traffic in",
        ]);
    }
}

#[tokio::test(start_paused = true)]
async fn fence_of_another_vpc_is_refused() {
    refused(|given| {
        given.region(AWAY).vpcs.push(other_vpc());
        given.input["away"]["network"]["fence_acl_id"] = json!("acl-0other");
    })
    .await
    .for_the_topology(&["away.network.fence_acl_id", "`acl-0other`", "vpc-0other"]);
}

#[tokio::test(start_paused = true)]
async fn away_that_is_closed_before_the_run_is_refused_and_stays_as_it_is() {
    refused(|given| {
        for subnet in &mut given.vpc(AWAY).subnets {
            subnet.network_acl = Some(AWAY_FENCE.to_owned());
        }
    })
    .await
    .for_the_topology(&["`gdb2-cluster`", AWAY, AWAY_FENCE, "FenceStillUp"]);
}

/// A VPC whose only use is the deny-all ACL in it.
fn other_vpc() -> VpcSpec {
    let acl = |id: &str, default: bool, entries: Vec<NetworkAclEntrySpec>| NetworkAclSpec {
        id: id.to_owned(),
        default,
        entries,
        tags: Default::default(),
    };
    VpcSpec {
        id: "vpc-0other".to_owned(),
        cidr: "10.9.0.0/16".to_owned(),
        subnets: vec![SubnetSpec {
            id: "subnet-0other".to_owned(),
            availability_zone: "us-west-2a".to_owned(),
            cidr: "10.9.1.0/24".to_owned(),
            network_acl: None,
            tags: Default::default(),
        }],
        network_acls: vec![
            acl("acl-0other-default", true, vec![]),
            acl("acl-0other", false, vec![]),
        ],
        security_groups: vec![],
        tags: Default::default(),
    }
}
