//! A database URI as Superset comes to understand it.

use super::MASK;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) scheme: String,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) host: String,
    /// Port, database and parameters, as they stand.
    pub(super) rest: String,
}

impl Uri {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, after) = text.trim().split_once("://")?;
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        let (userinfo, address) = authority.rsplit_once('@')?;
        let (user, password) = match userinfo.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (userinfo, None),
        };
        let host_end = address.find(':').unwrap_or(address.len());
        let (host, port) = address.split_at(host_end);
        if scheme.is_empty() || host.is_empty() {
            return None;
        }
        Some(Self {
            scheme: scheme.to_owned(),
            user: decoded(user),
            // Once when it is read, and once more when it is stored.
            password: password.filter(|p| !p.is_empty()).map(|p| decoded(&decoded(p))),
            host: host.to_owned(),
            rest: format!("{port}{path}"),
        })
    }

    /// As Superset shows it.
    pub(super) fn masked(&self) -> String {
        let Self { scheme, user, host, rest, .. } = self;
        let mask = if self.password.is_some() { format!(":{MASK}") } else { String::new() };
        format!("{scheme}://{user}{mask}@{host}{rest}")
    }

    pub(super) fn is_mysql(&self) -> bool {
        self.scheme.starts_with("mysql") || self.scheme.starts_with("mariadb")
    }
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        rest = if byte.is_some() { &after[2..] } else { after };
        out.push(byte.unwrap_or(*first));
    }
    String::from_utf8_lossy(&out).into_owned()
}
