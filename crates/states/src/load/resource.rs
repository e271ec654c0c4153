//! The resources that a Task may name.

use super::{Loader, Problem};
use crate::definition::{Pattern, Resource, TASK_TOKEN_SUFFIX};

/// What the task runner is asked for by the service's name; all of them can carry a task token.
const REQUESTS: [&str; 4] = ["lambda:invoke", "sns:publish", "sqs:sendMessage", "events:putEvents"];

const START: &str = "states:startExecution";
const NESTED: &str = "states:startExecution.sync:2";

impl Loader<'_> {
    pub(super) fn resource(&self, arn: String) -> Result<Resource, Problem> {
        let refusal = || {
            let sentence = format!("`{arn}` is not a resource that is supported");
            Problem::new(sentence).at_field("Resource")
        };
        let without_suffix = arn.strip_suffix(TASK_TOKEN_SUFFIX);
        let has_token = without_suffix.is_some();
        let base = without_suffix.unwrap_or(&arn);
        let mut parts = base.splitn(6, ':');
        let prefix: [&str; 5] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let rest = parts.next().unwrap_or_default();
        let pattern = match prefix {
            _ if self.options.extra_resources.contains(base) && has_token => Pattern::TaskToken,
            _ if self.options.extra_resources.contains(base) => Pattern::Request,
            ["arn", _, "lambda", _, _] if rest.starts_with("function:") && !has_token => {
                Pattern::Function
            }
            ["arn", _, "states", "", ""] if rest == NESTED && !has_token => {
                Pattern::NestedExecution
            }
            ["arn", _, "states", "", ""] if rest == START && !has_token => Pattern::StartExecution,
            ["arn", _, "states", "", ""] if REQUESTS.contains(&rest) && has_token => {
                Pattern::TaskToken
            }
            ["arn", _, "states", "", ""] if REQUESTS.contains(&rest) => Pattern::Request,
            _ => return Err(refusal()),
        };
        Ok(Resource { arn, pattern })
    }
}
