//! Apache Superset's API, as far as its data sources.

mod session;

use failback_plan::request::superset::region_of_secret;
use failback_plan::superset::Problem;
use failback_plan::{Answer, InvalidRequest};
use serde_json::Value;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};
use crate::observe::required;

pub(crate) use session::{Session, Tested};

/// Why something was not done with a data source.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may be otherwise in a while.
    Passing(String),
    /// It takes a person.
    Lasting(String),
    /// AWS did not give what is needed.
    Aws(FailbackError),
}

impl From<FailbackError> for Trouble {
    fn from(error: FailbackError) -> Self {
        Self::Aws(error)
    }
}

impl From<Problem> for Trouble {
    fn from(Problem(text): Problem) -> Self {
        Self::Lasting(text)
    }
}

impl Trouble {
    /// What a function answers of it: trouble with Superset is never an error, because it must not
    /// stop the failback of the database.
    pub(crate) fn answer(self, name: &str, url: &str) -> Result<Answer, FailbackError> {
        let about = |text: String| format!("data source `{name}` of {url}: {text}");
        match self {
            Self::Passing(text) => Ok(Answer::pending(about(text))),
            Self::Lasting(text) => Ok(Answer::failed(about(text))),
            Self::Aws(error) => Err(error),
        }
    }
}

/// A secret with a password. Not to be shown.
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: String,
}

/// Reads a secret: JSON with `password` and, as a rule, `username`.
pub(crate) async fn login(aws: &Aws, arn: &str) -> Result<Login, FailbackError> {
    const CALL: &str = "secretsmanager:GetSecretValue";
    let region = region_of_secret(arn).ok_or_else(|| InvalidRequest {
        field: "endpoints.superset".to_owned(),
        problem: format!("names {arn}, which is not the ARN of a secret"),
    })?;
    let answer = aws.secretsmanager(region).get_secret_value().secret_id(arn).send().await;
    let answer = answer.map_err(|e| classify(CALL, e))?;
    let json: Value =
        serde_json::from_str(answer.secret_string().unwrap_or_default()).unwrap_or_default();
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    // What the secret holds instead is not said.
    let password =
        required(text("password"), CALL, &format!("a JSON object with `password` in {arn}"))?;
    Ok(Login { user: text("username"), password })
}
