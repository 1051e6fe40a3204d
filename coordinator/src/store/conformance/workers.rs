//! Workers as the store knows them, one story a test: who is sick, who drains, who is away.

use likeness_shared::proto::TaskState;

use super::*;
use crate::store::StoreError;
use crate::store::transition::{Asked, BeatVerdict};
use crate::store::worker_record::{Drain, WorkerStanding};

/// Lets a worker fail at whatever comes next.
async fn fail_next(store: &Arc<dyn TaskStore>, name: &str, end: AttemptEnd) -> TaskId {
    let lease = store.claim(claimant(name), 1).await.unwrap().remove(0);
    store.settle(settlement(name, lease.task.id, lease.fence, end)).await.unwrap();
    lease.task.id
}

async fn standing(store: &Arc<dyn TaskStore>, name: &str) -> WorkerStanding {
    store.worker(worker(name)).await.unwrap()
}

pub(in crate::store) async fn a_worker_that_fails_everything_is_quarantined_and_its_tasks_are_not_charged(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    store.worker_joined(facts("sick", "first")).await.unwrap();
    for number in 0..4 {
        store.submit(generation("anna", &format!("r{number}"))).await.unwrap();
    }
    let failed_at = [
        fail_next(&store, "sick", failed(true)).await,
        fail_next(&store, "sick", infrastructure()).await,
        fail_next(&store, "sick", failed(true)).await,
    ];
    assert_eq!(failed_at[1], failed_at[2], "a loss goes back to the front");
    let sick = standing(&store, "sick").await;
    assert!(sick.record.quarantined.as_ref().unwrap().contains("failed in a row"), "{sick:?}");
    assert_eq!((sick.record.failures_in_a_row, sick.totals.settled, sick.tasks), (3, 3, 0));
    assert_eq!(sick.totals.device_time_us, 15);
    for id in failed_at {
        let task = store.task(id).await.unwrap();
        assert_eq!(task.state.wire(), TaskState::Queued, "nothing is to be waited for");
        let attempts = task.attempts;
        assert_eq!((attempts.application_failures, attempts.infrastructure_failures), (0, 0), "{attempts:?}");
        assert_eq!(attempts.started, attempts.hand_backs);
        assert!(!task.last_errors.is_empty(), "what happened is kept");
    }
    assert!(store.claim(claimant("sick"), 4).await.unwrap().is_empty());
    // nothing that its process does ends a quarantine
    store.worker_joined(facts("sick", "second")).await.unwrap();
    assert!(store.claim(claimant("sick"), 4).await.unwrap().is_empty());
    assert_eq!(store.claim(claimant("well"), 9).await.unwrap().len(), 4);
    store.undrain_worker(worker("sick")).await.unwrap();
    let well = standing(&store, "sick").await.record;
    assert!(well.takes_work() && well.failures_in_a_row == 0);
    assert_sound(&store).await;
}

pub(in crate::store) async fn what_a_quarantined_worker_still_fails_at_is_not_charged_either(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    store.worker_joined(facts("sick", "first")).await.unwrap();
    for number in 0..4 {
        store.submit(generation("anna", &format!("r{number}"))).await.unwrap();
    }
    let leases = store.claim(claimant("sick"), 4).await.unwrap();
    for lease in &leases {
        store.settle(settlement("sick", lease.task.id, lease.fence, failed(true))).await.unwrap();
    }
    assert_eq!(standing(&store, "sick").await.record.failures_in_a_row, 4);
    for lease in &leases {
        let task = store.task(lease.task.id).await.unwrap();
        assert_eq!((task.state.wire(), task.attempts.application_failures), (TaskState::Queued, 0));
    }
    // a repetition is no further failure
    let last = &leases[3];
    store.settle(settlement("sick", last.task.id, last.fence, failed(true))).await.unwrap();
    assert_eq!(standing(&store, "sick").await.record.failures_in_a_row, 4);
    assert_sound(&store).await;
}

pub(in crate::store) async fn bad_requests_do_not_quarantine_a_worker(bench: &dyn Bench) {
    let store = bench.open().await;
    store.worker_joined(facts("w1", "first")).await.unwrap();
    for number in 0..5 {
        store.submit(generation("anna", &format!("bad{number}"))).await.unwrap();
        let id = fail_next(&store, "w1", failed(false)).await;
        assert_eq!(store.task(id).await.unwrap().state.wire(), TaskState::Failed);
    }
    assert!(standing(&store, "w1").await.record.takes_work());
    // failures with a success between are not in a row
    for number in 0..3 {
        store.submit(generation("anna", &format!("r{number}"))).await.unwrap();
        store.submit(generation("bert", &format!("r{number}"))).await.unwrap();
        fail_next(&store, "w1", failed(true)).await;
        fail_next(&store, "w1", drawn()).await;
    }
    assert!(standing(&store, "w1").await.record.takes_work());
    // nor are those that took their time
    for number in 3..7 {
        store.submit(generation("carl", &format!("r{number}"))).await.unwrap();
        let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
        advance(bench.clock(), Duration::from_secs(61));
        store.settle(settlement("w1", lease.task.id, lease.fence, failed(true))).await.unwrap();
    }
    assert!(standing(&store, "w1").await.record.takes_work());
    assert_sound(&store).await;
}

fn drain(finish_running: bool) -> Drain {
    Drain { reason: "upgrade".to_owned(), finish_running }
}

pub(in crate::store) async fn a_draining_worker_is_asked_for_what_it_holds_and_gets_no_more(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    assert!(matches!(store.drain_worker(worker("w1"), drain(false)).await, Err(StoreError::NotFound { .. })));
    store.worker_joined(facts("w1", "first")).await.unwrap();
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    store.submit(generation("anna", "r2")).await.unwrap();
    let mut events = store.events();
    store.drain_worker(worker("w1"), drain(false)).await.unwrap();
    let event = next_event(&mut events).await;
    assert_eq!((event.task, event.asked), (id, Some(Asked::HandBack)));
    store.drain_worker(worker("w1"), drain(false)).await.unwrap();
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 3, b"at three")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: Some(Asked::HandBack) }]);
    assert!(store.claim(claimant("w1"), 1).await.unwrap().is_empty());
    assert_eq!(standing(&store, "w1").await.tasks, 1);
    let handed_back = settlement("w1", id, lease.fence, AttemptEnd::HandBack { progress: None });
    store.settle(handed_back).await.unwrap();
    let again = store.claim(claimant("w2"), 1).await.unwrap().remove(0);
    assert_eq!((again.task.id, again.checkpoint.as_ref()), (id, &b"at three"[..]));
    assert_eq!(again.task.asked(), None, "nobody asks the next one");
    store.undrain_worker(worker("w1")).await.unwrap();
    assert_eq!(store.claim(claimant("w1"), 1).await.unwrap().len(), 1);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_worker_that_may_finish_is_not_asked(bench: &dyn Bench) {
    let store = bench.open().await;
    store.worker_joined(facts("w1", "first")).await.unwrap();
    store.submit(generation("anna", "r1")).await.unwrap();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    store.drain_worker(worker("w1"), drain(true)).await.unwrap();
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 3, b"")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
    store.submit(generation("anna", "r2")).await.unwrap();
    assert!(store.claim(claimant("w1"), 1).await.unwrap().is_empty());
    // the operator has no more patience
    store.drain_worker(worker("w1"), drain(false)).await.unwrap();
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 4, b"")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: Some(Asked::HandBack) }]);
    assert_sound(&store).await;
}

pub(in crate::store) async fn workers_are_listed_by_name_and_forgotten_when_long_away(bench: &dyn Bench) {
    let grace = Duration::from_secs(1);
    let store = bench.open().await;
    for name in ["w3", "w1", "w2"] {
        store.worker_joined(facts(name, "first")).await.unwrap();
    }
    let first = store.list_workers(None, 2).await.unwrap();
    let last = first.items.last().unwrap().record.facts.id.clone();
    let second = store.list_workers(Some(last), 2).await.unwrap();
    let all = first.items.iter().chain(&second.items);
    let names: Vec<&str> = all.map(|worker| worker.record.facts.id.as_str()).collect();
    assert_eq!((names, first.more, second.more), (vec!["w1", "w2", "w3"], true, false));
    advance(bench.clock(), Duration::from_secs(60));
    store.worker_lost(worker("w1"), incarnation("first"), grace).await.unwrap();
    store.worker_lost(worker("w2"), incarnation("another"), grace).await.unwrap();
    store.worker_seen(worker("w3"), incarnation("first")).await.unwrap();
    store.worker_lost(worker("w3"), incarnation("first"), grace).await.unwrap();
    let left: Vec<bool> = [
        standing(&store, "w1").await.record.left.is_some(),
        standing(&store, "w2").await.record.left.is_some(),
        standing(&store, "w3").await.record.left.is_some(),
    ]
    .to_vec();
    assert_eq!(left, [true, false, false], "who was replaced or seen since has not left");
    advance(bench.clock(), Duration::from_secs(24 * 3600 - 30));
    assert_eq!(store.sweep().await.unwrap().workers, 2);
    assert!(matches!(store.worker(worker("w1")).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.list_workers(None, 9).await.unwrap().items.len(), 1);
    assert_sound(&store).await;
}
