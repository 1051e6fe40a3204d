//! What fleet life asks of the store, one story a test.

use likeness_shared::proto::{InversionResult, PersonBinding, TaskKind, TaskState};
use tokio::sync::broadcast::error::TryRecvError;

use super::*;
use crate::store::fair::Standing;
use crate::store::record::State;
use crate::store::transition::{Asked, BeatVerdict, SettleVerdict};
use crate::store::{FallenDueCounts, NewPerson, PeopleFilter, QueueFilter, StoreError, TaskFilter};

pub(in crate::store) async fn a_request_id_makes_one_task_and_outlives_a_restart(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = store.submit(generation("anna", "r1")).await.unwrap();
    assert!(!first.repeated);
    store.close().await;
    let store = bench.open().await;
    let again = store.submit(generation("anna", "r1")).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.task.id, first.task.id);
    let other_body = NewTask { body: Digest::of(b"other"), ..generation("anna", "r1") };
    assert!(matches!(store.submit(other_body).await, Err(StoreError::RequestReused { .. })));
    let other_user = store.submit(generation("bert", "r1")).await.unwrap();
    assert_ne!(other_user.task.id, first.task.id, "request ids are each user's own");
    advance(bench.clock(), Duration::from_secs(25 * 3600));
    assert_eq!(store.sweep().await.unwrap().requests, 2);
    let reused = NewTask { body: Digest::of(b"other"), ..generation("anna", "r1") };
    assert!(!store.submit(reused).await.unwrap().repeated, "after a day the id is free again");
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_lost_workers_task_goes_on_from_its_checkpoint_under_a_higher_fence(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let later = store.submit(generation("anna", "r2")).await.unwrap().task.id;
    let first = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    assert_eq!(first.task.id, id);
    let verdicts = store.beat(worker("w1"), vec![beat(&first, 7, b"at seven")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: None }]);
    assert!(store.worker_lost(worker("w1"), incarnation("other"), Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap(), [id]);
    assert!(
        store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap().is_empty(),
        "repeatable"
    );

    let second = store.claim(claimant("w2"), 1).await.unwrap().remove(0);
    assert_eq!(second.task.id, id, "it waits in front of {later}");
    assert_eq!(second.checkpoint.as_ref(), b"at seven");
    assert!(second.fence > first.fence);
    assert_eq!(second.task.attempts.infrastructure_failures, 1);
    // the first worker was only paused, and comes back
    assert_eq!(store.beat(worker("w1"), vec![beat(&first, 8, b"late")]).await.unwrap(), [BeatVerdict::Stale]);
    let stale = store.settle(settlement("w1", id, first.fence, drawn())).await.unwrap();
    assert_eq!(stale, SettleVerdict::Stale);
    let accepted = settlement("w2", id, second.fence, drawn());
    assert_eq!(store.settle(accepted.clone()).await.unwrap(), SettleVerdict::Accepted);
    assert_eq!(store.settle(accepted).await.unwrap(), SettleVerdict::Repeated);
    let contradiction = settlement("w2", id, second.fence, failed(false));
    assert_eq!(store.settle(contradiction).await.unwrap(), SettleVerdict::Stale);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_lease_without_beats_runs_out_and_a_restart_gives_it_a_whole_ttl(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    advance(bench.clock(), TTL - Duration::from_secs(1));
    assert!(store.expire_leases().await.unwrap().is_empty());
    store.beat(worker("w1"), vec![beat(&lease, 1, b"")]).await.unwrap();
    advance(bench.clock(), TTL - Duration::from_secs(1));
    assert!(store.expire_leases().await.unwrap().is_empty(), "the beat renewed it");
    store.close().await;
    advance(bench.clock(), Duration::from_secs(3600));
    let store = bench.open().await;
    assert!(store.expire_leases().await.unwrap().is_empty(), "nobody could renew it meanwhile");
    let kept = store.readopt(worker("w1"), incarnation("first"), vec![(id, lease.fence)]).await.unwrap();
    assert_eq!(kept, [true]);
    advance(bench.clock(), TTL + Duration::from_secs(1));
    assert_eq!(store.expire_leases().await.unwrap(), [id]);
    let kept = store.readopt(worker("w1"), incarnation("first"), vec![(id, lease.fence)]).await.unwrap();
    assert_eq!(kept, [false]);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_restarted_worker_process_loses_what_its_predecessor_held(bench: &dyn Bench) {
    let store = bench.open().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    store.claim(claimant("w1"), 1).await.unwrap();
    store.readopt(worker("w1"), incarnation("second"), Vec::new()).await.unwrap();
    let task = store.task(id).await.unwrap();
    assert_eq!((task.state.wire(), task.attempts.infrastructure_failures), (TaskState::Queued, 1));
    // a lease that the same process never saw is nobody's fault
    store.claim(claimant("w1"), 1).await.unwrap();
    store.readopt(worker("w1"), incarnation("first"), Vec::new()).await.unwrap();
    let task = store.task(id).await.unwrap();
    assert_eq!((task.attempts.infrastructure_failures, task.attempts.hand_backs), (1, 1));
    assert_sound(&store).await;
}

pub(in crate::store) async fn users_take_turns_and_a_flood_waits_behind_everyone(bench: &dyn Bench) {
    let store = bench.open().await;
    for number in 0..5 {
        store.submit(generation("flood", &format!("f{number}"))).await.unwrap();
    }
    for user in ["anna", "bert"] {
        store.submit(generation(user, "r")).await.unwrap();
    }
    let mut served = Vec::new();
    for _ in 0..7 {
        let claimed = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
        served.push(claimed.task.owner.user.to_string());
        store.settle(settlement("w1", claimed.task.id, claimed.fence, drawn())).await.unwrap();
    }
    assert_eq!(served, ["anna", "bert", "flood", "flood", "flood", "flood", "flood"]);
    // who has just come comes before what the flood has had since
    for number in 0..3 {
        store.submit(generation("flood", &format!("g{number}"))).await.unwrap();
    }
    let two = store.claim(claimant("w1"), 2).await.unwrap();
    assert!(two.iter().all(|claimed| claimed.task.owner.user.as_str() == "flood"));
    store.submit(generation("carl", "r")).await.unwrap();
    let next = store.claim(claimant("w2"), 1).await.unwrap().remove(0);
    assert_eq!(next.task.owner.user.as_str(), "carl");
    assert_sound(&store).await;
}

pub(in crate::store) async fn users_share_by_gpu_time_within_their_caps(bench: &dyn Bench) {
    let store = bench.open().await;
    for number in 0..70 {
        let mut long = generation("long", &format!("l{number}"));
        if let Spec::Generation(spec) = &mut long.spec {
            spec.steps = Some(100);
        }
        store.submit(long).await.unwrap();
        let mut short = generation("short", &format!("s{number}"));
        if let Spec::Generation(spec) = &mut short.spec {
            spec.steps = Some(25);
        }
        store.submit(short).await.unwrap();
    }
    let claimed = store.claim(claimant("w1"), 50).await.unwrap();
    let long = claimed.iter().filter(|claimed| claimed.task.owner.user.as_str() == "long").count();
    assert_eq!(long, 10, "four short tasks for a long one");
    // the cap of 64 in flight keeps the short user back, and an end lets one more through
    let more = store.claim(claimant("w1"), 60).await.unwrap();
    let short = claimed.iter().chain(&more).filter(|claimed| claimed.task.owner.user.as_str() == "short");
    let short: Vec<_> = short.cloned().collect();
    assert_eq!(short.len(), 64);
    assert_sound(&store).await;
    let one = &short[0];
    store.settle(settlement("w1", one.task.id, one.fence, drawn())).await.unwrap();
    let next = store.claim(claimant("w1"), 60).await.unwrap();
    assert_eq!(next.iter().filter(|claimed| claimed.task.owner.user.as_str() == "short").count(), 1);
    assert_sound(&store).await;
}

pub(in crate::store) async fn what_an_attempt_took_is_charged_and_learned(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = store.submit(generation("anna", "first")).await.unwrap().task;
    let guessed = first.unit_ns;
    let claimed = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    assert_eq!(claimed.task.charged_us, first.expected_us(), "the estimate is charged at the claim");
    let much = claimed.task.charged_us + 1000;
    store
        .beat(worker("w1"), vec![TaskBeat { device_time_us: much, ..beat(&claimed, 1, b"") }])
        .await
        .unwrap();
    assert_eq!(store.task(first.id).await.unwrap().charged_us, much, "an attempt is charged while it runs");
    let mut settlement = settlement("w1", first.id, claimed.fence, drawn());
    settlement.attempt.device_time_us = much + 500;
    store.settle(settlement).await.unwrap();
    let ended = store.task(first.id).await.unwrap();
    assert_eq!(
        (ended.charged_us, ended.device_time_us, ended.attempt_charge_us),
        (much + 500, much + 500, 0)
    );
    let second = store.submit(generation("anna", "second")).await.unwrap().task;
    assert_eq!(second.expected_us(), much + 500, "the next estimate is what the first one took");
    assert_ne!(second.unit_ns, guessed);
    // a lease that was never delivered costs nothing
    let claimed = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    store.undelivered(worker("w1"), vec![(second.id, claimed.fence)]).await.unwrap();
    assert_eq!(store.task(second.id).await.unwrap().charged_us, 0);
    assert_sound(&store).await;
}

pub(in crate::store) async fn more_than_the_quota_does_not_wait(bench: &dyn Bench) {
    let store = bench.open_with(tight_policy()).await;
    for number in 0..4 {
        store.submit(generation("flood", &format!("f{number}"))).await.unwrap();
    }
    let refused = store.submit(generation("flood", "f4")).await.unwrap_err();
    assert!(matches!(refused, StoreError::QuotaUsedUp { quota: "user_queued", limit: 4, .. }), "{refused}");
    assert!(store.submit(generation("flood", "f3")).await.unwrap().repeated, "what was taken stays taken");
    store.submit(generation("anna", "a")).await.unwrap();
    store.claim(claimant("w1"), 2).await.unwrap();
    store.submit(generation("flood", "f4")).await.unwrap();
    assert_sound(&store).await;
}

pub(in crate::store) async fn the_queue_shows_who_is_next_and_who_is_kept_back(bench: &dyn Bench) {
    let store = bench.open_with(tight_policy()).await;
    let mut last = None;
    for number in 0..4 {
        last = Some(store.submit(generation("anna", &format!("a{number}"))).await.unwrap().task);
    }
    store.submit(generation("bert", "b")).await.unwrap();
    store.submit(inversion("bert", "i", "me")).await.unwrap();
    let last = last.unwrap();
    let ahead = store.ahead(last.id).await.unwrap().unwrap();
    assert_eq!((ahead.tasks, ahead.cost), (3, 3 * last.expected_us()));
    // anna twice and bert once: then anna is at her cap of two
    assert_eq!(store.claim(claimant("w1"), 4).await.unwrap().len(), 4);
    let lanes = store.lanes(QueueFilter { tenant: "acme".to_owned(), most: 10 }).await.unwrap();
    assert_eq!(lanes.len(), 1, "nothing waits to be learned: {lanes:?}");
    let tenant = &lanes[0].tenants[0];
    assert_eq!((tenant.tenant.as_str(), tenant.waiting.tasks, tenant.in_flight), ("acme", 2, 4));
    let anna = &tenant.users[0];
    assert_eq!((anna.user.as_str(), anna.waiting.tasks, anna.in_flight), ("anna", 2, 2));
    assert_eq!(anna.standing, Standing::KeptBack);
    let others = store.lanes(QueueFilter { tenant: "other".to_owned(), most: 10 }).await.unwrap();
    assert!(
        others
            .iter()
            .flat_map(|lane| &lane.tenants)
            .all(|tenant| { tenant.tenant == "acme" && tenant.waiting.tasks == 2 })
    );
    let claimed = store.task(last.id).await.unwrap();
    assert!(claimed.state == State::Queued);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_worker_gets_only_tasks_of_its_models(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut big = generation("anna", "big");
    if let Spec::Generation(spec) = &mut big.spec {
        spec.model = "big".to_owned();
    }
    let big = store.submit(big).await.unwrap().task.id;
    let small = store.submit(generation("anna", "small")).await.unwrap().task.id;
    let claimed = store.claim(claimant("w1"), 5).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.task.id).collect::<Vec<_>>(), [small]);
    let pools = vec!["big".to_owned(), "other".to_owned()];
    let claimed = store.claim(Claimant { pools, ..claimant("w2") }, 5).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.task.id).collect::<Vec<_>>(), [big]);
    assert_sound(&store).await;
}

pub(in crate::store) async fn cancelling_ends_a_waiting_task_at_once_and_a_running_one_through_its_worker(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    let waiting = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    assert_eq!(store.request_cancel(waiting).await.unwrap().state, State::Cancelled);
    let running = store.submit(generation("anna", "r2")).await.unwrap().task.id;
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    let mut events = store.events();
    assert!(store.request_cancel(running).await.unwrap().cancel_requested);
    let event = next_event(&mut events).await;
    assert_eq!((event.asked, event.held_by), (Some(Asked::Stop), Some((worker("w1"), lease.fence))));
    let verdicts = store.beat(worker("w1"), vec![beat(&lease, 3, b"")]).await.unwrap();
    assert_eq!(verdicts, [BeatVerdict::Renewed { asked: Some(Asked::Stop) }]);
    store.settle(settlement("w1", running, lease.fence, AttemptEnd::Cancelled)).await.unwrap();
    assert_eq!(store.task(running).await.unwrap().state, State::Cancelled);
    // a worker that dies instead leaves nothing to be done over
    let lost = store.submit(generation("anna", "r3")).await.unwrap().task.id;
    store.claim(claimant("w1"), 1).await.unwrap();
    store.request_cancel(lost).await.unwrap();
    store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap();
    assert_eq!(store.task(lost).await.unwrap().state, State::Cancelled);
    assert_sound(&store).await;
}

pub(in crate::store) async fn three_losses_on_two_workers_are_poison_and_application_failures_are_retried_twice(
    bench: &dyn Bench,
) {
    let store = bench.open().await;
    let poison = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    for name in ["w1", "w1", "w2"] {
        store.claim(claimant(name), 1).await.unwrap();
        store.worker_lost(worker(name), incarnation("first"), Duration::ZERO).await.unwrap();
    }
    let State::Quarantined(failure) = store.task(poison).await.unwrap().state else {
        panic!("not quarantined")
    };
    assert!(failure.message.contains("3 attempts on 2 workers"), "{}", failure.message);
    let unlucky = store.submit(generation("anna", "r2")).await.unwrap().task.id;
    for attempt in 1..=3 {
        let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
        assert!(lease.checkpoint.is_empty(), "a failure starts over");
        store.beat(worker("w1"), vec![beat(&lease, 1, b"suspect")]).await.unwrap();
        store.settle(settlement("w1", unlucky, lease.fence, failed(true))).await.unwrap();
        let expected = if attempt < 3 { TaskState::Scheduled } else { TaskState::Failed };
        assert_eq!(store.task(unlucky).await.unwrap().state.wire(), expected, "attempt {attempt}");
        assert!(store.claim(claimant("w1"), 1).await.unwrap().is_empty(), "it waits out a pause");
        advance(bench.clock(), Duration::from_secs(3));
        let due = FallenDueCounts { queued: usize::from(attempt < 3), expired: 0 };
        assert_eq!(store.fall_due().await.unwrap(), due);
    }
    assert_sound(&store).await;
}

pub(in crate::store) async fn an_inversion_registers_its_person_in_the_same_step(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut settled = Vec::new();
    for request in ["r1", "r2"] {
        store.submit(inversion("anna", request, "grandma")).await.unwrap();
    }
    // a worker that does not say has made every step; one that stopped early says so
    let leases = store.claim(claimant("w1"), 2).await.unwrap();
    for (lease, (steps, shown)) in leases.into_iter().zip([(0, 100), (80, 80)]) {
        let result = InversionResult { steps, ..InversionResult::default() };
        let end = AttemptEnd::Succeeded(Outcome::Inversion(result));
        store.beat(worker("w1"), vec![beat(&lease, 60, b"")]).await.unwrap();
        store.settle(settlement("w1", lease.task.id, lease.fence, end)).await.unwrap();
        let progress = store.task(lease.task.id).await.unwrap().progress.unwrap();
        assert_eq!((progress.step, progress.total_steps), (shown, 100));
        settled.push(lease.task.id);
    }
    let filter = PeopleFilter { tenant: owner("anna").tenant, user: None, after: None, page_size: 10 };
    let people = store.list_people(filter).await.unwrap().items;
    let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["grandma", "grandma-2"], "a finished inversion is not lost to a name");
    let State::Succeeded(Outcome::Inversion(result)) = store.task(settled[0]).await.unwrap().state else {
        panic!("not succeeded")
    };
    assert_eq!(result.person_id, people[0].id.to_string());
    let taken = store.submit(inversion("anna", "r3", "grandma")).await;
    assert!(matches!(taken, Err(StoreError::NameTaken { .. })), "{taken:?}");
    let named = store.person_named(owner("anna"), "grandma".parse().unwrap()).await.unwrap();
    // a generation whose person is deleted before it starts fails instead of drawing a stranger
    let mut bound = generation("anna", "draw");
    if let Spec::Generation(spec) = &mut bound.spec {
        spec.people = vec![PersonBinding { placeholder: String::new(), person_id: named.id.to_string() }];
    }
    let bound = store.submit(bound).await.unwrap().task.id;
    store.delete_person(named.id).await.unwrap();
    assert!(store.claim(claimant("w1"), 1).await.unwrap().is_empty());
    let State::Failed(failure) = store.task(bound).await.unwrap().state else { panic!("not failed") };
    assert_eq!(failure.code, "person_gone");
    assert!(matches!(store.delete_person(named.id).await, Err(StoreError::NotFound { .. })));
    assert_sound(&store).await;
}

pub(in crate::store) async fn lists_are_paged_newest_first_through_every_filter(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut submitted = Vec::new();
    for number in 0..6 {
        let user = if number % 2 == 0 { "anna" } else { "bert" };
        submitted.push(store.submit(generation(user, &format!("r{number}"))).await.unwrap().task.id);
    }
    store.request_cancel(submitted[4]).await.unwrap();
    store.request_cancel(submitted[1]).await.unwrap();
    let everything = TaskFilter {
        tenant: owner("anna").tenant,
        user: None,
        states: Vec::new(),
        kind: None,
        before: None,
        since: None,
        until: None,
        page_size: 4,
    };
    let first = store.list(everything.clone()).await.unwrap();
    let last_number = first.items.last().unwrap().number;
    let second = store.list(TaskFilter { before: Some(last_number), ..everything.clone() }).await.unwrap();
    let ids: Vec<TaskId> = first.items.iter().chain(&second.items).map(|task| task.id).collect();
    assert_eq!(ids, submitted.iter().rev().copied().collect::<Vec<_>>());
    assert!(first.more && !second.more);
    let filter = TaskFilter {
        user: Some("anna".parse().unwrap()),
        states: vec![TaskState::Queued, TaskState::Cancelled],
        kind: Some(TaskKind::Generation),
        ..everything.clone()
    };
    let of_anna = store.list(filter.clone()).await.unwrap().items;
    assert_eq!(
        of_anna.iter().map(|task| task.id).collect::<Vec<_>>(),
        [submitted[4], submitted[2], submitted[0]]
    );
    let cancelled = TaskFilter { states: vec![TaskState::Cancelled], user: None, ..filter.clone() };
    assert_eq!(store.list(cancelled).await.unwrap().items.len(), 2);
    let inversions = TaskFilter { kind: Some(TaskKind::Inversion), ..everything };
    assert!(store.list(inversions).await.unwrap().items.is_empty());
}

pub(in crate::store) async fn ended_tasks_are_swept_after_their_time_and_only_they(bench: &dyn Bench) {
    let store = bench.open().await;
    let ended = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    store.request_cancel(ended).await.unwrap();
    let waiting = store.submit(generation("anna", "r2")).await.unwrap().task.id;
    advance(bench.clock(), Duration::from_secs(31 * 24 * 3600));
    assert_eq!(store.sweep().await.unwrap().tasks, 1);
    assert!(matches!(store.task(ended).await, Err(StoreError::NotFound { .. })));
    assert!(store.task(waiting).await.is_ok());
    assert_sound(&store).await;
}

pub(in crate::store) async fn events_come_once_a_revision_and_not_for_mere_renewals(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut events = store.events();
    store.submit(generation("anna", "r1")).await.unwrap();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    store.beat(worker("w1"), vec![beat(&lease, 1, b"")]).await.unwrap();
    store.beat(worker("w1"), vec![TaskBeat { progress: None, ..beat(&lease, 1, b"") }]).await.unwrap();
    store.settle(settlement("w1", lease.task.id, lease.fence, drawn())).await.unwrap();
    let mut revisions = Vec::new();
    while revisions.len() < 4 {
        revisions.push(next_event(&mut events).await.revision);
    }
    assert_eq!(revisions, [1, 2, 3, 4]);
    // whatever came too much would have come before the event of another task
    let last = store.submit(generation("anna", "r2")).await.unwrap().task.id;
    assert_eq!(next_event(&mut events).await.task, last);
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
}

pub(in crate::store) async fn a_worker_that_renewed_its_lease_elsewhere_is_not_lost(bench: &dyn Bench) {
    let grace = Duration::from_secs(1);
    let store = bench.open().await;
    store.submit(generation("anna", "r1")).await.unwrap();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    // the connection ends here, and another coordinator is reached within the grace
    advance(bench.clock(), Duration::from_millis(400));
    let held = vec![(lease.task.id, lease.fence)];
    assert_eq!(store.readopt(worker("w1"), incarnation("first"), held).await.unwrap(), [true]);
    advance(bench.clock(), Duration::from_millis(600));
    assert!(store.worker_lost(worker("w1"), incarnation("first"), grace).await.unwrap().is_empty());
    advance(bench.clock(), grace);
    let lost = store.worker_lost(worker("w1"), incarnation("first"), grace).await.unwrap();
    assert_eq!(lost, [lease.task.id]);
    assert_sound(&store).await;
}

pub(in crate::store) async fn people_are_paged_in_the_order_of_user_and_name(bench: &dyn Bench) {
    let store = bench.open().await;
    for (user, name) in [("bert", "aunt"), ("anna", "uncle"), ("anna-b", "me"), ("anna", "aunt")] {
        let imported = store.import_person(person(user, name, name)).await.unwrap();
        let again = store.import_person(person(user, name, name)).await.unwrap();
        assert_eq!(imported, again, "repeatable");
    }
    let taken = NewPerson { request: "another".parse().unwrap(), ..person("anna", "aunt", "aunt") };
    assert!(matches!(store.import_person(taken).await, Err(StoreError::NameTaken { .. })));
    let everyone = PeopleFilter { tenant: owner("anna").tenant, user: None, after: None, page_size: 3 };
    let first = store.list_people(everyone.clone()).await.unwrap();
    let last = first.items.last().unwrap();
    let after = Some((last.owner.user.clone(), last.name.clone()));
    let second = store.list_people(PeopleFilter { after, ..everyone.clone() }).await.unwrap();
    let names: Vec<String> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|person| format!("{} {}", person.owner.user, person.name))
        .collect();
    assert_eq!(names, ["anna aunt", "anna uncle", "anna-b me", "bert aunt"]);
    assert!(first.more && !second.more);
    let of_anna = PeopleFilter { user: Some("anna".parse().unwrap()), ..everyone };
    let of_anna = store.list_people(of_anna).await.unwrap();
    assert_eq!((of_anna.items.len(), of_anna.more), (2, false));
    let known = of_anna.items.first().unwrap();
    assert_eq!(store.person(known.id).await.unwrap(), *known);
    assert_sound(&store).await;
}

pub(in crate::store) async fn a_closed_store_refuses(bench: &dyn Bench) {
    let store = bench.open().await;
    let id = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    store.close().await;
    store.close().await;
    let refused = store.submit(generation("anna", "r2")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    let store = bench.open().await;
    assert_eq!(store.task(id).await.unwrap().state, State::Queued);
    assert_eq!(store.snapshot().await.unwrap().tasks.len(), 1);
}
