//! One thread that owns the writing: operations that wait together share one transaction and one commit, and each
//! is answered only after that commit is on the disk.
//!
//! After a failure of the storage the file is closed and opened anew before the next operation, because redb
//! refuses everything after an I/O error; until that succeeds every operation fails fast.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redb::Database;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::clock::StoreClock;
use super::faults::fault;
use super::file::StoreFile;
use super::tables::{TIME_KEY, Tables};
use crate::store::fair::FairPolicy;
use crate::store::record::StoreTime;
use crate::store::{StoreError, StoreEvent, StoreTimes, TaskEvent};

/// Operations that share a commit, at most.
const BATCH: usize = 256;
/// Between attempts to open the file again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// An operation that waits for its turn, with the place for its answer.
pub(super) trait Job: Send {
    /// Runs the operation; an error is a fault, and gives the transaction up.
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError>;
    /// Gives the answer, `Err` where the transaction was given up.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Pending<F, R> {
    operation: Option<F>,
    result: Option<Result<R, StoreError>>,
    reply: oneshot::Sender<Result<R, StoreError>>,
}

impl<F, R> Job for Pending<F, R>
where
    F: FnOnce(&mut Tables<'_>) -> Result<R, StoreError> + Send,
    R: Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let Some(operation) = self.operation.take() else { return Ok(()) };
        match operation(tables) {
            Err(error) if error.is_fault() => Err(error),
            result => {
                self.result = Some(result);
                Ok(())
            }
        }
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let unanswered = || Err(StoreError::Unavailable { reason: "the operation was not run".to_owned() });
        let answer = match committed {
            Ok(()) => self.result.unwrap_or_else(unanswered),
            Err(error) => Err(error),
        };
        // whoever asked may have given up waiting; the change stands all the same
        drop(self.reply.send(answer));
    }
}

/// An operation as a job, and where its answer will come.
pub(super) fn job<F, R>(operation: F) -> (Box<dyn Job>, oneshot::Receiver<Result<R, StoreError>>)
where
    F: FnOnce(&mut Tables<'_>) -> Result<R, StoreError> + Send + 'static,
    R: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Pending { operation: Some(operation), result: None, reply }), answer)
}

/// The open file, shared with those who read; empty while it must be opened anew.
pub(super) type Slot = Arc<RwLock<Option<Arc<Database>>>>;

pub(super) struct Writer {
    pub(super) file: StoreFile,
    pub(super) slot: Slot,
    pub(super) times: StoreTimes,
    pub(super) policy: Arc<FairPolicy>,
    pub(super) clock: StoreClock,
    pub(super) last_time: StoreTime,
    pub(super) events: broadcast::Sender<StoreEvent>,
    pub(super) tried_reopen: Option<Instant>,
}

impl Writer {
    /// Runs until every sender is gone, then closes the file.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(first) = jobs.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(next) = jobs.try_recv()
            {
                batch.push(next);
            }
            let committed = self.commit(&mut batch);
            if let Err(error) = &committed {
                tracing::error!(%error, operations = batch.len(), "transaction given up");
            }
            for job in batch.drain(..) {
                job.finish(committed.clone());
            }
        }
        self.close();
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let database = self.database()?;
        let result = self.transact(&database, batch);
        drop(database);
        match result {
            Ok(events) => {
                for event in events {
                    // nobody need be listening
                    drop(self.events.send(StoreEvent::Changed(event)));
                }
                Ok(())
            }
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    fn transact(
        &mut self,
        database: &Database,
        batch: &mut [Box<dyn Job>],
    ) -> Result<Vec<TaskEvent>, StoreError> {
        let transaction = database.begin_write().map_err(fault)?;
        let mut tables = Tables::open(&transaction, self.times, &self.policy, self.last_time)?;
        for job in batch {
            tables.now = self.clock.after(tables.now);
            job.run(&mut tables)?;
        }
        if tables.dirty {
            tables.meta.insert(TIME_KEY, tables.now.0).map_err(fault)?;
        }
        let (now, dirty, events) = (tables.now, tables.dirty, std::mem::take(&mut tables.events));
        drop(tables);
        if dirty {
            transaction.commit().map_err(fault)?;
        } else {
            transaction.abort().map_err(fault)?;
        }
        self.last_time = now;
        Ok(events)
    }

    fn database(&mut self) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = self.slot.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Ok(Arc::clone(database));
        }
        if self.tried_reopen.is_some_and(|tried| tried.elapsed() < REOPEN_PAUSE) {
            return Err(self.file.away());
        }
        self.tried_reopen = Some(Instant::now());
        let database = Arc::new(self.file.open()?);
        tracing::info!("task store opened again");
        *self.slot.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&database));
        Ok(database)
    }

    fn close(&mut self) {
        drop(self.slot.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}
