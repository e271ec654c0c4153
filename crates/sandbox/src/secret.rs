//! Secrets Manager: secrets with their versions, staging labels and replicas.
//!
//! A version never changes; what changes is which version bears which label. `AWSCURRENT` is what
//! readers get, and the version that loses it becomes `AWSPREVIOUS`. Every state of a secret is
//! kept, so that stale reads and replicas see what was true a while ago.

mod api;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub(crate) use api::handle;

use crate::rows::mix;
use crate::spec::{RegionSpec, SecretSpec, SpecError};
use crate::wire::AwsError;

/// The label of the version that readers get.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version that was current before.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// How long a replica takes to follow, in milliseconds.
const REPLICATION_MS: i64 = 2_000;

/// The secrets of all Regions.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    secrets: BTreeMap<(String, String), Secret>,
    /// How far a fault lets the call in hand look back.
    stale_ms: i64,
    versions_made: u64,
}

/// A secret.
#[derive(Debug, Clone)]
struct Secret {
    name: String,
    arn: String,
    kms_key: Option<String>,
    /// The service that keeps it, if it is not the account's own.
    owning_service: Option<String>,
    /// Where it is written, of a replica.
    replica_of: Option<String>,
    /// Regions that have a replica of it.
    replicas: Vec<String>,
    created_at_ms: i64,
    /// What it was, and since when; empty of a replica, which shows its primary's.
    states: Vec<(i64, State)>,
}

/// What a secret is at a moment.
#[derive(Debug, Clone, Default)]
struct State {
    versions: Vec<Version>,
    /// When it will be gone.
    gone_at_ms: Option<i64>,
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    id: String,
    content: Content,
    labels: BTreeSet<String>,
    created_at_ms: i64,
}

/// What a version holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Text(String),
    /// In base 64, as it is sent.
    Binary(String),
}

impl State {
    fn with_label(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.labels.contains(label))
    }

    fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Gives a label to a version, and takes it from the one that had it. A version that loses
    /// `AWSCURRENT` becomes `AWSPREVIOUS`.
    fn move_label(&mut self, label: &str, to: &str) {
        let from = self.with_label(label).map(|version| version.id.clone());
        if from.as_deref() == Some(to) {
            return;
        }
        for version in &mut self.versions {
            version.labels.remove(label);
        }
        if let Some(version) = self.versions.iter_mut().find(|version| version.id == to) {
            version.labels.insert(label.to_owned());
        }
        if label == CURRENT
            && let Some(from) = from
        {
            self.move_label(PREVIOUS, &from);
        }
    }
}

impl Secret {
    fn state(&self) -> &State {
        &self.states.last().expect("a secret begins with a state").1
    }

    fn state_at(&self, at_ms: i64) -> Option<&(i64, State)> {
        self.states.iter().rev().find(|(since_ms, _)| *since_ms <= at_ms)
    }
}

impl Secrets {
    /// The secrets of a world at its start.
    ///
    /// # Errors
    /// [`SpecError::Invalid`] for a name that stands twice.
    pub fn build(account: &str, regions: &[RegionSpec], now_ms: i64) -> Result<Self, SpecError> {
        let mut secrets = Self::default();
        for region in regions {
            for spec in &region.secrets {
                let SecretSpec { name, value, kms_key, owning_service, replicas } = spec;
                if secrets.find(&region.name, name).is_some() {
                    let message = format!("there are two secrets {name:?} in {}", region.name);
                    return Err(SpecError::Invalid(message));
                }
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                secrets.create(account, &region.name, name, &text, now_ms);
                let key = (region.name.clone(), name.clone());
                let secret = secrets.secrets.get_mut(&key).expect("it was made just now");
                secret.kms_key.clone_from(kms_key);
                secret.owning_service.clone_from(owning_service);
                for replica in replicas {
                    secrets.replicate(account, &region.name, name, replica);
                }
            }
        }
        Ok(secrets)
    }

    /// Makes a secret of one version, unless there is one of this name, and answers its ARN.
    pub fn create(
        &mut self,
        account: &str,
        region: &str,
        name: &str,
        text: &str,
        now_ms: i64,
    ) -> String {
        let key = (region.to_owned(), name.to_owned());
        if !self.secrets.contains_key(&key) {
            let version = Version {
                id: self.version_id(),
                content: Content::Text(text.to_owned()),
                labels: BTreeSet::from([CURRENT.to_owned()]),
                created_at_ms: now_ms,
            };
            let state = State { versions: vec![version], gone_at_ms: None };
            let secret = Secret {
                name: name.to_owned(),
                arn: arn(account, region, name),
                kms_key: None,
                owning_service: None,
                replica_of: None,
                replicas: Vec::new(),
                created_at_ms: now_ms,
                states: vec![(now_ms, state)],
            };
            self.secrets.insert(key.clone(), secret);
        }
        self.secrets[&key].arn.clone()
    }

    /// Gives a Region a replica of a secret, which follows it and cannot be written.
    pub fn replicate(&mut self, account: &str, region: &str, name: &str, to: &str) {
        let Some(primary) = self.secrets.get_mut(&(region.to_owned(), name.to_owned())) else {
            return;
        };
        primary.replicas.push(to.to_owned());
        let replica = Secret {
            arn: arn(account, to, name),
            replica_of: Some(region.to_owned()),
            replicas: Vec::new(),
            states: Vec::new(),
            ..primary.clone()
        };
        self.secrets.insert((to.to_owned(), name.to_owned()), replica);
    }

    /// What readers get of a secret, by name or ARN, as it is now: an operator's look.
    #[must_use]
    pub fn text(&self, region: &str, id: &str) -> Option<&str> {
        self.labelled(region, id, CURRENT)
    }

    /// The text of the version that bears a label now.
    #[must_use]
    pub fn labelled(&self, region: &str, id: &str, label: &str) -> Option<&str> {
        let secret = self.primary(self.find(region, id)?);
        match &secret.state().with_label(label)?.content {
            Content::Text(text) => Some(text),
            Content::Binary(_) => None,
        }
    }

    /// Region and name of every secret that is written here.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.secrets.iter().filter(|(_, secret)| secret.replica_of.is_none());
        own.map(|((region, name), _)| (region.as_str(), name.as_str()))
    }

    /// The ARN of a secret, and the key of its own if it has one.
    #[must_use]
    pub fn identity(&self, region: &str, id: &str) -> Option<(&str, Option<&str>)> {
        self.find(region, id).map(|secret| (secret.arn.as_str(), secret.kms_key.as_deref()))
    }

    /// How many versions a secret has, with a label or without.
    #[must_use]
    pub fn versions(&self, region: &str, id: &str) -> usize {
        self.find(region, id).map_or(0, |secret| self.primary(secret).state().versions.len())
    }

    /// Whether there is a secret that can be read.
    #[must_use]
    pub fn is_readable(&self, arn: &str) -> bool {
        let region = arn.split(':').nth(3).unwrap_or_default();
        let found = self.find(region, arn);
        found.is_some_and(|secret| self.primary(secret).state().gone_at_ms.is_none())
    }

    /// All that a call can change, in a form that is equal exactly when nothing was changed.
    #[must_use]
    pub(crate) fn contents(&self) -> impl std::fmt::Debug {
        let states = self.secrets.values().map(|secret| secret.states.last());
        self.secrets.keys().zip(states).collect::<Vec<_>>()
    }

    /// Lets the reads that follow see no more than what was true so long ago.
    pub(crate) fn look_back(&mut self, stale_ms: i64) {
        self.stale_ms = stale_ms;
    }

    /// A secret by its name, its ARN, or its ARN without the characters at its end.
    fn find(&self, region: &str, id: &str) -> Option<&Secret> {
        let key = self.key(region, id)?;
        self.secrets.get(&key)
    }

    fn key(&self, region: &str, id: &str) -> Option<(String, String)> {
        let is_it = |secret: &Secret| {
            let partial = secret.arn.len() - SUFFIX_LEN;
            id == secret.name || id == secret.arn || id == &secret.arn[..partial]
        };
        let found = self.secrets.iter().find(|((here, _), secret)| here == region && is_it(secret));
        found.map(|(key, _)| key.clone())
    }

    /// Where a secret is written: itself, unless it is a replica.
    fn primary<'a>(&'a self, secret: &'a Secret) -> &'a Secret {
        let primary = secret.replica_of.as_ref();
        let primary = primary.and_then(|at| self.secrets.get(&(at.clone(), secret.name.clone())));
        primary.unwrap_or(secret)
    }

    fn version_id(&mut self) -> String {
        self.versions_made += 1;
        format!("5ec0e700-0000-4000-8000-{:012x}", self.versions_made)
    }
}

/// The hyphen and the six characters that Secrets Manager appends to a name.
const SUFFIX_LEN: usize = 7;

/// The ARN that a secret of this name has or would have.
#[must_use]
pub fn arn(account: &str, region: &str, name: &str) -> String {
    let mixed = name.bytes().fold(0, |sum, byte| mix(sum, i64::from(byte)));
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let suffix = (0..6).map(|at| {
        let index = usize::try_from((mixed >> (8 * at)) & 0xff).unwrap_or_default();
        char::from(letters[index % letters.len()])
    });
    let suffix: String = suffix.collect();
    format!("arn:aws:secretsmanager:{region}:{account}:secret:{name}-{suffix}")
}

/// A moment as awsJson writes it.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century")]
fn moment(at_ms: i64) -> Value {
    json!(at_ms as f64 / 1_000.0)
}

fn not_found(what: &str) -> AwsError {
    let message = format!("Secrets Manager can't find the specified {what}.");
    AwsError::bad_request("ResourceNotFoundException", message)
}

fn invalid_request(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidRequestException", message)
}

fn invalid_parameter(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidParameterException", message)
}
