//! Address ranges and the rules of network ACLs.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::spec::{NetworkAclEntrySpec, SpecError};

/// An IPv4 address range, such as `10.0.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: Ipv4Addr,
    prefix: u8,
}

/// A string that is no IPv4 address range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 CIDR block")]
pub struct NotACidr(String);

impl Cidr {
    /// Every address: `0.0.0.0/0`.
    pub const EVERYWHERE: Self = Self { address: Ipv4Addr::UNSPECIFIED, prefix: 0 };

    /// Whether the address lies in the range.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        (u32::from(self.address) ^ u32::from(address)) & mask == 0
    }

    /// The addresses that EC2 leaves free in an empty subnet: it keeps five.
    #[must_use]
    pub fn free_addresses(self) -> u64 {
        (1_u64 << (32 - self.prefix)).saturating_sub(5)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let refuse = || NotACidr(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(refuse)?;
        Ok(Self { address: address.parse().map_err(|_| refuse())?, prefix })
    }
}

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port.
    pub from: u16,
    /// The highest port.
    pub to: u16,
}

impl PortRange {
    /// Whether the port lies in the range.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.from <= port && port <= self.to
    }
}

/// The protocol of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Every protocol and every port: `-1`.
    Any,
    /// TCP: `6`.
    Tcp,
    /// UDP: `17`.
    Udp,
}

impl Protocol {
    /// Reads `-1`, a number or a name.
    pub(super) fn from_spec(text: &str) -> Result<Self, SpecError> {
        match text {
            "-1" | "all" => Ok(Self::Any),
            "6" | "tcp" => Ok(Self::Tcp),
            "17" | "udp" => Ok(Self::Udp),
            other => Err(SpecError::Invalid(format!("{other:?} is not a protocol the model has"))),
        }
    }

    /// The number EC2 writes in a network ACL.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::Any => "-1",
            Self::Tcp => "6",
            Self::Udp => "17",
        }
    }

    /// The name EC2 writes in a security group.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "-1",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// Whether a database connection falls under the rule.
    pub(super) const fn covers_tcp(self) -> bool {
        matches!(self, Self::Any | Self::Tcp)
    }
}

/// A numbered rule of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// Its place: the lowest number that matches a packet decides.
    pub rule_number: i32,
    /// Whether it concerns what leaves the subnet rather than what enters it.
    pub egress: bool,
    /// Allow or deny.
    pub allow: bool,
    /// The protocol it concerns.
    pub protocol: Protocol,
    /// The other side's addresses.
    pub cidr: Cidr,
    /// The destination ports; `None` means every port.
    pub ports: Option<PortRange>,
}

impl AclEntry {
    /// The number of the implicit rule that ends every ACL.
    pub const IMPLICIT: i32 = 32_767;

    /// A rule for every protocol, port and address.
    #[must_use]
    pub const fn everything(rule_number: i32, egress: bool, allow: bool) -> Self {
        let cidr = Cidr::EVERYWHERE;
        Self { rule_number, egress, allow, protocol: Protocol::Any, cidr, ports: None }
    }

    /// Reads a rule of a world's file.
    pub(super) fn from_spec(spec: &NetworkAclEntrySpec) -> Result<Self, SpecError> {
        let cidr = spec.cidr.parse().map_err(|e: NotACidr| SpecError::Invalid(e.to_string()))?;
        Ok(Self {
            rule_number: spec.rule_number,
            egress: spec.egress,
            allow: spec.allow,
            protocol: Protocol::from_spec(&spec.protocol)?,
            cidr,
            ports: spec.ports.map(|(from, to)| PortRange { from, to }),
        })
    }

    /// The rules of a default ACL: everything may pass, both ways.
    #[must_use]
    pub fn allow_all() -> Vec<Self> {
        vec![Self::everything(100, false, true), Self::everything(100, true, true)]
    }

    /// The rules of an ACL that cuts its subnets off: nothing may pass, either way.
    #[must_use]
    pub fn deny_all() -> Vec<Self> {
        vec![Self::everything(100, false, false), Self::everything(100, true, false)]
    }

    /// The implicit deny of one direction.
    pub(super) const fn implicit(egress: bool) -> Self {
        Self::everything(Self::IMPLICIT, egress, false)
    }
}

/// Whether the rules let a TCP packet pass: the lowest-numbered match decides, and what no rule
/// mentions is denied.
pub(super) fn allows(entries: &[AclEntry], egress: bool, other: Ipv4Addr, port: u16) -> bool {
    entries
        .iter()
        .filter(|entry| {
            entry.egress == egress
                && entry.protocol.covers_tcp()
                && entry.cidr.contains(other)
                && entry.ports.is_none_or(|ports| ports.contains(port))
        })
        .min_by_key(|entry| entry.rule_number)
        .is_some_and(|entry| entry.allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);

    fn rule(rule_number: i32, allow: bool, cidr: &str) -> AclEntry {
        AclEntry { cidr: cidr.parse().unwrap(), ..AclEntry::everything(rule_number, false, allow) }
    }

    #[test]
    fn lowest_rule_number_that_matches_decides() {
        let entries = [rule(200, true, "0.0.0.0/0"), rule(100, false, "10.1.0.0/16")];

        assert!(!allows(&entries, false, CLIENT, 3306));
        assert!(allows(&entries, false, Ipv4Addr::new(10, 2, 0, 1), 3306));
    }

    #[test]
    fn what_no_rule_mentions_is_denied() {
        assert!(!allows(&[], false, CLIENT, 3306));
        assert!(!allows(&[rule(100, true, "10.2.0.0/16")], false, CLIENT, 3306));
        assert!(!allows(&[rule(100, true, "0.0.0.0/0")], true, CLIENT, 3306));
    }

    #[test]
    fn port_range_includes_both_ends() {
        let ports = PortRange { from: 3306, to: 3307 };
        let entries = [AclEntry { ports: Some(ports), ..rule(100, true, "0.0.0.0/0") }];

        let passed: Vec<u16> =
            (3305..=3308).filter(|port| allows(&entries, false, CLIENT, *port)).collect();
        assert_eq!(passed, [3306, 3307]);
    }

    #[test]
    fn address_range_reads_back_as_written() {
        for text in ["0.0.0.0/0", "10.1.0.0/16", "10.1.2.3/32"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "ten/8", "/8"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
