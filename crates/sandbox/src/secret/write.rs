//! The operations that write.

use std::collections::BTreeSet;

use serde_json::json;

use super::api::{Answer, Call, refuse_marked};
use super::{CURRENT, Content, Secret, State, Version, invalid_parameter, invalid_request, moment};
use crate::wire::AwsError;

pub(super) const PUT: [&str; 5] =
    ["SecretId", "ClientRequestToken", "SecretString", "SecretBinary", "VersionStages"];
pub(super) const UPDATE_STAGE: [&str; 4] =
    ["SecretId", "VersionStage", "MoveToVersionId", "RemoveFromVersionId"];
pub(super) const CREATE: [&str; 6] =
    ["Name", "ClientRequestToken", "Description", "KmsKeyId", "SecretString", "SecretBinary"];
pub(super) const DELETE: [&str; 3] =
    ["SecretId", "RecoveryWindowInDays", "ForceDeleteWithoutRecovery"];

/// How many bytes a secret value has at most.
const BYTES_MAX: usize = 65_536;
/// How many versions a secret has at most.
const VERSIONS_MAX: usize = 100;
/// For how long a version without a label is kept whatever there is beside it.
const YOUNG_MS: i64 = 86_400_000;
/// For how long a secret can be restored unless its deletion says otherwise.
const RECOVERY_DAYS: i64 = 30;

impl Call<'_> {
    fn content(&self) -> Result<Option<Content>, AwsError> {
        let content = match (self.text("SecretString")?, self.text("SecretBinary")?) {
            (Some(_), Some(_)) => {
                return Err(invalid_parameter(
                    "You can't specify both a binary secret value and a string secret value in \
                     the same secret.",
                ));
            }
            (Some(text), None) => Content::Text(text.to_owned()),
            (None, Some(bytes)) => Content::Binary(bytes.to_owned()),
            (None, None) => return Ok(None),
        };
        let (Content::Text(text) | Content::Binary(text)) = &content;
        if text.is_empty() || text.len() > BYTES_MAX {
            return Err(invalid_parameter("The secret value must have 1 to 65536 bytes."));
        }
        Ok(Some(content))
    }

    /// The id that the new version gets: the caller's, or one made for it.
    fn token(&mut self) -> Result<String, AwsError> {
        match self.text("ClientRequestToken")? {
            Some(token) if !(32..=64).contains(&token.len()) => {
                Err(invalid_parameter("ClientRequestToken must be 32-64 characters long."))
            }
            Some(token) => Ok(token.to_owned()),
            None => Ok(self.world.secrets.version_id()),
        }
    }

    /// Puts a changed state in the place of the present one.
    fn write<T>(
        &mut self,
        key: &(String, String),
        change: impl FnOnce(&Secret, &mut State) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let now_ms = self.world.now_ms;
        let secret = self.world.secrets.secrets.get_mut(key).expect("the key was found just now");
        let mut state = secret.state().clone();
        let answer = change(secret, &mut state)?;
        secret.states.push((now_ms, state));
        Ok(answer)
    }
}

pub(super) fn put_value(call: &mut Call<'_>) -> Answer {
    let content = call.content()?;
    let labels = call.texts("VersionStages");
    let key = call.writable()?;
    let content = content
        .ok_or_else(|| invalid_request("You must provide either SecretString or SecretBinary."))?;
    let secret = &call.world.secrets.secrets[&key];
    refuse_marked(secret.state())?;
    let (arn, name) = (secret.arn.clone(), secret.name.clone());
    let id = call.token()?;
    let answer = |version: &Version| json!({ "ARN": arn, "Name": name, "VersionId": version.id, "VersionStages": version.labels });
    let secret = &call.world.secrets.secrets[&key];
    if let Some(version) = secret.state().version(&id) {
        if version.content == content {
            // Succeeds and does nothing, wherever the labels are by now.
            return Ok(answer(version));
        }
        let message = format!(
            "You can't use ClientRequestToken {id} because that value is already in use for a \
             version of secret {}.",
            secret.arn
        );
        return Err(AwsError::bad_request("ResourceExistsException", message));
    }
    let now_ms = call.world.now_ms;
    call.write(&key, |_, state| {
        make_room(state, now_ms)?;
        let version =
            Version { id: id.clone(), content, labels: BTreeSet::new(), created_at_ms: now_ms };
        state.versions.push(version);
        let labels = if labels.is_empty() { vec![CURRENT.to_owned()] } else { labels };
        for label in labels {
            state.move_label(&label, &id);
        }
        state.version(&id).map(answer).ok_or_else(|| invalid_request("The version is lost."))
    })
}

/// Forgets versions without a label that are older than a day, if there are too many.
fn make_room(state: &mut State, now_ms: i64) -> Result<(), AwsError> {
    if state.versions.len() < VERSIONS_MAX {
        return Ok(());
    }
    let is_kept = |v: &Version| !v.labels.is_empty() || now_ms - v.created_at_ms < YOUNG_MS;
    state.versions.retain(is_kept);
    if state.versions.len() < VERSIONS_MAX {
        return Ok(());
    }
    let message = "You have reached the maximum number of versions of this secret.";
    Err(AwsError::bad_request("LimitExceededException", message))
}

pub(super) fn update_stage(call: &mut Call<'_>) -> Answer {
    let label = call.required("VersionStage")?.to_owned();
    let to = call.text("MoveToVersionId")?.map(str::to_owned);
    let from = call.text("RemoveFromVersionId")?.map(str::to_owned);
    let key = call.writable()?;
    refuse_marked(call.world.secrets.secrets[&key].state())?;
    call.write(&key, |secret, state| {
        let holder = state.with_label(&label).map(|version| version.id.clone());
        if holder.is_some() && holder != from && holder != to {
            return Err(invalid_parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {label} is \
                 currently attached to version {}, so you must explicitly reference that version \
                 in RemoveFromVersionId.",
                holder.unwrap_or_default()
            )));
        }
        match &to {
            Some(to) if state.version(to).is_none() => {
                return Err(super::not_found(&format!("secret value for VersionId: {to}")));
            }
            Some(to) => state.move_label(&label, to),
            None if label == CURRENT => {
                return Err(invalid_parameter("A secret always has a version AWSCURRENT."));
            }
            None => {
                for version in &mut state.versions {
                    version.labels.remove(&label);
                }
            }
        }
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    })
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let name = call.required("Name")?.to_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_+=.@!-".contains(c);
    if !name.chars().all(is_plain) || name.len() > 512 {
        let message = "Invalid name. Must be a valid name containing alphanumeric characters, or \
                       any of the following: -/_+=.@!";
        return Err(AwsError::bad_request("ValidationException", message));
    }
    let Some(Content::Text(text)) = call.content()? else {
        return Err(invalid_parameter("A secret without a SecretString is not modelled"));
    };
    let kms_key = call.text("KmsKeyId")?.map(str::to_owned);
    let id = call.token()?;
    let now_ms = call.world.now_ms;
    let is_gone = |secret: &Secret| {
        secret.states.last().and_then(|(_, state)| state.gone_at_ms).is_some_and(|at| at <= now_ms)
    };
    call.world.secrets.secrets.retain(|_, secret| !is_gone(secret));
    if let Some(secret) = call.world.secrets.find(call.region, &name) {
        let secret = call.world.secrets.primary(secret);
        if secret.state().gone_at_ms.is_some() {
            return Err(invalid_request(
                "You can't create this secret because a secret with this name is already \
                 scheduled for deletion.",
            ));
        }
        let same = secret.state().version(&id).is_some_and(|v| v.content == Content::Text(text));
        if same {
            return Ok(json!({ "ARN": secret.arn, "Name": name, "VersionId": id }));
        }
        let message = format!("The operation failed because the secret {name} already exists.");
        return Err(AwsError::bad_request("ResourceExistsException", message));
    }
    let account = call.world.account.clone();
    let arn = call.world.secrets.create(&account, call.region, &name, &text, now_ms);
    let key = (call.region.to_owned(), name.clone());
    let secret = call.world.secrets.secrets.get_mut(&key).expect("it was made just now");
    secret.kms_key = kms_key;
    for (_, state) in &mut secret.states {
        state.versions.iter_mut().for_each(|version| version.id.clone_from(&id));
    }
    Ok(json!({ "ARN": arn, "Name": name, "VersionId": id }))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let days = call.number("RecoveryWindowInDays");
    let at_once = call.flag("ForceDeleteWithoutRecovery");
    if at_once && days.is_some() {
        return Err(invalid_parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    if days.is_some_and(|days| !(7..=30).contains(&days)) {
        return Err(invalid_parameter(
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        ));
    }
    let key = call.writable()?;
    let now_ms = call.world.now_ms;
    let wait_ms = if at_once { 0 } else { days.unwrap_or(RECOVERY_DAYS) * 86_400_000 };
    call.write(&key, |secret, state| {
        let gone_at_ms = now_ms + wait_ms;
        state.gone_at_ms = Some(gone_at_ms);
        Ok(json!({ "ARN": secret.arn, "Name": secret.name, "DeletionDate": moment(gone_at_ms) }))
    })
}

pub(super) fn restore(call: &mut Call<'_>) -> Answer {
    let key = call.writable()?;
    call.write(&key, |secret, state| {
        state.gone_at_ms = None;
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    })
}
