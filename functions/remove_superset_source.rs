//! Removes a data source of Apache Superset that has nothing to connect to any more.
//!
//! - **State:** `RemoveSupersetSource`.
//! - **Requires:** no dataset uses it.
//! - **Ensures:** no data source of that name can be seen by the login.
//! - **Idempotent because** one that is not there is not removed again.
//! - **Answers:** DONE, PENDING or FAILED.
//! - **Calls:** `secretsmanager:GetSecretValue`; of Superset's API `superset:LogIn`,
//!   `superset:GetCsrfToken`, `superset:ListDatabases`, `superset:DeleteDatabase`,
//!   `superset:GetRelatedObjects`.

use failback_plan::Answer;
use failback_plan::task::Superset;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::FailbackError;
use crate::superset::{self, Session, Trouble};

/// What the state passes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where the data source is.
    pub superset: Superset,
    /// Its name.
    pub name: String,
}

/// Looks, and removes it at most once.
pub async fn remove_superset_source(aws: &Aws, input: Input) -> Result<Answer, FailbackError> {
    match step(aws, &input).await {
        Ok(answer) => Ok(answer),
        Err(trouble) => trouble.answer(&input.name, &input.superset.url),
    }
}

async fn step(aws: &Aws, Input { superset, name }: &Input) -> Result<Answer, Trouble> {
    let api = superset::login(aws, &superset.login_secret_arn).await?;
    let mut session = Session::log_in(aws, superset, &api, &[]).await?;
    let Some(id) = session.find(name).await? else {
        return Ok(Answer::done(format!("there is no data source `{name}` that the login can see")));
    };
    session.delete(id).await?;
    Ok(Answer::pending(format!("data source `{name}` was removed and is looked for")))
}
