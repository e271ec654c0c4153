//! The EC2 operations: form parameters in, XML out.

use std::collections::BTreeMap;

use super::query::{Filters, Page, page};
use super::{
    AclEntry, Association, Network, NetworkAcl, RegionNetwork, SecurityGroup, Subnet, Vpc,
};
use crate::wire::{AwsError, EC2_NAMESPACE, Params, Request, Response, Xml};
use crate::world::World;

/// Who calls and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// The account whose resources these are.
    pub(super) account: &'a str,
    /// The Region the call was signed for.
    pub(super) region: &'a str,
    /// Put into the answer.
    request_id: &'a str,
    /// Whether a subnet that has the network ACL asked for is associated anew.
    associates_anew: bool,
}

/// A listing: what it is called on the wire and what it has found.
struct Listing<'a, T> {
    operation: &'a str,
    set: &'a str,
    page: Page<T>,
}

/// A Region in which nothing was ever made.
static EMPTY: RegionNetwork = RegionNetwork::EMPTY;

/// Answers an EC2 call.
///
/// # Errors
/// What EC2 answers to a call it refuses; `InvalidAction` for an operation not modelled.
pub(crate) fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    let request_id = world.request_id();
    let associates_anew = world.behaviour.same_acl_is_associated_anew;
    let call = Call {
        account: &world.account,
        region: &request.region,
        request_id: &request_id,
        associates_anew,
    };
    let answer = world.network.answer(call, &request.operation(), &request.params());
    answer.map(Response::xml)
}

impl Network {
    fn answer(
        &mut self,
        call: Call<'_>,
        operation: &str,
        params: &Params,
    ) -> Result<String, AwsError> {
        let run = match operation {
            "DescribeNetworkAcls" => Self::describe_network_acls,
            "DescribeSubnets" => Self::describe_subnets,
            "DescribeSecurityGroups" => Self::describe_security_groups,
            "DescribeVpcs" => Self::describe_vpcs,
            "ReplaceNetworkAclAssociation" => Self::replace_network_acl_association,
            "CreateNetworkAcl" => Self::create_network_acl,
            "DeleteNetworkAcl" => Self::delete_network_acl,
            "CreateNetworkAclEntry" => Self::create_network_acl_entry,
            "ReplaceNetworkAclEntry" => Self::replace_network_acl_entry,
            "DeleteNetworkAclEntry" => Self::delete_network_acl_entry,
            "CreateTags" => Self::create_tags,
            "DeleteTags" => Self::delete_tags,
            other => {
                let message = format!("The action {other} is not valid for this web service.");
                return Err(AwsError::bad_request("InvalidAction", message));
            }
        };
        if params.bool("DryRun")? == Some(true) {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(AwsError::new(412, "DryRunOperation", message));
        }
        run(self, call, params)
    }

    pub(super) fn here(&self, call: Call<'_>) -> &RegionNetwork {
        self.regions.get(call.region).unwrap_or(&EMPTY)
    }

    fn describe_network_acls(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let here = self.here(call);
        for id in params.list("NetworkAclId") {
            here.acl(&id)?;
        }
        let chosen = choose(&here.acls, params, "NetworkAclId", |id, acl, filters| {
            let associations = here.associations_of(id);
            filters.pass(&acl.tags, |name| acl_values(name, id, acl, &associations, call.account))
        })?;
        let page = page(params, "NetworkAclId", self.page_size, chosen)?;
        let listing = Listing { operation: "DescribeNetworkAcls", set: "networkAclSet", page };
        Ok(write_listing(call, listing, |xml, (id, acl)| {
            write_acl(xml, id, acl, &here.associations_of(id), call.account);
        }))
    }

    fn describe_subnets(&mut self, call: Call<'_>, params: &Params) -> Result<String, AwsError> {
        let here = self.here(call);
        for id in params.list("SubnetId") {
            known(&here.subnets, &id, "InvalidSubnetID.NotFound", "subnet ID")?;
        }
        let chosen = choose(&here.subnets, params, "SubnetId", |id, subnet, filters| {
            filters.pass(&subnet.tags, |name| subnet_values(name, id, subnet))
        })?;
        let page = page(params, "SubnetId", self.page_size, chosen)?;
        let listing = Listing { operation: "DescribeSubnets", set: "subnetSet", page };
        Ok(write_listing(call, listing, |xml, (id, subnet)| write_subnet(xml, call, id, subnet)))
    }

    fn describe_security_groups(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let here = self.here(call);
        for id in params.list("GroupId") {
            if !here.groups.contains_key(&id) {
                let message = format!("The security group '{id}' does not exist");
                return Err(AwsError::bad_request("InvalidGroup.NotFound", message));
            }
        }
        let chosen = choose(&here.groups, params, "GroupId", |id, group, filters| {
            filters.pass(&group.tags, |name| group_values(name, id, group))
        })?;
        let page = page(params, "GroupId", self.page_size, chosen)?;
        let listing =
            Listing { operation: "DescribeSecurityGroups", set: "securityGroupInfo", page };
        Ok(write_listing(call, listing, |xml, (id, group)| write_group(xml, call, id, group)))
    }

    fn describe_vpcs(&mut self, call: Call<'_>, params: &Params) -> Result<String, AwsError> {
        let here = self.here(call);
        for id in params.list("VpcId") {
            known(&here.vpcs, &id, "InvalidVpcID.NotFound", "vpc ID")?;
        }
        let chosen = choose(&here.vpcs, params, "VpcId", |id, vpc, filters| {
            filters.pass(&vpc.tags, |name| match name {
                "vpc-id" => Some(vec![id.to_owned()]),
                "cidr" => Some(vec![vpc.cidr.to_string()]),
                "state" => Some(vec!["available".to_owned()]),
                _ => None,
            })
        })?;
        let page = page(params, "VpcId", self.page_size, chosen)?;
        let listing = Listing { operation: "DescribeVpcs", set: "vpcSet", page };
        Ok(write_listing(call, listing, |xml, (id, vpc)| write_vpc(xml, call, id, vpc)))
    }

    /// Gives a subnet another network ACL. The association's id is used up by it: a repeat with
    /// the same id is refused, so a caller whose reply was lost has to look again.
    fn replace_network_acl_association(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let association_id = params.required("AssociationId")?;
        let acl_id = params.required("NetworkAclId")?;
        let here = self.here(call);
        let subnet_id = here.subnet_of(association_id)?.to_owned();
        here.acl(acl_id)?;
        if !call.associates_anew && self.acl_of(call.region, &subnet_id) == Some(acl_id) {
            return Ok(respond(call, "ReplaceNetworkAclAssociation", |xml| {
                xml.text("newAssociationId", association_id);
            }));
        }
        let new_id = self.associate(call.region, &subnet_id, acl_id).ok_or_else(|| {
            let message =
                format!("network ACL {acl_id} and subnet {subnet_id} belong to different networks");
            AwsError::bad_request("InvalidParameterValue", message)
        })?;
        Ok(respond(call, "ReplaceNetworkAclAssociation", |xml| {
            xml.text("newAssociationId", &new_id);
        }))
    }

    fn create_tags(&mut self, call: Call<'_>, params: &Params) -> Result<String, AwsError> {
        let tags = params.structures("Tag");
        self.change_tags(call, params, "CreateTags", |held| {
            for tag in &tags {
                let key = tag.get("Key").unwrap_or_default();
                held.insert(key.to_owned(), tag.get("Value").unwrap_or_default().to_owned());
            }
        })
    }

    fn delete_tags(&mut self, call: Call<'_>, params: &Params) -> Result<String, AwsError> {
        let tags = params.structures("Tag");
        self.change_tags(call, params, "DeleteTags", |held| {
            held.retain(|key, value| {
                let named = |tag: &Params| {
                    tag.get("Key") == Some(key) && tag.get("Value").is_none_or(|v| v == value)
                };
                // Without a list every tag goes, as in EC2.
                !tags.is_empty() && !tags.iter().any(named)
            });
        })
    }

    fn change_tags(
        &mut self,
        call: Call<'_>,
        params: &Params,
        operation: &str,
        change: impl Fn(&mut BTreeMap<String, String>),
    ) -> Result<String, AwsError> {
        let ids = params.list("ResourceId");
        // All ids are looked at first: the call changes every resource or none.
        if let Some(id) = ids.iter().find(|id| !self.here(call).knows(id)) {
            let message = format!("The ID '{id}' is not valid");
            return Err(AwsError::bad_request("InvalidID", message));
        }
        let here = self.region_mut(call.region);
        for id in &ids {
            if let Some(tags) = here.tags_mut(id) {
                change(tags);
            }
        }
        Ok(respond(call, operation, |xml| xml.text("return", true)))
    }
}

impl RegionNetwork {
    fn associations_of(&self, acl_id: &str) -> Vec<(&str, &Association)> {
        let all = self.associations.iter();
        all.filter(|(_, a)| a.acl_id == acl_id).map(|(subnet, a)| (subnet.as_str(), a)).collect()
    }

    fn knows(&self, id: &str) -> bool {
        self.vpcs.contains_key(id)
            || self.subnets.contains_key(id)
            || self.acls.contains_key(id)
            || self.groups.contains_key(id)
    }

    fn subnet_of(&self, association_id: &str) -> Result<&str, AwsError> {
        let found = self.associations.iter().find(|(_, a)| a.id == association_id);
        found.map(|(subnet, _)| subnet.as_str()).ok_or_else(|| {
            let message = format!("The association ID '{association_id}' does not exist");
            AwsError::bad_request("InvalidAssociationID.NotFound", message)
        })
    }

    pub(super) fn acl(&self, id: &str) -> Result<&NetworkAcl, AwsError> {
        if let Some(acl) = self.acls.get(id) {
            return Ok(acl);
        }
        // EC2 writes the two codes with different capitals.
        Err(if looks_like("acl", id) {
            let message = format!("The networkAcl ID '{id}' does not exist");
            AwsError::bad_request("InvalidNetworkAclID.NotFound", message)
        } else {
            let message = format!("Invalid id: \"{id}\" (expecting \"acl-...\")");
            AwsError::bad_request("InvalidNetworkAclId.Malformed", message)
        })
    }
}

/// Whether an id has a prefix and 8 or 17 hexadecimal digits.
fn looks_like(prefix: &str, id: &str) -> bool {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn known<T>(held: &BTreeMap<String, T>, id: &str, code: &str, kind: &str) -> Result<(), AwsError> {
    if held.contains_key(id) {
        return Ok(());
    }
    Err(AwsError::bad_request(code, format!("The {kind} '{id}' does not exist")))
}

/// The resources that a call's ids and filters choose.
fn choose<'a, T>(
    held: &'a BTreeMap<String, T>,
    params: &Params,
    ids_name: &str,
    passes: impl Fn(&str, &T, &Filters) -> Result<bool, AwsError>,
) -> Result<Vec<(&'a str, &'a T)>, AwsError> {
    let filters = Filters::parse(params);
    let ids = params.list(ids_name);
    let mut chosen = Vec::new();
    for (id, resource) in held {
        if passes(id, resource, &filters)? && (ids.is_empty() || ids.contains(id)) {
            chosen.push((id.as_str(), resource));
        }
    }
    Ok(chosen)
}

fn acl_values(
    filter: &str,
    id: &str,
    acl: &NetworkAcl,
    associations: &[(&str, &Association)],
    account: &str,
) -> Option<Vec<String>> {
    let of_each =
        |value: fn(&(&str, &Association)) -> String| associations.iter().map(value).collect();
    Some(match filter {
        "association.subnet-id" => of_each(|(subnet, _)| (*subnet).to_owned()),
        "association.association-id" => of_each(|(_, association)| association.id.clone()),
        "association.network-acl-id" => of_each(|(_, association)| association.acl_id.clone()),
        "default" => vec![acl.is_default.to_string()],
        "vpc-id" => vec![acl.vpc_id.clone()],
        "network-acl-id" => vec![id.to_owned()],
        "owner-id" => vec![account.to_owned()],
        _ => return None,
    })
}

fn subnet_values(filter: &str, id: &str, subnet: &Subnet) -> Option<Vec<String>> {
    Some(vec![match filter {
        "subnet-id" => id.to_owned(),
        "vpc-id" => subnet.vpc_id.clone(),
        "availability-zone" | "availabilityZone" => subnet.availability_zone.clone(),
        "cidr-block" | "cidr" => subnet.cidr.to_string(),
        "state" => "available".to_owned(),
        _ => return None,
    }])
}

fn group_values(filter: &str, id: &str, group: &SecurityGroup) -> Option<Vec<String>> {
    Some(vec![match filter {
        "group-id" => id.to_owned(),
        "group-name" => group.name.clone(),
        "vpc-id" => group.vpc_id.clone(),
        _ => return None,
    }])
}

pub(super) fn respond(call: Call<'_>, operation: &str, content: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::new();
    xml.root(&format!("{operation}Response"), EC2_NAMESPACE, |xml| {
        xml.text("requestId", call.request_id);
        content(xml);
    });
    xml.finish()
}

fn write_listing<T>(
    call: Call<'_>,
    listing: Listing<'_, T>,
    write: impl FnMut(&mut Xml, T),
) -> String {
    respond(call, listing.operation, |xml| {
        xml.list(listing.set, "item", listing.page.items, write);
        xml.maybe("nextToken", listing.page.next_token);
    })
}

fn write_tags(xml: &mut Xml, tags: &BTreeMap<String, String>) {
    xml.list("tagSet", "item", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

pub(super) fn write_acl(
    xml: &mut Xml,
    id: &str,
    acl: &NetworkAcl,
    associations: &[(&str, &Association)],
    account: &str,
) {
    xml.text("networkAclId", id);
    xml.text("vpcId", &acl.vpc_id);
    xml.text("ownerId", account);
    xml.text("default", acl.is_default);
    let implicit = [AclEntry::implicit(false), AclEntry::implicit(true)];
    xml.list("entrySet", "item", acl.entries.iter().chain(&implicit), |xml, entry| {
        xml.text("ruleNumber", entry.rule_number);
        xml.text("protocol", entry.protocol.number());
        xml.text("ruleAction", if entry.allow { "allow" } else { "deny" });
        xml.text("egress", entry.egress);
        xml.text("cidrBlock", entry.cidr);
        if let Some(ports) = entry.ports {
            xml.element("portRange", |xml| {
                xml.text("from", ports.from);
                xml.text("to", ports.to);
            });
        }
    });
    xml.list("associationSet", "item", associations, |xml, (subnet, association)| {
        xml.text("networkAclAssociationId", &association.id);
        xml.text("networkAclId", &association.acl_id);
        xml.text("subnetId", subnet);
    });
    write_tags(xml, &acl.tags);
}

fn write_subnet(xml: &mut Xml, call: Call<'_>, id: &str, subnet: &Subnet) {
    xml.text("subnetId", id);
    xml.text("subnetArn", format!("arn:aws:ec2:{}:{}:subnet/{id}", call.region, call.account));
    xml.text("state", "available");
    xml.text("ownerId", call.account);
    xml.text("vpcId", &subnet.vpc_id);
    xml.text("cidrBlock", subnet.cidr);
    xml.text("availableIpAddressCount", subnet.cidr.free_addresses());
    xml.text("availabilityZone", &subnet.availability_zone);
    xml.text("defaultForAz", false);
    xml.text("mapPublicIpOnLaunch", false);
    write_tags(xml, &subnet.tags);
}

fn write_group(xml: &mut Xml, call: Call<'_>, id: &str, group: &SecurityGroup) {
    xml.text("ownerId", call.account);
    xml.text("groupId", id);
    xml.text("groupName", &group.name);
    xml.text("groupDescription", &group.name);
    xml.text("vpcId", &group.vpc_id);
    xml.list("ipPermissions", "item", &group.ingress, |xml, rule| {
        xml.text("ipProtocol", rule.protocol.name());
        xml.maybe("fromPort", rule.ports.map(|ports| ports.from));
        xml.maybe("toPort", rule.ports.map(|ports| ports.to));
        xml.list("ipRanges", "item", [rule.source], |xml, source| xml.text("cidrIp", source));
    });
    xml.list("ipPermissionsEgress", "item", [()], |xml, ()| {
        xml.text("ipProtocol", "-1");
        xml.list("ipRanges", "item", ["0.0.0.0/0"], |xml, to| xml.text("cidrIp", to));
    });
    write_tags(xml, &group.tags);
}

fn write_vpc(xml: &mut Xml, call: Call<'_>, id: &str, vpc: &Vpc) {
    xml.text("vpcId", id);
    xml.text("ownerId", call.account);
    xml.text("state", "available");
    xml.text("cidrBlock", vpc.cidr);
    xml.text("isDefault", false);
    write_tags(xml, &vpc.tags);
}
