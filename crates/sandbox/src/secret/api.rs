//! The operations that read, and what all operations have in common.

use serde_json::{Map, Value, json};

use super::{CURRENT, Content, REPLICATION_MS, Secret, State, Version, moment};
use super::{invalid_parameter, invalid_request, not_found, write};
use crate::wire::{AwsError, Request, Response, json};
use crate::world::World;

pub(super) type Answer = Result<Value, AwsError>;
type Members = Map<String, Value>;

/// A call.
pub(super) struct Call<'a> {
    pub(super) world: &'a mut World,
    pub(super) region: &'a str,
    members: Members,
}

/// Answers a call of Secrets Manager.
///
/// # Errors
/// What Secrets Manager answers to a call it refuses; `UnknownOperationException` for an operation
/// that is not modelled, `InvalidParameterException` for a member that is not.
pub(crate) fn handle(world: &mut World, request: &Request) -> Result<Response, AwsError> {
    type Run = fn(&mut Call<'_>) -> Answer;
    let (run, known): (Run, &[&str]) = match request.operation().as_str() {
        "GetSecretValue" => (get_value, &["SecretId", "VersionId", "VersionStage"]),
        "DescribeSecret" => (describe, &["SecretId"]),
        "PutSecretValue" => (write::put_value, &write::PUT),
        "UpdateSecretVersionStage" => (write::update_stage, &write::UPDATE_STAGE),
        "CreateSecret" => (write::create, &write::CREATE),
        "DeleteSecret" => (write::delete, &write::DELETE),
        "RestoreSecret" => (write::restore, &["SecretId"]),
        _ => return Err(AwsError::bad_request("UnknownOperationException", "")),
    };
    let members = json::read(&request.body)?;
    let unknown =
        |(name, value): &(&String, &Value)| !known.contains(&name.as_str()) && !value.is_null();
    if let Some((name, _)) = members.iter().find(unknown) {
        let message = format!("{name} of {} is not modelled", request.operation());
        return Err(invalid_parameter(message));
    }
    let mut call = Call { world, region: &request.region, members };
    run(&mut call).map(|answer| json::aws_json_1_1(&answer))
}

impl Call<'_> {
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, AwsError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(AwsError::bad_request("SerializationException", name)),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, AwsError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            let message = format!(
                "1 validation error detected: Value null at '{name}' failed to satisfy constraint: \
                 Member must not be null"
            );
            AwsError::bad_request("ValidationException", message)
        })
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.members.get(name).and_then(Value::as_i64)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.members.get(name) == Some(&Value::Bool(true))
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let list = self.members.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The secret that the call is about, where it was asked for.
    fn secret(&self) -> Result<&Secret, AwsError> {
        let found = self.world.secrets.find(self.region, self.required("SecretId")?);
        let secret = found.ok_or_else(|| not_found("secret"))?;
        // What is being deleted is there until then, and not a moment longer.
        let gone_at_ms = self.world.secrets.primary(secret).state().gone_at_ms;
        if gone_at_ms.is_some_and(|at_ms| at_ms <= self.world.now_ms) {
            return Err(not_found("secret"));
        }
        Ok(secret)
    }

    /// The secret as a read sees it: a replica follows, and a fault lets it look back.
    fn seen(&self) -> Result<(&Secret, i64, &State), AwsError> {
        let secret = self.secret()?;
        let secrets = &self.world.secrets;
        let behind_ms = if secret.replica_of.is_some() { REPLICATION_MS } else { 0 };
        let at_ms = self.world.now_ms - behind_ms - secrets.stale_ms;
        let primary = secrets.primary(secret);
        let first = primary.states.first();
        let (since_ms, state) =
            primary.state_at(at_ms).or(first).ok_or_else(|| not_found("secret"))?;
        Ok((secret, *since_ms, state))
    }

    /// The key of a secret that may be written here.
    pub(super) fn writable(&self) -> Result<(String, String), AwsError> {
        let secret = self.secret()?;
        if secret.replica_of.is_some() {
            return Err(invalid_request(
                "Operation not permitted on a replica secret. Call must be made in primary \
                 secret's region.",
            ));
        }
        if let Some(service) = &secret.owning_service {
            let message = format!("You can't perform this operation: {service} manages the secret");
            return Err(invalid_request(message));
        }
        Ok((self.region.to_owned(), secret.name.clone()))
    }
}

/// What is said of every operation on a secret that will be gone.
pub(super) fn refuse_marked(state: &State) -> Result<(), AwsError> {
    match state.gone_at_ms {
        Some(_) => Err(invalid_request(
            "You can't perform this operation on the secret because it was marked for deletion.",
        )),
        None => Ok(()),
    }
}

fn get_value(call: &mut Call<'_>) -> Answer {
    let (secret, _, state) = call.seen()?;
    refuse_marked(state)?;
    let (id, label) = (call.text("VersionId")?, call.text("VersionStage")?);
    let bears = |version: &&Version| label.is_none_or(|label| version.labels.contains(label));
    let found = match id {
        Some(id) => state.version(id).filter(bears),
        None => state.with_label(label.unwrap_or(CURRENT)),
    };
    let version = found.ok_or_else(|| {
        not_found(&match id {
            Some(id) => format!("secret value for VersionId: {id}"),
            None => format!("secret value for staging label: {}", label.unwrap_or(CURRENT)),
        })
    })?;
    let mut answer = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "VersionStages": version.labels,
        "CreatedDate": moment(version.created_at_ms),
    });
    match &version.content {
        Content::Text(text) => answer["SecretString"] = json!(text),
        Content::Binary(bytes) => answer["SecretBinary"] = json!(bytes),
    }
    Ok(answer)
}

fn describe(call: &mut Call<'_>) -> Answer {
    let (secret, changed_at_ms, state) = call.seen()?;
    let labelled = state.versions.iter().filter(|version| !version.labels.is_empty());
    let stages: Map<String, Value> =
        labelled.map(|version| (version.id.clone(), json!(version.labels))).collect();
    let mut answer = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "CreatedDate": moment(secret.created_at_ms),
        "LastChangedDate": moment(changed_at_ms),
        "VersionIdsToStages": stages,
    });
    let primary = secret.replica_of.as_deref();
    let primary = primary.or((!secret.replicas.is_empty()).then_some(call.region));
    let follows = |region: &String| json!({ "Region": region, "Status": "InSync" });
    let optional = [
        ("KmsKeyId", secret.kms_key.as_ref().map(|key| json!(key))),
        ("OwningService", secret.owning_service.as_ref().map(|service| json!(service))),
        ("PrimaryRegion", primary.map(|region| json!(region))),
        ("DeletedDate", state.gone_at_ms.map(moment)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            answer[name] = value;
        }
    }
    if !secret.replicas.is_empty() {
        answer["ReplicationStatus"] = secret.replicas.iter().map(follows).collect();
    }
    Ok(answer)
}
