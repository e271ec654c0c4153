//! Network ACLs and security groups: looking at them, and replacing associations.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, NetworkAcl, RuleAction};
use failback_plan::network::replacements;
use failback_plan::seen::{NetworkAclSeen, SecurityGroupSeen};
use failback_plan::steps::NotAsPlanned;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe::{Read, required};

/// All network ACLs of a Region.
pub async fn acls(aws: &Aws, region: &str) -> Read<Vec<NetworkAclSeen>> {
    const CALL: &str = "ec2:DescribeNetworkAcls";
    let mut pages = aws.ec2(region).describe_network_acls().into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        out.push(acl_seen(&item.map_err(|e| classify(CALL, e))?)?);
    }
    Ok(out)
}

fn acl_seen(acl: &NetworkAcl) -> Read<NetworkAclSeen> {
    const CALL: &str = "ec2:DescribeNetworkAcls";
    let association = |a: &aws_sdk_ec2::types::NetworkAclAssociation| {
        let subnet = required(a.subnet_id(), CALL, "an association's subnet")?;
        let id = required(a.network_acl_association_id(), CALL, "an association's id")?;
        Ok((subnet.to_owned(), id.to_owned()))
    };
    let lets_in = |e: &aws_sdk_ec2::types::NetworkAclEntry| {
        e.egress() != Some(true) && e.rule_action() == Some(&RuleAction::Allow)
    };
    Ok(NetworkAclSeen {
        id: required(acl.network_acl_id(), CALL, "an id")?.to_owned(),
        vpc_id: required(acl.vpc_id(), CALL, "a VPC")?.to_owned(),
        is_default: acl.is_default().unwrap_or(false),
        denies_inbound: !acl.entries().iter().any(lets_in),
        associations: acl.associations().iter().map(association).collect::<Read<_>>()?,
    })
}

/// Those of these security groups that exist.
pub async fn security_groups(
    aws: &Aws,
    region: &str,
    wanted: Vec<String>,
) -> Read<Vec<SecurityGroupSeen>> {
    const CALL: &str = "ec2:DescribeSecurityGroups";
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // A filter answers with what exists; asking by id would make one missing group an error.
    let filter = Filter::builder().name("group-id").set_values(Some(wanted)).build();
    let request = aws.ec2(region).describe_security_groups().filters(filter);
    let mut pages = request.into_paginator().items().send();
    let mut out = Vec::new();
    while let Some(item) = pages.next().await {
        let group = item.map_err(|e| classify(CALL, e))?;
        out.push(SecurityGroupSeen {
            id: required(group.group_id(), CALL, "an id")?.to_owned(),
            vpc_id: required(group.vpc_id(), CALL, "a VPC")?.to_owned(),
            denies_inbound: group.ip_permissions().is_empty(),
        });
    }
    Ok(out)
}

/// How often a change is tried again after someone else replaced the association first.
const ATTEMPTS: usize = 5;

/// Brings every subnet to its ACL and looks at the result. Answers how many were moved.
///
/// # Errors
/// [`FailbackError::TargetChanged`] if an ACL or a subnet does not exist: no other ACL is taken
/// instead.
pub async fn associate(
    aws: &Aws,
    region: &str,
    targets: &BTreeMap<String, String>,
) -> Result<usize, FailbackError> {
    const CALL: &str = "ec2:ReplaceNetworkAclAssociation";
    let mut moved = 0;
    for _ in 0..ATTEMPTS {
        let seen = acls(aws, region).await?;
        let changes = replacements(&seen, targets).map_err(|missing| {
            NotAsPlanned(format!("{missing} does not exist in {region} or has no network ACL"))
        })?;
        if changes.is_empty() {
            return Ok(moved);
        }
        for change in changes {
            let request = aws
                .ec2(region)
                .replace_network_acl_association()
                .association_id(change.association_id)
                .network_acl_id(change.acl_id);
            match request.send().await.map_err(|e| classify(CALL, e)) {
                Ok(_) => moved += 1,
                // The association was replaced since it was read: look again.
                Err(FailbackError::AwsRejected { code, .. })
                    if code == "InvalidAssociationID.NotFound" => {}
                Err(other) => return Err(other),
            }
        }
    }
    Err(NotAsPlanned(format!(
        "the network ACLs of the subnets in {region} are changed by someone else all the time"
    ))
    .into())
}
