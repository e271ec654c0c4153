//! The fence: what keeps clients from a cluster, whether it is up, and what has to change for it.
//!
//! A network ACL cuts sessions as well. A security group only keeps new ones out: once it is up, the
//! instances are restarted, and no session is older than that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::network::replacements;
use crate::seen::{ClusterSeen, InstanceSeen, NetworkAclSeen};
use crate::steps::{Decided, NotAsPlanned, Step, is_serving};
use crate::task::ClusterRef;

/// A cluster, what closes it to clients, and what it has when it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    /// The cluster.
    pub cluster: ClusterRef,
    /// `DbClusterResourceId`: a cluster of the same name made later is another cluster.
    pub cluster_resource_id: String,
    /// What closes it.
    pub by: FenceBy,
}

/// What closes a cluster to clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FenceBy {
    /// A network ACL that denies everything takes the place of that of each subnet.
    ///
    /// Remembered as subnet → ACL, never as association ids: EC2 issues a new association id at
    /// every replacement.
    NetworkAcl {
        /// The network ACL that denies everything.
        acl_id: String,
        /// Subnet → the ACL it returns to when the fence is lifted.
        restore: BTreeMap<String, String>,
    },
    /// A security group that lets nothing in takes the place of the cluster's.
    SecurityGroup {
        /// The security group that lets nothing in.
        group_id: String,
        /// The groups that the cluster returns to when the fence is lifted.
        restore: Vec<String>,
    },
}

/// A change by which a fence goes up or comes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Subnet → the network ACL it shall have.
    Subnets(BTreeMap<String, String>),
    /// The security groups that the cluster shall have.
    Groups(Vec<String>),
}

/// How old a description may be, in milliseconds: until then one that says `available` may be from
/// before the restart that was asked for.
const STALE_MS: i64 = 30_000;

/// An instance in one of these runs no engine, and so holds no session.
const WITHOUT_SESSIONS: [&str; 9] = [
    "failed",
    "inaccessible-encryption-credentials",
    "incompatible-create",
    "incompatible-network",
    "incompatible-restore",
    "insufficient-capacity",
    "restore-error",
    "stopped",
    "creating",
];

impl Fence {
    /// The Region of the cluster.
    pub fn region(&self) -> &str {
        &self.cluster.region
    }

    /// The id of what closes the cluster.
    pub fn id(&self) -> &str {
        match &self.by {
            FenceBy::NetworkAcl { acl_id, .. } => acl_id,
            FenceBy::SecurityGroup { group_id, .. } => group_id,
        }
    }

    /// The network ACL that it is known to have replaced.
    pub fn replaced_acl(&self, region: &str, subnet: &str) -> Option<&String> {
        match &self.by {
            FenceBy::NetworkAcl { restore, .. } if self.region() == region => restore.get(subnet),
            _ => None,
        }
    }

    /// What must change for clients to be kept out. A group counts as up only while no instance
    /// restarts: every restart that is seen from then on began behind it.
    ///
    /// # Errors
    /// The cluster is another one than planned.
    pub fn put_up(
        &self,
        cluster: Option<&ClusterSeen>,
        instances: &[InstanceSeen],
    ) -> Decided<Change> {
        let id = &self.cluster.cluster_id;
        let Some(cluster) = cluster else {
            return Ok(Step::Done(format!("{id} is gone: there is nothing to close")));
        };
        self.is_the_same(cluster)?;
        match &self.by {
            FenceBy::NetworkAcl { acl_id, restore } => {
                let to_fence = |subnet: &String| (subnet.clone(), acl_id.clone());
                Ok(Step::Act(Change::Subnets(restore.keys().map(to_fence).collect())))
            }
            FenceBy::SecurityGroup { group_id, .. } => Ok(match self.gap(&[], Some(cluster)) {
                None => match instances.iter().find(|i| i.status == "rebooting") {
                    Some(instance) => Step::Wait(format!("{} of {id} is restarting", instance.id)),
                    None => Step::Done(format!("{id} is behind {group_id} alone")),
                },
                Some(_) if cluster.status == "deleting" => {
                    Step::Done(format!("{id} is being deleted and takes no change any more"))
                }
                Some(why) if cluster.groups_will_be(std::slice::from_ref(group_id)) => {
                    Step::Wait(why)
                }
                Some(_) => Step::Act(Change::Groups(vec![group_id.clone()])),
            }),
        }
    }

    /// What must change for clients to be let in again. Who has moved a subnet, or the cluster, to
    /// something else than the fence has taken it off the fence.
    pub fn take_down(
        &self,
        acls: &[NetworkAclSeen],
        cluster: Option<&ClusterSeen>,
        instances: &[InstanceSeen],
    ) -> Step<Change> {
        let id = &self.cluster.cluster_id;
        match &self.by {
            FenceBy::NetworkAcl { acl_id, restore } => {
                let fenced = acls.iter().find(|acl| acl.id == *acl_id);
                let on_it = |subnet: &String| {
                    fenced.is_some_and(|acl| acl.associations.contains_key(subnet))
                };
                let moves = restore.iter().filter(|(subnet, _)| on_it(subnet));
                Step::Act(Change::Subnets(moves.map(|(s, acl)| (s.clone(), acl.clone())).collect()))
            }
            FenceBy::SecurityGroup { group_id, restore } => {
                let Some(cluster) = cluster.filter(|c| c.resource_id == self.cluster_resource_id)
                else {
                    return Step::Done(format!("{id} is gone, and its fence with it"));
                };
                if cluster.has_group(group_id) {
                    return Step::Act(Change::Groups(restore.clone()));
                }
                if cluster.security_groups.iter().any(|group| group.status != "active") {
                    return Step::Wait(format!("the security groups of {id} are changing"));
                }
                // The exchange goes on for a little when the groups are back, and nothing can be
                // planned until it is over.
                if cluster.status == "modifying" {
                    return Step::Wait(format!("{id} is modifying"));
                }
                if let Some(instance) = instances.iter().find(|i| i.status == "rebooting") {
                    return Step::Wait(format!("{} of {id} is restarting", instance.id));
                }
                Step::Done(format!("{id} is not behind {group_id}"))
            }
        }
    }

    /// Whether there is nothing left that could be got at: a group closes a cluster, not the place
    /// where it was.
    pub fn is_gone_with_its_cluster(&self, cluster: Option<&ClusterSeen>) -> bool {
        matches!(self.by, FenceBy::SecurityGroup { .. }) && cluster.is_none()
    }

    /// By what clients may still get at the cluster; `None` if the fence is up as a whole.
    pub fn gap(&self, acls: &[NetworkAclSeen], cluster: Option<&ClusterSeen>) -> Option<String> {
        let id = &self.cluster.cluster_id;
        match &self.by {
            FenceBy::NetworkAcl { acl_id, restore } => {
                let closed = restore.keys().map(|s| (s.clone(), acl_id.clone())).collect();
                match replacements(acls, &closed) {
                    Err(missing) => Some(format!(
                        "{missing} does not exist in {} or has no network ACL",
                        self.region()
                    )),
                    Ok(_) if restore.is_empty() => Some(format!("no subnet of {id} is known")),
                    Ok(open) => open.first().map(|change| {
                        format!("the subnet {} of {id} is not on {acl_id}", change.subnet_id)
                    }),
                }
            }
            FenceBy::SecurityGroup { group_id, .. } => {
                let Some(cluster) = cluster else { return Some(format!("{id} is not described")) };
                let closed = !cluster.security_groups.is_empty()
                    && cluster
                        .security_groups
                        .iter()
                        .all(|group| group.id == *group_id && group.status == "active");
                (!closed).then(|| {
                    let groups: Vec<String> = cluster
                        .security_groups
                        .iter()
                        .map(|group| format!("{} ({})", group.id, group.status))
                        .collect();
                    format!("{id} is not behind {group_id} alone: [{}]", groups.join(", "))
                })
            }
        }
    }

    /// Whether any part of the fence is up.
    pub fn is_partly_up(&self, acls: &[NetworkAclSeen], cluster: Option<&ClusterSeen>) -> bool {
        match self.take_down(acls, cluster, &[]) {
            Step::Act(Change::Subnets(subnets)) => !subnets.is_empty(),
            Step::Act(Change::Groups(_)) => true,
            Step::Done(_) | Step::Wait(_) => false,
        }
    }

    /// Which instances are still to be restarted for no session to be older than the fence. `asked`
    /// are those of which AWS has accepted it, or that were seen restarting, since the fence went up:
    /// instance → when, in epoch milliseconds. One of which that is not known is asked again: a restart
    /// too many costs seconds.
    ///
    /// # Errors
    /// The cluster is another one than planned.
    pub fn restarts(
        &self,
        cluster: Option<&ClusterSeen>,
        instances: &[InstanceSeen],
        asked: &BTreeMap<String, i64>,
        now_ms: i64,
    ) -> Decided<Vec<String>> {
        let id = &self.cluster.cluster_id;
        if let FenceBy::NetworkAcl { acl_id, .. } = &self.by {
            return Ok(Step::Done(format!("{acl_id} cuts sessions itself")));
        }
        let Some(cluster) = cluster else { return Ok(Step::Done(format!("{id} is gone"))) };
        self.is_the_same(cluster)?;
        let running: Vec<&InstanceSeen> =
            instances.iter().filter(|i| !WITHOUT_SESSIONS.contains(&i.status.as_str())).collect();
        if cluster.status != "deleting"
            && let Some(why) = self.gap(&[], Some(cluster))
        {
            return Ok(Step::Wait(why));
        }
        let due: Vec<String> = running
            .iter()
            .filter(|i| is_serving(i) && !asked.contains_key(&i.id))
            .map(|i| i.id.clone())
            .collect();
        if !due.is_empty() {
            return Ok(Step::Act(due));
        }
        let settled = |i: &&&InstanceSeen| {
            let asked_ms = asked.get(&i.id);
            is_serving(i) && asked_ms.is_some_and(|asked_ms| now_ms - asked_ms >= STALE_MS)
        };
        match running.iter().find(|i| !settled(i)) {
            Some(instance) => {
                Ok(Step::Wait(format!("{} of {id} is {}", instance.id, instance.status)))
            }
            None => Ok(Step::Done(format!(
                "{} instances of {id} were restarted behind {}: no session is left",
                running.len(),
                self.id()
            ))),
        }
    }

    /// Instances that restart behind the fence, whoever asked for it.
    pub fn restarting<'a>(
        &self,
        cluster: Option<&ClusterSeen>,
        instances: &'a [InstanceSeen],
    ) -> impl Iterator<Item = &'a InstanceSeen> {
        let is_up = cluster.is_some() && self.gap(&[], cluster).is_none();
        instances.iter().filter(move |i| is_up && i.status == "rebooting")
    }

    fn is_the_same(&self, cluster: &ClusterSeen) -> Result<(), NotAsPlanned> {
        if cluster.resource_id == self.cluster_resource_id {
            return Ok(());
        }
        Err(NotAsPlanned(format!(
            "{} is {}, not {} any more",
            cluster.id, cluster.resource_id, self.cluster_resource_id
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::GroupMembershipSeen;

    fn fence() -> Fence {
        Fence {
            cluster: ClusterRef { region: "r".into(), cluster_id: "c".into(), arn: "a".into() },
            cluster_resource_id: "cluster-C".into(),
            by: FenceBy::SecurityGroup {
                group_id: "sg-fence".into(),
                restore: vec!["sg-open".into()],
            },
        }
    }

    fn cluster(groups: &[(&str, &str)]) -> ClusterSeen {
        let membership = |(id, status): &(&str, &str)| GroupMembershipSeen {
            id: (*id).into(),
            status: (*status).into(),
        };
        ClusterSeen {
            id: "c".into(),
            resource_id: "cluster-C".into(),
            status: "available".into(),
            security_groups: groups.iter().map(membership).collect(),
            ..ClusterSeen::default()
        }
    }

    fn instance(status: &str) -> InstanceSeen {
        InstanceSeen { id: "i".into(), status: status.into(), ..InstanceSeen::default() }
    }

    const CLOSED: &[(&str, &str)] = &[("sg-fence", "active")];
    const CLOSING: &[(&str, &str)] = &[("sg-fence", "adding"), ("sg-open", "removing")];
    const OPEN: &[(&str, &str)] = &[("sg-open", "active")];

    #[test]
    fn group_that_is_still_being_added_keeps_nobody_out() {
        let up = |groups| fence().put_up(Some(&cluster(groups)), &[instance("available")]);

        assert_eq!(up(OPEN), Ok(Step::Act(Change::Groups(vec!["sg-fence".into()]))));
        assert!(matches!(up(CLOSING), Ok(Step::Wait(_))));
        assert!(matches!(up(&[("sg-fence", "active"), ("sg-open", "active")]), Ok(Step::Act(_))));
        assert!(matches!(up(CLOSED), Ok(Step::Done(_))));
        let restarts = fence().put_up(Some(&cluster(CLOSED)), &[instance("rebooting")]);
        assert!(matches!(restarts, Ok(Step::Wait(_))), "begun before the fence was up");
        assert!(fence().gap(&[], Some(&cluster(CLOSING))).is_some());
        assert!(fence().gap(&[], Some(&cluster(&[]))).is_some(), "no group told is no good news");
        assert!(fence().gap(&[], None).is_some());
    }

    #[test]
    fn another_cluster_of_that_name_is_not_closed_and_one_that_is_gone_needs_nothing() {
        let mut other = cluster(OPEN);
        other.resource_id = "cluster-OTHER".into();
        assert!(fence().put_up(Some(&other), &[]).is_err());
        assert!(matches!(fence().put_up(None, &[]), Ok(Step::Done(_))));
        assert!(matches!(fence().take_down(&[], Some(&other), &[]), Step::Done(_)));
    }

    #[test]
    fn fence_is_down_only_when_the_groups_are_back_and_the_instances_serve() {
        let down =
            |groups, status| fence().take_down(&[], Some(&cluster(groups)), &[instance(status)]);
        let back = Step::Act(Change::Groups(vec!["sg-open".into()]));

        assert_eq!(down(CLOSED, "available"), back);
        assert_eq!(down(CLOSING, "available"), back);
        assert!(matches!(down(&[("sg-open", "adding")], "available"), Step::Wait(_)));
        assert!(matches!(down(OPEN, "rebooting"), Step::Wait(_)));
        let mut busy = cluster(OPEN);
        busy.status = "modifying".into();
        assert!(matches!(fence().take_down(&[], Some(&busy), &[]), Step::Wait(_)));
        assert!(matches!(down(OPEN, "available"), Step::Done(_)));
        assert!(matches!(down(&[("sg-third", "active")], "available"), Step::Done(_)));
    }

    #[test]
    fn no_session_is_older_than_the_fence_when_every_instance_was_restarted_behind_it() {
        let asked = |at_ms| BTreeMap::from([("i".to_owned(), at_ms)]);
        let step = |groups, status, asked: &BTreeMap<String, i64>| {
            fence().restarts(Some(&cluster(groups)), &[instance(status)], asked, 100_000)
        };
        let none = BTreeMap::new();

        assert!(matches!(step(CLOSING, "available", &none), Ok(Step::Wait(_))), "too early");
        assert_eq!(step(CLOSED, "available", &none), Ok(Step::Act(vec!["i".into()])));
        assert!(matches!(step(CLOSED, "rebooting", &none), Ok(Step::Wait(_))));
        assert!(matches!(step(CLOSED, "rebooting", &asked(1)), Ok(Step::Wait(_))));
        assert!(matches!(step(CLOSED, "available", &asked(99_000)), Ok(Step::Wait(_))), "stale");
        assert!(matches!(step(CLOSED, "available", &asked(1)), Ok(Step::Done(_))));
        assert!(matches!(step(CLOSED, "failed", &none), Ok(Step::Done(_))), "it serves nobody");
        assert!(matches!(step(CLOSED, "modifying", &none), Ok(Step::Wait(_))));
    }

    #[test]
    fn network_acl_needs_no_restart() {
        let by = FenceBy::NetworkAcl { acl_id: "acl".into(), restore: BTreeMap::new() };
        let fence = Fence { by, ..fence() };
        let step =
            fence.restarts(Some(&cluster(OPEN)), &[instance("available")], &BTreeMap::new(), 0);
        assert!(matches!(step, Ok(Step::Done(_))));
    }
}
