//! Where the task store is: a file of its own, or a Redis that several coordinators share.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use likeness_shared::redis_address::{InvalidAddress, RedisAddress};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;
use crate::store::Durability;

/// A path, or the address of a Redis: `redis://user:password@host:port/DB`, or
/// `redis+sentinel://user:password@host:port,host:port/SERVICE/DB`. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// The embedded store's file; made if it is not there.
    File(PathBuf),
    /// A Redis (7.0 or newer) or Valkey.
    Redis(RedisAddress),
}

/// A text that is never printed. Empty = there is none.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself: for whoever asks for it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}

impl Serialize for Secret {
    /// Without the text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "***" })
    }
}

/// What a store in Redis is expected to be. Without meaning for a store in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Name of the fleet, in front of every key: coordinators of one fleet have the same, and several fleets can
    /// share a server. 1 to 64 letters, digits, `-`, `_` or `.`.
    pub fleet: String,
    /// `strict` refuses a server that may lose what it was told (an eviction policy, no append-only file, too few
    /// replicas); `relaxed` warns.
    pub durability: Durability,
    /// Replicas that must have a submit, an import or a settlement before it is acknowledged.
    pub replicas: u32,
    /// The password that the sentinels ask for, where they ask for one; the Redis' own is in the address.
    pub sentinel_password: Secret,
    /// Share of the server's maxmemory up to which new tasks and people are taken; what is there is worked on beyond.
    pub memory_share: f64,
    /// For a connection to be made.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// For one command to be answered.
    #[serde(with = "humantime_serde")]
    pub command_timeout: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            fleet: "default".to_owned(),
            durability: Durability::Strict,
            replicas: 0,
            sentinel_password: Secret::default(),
            memory_share: 0.8,
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_secs(2),
        }
    }
}

impl RedisConfig {
    /// Refuses what cannot work.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |option, problem: String| Err(ConfigError::Option { option, problem });
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=64).contains(&self.fleet.len()) || !self.fleet.chars().all(allowed) {
            return refuse("redis.fleet", "must be 1 to 64 letters, digits, '-', '_' or '.'".to_owned());
        }
        if !(0.1..=1.0).contains(&self.memory_share) {
            return refuse("redis.memory_share", format!("must be 0.1 to 1.0, not {}", self.memory_share));
        }
        for (option, duration) in
            [("redis.connect_timeout", self.connect_timeout), ("redis.command_timeout", self.command_timeout)]
        {
            if duration.is_zero() {
                return refuse(option, "must be longer than nothing".to_owned());
            }
        }
        Ok(())
    }
}

/// A text that is no place for a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// Neither path nor address.
    #[error("the place of the task store is empty: use a path, or redis://HOST:PORT/DB")]
    Empty,
    /// It looks like an address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
}

impl FromStr for StoreLocation {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        if text.is_empty() {
            return Err(InvalidLocation::Empty);
        }
        if text.contains("://") {
            return Ok(Self::Redis(text.parse()?));
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Redis(address) => address.fmt(f),
        }
    }
}

impl fmt::Debug for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreLocation({self})")
    }
}

impl Serialize for StoreLocation {
    /// As it is printed: without the password.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreLocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_file_and_a_url_a_redis() {
        assert_eq!(
            "data/store.redb".parse::<StoreLocation>(),
            Ok(StoreLocation::File(PathBuf::from("data/store.redb")))
        );
        assert!(matches!("redis://localhost:6379/1".parse(), Ok(StoreLocation::Redis(_))));
        assert!(matches!("redis+sentinel://a:1,b:2/main/1".parse(), Ok(StoreLocation::Redis(_))));
        for bad in ["", "rediss://localhost", "http://localhost", "redis:///1", "redis://localhost/one"] {
            assert!(bad.parse::<StoreLocation>().is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let location: StoreLocation = "redis://anna:secret@localhost/2".parse().unwrap();
        let shown = format!("{location} {location:?} {}", serde_json_like(&location));
        assert!(!shown.contains("secret") && shown.contains("redis://anna:***@localhost/2"), "{shown}");
        let error = "redis://anna:secret@localhost/two".parse::<StoreLocation>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let config = RedisConfig { sentinel_password: Secret::from("secret"), ..RedisConfig::default() };
        let shown = format!("{config:?} {:?}", postcard::to_stdvec(&config).map(String::from_utf8));
        assert!(shown.contains("***") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_share_of_memory_is_a_share() {
        for bad in [0.0, 1.5, f64::NAN] {
            let config = RedisConfig { memory_share: bad, ..RedisConfig::default() };
            assert!(config.validate().unwrap_err().to_string().contains("redis.memory_share"), "{bad}");
        }
    }

    fn serde_json_like(location: &StoreLocation) -> String {
        String::from_utf8(postcard::to_stdvec(location).unwrap()).unwrap()
    }

    #[test]
    fn a_fleets_name_is_checked() {
        for bad in ["", "a b", "{a}", "a*", &"x".repeat(65)] {
            let config = RedisConfig { fleet: bad.to_owned(), ..RedisConfig::default() };
            assert!(config.validate().unwrap_err().to_string().contains("redis.fleet"), "{bad:?}");
        }
    }
}
