//! Where a Redis is: one server, or a service of which sentinels know the primary.
//!
//! - `redis://user:password@host:port/DB`
//! - `redis+sentinel://user:password@host:port,host:port/SERVICE/DB`: user, password and DB are the Redis', the hosts
//!   are the sentinels'. Without a port they listen on 26379.
//!
//! Printed without the password. [`Connector`] makes connections, each to the primary of that moment.

mod connect;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

pub use connect::{ConnectError, Connected, Connector, Patience};

/// Where sentinels listen unless told otherwise.
const SENTINEL_PORT: u16 = 26379;
/// In front of an address of sentinels.
const SENTINEL_SCHEME: &str = "redis+sentinel";
/// Sentinels of one service, at most.
const MAX_SENTINELS: usize = 16;

/// A place, with user, password and database.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// `redis://`: the server; where sentinels are asked, user, password and database of whatever server they name.
    server: Url,
    sentinels: Option<Sentinels>,
}

/// Who knows the primary.
#[derive(Clone, PartialEq, Eq)]
struct Sentinels {
    service: String,
    /// Host and port of each, at least one.
    hosts: Vec<(String, u16)>,
}

/// A text that is no address of a Redis. Says so without the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{scheme}://… is no address of a Redis: {problem}. Use redis://HOST:PORT/DB or redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB"
)]
pub struct InvalidAddress {
    scheme: String,
    problem: &'static str,
}

impl FromStr for RedisAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
        let parsed = match scheme {
            "redis" => server(rest).map(|server| Self { server, sentinels: None }),
            SENTINEL_SCHEME => sentinels(rest),
            "rediss" => {
                Err("TLS is not supported: use a private network or a TLS proxy beside the coordinator")
            }
            _ => Err("no other scheme is known"),
        };
        // whatever does not look like a scheme may be a password
        let known = ["redis", "rediss", SENTINEL_SCHEME, "http", "https", "valkey"].contains(&scheme);
        let scheme = if known { scheme.to_owned() } else { "…".to_owned() };
        parsed.map_err(|problem| InvalidAddress { scheme, problem })
    }
}

/// What follows `redis://`.
fn server(rest: &str) -> Result<Url, &'static str> {
    let url = Url::parse(&format!("redis://{rest}")).map_err(|_| "this URL cannot be read")?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("the host is missing");
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err("DB is a number");
    }
    Ok(url)
}

/// What follows `redis+sentinel://`.
fn sentinels(rest: &str) -> Result<RedisAddress, &'static str> {
    let (authority, path) = rest.split_once('/').ok_or("the service is missing")?;
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let (service, database) = path.split_once('/').unwrap_or((path, "0"));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if service.is_empty() || !service.chars().all(allowed) {
        return Err("SERVICE is the name that the sentinels know: letters, digits, '-', '_' or '.'");
    }
    let hosts: Vec<(String, u16)> = hosts.split(',').map(host).collect::<Result<_, _>>()?;
    if hosts.len() > MAX_SENTINELS {
        return Err("it names more than 16 sentinels");
    }
    // the host is replaced by the one that the sentinels name
    let server = server(&format!("{user}sentinels/{database}"))?;
    Ok(RedisAddress { server, sentinels: Some(Sentinels { service: service.to_owned(), hosts }) })
}

fn host(text: &str) -> Result<(String, u16), &'static str> {
    let url =
        Url::parse(&format!("redis://{text}")).map_err(|_| "the address of a sentinel cannot be read")?;
    let plain = url.path().is_empty() && url.username().is_empty() && url.query().is_none();
    match url.host_str() {
        Some(host) if plain && !host.is_empty() => {
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            Ok((host, url.port().unwrap_or(SENTINEL_PORT)))
        }
        _ => Err("a sentinel is HOST:PORT"),
    }
}

/// Host and port as they are written, with brackets around an IPv6 address.
fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.server.clone();
        if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
            return f.write_str("redis://…");
        }
        let Some(Sentinels { service, hosts }) = &self.sentinels else { return shown.fmt(f) };
        let hosts: Vec<String> = hosts.iter().map(|(host, port)| host_and_port(host, *port)).collect();
        let user = match (shown.username(), shown.password()) {
            ("", None) => String::new(),
            (user, None) => format!("{user}@"),
            (user, Some(password)) => format!("{user}:{password}@"),
        };
        let database = shown.path().trim_start_matches('/');
        let database = if database.is_empty() { "0" } else { database };
        write!(f, "{SENTINEL_SCHEME}://{user}{}/{service}/{database}", hosts.join(","))
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

impl Serialize for RedisAddress {
    /// As it is printed: without the password.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RedisAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
