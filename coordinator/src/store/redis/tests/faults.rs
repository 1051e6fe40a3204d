//! Answers that get lost, servers that die, and servers that must not be trusted.

use std::time::Instant;

use likeness_shared::proto::GenerationResult;
use tokio::sync::broadcast;

use super::*;
use crate::store::StoreEvent;
use crate::store::conformance::{TTL, advance, beat, claimant, generation, incarnation, settlement, worker};
use crate::store::invariants::of_snapshot;
use crate::store::record::{Outcome, State};
use crate::store::transition::{AttemptEnd, BeatVerdict, SettleVerdict};

/// Whatever must happen happens within this.
const SOON: Duration = Duration::from_secs(20);

fn drawn() -> AttemptEnd {
    AttemptEnd::Succeeded(Outcome::Generation(GenerationResult::default()))
}

async fn assert_sound(store: &RedisStore) {
    assert_eq!(of_snapshot(&store.snapshot().await.unwrap()), Vec::<String>::new());
}

fn lose_answers(store: &RedisStore, count: usize) {
    store.link.answers_to_lose.store(count, Ordering::SeqCst);
}

#[tokio::test]
async fn an_operation_whose_answer_was_lost_is_answered_as_if_it_was_not() {
    let server = RedisServer::start();
    let bench = RedisBench::on(&server);
    let store = bench.store().await;
    lose_answers(&store, 1);
    let submitted = store.submit(generation("anna", "r1")).await.unwrap();
    assert!(!submitted.repeated);
    lose_answers(&store, 2);
    let lease = store.claim(claimant("w1"), 5).await.unwrap().remove(0);
    assert_eq!((lease.task.id, lease.task.attempts.started), (submitted.task.id, 1));
    lose_answers(&store, 1);
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 3, b"three")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
    lose_answers(&store, 1);
    let settled = settlement("w1", lease.task.id, lease.fence, drawn());
    assert_eq!(store.settle(settled).await.unwrap(), SettleVerdict::Accepted);
    assert_eq!(store.link.answers_to_lose.load(Ordering::SeqCst), 0, "every answer was lost that was to be");
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!((of_snapshot(&snapshot), snapshot.tasks.len()), (Vec::new(), 1));
    assert_eq!(snapshot.tasks[&lease.task.id].revision, 4, "each change was made once");
}

#[tokio::test]
async fn a_submit_that_was_given_up_is_found_again_by_its_request_id() {
    let server = RedisServer::start();
    let store = RedisBench::on(&server).store().await;
    lose_answers(&store, usize::MAX);
    let error = store.submit(generation("anna", "r1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    lose_answers(&store, 0);
    assert!(store.submit(generation("anna", "r1")).await.unwrap().repeated);
    assert_eq!(store.snapshot().await.unwrap().tasks.len(), 1);
    assert_sound(&store).await;
}

async fn killed_and_restarted(appendfsync: &str) {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", appendfsync]);
    let clock = clock();
    let store = RedisStore::open(settings(server.url(), "test", RedisClock::Manual(Arc::clone(&clock))))
        .await
        .unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..50 {
        acknowledged.push(store.submit(generation("anna", &format!("r{number}"))).await.unwrap().task.id);
    }
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    let mut events = store.events();
    if appendfsync == "everysec" {
        server.await_log();
    }
    server.kill();
    let asked = Instant::now();
    let refused = store.submit(generation("anna", "away")).await.unwrap_err();
    assert!(refused.to_string().contains("is Redis running there?"), "{refused}");
    assert!(asked.elapsed() < Duration::from_secs(5), "fails fast: {:?}", asked.elapsed());
    assert!(store.expire_leases().await.is_err());
    advance(&clock, TTL * 20);
    server.restart();

    let again = store.submit(generation("anna", "r7")).await.unwrap();
    assert!(again.repeated && again.task.id == acknowledged[7]);
    let snapshot = store.snapshot().await.unwrap();
    assert!(acknowledged.iter().all(|id| snapshot.tasks.contains_key(id)), "an acknowledged task is gone");
    assert_eq!(of_snapshot(&snapshot), Vec::<String>::new());
    // nobody could renew the lease meanwhile, so it has a whole TTL from here
    assert!(store.expire_leases().await.unwrap().is_empty());
    advance(&clock, TTL / 2);
    assert!(store.expire_leases().await.unwrap().is_empty());
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 9, b"nine")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
    advance(&clock, TTL + Duration::from_secs(1));
    assert_eq!(store.expire_leases().await.unwrap(), [lease.task.id]);
    assert_sound(&store).await;
    await_missed(&mut events).await;
}

/// Listeners are told that they may have missed something, and from there on everything.
async fn await_missed(events: &mut broadcast::Receiver<StoreEvent>) {
    loop {
        let event = tokio::time::timeout(SOON, events.recv()).await.expect("listeners are told").unwrap();
        if event == StoreEvent::Missed {
            return;
        }
    }
}

#[tokio::test]
async fn a_killed_server_that_syncs_always_loses_nothing_and_the_store_recovers_by_itself() {
    killed_and_restarted("always").await;
}

#[tokio::test]
async fn a_killed_server_that_syncs_every_second_keeps_what_is_in_its_log_and_the_store_recovers_by_itself() {
    killed_and_restarted("everysec").await;
}

#[tokio::test]
async fn listeners_look_anew_after_the_server_came_back_with_older_data() {
    let server = RedisServer::start();
    let store = RedisBench::on(&server).store().await;
    let mut events = store.events();
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let first = tokio::time::timeout(SOON, events.recv()).await.unwrap().unwrap();
    assert!(matches!(first, StoreEvent::Changed(event) if event.task == id));
    server.command(&["FLUSHALL"]);
    await_missed(&mut events).await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let next = tokio::time::timeout(SOON, events.recv()).await.unwrap().unwrap();
    assert!(matches!(next, StoreEvent::Changed(event) if event.task == id));
}

#[tokio::test]
async fn a_restarted_coordinator_among_others_leaves_leases_alone() {
    let server = RedisServer::start();
    let bench = RedisBench::on(&server);
    let store = bench.store().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    store.claim(claimant("w1"), 1).await.unwrap();
    let expires = |task: crate::store::record::TaskRecord| task.state.tenure().unwrap().expires;
    let before = expires(store.task(id).await.unwrap());
    advance(&bench.clock, TTL / 2);
    assert!(store.expire_leases().await.unwrap().is_empty());
    let other = bench.store().await;
    assert_eq!(expires(other.task(id).await.unwrap()), before, "the first one has been there all the while");
    store.close().await;
    other.close().await;
    let third = bench.store().await;
    assert!(expires(third.task(id).await.unwrap()) > before, "nobody was there");
}

#[tokio::test]
async fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
    let server = RedisServer::start();
    let bench = RedisBench::on(&server);
    let store = bench.store().await;
    store.submit(generation("anna", "r1")).await.unwrap();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    bench.clock.fetch_sub(500_000_000, Ordering::SeqCst);
    assert!(store.expire_leases().await.unwrap().is_empty());
    advance(&bench.clock, TTL / 2);
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 1, b"one")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
    let renewed = store.task(lease.task.id).await.unwrap().state.tenure().unwrap().expires;
    assert!(renewed >= lease.task.state.tenure().unwrap().expires.plus(TTL / 2), "time has gone on");
    advance(&bench.clock, TTL - Duration::from_secs(1));
    assert!(store.expire_leases().await.unwrap().is_empty());
    advance(&bench.clock, Duration::from_secs(2));
    assert_eq!(store.expire_leases().await.unwrap(), [lease.task.id]);
    let again = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    assert!(again.fence > lease.fence);
    assert_sound(&store).await;
}

#[tokio::test]
async fn a_server_that_would_lose_tasks_is_refused_unless_that_is_accepted() {
    for (options, complaint) in [
        (["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"], "maxmemory-policy is allkeys-lru"),
        (["--appendonly", "no", "--maxmemory-policy", "noeviction"], "no append-only file"),
    ] {
        let server = RedisServer::start_with(&options);
        let strict = settings(server.url(), "test", RedisClock::Server);
        let relaxed = RedisSettings { durability: Durability::Relaxed, ..strict.clone() };
        let refused = RedisStore::open(strict).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unsuitable { .. }), "{refused:?}");
        assert!(refused.to_string().contains(complaint), "{refused}");
        let store = RedisStore::open(relaxed).await.unwrap();
        assert!(!store.submit(generation("anna", "r1")).await.unwrap().repeated);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_at_the_start() {
    let server = RedisServer::start();
    let settings = settings(server.url(), "test", RedisClock::Server);
    let address = format!("127.0.0.1:{}", server.port());
    drop(server);
    let error = RedisStore::open(settings).await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("is Redis running there?"), "{error}");
}

#[tokio::test]
async fn another_format_is_refused() {
    let server = RedisServer::start();
    let bench = RedisBench::on(&server);
    let meta = crate::store::redis::keys::Keys::of_fleet(&bench.fleet).meta();
    for (format, advice) in [("1", "run the version that wrote them"), ("99", "run the newer version")] {
        server.command(&["HSET", &meta, "format", format]);
        let refused = RedisStore::open(bench.settings()).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("written in format {format}")) && refused.contains(advice),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_server_without_memory_takes_no_more_tasks_and_ends_those_that_it_has() {
    let server = RedisServer::start();
    let store = RedisBench::on(&server).store().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(store.expire_leases().await.unwrap().is_empty(), "a look passes");
    let refused = store.submit(generation("anna", "r2")).await.unwrap_err();
    assert!(matches!(refused, StoreError::MemoryShort { .. }), "{refused}");
    store.beat(worker("w1"), vec![beat(&lease, 3, b"three")]).await.unwrap();
    let settled = settlement("w1", id, lease.fence, drawn());
    assert_eq!(store.settle(settled).await.unwrap(), SettleVerdict::Accepted);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(store.expire_leases().await.unwrap().is_empty());
    assert!(!store.submit(generation("anna", "r2")).await.unwrap().repeated);
    assert!(store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap().is_empty());
    assert!(matches!(store.task(id).await.unwrap().state, State::Succeeded(_)));
    assert_sound(&store).await;
}
