//! Secrets of Secrets Manager: looking at them. What they hold beside the place of the database is
//! read here and goes nowhere.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use failback_plan::secret::{SecretFields, SecretProblem, read};
use failback_plan::seen::SecretSeen;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe::{Read, required};

/// The label of the version that applications read.
const CURRENT: &str = "AWSCURRENT";
/// The label of a version that a rotation is making.
const PENDING: &str = "AWSPENDING";
/// Refusals that say what is the matter with the secret, or with who asks.
/// Source: Secrets Manager API Reference, `GetSecretValue` and "Common Errors".
const UNREADABLE: [&str; 4] = [
    "AccessDeniedException",
    "DecryptionFailure",
    "InvalidRequestException",
    "InvalidParameterException",
];

/// A secret that can be moved.
pub(crate) struct Readable {
    pub arn: String,
    /// The id of its current version.
    pub version: String,
    /// When anything of it changed last.
    pub changed_at: String,
    /// A rotation is under way: it would put its own version, made from an earlier one, in the
    /// place of ours.
    pub rotates: bool,
    /// What its current version holds.
    pub text: String,
}

/// A secret as it is, or why it cannot be moved. The current version is read by its id: both
/// answers are of the same state, however late either is.
pub(crate) async fn readable(
    aws: &Aws,
    region: &str,
    id: &str,
) -> Read<Result<Readable, SecretProblem>> {
    const CALL: &str = "secretsmanager:DescribeSecret";
    let request = aws.secretsmanager(region).describe_secret().secret_id(id);
    let described = match request.send().await {
        Ok(described) => described,
        Err(error) => return problem(region, classify(CALL, error)).map(Err),
    };
    if let Some(problem) = unfit(region, &described) {
        return Ok(Err(problem));
    }
    let stages = described.version_ids_to_stages.clone().unwrap_or_default();
    let bears = |label: &str| {
        let bearer = stages.iter().find(|(_, labels)| labels.iter().any(|l| l == label));
        bearer.map(|(version, _)| version.clone())
    };
    let version = required(bears(CURRENT), CALL, "a current version")?;
    let changed_at = required(described.last_changed_date, CALL, "the date of the last change")?;
    let text = match text(aws, region, id, &version).await? {
        Ok(text) => text,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(Ok(Readable {
        arn: required(described.arn, CALL, "an ARN")?,
        rotates: bears(PENDING).is_some_and(|pending| pending != version),
        changed_at: format!("{}.{:09}", changed_at.secs(), changed_at.subsec_nanos()),
        version,
        text,
    }))
}

/// What a description says against it.
fn unfit(region: &str, described: &DescribeSecretOutput) -> Option<SecretProblem> {
    if described.deleted_date.is_some() {
        return Some(SecretProblem::MarkedForDeletion);
    }
    if let Some(service) = described.owning_service.clone() {
        return Some(SecretProblem::Managed { service });
    }
    let primary = described.primary_region.clone().filter(|primary| primary != region);
    primary.map(|primary| SecretProblem::Replica { primary })
}

async fn text(
    aws: &Aws,
    region: &str,
    id: &str,
    version: &str,
) -> Read<Result<String, SecretProblem>> {
    const CALL: &str = "secretsmanager:GetSecretValue";
    let request = aws.secretsmanager(region).get_secret_value().secret_id(id);
    match request.version_id(version).send().await {
        Ok(answer) => Ok(answer.secret_string.ok_or(SecretProblem::Binary)),
        Err(error) => problem(region, classify(CALL, error)).map(Err),
    }
}

/// What a refusal says against the secret; an error that says nothing about it stays one.
fn problem(region: &str, error: FailbackError) -> Read<SecretProblem> {
    match error {
        FailbackError::AwsRejected { code, .. } if code == "ResourceNotFoundException" => {
            Ok(SecretProblem::Missing { region: region.to_owned() })
        }
        FailbackError::AwsRejected { code, message, .. } if UNREADABLE.contains(&&*code) => {
            Ok(SecretProblem::Unreadable { code, message })
        }
        other => Err(other),
    }
}

/// A secret as the plan wants to see it.
pub(crate) async fn seen(aws: &Aws, region: &str, id: &str) -> Read<SecretSeen> {
    let secret = readable(aws, region, id).await?;
    let arn = secret.as_ref().ok().map(|secret| secret.arn.clone());
    let found: Result<SecretFields, SecretProblem> = secret.and_then(|secret| read(&secret.text));
    Ok(SecretSeen { region: region.to_owned(), id: id.to_owned(), arn, found })
}
