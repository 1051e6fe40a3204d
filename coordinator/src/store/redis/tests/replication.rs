//! Replicas: what waits for them, and what happens when a primary becomes one.

use super::*;
use crate::store::Condition;
use crate::store::conformance::generation;

#[tokio::test]
async fn a_submit_is_acknowledged_only_once_the_promised_replicas_have_it() {
    let primary = RedisServer::start();
    let promising = RedisSettings { replicas: 1, ..settings(primary.url(), "test", RedisClock::Server) };
    let refused = RedisStore::open(promising.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("it has 0 replicas, and 1 are promised"), "{refused}");
    let replica = RedisServer::replica_of(&primary);
    let store = RedisStore::open(promising.clone()).await.unwrap();
    let hasty = RedisSettings { command_timeout: Duration::from_millis(500), ..promising.clone() };
    let hasty = RedisStore::open(hasty).await.unwrap();
    let kept = store.submit(generation("anna", "r1")).await.unwrap().task.id;

    // connected, and without a word
    replica.pause();
    for lost in [1, 0] {
        hasty.acknowledging.as_ref().unwrap().link.answers_to_lose.store(lost, Ordering::SeqCst);
        let refused = hasty.submit(generation("anna", "r2")).await.unwrap_err();
        assert!(refused.to_string().contains("only 0 of 1 replicas have it"), "{refused}");
    }
    replica.resume();
    let again = store.submit(generation("anna", "r2")).await.unwrap();
    assert!(again.repeated, "it was stored, and is acknowledged by now");

    // the primary is lost, and the replica has all that was acknowledged
    drop(primary);
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let settings = RedisSettings { address: replica.url().parse().unwrap(), replicas: 0, ..promising };
    let store = RedisStore::open(settings).await.unwrap();
    assert!(store.task(kept).await.is_ok() && store.task(again.task.id).await.is_ok());
}

#[tokio::test]
async fn a_replica_is_refused_at_the_start() {
    let primary = RedisServer::start();
    let replica = RedisServer::replica_of(&primary);
    let refused = RedisStore::open(settings(replica.url(), "test", RedisClock::Server)).await.unwrap_err();
    assert!(refused.to_string().contains("is a replica"), "{refused}");
}

#[tokio::test]
async fn a_demoted_primary_is_left_for_the_new_one() {
    let (first, second);
    first = RedisServer::start();
    second = RedisServer::replica_of(&first);
    let signpost = Signpost::to(&first).await;
    let store = RedisStore::open(settings(signpost.url(), "test", RedisClock::Server)).await.unwrap();
    let before = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    second.catch_up_with(&first);
    second.command(&["REPLICAOF", "NO", "ONE"]);
    first.follow(&second);

    let refused = store.submit(generation("anna", "r2")).await.unwrap_err().to_string();
    assert!(refused.contains("is a replica: it was demoted"), "{refused}");
    signpost.turn_to(&second);
    let after = store.submit(generation("anna", "r2")).await.unwrap();
    assert!(!after.repeated);
    assert!(store.task(before).await.is_ok());
    let keys = second.command(&["EXISTS", &format!("{{likeness:test}}:task:{}", after.task.id)]);
    assert!(keys.starts_with(":1"), "the new primary has it: {keys}");
}

#[tokio::test]
async fn a_primary_that_was_a_replica_for_a_while_is_used_again_by_itself() {
    let (first, other) = (RedisServer::start(), RedisServer::start());
    let store = RedisStore::open(settings(first.url(), "test", RedisClock::Server)).await.unwrap();
    let mut health = store.health();
    // nothing is reached at the new primary, so that what is there at first comes back
    other.pause();
    first.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    let refused = store.submit(generation("anna", "r1")).await.unwrap_err().to_string();
    assert!(refused.contains("is a replica: it was demoted"), "{refused}");
    assert!(store.expire_leases().await.is_err());
    assert_eq!(health.borrow_and_update().condition, Condition::Away);
    first.command(&["REPLICAOF", "NO", "ONE"]);
    assert!(!store.submit(generation("anna", "r1")).await.unwrap().repeated);
    assert_eq!(health.borrow_and_update().condition, Condition::Ready);
    other.resume();
}
