//! Simulated clients: they write and read through DNS names, caches, network ACLs and security
//! groups, and notice what a failback does to them.
//!
//! A client resolves its name, connects, and keeps the connection for as long as it works. Then,
//! and only then, it resolves again: that is how a client ends up on a cluster nobody meant it to
//! use, and why fencing has to cut connections and not only refuse them. A turn that fails fails
//! at once, the way a reset connection does; time-outs are not modelled.

mod session;
mod tally;

use serde::{Deserialize, Serialize};

pub use tally::{ClientReport, Served};

use crate::rds::Cluster;
use crate::spec::{ClientLocation, ClientSpec, SpecError};
use crate::world::{Event, World, WriteRefused};
use session::Session;

/// How long a client waits after a failure before it resolves and connects again.
const RECONNECT_MS: i64 = 1_000;

/// What a client does with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// It writes a row each turn.
    Write,
    /// It asks each turn how many rows there are.
    Read,
}

/// Why a turn failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The name does not resolve, or to nothing that is a database.
    UnknownHost,
    /// The network lets no new connection through.
    CannotConnect,
    /// The network has cut the connection.
    ConnectionLost,
    /// The cluster is gone or does not serve.
    NotServing,
    /// The cluster serves reads only.
    ReadOnly,
}

impl From<WriteRefused> for Failure {
    fn from(refused: WriteRefused) -> Self {
        match refused {
            WriteRefused::NoSuchCluster | WriteRefused::NotServing => Self::NotServing,
            WriteRefused::ReadOnly => Self::ReadOnly,
        }
    }
}

/// All clients.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// One for each name a client uses; empty while it has its turn.
    sessions: Vec<Option<Session>>,
    locations: Vec<ClientLocation>,
}

impl Workload {
    /// The clients of a world at its start. The seed spreads their turns over their intervals.
    ///
    /// # Errors
    /// [`SpecError::Invalid`] for an interval that is not positive, or a name used twice.
    pub fn build(clients: &[ClientSpec], seed: u64) -> Result<Self, SpecError> {
        let mut workload = Self::default();
        for (index, client) in clients.iter().enumerate() {
            if clients[..index].iter().any(|other| other.name == client.name) {
                let message = format!("there are two clients {:?}", client.name);
                return Err(SpecError::Invalid(message));
            }
            let uses = [
                (Purpose::Write, &client.writes_to, client.write_every_ms),
                (Purpose::Read, &client.reads_from, client.read_every_ms),
            ];
            for (purpose, host, every_ms) in uses {
                let Some(host) = host else { continue };
                if every_ms <= 0 {
                    let message = format!("{} must wait between its turns", client.name);
                    return Err(SpecError::Invalid(message));
                }
                let number = workload.sessions.len() as u64;
                let spread = seed.wrapping_add(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
                let phase_ms = i64::try_from(spread).unwrap_or_default() % every_ms;
                let session = Session::new(client, purpose, host, every_ms, phase_ms);
                workload.sessions.push(Some(session));
            }
            if !workload.locations.contains(&client.location) {
                workload.locations.push(client.location.clone());
            }
        }
        Ok(workload)
    }

    /// The places from which clients connect, each once.
    #[must_use]
    pub fn locations(&self) -> &[ClientLocation] {
        &self.locations
    }

    /// Whether some client would go on writing to a cluster over a connection that it has.
    pub(crate) fn writes_over_an_established_connection(
        &self,
        world: &World,
        cluster: &Cluster,
    ) -> bool {
        let mut sessions = self.sessions.iter().flatten();
        sessions.any(|session| session.holds_a_writing_connection(world, cluster))
    }

    /// What each client saw until now.
    #[must_use]
    pub fn reports(&self, now_ms: i64) -> Vec<ClientReport> {
        self.sessions.iter().flatten().map(|session| session.report(now_ms)).collect()
    }
}

/// Gives every client its first turn.
pub(crate) fn start(world: &mut World) {
    let started_ms = world.started_ms;
    let firsts: Vec<i64> = world
        .workload
        .sessions
        .iter_mut()
        .map(|session| session.as_mut().map_or(0, |session| session.start(started_ms)))
        .collect();
    for (token, first_ms) in (0..).zip(firsts) {
        world.schedule_at(first_ms, Event::Workload(token));
    }
}

/// A client's turn.
pub(crate) fn tick(world: &mut World, token: u64) {
    let Ok(index) = usize::try_from(token) else { return };
    // Taken out, so that its turn can change the world it is a part of.
    let Some(mut session) = world.workload.sessions.get_mut(index).and_then(Option::take) else {
        return;
    };
    let connected = session.is_connected();
    let next_ms = session.turn(world);
    let lost = connected && !session.is_connected();
    world.workload.sessions[index] = Some(session);
    if lost {
        // It may have been the last one that could write to its cluster.
        world.observe();
    }
    world.schedule_at(next_ms, Event::Workload(token));
}
