//! A small world for tests of networks, DNS, metrics and clients: away's cluster writes, home's is
//! its reader, and each Region has a deny-all ACL next to its default one.
#![allow(dead_code, unused_imports, unused_macros, reason = "every test binary uses its own part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_credential_types::Credentials;
use failback_sandbox::{Sandbox, WorldSpec};
use serde_json::{Value, json};

pub const HOME: &str = "us-east-1";
pub const AWAY: &str = "us-west-2";
/// A full minute.
pub const START_MS: i64 = 1_767_225_600_000;

pub const HOME_SUBNETS: [&str; 2] = ["subnet-0000000000000e001", "subnet-0000000000000e002"];
pub const AWAY_SUBNETS: [&str; 2] = ["subnet-0000000000000a001", "subnet-0000000000000a002"];
pub const HOME_DEFAULT: &str = "acl-0000000000000e0de";
pub const HOME_FENCE: &str = "acl-0000000000000e0fe";
pub const AWAY_FENCE: &str = "acl-0000000000000a0fe";
pub const OTHER_VPC_ACL: &str = "acl-000000000000e2ac1";
pub const AWAY_GROUP: &str = "sg-0000000000000a05f";
pub const ZONE: &str = "ZPRIVATE1";
pub const NAME: &str = "orders.example.internal";

/// A sandbox and its clock.
pub struct Lab {
    pub sandbox: Sandbox,
    now_ms: Arc<AtomicI64>,
}

impl Lab {
    pub fn new(spec: Value) -> Self {
        let spec = WorldSpec::from_json(&spec.to_string()).unwrap();
        let now_ms = Arc::new(AtomicI64::new(START_MS));
        let clock = Arc::clone(&now_ms);
        let clock = Arc::new(move || clock.load(Ordering::SeqCst));
        Self { sandbox: Sandbox::new(&spec, 7, clock).unwrap(), now_ms }
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    pub fn wait_s(&self, seconds: i64) {
        self.now_ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
        self.sandbox.advance();
    }

    pub fn fence(&self, region: &str, subnets: [&str; 2], acl: &str) {
        self.sandbox.change_world(|world| {
            for subnet in subnets {
                world.network.associate(region, subnet, acl).unwrap();
            }
        });
    }
}

/// Builds a service's client on the sandbox, for a Region.
macro_rules! sdk {
    ($sdk:ident, $lab:expr, $region:expr) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region($sdk::config::Region::new($region))
                .credentials_provider(crate::network_support::credentials())
                .retry_config($sdk::config::retry::RetryConfig::disabled())
                .http_client($lab.sandbox.http_client())
                .build(),
        )
    };
}
pub(crate) use sdk;

pub fn credentials() -> Credentials {
    Credentials::new("AKIDSANDBOX", "secret", None, None, "sandbox")
}

fn entries(allow: bool) -> Value {
    let rule = |egress| json!({"rule_number": 100, "egress": egress, "protocol": "-1", "allow": allow, "cidr": "0.0.0.0/0"});
    json!([rule(false), rule(true)])
}

fn vpc(mark: &str, net: u8, region: &str) -> Value {
    let subnet = |n: u8, az: &str| {
        json!({"id": format!("subnet-0000000000000{mark}00{n}"), "availability_zone": format!("{region}{az}"),
               "cidr": format!("10.{net}.{n}.0/24"), "tags": {"tier": "database"}})
    };
    json!({
        "id": format!("vpc-0000000000000{mark}000"), "cidr": format!("10.{net}.0.0/16"),
        "subnets": [subnet(1, "a"), subnet(2, "b")],
        "network_acls": [
            {"id": format!("acl-0000000000000{mark}0de"), "default": true, "entries": entries(true)},
            {"id": format!("acl-0000000000000{mark}0fe"), "entries": entries(false), "tags": {"purpose": "fence"}}
        ],
        "security_groups": [{"id": format!("sg-0000000000000{mark}05f"), "name": "database",
            "ingress": [{"protocol": "tcp", "ports": [3306, 3306], "cidr": "10.0.0.0/8"}]}]
    })
}

fn other_vpc() -> Value {
    json!({"id": "vpc-000000000000e2000", "cidr": "10.9.0.0/16", "subnets": [],
           "network_acls": [{"id": OTHER_VPC_ACL, "default": true, "entries": entries(true)}]})
}

fn cluster(id: &str, mark: &str, instances: &[&str]) -> Value {
    let instances: Vec<Value> = instances
        .iter()
        .map(|id| json!({"id": id, "settings": {"class": "db.r6g.large", "parameter_group": "custom"}}))
        .collect();
    json!({"id": id, "engine": "aurora-mysql", "engine_version": "8.0.mysql_aurora.3.08.0", "rows": 10,
           "settings": {"subnet_group": "database", "parameter_group": "custom",
                        "security_groups": [format!("sg-0000000000000{mark}05f")]},
           "instances": instances})
}

fn region(name: &str, mark: &str, vpcs: Vec<Value>, cluster: Value) -> Value {
    let subnets = ["1", "2"].map(|n| format!("subnet-0000000000000{mark}00{n}"));
    json!({
        "name": name, "vpcs": vpcs, "clusters": [cluster],
        "subnet_groups": [{"name": "database", "subnets": subnets}],
        "cluster_parameter_groups": [{"name": "custom", "family": "aurora-mysql8.0"}],
        "parameter_groups": [{"name": "custom", "family": "aurora-mysql8.0"}]
    })
}

/// The world: no clients, and one private zone whose record leads to away's writer endpoint.
pub fn world() -> Value {
    let vpcs = [(HOME, "e"), (AWAY, "a")].map(
        |(region, mark)| json!({"region": region, "vpc": format!("vpc-0000000000000{mark}000")}),
    );
    json!({
        "account": "123456789012",
        "regions": [
            region(HOME, "e", vec![vpc("e", 1, HOME), other_vpc()], cluster("gdb1", "e", &["gdb1-node"])),
            region(AWAY, "a", vec![vpc("a", 2, AWAY)], cluster("gdb2", "a", &["gdb2-node1", "gdb2-node2"]))
        ],
        "global_clusters": [{"id": "gdb", "members": [
            {"region": AWAY, "cluster": "gdb2", "writer": true}, {"region": HOME, "cluster": "gdb1"}]}],
        "hosted_zones": [{"id": ZONE, "name": "example.internal", "private_to": vpcs,
            "records": [{"name": NAME, "type": "CNAME", "ttl_s": 60, "values": [format!("{{writer:{AWAY}/gdb2}}")]}]}]
    })
}

/// A client in home's VPC, outside the database's subnets, that writes twice a second.
pub fn client(name: &str) -> Value {
    json!({"name": name, "location": {"region": HOME, "vpc": "vpc-0000000000000e000", "ip": "10.1.20.5"},
           "writes_to": NAME, "write_every_ms": 500})
}

/// The world with such clients.
pub fn world_with(clients: Vec<Value>) -> Value {
    let mut world = world();
    world["clients"] = Value::from(clients);
    world
}
