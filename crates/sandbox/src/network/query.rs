//! Filters, ids and pages: what the `Describe…` calls of EC2 have in common.

use std::collections::BTreeMap;

use crate::wire::{AwsError, Params};

/// One filter of a call: a resource passes when one of its values matches one of the filter's.
struct Filter {
    name: String,
    patterns: Vec<String>,
}

/// The filters of a call; a resource has to pass all of them.
pub(super) struct Filters(Vec<Filter>);

impl Filters {
    pub(super) fn parse(params: &Params) -> Self {
        let filters = params.structures("Filter").into_iter().map(|filter| Filter {
            name: filter.get("Name").unwrap_or_default().to_owned(),
            patterns: filter.list("Value"),
        });
        Self(filters.collect())
    }

    /// Whether a resource passes, given its values under a filter's name.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a filter that does not exist: EC2 refuses it, and so a
    /// misspelt filter never looks like "everything" or "nothing".
    pub(super) fn pass(
        &self,
        tags: &BTreeMap<String, String>,
        values: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<bool, AwsError> {
        for filter in &self.0 {
            let values = tag_values(&filter.name, tags)
                .or_else(|| values(&filter.name))
                .ok_or_else(|| unknown_filter(&filter.name))?;
            let hit = |value: &String| filter.patterns.iter().any(|p| matches(p, value));
            if !values.iter().any(hit) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn unknown_filter(name: &str) -> AwsError {
    AwsError::bad_request("InvalidParameterValue", format!("The filter '{name}' is invalid"))
}

fn tag_values(filter: &str, tags: &BTreeMap<String, String>) -> Option<Vec<String>> {
    if filter == "tag-key" {
        return Some(tags.keys().cloned().collect());
    }
    let key = filter.strip_prefix("tag:")?;
    Some(tags.get(key).cloned().into_iter().collect())
}

/// Whether a value matches a filter's pattern, in which `*` and `?` are wild.
fn matches(pattern: &str, value: &str) -> bool {
    let (pattern, value) = (pattern.as_bytes(), value.as_bytes());
    let (mut p, mut v) = (0, 0);
    // The last `*` met, and how far what it stands for reaches: the only choice to come back to.
    let mut star: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, v));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == value[v] => {
                p += 1;
                v += 1;
            }
            _ => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                (p, v) = (at + 1, reach + 1);
            }
        }
    }
    pattern[p..].iter().all(|left| *left == b'*')
}

/// One page of a listing.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next_token: Option<String>,
}

/// Cuts the page that a call asks for out of all results.
///
/// # Errors
/// `InvalidParameterCombination` for `MaxResults` together with ids, `InvalidParameterValue` for
/// a page size EC2 does not offer, `InvalidNextToken` for a token this model did not give.
pub(super) fn page<T>(
    params: &Params,
    ids_name: &str,
    page_size: usize,
    all: Vec<T>,
) -> Result<Page<T>, AwsError> {
    let asked = params.int("MaxResults")?;
    if asked.is_some() && params.has(ids_name) {
        let message =
            format!("The parameter {ids_name}s cannot be used with the parameter MaxResults");
        return Err(AwsError::bad_request("InvalidParameterCombination", message));
    }
    if let Some(asked) = asked.filter(|asked| !(5..=1_000).contains(asked)) {
        let bound = if asked < 5 { "greater than 5" } else { "less than 1000" };
        let message = format!(
            "Value ( {asked} ) for parameter maxResults is invalid. Expecting a value {bound}."
        );
        return Err(AwsError::bad_request("InvalidParameterValue", message));
    }
    let from = match params.get("NextToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => read_token(token).filter(|from| *from <= all.len()).ok_or_else(|| {
            AwsError::bad_request("InvalidNextToken", "The specified NextToken is not valid.")
        })?,
    };
    let size = asked.and_then(|n| usize::try_from(n).ok()).unwrap_or(page_size).min(page_size);
    let left = all.len() - from;
    let next_token = (left > size).then(|| format!("page-{}", from + size));
    Ok(Page { items: all.into_iter().skip(from).take(size).collect(), next_token })
}

fn read_token(token: &str) -> Option<usize> {
    token.strip_prefix("page-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_ec2() {
        for (pattern, value, expected) in [
            ("acl-1", "acl-1", true),
            ("acl-*", "acl-1", true),
            ("acl-?", "acl-1", true),
            ("acl-?", "acl-12", false),
            ("*", "", true),
            ("acl", "acl-1", false),
            ("*-*b", "acl-ab", true),
            ("*-*b", "acl-abc", false),
            ("a**?", "a", false),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn pattern_of_nothing_but_wildcards_is_matched_in_time() {
        let pattern = "*a".repeat(100_000);
        assert!(!matches(&pattern, &"a".repeat(64)));
        assert!(matches(&"*".repeat(1_000_000), "acl-1"));
    }
}
