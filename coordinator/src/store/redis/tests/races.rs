//! Two coordinators' stores on one server, at the same time.

use std::collections::BTreeMap;

use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::GenerationResult;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::*;
use crate::store::StoreEvent;
use crate::store::conformance::{beat, claimant, failed, generation, incarnation, settlement, worker};
use crate::store::invariants::of_snapshot;
use crate::store::record::{Outcome, State};
use crate::store::transition::{AttemptEnd, SettleVerdict};

fn drawn() -> AttemptEnd {
    AttemptEnd::Succeeded(Outcome::Generation(GenerationResult::default()))
}

pub(super) async fn two_stores(server: &RedisServer) -> [Arc<RedisStore>; 2] {
    let open = || RedisStore::open(settings(server.url(), "test", RedisClock::Server));
    [Arc::new(open().await.unwrap()), Arc::new(open().await.unwrap())]
}

pub(super) async fn assert_sound(store: &RedisStore) {
    assert_eq!(of_snapshot(&store.snapshot().await.unwrap()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_submits_claims_and_settlements_each_take_effect_once() {
    const TASKS: usize = 120;
    let server = RedisServer::start();
    let stores = two_stores(&server).await;
    let mut submits = JoinSet::new();
    for number in 0..TASKS {
        for store in &stores {
            let store = Arc::clone(store);
            let user = format!("u{}", number % 3);
            submits
                .spawn(async move { store.submit(generation(&user, &format!("r{number}"))).await.unwrap() });
        }
    }
    let submitted = submits.join_all().await;
    assert_eq!(submitted.iter().filter(|submitted| !submitted.repeated).count(), TASKS);

    let mut claims = JoinSet::new();
    for (number, store) in stores.iter().cycle().take(6).enumerate() {
        let store = Arc::clone(store);
        claims.spawn(async move {
            let name = format!("w{number}");
            let mut leases = Vec::new();
            loop {
                let claimed = store.claim(claimant(&name), 4).await.unwrap();
                if claimed.is_empty() {
                    return leases;
                }
                leases.extend(
                    claimed.into_iter().map(|claimed| (name.clone(), claimed.task.id, claimed.fence)),
                );
            }
        });
    }
    let leases: Vec<(String, TaskId, Fence)> = claims.join_all().await.into_iter().flatten().collect();
    let once: BTreeMap<TaskId, &str> = leases.iter().map(|(name, task, _)| (*task, name.as_str())).collect();
    assert_eq!((leases.len(), once.len()), (TASKS, TASKS), "every task was leased, and once");
    assert_sound(&stores[0]).await;

    let mut settlements = JoinSet::new();
    for (name, task, fence) in leases {
        for store in &stores {
            let (store, settled) = (Arc::clone(store), settlement(&name, task, fence, drawn()));
            settlements.spawn(async move { store.settle(settled).await.unwrap() });
        }
    }
    let verdicts = settlements.join_all().await;
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    assert_eq!((count(SettleVerdict::Accepted), count(SettleVerdict::Repeated)), (TASKS, TASKS));
    let snapshot = stores[1].snapshot().await.unwrap();
    assert_eq!(of_snapshot(&snapshot), Vec::<String>::new());
    assert!(snapshot.tasks.values().all(|task| matches!(task.state, State::Succeeded(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_races_leaves_every_invariant_whole() {
    let server = RedisServer::start();
    let stores = two_stores(&server).await;
    let mut tasks = Vec::new();
    for number in 0..80 {
        let new = generation(&format!("u{}", number % 2), &format!("r{number}"));
        tasks.push(stores[0].submit(new).await.unwrap().task.id);
    }
    let tasks = Arc::new(tasks);
    let mut storms = JoinSet::new();
    for seed in 0..6u64 {
        let (store, tasks) = (Arc::clone(&stores[(seed % 2) as usize]), Arc::clone(&tasks));
        storms.spawn(async move { storm(&store, &tasks, seed).await });
    }
    let successes: usize = storms.join_all().await.into_iter().sum();
    let snapshot = stores[0].snapshot().await.unwrap();
    assert_eq!(of_snapshot(&snapshot), Vec::<String>::new());
    let succeeded = snapshot.tasks.values().filter(|task| matches!(task.state, State::Succeeded(_))).count();
    assert_eq!(successes, succeeded, "a success for each accepted settlement");
    assert_eq!(snapshot.tasks.len(), tasks.len());
}

/// A worker's life in a hurry, that two storms share; gives how many successes were accepted.
pub(super) async fn storm(store: &RedisStore, tasks: &[TaskId], seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let name = format!("w{}", seed / 2);
    let mut leases = Vec::new();
    let mut successes = 0;
    for _ in 0..200 {
        match random.random_range(0..10) {
            0..3 => leases.extend(store.claim(claimant(&name), 2).await.unwrap()),
            3..5 => {
                let beats = leases.iter().rev().take(3).map(|lease| beat(lease, 1, b"state")).collect();
                store.beat(worker(&name), beats).await.unwrap();
            }
            5..7 => {
                let Some(lease) = leases.pop() else { continue };
                let succeeds = random.random_range(0..3) > 0;
                let end = if succeeds { drawn() } else { failed(true) };
                let settled = settlement(&name, lease.task.id, lease.fence, end);
                let verdict = store.settle(settled).await.unwrap();
                successes += usize::from(succeeds && verdict == SettleVerdict::Accepted);
            }
            7 => drop(store.worker_lost(worker(&name), incarnation("first"), Duration::ZERO).await.unwrap()),
            8 => {
                let held = leases.iter().take(2).map(|lease| (lease.task.id, lease.fence)).collect();
                store.readopt(worker(&name), incarnation("first"), held).await.unwrap();
            }
            _ => {
                let task = tasks[random.random_range(0..tasks.len())];
                store.request_cancel(task).await.unwrap();
            }
        }
    }
    successes
}

#[tokio::test]
async fn a_change_through_one_store_is_told_by_the_other() {
    let server = RedisServer::start();
    let [one, other] = two_stores(&server).await;
    let mut events = other.events();
    let id = one.submit(generation("anna", "r1")).await.unwrap().task.id;
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await.unwrap().unwrap();
    assert!(matches!(event, StoreEvent::Changed(event) if event.task == id && event.revision == 1));
}

#[tokio::test]
async fn fleets_on_one_server_do_not_see_each_other() {
    let server = RedisServer::start();
    let (one, other) = (RedisBench::on(&server).store().await, RedisBench::on(&server).store().await);
    let id = one.submit(generation("anna", "r1")).await.unwrap().task.id;
    assert!(matches!(other.task(id).await, Err(StoreError::NotFound { .. })));
    assert!(other.claim(claimant("w1"), 1).await.unwrap().is_empty());
    assert!(other.snapshot().await.unwrap().tasks.is_empty());
}
