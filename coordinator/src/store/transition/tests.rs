//! The transitions by themselves: what each makes of a record, and that no invariant breaks on the way.

use std::time::Duration;

use likeness_shared::proto::{GenerationSpec, PhotoReport, TaskState};

use super::*;
use crate::store::invariants::{of_change, of_record};

const TTL: Duration = Duration::from_secs(10);
const START: StoreTime = StoreTime(1_000_000_000);

fn after(seconds: u64) -> StoreTime {
    START.plus(Duration::from_secs(seconds))
}

fn task(times: StartTimes) -> TaskRecord {
    let owner = Owner { tenant: "acme".parse().unwrap(), user: "anna".parse().unwrap() };
    let spec = Spec::Generation(GenerationSpec::default());
    let unit = UnitCost::first(&spec);
    TaskRecord::submitted(TaskId::generate(), 7, owner, spec, unit, times, START)
}

/// Makes a change, and holds record and change against the invariants.
fn change<R>(task: &mut TaskRecord, transition: impl FnOnce(&mut TaskRecord) -> R) -> R {
    let before = task.clone();
    let result = transition(task);
    assert_eq!(of_record(task), Vec::<String>::new());
    assert_eq!(of_change(Some(&before), task), Vec::<String>::new());
    result
}

fn lease(task: &mut TaskRecord, worker: &str, now: StoreTime) -> Fence {
    let incarnation = "first".parse().unwrap();
    let price = Price { unit: UnitCost::first(&task.spec), device: String::new() };
    change(task, |task| task.lease(&worker.parse().unwrap(), &incarnation, price, now, TTL)).unwrap()
}

fn settle(task: &mut TaskRecord, worker: &str, fence: Fence, end: AttemptEnd, now: StoreTime) {
    let digest = Digest::of(format!("{end:?}").as_bytes());
    let settlement = AttemptSettlement {
        worker: worker.parse().unwrap(),
        fence,
        digest,
        end,
        photos: None,
        device_time_us: 5,
    };
    let verdict = change(task, |task| task.settle(settlement, Blame::AsSettled, now));
    assert_eq!(verdict, Ok(SettleVerdict::Accepted));
}

fn failed(code: &str, retryable: bool) -> AttemptEnd {
    AttemptEnd::Failed { code: code.to_owned(), message: "it broke".to_owned(), retryable }
}

fn infrastructure() -> AttemptEnd {
    AttemptEnd::Infrastructure { code: "device_lost".to_owned(), message: "the device is gone".to_owned() }
}

#[test]
fn a_delayed_task_waits_for_its_time_and_expires_at_its_deadline() {
    let times = StartTimes { delay: Duration::from_secs(60), start_within: Some(Duration::from_secs(90)) };
    let mut delayed = task(times);
    assert_eq!((delayed.state.wire(), delayed.due()), (TaskState::Scheduled, Some(after(60))));
    assert_eq!(change(&mut delayed, |task| task.fall_due(after(59))), None);
    assert_eq!(change(&mut delayed, |task| task.fall_due(after(60))), Some(FallenDue::Queued));
    assert_eq!((delayed.state.wire(), delayed.due()), (TaskState::Queued, Some(after(90))));
    let mut started = delayed.clone();
    assert_eq!(change(&mut delayed, |task| task.fall_due(after(90))), Some(FallenDue::Expired));
    let State::Expired(failure) = &delayed.state else { panic!("not expired") };
    assert_eq!(failure.code, "start_deadline");
    // what has once been started can go back to the queue as often as it must
    lease(&mut started, "w1", after(80));
    change(&mut started, |task| task.lose("gone", after(100))).unwrap();
    assert_eq!((started.state.wire(), started.due()), (TaskState::Queued, None));
}

#[test]
fn what_was_found_of_photos_stays_when_the_task_ends_before_its_first_beat() {
    let mut refused = task(StartTimes::default());
    let fence = lease(&mut refused, "w1", after(1));
    let report = Box::new(PhotoReport { given: 4, used: 1, ..PhotoReport::default() });
    let settlement = AttemptSettlement {
        worker: "w1".parse().unwrap(),
        fence,
        digest: Digest::of(b"too few"),
        end: failed("too_few", false),
        photos: Some(report.clone()),
        device_time_us: 5,
    };
    let verdict = change(&mut refused, |task| task.settle(settlement, Blame::AsSettled, after(2)));
    assert_eq!((verdict, refused.state.wire()), (Ok(SettleVerdict::Accepted), TaskState::Failed));
    assert_eq!(refused.progress.and_then(|progress| progress.photos), Some(report));
}

#[test]
fn retries_wait_longer_each_time_and_losses_do_not_wait() {
    for failures in 1..=20 {
        let full = Duration::from_secs(1 << (failures - 1).min(16)).min(Duration::from_secs(60));
        let pause = timing::retry_pause(7, failures);
        assert!(pause >= full.mul_f64(0.75) && pause <= full.mul_f64(1.25), "{failures}: {pause:?}");
        assert_eq!(pause, timing::retry_pause(7, failures), "the same for every store");
    }
    assert_ne!(timing::retry_pause(7, 1), timing::retry_pause(8, 1), "tasks do not come back all at once");
    let mut lost = task(StartTimes::default());
    let fence = lease(&mut lost, "w1", START);
    settle(&mut lost, "w1", fence, infrastructure(), after(1));
    assert_eq!(lost.state, State::Queued);
    assert_eq!((lost.attempts.infrastructure_failures, lost.attempts.application_failures), (1, 0));
    assert!(lost.last_errors[0].contains("device_lost"), "{:?}", lost.last_errors);
    for (worker, time) in [("w1", 2), ("w2", 4)] {
        let fence = lease(&mut lost, worker, after(time));
        settle(&mut lost, worker, fence, infrastructure(), after(time + 1));
    }
    assert_eq!(lost.state.wire(), TaskState::Quarantined, "it does this to every worker");
}

#[test]
fn what_diverges_is_drawn_anew_once_whatever_else_has_failed() {
    let mut diverging = task(StartTimes::default());
    let mut now = 0;
    let mut attempt = |task: &mut TaskRecord, end: AttemptEnd| {
        now += 100;
        change(task, |task| task.fall_due(after(now)));
        let fence = lease(task, "w1", after(now));
        settle(task, "w1", fence, end, after(now + 1));
    };
    attempt(&mut diverging, failed("internal", true));
    assert_eq!((diverging.state.wire(), diverging.reseed), (TaskState::Scheduled, 0));
    attempt(&mut diverging, failed(DIVERGED, false));
    assert_eq!((diverging.state.wire(), diverging.reseed), (TaskState::Scheduled, 1));
    attempt(&mut diverging, failed("internal", true));
    assert_eq!(diverging.state.wire(), TaskState::Scheduled, "the divergence did not use up a retry");
    attempt(&mut diverging, failed(DIVERGED, true));
    assert_eq!((diverging.state.wire(), diverging.reseed), (TaskState::Failed, 2));
    // an operator's retry counts anew, and still does not repeat random numbers
    change(&mut diverging, TaskRecord::retry).unwrap();
    attempt(&mut diverging, failed(DIVERGED, true));
    assert_eq!((diverging.state.wire(), diverging.reseed), (TaskState::Scheduled, 3));
}

#[test]
fn a_held_task_keeps_its_place_and_waits_out_its_time_after_the_release() {
    let mut held = task(StartTimes { delay: Duration::from_secs(60), ..StartTimes::default() });
    change(&mut held, |task| task.hold("look first")).unwrap();
    assert_eq!((held.state.wire(), held.due()), (TaskState::Held, None));
    change(&mut held, |task| task.hold("again")).unwrap();
    assert_eq!(held.state, State::Held { reason: "look first".to_owned() }, "repeatable");
    assert_eq!(change(&mut held, |task| task.fall_due(after(100))), None);
    let mut late = held.clone();
    change(&mut held, |task| task.release(after(30))).unwrap();
    assert_eq!((held.state.wire(), held.due()), (TaskState::Scheduled, Some(after(60))));
    change(&mut late, |task| task.release(after(100))).unwrap();
    assert_eq!((late.state.wire(), late.number), (TaskState::Queued, 7));
    change(&mut late, |task| task.request_cancel(after(101)));
    assert_eq!(late.hold("too late"), Err(Refusal::Ended));
    assert_eq!(late.release(after(102)), Err(Refusal::Ended));
}

#[test]
fn a_running_task_is_held_when_its_worker_lets_it_go() {
    let mut running = task(StartTimes::default());
    let fence = lease(&mut running, "w1", START);
    change(&mut running, |task| task.hold("look first")).unwrap();
    assert_eq!((running.state.wire(), running.asked()), (TaskState::Leased, Some(Asked::HandBack)));
    let mut released = running.clone();
    let mut cancelled = running.clone();
    let mut lost = running.clone();
    settle(&mut running, "w1", fence, AttemptEnd::HandBack { progress: None }, after(1));
    assert_eq!(running.state, State::Held { reason: "look first".to_owned() });
    change(&mut lost, |task| task.lose("gone", after(1))).unwrap();
    assert_eq!((lost.state.wire(), lost.attempts.infrastructure_failures), (TaskState::Held, 1));
    change(&mut released, |task| task.release(after(1))).unwrap();
    assert_eq!(released.asked(), None);
    change(&mut cancelled, |task| task.request_cancel(after(1)));
    assert_eq!(cancelled.asked(), Some(Asked::Stop));
    assert_eq!(cancelled.hold("no"), Err(Refusal::Cancelling));
    settle(&mut cancelled, "w1", fence, AttemptEnd::Cancelled, after(2));
    assert_eq!(cancelled.state, State::Cancelled);
}

#[test]
fn a_dead_letter_begins_anew_under_a_higher_fence() {
    let mut dead = task(StartTimes { start_within: Some(Duration::from_secs(5)), ..StartTimes::default() });
    let fence = lease(&mut dead, "w1", after(1));
    assert_eq!(dead.retry(), Err(Refusal::NotDead));
    settle(&mut dead, "w1", fence, failed("corrupt", false), after(2));
    assert_eq!(dead.state.wire(), TaskState::Failed);
    change(&mut dead, TaskRecord::retry).unwrap();
    assert_eq!(
        (dead.state.wire(), dead.attempts, dead.due()),
        (TaskState::Queued, Attempts::default(), None)
    );
    let revision = dead.revision;
    change(&mut dead, TaskRecord::retry).unwrap();
    assert_eq!(dead.revision, revision, "repeatable while it waits");
    // the store's clock stood still
    assert!(lease(&mut dead, "w2", after(1)) > fence);
    change(&mut dead, |task| task.request_cancel(after(3)));
    change(&mut dead, |task| task.lose("gone", after(4))).unwrap();
    assert_eq!(dead.retry(), Err(Refusal::NotDead), "what was cancelled stays so");
}

#[test]
fn a_sick_workers_failures_are_given_back() {
    let mut unlucky = task(StartTimes::default());
    let fence = lease(&mut unlucky, "w1", START);
    settle(&mut unlucky, "w1", fence, failed("internal", true), after(1));
    assert_eq!(unlucky.state.wire(), TaskState::Scheduled);
    let worker = "w1".parse().unwrap();
    change(&mut unlucky, |task| task.uncharge(AttemptCause::Application, &worker, after(1)));
    assert_eq!(unlucky.state, State::Queued, "there is nothing to wait for");
    assert_eq!((unlucky.attempts.application_failures, unlucky.attempts.hand_backs), (0, 1));
    let again = unlucky.clone();
    change(&mut unlucky, |task| task.uncharge(AttemptCause::Application, &worker, after(1)));
    assert_eq!(unlucky, again, "no more than was charged");
}
