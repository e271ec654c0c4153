//! Making and deleting network ACLs and changing their entries, which acts on every packet at once.

use std::collections::BTreeMap;

use super::acl::{AclEntry, PortRange, Protocol};
use super::api::{Call, respond};
use super::{Network, NetworkAcl};
use crate::wire::{AwsError, Params};

/// Entries that an ACL may have in one direction.
const ENTRIES_MAX: usize = 20;
/// The highest number an entry may have.
const NUMBER_MAX: i32 = 32_766;

impl Network {
    pub(super) fn create_network_acl(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let vpc_id = params.required("VpcId")?.to_owned();
        if !self.here(call).vpcs.contains_key(&vpc_id) {
            let message = format!("The vpc ID '{vpc_id}' does not exist");
            return Err(AwsError::bad_request("InvalidVpcID.NotFound", message));
        }
        let id = self.issue("acl");
        let acl =
            NetworkAcl { vpc_id, is_default: false, entries: Vec::new(), tags: BTreeMap::new() };
        self.region_mut(call.region).acls.insert(id.clone(), acl.clone());
        Ok(respond(call, "CreateNetworkAcl", |xml| {
            xml.element("networkAcl", |xml| {
                super::api::write_acl(xml, &id, &acl, &[], call.account);
            });
        }))
    }

    pub(super) fn delete_network_acl(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let id = params.required("NetworkAclId")?.to_owned();
        let here = self.here(call);
        if here.acl(&id)?.is_default {
            let message = format!("cannot delete default network ACL {id}");
            return Err(AwsError::bad_request("InvalidParameterValue", message));
        }
        if here.associations.values().any(|association| association.acl_id == id) {
            let message = format!("The networkAcl '{id}' has dependencies and cannot be deleted.");
            return Err(AwsError::bad_request("DependencyViolation", message));
        }
        self.remove_acl(call.region, &id);
        Ok(respond(call, "DeleteNetworkAcl", |xml| xml.text("return", true)))
    }

    pub(super) fn create_network_acl_entry(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let (id, entry) = (params.required("NetworkAclId")?, entry(params)?);
        let entries = &self.here(call).acl(id)?.entries;
        if entries.iter().any(|held| is_same(held, &entry)) {
            let message = format!(
                "The network acl entry identified by {} already exists.",
                entry.rule_number
            );
            return Err(AwsError::bad_request("NetworkAclEntryAlreadyExists", message));
        }
        if entries.iter().filter(|held| held.egress == entry.egress).count() >= ENTRIES_MAX {
            let message = "The maximum number of network acl entries has been reached.";
            return Err(AwsError::bad_request("NetworkAclEntryLimitExceeded", message));
        }
        self.change_entries(call, id, |entries| entries.push(entry));
        Ok(respond(call, "CreateNetworkAclEntry", |xml| xml.text("return", true)))
    }

    pub(super) fn replace_network_acl_entry(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let (id, entry) = (params.required("NetworkAclId")?, entry(params)?);
        self.check_entry(call, id, entry.rule_number, entry.egress)?;
        self.change_entries(call, id, |entries| {
            entries.retain(|held| !is_same(held, &entry));
            entries.push(entry);
        });
        Ok(respond(call, "ReplaceNetworkAclEntry", |xml| xml.text("return", true)))
    }

    pub(super) fn delete_network_acl_entry(
        &mut self,
        call: Call<'_>,
        params: &Params,
    ) -> Result<String, AwsError> {
        let id = params.required("NetworkAclId")?;
        let (number, egress) = (rule_number(params)?, egress(params)?);
        self.check_entry(call, id, number, egress)?;
        self.change_entries(call, id, |entries| {
            entries.retain(|held| (held.rule_number, held.egress) != (number, egress));
        });
        Ok(respond(call, "DeleteNetworkAclEntry", |xml| xml.text("return", true)))
    }

    fn check_entry(
        &self,
        call: Call<'_>,
        id: &str,
        number: i32,
        egress: bool,
    ) -> Result<(), AwsError> {
        let entries = &self.here(call).acl(id)?.entries;
        if entries.iter().any(|held| (held.rule_number, held.egress) == (number, egress)) {
            return Ok(());
        }
        let message = format!("The network acl entry identified by {number} does not exist.");
        Err(AwsError::bad_request("InvalidNetworkAclEntry.NotFound", message))
    }

    fn change_entries(
        &mut self,
        call: Call<'_>,
        id: &str,
        change: impl FnOnce(&mut Vec<AclEntry>),
    ) {
        if let Some(acl) = self.region_mut(call.region).acls.get_mut(id) {
            change(&mut acl.entries);
            acl.entries.sort_by_key(|entry| (entry.egress, entry.rule_number));
        }
    }
}

/// An entry is known by its number and its direction.
fn is_same(one: &AclEntry, other: &AclEntry) -> bool {
    (one.rule_number, one.egress) == (other.rule_number, other.egress)
}

fn rule_number(params: &Params) -> Result<i32, AwsError> {
    params.required("RuleNumber")?;
    let number = params.int("RuleNumber")?.filter(|number| (1..=NUMBER_MAX).contains(number));
    number.ok_or_else(|| invalid("Rule numbers are between 1 and 32766"))
}

fn egress(params: &Params) -> Result<bool, AwsError> {
    params.required("Egress")?;
    Ok(params.bool("Egress")?.unwrap_or(false))
}

fn entry(params: &Params) -> Result<AclEntry, AwsError> {
    let cidr = params.required("CidrBlock")?;
    let cidr = cidr.parse().map_err(|_| invalid(&format!("{cidr} is not a valid CIDR block")))?;
    let protocol = params.required("Protocol")?;
    let protocol = Protocol::from_spec(protocol).map_err(|error| invalid(&error.to_string()))?;
    let allow = match params.required("RuleAction")? {
        "allow" => true,
        "deny" => false,
        other => return Err(invalid(&format!("{other} is no rule action"))),
    };
    let range = params.below("PortRange");
    let port = |name: &str| {
        let port = range.int(name)?.map(u16::try_from).transpose();
        port.map_err(|_| invalid("Ports are between 0 and 65535"))
    };
    let ports = port("From")?.zip(port("To")?).map(|(from, to)| PortRange { from, to });
    if protocol != Protocol::Any && ports.is_none() {
        return Err(AwsError::bad_request("MissingParameter", "A port range is needed"));
    }
    let (rule_number, egress) = (rule_number(params)?, egress(params)?);
    Ok(AclEntry { rule_number, egress, allow, protocol, cidr, ports })
}

fn invalid(message: &str) -> AwsError {
    AwsError::bad_request("InvalidParameterValue", message)
}
