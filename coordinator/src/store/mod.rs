//! The task store: the only place where a task changes, and only through atomic, fenced, repeatable transitions.
//!
//! [`TaskStore`] is the contract, `transition.rs` the state machine, `operations.rs` and `people.rs` the operations that
//! every implementation runs over its own `Workspace`, `indexes.rs` the index rows that follow from a record,
//! `invariants.rs` what must always hold, `scrub/` what sets it right. [`EmbeddedStore`] keeps it all in one `redb` file,
//! [`RedisStore`] in a Redis that several coordinators share.

mod age;
mod codec;
#[cfg(test)]
mod conformance;
mod embedded;
mod errors;
pub mod fair;
mod health;
mod indexes;
pub mod invariants;
mod operations;
mod people;
mod prost_serde;
mod queue_view;
pub mod record;
mod redis;
mod requests;
mod scrub;
pub mod transition;
pub mod worker_record;
mod workers;
mod workspace;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use likeness_shared::ids::{
    Digest, Fence, Incarnation, PersonId, PersonName, RequestId, TaskId, TenantName, UserName, WorkerId,
};
use likeness_shared::limits::StartTimes;
use likeness_shared::proto::{self, Progress, QualityReport, ResolvedPerson, TaskKind, TaskState};
use tokio::sync::{broadcast, watch};

pub use self::redis::{Durability, RedisClock, RedisSettings, RedisStore};
pub use embedded::{EmbeddedStore, StoreClock};
pub use errors::StoreError;
use fair::LaneView;
pub use health::{Condition, StoreHealth};
pub use queue_view::{Ahead, QueueFilter};
use record::{Owner, PersonRecord, Spec, StoreTime, TaskRecord};
pub use scrub::Scrubbed;
use transition::{Asked, AttemptSettlement, BeatVerdict, FallenDue, SettleVerdict};
use worker_record::{Drain, WorkerFacts, WorkerStanding};

/// The times that a store keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreTimes {
    /// How long a lease lives without a beat.
    pub lease_ttl: Duration,
    /// How long a request id is remembered.
    pub request_ids: Duration,
    /// How long an ended task is kept.
    pub ended_tasks: Duration,
}

/// A task to be stored.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Whose.
    pub owner: Owner,
    /// The caller's name for this submit.
    pub request: RequestId,
    /// Of the request's body, as it was sent.
    pub body: Digest,
    /// What, with every default filled in.
    pub spec: Spec,
    /// When it may start.
    pub times: StartTimes,
}

/// The answer to a submit.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The task.
    pub task: TaskRecord,
    /// The request id had been seen before.
    pub repeated: bool,
}

/// A worker that asks for work.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The worker.
    pub worker: WorkerId,
    /// Its process.
    pub incarnation: Incarnation,
    /// Names of the models that it has; `""` stands for the fleet's default model.
    pub pools: Vec<String>,
    /// What it computes on, as estimates of costs tell devices apart.
    pub device: String,
}

/// A task given to a worker, with all that the worker needs.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The task, under its new lease.
    pub task: TaskRecord,
    /// The lease's fence.
    pub fence: Fence,
    /// Newest checkpoint of an earlier attempt; empty = from the start.
    pub checkpoint: Bytes,
    /// The people bound by a generation.
    pub people: Vec<ResolvedPerson>,
}

/// One task's part of a beat.
#[derive(Debug, Clone)]
pub struct TaskBeat {
    /// The task.
    pub task: TaskId,
    /// The lease.
    pub fence: Fence,
    /// What the worker reports, if anything.
    pub progress: Option<Progress>,
    /// Newest checkpoint; empty = none since the last beat.
    pub checkpoint: Bytes,
    /// Device time of the attempt so far, in microseconds; 0 = not told.
    pub device_time_us: u64,
}

/// A settlement with what travels beside it.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The task.
    pub task: TaskId,
    /// Who ends which attempt, and how. An inversion's result carries no person id: the store registers the person.
    pub attempt: AttemptSettlement,
    /// The person learned, for a succeeded inversion.
    pub person: Option<LearnedPerson>,
    /// Newest checkpoint of a hand-back; empty = keep the one there is.
    pub checkpoint: Bytes,
}

/// What a settled inversion says of its person.
#[derive(Debug, Clone)]
pub struct LearnedPerson {
    /// The learned-person file.
    pub artifact: Digest,
    /// Number of vectors.
    pub vectors: u32,
    /// Width of a vector.
    pub width: u32,
    /// Digest of the model.
    pub model_digest: String,
    /// How well the person is drawn, where that is known.
    pub quality: Option<Box<QualityReport>>,
}

/// A person to be registered from a file.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// Whose.
    pub owner: Owner,
    /// The caller's name for this import.
    pub request: RequestId,
    /// Of the request's body.
    pub body: Digest,
    /// Unique within the owner's people.
    pub name: PersonName,
    /// The text that stands for the person.
    pub placeholder: String,
    /// The file and what is in it.
    pub learned: LearnedPerson,
}

/// Which tasks to list.
#[derive(Debug, Clone)]
pub struct TaskFilter {
    /// The platform.
    pub tenant: TenantName,
    /// `None` = every user.
    pub user: Option<UserName>,
    /// Empty = every state.
    pub states: Vec<TaskState>,
    /// `None` = every kind.
    pub kind: Option<TaskKind>,
    /// Only tasks submitted before the one of this number; `None` = from the newest.
    pub before: Option<u64>,
    /// Only tasks submitted at this moment or later.
    pub since: Option<StoreTime>,
    /// Only tasks submitted at this moment or earlier.
    pub until: Option<StoreTime>,
    /// At most so many.
    pub page_size: usize,
}

/// Which people to list.
#[derive(Debug, Clone)]
pub struct PeopleFilter {
    /// The platform.
    pub tenant: TenantName,
    /// `None` = every user.
    pub user: Option<UserName>,
    /// Only people after this user and name; `None` = from the first.
    pub after: Option<(UserName, PersonName)>,
    /// At most so many.
    pub page_size: usize,
}

/// One page and whether more follow.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether another page follows.
    pub more: bool,
}

/// A change of a task, told after it is durable. One for each revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEvent {
    /// The task.
    pub task: TaskId,
    /// Its new revision.
    pub revision: u64,
    /// Its new state.
    pub state: TaskState,
    /// Who holds it, if anyone.
    pub held_by: Option<(WorkerId, Fence)>,
    /// What who holds it is asked to do.
    pub asked: Option<Asked>,
}

impl TaskEvent {
    /// What there is to tell of a task as it is.
    fn of(task: &TaskRecord) -> Self {
        Self {
            task: task.id,
            revision: task.revision,
            state: task.state.wire(),
            held_by: task.state.tenure().map(|tenure| (tenure.worker.clone(), tenure.fence)),
            asked: task.asked(),
        }
    }
}

/// What a store tells those who listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreEvent {
    /// A task has changed.
    Changed(TaskEvent),
    /// Some changes could not be told: read anew whatever matters.
    Missed,
}

/// Tasks whose time had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FallenDueCounts {
    /// Wait for a worker.
    pub queued: usize,
    /// Were not started before their deadline.
    pub expired: usize,
}

impl FallenDueCounts {
    /// Counts what became of one task.
    fn count(&mut self, fallen: Option<FallenDue>) {
        match fallen {
            Some(FallenDue::Queued) => self.queued += 1,
            Some(FallenDue::Expired) => self.expired += 1,
            None => {}
        }
    }
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Ended tasks.
    pub tasks: usize,
    /// Request ids.
    pub requests: usize,
    /// Workers that have been away for long.
    pub workers: usize,
}

/// The operations, each one atomic and durable before it returns.
///
/// Every operation may be repeated after its answer was lost: submits and imports by their request id, settlements
/// by their fence, the others because they name what they change.
#[async_trait]
pub trait TaskStore: std::fmt::Debug + Send + Sync + 'static {
    /// Stores a task. The same request id with the same body gives the same task; with another body an error.
    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError>;
    /// What a submit with this request id made, if there was one; an error where its body was another.
    async fn submitted(
        &self,
        owner: Owner,
        request: RequestId,
        body: Digest,
    ) -> Result<Option<TaskRecord>, StoreError>;
    /// The task as it is.
    async fn task(&self, id: TaskId) -> Result<TaskRecord, StoreError>;
    /// Tasks, newest first.
    async fn list(&self, filter: TaskFilter) -> Result<Page<TaskRecord>, StoreError>;
    /// Leases up to `most` waiting tasks to a worker, in the queue's order.
    async fn claim(&self, claimant: Claimant, most: usize) -> Result<Vec<Claimed>, StoreError>;
    /// Renews leases, takes reports and checkpoints over. One verdict a beat, in order.
    async fn beat(&self, worker: WorkerId, beats: Vec<TaskBeat>) -> Result<Vec<BeatVerdict>, StoreError>;
    /// Ends an attempt.
    async fn settle(&self, settlement: Settlement) -> Result<SettleVerdict, StoreError>;
    /// A worker's process has opened a session.
    async fn worker_joined(&self, facts: WorkerFacts) -> Result<(), StoreError>;
    /// A worker's process still has its session. To be said from time to time.
    async fn worker_seen(&self, worker: WorkerId, incarnation: Incarnation) -> Result<(), StoreError>;
    /// A worker's process has been silent for `silent_for`: what it holds and has not renewed since goes back to the
    /// front of the queue. What it has renewed meanwhile, it has renewed through another coordinator.
    async fn worker_lost(
        &self,
        worker: WorkerId,
        incarnation: Incarnation,
        silent_for: Duration,
    ) -> Result<Vec<TaskId>, StoreError>;
    /// Leases that could not be delivered go back uncharged.
    async fn undelivered(&self, worker: WorkerId, leases: Vec<(TaskId, Fence)>) -> Result<(), StoreError>;
    /// A worker (re)connects holding these leases: whether it may keep each, in order. What the store thinks that it
    /// holds and it does not is requeued: as lost where it belonged to another process of that worker.
    async fn readopt(
        &self,
        worker: WorkerId,
        incarnation: Incarnation,
        held: Vec<(TaskId, Fence)>,
    ) -> Result<Vec<bool>, StoreError>;
    /// Asks a task to stop.
    async fn request_cancel(&self, id: TaskId) -> Result<TaskRecord, StoreError>;
    /// Keeps a task back: a waiting one at once, a leased one once its worker has let it go.
    async fn hold(&self, id: TaskId, reason: String) -> Result<TaskRecord, StoreError>;
    /// Lets a held task go on, at its old place.
    async fn release(&self, id: TaskId) -> Result<TaskRecord, StoreError>;
    /// Tries a task again that ended without a result.
    async fn retry(&self, id: TaskId) -> Result<TaskRecord, StoreError>;
    /// A worker as it is.
    async fn worker(&self, id: WorkerId) -> Result<WorkerStanding, StoreError>;
    /// Workers by name.
    async fn list_workers(
        &self,
        after: Option<WorkerId>,
        page_size: usize,
    ) -> Result<Page<WorkerStanding>, StoreError>;
    /// A worker gets no new work, and is asked to give back what it holds, unless it may finish that.
    async fn drain_worker(&self, id: WorkerId, drain: Drain) -> Result<(), StoreError>;
    /// A worker may work again: ends a drain and a quarantine alike.
    async fn undrain_worker(&self, id: WorkerId) -> Result<(), StoreError>;
    /// The store's time.
    async fn now(&self) -> Result<StoreTime, StoreError>;
    /// Requeues what no beat has renewed in time.
    async fn expire_leases(&self) -> Result<Vec<TaskId>, StoreError>;
    /// Queues what was scheduled until now, and ends what was not started before its deadline; a bounded number at a
    /// time.
    async fn fall_due(&self) -> Result<FallenDueCounts, StoreError>;
    /// Removes what is past its retention, a bounded number at a time.
    async fn sweep(&self) -> Result<Swept, StoreError>;

    /// Who waits in each lane, those who are next first.
    async fn lanes(&self, filter: QueueFilter) -> Result<Vec<LaneView>, StoreError>;
    /// What of its user's comes before a task; `None` = the task does not wait.
    async fn ahead(&self, id: TaskId) -> Result<Option<Ahead>, StoreError>;

    /// Registers a person from a file.
    async fn import_person(&self, person: NewPerson) -> Result<PersonRecord, StoreError>;
    /// A person by id.
    async fn person(&self, id: PersonId) -> Result<PersonRecord, StoreError>;
    /// A person by name.
    async fn person_named(&self, owner: Owner, name: PersonName) -> Result<PersonRecord, StoreError>;
    /// People in the order of user and name.
    async fn list_people(&self, filter: PeopleFilter) -> Result<Page<PersonRecord>, StoreError>;
    /// Forgets a person.
    async fn delete_person(&self, id: PersonId) -> Result<(), StoreError>;

    /// Changes of tasks from this moment on. A receiver that falls behind is told that it has missed some.
    fn events(&self) -> broadcast::Receiver<StoreEvent>;
    /// Where a submit is by the time it is acknowledged.
    fn durability(&self) -> proto::Durability;
    /// How the store is. A growing generation says that it went back to older data, and workers are to be asked what
    /// they hold.
    fn health(&self) -> watch::Receiver<StoreHealth>;
    /// Holds every index against the records and, unless it is a dry run, writes what differs as it should be. Reads
    /// the whole store. A difference is never what others change meanwhile.
    async fn scrub(&self, dry_run: bool) -> Result<Scrubbed, StoreError>;
    /// Everything, for the invariants. For tests and repair: reads the whole store.
    async fn snapshot(&self) -> Result<invariants::Snapshot, StoreError>;
    /// Finishes what is under way and lets go of the storage; later operations are refused.
    async fn close(&self);
}
