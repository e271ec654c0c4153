//! Which resources a call names.

use super::Network;
use crate::wire::Params;

/// A resource that a call names.
pub(crate) struct Named {
    /// Its type, as in an ARN.
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    /// Its VPC; `None` when there is no such resource.
    pub(crate) vpc_id: Option<String>,
}

impl Network {
    /// The resources that a changing call names. It names a subnet by its association, which dies
    /// with the call.
    pub(crate) fn named(&self, region: &str, params: &Params) -> Vec<Named> {
        let Some(here) = self.regions.get(region) else { return Vec::new() };
        let mut named = Vec::new();
        if let Some(id) = params.get("NetworkAclId") {
            let vpc_id = here.acls.get(id).map(|acl| acl.vpc_id.clone());
            named.push(Named { kind: "network-acl", id: id.to_owned(), vpc_id });
        }
        let association = params.get("AssociationId");
        let subnet = here.associations.iter().find(|(_, a)| association == Some(a.id.as_str()));
        if let Some((id, _)) = subnet {
            let vpc_id = here.subnets.get(id).map(|subnet| subnet.vpc_id.clone());
            named.push(Named { kind: "subnet", id: id.clone(), vpc_id });
        }
        if let Some(id) = params.get("GroupId") {
            let vpc_id = here.groups.get(id).map(|group| group.vpc_id.clone());
            named.push(Named { kind: "security-group", id: id.to_owned(), vpc_id });
        }
        named
    }
}
