//! Networks at the start of a world.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VpcSpec {
    /// `vpc-…`.
    pub id: String,
    /// `10.1.0.0/16`.
    pub cidr: String,
    /// Its subnets.
    pub subnets: Vec<SubnetSpec>,
    /// Its network ACLs; exactly one is the default.
    pub network_acls: Vec<NetworkAclSpec>,
    /// Its security groups.
    #[serde(default)]
    pub security_groups: Vec<SecurityGroupSpec>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetSpec {
    /// `subnet-…`.
    pub id: String,
    /// `us-east-1a`.
    pub availability_zone: String,
    /// `10.1.10.0/24`.
    pub cidr: String,
    /// The network ACL it is associated with; the VPC's default one when absent.
    #[serde(default)]
    pub network_acl: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A network ACL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkAclSpec {
    /// `acl-…`.
    pub id: String,
    /// True for the VPC's default one.
    #[serde(default)]
    pub default: bool,
    /// The numbered rules; the final implicit deny is not listed.
    #[serde(default)]
    pub entries: Vec<NetworkAclEntrySpec>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A rule of a network ACL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkAclEntrySpec {
    /// Evaluated in ascending order.
    pub rule_number: i32,
    /// Outbound when true.
    pub egress: bool,
    /// `-1` for all, `6` for TCP.
    pub protocol: String,
    /// Allow when true, deny when false.
    pub allow: bool,
    /// `0.0.0.0/0`.
    pub cidr: String,
    /// First and last port, for TCP.
    #[serde(default)]
    pub ports: Option<(u16, u16)>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupSpec {
    /// `sg-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What may come in.
    #[serde(default)]
    pub ingress: Vec<IngressSpec>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressSpec {
    /// `tcp`, or `-1` for all.
    pub protocol: String,
    /// First and last port; all when absent.
    #[serde(default)]
    pub ports: Option<(u16, u16)>,
    /// From where.
    pub cidr: String,
}
