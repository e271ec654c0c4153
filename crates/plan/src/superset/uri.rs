//! Database URIs as SQLAlchemy reads them: everything but host and password is kept byte for byte.

use std::fmt::Write;

use super::Problem;

/// Query parameters by which a driver connects elsewhere than to the URI's host.
const OTHER_WAYS: [&str; 6] =
    ["host", "hostaddr", "service", "unix_socket", "read_default_file", "read_default_group"];

/// What is needed to test a connection with time-outs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// mysqlclient or PyMySQL: `connect_timeout` and `read_timeout`.
    MySql,
    /// psycopg: libpq's `connect_timeout` ends with the log-in.
    PostgreSql,
}

/// A database URI in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uri<'a> {
    scheme: &'a str,
    user: &'a str,
    host: &'a str,
    /// From the port, or what comes instead, to the end.
    rest: &'a str,
    pub(super) driver: Driver,
}

impl<'a> Uri<'a> {
    /// Reads a URI. It is never repeated in a problem: it may hold a password.
    pub(super) fn parse(text: &'a str) -> Result<Self, Problem> {
        let problem = |what: &str| Err(Problem(format!("its SQLAlchemy URI {what}")));
        let Some((scheme, after)) = text.split_once("://") else {
            return problem("has no scheme");
        };
        let Some(driver) = driver(scheme) else {
            return problem(&format!(
                "has the scheme `{scheme}`; only those of MySQL (mysqlclient, PyMySQL) and PostgreSQL \
                 (psycopg) can be tested with time-outs"
            ));
        };
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        let Some((userinfo, address)) = authority.rsplit_once('@') else {
            return problem("names no user");
        };
        let user = userinfo.split(':').next().unwrap_or_default();
        let host_end = match address.strip_prefix('[') {
            Some(inner) => inner.find(']').map(|at| at + 2),
            None => Some(address.find(':').unwrap_or(address.len())),
        };
        let Some(host_end) = host_end else { return problem("cannot be read") };
        let host = &address[..host_end];
        if user.is_empty() || host.is_empty() {
            return problem("names no user or no host");
        }
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let names = query.split('&').filter_map(|pair| pair.split('=').next());
        if let Some(other) = names.into_iter().find(|name| OTHER_WAYS.contains(name)) {
            return problem(&format!("connects by its parameter `{other}` and not by its host"));
        }
        let rest = &after[userinfo.len() + 1 + host_end..];
        Ok(Self { scheme, user, host, rest, driver })
    }

    /// The host as it stands.
    pub(super) fn host(&self) -> &'a str {
        self.host
    }

    /// The user, decoded.
    pub(super) fn user(&self) -> String {
        decoded(self.user)
    }

    /// The same URI with another host and this password.
    pub(super) fn with(&self, host: &str, password: &str) -> String {
        let Self { scheme, user, rest, .. } = self;
        format!("{scheme}://{user}:{}@{host}{rest}", encoded(password))
    }
}

fn driver(scheme: &str) -> Option<Driver> {
    match scheme {
        "mysql" | "mysql+mysqldb" | "mysql+pymysql" | "mariadb" | "mariadb+mysqldb"
        | "mariadb+pymysql" => Some(Driver::MySql),
        "postgresql" | "postgres" | "postgresql+psycopg2" | "postgresql+psycopg" => {
            Some(Driver::PostgreSql)
        }
        _ => None,
    }
}

/// Everything but unreserved characters (RFC 3986) as `%XX`: no parser can take it for anything else.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
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

/// Superset decodes a URI twice: what looks like an escape would become another password.
pub(super) fn survives_decoding_twice(password: &str) -> bool {
    let bytes = password.as_bytes();
    !bytes.windows(3).any(|w| w[0] == b'%' && w[1..].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_password_alone_are_exchanged() {
        for (read, sent) in [
            (
                "mysql+pymysql://ap%40p:XXXXXXXXXX@old.example:3306/my%20lab?charset=utf8mb4&ssl_ca=/a/b",
                "mysql+pymysql://ap%40p:s%2Fe%3Ac%40r%3Ft%25@new.example:3306/my%20lab?charset=utf8mb4&ssl_ca=/a/b",
            ),
            (
                "postgresql+psycopg2://app:XXXXXXXXXX@old.example/lab",
                "postgresql+psycopg2://app:s%2Fe%3Ac%40r%3Ft%25@new.example/lab",
            ),
            ("mysql://app:XXXXXXXXXX@old.example", "mysql://app:s%2Fe%3Ac%40r%3Ft%25@new.example"),
            (
                "mysql://app:XXXXXXXXXX@[::1]:3306/x",
                "mysql://app:s%2Fe%3Ac%40r%3Ft%25@new.example:3306/x",
            ),
            (
                "mysql://app@old.example?charset=utf8",
                "mysql://app:s%2Fe%3Ac%40r%3Ft%25@new.example?charset=utf8",
            ),
        ] {
            let uri = Uri::parse(read).expect(read);
            assert_eq!(uri.with("new.example", "s/e:c@r?t%"), sent);
        }
    }

    #[test]
    fn uri_that_does_not_connect_by_its_host_is_refused_without_being_repeated() {
        for (text, words) in [
            ("mysql://app:XXXXXXXXXX@/lab", "no host"),
            ("mysql://old.example/lab", "names no user"),
            ("mysql://app:XXXXXXXXXX@[::1/lab", "cannot be read"),
            ("mysql://app:XXXXXXXXXX@h/lab?unix_socket=/run/x", "`unix_socket`"),
            ("postgresql://app:XXXXXXXXXX@h/lab?sslmode=require&host=other", "`host`"),
            ("snowflake://app:XXXXXXXXXX@h/lab", "`snowflake`"),
            ("app:XXXXXXXXXX@h", "no scheme"),
        ] {
            let Problem(problem) = Uri::parse(text).expect_err(text);
            assert!(problem.contains(words), "{text}: {problem}");
            assert!(!problem.contains("XXXX"), "{problem}");
        }
    }

    #[test]
    fn password_that_would_be_decoded_twice_is_told_from_others() {
        for (password, survives) in [
            ("100%", true),
            ("50%off", true),
            ("a%zz", true),
            ("a%41b", false),
            ("%aF", false),
            ("%25", false),
        ] {
            assert_eq!(survives_decoding_twice(password), survives, "{password}");
        }
    }

    #[test]
    fn user_is_read_decoded() {
        assert_eq!(Uri::parse("mysql://ap%40p%:x@h").expect("a URI").user(), "ap@p%");
    }
}
