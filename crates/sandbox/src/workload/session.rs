//! One client's use of one name.

use super::tally::{ClientReport, Tally};
use super::{Failure, Purpose, RECONNECT_MS};
use crate::dns::Resolver;
use crate::network::{Connection, Flow};
use crate::rds::Cluster;
use crate::spec::{ClientLocation, ClientSpec};
use crate::world::{EndpointKind, EndpointTarget, World};

/// A client that does one thing through one name.
#[derive(Debug, Clone)]
pub(super) struct Session {
    client: String,
    purpose: Purpose,
    location: ClientLocation,
    host: String,
    every_ms: i64,
    phase_ms: i64,
    resolver: Resolver,
    connection: Option<Established>,
    tally: Tally,
}

/// A connection that worked last time.
#[derive(Debug, Clone)]
struct Established {
    target: EndpointTarget,
    /// The state of the networks in which it was last known to pass.
    network: u64,
    /// How many restarts of instances there had been when it was last known not to be cut by one.
    restarts: u64,
    /// Since when, in epoch milliseconds.
    since_ms: i64,
}

impl Session {
    pub(super) fn new(
        client: &ClientSpec,
        purpose: Purpose,
        host: &str,
        every_ms: i64,
        phase_ms: i64,
    ) -> Self {
        Self {
            client: client.name.clone(),
            purpose,
            location: client.location.clone(),
            host: host.to_owned(),
            every_ms,
            phase_ms,
            resolver: Resolver::new(client.dns_cache_ms_min),
            connection: None,
            tally: Tally::default(),
        }
    }

    /// Starts counting; answers when the first turn is.
    pub(super) fn start(&mut self, now_ms: i64) -> i64 {
        self.tally = Tally::new(now_ms, self.every_ms);
        now_ms + self.phase_ms
    }

    pub(super) fn report(&self, now_ms: i64) -> ClientReport {
        self.tally.report(&self.client, self.purpose, now_ms)
    }

    /// Writes or reads once; answers when the next turn is.
    pub(super) fn turn(&mut self, world: &mut World) -> i64 {
        let now_ms = world.now_ms;
        match self.attempt(world) {
            Ok(()) => {
                let target = self.connection.as_ref().map(|connection| &connection.target);
                if let Some(EndpointTarget { region, cluster_id, .. }) = target {
                    self.tally.acknowledge(now_ms, region, cluster_id);
                }
                now_ms + self.every_ms
            }
            Err(failure) => {
                self.connection = None;
                self.tally.fail(failure);
                now_ms + RECONNECT_MS
            }
        }
    }

    fn attempt(&mut self, world: &mut World) -> Result<(), Failure> {
        let kind =
            if self.connection.is_some() { Connection::Established } else { Connection::New };
        match &mut self.connection {
            Some(connection) => {
                // Nothing in any network has changed: what passed last time passes now.
                if connection.network != world.network.version() {
                    let target = &connection.target;
                    if !passes(world, &self.location, target, Connection::Established) {
                        return Err(Failure::ConnectionLost);
                    }
                    connection.network = world.network.version();
                }
                if connection.restarts != world.rds.restarts {
                    if world.restarted_since(&connection.target, connection.since_ms) {
                        return Err(Failure::ConnectionLost);
                    }
                    connection.restarts = world.rds.restarts;
                }
            }
            None => self.connect(world)?,
        }
        let Some(connection) = &self.connection else { return Err(Failure::CannotConnect) };
        let EndpointTarget { region, cluster_id, .. } = &connection.target;
        match self.purpose {
            Purpose::Write => {
                world.write_row(region, cluster_id, &self.client, world.now_ms).map(drop)?;
            }
            Purpose::Read => world.read_rows(region, cluster_id, kind).map(drop)?,
        }
        Ok(())
    }

    /// Whether this client would go on writing to a cluster over the connection that it has.
    pub(super) fn holds_a_writing_connection(&self, world: &World, cluster: &Cluster) -> bool {
        self.purpose == Purpose::Write
            && self.connection.as_ref().is_some_and(|Established { target, since_ms, .. }| {
                target.cluster_id == cluster.id
                    && target.region == cluster.region
                    && !world.restarted_since(target, *since_ms)
                    && passes(world, &self.location, target, Connection::Established)
            })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    fn connect(&mut self, world: &World) -> Result<(), Failure> {
        let target = self
            .resolver
            .resolve(&world.dns, &self.location, &self.host, world.now_ms)
            .and_then(|host| world.resolve_endpoint(&host))
            .ok_or(Failure::UnknownHost)?;
        if !passes(world, &self.location, &target, Connection::New) {
            return Err(Failure::CannotConnect);
        }
        if self.purpose == Purpose::Write && leads_to_a_reader(world, &target) {
            return Err(Failure::ReadOnly);
        }
        let (network, restarts) = (world.network.version(), world.rds.restarts);
        self.connection = Some(Established { target, network, restarts, since_ms: world.now_ms });
        Ok(())
    }
}

/// Whether the network lets a client through to a cluster.
fn passes(
    world: &World,
    from: &ClientLocation,
    target: &EndpointTarget,
    connection: Connection,
) -> bool {
    let EndpointTarget { region, cluster_id, .. } = target;
    let flow = Flow {
        region,
        subnets: &world.cluster_subnets(region, cluster_id),
        groups: &world.cluster_security_groups(region, cluster_id),
        client: from.ip,
        port: world.cluster_port(region, cluster_id),
    };
    world.network.reachable(&flow, connection)
}

/// Whether an endpoint leads to an instance that takes no writes: a reader endpoint does, unless
/// the writer is the only instance.
fn leads_to_a_reader(world: &World, target: &EndpointTarget) -> bool {
    let EndpointTarget { region, cluster_id, kind } = target;
    let Some(cluster) = world.rds.cluster(region, cluster_id) else { return false };
    let instances = world.rds.regions.get(region).into_iter().flat_map(|here| &here.instances);
    let mut of_cluster = instances.filter(|(_, instance)| instance.cluster_id == *cluster_id);
    *kind == EndpointKind::Reader
        && of_cluster.any(|(id, _)| cluster.writer_instance.as_ref() != Some(id))
}
