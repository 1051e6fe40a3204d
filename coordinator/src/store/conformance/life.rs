//! What a task waits for besides its turn, one story a test: its time, an operator, another try.

use likeness_shared::proto::TaskState;

use super::*;
use crate::store::record::{State, StoreTime, TaskRecord};
use crate::store::transition::{Asked, BeatVerdict, Refusal, SettleVerdict};
use crate::store::{FallenDueCounts, StoreError, TaskFilter};

const QUEUED: FallenDueCounts = FallenDueCounts { queued: 1, expired: 0 };
const EXPIRED: FallenDueCounts = FallenDueCounts { queued: 0, expired: 1 };
const NOTHING: FallenDueCounts = FallenDueCounts { queued: 0, expired: 0 };

fn timed(request: &str, delay: u64, start_within: Option<u64>) -> NewTask {
    let times =
        StartTimes { delay: Duration::from_secs(delay), start_within: start_within.map(Duration::from_secs) };
    NewTask { times, ..generation("anna", request) }
}

pub(in crate::store) async fn a_delayed_task_waits_for_its_time_even_over_a_restart(bench: &dyn Bench) {
    let store = bench.open().await;
    let id = store.submit(timed("r1", 60, None)).await.unwrap().task.id;
    assert_eq!(store.task(id).await.unwrap().state, State::Scheduled);
    assert!(store.claim(claimant("w1"), 1).await.unwrap().is_empty());
    assert_eq!(store.fall_due().await.unwrap(), NOTHING);
    store.close().await;
    let store = bench.open().await;
    advance(bench.clock(), Duration::from_secs(61));
    assert_eq!(store.fall_due().await.unwrap(), QUEUED);
    assert_eq!(store.fall_due().await.unwrap(), NOTHING, "repeatable");
    assert_eq!(store.claim(claimant("w1"), 1).await.unwrap().remove(0).task.id, id);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_task_that_is_not_started_in_time_expires(bench: &dyn Bench) {
    let store = bench.open().await;
    let waiting = store.submit(timed("r1", 0, Some(30))).await.unwrap().task.id;
    let delayed = store.submit(timed("r2", 60, Some(90))).await.unwrap().task.id;
    let missed = store.submit(timed("r3", 0, Some(31))).await.unwrap().task.id;
    let started = store.submit(timed("r0", 0, Some(30))).await.unwrap().task.id;
    let waits = [waiting, missed];
    for id in waits {
        store.hold(id, String::new()).await.unwrap();
    }
    assert_eq!(store.claim(claimant("w1"), 1).await.unwrap().remove(0).task.id, started);
    for id in waits {
        store.release(id).await.unwrap();
    }
    // no two steps of a store have the same time
    advance(bench.clock(), Duration::from_millis(30_001));
    assert_eq!(store.fall_due().await.unwrap(), EXPIRED);
    let State::Expired(failure) = store.task(waiting).await.unwrap().state else { panic!("not expired") };
    assert_eq!(failure.code, "start_deadline");
    // no sweep has come yet, and the deadline holds all the same
    advance(bench.clock(), Duration::from_secs(1));
    assert!(store.claim(claimant("w2"), 1).await.unwrap().is_empty());
    assert_eq!(store.task(missed).await.unwrap().state.wire(), TaskState::Expired);
    // a deadline is met by the first start; what is lost later only goes back to the queue
    store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap();
    assert_eq!(store.fall_due().await.unwrap(), NOTHING);
    assert_eq!(store.claim(claimant("w2"), 1).await.unwrap().remove(0).task.id, started);
    advance(bench.clock(), Duration::from_secs(30));
    assert_eq!(store.fall_due().await.unwrap(), QUEUED);
    advance(bench.clock(), Duration::from_secs(30));
    assert_eq!(store.fall_due().await.unwrap(), EXPIRED);
    assert_eq!(store.task(delayed).await.unwrap().state.wire(), TaskState::Expired);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_failure_of_the_worker_keeps_its_checkpoint_and_does_not_wait(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    store.submit(generation("anna", "r2")).await.unwrap();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    store.beat(worker("w1"), vec![beat(&lease, 7, b"at seven")]).await.unwrap();
    let settled = Settlement {
        checkpoint: Bytes::from_static(b"at eight"),
        ..settlement("w1", id, lease.fence, infrastructure())
    };
    store.settle(settled).await.unwrap();
    let again = store.claim(claimant("w2"), 1).await.unwrap().remove(0);
    assert_eq!((again.task.id, again.checkpoint.as_ref()), (id, &b"at eight"[..]), "in front, at once");
    assert_eq!(again.task.attempts.infrastructure_failures, 1);
    assert!(again.task.last_errors[0].contains("device_lost"), "{:?}", again.task.last_errors);
    for name in ["w2", "w1"] {
        let lease = if name == "w2" {
            again.clone()
        } else {
            store.claim(claimant(name), 1).await.unwrap().remove(0)
        };
        store.settle(settlement(name, id, lease.fence, infrastructure())).await.unwrap();
    }
    assert_eq!(store.task(id).await.unwrap().state.wire(), TaskState::Quarantined);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_held_task_gets_no_lease_and_keeps_its_place(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let second = store.submit(generation("anna", "r2")).await.unwrap().task.id;
    let held = store.hold(first, "look first".to_owned()).await.unwrap();
    assert_eq!(held.state, State::Held { reason: "look first".to_owned() });
    assert_eq!(store.hold(first, "again".to_owned()).await.unwrap(), held, "repeatable");
    let third = store.submit(generation("anna", "r3")).await.unwrap().task.id;
    assert_eq!(store.claim(claimant("w1"), 1).await.unwrap().remove(0).task.id, second);
    let released = store.release(first).await.unwrap();
    assert_eq!(released.state, State::Queued);
    assert_eq!(store.release(first).await.unwrap(), released, "repeatable");
    let next = store.claim(claimant("w1"), 2).await.unwrap();
    assert_eq!(next.iter().map(|claimed| claimed.task.id).collect::<Vec<_>>(), [first, third]);
    store.hold(first, String::new()).await.unwrap();
    store.request_cancel(first).await.unwrap();
    let refused = store.hold(first, String::new()).await;
    assert_eq!(refused, Err(StoreError::Refused(Refusal::Cancelling)));
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_running_task_that_is_held_is_asked_back_and_goes_on_from_its_checkpoint(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    let mut events = store.events();
    store.hold(id, "look first".to_owned()).await.unwrap();
    let event = next_event(&mut events).await;
    assert_eq!((event.asked, event.held_by), (Some(Asked::HandBack), Some((worker("w1"), lease.fence))));
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 3, b"")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: Some(Asked::HandBack) }]);
    let handed_back = Settlement {
        checkpoint: Bytes::from_static(b"at three"),
        ..settlement("w1", id, lease.fence, AttemptEnd::HandBack { progress: None })
    };
    store.settle(handed_back).await.unwrap();
    assert_eq!(store.task(id).await.unwrap().state.wire(), TaskState::Held);
    assert!(store.claim(claimant("w1"), 1).await.unwrap().is_empty());
    store.release(id).await.unwrap();
    let again = store.claim(claimant("w2"), 1).await.unwrap().remove(0);
    assert_eq!((again.checkpoint.as_ref(), again.task.attempts.hand_backs), (&b"at three"[..], 1));
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_dead_letter_is_tried_again_from_the_start_and_outlives_its_retention(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    assert_eq!(store.retry(id).await, Err(StoreError::Refused(Refusal::NotDead)));
    store.beat(worker("w1"), vec![beat(&lease, 3, b"suspect")]).await.unwrap();
    store.settle(settlement("w1", id, lease.fence, failed(false))).await.unwrap();
    let fence = store.task(id).await.unwrap().last_fence;
    advance(bench.clock(), Duration::from_secs(29 * 24 * 3600));
    let retried = store.retry(id).await.unwrap();
    assert_eq!((retried.state.wire(), retried.ended), (TaskState::Queued, None));
    assert_eq!(store.retry(id).await.unwrap(), retried, "repeatable while it waits");
    // a settlement of the old life is still known, and changes nothing
    let repeated = store.settle(settlement("w1", id, lease.fence, failed(false))).await.unwrap();
    assert_eq!(repeated, SettleVerdict::Repeated);
    advance(bench.clock(), Duration::from_secs(2 * 24 * 3600));
    assert_eq!(store.sweep().await.unwrap().tasks, 0, "its retention begins anew with its end");
    let again = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    assert!(again.fence > fence && again.checkpoint.is_empty());
    assert_eq!(again.task.attempts.started, 1);
    store.settle(settlement("w1", id, again.fence, drawn())).await.unwrap();
    assert_eq!(store.task(id).await.unwrap().state.wire(), TaskState::Succeeded);
    assert_sound(&store).await;
}

pub(in crate::store) async fn tasks_are_listed_by_age(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut submitted = Vec::new();
    for number in 0..12 {
        let user = if number % 3 == 0 { "bert" } else { "anna" };
        submitted.push(store.submit(generation(user, &format!("r{number}"))).await.unwrap().task.id);
        advance(bench.clock(), Duration::from_secs(60));
    }
    store.request_cancel(submitted[4]).await.unwrap();
    let everything = TaskFilter {
        tenant: owner("anna").tenant,
        user: None,
        states: Vec::new(),
        kind: None,
        before: None,
        since: None,
        until: None,
        page_size: 3,
    };
    let created = |number: usize| {
        let (store, id) = (Arc::clone(&store), submitted[number]);
        async move { store.task(id).await.unwrap().created }
    };
    let listed = async |filter: TaskFilter| {
        let page = store.list(filter).await.unwrap();
        let number = |task: &TaskRecord| submitted.iter().position(|id| *id == task.id).unwrap();
        (page.items.iter().map(number).collect::<Vec<_>>(), page.more)
    };
    let since = Some(created(8).await);
    let until = Some(created(5).await);
    assert_eq!(listed(TaskFilter { since, ..everything.clone() }).await, (vec![11, 10, 9], true));
    assert_eq!(listed(TaskFilter { until, ..everything.clone() }).await, (vec![5, 4, 3], true));
    let later = Some(StoreTime(created(8).await.0 + 1));
    let rest = TaskFilter { since: later, page_size: 9, ..everything.clone() };
    assert_eq!(listed(rest).await, (vec![11, 10, 9], false));
    let (since, until) = (Some(created(2).await), Some(created(7).await));
    let of_anna = TaskFilter {
        user: Some("anna".parse().unwrap()),
        since,
        until,
        states: vec![TaskState::Cancelled, TaskState::Queued],
        page_size: 10,
        ..everything.clone()
    };
    assert_eq!(listed(of_anna.clone()).await, (vec![7, 5, 4, 2], false));
    let cancelled = TaskFilter { states: vec![TaskState::Cancelled], ..of_anna.clone() };
    assert_eq!(listed(cancelled).await, (vec![4], false));
    let before = Some(store.task(submitted[5]).await.unwrap().number);
    assert_eq!(listed(TaskFilter { before, ..of_anna.clone() }).await, (vec![4, 2], false));
    let backwards = TaskFilter { since: until, until: since, ..of_anna };
    assert_eq!(listed(backwards).await, (Vec::new(), false));
    let before_all = TaskFilter { until: Some(StoreTime(1)), ..everything };
    assert_eq!(listed(before_all).await, (Vec::new(), false));
}
