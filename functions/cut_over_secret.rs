//! Has secrets say where the rebuilt clusters are.
//!
//! - **State:** `CutOverSecret`, which is asked again until it has read each of them back.
//! - **Requires:** each secret is a JSON text with a host, of which nothing but the place is changed.
//! - **Ensures:** each secret's current version names its endpoint, and the one before is the previous
//!   version.
//! - **Idempotent because** a secret that names its endpoint is left alone, and the new version bears
//!   an id that is the same for the same state of the secret: to put it twice does nothing.
//! - **Answers:** DONE, PENDING.
//! - **Calls:** `rds:DescribeDBClusters`, `secretsmanager:DescribeSecret`,
//!   `secretsmanager:GetSecretValue`, `secretsmanager:PutSecretValue`.

use failback_plan::Answer;
use failback_plan::decide::destination;
use failback_plan::secret::{Destination, SecretProblem, moved, version_token};
use failback_plan::steps::NotAsPlanned;
use failback_plan::task::{ConsumerKind, HostSecret, Moved, Proven};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe::required;
use crate::secret::{Readable, readable};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The secrets to move.
    pub secrets: Vec<HostSecret>,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Whether all of them were read back.
    #[serde(flatten)]
    pub answer: Answer,
    /// Every secret, with the host it named and the one it names.
    pub moved: Vec<Moved>,
}

/// How far one secret has come.
enum Standing {
    ReadBack(Moved),
    NotYet(String),
}

/// Looks, decides, puts at most one new version of each secret. One that cannot be moved keeps no
/// other from being moved.
pub async fn cut_over_secret(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let Input { secrets } = input;
    let (mut moved, mut waiting, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for secret in &secrets {
        match move_one(aws, secret).await {
            Ok(Standing::ReadBack(consumer)) => moved.push(consumer),
            Ok(Standing::NotYet(why)) => waiting.push(why),
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(failure) = FailbackError::worst(failures) {
        return Err(failure);
    }
    let answer = if waiting.is_empty() {
        Answer::done(format!("{} secrets name their endpoints", moved.len()))
    } else {
        Answer::pending(waiting.join("; "))
    };
    Ok(Output { answer, moved })
}

async fn move_one(aws: &Aws, secret: &HostSecret) -> Result<Standing, FailbackError> {
    let HostSecret { secret_region, secret_id, .. } = secret;
    let name = secret_id.split(":secret:").last().unwrap_or_default();
    let unfit = |problem: SecretProblem| -> FailbackError {
        NotAsPlanned(format!("the secret {name} in {secret_region}: {problem}")).into()
    };
    let to = place(aws, secret).await?;
    let now = readable(aws, secret_region, secret_id).await?.map_err(unfit)?;
    let Some(text) = moved(&now.text, &to).map_err(unfit)? else {
        return Ok(Standing::ReadBack(Moved {
            consumer: ConsumerKind::Secret,
            name: name.to_owned(),
            place: secret_region.clone(),
            from: secret.was.clone(),
            to: to.host,
            proof: Some(Proven::ReadBack),
        }));
    };
    if now.rotates {
        return Ok(Standing::NotYet(format!("the secret {name} is being rotated")));
    }
    put(aws, secret, &now, &to, text).await?;
    Ok(Standing::NotYet(format!("the secret {name} has a new version, not read back yet")))
}

async fn place(aws: &Aws, secret: &HostSecret) -> Result<Destination, FailbackError> {
    const CALL: &str = "rds:DescribeDBClusters";
    let cluster = crate::observe::cluster(aws, &secret.region, &secret.cluster_id).await?;
    let place = cluster.and_then(|cluster| destination(&cluster, secret.endpoint));
    required(place, CALL, &format!("endpoint and port of {}", secret.cluster_id))
}

/// The version that was current becomes the previous one by itself.
async fn put(
    aws: &Aws,
    secret: &HostSecret,
    now: &Readable,
    to: &Destination,
    text: String,
) -> Result<(), FailbackError> {
    const CALL: &str = "secretsmanager:PutSecretValue";
    let token = version_token(&now.arn, &now.version, &now.changed_at, to);
    let request = aws.secretsmanager(&secret.secret_region).put_secret_value();
    let request = request.secret_id(&now.arn).client_request_token(token).secret_string(text);
    request.send().await.map_err(|e| classify(CALL, e))?;
    Ok(())
}
