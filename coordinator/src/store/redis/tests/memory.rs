//! A server whose memory fills up.

use likeness_shared::errors::ServiceError;
use likeness_shared::proto::GenerationResult;

use super::*;
use crate::store::conformance::{beat, claimant, generation, person, settlement, worker};
use crate::store::invariants::of_snapshot;
use crate::store::record::Outcome;
use crate::store::transition::{AttemptEnd, SettleVerdict};

/// What the server uses at this moment, in bytes.
fn used(server: &RedisServer) -> u64 {
    let facts = server.command(&["INFO", "memory"]);
    let used = facts.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    used.trim().parse().unwrap()
}

fn limit(server: &RedisServer, bytes: u64) {
    server.command(&["CONFIG", "SET", "maxmemory", &bytes.to_string()]);
}

#[tokio::test]
async fn from_a_share_of_the_memory_on_nothing_new_is_taken_and_everything_else_passes() {
    let server = RedisServer::start();
    let store = RedisBench::on(&server).store().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    limit(&server, used(&server) * 10 / 9);
    assert!(store.expire_leases().await.unwrap().is_empty());
    let refused = store.submit(generation("anna", "r2")).await.unwrap_err();
    assert!(matches!(refused, StoreError::MemoryShort { most: 80, .. }), "{refused}");
    let refused_person = store.import_person(person("anna", "aunt", "aunt")).await.unwrap_err();
    assert!(matches!(refused_person, StoreError::MemoryShort { .. }), "{refused_person}");
    let answer = ServiceError::from(refused);
    let ServiceError::ResourceExhausted { subject: "memory", retry_after: Some(_), .. } = answer else {
        panic!("{answer:?}")
    };
    assert!(store.submit(generation("anna", "r1")).await.unwrap().repeated, "a repetition is nothing new");
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    store.beat(worker("w1"), vec![beat(&lease, 3, b"three")]).await.unwrap();
    let drawn = AttemptEnd::Succeeded(Outcome::Generation(GenerationResult::default()));
    let settled = settlement("w1", id, lease.fence, drawn);
    assert_eq!(store.settle(settled).await.unwrap(), SettleVerdict::Accepted);
    limit(&server, used(&server) * 2);
    assert!(store.expire_leases().await.unwrap().is_empty());
    assert!(!store.submit(generation("anna", "r2")).await.unwrap().repeated);
    assert_eq!(of_snapshot(&store.snapshot().await.unwrap()), Vec::<String>::new());
}

#[tokio::test]
async fn what_fills_up_between_two_looks_is_refused_by_the_server_itself() {
    let server = RedisServer::start();
    let store = RedisBench::on(&server).store().await;
    limit(&server, 1);
    assert_eq!(store.submit(generation("anna", "r1")).await.unwrap_err(), StoreError::MemoryFull);
    limit(&server, 0);
    assert!(!store.submit(generation("anna", "r1")).await.unwrap().repeated);
}
