//! A primary that dies, and sentinels that put a replica in its place.

use std::time::Instant;

use likeness_shared::proto::{Durability as Kept, GenerationResult};

use super::sentinels::Sentinels;
use super::*;
use crate::store::conformance::{advance, beat, claimant, generation, settlement, worker};
use crate::store::invariants::of_snapshot;
use crate::store::record::Outcome;
use crate::store::transition::{AttemptEnd, SettleVerdict};

/// For a failover: the primary is missed, one of the sentinels is elected, a replica is promoted.
const FAILOVER: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_store_goes_on_alone_after_a_failover_with_everything_that_was_acknowledged() {
    let mut primary = RedisServer::start();
    let replicas = [RedisServer::replica_of(&primary), RedisServer::replica_of(&primary)];
    let mut sentinels = Sentinels::over(&primary, None);
    let clock = clock();
    let promising = RedisSettings {
        replicas: 1,
        command_timeout: Duration::from_secs(1),
        ..settings(sentinels.url(), "test", RedisClock::Manual(Arc::clone(&clock)))
    };
    let store = RedisStore::open(promising).await.unwrap();
    assert_eq!(store.durability(), Kept::Replicated);
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        acknowledged.push(store.submit(generation("anna", &format!("r{number}"))).await.unwrap().task.id);
    }
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    replicas.iter().for_each(|replica| replica.catch_up_with(&primary));
    sentinels.kill_one();
    // the two that are left are enough to agree
    primary.kill();
    let killed = Instant::now();
    let mut tries = 0;
    let after = loop {
        match store.submit(generation("anna", "after")).await {
            Ok(submitted) => break submitted.task.id,
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error}"),
        }
        tries += 1;
        assert!(killed.elapsed() < FAILOVER, "no failover after {tries} tries");
    };
    acknowledged.push(after);
    for id in &acknowledged {
        assert!(store.task(*id).await.is_ok(), "an acknowledged task is gone");
    }
    // nothing was lost, so nothing is to be recovered from
    advance(&clock, Duration::from_secs(1));
    assert!(store.expire_leases().await.unwrap().is_empty());
    assert_eq!(store.health().borrow().condition, crate::store::Condition::Ready);
    store.beat(worker("w1"), vec![beat(&lease, 3, b"three")]).await.unwrap();
    let drawn = AttemptEnd::Succeeded(Outcome::Generation(GenerationResult::default()));
    let settled = settlement("w1", lease.task.id, lease.fence, drawn);
    assert_eq!(store.settle(settled).await.unwrap(), SettleVerdict::Accepted);
    assert_eq!(store.claim(claimant("w2"), 1).await.unwrap().len(), 1);
    assert_eq!(of_snapshot(&store.snapshot().await.unwrap()), Vec::<String>::new());
}

#[tokio::test]
async fn sentinels_may_have_a_password_of_their_own() {
    let primary = RedisServer::start();
    let sentinels = Sentinels::over(&primary, Some("of-the-sentinels"));
    let with = |password: &str| RedisSettings {
        sentinel_password: password.to_owned(),
        ..settings(sentinels.url(), "test", RedisClock::Server)
    };
    let refused = RedisStore::open(with("")).await.unwrap_err().to_string();
    assert!(refused.contains("no sentinel of \"main\" names its primary"), "{refused}");
    let store = RedisStore::open(with("of-the-sentinels")).await.unwrap();
    assert_eq!(store.durability(), Kept::Local);
    assert!(!store.submit(generation("anna", "r1")).await.unwrap().repeated);
    let unknown = sentinels.url().replace("/main/", "/other/").parse().unwrap();
    let unknown = RedisSettings { address: unknown, ..with("of-the-sentinels") };
    let refused = RedisStore::open(unknown).await.unwrap_err().to_string();
    assert!(refused.contains("does not know \"other\""), "{refused}");
}
