//! What a server must be before it is trusted with tasks.

use std::cmp::Ordering;

use redis::Value;
use ulid::Ulid;

use super::keys::Keys;
use super::link::{Exchange, Link};
use super::load::{read, single, values};
use super::settings::{Durability, RedisSettings};
use crate::store::StoreError;

/// The oldest server that has all that the scripts use.
const OLDEST: (u32, u32) = (7, 0);
/// The layout of keys that this version writes.
const FORMAT: u64 = 2;

/// Refuses a server that cannot keep what it is told.
pub(super) async fn check(link: &Link, keys: &Keys, settings: &RedisSettings) -> Result<(), StoreError> {
    let refuse = |reason: String| StoreError::Unsuitable { address: link.place(), reason };
    let facts = facts(link).await?;
    let version = version(&facts);
    if parse_version(version).is_none_or(|version| version < OLDEST) {
        return Err(refuse(format!("it is version {version}: 7.0 or newer is needed")));
    }
    let attached: u32 = fact(&facts, "connected_slaves").parse().unwrap_or(0);
    if fact(&facts, "maxmemory") == "0" {
        tracing::warn!(
            "the Redis of the task store has no maxmemory: nothing keeps tasks from filling the machine's memory"
        );
    }
    let mut doubts = config_doubts(link).await;
    if attached < settings.replicas {
        doubts.push(format!("it has {attached} replicas, and {} are promised", settings.replicas));
    }
    if !doubts.is_empty() {
        let doubts = doubts.join("; ");
        match settings.durability {
            Durability::Strict => {
                return Err(refuse(format!(
                    "{doubts}. Change its configuration, or set redis.durability = \"relaxed\" if tasks may be lost"
                )));
            }
            Durability::Relaxed => tracing::warn!(doubts, "the Redis of the task store may lose tasks"),
        }
    }
    warn_of_late_writes(link, settings).await;
    check_format(link, keys).await
}

/// Says what an acknowledgement is worth where it comes before the write to the disk.
async fn warn_of_late_writes(link: &Link, settings: &RedisSettings) {
    match config(link, "appendfsync").await.as_deref() {
        Ok("always") | Err(_) => {}
        Ok(policy) if settings.replicas == 0 => tracing::warn!(
            policy,
            "the Redis of the task store writes to its disk after it answers: up to two seconds of acknowledged tasks \
             are lost where it is killed. Set appendfsync always, or promise replicas with redis.replicas"
        ),
        Ok(_) => {}
    }
}

async fn facts(link: &Link) -> Result<String, StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication").cmd("INFO").arg("memory");
    let facts: Result<Vec<String>, StoreError> =
        values(link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter().map(read).collect();
    Ok(facts?.concat())
}

pub(super) fn fact<'f>(facts: &'f str, name: &str) -> &'f str {
    let found = facts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.map_or("", str::trim)
}

/// A Valkey says with which Redis it is compatible, and its own version beside that.
fn version(facts: &str) -> &str {
    match fact(facts, "redis_version") {
        "" => fact(facts, "valkey_version"),
        version => version,
    }
}

fn parse_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What the server's own settings put in doubt.
async fn config_doubts(link: &Link) -> Vec<String> {
    let policy = config(link, "maxmemory-policy").await;
    let limit = config(link, "maxmemory").await;
    let log = config(link, "appendonly").await;
    let (Ok(policy), Ok(limit), Ok(log)) = (policy, limit, log) else {
        return vec!["its settings cannot be read (CONFIG GET is refused)".to_owned()];
    };
    let mut doubts = Vec::new();
    if policy != "noeviction" {
        let when = if limit == "0" { " once it has a maxmemory" } else { "" };
        doubts
            .push(format!("its maxmemory-policy is {policy}: it must be noeviction, or tasks vanish{when}"));
    }
    if log != "yes" {
        doubts.push("it has no append-only file (appendonly no): a restart would lose tasks".to_owned());
    }
    doubts
}

async fn config(link: &Link, name: &str) -> Result<String, StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("CONFIG").arg("GET").arg(name);
    let pair: Vec<String> = single(link.ask(Exchange::Commands(&pipeline)).await?)?;
    Ok(pair.into_iter().nth(1).unwrap_or_default())
}

async fn check_format(link: &Link, keys: &Keys) -> Result<(), StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("HSETNX").arg(keys.meta()).arg("format").arg(FORMAT);
    pipeline.cmd("HSETNX").arg(keys.meta()).arg("identity").arg(Ulid::generate().to_string());
    pipeline.cmd("HGET").arg(keys.meta()).arg("format");
    let answers = values(link.ask(Exchange::Commands(&pipeline)).await?)?;
    let found: u64 = read(answers.into_iter().nth(2).unwrap_or(Value::Nil))?;
    let advice = match found.cmp(&FORMAT) {
        Ordering::Equal => return Ok(()),
        Ordering::Greater => "run the newer version",
        Ordering::Less => "run the version that wrote them",
    };
    Err(StoreError::Unsuitable {
        address: link.place(),
        reason: format!(
            "its tasks were written in format {found}, and this version knows format {FORMAT}: {advice}, or choose \
             another redis.fleet"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valkey_is_as_new_as_the_redis_that_it_stands_for() {
        let redis = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n";
        let valkey = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n";
        let alone = "# Server\r\nserver_name:valkey\r\nvalkey_version:9.0.0\r\n";
        let versions = [redis, valkey, alone].map(|facts| parse_version(version(facts)));
        assert_eq!(versions, [Some((7, 0)), Some((7, 2)), Some((9, 0))]);
        assert!(parse_version(version("# Server\r\nredis_version:6.2.7\r\n")).unwrap() < OLDEST);
    }
}
