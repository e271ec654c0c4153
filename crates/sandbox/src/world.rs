//! Everything there is, and the clock that moves it.

mod calls;
mod elsewhere;
mod unstick;

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::behaviour::Behaviour;
use crate::dns::Dns;
use crate::fault::Faults;
use crate::measure::SplitMoment;
use crate::network::{Connection, Flow, Network};
use crate::rds;
use crate::rds::Rds;
use crate::rds::event::RdsEvent;
use crate::rows::{LagSample, Row, RowId, Rows};
use crate::secret::Secrets;
use crate::spec::{SpecError, WorldSpec};
use crate::superset::{self, Supersets};
use crate::table::Tables;
use crate::topic::Topics;
use crate::workload::{self, Workload};

/// Farther than any run gets: when a stuck step would end.
const NEVER_MS: i64 = 1 << 52;

pub(crate) use calls::service_name;
pub use calls::{Call, Outcome};

/// Something that happens by itself, later.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A status of RDS moves on.
    Rds(RdsEvent),
    /// A client's turn; the token is the workload's own.
    Workload(u64),
    /// A change of a data source that nobody waits for any more.
    Superset(superset::Late),
}

/// The cluster behind an endpoint's host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointTarget {
    /// Its Region.
    pub region: String,
    /// Its identifier.
    pub cluster_id: String,
    /// Which of its endpoints.
    pub kind: EndpointKind,
}

/// Which endpoint of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointKind {
    /// Leads to the writer instance.
    Writer,
    /// Leads to the readers, or to the writer when there are none.
    Reader,
}

/// Why a row was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteRefused {
    /// There is no such cluster.
    #[error("no such cluster")]
    NoSuchCluster,
    /// It does not serve: no instance does, or its status says so.
    #[error("the cluster does not serve")]
    NotServing,
    /// It serves reads only: a reader of a global cluster.
    #[error("the cluster is read-only")]
    ReadOnly,
}

/// A cluster that clients can write to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterName {
    /// Its Region.
    pub region: String,
    /// Its identifier.
    pub cluster_id: String,
}

/// How the steps begun by the call in hand go on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pace {
    Normal,
    Stuck,
    Slow(f64),
    /// In this status, for so many milliseconds or for ever.
    Fail(String, Option<i64>),
}

/// Two or more Regions.
#[derive(Debug)]
pub struct World {
    /// Epoch milliseconds.
    pub now_ms: i64,
    /// When it began.
    pub started_ms: i64,
    /// Twelve digits.
    pub account: String,
    /// What all chance comes from.
    pub seed: u64,
    /// Switches for what AWS's documentation leaves open.
    pub behaviour: Behaviour,
    /// Clusters, instances, global clusters and what belongs to them.
    pub rds: Rds,
    /// The data in the clusters.
    pub rows: Rows,
    /// VPCs, subnets, ACLs and security groups.
    pub network: Network,
    /// Hosted zones.
    pub dns: Dns,
    /// DynamoDB's tables.
    pub tables: Tables,
    /// SNS's topics.
    pub topics: Topics,
    /// Secrets Manager's secrets.
    pub secrets: Secrets,
    /// Instances of Apache Superset.
    pub supersets: Supersets,
    /// Clients.
    pub workload: Workload,
    /// Every call so far.
    pub calls: Vec<Call>,
    /// What will go wrong.
    pub faults: Faults,
    /// When clients could write to more than one cluster.
    pub split: Vec<SplitMoment>,
    pub(crate) pace: Pace,
    /// What RDS has told of itself.
    pub(crate) log: rds::log::Log,
    pub(crate) views: rds::views::Views,
    /// The Region of the last call that changed a global cluster.
    pub(crate) views_region: String,
    /// A stale read is being answered.
    pub(crate) rereading: bool,
    rng: SmallRng,
    queue: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    requests: u64,
    history: VecDeque<(i64, Rds)>,
}

impl World {
    /// Builds what the spec describes.
    ///
    /// # Errors
    /// [`SpecError`] when something refers to what is not there.
    pub fn new(spec: &WorldSpec, seed: u64, now_ms: i64) -> Result<Self, SpecError> {
        let behaviour = Behaviour::default();
        let (rds, rows) = rds::build::build(spec, seed, now_ms)?;
        let spec = &rds::build::name_endpoints(&rds, spec)?;
        let mut world = Self {
            now_ms,
            started_ms: now_ms,
            account: spec.account.clone(),
            seed,
            network: Network::build(&spec.regions)?,
            dns: Dns::build(&spec.hosted_zones)?,
            tables: Tables::default(),
            topics: Topics::default(),
            secrets: Secrets::build(&spec.account, &spec.regions, now_ms)?,
            supersets: Supersets::build(&spec.supersets)?,
            workload: Workload::build(&spec.clients, seed)?,
            behaviour,
            rds,
            rows,
            calls: Vec::new(),
            faults: Faults::default(),
            split: Vec::new(),
            pace: Pace::Normal,
            log: rds::log::Log::default(),
            views: rds::views::Views::default(),
            views_region: String::new(),
            rereading: false,
            rng: SmallRng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            sequence: 0,
            requests: 0,
            history: VecDeque::new(),
        };
        rds::build::check(&world, spec)?;
        rds::build::start(&mut world);
        workload::start(&mut world);
        world.note_globals(None);
        world.observe();
        Ok(world)
    }

    /// Applies, in order, all that is due until a moment. The clock never goes back.
    pub fn advance_to(&mut self, now_ms: i64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now_ms {
                break;
            }
            let ((due_ms, _), event) = entry.remove_entry();
            self.now_ms = self.now_ms.max(due_ms);
            match event {
                Event::Workload(token) => workload::tick(self, token),
                Event::Superset(late) => superset::apply_late(self, &late),
                Event::Rds(event) => {
                    self.remember();
                    rds::event::apply(self, event);
                    self.note_globals(None);
                    self.observe();
                }
            }
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// When the next event is due, in epoch milliseconds.
    #[must_use]
    pub fn next_event_ms(&self) -> Option<i64> {
        self.queue.keys().next().map(|(due_ms, _)| *due_ms)
    }

    /// Lets something happen at a moment.
    pub fn schedule_at(&mut self, at_ms: i64, event: Event) {
        self.sequence += 1;
        self.queue.insert((at_ms, self.sequence), event);
    }

    /// Draws a duration around `seconds`, in milliseconds. A fault of the call in hand stretches it.
    pub fn draw_ms(&mut self, seconds: f64) -> i64 {
        let jitter = self.behaviour.timings.jitter;
        let factor = 1.0 + jitter * self.rng.random_range(-1.0..=1.0);
        let factor = match self.pace {
            Pace::Stuck => return NEVER_MS,
            Pace::Slow(slower) => factor * slower,
            Pace::Normal | Pace::Fail(..) => factor,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a duration of minutes")]
        let ms = (seconds * 1_000.0 * factor) as i64;
        ms.max(0)
    }

    /// The source of chance.
    pub fn rng(&mut self) -> &mut SmallRng {
        &mut self.rng
    }

    /// Notes whether clients can write to more than one cluster at this moment. Called after
    /// everything that may change it, so that no such moment goes unnoticed.
    pub fn observe(&mut self) {
        let clusters = self.writable_clusters();
        let now_ms = self.now_ms;
        if let Some(open) = self.split.last_mut().filter(|moment| moment.to_ms.is_none()) {
            if open.clusters == clusters {
                return;
            }
            open.to_ms = Some(now_ms);
        }
        if clusters.len() > 1 {
            self.split.push(SplitMoment { from_ms: now_ms, to_ms: None, clusters });
        }
    }

    /// The clusters that would acknowledge a write of some client at this moment: they serve, stand
    /// alone or are the writer of their global cluster, and the network lets a client through, over
    /// a new connection or over one that it has.
    #[must_use]
    pub fn writable_clusters(&self) -> Vec<ClusterName> {
        self.rds
            .clusters()
            .filter(|cluster| self.rds.accepts_writes(cluster) && self.any_client_reaches(cluster))
            .map(|c| ClusterName { region: c.region.clone(), cluster_id: c.id.clone() })
            .collect()
    }

    /// True when a new connection would get through, and when an established one still does:
    /// a closed security group holds up the former only.
    fn any_client_reaches(&self, cluster: &rds::Cluster) -> bool {
        let locations = self.workload.locations();
        let subnets = self.cluster_subnets(&cluster.region, &cluster.id);
        let groups = cluster.asked_groups(self.now_ms);
        let port = u16::try_from(cluster.settings.port).unwrap_or_default();
        locations.is_empty()
            || locations.iter().any(|client| {
                let flow = Flow {
                    region: &cluster.region,
                    subnets: &subnets,
                    groups: &groups,
                    client: client.ip,
                    port,
                };
                self.network.reachable(&flow, Connection::New)
            })
            || self.workload.writes_over_an_established_connection(self, cluster)
    }

    /// The cluster behind a host name that RDS gave out. The global writer endpoint leads to the
    /// cluster that is the writer now.
    #[must_use]
    pub fn resolve_endpoint(&self, host: &str) -> Option<EndpointTarget> {
        self.rds.resolve_endpoint(host.trim_end_matches('.'))
    }

    /// Acknowledges a row, unless the cluster cannot. The caller has checked the network.
    ///
    /// # Errors
    /// [`WriteRefused`].
    pub fn write_row(
        &mut self,
        region: &str,
        cluster_id: &str,
        client: &str,
        at_ms: i64,
    ) -> Result<RowId, WriteRefused> {
        let cluster = self.rds.cluster(region, cluster_id).ok_or(WriteRefused::NoSuchCluster)?;
        if !self.rds.accepts_writes(cluster) {
            let serves = self.rds.serves(cluster);
            return Err(if serves { WriteRefused::ReadOnly } else { WriteRefused::NotServing });
        }
        let row = Row { at_ms, client: client.to_owned(), cluster: cluster.arn.clone() };
        let volume = cluster.resource_id.clone();
        Ok(self.rows.append(&volume, row))
    }

    /// Reads from a cluster: how many rows it holds at this moment. A statement over an established
    /// connection may still be answered by a reader that is being deleted.
    ///
    /// # Errors
    /// [`WriteRefused::NoSuchCluster`] and [`WriteRefused::NotServing`].
    pub fn read_rows(
        &mut self,
        region: &str,
        cluster_id: &str,
        connection: Connection,
    ) -> Result<u64, WriteRefused> {
        let cluster = self.rds.cluster(region, cluster_id).ok_or(WriteRefused::NoSuchCluster)?;
        let goes_on =
            connection == Connection::Established && self.rds.grants_grace(cluster, self.now_ms);
        if !self.rds.serves(cluster) && !goes_on {
            return Err(WriteRefused::NotServing);
        }
        let volume = cluster.resource_id.clone();
        self.rows.catch_up(&volume, self.now_ms);
        Ok(self.rows.position(&volume))
    }

    /// The subnets of a cluster's subnet group; none when there is no such cluster.
    #[must_use]
    pub fn cluster_subnets(&self, region: &str, cluster_id: &str) -> Vec<String> {
        self.rds
            .cluster(region, cluster_id)
            .and_then(|cluster| {
                self.rds.regions.get(region)?.subnet_groups.get(&cluster.settings.subnet_group)
            })
            .map(|group| group.subnets.clone())
            .unwrap_or_default()
    }

    /// Whether a session with a cluster that began then has ended since, because the instance was
    /// started anew: the writer for writes, any for reads.
    pub(crate) fn restarted_since(&self, target: &EndpointTarget, since_ms: i64) -> bool {
        let EndpointTarget { region, cluster_id, kind } = target;
        let Some(cluster) = self.rds.cluster(region, cluster_id) else { return false };
        let served = |instance: &&rds::Instance| {
            *kind == EndpointKind::Reader || cluster.writer_instance.as_ref() == Some(&instance.id)
        };
        self.rds.instances_of(cluster).filter(served).any(|i| i.booted_ms > since_ms)
    }

    /// The security groups of a cluster at this moment; none when there is no such cluster.
    #[must_use]
    pub fn cluster_security_groups(&self, region: &str, cluster_id: &str) -> Vec<String> {
        self.rds
            .cluster(region, cluster_id)
            .map(|cluster| cluster.asked_groups(self.now_ms))
            .unwrap_or_default()
    }

    /// The port of a cluster; zero when there is no such cluster.
    #[must_use]
    pub fn cluster_port(&self, region: &str, cluster_id: &str) -> u16 {
        self.rds
            .cluster(region, cluster_id)
            .and_then(|cluster| u16::try_from(cluster.settings.port).ok())
            .unwrap_or_default()
    }

    /// How far behind a reader was at every full minute of `from_ms..to_ms` at which it replicated.
    #[must_use]
    pub fn replication_lag(
        &self,
        region: &str,
        cluster_id: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Vec<LagSample> {
        self.rows.lag_history(region, cluster_id, from_ms, to_ms.min(self.now_ms))
    }

    /// Changes how far a reader falls behind, from now on. A lag grows no faster than the clock.
    pub fn set_replication_lag(&mut self, region: &str, cluster_id: &str, lag_ms: i64) {
        if let Some(cluster) = self.rds.cluster(region, cluster_id) {
            let volume = cluster.resource_id.clone();
            self.rows.set_lag(&volume, lag_ms, self.now_ms);
        }
    }

    /// What a mutation may change, in a form that is equal exactly when nothing was changed. Rows
    /// are left out: clients write them all the time.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let tables = self.tables.contents();
        let messages = self.topics.messages();
        let secrets = self.secrets.contents();
        let supersets = self.supersets.contents();
        let Self { rds, network, dns, .. } = self;
        format!(
            "{rds:#?}\n{network:#?}\n{dns:#?}\n{tables:#?}\n{messages:#?}\n{secrets:#?}\n{supersets:#?}"
        )
    }
}
