//! How a Region's database is closed to clients and opened again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InvalidRequest;

/// What keeps clients out of a Region's cluster, and what lets them in again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// By what the cluster is closed.
    #[serde(default)]
    pub fence: FenceKind,
    /// The network ACL that denies everything: the fence, unless that is a security group, and what
    /// isolated subnets are on.
    #[serde(default)]
    pub fence_acl_id: Option<String>,
    /// The security group that lets nothing in: the fence where `fence` says so.
    #[serde(default)]
    pub fence_group_id: Option<String>,
    /// The ACL that open subnets have; when absent the one they have now, or the VPC's default
    /// if that is `fence_acl_id` itself.
    #[serde(default)]
    pub open_acl_id: Option<String>,
    /// The security groups that the open cluster has; when empty those it has now, or those that are
    /// remembered if it is behind `fence_group_id`.
    #[serde(default)]
    pub open_group_ids: Vec<String>,
    /// The subnets; all of the cluster's DB subnet group when empty.
    #[serde(default)]
    pub subnet_ids: Vec<String>,
}

/// By what a cluster is closed to clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FenceKind {
    /// By a network ACL of its subnets, which cuts sessions as well.
    #[default]
    NetworkAcl,
    /// By a security group of the cluster, which touches nothing else in its subnets. Sessions
    /// survive it, so the cluster's instances are restarted.
    SecurityGroup,
}

impl Network {
    pub(super) fn check(&self, side: &str) -> Result<(), InvalidRequest> {
        let field = |name: &str| format!("{side}.network.{name}");
        let refuse = |name: &str, problem: String| Err(InvalidRequest::new(field(name), problem));
        let (needed, id) = match self.fence {
            FenceKind::NetworkAcl => ("fence_acl_id", &self.fence_acl_id),
            FenceKind::SecurityGroup => ("fence_group_id", &self.fence_group_id),
        };
        if id.is_none() {
            return refuse(needed, "is missing: there would be no fence".to_owned());
        }
        let acls = [("fence_acl_id", &self.fence_acl_id), ("open_acl_id", &self.open_acl_id)];
        for (name, id) in acls {
            if let Some(id) = id.as_ref().filter(|id| !id.starts_with("acl-")) {
                return refuse(name, format!("is `{id}`, which is not a network ACL id"));
            }
        }
        let groups = self.open_group_ids.iter().map(|id| ("open_group_ids", id));
        for (name, id) in self.fence_group_id.iter().map(|id| ("fence_group_id", id)).chain(groups)
        {
            if !id.starts_with("sg-") {
                return refuse(name, format!("is `{id}`, which is not a security group id"));
            }
        }
        if self.open_acl_id.is_some() && self.open_acl_id == self.fence_acl_id {
            let problem = "is the fence ACL itself: the subnets would never open again";
            return refuse("open_acl_id", problem.to_owned());
        }
        if self.fence_group_id.as_ref().is_some_and(|id| self.open_group_ids.contains(id)) {
            let problem = "names the fence's group: the cluster would never open again";
            return refuse("open_group_ids", problem.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(network: &Network) -> String {
        network.check("away").expect_err("it must be refused").field
    }

    #[test]
    fn fence_that_is_chosen_must_be_named() {
        let mut network = Network::default();
        assert_eq!(refused(&network), "away.network.fence_acl_id");
        network.fence = FenceKind::SecurityGroup;
        network.fence_acl_id = Some("acl-1".to_owned());
        assert_eq!(refused(&network), "away.network.fence_group_id");
        network.fence_group_id = Some("sg-1".to_owned());
        network.check("away").expect("it is named");
    }

    #[test]
    fn ids_of_another_kind_are_refused() {
        let network = Network {
            fence: FenceKind::SecurityGroup,
            fence_group_id: Some("acl-1".to_owned()),
            ..Network::default()
        };
        assert_eq!(refused(&network), "away.network.fence_group_id");
        let network = Network { fence_acl_id: Some("sg-1".to_owned()), ..Network::default() };
        assert_eq!(refused(&network), "away.network.fence_acl_id");
    }

    #[test]
    fn group_that_could_not_be_taken_away_again_is_refused() {
        let network = Network {
            fence: FenceKind::SecurityGroup,
            fence_group_id: Some("sg-1".to_owned()),
            open_group_ids: vec!["sg-1".to_owned()],
            ..Network::default()
        };
        assert_eq!(refused(&network), "away.network.open_group_ids");
    }
}
