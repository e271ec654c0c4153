//! What AWS said to a change that was asked for.

use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::error::SdkError;
use aws_sdk_rds::types::DbCluster;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use failback_plan::Answer;

use crate::error::{FailbackError, classify};

/// How a change was received.
pub(crate) enum Reply {
    /// AWS has begun, or the change had been made before.
    Accepted,
    /// AWS cannot do it now; the words are its own.
    NotYet(String),
}

impl Reply {
    /// `DONE` if the step's aim is that AWS has begun.
    pub(crate) fn done(self, detail: impl Into<String>) -> Answer {
        match self {
            Self::Accepted => Answer::done(detail),
            Self::NotYet(why) => Answer::pending(why),
        }
    }

    /// `PENDING` if the step's aim has yet to be seen.
    pub(crate) fn pending(self, detail: impl Into<String>) -> Answer {
        match self {
            Self::Accepted => Answer::pending(detail),
            Self::NotYet(why) => Answer::pending(why),
        }
    }
}

/// Sorts the answer to a change. `already` are the codes by which AWS says that it has been made
/// before; a state that forbids it for the moment is not an error but "not yet", because the loop
/// around the step has a deadline.
///
/// # Errors
/// Everything else, sorted by [`classify`].
pub(crate) fn reply<T, E>(
    call: &'static str,
    result: Result<T, SdkError<E, HttpResponse>>,
    already: &[&str],
) -> Result<Reply, FailbackError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(_) => return Ok(Reply::Accepted),
        Err(error) => error,
    };
    match classify(call, error) {
        FailbackError::AwsBusy { code, .. } | FailbackError::AwsRejected { code, .. }
            if already.contains(&code.as_str()) =>
        {
            Ok(Reply::Accepted)
        }
        FailbackError::AwsBusy { message, .. } => Ok(Reply::NotYet(message)),
        other => Err(other),
    }
}

/// `DbClusterResourceId` of the cluster that a change has met, if it is another than was meant.
///
/// RDS knows clusters by their names, and a description may be older than the moment at which a name
/// was moved to another cluster. The answer to the change tells which one it was.
pub(crate) fn another(changed: Option<&DbCluster>, meant: &str) -> Option<String> {
    let met = changed.and_then(DbCluster::db_cluster_resource_id);
    met.filter(|met| *met != meant).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_tells_another_cluster_and_one_that_does_not_tell_is_left_to_the_next_look() {
        let answer = |id: &str| DbCluster::builder().db_cluster_resource_id(id).build();
        let met = |answer: Option<&DbCluster>| another(answer, "cluster-MEANT");

        assert_eq!(met(Some(&answer("cluster-OTHER"))).as_deref(), Some("cluster-OTHER"));
        assert_eq!(met(Some(&answer("cluster-MEANT"))), None);
        assert_eq!(met(Some(&DbCluster::builder().build())), None);
        assert_eq!(met(None), None);
    }
}
