//! The lock of a global database: an item that names the execution which may act.

use crate::aws::Aws;
use crate::observe::Read;
use crate::table;

/// The attribute that names the execution.
pub(crate) const OWNER: &str = "owner";

/// Key of the lock.
pub(crate) fn id(database: &str) -> String {
    format!("lock#{database}")
}

/// The execution that holds the lock now.
pub(crate) async fn holder(aws: &Aws, database: &str) -> Read<Option<String>> {
    let Some(item) = table::get(aws, &id(database)).await? else { return Ok(None) };
    table::text_of(&item, OWNER).map(|owner| Some(owner.to_owned()))
}

/// What the names of an execution's children begin with: the definition takes the last 56
/// characters of the parent's name, so that the child's stays within 80.
pub(crate) fn child_prefix(execution: &str) -> String {
    let name = execution.rsplit(':').next().unwrap_or_default();
    let from = name.len().saturating_sub(56);
    format!("{}-", name.get(from..).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_named_after_the_end_of_their_parent_s_name() {
        let arn = "arn:aws:states:us-west-2:1:execution:failback:run-7";
        assert_eq!(child_prefix(arn), "run-7-");
        let long = format!("arn:aws:states:us-west-2:1:execution:failback:{}", "n".repeat(80));
        assert_eq!(child_prefix(&long), format!("{}-", "n".repeat(56)));
    }
}
