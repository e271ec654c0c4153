//! A world and a request to begin with.

use failback_cli::drill::{Drill, Setup};
use failback_sandbox::spec::{ClusterSpec, InstanceSpec, RegionSpec, VpcSpec};
use failback_sandbox::{World, WorldSpec};
use serde_json::Value;

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
        let drill = super::begin(&setup);
        for accident in &self.accidents {
            drill.sandbox.change_world(|world| accident(world));
        }
        drill
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

/// The Region that [`Given::add_third_region`] adds.
pub const THIRD: &str = "eu-west-1";

fn copy_of(cluster: &ClusterSpec, id: &str) -> ClusterSpec {
    let instance = InstanceSpec { id: format!("{id}-node"), ..cluster.instances[0].clone() };
    ClusterSpec { id: id.to_owned(), instances: vec![instance], ..cluster.clone() }
}
