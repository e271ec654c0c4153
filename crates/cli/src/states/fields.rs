//! The parameters of a call, read as the API's model types them.

use serde_json::{Map, Value};

use super::error::ApiError;

/// The most entries a page holds, and what it holds when the caller does not say.
const PAGE_MAX: i64 = 1_000;
const PAGE_DEFAULT: usize = 100;

/// The members of a request.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// The members of this object.
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// Text that must be there.
    pub(super) fn text(&self, name: &str) -> Result<&str, ApiError> {
        self.maybe_text(name)?
            .ok_or_else(|| ApiError::validation(name, "null", "Member must not be null"))
    }

    /// Text that may be there.
    pub(super) fn maybe_text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApiError::unreadable(format!("{name} is not a string"))),
        }
    }

    /// A flag; `default` when it is not there.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(ApiError::unreadable(format!("{name} is not a boolean"))),
        }
    }

    /// How many entries the page wanted holds: `maxResults`, where nothing and 0 mean the default.
    pub(super) fn page_size(&self) -> Result<usize, ApiError> {
        let name = "maxResults";
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(PAGE_DEFAULT),
            Some(value) => {
                let wanted = value
                    .as_i64()
                    .ok_or_else(|| ApiError::unreadable(format!("{name} is not an integer")))?;
                if wanted > PAGE_MAX {
                    let constraint = "Member must have value less than or equal to 1000";
                    return Err(ApiError::validation(name, &wanted.to_string(), constraint));
                }
                let wanted = usize::try_from(wanted).map_err(|_| {
                    let constraint = "Member must have value greater than or equal to 0";
                    ApiError::validation(name, &wanted.to_string(), constraint)
                })?;
                Ok(if wanted == 0 { PAGE_DEFAULT } else { wanted })
            }
        }
    }

    /// The ARN of a machine.
    pub(super) fn machine_arn(&self) -> Result<&str, ApiError> {
        self.arn("stateMachineArn", "stateMachine", 7)
    }

    /// The ARN of an execution.
    pub(super) fn execution_arn(&self) -> Result<&str, ApiError> {
        self.arn("executionArn", "execution", 8)
    }

    /// An ARN of Step Functions with so many parts that names this type of resource.
    fn arn(&self, name: &str, kind: &str, parts: usize) -> Result<&str, ApiError> {
        const ARN_CHARS_MAX: usize = 256;
        let arn = self.text(name)?;
        if arn.is_empty() || arn.chars().count() > ARN_CHARS_MAX {
            let constraint = "Member must have length between 1 and 256";
            return Err(ApiError::validation(name, arn, constraint));
        }
        let found: Vec<&str> = arn.split(':').collect();
        if found[0] != "arn" || found.len() < 6 || found.get(2) != Some(&"states") {
            return Err(ApiError::invalid_arn("Invalid ARN prefix", arn));
        }
        let well_formed = found.len() == parts && found[parts - 1..].iter().all(|p| !p.is_empty());
        if found[5] != kind || !well_formed {
            return Err(ApiError::invalid_arn("Resource type not valid in this context", arn));
        }
        Ok(arn)
    }
}

/// One page of a listing, and what follows it.
pub(super) struct Page<T> {
    /// The entries.
    pub(super) entries: Vec<T>,
    /// Whether there are more after them.
    pub(super) more: bool,
}

/// The first `size` of `left`.
pub(super) fn page<T>(mut left: impl Iterator<Item = T>, size: usize) -> Page<T> {
    let entries = left.by_ref().take(size).collect();
    Page { entries, more: left.next().is_some() }
}
