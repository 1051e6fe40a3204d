//! What every store must do: the same stories and the same random lives, run against each implementation.
//!
//! A [`Bench`] opens the store under test, over and over, with a clock that a test sets. `conformance_tests!` makes the
//! stories into tests of one bench; `random.rs` runs random lives on one store, `side_by_side.rs` on two.

pub(super) mod life;
pub(super) mod random;
pub(super) mod scenarios;
pub(super) mod scrub;
pub(super) mod side_by_side;
pub(super) mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use likeness_shared::ids::{Digest, Fence, Incarnation, RequestId, TaskId, WorkerId};
use likeness_shared::limits::StartTimes;
use likeness_shared::proto::{GenerationResult, GenerationSpec, InversionSpec, Progress};
use tokio::sync::broadcast;

use crate::store::fair::FairPolicy;
use crate::store::invariants::of_snapshot;
use crate::store::record::{Outcome, Owner, Spec};
use crate::store::scrub::Difference;
use crate::store::transition::{AttemptEnd, AttemptSettlement};
use crate::store::worker_record::{WorkerFacts, WorkerModel};
use crate::store::{
    Claimant, Claimed, LearnedPerson, NewPerson, NewTask, Settlement, StoreEvent, StoreTimes, TaskBeat,
    TaskEvent, TaskStore,
};

pub(super) const TTL: Duration = Duration::from_secs(10);

pub(super) fn times() -> StoreTimes {
    StoreTimes {
        lease_ttl: TTL,
        request_ids: Duration::from_secs(24 * 3600),
        ended_tasks: Duration::from_secs(30 * 24 * 3600),
    }
}

/// Caps and weights that a random life runs into.
pub(super) fn tight_policy() -> FairPolicy {
    let mut policy =
        FairPolicy { user_in_flight: 2, tenant_in_flight: 4, user_queued: 4, ..FairPolicy::default() };
    policy.tenants.entry("acme".to_owned()).or_default().user_weights.insert("u1".to_owned(), 250);
    policy
}

/// A clock that stands still until told otherwise.
pub(super) fn clock() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(1_000_000_000))
}

pub(super) fn advance(clock: &AtomicU64, by: Duration) {
    clock.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
}

/// A store's storage and clock, which outlive every opening of the store.
#[async_trait]
pub(super) trait Bench: Send + Sync {
    fn clock(&self) -> &Arc<AtomicU64>;
    fn policy(&self) -> &FairPolicy;
    async fn open_breakable(&self, policy: FairPolicy) -> Arc<dyn Breakable>;

    async fn open_with(&self, policy: FairPolicy) -> Arc<dyn TaskStore> {
        self.open_breakable(policy).await
    }

    async fn open(&self) -> Arc<dyn TaskStore> {
        self.open_with(self.policy().clone()).await
    }
}

/// A store whose indexes a test can break.
#[async_trait]
pub(super) trait Breakable: TaskStore {
    /// Adds rows that are left over then, removes those that are missing, puts different ones in the place of others.
    async fn damage(&self, damage: &[Difference]);
    /// Whether the order of people and workers by name are indexes of their own.
    fn keeps_order_apart(&self) -> bool;
}

/// Every story as a test of the bench that the expression makes.
macro_rules! conformance_tests {
    ($bench:expr) => {
        $crate::store::conformance::conformance_tests!($bench; scenarios:
            a_request_id_makes_one_task_and_outlives_a_restart,
            a_lost_workers_task_goes_on_from_its_checkpoint_under_a_higher_fence,
            a_worker_that_renewed_its_lease_elsewhere_is_not_lost,
            a_lease_without_beats_runs_out_and_a_restart_gives_it_a_whole_ttl,
            a_restarted_worker_process_loses_what_its_predecessor_held,
            users_take_turns_and_a_flood_waits_behind_everyone,
            users_share_by_gpu_time_within_their_caps,
            what_an_attempt_took_is_charged_and_learned,
            more_than_the_quota_does_not_wait,
            the_queue_shows_who_is_next_and_who_is_kept_back,
            a_worker_gets_only_tasks_of_its_models,
            cancelling_ends_a_waiting_task_at_once_and_a_running_one_through_its_worker,
            three_losses_on_two_workers_are_poison_and_application_failures_are_retried_twice,
            an_inversion_registers_its_person_in_the_same_step,
            lists_are_paged_newest_first_through_every_filter,
            people_are_paged_in_the_order_of_user_and_name,
            ended_tasks_are_swept_after_their_time_and_only_they,
            events_come_once_a_revision_and_not_for_mere_renewals,
            a_closed_store_refuses,
        );
        $crate::store::conformance::conformance_tests!($bench; life:
            a_delayed_task_waits_for_its_time_even_over_a_restart,
            a_task_that_is_not_started_in_time_expires,
            a_failure_of_the_worker_keeps_its_checkpoint_and_does_not_wait,
            a_held_task_gets_no_lease_and_keeps_its_place,
            a_running_task_that_is_held_is_asked_back_and_goes_on_from_its_checkpoint,
            a_dead_letter_is_tried_again_from_the_start_and_outlives_its_retention,
            tasks_are_listed_by_age,
        );
        $crate::store::conformance::conformance_tests!($bench; scrub:
            every_broken_index_is_reported_as_it_is_and_set_right,
            what_is_broken_all_at_once_is_set_right_at_once,
            who_lost_his_place_in_the_order_gets_it_back_at_the_floor,
        );
        $crate::store::conformance::conformance_tests!($bench; workers:
            a_worker_that_fails_everything_is_quarantined_and_its_tasks_are_not_charged,
            what_a_quarantined_worker_still_fails_at_is_not_charged_either,
            bad_requests_do_not_quarantine_a_worker,
            a_draining_worker_is_asked_for_what_it_holds_and_gets_no_more,
            a_worker_that_may_finish_is_not_asked,
            workers_are_listed_by_name_and_forgotten_when_long_away,
        );
    };
    ($bench:expr; $stories:ident: $($story:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $story() {
                $crate::store::conformance::$stories::$story(&$bench).await;
            }
        )*
    };
}
pub(super) use conformance_tests;

pub(super) fn owner(user: &str) -> Owner {
    Owner { tenant: "acme".parse().unwrap(), user: user.parse().unwrap() }
}

pub(super) fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

pub(super) fn incarnation(name: &str) -> Incarnation {
    name.parse().unwrap()
}

pub(super) fn facts(name: &str, process: &str) -> WorkerFacts {
    WorkerFacts {
        id: worker(name),
        incarnation: incarnation(process),
        device: "cpu".to_owned(),
        device_memory_bytes: 1 << 30,
        models: vec![WorkerModel { name: "pocket".to_owned(), digest: String::new(), is_default: true }],
        build: "0.1.0".to_owned(),
        protocol: 1,
        slots: 2,
    }
}

pub(super) fn claimant(name: &str) -> Claimant {
    Claimant {
        worker: worker(name),
        incarnation: incarnation("first"),
        pools: vec![String::new()],
        device: "cpu".to_owned(),
    }
}

pub(super) fn generation(user: &str, request: &str) -> NewTask {
    let spec = GenerationSpec { prompt: request.to_owned(), ..GenerationSpec::default() };
    NewTask {
        owner: owner(user),
        request: request.parse::<RequestId>().unwrap(),
        body: Digest::of(request.as_bytes()),
        spec: Spec::Generation(spec),
        times: StartTimes::default(),
    }
}

pub(super) fn inversion(user: &str, request: &str, name: &str) -> NewTask {
    let spec = InversionSpec {
        person_name: name.to_owned(),
        placeholder: "sks".to_owned(),
        ..InversionSpec::default()
    };
    NewTask { spec: Spec::Inversion(spec), ..generation(user, request) }
}

pub(super) fn beat(claimed: &Claimed, step: u32, checkpoint: &'static [u8]) -> TaskBeat {
    TaskBeat {
        task: claimed.task.id,
        fence: claimed.fence,
        progress: Some(Progress { step, total_steps: 100, ..Progress::default() }),
        checkpoint: Bytes::from_static(checkpoint),
        device_time_us: u64::from(step) * 100,
    }
}

pub(super) fn settlement(worker_name: &str, task: TaskId, fence: Fence, end: AttemptEnd) -> Settlement {
    let digest = Digest::of(format!("{end:?}").as_bytes());
    let inversion = matches!(end, AttemptEnd::Succeeded(Outcome::Inversion(_)));
    Settlement {
        task,
        attempt: AttemptSettlement {
            worker: worker(worker_name),
            fence,
            digest,
            end,
            photos: None,
            device_time_us: 5,
        },
        person: inversion.then(learned),
        checkpoint: Bytes::new(),
    }
}

pub(super) fn failed(retryable: bool) -> AttemptEnd {
    AttemptEnd::Failed { code: "internal".to_owned(), message: "something broke".to_owned(), retryable }
}

pub(super) fn drawn() -> AttemptEnd {
    AttemptEnd::Succeeded(Outcome::Generation(GenerationResult::default()))
}

pub(super) fn infrastructure() -> AttemptEnd {
    AttemptEnd::Infrastructure { code: "device_lost".to_owned(), message: "the device is gone".to_owned() }
}

/// Nothing for the scrubber to find.
pub(super) async fn assert_nothing_differs(store: &dyn TaskStore) {
    let scrubbed = store.scrub(true).await.unwrap();
    assert_eq!(scrubbed.differences, Vec::<String>::new());
    assert!(scrubbed.shares_compared && !scrubbed.repaired && scrubbed.found == 0, "{scrubbed:?}");
}

pub(super) async fn assert_sound(store: &Arc<dyn TaskStore>) {
    assert_eq!(of_snapshot(&store.snapshot().await.unwrap()), Vec::<String>::new());
}

/// The next change; it comes soon.
pub(super) async fn next_event(events: &mut broadcast::Receiver<StoreEvent>) -> TaskEvent {
    match tokio::time::timeout(Duration::from_secs(20), events.recv()).await.unwrap().unwrap() {
        StoreEvent::Changed(event) => event,
        StoreEvent::Missed => panic!("events were missed"),
    }
}

pub(super) fn person(user: &str, name: &str, request: &str) -> NewPerson {
    NewPerson {
        owner: owner(user),
        request: format!("import-{request}").parse().unwrap(),
        body: Digest::of(name.as_bytes()),
        name: name.parse().unwrap(),
        placeholder: "sks".to_owned(),
        learned: learned(),
    }
}

fn learned() -> LearnedPerson {
    LearnedPerson {
        artifact: Digest::of(b"person"),
        vectors: 2,
        width: 64,
        model_digest: String::new(),
        quality: None,
    }
}
