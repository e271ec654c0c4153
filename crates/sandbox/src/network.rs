//! The virtual private clouds of every Region: subnets, network ACLs and security groups, and
//! what they let through.
//!
//! Two rules of EC2 carry the safety of a failback, and the model keeps both:
//!
//! - a network ACL is **stateless** and acts on every packet, so an ACL that denies cuts
//!   established connections as well as new ones, at once;
//! - a security group is **stateful**: taking a rule away stops new connections only, and those
//!   that are established go on.

mod acl;
mod api;
mod entries;
pub(crate) mod named;
mod query;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::spec::{IngressSpec, RegionSpec, SpecError, VpcSpec};

pub use acl::{AclEntry, Cidr, NotACidr, PortRange, Protocol};
pub(crate) use api::handle;

/// The source port a client's connection is taken to use: return traffic needs the ACL's leave
/// for it, because an ACL keeps no state.
const EPHEMERAL_PORT: u16 = 49_152;

/// A virtual private cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    /// Its address range.
    pub cidr: Cidr,
    /// Tags, by key.
    pub tags: BTreeMap<String, String>,
}

/// A subnet of a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The VPC it lies in.
    pub vpc_id: String,
    /// Its address range.
    pub cidr: Cidr,
    /// The Availability Zone, such as `us-east-1a`.
    pub availability_zone: String,
    /// Tags, by key.
    pub tags: BTreeMap<String, String>,
}

/// A network ACL: numbered rules for whole subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAcl {
    /// The VPC it belongs to; it can be associated with that VPC's subnets only.
    pub vpc_id: String,
    /// Whether it is the one a subnet of the VPC starts with.
    pub is_default: bool,
    /// The rules, without the implicit deny that ends every ACL.
    pub entries: Vec<AclEntry>,
    /// Tags, by key.
    pub tags: BTreeMap<String, String>,
}

/// One rule of a security group: who may connect to which ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRule {
    /// The protocol it allows.
    pub protocol: Protocol,
    /// The ports it allows; `None` means every port.
    pub ports: Option<PortRange>,
    /// The sources it allows.
    pub source: Cidr,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// The VPC it belongs to.
    pub vpc_id: String,
    /// Its name, unique within the VPC.
    pub name: String,
    /// What may connect.
    pub ingress: Vec<IngressRule>,
    /// Tags, by key.
    pub tags: BTreeMap<String, String>,
}

/// The association of a subnet with its network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Association {
    /// Its id, which dies when the association is replaced.
    id: String,
    acl_id: String,
}

/// What one Region holds.
#[derive(Debug, Clone, Default)]
struct RegionNetwork {
    vpcs: BTreeMap<String, Vpc>,
    subnets: BTreeMap<String, Subnet>,
    acls: BTreeMap<String, NetworkAcl>,
    groups: BTreeMap<String, SecurityGroup>,
    /// By subnet: a subnet has exactly one network ACL.
    associations: BTreeMap<String, Association>,
}

/// Whether a packet opens a connection or belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// A new connection: security groups are asked too.
    New,
    /// An established, tracked connection: only network ACLs are asked.
    Established,
}

/// Where a connection goes to and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Flow<'a> {
    /// The Region of the server.
    pub region: &'a str,
    /// The subnets in which the server may have its interface. It is reachable through any one of
    /// them, so that a fence with a hole in it lets traffic through, as it would in AWS.
    pub subnets: &'a [String],
    /// The security groups of the server; any one of them may allow.
    pub groups: &'a [String],
    /// The client's address.
    pub client: Ipv4Addr,
    /// The server's TCP port.
    pub port: u16,
}

/// All networks of the account.
#[derive(Debug, Clone)]
pub struct Network {
    regions: BTreeMap<String, RegionNetwork>,
    /// Counts the ids given out, so that every id is new.
    issued: u64,
    /// Raised by every change, so that an answer may be kept until the next one.
    version: u64,
    /// The most results a page of a `Describe…` holds, whatever the caller asks for. EC2 may
    /// always return fewer results than asked, so a test lowers it to see a caller page.
    pub page_size: usize,
}

impl Default for Network {
    fn default() -> Self {
        Self { regions: BTreeMap::new(), issued: 0, version: 0, page_size: 1_000 }
    }
}

impl Network {
    /// The networks of a world at its start.
    ///
    /// # Errors
    /// [`SpecError`] when an address range or a protocol cannot be read, when a subnet names an
    /// ACL that its VPC does not have, or when a VPC has not exactly one default ACL.
    pub fn build(regions: &[RegionSpec]) -> Result<Self, SpecError> {
        let mut network = Self::default();
        for region in regions {
            network.region_mut(&region.name);
            for vpc in &region.vpcs {
                network.add_vpc(&region.name, vpc)?;
            }
        }
        Ok(network)
    }

    /// Adds a VPC with all that it holds.
    ///
    /// # Errors
    /// As [`Network::build`].
    pub fn add_vpc(&mut self, region: &str, spec: &VpcSpec) -> Result<(), SpecError> {
        let default = default_acl(spec)?;
        let vpc = Vpc { cidr: cidr(&spec.cidr)?, tags: spec.tags.clone() };
        self.region_mut(region).vpcs.insert(spec.id.clone(), vpc);
        for acl in &spec.network_acls {
            let entries = acl.entries.iter().map(AclEntry::from_spec).collect::<Result<_, _>>()?;
            let acl_of = NetworkAcl {
                vpc_id: spec.id.clone(),
                is_default: acl.default,
                entries,
                tags: acl.tags.clone(),
            };
            self.region_mut(region).acls.insert(acl.id.clone(), acl_of);
        }
        for group in &spec.security_groups {
            let ingress = group.ingress.iter().map(ingress_rule).collect::<Result<_, _>>()?;
            let built = SecurityGroup {
                vpc_id: spec.id.clone(),
                name: group.name.clone(),
                ingress,
                tags: group.tags.clone(),
            };
            self.region_mut(region).groups.insert(group.id.clone(), built);
        }
        for subnet in &spec.subnets {
            let built = Subnet {
                vpc_id: spec.id.clone(),
                cidr: cidr(&subnet.cidr)?,
                availability_zone: subnet.availability_zone.clone(),
                tags: subnet.tags.clone(),
            };
            self.region_mut(region).subnets.insert(subnet.id.clone(), built);
            let acl_id = subnet.network_acl.as_deref().unwrap_or(default);
            self.associate(region, &subnet.id, acl_id)
                .ok_or_else(|| SpecError::dangling("network ACL", acl_id, &subnet.id))?;
        }
        Ok(())
    }

    /// Replaces the rules of a network ACL. Returns whether there is such an ACL.
    pub fn set_entries(&mut self, region: &str, acl_id: &str, entries: Vec<AclEntry>) -> bool {
        let acl = self.region_mut(region).acls.get_mut(acl_id);
        acl.map(|acl| acl.entries = entries).is_some()
    }

    /// Removes a network ACL, whoever uses it: the operator who deletes what a plan relies on.
    pub fn remove_acl(&mut self, region: &str, acl_id: &str) {
        self.region_mut(region).acls.remove(acl_id);
    }

    /// Replaces what a security group lets in. Returns whether there is such a group.
    pub fn set_ingress(&mut self, region: &str, group_id: &str, ingress: Vec<IngressRule>) -> bool {
        let group = self.region_mut(region).groups.get_mut(group_id);
        group.map(|group| group.ingress = ingress).is_some()
    }

    /// Associates a subnet with a network ACL of its VPC, under a new association id, which it
    /// returns; `None` when subnet and ACL do not belong together or do not exist.
    pub fn associate(&mut self, region: &str, subnet_id: &str, acl_id: &str) -> Option<String> {
        let here = self.regions.get(region)?;
        if here.subnets.get(subnet_id)?.vpc_id != here.acls.get(acl_id)?.vpc_id {
            return None;
        }
        let id = self.issue("aclassoc");
        let association = Association { id: id.clone(), acl_id: acl_id.to_owned() };
        self.region_mut(region).associations.insert(subnet_id.to_owned(), association);
        Some(id)
    }

    /// The network ACL of a subnet.
    #[must_use]
    pub fn acl_of(&self, region: &str, subnet_id: &str) -> Option<&str> {
        let association = self.regions.get(region)?.associations.get(subnet_id)?;
        Some(&association.acl_id)
    }

    /// A subnet, if it exists.
    #[must_use]
    pub fn subnet(&self, region: &str, subnet_id: &str) -> Option<&Subnet> {
        self.regions.get(region)?.subnets.get(subnet_id)
    }

    /// The security group of a VPC that carries the name `default`.
    #[must_use]
    pub fn default_group(&self, region: &str, vpc_id: &str) -> Option<&str> {
        let groups = &self.regions.get(region)?.groups;
        let default = groups.iter().find(|(_, g)| g.vpc_id == vpc_id && g.name == "default");
        default.map(|(id, _)| id.as_str())
    }

    /// Whether a security group exists.
    #[must_use]
    pub fn has_group(&self, region: &str, group_id: &str) -> bool {
        self.regions.get(region).is_some_and(|here| here.groups.contains_key(group_id))
    }

    /// A number that grows with every change: as long as it stays the same, so do the answers of
    /// [`Network::reachable`].
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether packets of such a connection arrive, and their answers too.
    #[must_use]
    pub fn reachable(&self, flow: &Flow<'_>, connection: Connection) -> bool {
        let Some(here) = self.regions.get(flow.region) else { return false };
        let mut passed = flow.subnets.iter().filter(|subnet| here.acl_passes(subnet, flow));
        if passed.next().is_none() {
            return false;
        }
        connection == Connection::Established || here.groups_admit(flow)
    }

    /// A new id, such as `aclassoc-0f3c…`, that no resource has carried before.
    fn issue(&mut self, prefix: &str) -> String {
        self.issued += 1;
        // Spread by an odd constant, so that ids look like ids and stay unique.
        let spread = self.issued.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{prefix}-0{spread:016x}")
    }

    /// A Region's networks, about to change.
    fn region_mut(&mut self, region: &str) -> &mut RegionNetwork {
        self.version += 1;
        self.regions.entry(region.to_owned()).or_default()
    }
}

impl RegionNetwork {
    const EMPTY: Self = Self {
        vpcs: BTreeMap::new(),
        subnets: BTreeMap::new(),
        acls: BTreeMap::new(),
        groups: BTreeMap::new(),
        associations: BTreeMap::new(),
    };

    /// Whether the subnet's ACL lets a request in and its answer out. A client inside the subnet
    /// never crosses its ACL.
    fn acl_passes(&self, subnet_id: &str, flow: &Flow<'_>) -> bool {
        let Some(subnet) = self.subnets.get(subnet_id) else { return false };
        if subnet.cidr.contains(flow.client) {
            return true;
        }
        let acl = self.associations.get(subnet_id).and_then(|a| self.acls.get(&a.acl_id));
        acl.is_some_and(|acl| {
            acl::allows(&acl.entries, false, flow.client, flow.port)
                && acl::allows(&acl.entries, true, flow.client, EPHEMERAL_PORT)
        })
    }

    /// Whether one of the server's security groups admits a new connection.
    fn groups_admit(&self, flow: &Flow<'_>) -> bool {
        flow.groups.iter().filter_map(|id| self.groups.get(id)).any(|group| {
            group.ingress.iter().any(|rule| {
                rule.protocol.covers_tcp()
                    && rule.ports.is_none_or(|ports| ports.contains(flow.port))
                    && rule.source.contains(flow.client)
            })
        })
    }

    /// The tags of whatever carries this id.
    fn tags_mut(&mut self, id: &str) -> Option<&mut BTreeMap<String, String>> {
        if let Some(vpc) = self.vpcs.get_mut(id) {
            return Some(&mut vpc.tags);
        }
        if let Some(subnet) = self.subnets.get_mut(id) {
            return Some(&mut subnet.tags);
        }
        if let Some(acl) = self.acls.get_mut(id) {
            return Some(&mut acl.tags);
        }
        self.groups.get_mut(id).map(|group| &mut group.tags)
    }
}

/// The one default network ACL that every VPC has.
fn default_acl(vpc: &VpcSpec) -> Result<&str, SpecError> {
    let mut defaults = vpc.network_acls.iter().filter(|acl| acl.default);
    match (defaults.next(), defaults.next()) {
        (Some(default), None) => Ok(&default.id),
        _ => Err(SpecError::Invalid(format!("{} needs exactly one default network ACL", vpc.id))),
    }
}

fn cidr(text: &str) -> Result<Cidr, SpecError> {
    text.parse().map_err(|error: NotACidr| SpecError::Invalid(error.to_string()))
}

fn ingress_rule(spec: &IngressSpec) -> Result<IngressRule, SpecError> {
    Ok(IngressRule {
        protocol: Protocol::from_spec(&spec.protocol)?,
        ports: spec.ports.map(|(from, to)| PortRange { from, to }),
        source: cidr(&spec.cidr)?,
    })
}
