//! What a store in Redis must be told.

use std::time::Duration;

use likeness_shared::redis_address::RedisAddress;

use super::clock::RedisClock;
use crate::store::StoreTimes;
use crate::store::fair::FairPolicy;

/// Where the store is, and what is expected of it.
#[derive(Clone)]
pub struct RedisSettings {
    /// One server, or a service whose primary sentinels know.
    pub address: RedisAddress,
    /// The sentinels' own password; empty = they ask for none.
    pub sentinel_password: String,
    /// Name of the fleet, in front of every key. 1 to 64 letters, digits, `-`, `_` or `.`.
    pub fleet: String,
    /// Whether a server that may lose what it was told is refused, or only warned of.
    pub durability: Durability,
    /// Replicas that must have a submit before it is acknowledged.
    pub replicas: u32,
    /// Share of the server's maxmemory up to which it takes what makes it grow.
    pub memory_share: f64,
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// For one command to be answered.
    pub command_timeout: Duration,
    /// The times that the store keeps to.
    pub times: StoreTimes,
    /// How GPU time is shared.
    pub policy: FairPolicy,
    /// Where the time comes from.
    pub clock: RedisClock,
}

/// What is demanded of the server's own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Refuses a server that forgets keys under memory pressure, or all of them at a restart.
    #[default]
    Strict,
    /// Warns.
    Relaxed,
}

impl std::fmt::Debug for RedisSettings {
    /// Without passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings")
            .field("address", &self.address)
            .field("fleet", &self.fleet)
            .field("durability", &self.durability)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}
