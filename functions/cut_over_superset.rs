//! Points a data source of Apache Superset at the endpoint of a rebuilt cluster.
//!
//! - **State:** `CutOverSuperset`.
//! - **Requires:** the data source is there, under its name or under the new one; the endpoint
//!   answers Superset, with the password of the secret.
//! - **Ensures:** host and name were changed together, and nothing else; or nothing was changed.
//! - **Idempotent because** the data source is read first, and what it is to become is not sent
//!   again. A change whose answer was not awaited is found by reading.
//! - **Answers:** DONE once it is read back and answers with the password that Superset has stored,
//!   PENDING or FAILED.
//! - **Calls:** `rds:DescribeDBClusters`, `secretsmanager:GetSecretValue`; of Superset's API
//!   `superset:LogIn`, `superset:GetCsrfToken`, `superset:ListDatabases`, `superset:GetConnection`,
//!   `superset:TestConnection`, `superset:UpdateDatabase`.

use failback_plan::Answer;
use failback_plan::superset::{Wanted, locate, propose};
use failback_plan::task::{Point, Superset};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::observe;
use crate::superset::{self, Session, Tested, Trouble};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where the data source is.
    pub superset: Superset,
    /// Its name at the start.
    pub name: String,
    /// What becomes of it.
    pub point: Point,
}

/// What the state gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// How far it has come.
    #[serde(flatten)]
    pub answer: Answer,
    /// The host it had when it was read, if it was.
    pub from: Option<String>,
    /// The host it gets.
    pub to: Option<String>,
}

/// Looks, decides, changes the data source at most once.
pub async fn cut_over_superset(aws: &Aws, input: Input) -> Result<Output, FailbackError> {
    let (mut from, mut to) = (None, None);
    let answer = match step(aws, &input, (&mut from, &mut to)).await {
        Ok(answer) => answer,
        Err(trouble) => trouble.answer(&input.name, &input.superset.url)?,
    };
    Ok(Output { answer, from, to })
}

async fn step(
    aws: &Aws,
    input: &Input,
    (from, to): (&mut Option<String>, &mut Option<String>),
) -> Result<Answer, Trouble> {
    let Input { superset, name, point } = input;
    let place = &point.to;
    let host = observe::endpoint(aws, &place.region, &place.cluster_id, place.endpoint).await?;
    *to = Some(host.clone());
    let api = superset::login(aws, &superset.login_secret_arn).await?;
    let database = superset::login(aws, &point.password_secret_arn).await?;
    let mut session = Session::log_in(aws, superset, &api, &[&database.password]).await?;
    // The new name first: an earlier run may have come that far.
    let under_new_name = match &point.rename_to {
        Some(new) => session.find(new).await?,
        None => None,
    };
    let under_name = session.find(name).await?;
    let id = locate(name, point.rename_to.as_deref(), under_name, under_new_name)?;
    let final_name = point.rename_to.as_ref().unwrap_or(name);
    let wanted = Wanted {
        name: final_name.clone(),
        host: host.clone(),
        user: database.user,
        password: database.password,
    };
    let proposal = propose(&wanted, &session.connection(id).await?)?;
    *from = Some(proposal.host.clone());
    if proposal.is_there
        && let Tested::Works = session.test(&proposal.test_of_stored).await?
    {
        return Ok(Answer::done(format!("data source `{final_name}` connects to {host}")));
    }
    if let Tested::Denied(said) = session.test(&proposal.test).await? {
        return Err(Trouble::Lasting(format!(
            "{host} does not let its user in with the password of {}: {said}. Correct that secret",
            point.password_secret_arn
        )));
    }
    session.update(id, &proposal.update).await?;
    Ok(Answer::pending(format!("data source `{final_name}` was changed and is read back")))
}
