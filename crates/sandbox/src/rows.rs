//! The data: rows that clients write, the volumes that hold them, and how they get from one
//! Region to another.

use std::collections::BTreeMap;

/// A row, numbered in the order of acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u64);

/// An acknowledged row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When the client was told, in epoch milliseconds.
    pub at_ms: i64,
    /// Which client wrote it; empty for rows that exist at the start.
    pub client: String,
    /// ARN of the cluster that acknowledged it; empty for rows that exist at the start.
    pub cluster: String,
}

/// How far behind a reader in another Region was at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct LagSample {
    /// Epoch milliseconds, a full minute.
    pub at_ms: i64,
    /// Milliseconds behind.
    pub lag_ms: f64,
    /// The Region it replicates from.
    pub source_region: String,
}

/// Replication into one cluster, while it lasts and afterwards for the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Region and identifier of the cluster that receives.
    pub target: (String, String),
    /// Volume that receives.
    pub volume: String,
    /// Region of the cluster that sends.
    pub source_region: String,
    /// Volume that sends.
    pub source: String,
    /// First moment it carries rows.
    pub from_ms: i64,
    /// Moment it was cut.
    pub to_ms: Option<i64>,
    /// The lag aimed at, and since when.
    lags: Vec<(i64, i64)>,
    /// How many rows of the source have been looked at.
    next: usize,
}

impl Stream {
    /// The lag at a moment. It cannot grow faster than the clock, and it varies by a quarter.
    fn lag_ms(&self, at_ms: i64, seed: u64) -> i64 {
        let mut lag = 0_i64;
        for (index, (since, aimed)) in self.lags.iter().enumerate() {
            let until = self.lags.get(index + 1).map_or(at_ms, |next| next.0.min(at_ms));
            lag = lag.saturating_add((until - since).max(0)).min(*aimed);
        }
        let percent = 75 + i64::try_from(mix(seed, at_ms / 1_000) % 51).unwrap_or(25);
        lag.saturating_mul(percent) / 100
    }
}

/// A cheap hash, so that jitter depends on nothing but the seed and the moment.
pub(crate) fn mix(seed: u64, value: i64) -> u64 {
    let mut x = seed ^ value.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// All rows, all volumes and all streams between them. A volume is named by its cluster's resource
/// id, so that it outlives a name being used again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    seed: u64,
    acknowledged: Vec<Row>,
    volumes: BTreeMap<String, Vec<RowId>>,
    streams: Vec<Stream>,
    /// What snapshots hold, by ARN.
    kept: BTreeMap<String, Vec<RowId>>,
    /// Rows before this one exist at the start.
    initial: u64,
    /// Rows from `shared` to `initial` exist in one cluster only: it had acknowledged them when
    /// the disaster came, and nobody got them any more.
    shared: u64,
}

impl Rows {
    /// No volumes yet; `shared` rows existed before the clock started.
    #[must_use]
    pub fn new(seed: u64, shared: u64, at_ms: i64) -> Self {
        let row = Row { at_ms, client: String::new(), cluster: String::new() };
        let acknowledged = (0..shared).map(|_| row.clone()).collect();
        Self { seed, acknowledged, initial: shared, shared, ..Self::default() }
    }

    /// Makes a volume that holds the first `rows` rows.
    pub fn create_volume(&mut self, volume: &str, rows: u64) {
        self.volumes.insert(volume.to_owned(), (0..rows).map(RowId).collect());
    }

    /// Gives a volume rows of its own, which no other cluster ever got. To be called before the
    /// clock starts.
    pub fn add_own(&mut self, volume: &str, rows: u64, at_ms: i64) {
        for _ in 0..rows {
            self.append(volume, Row { at_ms, client: String::new(), cluster: String::new() });
        }
        self.initial = self.acknowledged.len() as u64;
    }

    /// Has a snapshot hold what a volume holds.
    pub fn keep(&mut self, snapshot: &str, volume: &str) {
        self.kept.insert(snapshot.to_owned(), self.held(volume).to_vec());
    }

    /// Has a snapshot hold the first `rows` rows.
    pub fn keep_first(&mut self, snapshot: &str, rows: u64) {
        self.kept.insert(snapshot.to_owned(), (0..rows).map(RowId).collect());
    }

    /// True while something is replicated into a volume.
    #[must_use]
    pub fn follows(&self, volume: &str) -> bool {
        self.streams.iter().any(|s| s.volume == volume && s.to_ms.is_none())
    }

    /// Gives a volume what a snapshot holds.
    pub fn restore(&mut self, snapshot: &str, volume: &str) {
        let held = self.kept.get(snapshot).cloned().unwrap_or_default();
        self.volumes.insert(volume.to_owned(), held);
    }

    /// Has what is replicated into a volume from now on count for a cluster of another name.
    pub fn rename(&mut self, volume: &str, cluster_id: &str) {
        for stream in self.live(volume) {
            cluster_id.clone_into(&mut stream.target.1);
        }
    }

    /// Forgets a volume.
    pub fn drop_volume(&mut self, volume: &str) {
        self.volumes.remove(volume);
    }

    /// Acknowledges a row.
    pub fn append(&mut self, volume: &str, row: Row) -> RowId {
        let id = RowId(self.acknowledged.len() as u64);
        self.acknowledged.push(row);
        self.volumes.entry(volume.to_owned()).or_default().push(id);
        id
    }

    /// The rows acknowledged since the start, in order.
    pub fn written(&self) -> impl DoubleEndedIterator<Item = &Row> + ExactSizeIterator {
        self.acknowledged.iter().skip(usize::try_from(self.initial).unwrap_or(usize::MAX))
    }

    /// A row.
    #[must_use]
    pub fn row(&self, id: RowId) -> Option<&Row> {
        self.acknowledged.get(usize::try_from(id.0).ok()?)
    }

    /// How many rows a volume holds.
    #[must_use]
    pub fn position(&self, volume: &str) -> u64 {
        self.volumes.get(volume).map_or(0, |log| log.len() as u64)
    }

    /// The rows a volume holds, in the order it got them.
    #[must_use]
    pub fn held(&self, volume: &str) -> &[RowId] {
        self.volumes.get(volume).map_or(&[], Vec::as_slice)
    }

    /// Copies the first `part` (0 to 1) of a volume into another one, which is replaced.
    pub fn copy_part(&mut self, from: &str, to: &str, part: f64) {
        let source = self.held(from);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a row count")]
        let rows = (source.len() as f64 * part.clamp(0.0, 1.0)) as usize;
        let copied = source[..rows.min(source.len())].to_vec();
        self.volumes.insert(to.to_owned(), copied);
    }

    /// Starts replication into a volume, which is replaced by what the source holds.
    pub fn connect(&mut self, stream: NewStream<'_>, now_ms: i64) {
        self.cut(stream.volume, now_ms);
        self.catch_up(stream.source, now_ms);
        self.copy_part(stream.source, stream.volume, 1.0);
        let next = self.held(stream.source).len();
        self.streams.push(Stream {
            target: (stream.region.to_owned(), stream.cluster_id.to_owned()),
            volume: stream.volume.to_owned(),
            source_region: stream.source_region.to_owned(),
            source: stream.source.to_owned(),
            from_ms: now_ms,
            to_ms: None,
            lags: vec![(now_ms, stream.lag_ms)],
            next,
        });
    }

    /// Ends replication into a volume where it stands: what is in flight does not arrive.
    pub fn cut(&mut self, volume: &str, now_ms: i64) {
        self.catch_up(volume, now_ms);
        for stream in self.live(volume) {
            stream.to_ms = Some(now_ms);
        }
    }

    /// Changes the lag aimed at, from now on.
    pub fn set_lag(&mut self, volume: &str, lag_ms: i64, now_ms: i64) {
        self.catch_up(volume, now_ms);
        for stream in self.live(volume) {
            stream.lags.push((now_ms, lag_ms));
        }
    }

    fn live(&mut self, volume: &str) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut().filter(move |s| s.volume == volume && s.to_ms.is_none())
    }

    /// Applies what has arrived in a volume by now.
    pub fn catch_up(&mut self, volume: &str, now_ms: i64) {
        let seed = self.seed;
        let Some(stream) =
            self.streams.iter_mut().find(|s| s.volume == volume && s.to_ms.is_none())
        else {
            return;
        };
        let horizon = now_ms - stream.lag_ms(now_ms, seed);
        let source = self.volumes.get(&stream.source).map_or(&[][..], Vec::as_slice);
        let acknowledged = &self.acknowledged;
        let arrived: Vec<RowId> = source[stream.next.min(source.len())..]
            .iter()
            .take_while(|id| {
                usize::try_from(id.0)
                    .ok()
                    .and_then(|at| acknowledged.get(at))
                    .is_some_and(|row| row.at_ms <= horizon)
            })
            .copied()
            .collect();
        stream.next += arrived.len();
        self.volumes.entry(volume.to_owned()).or_default().extend(arrived);
    }

    /// How far a volume is behind its source, in milliseconds; none when nothing is replicated.
    #[must_use]
    pub fn lag_now(&self, volume: &str, now_ms: i64) -> Option<i64> {
        let stream = self.streams.iter().find(|s| s.volume == volume && s.to_ms.is_none())?;
        Some(stream.lag_ms(now_ms, self.seed))
    }

    /// How many rows the source holds that have not arrived; none when nothing is replicated.
    #[must_use]
    pub fn in_flight(&self, volume: &str) -> u64 {
        self.streams
            .iter()
            .find(|s| s.volume == volume && s.to_ms.is_none())
            .map_or(0, |s| (self.held(&s.source).len() as u64).saturating_sub(s.next as u64))
    }

    /// The lag of a cluster at every full minute of `from_ms..to_ms` at which it replicated.
    #[must_use]
    pub fn lag_history(
        &self,
        region: &str,
        cluster_id: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Vec<LagSample> {
        let minute = 60_000;
        let first = (from_ms + minute - 1).div_euclid(minute);
        let last = (to_ms - 1).div_euclid(minute);
        let streams =
            || self.streams.iter().filter(|s| s.target.0 == region && s.target.1 == cluster_id);
        (first..=last)
            .filter_map(|minutes| {
                let at_ms = minutes * minute;
                let stream = streams()
                    .find(|s| s.from_ms <= at_ms && s.to_ms.is_none_or(|to| at_ms < to))?;
                let lag_ms = stream.lag_ms(at_ms, self.seed) as f64;
                Some(LagSample { at_ms, lag_ms, source_region: stream.source_region.clone() })
            })
            .collect()
    }

    /// Pairs of (Region, cluster) and source Region that ever replicated, for metric listings.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter()
    }

    /// How many of the rows that a failback has to keep a volume does not hold: all that were ever
    /// acknowledged, but for those that one cluster alone had from the start.
    #[must_use]
    pub fn lost_to(&self, volume: Option<&str>) -> u64 {
        let held = self.marked(volume.map(|volume| self.held(volume)));
        let own = |id: usize| (self.shared..self.initial).contains(&(id as u64));
        held.iter().enumerate().filter(|(id, held)| !**held && !own(*id)).count() as u64
    }

    /// How many rows no volume holds any more: those that one of these snapshots does, and those
    /// that are nowhere.
    #[must_use]
    pub fn beside_the_volumes(&self, snapshots: &[&str]) -> (u64, u64) {
        let live = self.marked(self.volumes.values().map(Vec::as_slice));
        let kept = snapshots.iter().filter_map(|arn| self.kept.get(*arn)).map(Vec::as_slice);
        let kept = self.marked(kept);
        let gone = || live.iter().zip(&kept).filter(|(live, _)| !**live);
        let saved = gone().filter(|(_, kept)| **kept).count() as u64;
        (saved, gone().count() as u64 - saved)
    }

    /// For every row, whether one of the lists holds it.
    fn marked<'a>(&self, lists: impl IntoIterator<Item = &'a [RowId]>) -> Vec<bool> {
        let mut marks = vec![false; self.acknowledged.len()];
        for id in lists.into_iter().flatten() {
            if let Some(mark) = usize::try_from(id.0).ok().and_then(|id| marks.get_mut(id)) {
                *mark = true;
            }
        }
        marks
    }
}

/// What [`Rows::connect`] needs to know.
#[derive(Debug, Clone, Copy)]
pub struct NewStream<'a> {
    /// Region of the cluster that receives.
    pub region: &'a str,
    /// Identifier of the cluster that receives.
    pub cluster_id: &'a str,
    /// Volume that receives.
    pub volume: &'a str,
    /// Region of the cluster that sends.
    pub source_region: &'a str,
    /// Volume that sends.
    pub source: &'a str,
    /// The lag aimed at, in milliseconds.
    pub lag_ms: i64,
}
