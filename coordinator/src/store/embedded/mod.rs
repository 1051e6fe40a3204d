//! The task store in one `redb` file: for one coordinator, with nothing else to install.
//!
//! Durable: an answer is given after the commit has reached the disk. One process at a time: the file is locked.

mod claim;
mod clock;
mod due;
mod faults;
mod file;
mod people;
mod put;
mod queue_view;
mod read;
mod scrub;
mod shares;
mod snapshot;
mod step;
mod tables;
mod workers;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use likeness_shared::ids::{Digest, Fence, Incarnation, PersonId, PersonName, RequestId, TaskId, WorkerId};
use likeness_shared::proto::Durability;
use redb::{Database, ReadTransaction, ReadableDatabase};
use tokio::sync::{Semaphore, broadcast, mpsc, watch};

pub use clock::StoreClock;
use faults::fault;
use file::StoreFile;
use tables::Tables;
use writer::{Job, Slot, Writer};

use super::fair::{FairPolicy, LaneView};
use super::invariants::Snapshot;
use super::record::{Owner, PersonRecord, StoreTime, TaskRecord};
use super::transition::{BeatVerdict, SettleVerdict};
use super::worker_record::{Drain, WorkerFacts, WorkerStanding};
use super::{
    Ahead, Claimant, Claimed, FallenDueCounts, NewPerson, NewTask, Page, PeopleFilter, QueueFilter, Scrubbed,
    Settlement, StoreError, StoreEvent, StoreHealth, StoreTimes, Submitted, Swept, TaskBeat, TaskFilter,
    TaskStore, operations,
};

/// Operations that wait for the writer, at most; more wait outside.
const WAITING_OPERATIONS: usize = 1024;
/// Reads at one time.
const READERS: usize = 16;
/// Changes that a slow listener may be behind before it is told that it missed some.
const EVENTS_KEPT: usize = 4096;

/// The store in one file. Closed by [`TaskStore::close`], or when the last handle goes.
#[derive(Debug)]
pub struct EmbeddedStore {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    slot: Slot,
    readers: Arc<Semaphore>,
    policy: Arc<FairPolicy>,
    events: broadcast::Sender<StoreEvent>,
    /// Never changes: a file does not go back by itself.
    health: watch::Sender<StoreHealth>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedStore {
    /// Opens or makes the file. Blocks: leases that ran out while the file was closed are given a whole TTL more.
    pub fn open(
        path: &Path,
        times: StoreTimes,
        policy: FairPolicy,
        clock: StoreClock,
    ) -> Result<Self, StoreError> {
        Self::open_file(StoreFile::new(path), times, policy, clock)
    }

    fn open_file(
        file: StoreFile,
        times: StoreTimes,
        policy: FairPolicy,
        clock: StoreClock,
    ) -> Result<Self, StoreError> {
        let policy = Arc::new(policy);
        let database = file.open()?;
        let last_time = StoreFile::last_time(&database)?;
        let clock = clock.starting_at(last_time);
        let last_time = extend_leases(&database, times, &policy, &clock, last_time)?;
        let slot: Slot = Arc::new(RwLock::new(Some(Arc::new(database))));
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let (jobs, waiting) = mpsc::channel(WAITING_OPERATIONS);
        let writer = Writer {
            file,
            slot: Arc::clone(&slot),
            times,
            policy: Arc::clone(&policy),
            clock,
            last_time,
            events: events.clone(),
            tried_reopen: None,
        };
        let thread = std::thread::Builder::new()
            .name("task-store".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(|error| StoreError::Unavailable { reason: format!("no thread for it: {error}") })?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            slot,
            readers: Arc::new(Semaphore::new(READERS)),
            policy,
            events,
            health: watch::Sender::new(StoreHealth::default()),
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Lets the writer finish what waits and then end; gives its thread, the first time.
    fn end_writer(&self) -> Option<JoinHandle<()>> {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn write<F, R>(&self, operation: F) -> Result<R, StoreError>
    where
        F: FnOnce(&mut Tables<'_>) -> Result<R, StoreError> + Send + 'static,
        R: Send + 'static,
    {
        let closed = || StoreError::Unavailable { reason: "it is closed".to_owned() };
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (job, answer) = writer::job(operation);
        jobs.send(job).await.map_err(|_| closed())?;
        drop(jobs);
        answer.await.map_err(|_| closed())?
    }

    async fn read<F, R>(&self, query: F) -> Result<R, StoreError>
    where
        F: FnOnce(&ReadTransaction) -> Result<R, StoreError> + Send + 'static,
        R: Send + 'static,
    {
        let away = |reason: &str| StoreError::Unavailable { reason: reason.to_owned() };
        let permit = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| away("it is closed"))?;
        let database = self.slot.read().unwrap_or_else(PoisonError::into_inner).clone();
        let database = database.ok_or_else(|| away("its file is being opened again"))?;
        let reading = tokio::task::spawn_blocking(move || {
            let transaction = database.begin_read().map_err(fault)?;
            let result = query(&transaction);
            drop(permit);
            result
        });
        reading.await.map_err(|_| away("a read was broken off"))?
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        join(self.end_writer());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the task store's thread has panicked");
    }
}

fn extend_leases(
    database: &Database,
    times: StoreTimes,
    policy: &FairPolicy,
    clock: &StoreClock,
    last_time: StoreTime,
) -> Result<StoreTime, StoreError> {
    let transaction = database.begin_write().map_err(fault)?;
    let now = clock.after(last_time);
    let mut tables = Tables::open(&transaction, times, policy, now)?;
    let extended = due::extend_leases(&mut tables)?;
    tables.meta.insert(tables::TIME_KEY, now.0).map_err(fault)?;
    drop(tables);
    transaction.commit().map_err(fault)?;
    if extended > 0 {
        tracing::info!(leases = extended, "leases extended after the store was closed");
    }
    Ok(now)
}

#[async_trait]
impl TaskStore for EmbeddedStore {
    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
        self.write(move |tables| operations::submit(tables, &task)).await
    }

    async fn submitted(
        &self,
        owner: Owner,
        request: RequestId,
        body: Digest,
    ) -> Result<Option<TaskRecord>, StoreError> {
        self.read(move |transaction| read::submitted(transaction, &owner, &request, body)).await
    }

    async fn task(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.read(move |transaction| read::task(transaction, id)).await
    }

    async fn list(&self, filter: TaskFilter) -> Result<Page<TaskRecord>, StoreError> {
        self.read(move |transaction| read::list(transaction, &filter)).await
    }

    async fn claim(&self, claimant: Claimant, most: usize) -> Result<Vec<Claimed>, StoreError> {
        self.write(move |tables| claim::claim(tables, &claimant, most)).await
    }

    async fn beat(&self, worker: WorkerId, beats: Vec<TaskBeat>) -> Result<Vec<BeatVerdict>, StoreError> {
        self.write(move |tables| operations::beat(tables, &worker, &beats)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<SettleVerdict, StoreError> {
        self.write(move |tables| operations::settle(tables, &settlement)).await
    }

    async fn worker_lost(
        &self,
        worker: WorkerId,
        incarnation: Incarnation,
        silent_for: Duration,
    ) -> Result<Vec<TaskId>, StoreError> {
        self.write(move |tables| operations::worker_lost(tables, &worker, &incarnation, silent_for)).await
    }

    async fn undelivered(&self, worker: WorkerId, leases: Vec<(TaskId, Fence)>) -> Result<(), StoreError> {
        self.write(move |tables| operations::undelivered(tables, &worker, &leases)).await
    }

    async fn readopt(
        &self,
        worker: WorkerId,
        incarnation: Incarnation,
        held: Vec<(TaskId, Fence)>,
    ) -> Result<Vec<bool>, StoreError> {
        self.write(move |tables| operations::readopt(tables, &worker, &incarnation, &held)).await
    }

    async fn request_cancel(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.write(move |tables| operations::request_cancel(tables, id)).await
    }

    async fn hold(&self, id: TaskId, reason: String) -> Result<TaskRecord, StoreError> {
        self.write(move |tables| operations::hold(tables, id, &reason)).await
    }

    async fn release(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.write(move |tables| operations::release(tables, id)).await
    }

    async fn retry(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.write(move |tables| operations::retry(tables, id)).await
    }

    async fn worker_joined(&self, facts: WorkerFacts) -> Result<(), StoreError> {
        self.write(move |tables| crate::store::workers::joined(tables, &facts)).await.map(drop)
    }

    async fn worker_seen(&self, worker: WorkerId, incarnation: Incarnation) -> Result<(), StoreError> {
        self.write(move |tables| crate::store::workers::seen(tables, &worker, &incarnation)).await
    }

    async fn worker(&self, id: WorkerId) -> Result<WorkerStanding, StoreError> {
        self.read(move |transaction| workers::find(transaction, &id)).await
    }

    async fn list_workers(
        &self,
        after: Option<WorkerId>,
        page_size: usize,
    ) -> Result<Page<WorkerStanding>, StoreError> {
        self.read(move |transaction| workers::list(transaction, after.as_ref(), page_size)).await
    }

    async fn drain_worker(&self, id: WorkerId, drain: Drain) -> Result<(), StoreError> {
        self.write(move |tables| crate::store::workers::drain(tables, &id, &drain)).await
    }

    async fn undrain_worker(&self, id: WorkerId) -> Result<(), StoreError> {
        self.write(move |tables| crate::store::workers::undrain(tables, &id)).await
    }

    async fn now(&self) -> Result<StoreTime, StoreError> {
        self.write(|tables| Ok(tables.now)).await
    }

    async fn expire_leases(&self) -> Result<Vec<TaskId>, StoreError> {
        self.write(due::expire_leases).await
    }

    async fn fall_due(&self) -> Result<FallenDueCounts, StoreError> {
        self.write(due::fall_due).await
    }

    async fn sweep(&self) -> Result<Swept, StoreError> {
        self.write(due::sweep).await
    }

    async fn lanes(&self, filter: QueueFilter) -> Result<Vec<LaneView>, StoreError> {
        self.read(move |transaction| queue_view::lanes(transaction, &filter)).await
    }

    async fn ahead(&self, id: TaskId) -> Result<Option<Ahead>, StoreError> {
        self.read(move |transaction| queue_view::ahead(transaction, id)).await
    }

    async fn import_person(&self, person: NewPerson) -> Result<PersonRecord, StoreError> {
        self.write(move |tables| crate::store::people::import_person(tables, &person)).await
    }

    async fn person(&self, id: PersonId) -> Result<PersonRecord, StoreError> {
        self.read(move |transaction| read::person(transaction, id)).await
    }

    async fn person_named(&self, owner: Owner, name: PersonName) -> Result<PersonRecord, StoreError> {
        self.read(move |transaction| read::person_named(transaction, &owner, &name)).await
    }

    async fn list_people(&self, filter: PeopleFilter) -> Result<Page<PersonRecord>, StoreError> {
        self.read(move |transaction| read::list_people(transaction, &filter)).await
    }

    async fn delete_person(&self, id: PersonId) -> Result<(), StoreError> {
        self.write(move |tables| people::delete_person(tables, id)).await
    }

    fn events(&self) -> broadcast::Receiver<StoreEvent> {
        self.events.subscribe()
    }

    fn durability(&self) -> Durability {
        Durability::Local
    }

    fn health(&self) -> watch::Receiver<StoreHealth> {
        self.health.subscribe()
    }

    async fn scrub(&self, dry_run: bool) -> Result<Scrubbed, StoreError> {
        let policy = Arc::clone(&self.policy);
        let looked = self.read(move |transaction| scrub::look(transaction, &policy)).await?;
        // the writer is held up only where there is something to repair
        if dry_run || looked.found == 0 { Ok(looked) } else { self.write(scrub::repair).await }
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.read(snapshot::committed).await
    }

    async fn close(&self) {
        let thread = self.end_writer();
        if let Err(error) = tokio::task::spawn_blocking(move || join(thread)).await {
            tracing::error!(%error, "task store did not close");
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
