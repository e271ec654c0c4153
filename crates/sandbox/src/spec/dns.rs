//! Hosted zones at the start of a world.

use serde::{Deserialize, Serialize};

/// A hosted zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostedZoneSpec {
    /// `Z…`.
    pub id: String,
    /// The domain, with or without the final dot.
    pub name: String,
    /// VPCs it is private to; public when empty.
    #[serde(default)]
    pub private_to: Vec<ZoneVpcSpec>,
    /// Records other than NS and SOA.
    #[serde(default)]
    pub records: Vec<RecordSpec>,
}

/// A VPC that sees a private zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneVpcSpec {
    /// Its Region.
    pub region: String,
    /// `vpc-…`.
    pub vpc: String,
}

/// A DNS record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordSpec {
    /// The full name, with or without the final dot.
    pub name: String,
    /// `CNAME`, `A`, …
    #[serde(rename = "type")]
    pub record_type: String,
    /// Seconds.
    pub ttl_s: u32,
    /// What it says; `{writer:<region>/<cluster>}` and `{reader:<region>/<cluster>}` stand for
    /// endpoints, whose host names are only known once the world is built.
    pub values: Vec<String>,
    /// What tells it from others of its name and type.
    #[serde(default)]
    pub set_identifier: Option<String>,
    /// How it is chosen among them.
    #[serde(default)]
    pub routing: Option<RoutingSpec>,
    /// The health check that can take it out of the answers.
    #[serde(default)]
    pub health_check_id: Option<String>,
}

/// How Route 53 chooses between records of the same name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RoutingSpec {
    /// By weight.
    Weight(u8),
    /// By latency, from this Region.
    Region(String),
    /// `PRIMARY` or `SECONDARY`.
    Failover(String),
}
