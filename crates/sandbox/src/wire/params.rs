//! Parameters as awsQuery and ec2Query send them.

use std::collections::BTreeMap;

use super::AwsError;

/// Form parameters, flattened as awsQuery sends them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Decodes `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn parse(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    /// One parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// True when the parameter, a list or a structure below it was sent.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || {
            let below = format!("{name}.");
            self.0.range(below.clone()..).next().is_some_and(|(key, _)| key.starts_with(&below))
        }
    }

    /// One parameter that must be there.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&str, AwsError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            AwsError::bad_request(
                "MissingParameter",
                format!("The request must contain the parameter {name}"),
            )
        })
    }

    /// A boolean.
    ///
    /// # Errors
    /// `InvalidParameterValue` when it is neither `true` nor `false`.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, AwsError> {
        self.parsed(name)
    }

    /// An integer.
    ///
    /// # Errors
    /// `InvalidParameterValue` when it is not one.
    pub fn int(&self, name: &str) -> Result<Option<i32>, AwsError> {
        self.parsed(name)
    }

    /// A number.
    ///
    /// # Errors
    /// `InvalidParameterValue` when it is not one.
    pub fn float(&self, name: &str) -> Result<Option<f64>, AwsError> {
        self.parsed(name)
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, AwsError> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    AwsError::bad_request(
                        "InvalidParameterValue",
                        format!("Invalid value {value} for {name}"),
                    )
                })
            })
            .transpose()
    }

    /// The values `prefix.1`, `prefix.2`, …; the prefix includes the member name, if the protocol
    /// has one: `VpcSecurityGroupIds.VpcSecurityGroupId`.
    #[must_use]
    pub fn list(&self, prefix: &str) -> Vec<String> {
        (1..).map_while(|n| self.get(&format!("{prefix}.{n}")).map(str::to_owned)).collect()
    }

    /// The structures below `prefix.1`, `prefix.2`, …
    #[must_use]
    pub fn structures(&self, prefix: &str) -> Vec<Params> {
        (1..)
            .map_while(|n| {
                let inner = self.below(&format!("{prefix}.{n}"));
                (!inner.0.is_empty()).then_some(inner)
            })
            .collect()
    }

    /// The parameters below `prefix`, with the prefix taken off.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Params {
        let start = format!("{prefix}.");
        Self(
            self.0
                .range(start.clone()..)
                .take_while(|(key, _)| key.starts_with(&start))
                .map(|(key, value)| (key[start.len()..].to_owned(), value.clone()))
                .collect(),
        )
    }
}
