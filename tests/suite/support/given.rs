//! A world and a request to begin with.

use failback::Stack;
use failback_cli::drill::{Drill, Setup};
use failback_sandbox::spec::{
    ClusterSpec, HostedZoneSpec, InstanceSpec, RecordSpec, RegionSpec, RoutingSpec, SecretSpec,
    VpcSpec,
};
use failback_sandbox::{World, WorldSpec, secret};
use serde_json::{Value, json};

use super::{AWAY, HOME};

/// A change that no spec can say.
type Accident = Box<dyn Fn(&mut World)>;

/// A world and a request; the workshop's until a test changes them.
pub struct Given {
    pub world: WorldSpec,
    pub input: Value,
    accidents: Vec<Accident>,
}

impl Given {
    /// The situation in which the workshop's failback begins, and its request.
    pub fn workshop() -> Self {
        let input = include_str!("../../../statemachine/examples/workshop.json");
        Self {
            world: WorldSpec::workshop(),
            input: serde_json::from_str(input).expect("the example is JSON"),
            accidents: Vec::new(),
        }
    }

    /// The same, fenced by security groups, with the request of the example.
    pub fn by_security_group() -> Self {
        let input = include_str!("../../../statemachine/examples/security-group.json");
        let input = serde_json::from_str(input).expect("the example is JSON");
        Self { input, ..Self::workshop() }
    }

    /// The same after a managed failover, with the request of the example.
    pub fn managed() -> Self {
        let input = include_str!("../../../statemachine/examples/managed.json");
        Self {
            world: WorldSpec::managed(),
            input: serde_json::from_str(input).expect("the example is JSON"),
            accidents: Vec::new(),
        }
    }

    /// Has something happen to the world once it is built.
    pub fn accident(&mut self, accident: impl Fn(&mut World) + 'static) {
        self.accidents.push(Box::new(accident));
    }

    /// The world, the machines and clients that reach them.
    pub fn drill(&self) -> Drill {
        let setup = Setup { world: self.world.clone(), input: self.input.clone(), seed: 7 };
        self.suffered(super::begin(&setup))
    }

    /// The same, with a stack that knows the request.
    pub fn deployed(&self) -> Drill {
        self.deployed_with(|_| {})
    }

    /// The same, with a stack whose parameters are not the usual ones.
    pub fn deployed_with(&self, change: impl FnOnce(&mut Stack)) -> Drill {
        let setup = Setup { world: self.world.clone(), input: self.input.clone(), seed: 7 };
        crate::permissions::watch();
        self.suffered(Drill::deployed(&setup, change).expect("the world can be built"))
    }

    fn suffered(&self, drill: Drill) -> Drill {
        for accident in &self.accidents {
            drill.sandbox.change_world(|world| accident(world));
        }
        drill
    }

    /// Has applications find the database by two secrets: of the writer, in home's Region and by its
    /// name, and of away's reader, in away's Region and by its ARN.
    pub fn add_secrets(&mut self) {
        let writer = format!("{AWAY}/{}", self.cluster(AWAY).id);
        let port = self.cluster(AWAY).settings.port;
        for (region, name, kind) in
            [(HOME, WRITER_SECRET, "writer"), (AWAY, READER_SECRET, "reader")]
        {
            let value = json!({
                "username": "orders", "password": PASSWORD, "engine": "mysql",
                "host": format!("{{{kind}:{writer}}}"), "port": port,
                "dbname": "orders", "dbClusterIdentifier": "gdb2-cluster"
            });
            let kms_key = self.region(region).kms_keys.first().cloned();
            self.region(region).secrets.push(SecretSpec {
                name: name.to_owned(),
                value,
                kms_key,
                owning_service: None,
                replicas: Vec::new(),
            });
        }
        let reader = secret::arn("123456789012", AWAY, READER_SECRET);
        self.input["endpoints"]["secrets"] = json!([
            { "name": WRITER_SECRET, "region": HOME, "points_to": "home_writer" },
            { "secret_arn": reader, "points_to": "away_reader" }
        ]);
    }

    /// Has the name of the writer stand in a group, too: two records with weights.
    pub fn add_weighted_name(&mut self) {
        self.add_group(["blue", "green"], [10, 0].map(RoutingSpec::Weight));
    }

    /// Has the name of the writer stand in a group of two, too, of which the first shall move.
    pub fn add_group(&mut self, ids: [&str; 2], routing: [RoutingSpec; 2]) {
        let zone = &mut self.world.hosted_zones[0];
        zone.records.extend(ids.into_iter().zip(routing).map(|(id, routing)| RecordSpec {
            set_identifier: Some(id.to_owned()),
            routing: Some(routing),
            health_check_id: Some(format!("check-{id}")),
            ..record(WEIGHTED)
        }));
        let (zone, first) = (zone.id.clone(), ids[0]);
        self.add_name(json!({
            "zone_id": zone, "name": WEIGHTED, "set_identifier": first, "points_to": "home_writer"
        }));
    }

    /// Has a name stand in a second zone, whose name servers anybody can ask.
    pub fn add_public_name(&mut self) {
        self.world.hosted_zones.push(HostedZoneSpec {
            id: PUBLIC_ZONE.to_owned(),
            name: "example.com".to_owned(),
            private_to: Vec::new(),
            records: vec![record(PUBLIC)],
        });
        self.add_name(
            json!({ "zone_id": PUBLIC_ZONE, "name": PUBLIC, "points_to": "home_reader" }),
        );
    }

    fn add_name(&mut self, name: Value) {
        let names = self.input["endpoints"]["dns"].as_array_mut();
        names.expect("the example has names").push(name);
    }

    pub fn region(&mut self, name: &str) -> &mut RegionSpec {
        let region = self.world.regions.iter_mut().find(|r| r.name == name);
        region.expect("the world has this Region")
    }

    pub fn vpc(&mut self, region: &str) -> &mut VpcSpec {
        &mut self.region(region).vpcs[0]
    }

    /// The cluster that a Region of the workshop has.
    pub fn cluster(&mut self, region: &str) -> &mut ClusterSpec {
        &mut self.region(region).clusters[0]
    }

    /// The stale home cluster and the one that writes meanwhile.
    pub fn clusters(&mut self) -> [&mut ClusterSpec; 2] {
        let mut found = [None, None];
        for region in &mut self.world.regions {
            let i = usize::from(region.name == AWAY);
            found[i] = region.clusters.first_mut();
        }
        found.map(|c| c.expect("both Regions have one"))
    }

    /// Another cluster like a Region's own, under a name of its own.
    pub fn add_cluster(&mut self, region: &str, id: &str) {
        let copy = copy_of(self.cluster(region), id);
        self.region(region).clusters.push(copy);
    }

    /// A third Region like home, with one cluster.
    pub fn add_third_region(&mut self, cluster_id: &str) {
        let mut third = self.region(HOME).clone();
        third.name = THIRD.to_owned();
        third.clusters = vec![copy_of(&third.clusters[0], cluster_id)];
        self.world.regions.push(third);
    }

    /// Lists another member in the global cluster from before the disaster.
    pub fn add_former_member(&mut self, region: &str, cluster: &str) {
        let member = failback_sandbox::spec::MemberSpec {
            region: region.to_owned(),
            cluster: cluster.to_owned(),
            writer: false,
        };
        self.world.global_clusters[0].members.push(member);
    }
}

/// The secret that moves with the writer.
pub const WRITER_SECRET: &str = "orders/writer";
/// The secret that moves with away's reader.
pub const READER_SECRET: &str = "orders/reader";
/// What no execution, answer or log may hold.
pub const PASSWORD: &str = "correct-horse-battery-staple";
/// A name whose records stand in a group: with weights, unless a test says otherwise.
pub const WEIGHTED: &str = "db-weighted.workshop.internal";
/// A name that the whole world can ask for.
pub const PUBLIC: &str = "db.example.com";
/// Its zone.
pub const PUBLIC_ZONE: &str = "Z0PUBLIC0000000000001";

/// The Region that [`Given::add_third_region`] adds.
pub const THIRD: &str = "eu-west-1";

fn copy_of(cluster: &ClusterSpec, id: &str) -> ClusterSpec {
    let instance = InstanceSpec { id: format!("{id}-node"), ..cluster.instances[0].clone() };
    ClusterSpec { id: id.to_owned(), instances: vec![instance], ..cluster.clone() }
}

/// A CNAME that leads to away's writer.
fn record(name: &str) -> RecordSpec {
    RecordSpec {
        name: name.to_owned(),
        record_type: "CNAME".to_owned(),
        ttl_s: 60,
        values: vec!["{writer:us-west-2/gdb2-cluster}".to_owned()],
        set_identifier: None,
        routing: None,
        health_check_id: None,
    }
}
