//! KMS keys and IAM roles: what a cluster is encrypted with, and what it may do.

use super::event::RdsEvent;
use super::params::{invalid_combination, invalid_value, unestablished};
use super::{Cluster, Rds};
use crate::wire::{AwsError, Params};
use crate::world::{Event, World};

/// For how long a cluster outside of a global cluster waits for its key to come back.
const PATIENCE_MS: i64 = 7 * 24 * 3_600_000;
const LOST: &str = "inaccessible-encryption-credentials";
const LOST_FOR_NOW: &str = "inaccessible-encryption-credentials-recoverable";

/// How a new cluster is encrypted.
pub(super) struct Encryption {
    /// With this key.
    pub(super) key: Option<String>,
    /// With one of AWS's own, because nobody asked for one.
    pub(super) by_default: bool,
}

/// How a new cluster is encrypted that has a source, if it joins, and a key of its own.
///
/// # Errors
/// `KMSKeyNotAccessibleFault`, and refusals of an encrypted join without a key or a pre-signed URL.
pub(super) fn encryption(
    world: &World,
    region: &str,
    params: &Params,
    source: Option<&Cluster>,
) -> Result<Encryption, AwsError> {
    let encrypted = params.bool("StorageEncrypted")?.unwrap_or(false)
        || params.has("KmsKeyId")
        || source.is_some_and(|source| source.kms_key.is_some());
    if !encrypted {
        return Ok(Encryption { key: None, by_default: world.behaviour.encrypts_by_default });
    }
    if let Some(source) = source {
        check_presigned_url(world, region, params, source)?;
    }
    let keys = world.rds.regions.get(region).map_or(&[][..], |here| here.kms_keys.as_slice());
    let key = match (params.get("KmsKeyId"), source) {
        (Some(key), _) => usable(keys, key)?.to_owned(),
        (None, Some(source)) if world.behaviour.encrypted_join_needs_a_key => {
            let code = &world.behaviour.codes.key_missing;
            return Err(unestablished(code, wants_url(source)));
        }
        (None, _) => keys.first().cloned().ok_or_else(|| inaccessible("aws/rds"))?,
    };
    Ok(Encryption { key: Some(key), by_default: false })
}

fn wants_url(source: &Cluster) -> String {
    format!("Source cluster {} is encrypted; pre-signed URL has to be specified", source.arn)
}

/// A pre-signed URL is a call to the source's Region that names the Region of the new cluster.
fn check_presigned_url(
    world: &World,
    region: &str,
    params: &Params,
    source: &Cluster,
) -> Result<(), AwsError> {
    let Some(url) = params.get("PreSignedUrl") else {
        let needed = world.behaviour.encrypted_join_needs_a_presigned_url;
        return if needed { Err(invalid_combination(wants_url(source))) } else { Ok(()) };
    };
    let host = format!("https://rds.{}.amazonaws.com", source.region);
    let (endpoint, query) =
        url.split_once("/?").or_else(|| url.split_once('?')).unwrap_or((url, ""));
    let query = Params::parse(query.as_bytes());
    if endpoint != host || query.get("DestinationRegion") != Some(region) {
        return Err(invalid_value("PreSignedUrl could not be authenticated"));
    }
    Ok(())
}

/// The ARN of a key that is named by its ARN or by its id.
///
/// # Errors
/// `KMSKeyNotAccessibleFault`.
pub(super) fn usable<'a>(keys: &'a [String], key: &str) -> Result<&'a str, AwsError> {
    let known = |known: &&String| *known == key || known.ends_with(&format!("/{key}"));
    keys.iter().find(known).map(String::as_str).ok_or_else(|| inaccessible(key))
}

fn inaccessible(key: &str) -> AwsError {
    let message = format!(
        "The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it."
    );
    AwsError::bad_request("KMSKeyNotAccessibleFault", message)
}

impl Rds {
    /// Whether the cluster has no key of its own, or one that can be used.
    pub(crate) fn key_is_usable(&self, cluster: &Cluster) -> bool {
        let keys = self.regions.get(&cluster.region).map_or(&[][..], |here| &here.kms_keys);
        cluster.kms_key.as_ref().is_none_or(|key| keys.contains(key))
    }
}

/// Refuses a role that has been made so recently that it cannot be used yet.
///
/// # Errors
/// `InvalidParameterValue`.
pub(super) fn check_roles<'a>(
    world: &World,
    arns: impl IntoIterator<Item = &'a str>,
) -> Result<(), AwsError> {
    let usable_ms = |arn: &str| world.rds.new_roles_ms.get(arn).copied().unwrap_or_default();
    match arns.into_iter().find(|arn| usable_ms(arn) > world.now_ms) {
        Some(arn) => Err(invalid_value(format!(
            "IAM role ARN value is invalid or does not include the required permissions for: {arn}"
        ))),
        None => Ok(()),
    }
}

impl World {
    /// Makes an IAM role, which RDS does not know for a while.
    pub fn make_role(&mut self, arn: &str) {
        let seconds = self.behaviour.timings.role_propagation_s;
        let usable_ms = self.now_ms.saturating_add(self.draw_ms(seconds));
        self.rds.new_roles_ms.insert(arn.to_owned(), usable_ms);
    }

    /// Disables a KMS key: nothing new is encrypted with it, and what is notices before long.
    pub fn disable_key(&mut self, region: &str, key: &str) {
        if let Some(here) = self.rds.regions.get_mut(region) {
            here.kms_keys.retain(|known| known != key);
        }
        self.tell_clusters_of(region, key);
    }

    /// Enables a KMS key again.
    pub fn enable_key(&mut self, region: &str, key: &str) {
        if let Some(here) = self.rds.regions.get_mut(region) {
            here.kms_keys.retain(|known| known != key);
            here.kms_keys.push(key.to_owned());
        }
        self.tell_clusters_of(region, key);
    }

    fn tell_clusters_of(&mut self, region: &str, key: &str) {
        let with_it = |c: &&Cluster| c.region == region && c.kms_key.as_deref() == Some(key);
        let ids: Vec<_> =
            self.rds.clusters().filter(with_it).map(|c| c.resource_id.clone()).collect();
        let seconds = self.behaviour.timings.key_noticed_s;
        for resource_id in ids {
            self.after(seconds, RdsEvent::KeyNoticed { resource_id });
        }
    }
}

/// A member of a global cluster whose key is lost is lost with it; any other cluster can be saved
/// for some days.
pub(super) fn noticed(world: &mut World, resource_id: &str) {
    let Some(cluster) = world.cluster_named(resource_id).map(|cluster| cluster.clone()) else {
        return;
    };
    let usable = world.rds.key_is_usable(&cluster);
    let status = match cluster.status.as_str() {
        LOST_FOR_NOW if usable => "available",
        LOST | LOST_FOR_NOW | "deleting" => return,
        _ if usable => return,
        _ if cluster.global().is_some() => LOST,
        _ => LOST_FOR_NOW,
    };
    if let Some(found) = world.cluster_named(resource_id) {
        status.clone_into(&mut found.status);
    }
    if usable {
        return;
    }
    let instances: Vec<_> = world.rds.instances_of(&cluster).cloned().collect();
    for instance in &instances {
        world.tell(418, instance, "");
    }
    if status == LOST_FOR_NOW {
        let event = RdsEvent::KeyGivenUp { resource_id: resource_id.to_owned() };
        let at_ms = world.now_ms.saturating_add(PATIENCE_MS);
        world.schedule_at(at_ms, Event::Rds(event));
    }
}

/// The key has not come back in time.
pub(super) fn given_up(world: &mut World, resource_id: &str) {
    if let Some(cluster) = world.cluster_named(resource_id)
        && cluster.status == LOST_FOR_NOW
    {
        LOST.clone_into(&mut cluster.status);
    }
}
