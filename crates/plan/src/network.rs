//! Which network ACL a subnet shall have, and what has to change for it.

use std::collections::BTreeMap;

use crate::fence::Fence;
use crate::refusal::Refusal;
use crate::request::{FenceKind, Network};
use crate::seen::{NetworkAclSeen, RegionSeen, SecurityGroupSeen};

/// One association to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The subnet.
    pub subnet_id: String,
    /// The association it has at this moment; dies with the replacement.
    pub association_id: String,
    /// The network ACL to associate.
    pub acl_id: String,
}

/// What must change for every subnet to have its target; empty when all have.
///
/// # Errors
/// The id of a subnet that no ACL lists, or of a target ACL that does not exist: a subnet is
/// never moved to some other ACL instead.
pub fn replacements(
    acls: &[NetworkAclSeen],
    targets: &BTreeMap<String, String>,
) -> Result<Vec<Replacement>, String> {
    let mut out = Vec::new();
    for (subnet, target) in targets {
        if !acls.iter().any(|acl| acl.id == *target) {
            return Err(target.clone());
        }
        let Some(now) = acls.iter().find(|acl| acl.associations.contains_key(subnet)) else {
            return Err(subnet.clone());
        };
        if now.id != *target {
            out.push(Replacement {
                subnet_id: subnet.clone(),
                association_id: now.associations[subnet].clone(),
                acl_id: target.clone(),
            });
        }
    }
    Ok(out)
}

/// The subnets of a cluster: those that the request names, or those of its DB subnet group.
pub fn subnets_of<'a>(
    seen: &'a RegionSeen,
    network: &'a Network,
    group: Option<&str>,
) -> &'a [String] {
    match network.subnet_ids.as_slice() {
        [] => seen.subnets_of_group(group),
        named => named,
    }
}

/// Whether a subnet has the network ACL of the fence.
pub fn is_on_fence(seen: &RegionSeen, network: &Network, subnet: &str) -> bool {
    let acl = seen.acl_of_subnet(subnet);
    acl.is_some_and(|acl| Some(&acl.id) == network.fence_acl_id.as_ref())
}

/// Subnet → the ACL it has when it is open to clients: the one the input names, the one it has now,
/// the one that the fence is remembered to have replaced, or the default one of its VPC.
///
/// # Errors
/// A fence that does not exist, does not deny, or is of another VPC; a subnet without an ACL; an
/// open ACL that does not exist.
pub fn open_targets(
    seen: &RegionSeen,
    side: &'static str,
    network: &Network,
    subnet_ids: &[String],
    remembered: Option<&Fence>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let closing = usable_acl(seen, side, network)?;
    let group = usable_group(seen, side, network)?;
    let is_closing = |acl: &NetworkAclSeen| closing.is_some_and(|closing| closing.id == acl.id);
    let replaced_by_fence = |subnet: &String| {
        let acl = remembered.and_then(|fence| fence.replaced_acl(&seen.region, subnet))?;
        seen.network_acls.iter().find(|known| known.id == *acl)
    };
    let mut targets = BTreeMap::new();
    for subnet in subnet_ids {
        let unknown = |problem: String, field: String| Refusal::NetworkTargetUnknown {
            region: seen.region.clone(),
            problem,
            field,
        };
        let Some(now) = seen.acl_of_subnet(subnet) else {
            let problem = format!("the subnet `{subnet}` is associated with no network ACL");
            return Err(unknown(problem, format!("{side}.network.subnet_ids")));
        };
        let acl = closing.map(|acl| ("fence_acl_id", &acl.id, &acl.vpc_id));
        let group = group.map(|group| ("fence_group_id", &group.id, &group.vpc_id));
        for (field, id, vpc_id) in acl.into_iter().chain(group) {
            if now.vpc_id != *vpc_id {
                let problem =
                    format!("is of {vpc_id}, but the subnet `{subnet}` is of {}", now.vpc_id);
                return Err(unusable(side, field, id, problem));
            }
        }
        let target = match &network.open_acl_id {
            Some(id) => {
                seen.network_acls.iter().find(|acl| acl.id == *id && acl.vpc_id == now.vpc_id)
            }
            None if !is_closing(now) => Some(now),
            None if replaced_by_fence(subnet).is_some() => replaced_by_fence(subnet),
            None => seen.network_acls.iter().find(|acl| acl.is_default && acl.vpc_id == now.vpc_id),
        };
        let Some(target) = target else {
            let problem = match &network.open_acl_id {
                Some(id) => format!("the network ACL `{id}` does not exist in {}", now.vpc_id),
                None => format!("{} lists no default network ACL", now.vpc_id),
            };
            return Err(unknown(problem, format!("{side}.network.open_acl_id")));
        };
        if target.denies_inbound {
            let problem = format!("the network ACL `{}` lets nothing in", target.id);
            return Err(unknown(problem, format!("{side}.network.open_acl_id")));
        }
        targets.insert(subnet.clone(), target.id.clone());
    }
    Ok(targets)
}

fn unusable(side: &str, field: &str, id: &str, problem: impl Into<String>) -> Refusal {
    Refusal::FenceUnusable {
        field: format!("{side}.network.{field}"),
        fence: id.to_owned(),
        problem: problem.into(),
    }
}

/// The network ACL that closes subnets, where the request names one.
fn usable_acl<'a>(
    seen: &'a RegionSeen,
    side: &str,
    network: &Network,
) -> Result<Option<&'a NetworkAclSeen>, Refusal> {
    let Some(id) = &network.fence_acl_id else { return Ok(None) };
    let refuse = |problem: String| Err(unusable(side, "fence_acl_id", id, problem));
    let Some(acl) = seen.network_acls.iter().find(|acl| acl.id == *id) else {
        return refuse(format!("does not exist in {}", seen.region));
    };
    if !acl.denies_inbound {
        return refuse("has an entry that lets traffic in".to_owned());
    }
    if acl.is_default {
        let problem = "is the default ACL of its VPC, which every other subnet shares";
        return refuse(problem.to_owned());
    }
    Ok(Some(acl))
}

/// The security group that closes the cluster, where the request chooses one.
fn usable_group<'a>(
    seen: &'a RegionSeen,
    side: &str,
    network: &Network,
) -> Result<Option<&'a SecurityGroupSeen>, Refusal> {
    let chosen = network.fence == FenceKind::SecurityGroup;
    let Some(id) = network.fence_group_id.as_ref().filter(|_| chosen) else { return Ok(None) };
    let refuse = |problem: String| Err(unusable(side, "fence_group_id", id, problem));
    let Some(group) = seen.security_groups.iter().find(|group| group.id == *id) else {
        return refuse(format!("does not exist in {}", seen.region));
    };
    if !group.denies_inbound {
        return refuse("has a rule that lets traffic in".to_owned());
    }
    Ok(Some(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(id: &str, is_default: bool, denies: bool, subnets: &[&str]) -> NetworkAclSeen {
        NetworkAclSeen {
            id: id.to_owned(),
            vpc_id: "vpc-1".to_owned(),
            is_default,
            denies_inbound: denies,
            associations: subnets
                .iter()
                .map(|s| (s.to_string(), format!("aclassoc-{s}")))
                .collect(),
        }
    }

    fn region(acls: Vec<NetworkAclSeen>) -> RegionSeen {
        RegionSeen { region: "us-east-1".to_owned(), network_acls: acls, ..RegionSeen::default() }
    }

    fn network(open: Option<&str>) -> Network {
        Network {
            fence_acl_id: Some("acl-fence".to_owned()),
            open_acl_id: open.map(str::to_owned),
            ..Network::default()
        }
    }

    #[test]
    fn subnet_on_its_target_is_left_alone() {
        let acls =
            [acl("acl-a", true, false, &["s1", "s2"]), acl("acl-fence", false, true, &["s3"])];
        let targets = ["s1", "s3"].map(|s| (s.to_owned(), "acl-a".to_owned())).into();

        let changes = replacements(&acls, &targets).expect("both ACLs exist");

        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].association_id, "aclassoc-s3");
    }

    #[test]
    fn missing_acl_is_an_error_and_never_replaced_by_another() {
        let acls = [acl("acl-a", true, false, &["s1"])];
        let targets = [("s1".to_owned(), "acl-gone".to_owned())].into();
        assert_eq!(replacements(&acls, &targets), Err("acl-gone".to_owned()));
    }

    #[test]
    fn fenced_subnet_opens_to_the_default_acl_and_an_open_one_stays() {
        let seen = region(vec![
            acl("acl-default", true, false, &[]),
            acl("acl-own", false, false, &["s1"]),
            acl("acl-fence", false, true, &["s2"]),
        ]);
        let subnets = ["s1".to_owned(), "s2".to_owned()];

        let targets = open_targets(&seen, "home", &network(None), &subnets, None).expect("known");

        assert_eq!(targets["s1"], "acl-own");
        assert_eq!(targets["s2"], "acl-default");
    }

    #[test]
    fn fence_that_lets_traffic_in_is_refused() {
        let seen = region(vec![acl("acl-fence", false, false, &["s1"])]);
        let refused = open_targets(&seen, "home", &network(None), &["s1".to_owned()], None);
        assert!(matches!(refused, Err(Refusal::FenceUnusable { .. })), "{refused:?}");
    }

    #[test]
    fn open_acl_that_does_not_exist_is_refused() {
        let seen = region(vec![
            acl("acl-default", true, false, &["s1"]),
            acl("acl-fence", false, true, &[]),
        ]);
        let refused =
            open_targets(&seen, "away", &network(Some("acl-x")), &["s1".to_owned()], None);
        assert!(matches!(refused, Err(Refusal::NetworkTargetUnknown { .. })), "{refused:?}");
    }

    #[test]
    fn group_that_is_no_fence_is_refused_by_its_field() {
        let by_group = Network {
            fence: FenceKind::SecurityGroup,
            fence_group_id: Some("sg-fence".to_owned()),
            ..Network::default()
        };
        let refusal = |groups: Vec<SecurityGroupSeen>| {
            let mut seen = region(vec![acl("acl-default", true, false, &["s1"])]);
            seen.security_groups = groups;
            let targets = open_targets(&seen, "away", &by_group, &["s1".to_owned()], None);
            targets.map_err(|refused| refused.to_string())
        };
        let group = |vpc_id: &str, denies_inbound| SecurityGroupSeen {
            id: "sg-fence".to_owned(),
            vpc_id: vpc_id.to_owned(),
            denies_inbound,
        };

        for (groups, words) in [
            (vec![], "does not exist"),
            (vec![group("vpc-1", false)], "lets traffic in"),
            (vec![group("vpc-2", true)], "vpc-2"),
        ] {
            let refused = refusal(groups).expect_err("it closes nothing");
            assert!(refused.contains("away.network.fence_group_id"), "{refused}");
            assert!(refused.contains(words), "{refused}");
        }
        refusal(vec![group("vpc-1", true)]).expect("it is a fence, and no ACL is needed");
    }
}
