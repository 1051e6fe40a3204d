//! The task store in Redis (7.0 or newer, or Valkey): for several coordinators at once, none of which keeps anything.
//!
//! An operation reads the records that it needs, runs the same code as in every other store, and commits what it
//! changed with one script that makes the changes only if nothing that was read has changed since
//! (`docs/decisions/0007-redis-commits-by-compare-and-swap.md`). Sending a commit twice is harmless, so whatever had
//! no answer is sent again.
//!
//! Not promised: more than the server itself keeps. With `appendfsync always` nothing that was acknowledged is lost when
//! it dies; with `everysec` up to two seconds may be, even where only its process was killed, unless submits wait for
//! replicas.

mod changes;
mod checks;
mod claim;
mod clock;
mod due;
mod events;
mod faults;
mod history;
mod keys;
mod link;
mod load;
mod memory;
mod queue_view;
mod read;
mod recovery;
mod scrub;
mod scrub_rows;
mod settings;
mod snapshot;
mod step;
mod transactions;
mod workers;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use likeness_shared::ids::{Digest, Fence, Incarnation, PersonId, PersonName, RequestId, TaskId, WorkerId};
use likeness_shared::proto;
use redis::Script;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use clock::RedisClock;
use due::{LookScripts, LookedAt};
use events::{Follower, LOOK};
use history::History;
use keys::Keys;
use link::Link;
use memory::Memory;
use recovery::Recovery;
pub use settings::{Durability, RedisSettings};
use step::Want;
use transactions::{CommitScripts, Terms};

use super::fair::{FairPolicy, LaneView};
use super::indexes::owner_key;
use super::invariants::Snapshot;
use super::operations::SUBMITS;
use super::people::IMPORTS;
use super::record::{Owner, PersonRecord, Spec, StoreTime, TaskRecord};
use super::requests::request_key;
use super::transition::{BeatVerdict, SettleVerdict};
use super::worker_record::{Drain, WorkerFacts, WorkerStanding};
use super::workspace::Workspace;
use super::{
    Ahead, Claimant, Claimed, FallenDueCounts, NewPerson, NewTask, Page, PeopleFilter, QueueFilter, Scrubbed,
    Settlement, StoreError, StoreEvent, StoreHealth, StoreTimes, Submitted, Swept, TaskBeat, TaskFilter,
    TaskStore, operations, people,
};

/// Changes that a slow listener may be behind before it is told that it missed some.
const EVENTS_KEPT: usize = 4096;
/// For the follower of the stream to find its place, at the start.
const FOLLOW_WITHIN: Duration = Duration::from_secs(5);

/// The store in Redis. Closed by [`TaskStore::close`], or when the last handle goes.
pub struct RedisStore {
    link: Link,
    keys: Keys,
    times: StoreTimes,
    policy: FairPolicy,
    clock: RedisClock,
    scripts: CommitScripts,
    looks: LookScripts,
    next: Script,
    forget: Script,
    moment: Script,
    /// How many tasks the next claim may lease at once, by how well the order was guessed before.
    claiming: tokio::sync::Mutex<usize>,
    history: History,
    memory: Memory,
    last_look: Mutex<Option<LookedAt>>,
    recovery: Recovery,
    acknowledging: Option<Promise>,
    events: broadcast::Sender<StoreEvent>,
    stop: CancellationToken,
    follower: Mutex<JoinSet<()>>,
}

/// What is acknowledged only once replicas have it: over a connection of its own, for waiting holds a connection up.
struct Promise {
    link: Link,
    replicas: u32,
    within: Duration,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("link", &self.link).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects, checks the server, and follows its changes. Leases that nobody could renew while there was no
    /// coordinator are given a whole TTL more.
    pub async fn open(settings: RedisSettings) -> Result<Self, StoreError> {
        let keys = Keys::of_fleet(&settings.fleet);
        let link = Link::new(&settings, settings.command_timeout)?;
        checks::check(&link, &keys, &settings).await?;
        let acknowledging = if settings.replicas > 0 {
            let within = settings.command_timeout;
            let link = Link::new(&settings, within.saturating_mul(2))?;
            Some(Promise { link, replicas: settings.replicas, within })
        } else {
            None
        };
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let store = Self {
            link,
            keys,
            times: settings.times,
            policy: settings.policy.clone(),
            clock: settings.clock.clone(),
            scripts: CommitScripts::new(),
            looks: LookScripts::new(),
            next: Script::new(concat!(include_str!("order.lua"), include_str!("next.lua"))),
            forget: Script::new(include_str!("forget.lua")),
            moment: Script::new(concat!("#!lua flags=no-writes\n", include_str!("moment.lua"))),
            claiming: tokio::sync::Mutex::new(1),
            history: History::new(),
            memory: Memory::new(settings.memory_share),
            last_look: Mutex::new(None),
            recovery: Recovery::new(),
            acknowledging,
            events,
            stop: CancellationToken::new(),
            follower: Mutex::new(JoinSet::new()),
        };
        store.follow(&settings).await?;
        store.extend_after_silence().await?;
        Ok(store)
    }

    async fn follow(&self, settings: &RedisSettings) -> Result<(), StoreError> {
        let (follows, mut following) = watch::channel(false);
        let follower = Follower {
            link: Link::new(settings, LOOK.saturating_add(settings.command_timeout))?,
            keys: self.keys.clone(),
            events: self.events.clone(),
            follows,
            stop: self.stop.clone(),
        };
        self.follower.lock().unwrap_or_else(PoisonError::into_inner).spawn(follower.run());
        match timeout(FOLLOW_WITHIN, following.wait_for(|follows| *follows)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::Unavailable { reason: "its stream of changes cannot be read".to_owned() }),
        }
    }

    fn open_still(&self) -> Result<(), StoreError> {
        if self.stop.is_cancelled() {
            return Err(StoreError::Unavailable { reason: "it is closed".to_owned() });
        }
        Ok(())
    }

    async fn changed<R>(
        &self,
        terms: Terms,
        operation: impl Fn(&mut step::Step<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.open_still()?;
        self.step(terms, operation).await
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn tasks(ids: impl IntoIterator<Item = TaskId>) -> Terms {
    Terms::wanting(ids.into_iter().map(Want::Task))
}

#[async_trait]
impl TaskStore for RedisStore {
    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
        let mut wants = vec![
            Want::Request(request_key(SUBMITS, &task.owner, &task.request)),
            Want::Costs(task.spec.lane().text()),
            Want::Queued(owner_key(&task.owner)),
            Want::Queued(task.owner.tenant.to_string()),
        ];
        if let Spec::Inversion(spec) = &task.spec {
            wants.push(Want::Name(owner_key(&task.owner), spec.person_name.clone()));
        }
        let terms = Terms { grows: true, acknowledged: true, ..Terms::wanting(wants) };
        self.changed(terms, |step| operations::submit(step, &task)).await
    }

    async fn submitted(
        &self,
        owner: Owner,
        request: RequestId,
        body: Digest,
    ) -> Result<Option<TaskRecord>, StoreError> {
        self.open_still()?;
        let found = self.submitted_by(&owner, &request, body).await?;
        if found.is_some() {
            self.acknowledge_earlier(&Terms { acknowledged: true, ..Terms::default() }).await?;
        }
        Ok(found)
    }

    async fn task(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.open_still()?;
        self.read_task(id).await
    }

    async fn list(&self, filter: TaskFilter) -> Result<Page<TaskRecord>, StoreError> {
        self.open_still()?;
        self.list_tasks(&filter).await
    }

    async fn claim(&self, claimant: Claimant, most: usize) -> Result<Vec<Claimed>, StoreError> {
        self.open_still()?;
        self.claim_tasks(&claimant, most).await
    }

    async fn beat(&self, worker: WorkerId, beats: Vec<TaskBeat>) -> Result<Vec<BeatVerdict>, StoreError> {
        let mut terms = tasks(beats.iter().map(|beat| beat.task));
        terms.wants.insert(Want::Worker(worker.clone()));
        let leases: Vec<(TaskId, Fence)> = beats.iter().map(|beat| (beat.task, beat.fence)).collect();
        self.witnessed(terms, &leases, |step| operations::beat(step, &worker, &beats)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<SettleVerdict, StoreError> {
        let mut terms = Terms { acknowledged: true, ..tasks([settlement.task]) };
        terms.wants.insert(Want::Worker(settlement.attempt.worker.clone()));
        let lease = [(settlement.task, settlement.attempt.fence)];
        self.witnessed(terms, &lease, |step| operations::settle(step, &settlement)).await
    }

    async fn worker_lost(
        &self,
        worker: WorkerId,
        incarnation: Incarnation,
        silent_for: Duration,
    ) -> Result<Vec<TaskId>, StoreError> {
        let terms = Terms::wanting([Want::Worker(worker.clone()), Want::Held(worker.clone())]);
        let lose = |step: &mut step::Step<'_>| {
            // it may have been asked to greet anew; what it does not come back for runs out by itself
            if step.is_recovering() {
                return Ok(Vec::new());
            }
            operations::worker_lost(step, &worker, &incarnation, silent_for)
        };
        self.changed(terms, lose).await
    }

    async fn undelivered(&self, worker: WorkerId, leases: Vec<(TaskId, Fence)>) -> Result<(), StoreError> {
        let terms = tasks(leases.iter().map(|(task, _)| *task));
        self.changed(terms, |step| operations::undelivered(step, &worker, &leases)).await
    }

    async fn readopt(
        &self,
        worker: WorkerId,
        incarnation: Incarnation,
        held: Vec<(TaskId, Fence)>,
    ) -> Result<Vec<bool>, StoreError> {
        let mut terms = tasks(held.iter().map(|(task, _)| *task));
        terms.wants.insert(Want::Held(worker.clone()));
        self.readopted(terms, &held, |step| operations::readopt(step, &worker, &incarnation, &held)).await
    }

    async fn request_cancel(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.changed(tasks([id]), |step| operations::request_cancel(step, id)).await
    }

    async fn hold(&self, id: TaskId, reason: String) -> Result<TaskRecord, StoreError> {
        self.changed(tasks([id]), |step| operations::hold(step, id, &reason)).await
    }

    async fn release(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.changed(tasks([id]), |step| operations::release(step, id)).await
    }

    async fn retry(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        let terms = Terms { acknowledged: true, ..tasks([id]) };
        self.changed(terms, |step| operations::retry(step, id)).await
    }

    async fn worker_joined(&self, facts: WorkerFacts) -> Result<(), StoreError> {
        let terms = Terms::wanting([Want::Worker(facts.id.clone())]);
        self.changed(terms, |step| crate::store::workers::joined(step, &facts)).await.map(drop)
    }

    async fn worker_seen(&self, worker: WorkerId, incarnation: Incarnation) -> Result<(), StoreError> {
        let terms = Terms::wanting([Want::Worker(worker.clone())]);
        self.changed(terms, |step| crate::store::workers::seen(step, &worker, &incarnation)).await
    }

    async fn worker(&self, id: WorkerId) -> Result<WorkerStanding, StoreError> {
        self.open_still()?;
        self.find_worker(&id).await
    }

    async fn list_workers(
        &self,
        after: Option<WorkerId>,
        page_size: usize,
    ) -> Result<Page<WorkerStanding>, StoreError> {
        self.open_still()?;
        self.workers_in_order(after.as_ref(), page_size).await
    }

    async fn drain_worker(&self, id: WorkerId, drain: Drain) -> Result<(), StoreError> {
        let terms = Terms::wanting([Want::Worker(id.clone()), Want::Held(id.clone())]);
        self.changed(terms, |step| crate::store::workers::drain(step, &id, &drain)).await
    }

    async fn undrain_worker(&self, id: WorkerId) -> Result<(), StoreError> {
        let terms = Terms::wanting([Want::Worker(id.clone())]);
        self.changed(terms, |step| crate::store::workers::undrain(step, &id)).await
    }

    async fn now(&self) -> Result<StoreTime, StoreError> {
        self.changed(Terms::default(), |step| Ok(step.now())).await
    }

    async fn expire_leases(&self) -> Result<Vec<TaskId>, StoreError> {
        self.open_still()?;
        self.expire_due().await
    }

    async fn fall_due(&self) -> Result<FallenDueCounts, StoreError> {
        self.open_still()?;
        self.fall_due_now().await
    }

    async fn sweep(&self) -> Result<Swept, StoreError> {
        self.open_still()?;
        self.sweep_due().await
    }

    async fn lanes(&self, filter: QueueFilter) -> Result<Vec<LaneView>, StoreError> {
        self.open_still()?;
        self.read_lanes(&filter).await
    }

    async fn ahead(&self, id: TaskId) -> Result<Option<Ahead>, StoreError> {
        self.open_still()?;
        self.read_ahead(id).await
    }

    async fn import_person(&self, person: NewPerson) -> Result<PersonRecord, StoreError> {
        let request = Want::Request(request_key(IMPORTS, &person.owner, &person.request));
        let name = Want::Name(owner_key(&person.owner), person.name.to_string());
        let terms = Terms { grows: true, acknowledged: true, ..Terms::wanting([request, name]) };
        self.changed(terms, |step| people::import_person(step, &person)).await
    }

    async fn person(&self, id: PersonId) -> Result<PersonRecord, StoreError> {
        self.open_still()?;
        self.read_person(id).await
    }

    async fn person_named(&self, owner: Owner, name: PersonName) -> Result<PersonRecord, StoreError> {
        self.open_still()?;
        self.read_person_named(&owner, &name).await
    }

    async fn list_people(&self, filter: PeopleFilter) -> Result<Page<PersonRecord>, StoreError> {
        self.open_still()?;
        self.people_in_order(&filter).await
    }

    async fn delete_person(&self, id: PersonId) -> Result<(), StoreError> {
        let forget = |step: &mut step::Step<'_>| {
            let person = step.person(id)?;
            step.remove_person(&person);
            Ok(())
        };
        self.changed(Terms::wanting([Want::Person(id)]), forget).await
    }

    fn events(&self) -> broadcast::Receiver<StoreEvent> {
        self.events.subscribe()
    }

    fn durability(&self) -> proto::Durability {
        match self.acknowledging {
            Some(_) => proto::Durability::Replicated,
            None => proto::Durability::Local,
        }
    }

    fn health(&self) -> watch::Receiver<StoreHealth> {
        self.recovery.watch()
    }

    async fn scrub(&self, dry_run: bool) -> Result<Scrubbed, StoreError> {
        self.open_still()?;
        self.scrub_indexes(dry_run).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.open_still()?;
        Ok(self.view().await?.snapshot)
    }

    async fn close(&self) {
        if self.stop.is_cancelled() {
            return;
        }
        if let Err(error) = self.forget_look().await {
            tracing::warn!(%error, "the store could not be told that this coordinator goes");
        }
        self.stop.cancel();
        let mut follower = std::mem::take(&mut *self.follower.lock().unwrap_or_else(PoisonError::into_inner));
        follower.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
