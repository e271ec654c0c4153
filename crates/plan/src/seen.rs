//! The topology: what the describe calls of both Regions answered at one moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::secret::{SecretFields, SecretProblem};
use crate::settings::{ClusterSettings, InstanceSettings};
use crate::task::EndpointKind;

/// Both Regions and the global clusters that list a member in either.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The Region we fail back to.
    pub home: RegionSeen,
    /// The Region that runs meanwhile.
    pub away: RegionSeen,
    /// Every global cluster of the account.
    pub global_clusters: Vec<GlobalClusterSeen>,
    /// Records that the request names, as they stand: (zone id, name, set identifier) → record.
    pub dns: Vec<DnsSeen>,
    /// Secrets that the request names, as far as they say where the database is.
    pub secrets: Vec<SecretSeen>,
    /// What earlier executions left to be known.
    pub remembered: Memory,
}

/// One Region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionSeen {
    /// Its name.
    pub region: String,
    /// All its DB clusters.
    pub clusters: Vec<ClusterSeen>,
    /// All its DB instances.
    pub instances: Vec<InstanceSeen>,
    /// Its manual cluster snapshots.
    pub snapshots: Vec<SnapshotSeen>,
    /// Its DB subnet groups.
    pub subnet_groups: Vec<SubnetGroupSeen>,
    /// DB cluster parameter groups: name → family.
    pub cluster_parameter_groups: BTreeMap<String, String>,
    /// DB parameter groups: name → family.
    pub parameter_groups: BTreeMap<String, String>,
    /// Those of its security groups that were asked about.
    pub security_groups: Vec<SecurityGroupSeen>,
    /// Its network ACLs.
    pub network_acls: Vec<NetworkAclSeen>,
}

/// A DB cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterSeen {
    /// `DBClusterIdentifier`.
    pub id: String,
    /// `DBClusterArn`.
    pub arn: String,
    /// `DbClusterResourceId`.
    pub resource_id: String,
    /// `Status`, as sent: unknown values are kept.
    pub status: String,
    /// `Engine`.
    pub engine: String,
    /// `EngineVersion`.
    pub engine_version: String,
    /// `EngineMode`.
    pub engine_mode: Option<String>,
    /// `StorageEncrypted`.
    pub storage_encrypted: bool,
    /// `Endpoint`.
    pub endpoint: Option<String>,
    /// `ReaderEndpoint`.
    pub reader_endpoint: Option<String>,
    /// `ReplicationSourceIdentifier`: set on a reader of a global cluster.
    pub replication_source: Option<String>,
    /// `MasterUserSecret` is present: RDS manages the password.
    pub managed_secret: bool,
    /// `BacktrackWindow` is above zero.
    pub backtrack: bool,
    /// `ActivityStreamStatus` is started or starting.
    pub activity_stream: bool,
    /// `PendingModifiedValues` is not empty: what was captured is not what was intended.
    pub pending_modified: bool,
    /// `VpcSecurityGroups`, also those that are being removed.
    pub security_groups: Vec<GroupMembershipSeen>,
    /// `DBClusterMembers`.
    pub members: Vec<ClusterMemberSeen>,
    /// What a rebuilt cluster takes over.
    pub settings: ClusterSettings,
}

/// An instance as its cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMemberSeen {
    /// `DBInstanceIdentifier`.
    pub instance_id: String,
    /// `IsClusterWriter`.
    pub is_writer: bool,
}

/// A DB instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSeen {
    /// `DBInstanceIdentifier`.
    pub id: String,
    /// `DBClusterIdentifier`.
    pub cluster_id: Option<String>,
    /// `DBInstanceStatus`, as sent.
    pub status: String,
    /// What a rebuilt instance takes over.
    pub settings: InstanceSettings,
}

/// A global cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalClusterSeen {
    /// `GlobalClusterIdentifier`.
    pub id: String,
    /// `Status`.
    pub status: String,
    /// `DeletionProtection`.
    pub deletion_protection: bool,
    /// `FailoverState` names a switchover or failover that is under way.
    pub operation: Option<String>,
    /// ARN of the cluster that the operation makes the writer.
    pub operation_to: Option<String>,
    /// The operation may lose data, or does not say that it may not: it is no switchover.
    pub operation_may_lose: bool,
    /// `GlobalClusterMembers`.
    pub members: Vec<MemberSeen>,
}

/// A member of a global cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSeen {
    /// `DBClusterArn`.
    pub arn: String,
    /// `IsWriter`.
    pub is_writer: bool,
    /// `SynchronizationStatus` as sent, `None` where AWS gives none.
    pub synchronization: Option<String>,
}

/// A manual cluster snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSeen {
    /// `DBClusterSnapshotIdentifier`.
    pub id: String,
    /// `DBClusterSnapshotArn`.
    pub arn: String,
    /// `DbClusterResourceId` of the cluster it was taken from.
    pub cluster_resource_id: Option<String>,
    /// `Status`.
    pub status: String,
}

/// A DB subnet group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetGroupSeen {
    /// `DBSubnetGroupName`.
    pub name: String,
    /// `SubnetGroupStatus`.
    pub status: String,
    /// `SubnetIdentifier` of its subnets.
    pub subnet_ids: Vec<String>,
}

/// A network ACL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAclSeen {
    /// `NetworkAclId`.
    pub id: String,
    /// `VpcId`.
    pub vpc_id: String,
    /// The VPC's default ACL.
    pub is_default: bool,
    /// No entry allows inbound traffic.
    pub denies_inbound: bool,
    /// Subnet → association id, as it stood when read.
    pub associations: BTreeMap<String, String>,
}

/// A security group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupSeen {
    /// `GroupId`.
    pub id: String,
    /// `VpcId`.
    pub vpc_id: String,
    /// It has no rule that lets anything in.
    pub denies_inbound: bool,
}

/// A security group as a cluster lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMembershipSeen {
    /// `VpcSecurityGroupId`.
    pub id: String,
    /// `active`, or `adding` or `removing` while it changes.
    pub status: String,
}

/// A Route 53 record the request names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSeen {
    /// Hosted zone id.
    pub zone_id: String,
    /// Record name without the final dot.
    pub name: String,
    /// `SetIdentifier`.
    pub set_identifier: Option<String>,
    /// `None`: no record of that name. Otherwise the record's type.
    pub kind: Option<String>,
    /// Its only value, if it has exactly one.
    pub value: Option<String>,
    /// How long resolvers keep it, in seconds; an alias has no time of its own.
    pub ttl_s: Option<i64>,
    /// The traffic policy that keeps it: Route 53 refuses to change such a record.
    pub traffic_policy: Option<String>,
    /// Set identifiers of the CNAME records of that name.
    pub set_identifiers: Vec<String>,
    /// The zone's own name: a CNAME cannot stand there.
    pub zone_name: String,
    /// Its name servers answer in its VPCs only.
    pub zone_is_private: bool,
}

/// A secret the request names. What else it holds is not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSeen {
    /// The Region that was asked.
    pub region: String,
    /// What it was asked for by: a name or an ARN.
    pub id: String,
    /// Its ARN, if it is there.
    pub arn: Option<String>,
    /// What it says, or why it cannot be moved.
    pub found: Result<SecretFields, SecretProblem>,
}

impl RegionSeen {
    /// The cluster with that id.
    pub fn cluster(&self, id: &str) -> Option<&ClusterSeen> {
        self.clusters.iter().find(|c| c.id == id)
    }

    /// The instances of a cluster.
    pub fn instances_of<'a>(
        &'a self,
        cluster_id: &'a str,
    ) -> impl Iterator<Item = &'a InstanceSeen> {
        self.instances.iter().filter(move |i| i.cluster_id.as_deref() == Some(cluster_id))
    }

    /// The subnets of a DB subnet group; none of one that does not exist.
    pub fn subnets_of_group(&self, group: Option<&str>) -> &[String] {
        let found = self.subnet_groups.iter().find(|g| Some(g.name.as_str()) == group);
        found.map(|g| g.subnet_ids.as_slice()).unwrap_or_default()
    }

    /// The network ACL a subnet is associated with.
    pub fn acl_of_subnet(&self, subnet: &str) -> Option<&NetworkAclSeen> {
        self.network_acls.iter().find(|acl| acl.associations.contains_key(subnet))
    }
}

impl Seen {
    /// The global cluster with that id.
    pub fn global_cluster(&self, id: &str) -> Option<&GlobalClusterSeen> {
        self.global_clusters.iter().find(|g| g.id == id)
    }

    /// The record of that zone, name, and `SetIdentifier`.
    pub fn record(
        &self,
        zone_id: &str,
        name: &str,
        set_identifier: Option<&str>,
    ) -> Option<&DnsSeen> {
        let name = name.trim_end_matches('.');
        self.dns.iter().find(|d| {
            d.zone_id == zone_id
                && d.name.eq_ignore_ascii_case(name)
                && d.set_identifier.as_deref() == set_identifier
        })
    }

    /// The secret that was asked for like this.
    pub fn secret(&self, region: &str, id: &str) -> Option<&SecretSeen> {
        self.secrets.iter().find(|secret| secret.region == region && secret.id == id)
    }

    /// The global cluster that lists this cluster as a member.
    pub fn membership(&self, arn: &str) -> Option<(&GlobalClusterSeen, &MemberSeen)> {
        self.global_clusters.iter().find_map(|g| g.member(arn).map(|m| (g, m)))
    }
}

impl GlobalClusterSeen {
    /// The member with that ARN.
    pub fn member(&self, arn: &str) -> Option<&MemberSeen> {
        self.members.iter().find(|m| m.arn == arn)
    }

    /// A switchover that will make this cluster the writer is under way.
    pub fn switches_to(&self, arn: &str) -> bool {
        self.operation.as_deref().is_some_and(|status| status != "cancelling")
            && self.operation_to.as_deref() == Some(arn)
            && !self.operation_may_lose
    }

    /// The writers it lists: one, unless something is very wrong or not there yet.
    pub fn writers(&self) -> Vec<&MemberSeen> {
        self.members.iter().filter(|m| m.is_writer).collect()
    }
}

impl ClusterSeen {
    /// The host name of one of its endpoints, once it has one.
    pub fn host(&self, kind: EndpointKind) -> Option<&String> {
        match kind {
            EndpointKind::Writer => self.endpoint.as_ref(),
            EndpointKind::Reader => self.reader_endpoint.as_ref(),
        }
    }

    /// Whether it has, or is being given, this security group.
    pub fn has_group(&self, id: &str) -> bool {
        self.security_groups.iter().any(|group| group.id == id && group.status != "removing")
    }

    /// Whether these are the security groups it has, or will have once a change is through.
    pub fn groups_will_be(&self, ids: &[String]) -> bool {
        let coming: std::collections::BTreeSet<&str> = self
            .security_groups
            .iter()
            .filter(|group| group.status != "removing")
            .map(|group| group.id.as_str())
            .collect();
        coming == ids.iter().map(String::as_str).collect()
    }

    /// Its writer instance, as the cluster lists it.
    pub fn writer_instance(&self) -> Option<&str> {
        self.members.iter().find(|m| m.is_writer).map(|m| m.instance_id.as_str())
    }
}
