//! What a server must be before it is trusted with tasks.

use std::cmp::Ordering;

use redis::Value;

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
    let refuse = |reason: String| StoreError::Unsuitable { address: link.address().to_owned(), reason };
    let facts = facts(link).await?;
    let version = fact(&facts, "redis_version");
    if parse_version(version).is_none_or(|version| version < OLDEST) {
        return Err(refuse(format!("it is version {version}: 7.0 or newer is needed")));
    }
    if fact(&facts, "role") != "master" {
        return Err(refuse("it is a replica: give the address of the primary".to_owned()));
    }
    let attached: u32 = fact(&facts, "connected_slaves").parse().unwrap_or(0);
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
    check_format(link, keys).await
}

async fn facts(link: &Link) -> Result<String, StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let facts: Result<Vec<String>, StoreError> =
        values(link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter().map(read).collect();
    Ok(facts?.concat())
}

fn fact<'f>(facts: &'f str, name: &str) -> &'f str {
    let found = facts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.map_or("", str::trim)
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
    pipeline.cmd("HGET").arg(keys.meta()).arg("format");
    let answers = values(link.ask(Exchange::Commands(&pipeline)).await?)?;
    let found: u64 = read(answers.into_iter().nth(1).unwrap_or(Value::Nil))?;
    let advice = match found.cmp(&FORMAT) {
        Ordering::Equal => return Ok(()),
        Ordering::Greater => "run the newer version",
        Ordering::Less => "run the version that wrote them",
    };
    Err(StoreError::Unsuitable {
        address: link.address().to_owned(),
        reason: format!(
            "its tasks were written in format {found}, and this version knows format {FORMAT}: {advice}, or choose \
             another redis.fleet"
        ),
    })
}
