//! What a request says of Apache Superset.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidRequest, PointsTo};

/// Data sources of one request: more would not be done within the time that a run has for them.
const DATA_SOURCES_MAX: usize = 20;

/// An instance of Apache Superset, and its data sources that follow the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SupersetRequest {
    /// Its address, such as `https://superset.example.com`.
    pub url: String,
    /// ARN of the Secrets Manager secret with `username` and `password` of a login of its API.
    pub login_secret_arn: String,
    /// Where that login is checked.
    #[serde(default)]
    pub provider: Provider,
    /// Allow `http`, which shows passwords to the network; only to a loopback or private address.
    #[serde(default)]
    pub plain_http: bool,
    /// Its data sources, by Superset's other name: databases.
    pub data_sources: Vec<DataSourceRequest>,
}

/// Where Superset checks a login.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, strum::Display, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Provider {
    /// In its own database.
    #[default]
    Db,
    /// In a directory.
    Ldap,
}

/// A data source: pointed elsewhere, renamed and pointed elsewhere, or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSourceRequest {
    /// The name it has.
    pub name: String,
    /// What it shall connect to; absent of one that is removed.
    #[serde(default)]
    pub points_to: Option<PointsTo>,
    /// ARN of the Secrets Manager secret with the `password` of its database user; absent of one
    /// that is removed.
    #[serde(default)]
    pub password_secret_arn: Option<String>,
    /// The name it shall have.
    #[serde(default)]
    pub rename_to: Option<String>,
    /// Remove it once away is rebuilt.
    #[serde(default)]
    pub remove: bool,
}

/// Checks all instances of a request between these two Regions.
pub(super) fn check(
    instances: &[SupersetRequest],
    regions: [&str; 2],
) -> Result<(), InvalidRequest> {
    let mut sources = 0;
    let mut names = BTreeSet::new();
    for (i, instance) in instances.iter().enumerate() {
        let field = format!("endpoints.superset[{i}]");
        instance.check(&field, regions)?;
        for (j, source) in instance.data_sources.iter().enumerate() {
            let field = format!("{field}.data_sources[{j}]");
            source.check(&field, regions)?;
            // A name that one gives up and another takes would depend on their order.
            for (part, name) in
                [("name", Some(&source.name)), ("rename_to", source.rename_to.as_ref())]
            {
                let Some(name) = name else { continue };
                if !names.insert((instance.url.trim_end_matches('/').to_owned(), name.clone())) {
                    let problem = format!("repeats `{name}` of the same Superset");
                    return Err(InvalidRequest::new(format!("{field}.{part}"), problem));
                }
            }
            sources += 1;
        }
    }
    if sources > DATA_SOURCES_MAX {
        let problem =
            format!("names {sources} data sources; at most {DATA_SOURCES_MAX} are allowed");
        return Err(InvalidRequest::new("endpoints.superset", problem));
    }
    Ok(())
}

impl SupersetRequest {
    fn check(&self, field: &str, regions: [&str; 2]) -> Result<(), InvalidRequest> {
        address(&self.url, self.plain_http).map_err(|problem| {
            InvalidRequest::new(format!("{field}.url"), format!("is `{}`, {problem}", self.url))
        })?;
        secret_arn(&format!("{field}.login_secret_arn"), &self.login_secret_arn, regions)?;
        if self.data_sources.is_empty() {
            return Err(InvalidRequest::new(format!("{field}.data_sources"), "is empty"));
        }
        Ok(())
    }
}

impl DataSourceRequest {
    fn check(&self, field: &str, regions: [&str; 2]) -> Result<(), InvalidRequest> {
        let wrong = |part: &str, problem: &str| {
            Err(InvalidRequest::new(format!("{field}.{part}"), problem))
        };
        for (part, name) in [("name", Some(&self.name)), ("rename_to", self.rename_to.as_ref())] {
            if name.is_some_and(|name| name.trim().is_empty()) {
                return wrong(part, "is empty");
            }
        }
        if self.remove {
            return match (&self.points_to, &self.password_secret_arn, &self.rename_to) {
                (Some(_), _, _) => wrong("points_to", "is given although `remove` is true"),
                (_, Some(_), _) => {
                    wrong("password_secret_arn", "is given although `remove` is true")
                }
                (_, _, Some(_)) => wrong("rename_to", "is given although `remove` is true"),
                (None, None, None) => Ok(()),
            };
        }
        if self.points_to.is_none() {
            return wrong("points_to", "is missing; without it only `remove` makes sense");
        }
        let Some(secret) = &self.password_secret_arn else {
            return wrong(
                "password_secret_arn",
                "is missing; Superset takes a new host only with the real password",
            );
        };
        secret_arn(&format!("{field}.password_secret_arn"), secret, regions)
    }
}

/// The Region of a secret, by its ARN.
pub fn region_of_secret(arn: &str) -> Option<&str> {
    match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", _, "secretsmanager", region, account, "secret", name]
            if !region.is_empty() && !account.is_empty() && !name.is_empty() =>
        {
            Some(region)
        }
        _ => None,
    }
}

/// The functions may read no secret elsewhere.
fn secret_arn(field: &str, arn: &str, regions: [&str; 2]) -> Result<(), InvalidRequest> {
    match region_of_secret(arn) {
        Some(region) if regions.contains(&region) => Ok(()),
        Some(region) => Err(InvalidRequest::new(
            field,
            format!("is the ARN of a secret in {region}; it must be in {}", regions.join(" or ")),
        )),
        None => Err(InvalidRequest::new(field, "is not the ARN of a Secrets Manager secret")),
    }
}

/// Whether passwords may be sent to this address; what is wrong with it otherwise.
fn address(url: &str, plain_http: bool) -> Result<(), &'static str> {
    let (is_https, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err("which does not begin with `https://`"),
    };
    let plain = |c: char| c.is_ascii_graphic() && !"@?#\\\"<>".contains(c);
    if !rest.chars().all(plain) {
        return Err("which is not scheme, host, port and path alone");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => inner.split_once(']').ok_or("whose host cannot be read")?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |port: &str| port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
    if host.is_empty() || !(port.is_empty() || is_port(port)) {
        return Err("whose host or port cannot be read");
    }
    if is_https {
        return Ok(());
    }
    if !plain_http {
        return Err(
            "which would show passwords to the network. Use `https`, or say `plain_http` if \
                    it is a loopback or private address",
        );
    }
    if is_private(host) {
        Ok(())
    } else {
        Err(
            "which is neither a loopback nor a private address: passwords are sent there by `https` only",
        )
    }
}

/// By its address: what a name stands for is not known here.
fn is_private(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip == Ipv6Addr::LOCALHOST || ip.is_unique_local(),
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_over_https_or_to_a_private_address_that_is_allowed() {
        for (url, plain_http, allowed) in [
            ("https://superset.example.com", false, true),
            ("https://superset.example.com:8443/bi/", false, true),
            ("https://[2001:db8::1]:443", false, true),
            ("http://127.0.0.1:8088", true, true),
            ("http://localhost:8088", true, true),
            ("http://10.1.1.20", true, true),
            ("http://[::1]:8088", true, true),
            ("http://[fd00::5]", true, true),
            ("http://127.0.0.1:8088", false, false),
            ("http://8.8.8.8", true, false),
            ("http://superset.example.com", true, false),
            ("http://localhost.example.com", true, false),
            ("http://127.0.0.1.example.com", true, false),
            ("http://127.0.0.1@example.com", true, false),
            ("https://user@superset.example.com", false, false),
            ("https://superset.example.com?x=y", false, false),
            ("https://superset.example.com:port", false, false),
            ("https://", false, false),
            ("https://[::1", false, false),
            ("ftp://superset.example.com", false, false),
            ("superset.example.com", false, false),
        ] {
            assert_eq!(address(url, plain_http).is_ok(), allowed, "{url} {plain_http}");
        }
    }
}
