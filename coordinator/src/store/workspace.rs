//! What an operation sees of a store while it runs: the records that it reads and the changes that it makes, which
//! take effect together or not at all.

use std::time::Duration;

use bytes::Bytes;
use likeness_shared::ids::{Digest, PersonId, RequestId, TaskId, WorkerId};

use super::StoreError;
use super::fair::{FairPolicy, Lane, UnitCost};
use super::record::{Owner, PersonRecord, StoreTime, TaskRecord};
use super::worker_record::WorkerRecord;

/// An id as a store keeps it.
pub(super) type Id = [u8; 16];

/// One atomic step of a store. Its own writes are seen by its later reads.
pub(super) trait Workspace {
    /// Time of the step.
    fn now(&self) -> StoreTime;
    /// How long a lease lives without a beat.
    fn lease_ttl(&self) -> Duration;
    /// A task, if there is one of that id.
    fn find_task(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError>;
    /// Replaces `old` (`None` = a new task) by `new`, with every index row; tells the change if its revision grew. A
    /// task that is terminal keeps no checkpoint.
    fn put_task(&mut self, old: Option<&TaskRecord>, new: &TaskRecord) -> Result<(), StoreError>;
    /// Newest checkpoint of a task; empty = none.
    fn checkpoint(&self, id: TaskId) -> Result<Bytes, StoreError>;
    /// Replaces the checkpoint of a task.
    fn put_checkpoint(&mut self, id: TaskId, checkpoint: &Bytes) -> Result<(), StoreError>;
    /// Forgets the checkpoint of a task.
    fn drop_checkpoint(&mut self, id: TaskId) -> Result<(), StoreError>;
    /// The tasks that a worker holds.
    fn held_by(&self, worker: &WorkerId) -> Result<Vec<TaskId>, StoreError>;
    /// A worker, if there is a record of it.
    fn find_worker(&self, id: &WorkerId) -> Result<Option<WorkerRecord>, StoreError>;
    /// Replaces the record of a worker (`None` = a new one).
    fn put_worker(&mut self, old: Option<&WorkerRecord>, new: &WorkerRecord) -> Result<(), StoreError>;
    /// Counts a settlement of a worker that has a record.
    fn add_work(&mut self, id: &WorkerId, device_time_us: u64) -> Result<(), StoreError>;
    /// A person, if there is one of that id.
    fn find_person(&self, id: PersonId) -> Result<Option<PersonRecord>, StoreError>;
    /// Whether the owner has a person of that name.
    fn name_taken(&self, owner: &Owner, name: &str) -> Result<bool, StoreError>;
    /// Registers a person.
    fn put_person(&mut self, person: &PersonRecord) -> Result<(), StoreError>;
    /// What this request id made before; an error where it was used with another body.
    fn request_seen(
        &self,
        kind: &str,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
    ) -> Result<Option<Id>, StoreError>;
    /// Remembers what this request id made.
    fn remember_request(
        &mut self,
        kind: &str,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
        made: Id,
    ) -> Result<(), StoreError>;
    /// How GPU time is shared.
    fn policy(&self) -> &FairPolicy;
    /// Tasks of a tenant, or of an owner ("tenant/user"), that wait. May be of a moment ago.
    fn queued(&self, party: &str) -> Result<u64, StoreError>;
    /// What a unit of work in a lane costs, if it is known. May be of a moment ago.
    fn unit_cost(&self, lane: &Lane, key: &str) -> Result<Option<UnitCost>, StoreError>;
    /// Remembers what a unit of work costs.
    fn put_unit_cost(&mut self, lane: &Lane, key: &str, cost: UnitCost) -> Result<(), StoreError>;
    /// The next task's number; greater than any before.
    fn next_number(&mut self) -> Result<u64, StoreError>;

    /// A task that must be there.
    fn task(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        self.find_task(id)?.ok_or_else(|| StoreError::NotFound { kind: "task", id: id.to_string() })
    }

    /// A person that must be there.
    fn person(&self, id: PersonId) -> Result<PersonRecord, StoreError> {
        self.find_person(id)?.ok_or_else(|| StoreError::NotFound { kind: "person", id: id.to_string() })
    }
}
