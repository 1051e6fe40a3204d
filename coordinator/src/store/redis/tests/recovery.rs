//! Stores that come back with older data than they had.

use likeness_shared::ids::TaskId;
use likeness_shared::proto::GenerationResult;

use super::*;
use crate::store::conformance::{TTL, advance, beat, claimant, generation, incarnation, settlement, worker};
use crate::store::invariants::of_snapshot;
use crate::store::record::{Outcome, State};
use crate::store::transition::{AttemptEnd, BeatVerdict, SettleVerdict};
use crate::store::{Claimed, Condition};

/// A primary, and a replica that has stopped to follow it, behind one address.
struct Stale {
    signpost: Signpost,
    old: Option<RedisServer>,
    stale: RedisServer,
    clock: Arc<AtomicU64>,
}

impl Stale {
    async fn of(old: RedisServer) -> Self {
        let (signpost, stale) = (Signpost::to(&old).await, RedisServer::replica_of(&old));
        Self { signpost, old: Some(old), stale, clock: clock() }
    }

    async fn store(&self) -> RedisStore {
        let clock = RedisClock::Manual(Arc::clone(&self.clock));
        RedisStore::open(settings(self.signpost.url(), "test", clock)).await.unwrap()
    }

    /// What is written from here on is lost.
    fn stop_following(&self) {
        self.stale.catch_up_with(self.old.as_ref().unwrap());
        self.stale.promote();
    }

    /// The primary dies, and the stale replica takes its place.
    fn take_over(&mut self) {
        self.signpost.turn_to(&self.stale);
        self.old = None;
    }
}

fn drawn() -> AttemptEnd {
    AttemptEnd::Succeeded(Outcome::Generation(GenerationResult::default()))
}

async fn assert_sound(store: &RedisStore) {
    assert_eq!(of_snapshot(&store.snapshot().await.unwrap()), Vec::<String>::new());
}

async fn is_given_nothing(store: &RedisStore, name: &str) {
    let given: Vec<TaskId> =
        store.claim(claimant(name), 9).await.unwrap().iter().map(|claimed| claimed.task.id).collect();
    assert_eq!(given, []);
}

fn is_recovering(store: &RedisStore) -> bool {
    matches!(store.health().borrow().condition, Condition::Recovering { .. })
}

async fn comes_back(store: &RedisStore, lease: &Claimed, name: &str) -> bool {
    let held = vec![(lease.task.id, lease.fence)];
    store.readopt(worker(name), incarnation("first"), held).await.unwrap()[0]
}

#[tokio::test]
async fn running_work_that_a_stale_replica_does_not_know_is_taken_back_and_not_run_twice() {
    let mut fleet = Stale::of(RedisServer::start()).await;
    let store = fleet.store().await;
    let running = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let waiting = store.submit(generation("anna", "r2")).await.unwrap().task.id;
    fleet.stop_following();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    assert_eq!(lease.task.id, running);
    store.beat(worker("w1"), vec![beat(&lease, 3, b"three")]).await.unwrap();
    let generation_before = store.health().borrow().generation;
    fleet.take_over();

    is_given_nothing(&store, "w2").await;
    assert!(is_recovering(&store));
    assert_eq!(store.health().borrow().generation, generation_before + 1, "workers are to be asked");
    assert_eq!(
        store.task(running).await.unwrap().state,
        State::Queued,
        "the stale replica takes it for waiting"
    );
    // a worker that reports or settles before it was asked is not told that its work is lost
    let unheard = store.beat(worker("w1"), vec![beat(&lease, 4, b"four")]).await.unwrap_err();
    assert!(matches!(unheard, StoreError::Unavailable { .. }), "{unheard}");
    let settled = settlement("w1", running, lease.fence, drawn());
    assert!(matches!(store.settle(settled.clone()).await, Err(StoreError::Unavailable { .. })));
    assert!(comes_back(&store, &lease, "w1").await);
    assert_eq!(store.health().borrow().generation, generation_before + 1, "it is asked once");

    // submits and beats pass, nothing is leased, and nobody is taken for lost
    store.submit(generation("bert", "r3")).await.unwrap();
    advance(&fleet.clock, TTL / 2);
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 5, b"five")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
    let lost = store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap();
    assert!(lost.is_empty());
    is_given_nothing(&store, "w2").await;
    assert!(store.expire_leases().await.unwrap().is_empty());
    assert_sound(&store).await;

    advance(&fleet.clock, TTL / 2 + Duration::from_secs(1));
    let given = store.claim(claimant("w2"), 9).await.unwrap();
    let given: Vec<TaskId> = given.iter().map(|claimed| claimed.task.id).collect();
    assert_eq!(given.len(), 2);
    assert!(given.contains(&waiting) && !given.contains(&running), "{given:?}");
    assert_eq!(store.health().borrow().condition, Condition::Ready);
    assert_eq!(store.settle(settled).await.unwrap(), SettleVerdict::Accepted);
    assert_eq!(store.task(running).await.unwrap().attempts.started, 1);
    assert_sound(&store).await;
}

#[tokio::test]
async fn what_replicas_had_to_have_before_it_was_acknowledged_outlives_a_promotion() {
    let primary = RedisServer::start();
    let mut fleet = Stale::of(primary).await;
    let address = fleet.signpost.url().parse().unwrap();
    let clock = RedisClock::Manual(Arc::clone(&fleet.clock));
    let plain = RedisSettings {
        address,
        command_timeout: Duration::from_secs(1),
        ..settings(fleet.signpost.url(), "test", clock)
    };
    let store = RedisStore::open(RedisSettings { replicas: 1, ..plain }).await.unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..30 {
        acknowledged.push(store.submit(generation("anna", &format!("r{number}"))).await.unwrap().task.id);
    }
    fleet.stale.pause();
    let unacknowledged = store.submit(generation("anna", "late")).await.unwrap_err();
    assert!(unacknowledged.to_string().contains("only 0 of 1 replicas have it"), "{unacknowledged}");
    let found = generation("anna", "late");
    let asked = store.submitted(found.owner, found.request, found.body).await.unwrap_err();
    assert!(asked.to_string().contains("only 0 of 1 replicas have it"), "nor is it when asked for: {asked}");
    drop(fleet.old.take());
    fleet.stale.resume();
    fleet.stale.promote();
    fleet.take_over();
    for id in acknowledged {
        assert!(store.task(id).await.is_ok(), "an acknowledged task is gone");
    }
    assert_sound(&store).await;
}

#[tokio::test]
async fn no_fence_is_given_twice_by_an_older_store_whose_clock_is_behind() {
    let mut fleet = Stale::of(RedisServer::start()).await;
    let store = fleet.store().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    fleet.stop_following();
    advance(&fleet.clock, Duration::from_secs(100));
    let lost = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    fleet.take_over();
    fleet.clock.fetch_sub(160_000_000, Ordering::SeqCst);

    is_given_nothing(&store, "w2").await;
    assert!(is_recovering(&store));
    // that worker never comes back
    advance(&fleet.clock, TTL + Duration::from_secs(1));
    let again = store.claim(claimant("w2"), 1).await.unwrap().remove(0);
    assert_eq!(again.task.id, id);
    assert!(again.fence > lost.fence, "{} after {}", again.fence, lost.fence);
    assert!(!comes_back(&store, &lost, "w1").await);
    let settled = settlement("w1", id, lost.fence, drawn());
    assert_eq!(store.settle(settled).await.unwrap(), SettleVerdict::Stale);
    assert_sound(&store).await;
}

#[tokio::test]
async fn every_coordinator_stops_leasing_when_one_has_noticed() {
    let mut fleet = Stale::of(RedisServer::start()).await;
    let (one, other) = (fleet.store().await, fleet.store().await);
    let generations = || [&one, &other].map(|store| store.health().borrow().generation);
    fleet.stop_following();
    one.submit(generation("anna", "lost")).await.unwrap();
    let before = generations();
    fleet.take_over();
    one.submit(generation("anna", "r1")).await.unwrap();
    assert!(is_recovering(&one));
    is_given_nothing(&other, "w1").await;
    assert!(is_recovering(&other));
    assert_eq!(generations(), before.map(|generation| generation + 1), "one loss is one generation");
    let late = fleet.store().await;
    is_given_nothing(&late, "w1").await;
    advance(&fleet.clock, TTL + Duration::from_secs(1));
    assert_eq!(late.claim(claimant("w1"), 9).await.unwrap().len(), 1);
    assert_sound(&one).await;
}

#[tokio::test]
async fn a_loss_is_noticed_though_others_have_written_since() {
    let mut fleet = Stale::of(RedisServer::start()).await;
    let store = fleet.store().await;
    fleet.stop_following();
    store.submit(generation("anna", "lost")).await.unwrap();
    fleet.take_over();
    // somebody who remembers nothing is there first
    advance(&fleet.clock, TTL * 10);
    let forgetful = fleet.store().await;
    for number in 0..5 {
        forgetful.submit(generation("bert", &format!("r{number}"))).await.unwrap();
    }
    assert!(!is_recovering(&forgetful));
    store.expire_leases().await.unwrap();
    assert!(is_recovering(&store));
    is_given_nothing(&forgetful, "w1").await;
}

#[tokio::test]
async fn a_worker_tells_even_a_new_coordinator_what_the_store_has_lost() {
    let mut fleet = Stale::of(RedisServer::start()).await;
    let store = fleet.store().await;
    store.submit(generation("anna", "r1")).await.unwrap();
    store.submit(generation("anna", "r2")).await.unwrap();
    fleet.stop_following();
    let leases = store.claim(claimant("w1"), 2).await.unwrap();
    drop(store);
    fleet.take_over();
    let store = fleet.store().await;
    let before = store.health().borrow().generation;
    assert!(comes_back(&store, &leases[0], "w1").await);
    assert!(is_recovering(&store), "there may be more of that kind");
    assert_eq!(store.health().borrow().generation, before + 1);
    is_given_nothing(&store, "w2").await;
    assert_sound(&store).await;
}

#[tokio::test]
async fn a_lease_that_the_store_takes_for_somebody_elses_goes_to_the_newer_fence() {
    let mut fleet = Stale::of(RedisServer::start()).await;
    let store = fleet.store().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let first = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    fleet.stop_following();
    store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap();
    let second = store.claim(claimant("w2"), 1).await.unwrap().remove(0);
    fleet.take_over();
    assert!(comes_back(&store, &second, "w2").await);
    assert!(!comes_back(&store, &first, "w1").await);
    let verdicts = store.beat(worker("w2"), vec![beat(&second, 3, b"three")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
    assert_eq!(store.task(id).await.unwrap().state.tenure().unwrap().worker, worker("w2"));
    assert_sound(&store).await;
}

#[tokio::test]
async fn an_empty_server_in_its_place_is_a_loss_and_a_restart_without_one_is_none() {
    let mut server = RedisServer::start();
    let store = RedisBench::on(&server).store().await;
    store.submit(generation("anna", "r1")).await.unwrap();
    server.kill();
    server.restart();
    assert_eq!(store.claim(claimant("w1"), 1).await.unwrap().len(), 1, "nothing was lost");
    assert_eq!(store.health().borrow().condition, Condition::Ready);
    server.command(&["FLUSHALL"]);
    store.submit(generation("anna", "r1")).await.unwrap();
    assert!(is_recovering(&store));
    is_given_nothing(&store, "w1").await;
}

#[tokio::test]
async fn a_clock_that_leaps_ends_no_lease() {
    let server = RedisServer::start();
    let store = RedisStore::open(settings(server.url(), "test", RedisClock::Server)).await.unwrap();
    store.submit(generation("anna", "r1")).await.unwrap();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    assert!(store.expire_leases().await.unwrap().is_empty());
    let meta = crate::store::redis::keys::Keys::of_fleet("test").meta();
    server.command(&["HINCRBY", &meta, "ahead", "3600000000"]);
    assert!(store.expire_leases().await.unwrap().is_empty());
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 3, b"three")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
}
