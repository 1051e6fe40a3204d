//! One step over what has been read of the store: the operations run on it, and its changes are committed if nothing
//! that was read has changed.
//!
//! An operation that asks for something that was not read yet is stopped and noted as wanting it; it is run anew once
//! that has been read.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use likeness_shared::ids::{Digest, PersonId, RequestId, TaskId, WorkerId};

use super::changes::{Changes, Guard};
use super::history::Facts;
use super::keys::{Keys, person_row};
use crate::store::fair::{FairPolicy, Lane, Place, UnitCost};
use crate::store::indexes::{IndexRows, owner_key, place, rows, share_change};
use crate::store::record::{Owner, PersonRecord, StoreTime, TaskRecord};
use crate::store::requests::{RequestRecord, request_key};
use crate::store::worker_record::WorkerRecord;
use crate::store::workspace::{Id, Workspace};
use crate::store::{StoreError, StoreTimes, codec, invariants};

/// By how much the server's clock is put forward, in the hash of the fleet.
pub(super) const AHEAD: &str = "ahead";
/// How often the store went back to older data, in the hash of the fleet.
pub(super) const GENERATION: &str = "generation";

/// Something to be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    Task(TaskId),
    Checkpoint(TaskId),
    /// The tasks that a worker holds, and they themselves.
    Held(WorkerId),
    Worker(WorkerId),
    Person(PersonId),
    /// Which person of the owner has the name.
    Name(String, String),
    /// What a request id made, by its key.
    Request(String),
    /// A number for a new task.
    Number,
    /// What units of work in a lane cost.
    Costs(String),
    /// How many tasks of a tenant or an owner wait.
    Queued(String),
}

/// A task as it was read.
#[derive(Debug)]
pub(super) struct ReadTask {
    pub(super) record: Option<TaskRecord>,
    /// Number of the commit that wrote it; empty = it is not there.
    pub(super) version: Vec<u8>,
}

/// A worker as it was read.
#[derive(Debug, Clone)]
pub(super) struct ReadWorker {
    pub(super) record: Option<WorkerRecord>,
    /// Number of the commit that wrote it; empty = it is not there.
    pub(super) version: Vec<u8>,
}

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) now: StoreTime,
    pub(super) facts: Facts,
    /// Where the clock was set back: how far it was put forward before, and is to be from here on.
    pub(super) put_forward: Option<(u64, u64)>,
    pub(super) tasks: BTreeMap<TaskId, ReadTask>,
    pub(super) checkpoints: BTreeMap<TaskId, Bytes>,
    pub(super) held: BTreeMap<WorkerId, Vec<TaskId>>,
    pub(super) workers: BTreeMap<WorkerId, ReadWorker>,
    pub(super) people: BTreeMap<PersonId, Vec<u8>>,
    pub(super) names: BTreeMap<(String, String), Vec<u8>>,
    pub(super) requests: BTreeMap<String, Vec<u8>>,
    pub(super) number: Option<u64>,
    pub(super) costs: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub(super) queued: BTreeMap<String, u64>,
}

/// What was read, what is wanted, and what is to be written.
#[derive(Debug)]
pub(super) struct Step<'k> {
    keys: &'k Keys,
    times: StoreTimes,
    policy: &'k FairPolicy,
    pub(super) known: Known,
    wanted: RefCell<BTreeSet<Want>>,
    /// The changes rest on the store not having begun to recover.
    in_this_generation: Cell<bool>,
    /// Who must be next, for a worker with which models, when the changes are made.
    pub(super) in_turn: Option<(Place, Vec<String>)>,
    /// Tasks as the changes leave them; `None` = removed.
    changed: BTreeMap<TaskId, Option<TaskRecord>>,
    changed_workers: BTreeMap<WorkerId, WorkerRecord>,
    changes: Changes,
}

impl<'k> Step<'k> {
    pub(super) fn new(keys: &'k Keys, times: StoreTimes, policy: &'k FairPolicy) -> Self {
        Self {
            keys,
            times,
            policy,
            known: Known::default(),
            wanted: RefCell::default(),
            in_this_generation: Cell::new(false),
            in_turn: None,
            changed: BTreeMap::new(),
            changed_workers: BTreeMap::new(),
            changes: Changes::default(),
        }
    }

    /// What the operation asked for in vain. Forgets its changes, so that it can run anew.
    pub(super) fn take_wanted(&mut self) -> BTreeSet<Want> {
        let wanted = std::mem::take(self.wanted.get_mut());
        if !wanted.is_empty() {
            self.changed.clear();
            self.changed_workers.clear();
            self.changes = Changes::default();
        }
        wanted
    }

    /// The changes with all that they rest on; `None` where there are none.
    pub(super) fn finish(mut self) -> Result<Option<(Known, Changes, Vec<Guard>)>, StoreError> {
        for (id, task) in &self.changed {
            let key = self.keys.task(*id);
            let Some(task) = task else {
                self.changes.push("DEL", key, Vec::new());
                continue;
            };
            let read = self.known.tasks.get(id).map_or(&[][..], |read| &read.version);
            let arguments = vec![b"r".into(), codec::encode(task)?, b"v".into(), next_version(read)];
            self.changes.push("HSET", key, arguments);
        }
        for (id, worker) in &self.changed_workers {
            let read = self.known.workers.get(id).map_or(&[][..], |read| &read.version);
            let arguments = vec![b"r".into(), codec::encode(worker)?, b"v".into(), next_version(read)];
            self.changes.push("HSET", self.keys.worker(id.as_str()), arguments);
        }
        if let Some((_, ahead)) = self.known.put_forward {
            let arguments = vec![AHEAD.into(), ahead.to_string().into()];
            self.changes.push("HSET", self.keys.meta(), arguments);
        }
        if self.changes.is_empty() {
            return Ok(None);
        }
        let guards = self.guards();
        Ok(Some((self.known, self.changes, guards)))
    }

    fn guards(&self) -> Vec<Guard> {
        let keys = self.keys;
        let mut guards = Vec::new();
        let mut guard = |key: String, field: &[u8], value: &[u8]| {
            guards.push(Guard::field(key, field, value.to_vec()));
        };
        if let Some((before, _)) = self.known.put_forward {
            let before = if before == 0 { String::new() } else { before.to_string() };
            guard(keys.meta(), AHEAD.as_bytes(), before.as_bytes());
        }
        if self.in_this_generation.get() {
            let generation = self.known.facts.generation;
            let generation = if generation == 0 { String::new() } else { generation.to_string() };
            guard(keys.meta(), GENERATION.as_bytes(), generation.as_bytes());
        }
        for (id, read) in &self.known.tasks {
            guard(keys.task(*id), b"v", &read.version);
        }
        for (id, read) in &self.known.workers {
            guard(keys.worker(id.as_str()), b"v", &read.version);
        }
        for (id, bytes) in &self.known.people {
            guard(keys.people(), &id.to_bytes(), bytes);
        }
        for ((owner, name), id) in &self.known.names {
            guard(keys.names(owner), name.as_bytes(), id);
        }
        for (request, bytes) in &self.known.requests {
            guard(keys.requests(), request.as_bytes(), bytes);
        }
        if let Some((place, models)) = &self.in_turn {
            guards.push(Guard::in_turn(place, models));
        }
        guards
    }

    fn want<T>(&self, want: Want) -> Result<T, StoreError> {
        self.wanted.borrow_mut().insert(want);
        Err(StoreError::Unavailable { reason: "it has not been read yet".to_owned() })
    }

    /// Whether nothing may be leased, nor taken from a worker.
    pub(super) fn is_recovering(&self) -> bool {
        self.in_this_generation.set(true);
        self.known.facts.recovering > self.known.now
    }

    /// Removes a task and every row of it.
    pub(super) fn remove_task(&mut self, old: &TaskRecord) {
        let (before, after) = (rows(old), IndexRows::default());
        self.changes.replace_rows(self.keys, old, &before, &after);
        self.share_out(Some(old), None, &before, &after);
        self.changed.insert(old.id, None);
    }

    fn share_out(
        &mut self,
        old: Option<&TaskRecord>,
        new: Option<&TaskRecord>,
        before: &IndexRows,
        after: &IndexRows,
    ) {
        let (Some(change), Some(record)) = (share_change(old, new, before, after), new.or(old)) else {
            return;
        };
        let place = place(record);
        self.changes.share_out(self.keys, &place, &self.policy.terms(&place), change);
    }

    /// Forgets a worker.
    pub(super) fn forget_worker(&mut self, id: &WorkerId) {
        self.changes.push("DEL", self.keys.worker(id.as_str()), Vec::new());
        self.changes.push("ZREM", self.keys.workers(), vec![id.as_str().into()]);
        self.changes.push("ZREM", self.keys.workers_by_age(), vec![id.as_str().into()]);
    }

    /// Forgets a request id.
    pub(super) fn forget_request(&mut self, request: &str) {
        self.changes.push("HDEL", self.keys.requests(), vec![request.into()]);
        self.changes.push("ZREM", self.keys.requests_by_age(), vec![request.into()]);
    }

    /// Forgets a person.
    pub(super) fn remove_person(&mut self, person: &PersonRecord) {
        let owner = owner_key(&person.owner);
        let row = person_row(&person.owner, person.name.as_str());
        self.changes.push("HDEL", self.keys.people(), vec![person.id.to_bytes().to_vec()]);
        self.changes.push("HDEL", self.keys.names(&owner), vec![person.name.as_str().into()]);
        self.changes.push("ZREM", self.keys.people_in_order(&person.owner.tenant), vec![row.into()]);
    }
}

/// The version after one that was read.
fn next_version(read: &[u8]) -> Vec<u8> {
    let version = std::str::from_utf8(read).ok().and_then(|text| text.parse().ok()).unwrap_or(0u64);
    (version + 1).to_string().into()
}

impl Workspace for Step<'_> {
    fn now(&self) -> StoreTime {
        self.known.now
    }

    fn lease_ttl(&self) -> Duration {
        self.times.lease_ttl
    }

    fn find_task(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        if let Some(changed) = self.changed.get(&id) {
            return Ok(changed.clone());
        }
        match self.known.tasks.get(&id) {
            Some(read) => Ok(read.record.clone()),
            None => self.want(Want::Task(id)),
        }
    }

    fn put_task(&mut self, old: Option<&TaskRecord>, new: &TaskRecord) -> Result<(), StoreError> {
        debug_assert_eq!(invariants::of_record(new), Vec::<String>::new());
        debug_assert_eq!(invariants::of_change(old, new), Vec::<String>::new());
        if old == Some(new) {
            return Ok(());
        }
        if old.is_none() {
            self.known.tasks.insert(new.id, ReadTask { record: None, version: Vec::new() });
        }
        self.changed.insert(new.id, Some(new.clone()));
        let (before, after) = (old.map(rows).unwrap_or_default(), rows(new));
        self.changes.replace_rows(self.keys, new, &before, &after);
        self.share_out(old, Some(new), &before, &after);
        if new.state.is_terminal() {
            self.drop_checkpoint(new.id)?;
        }
        if old.is_none_or(|old| old.revision != new.revision) {
            self.changes.tell(self.keys, new)?;
        }
        Ok(())
    }

    fn checkpoint(&self, id: TaskId) -> Result<Bytes, StoreError> {
        match self.known.checkpoints.get(&id) {
            Some(checkpoint) => Ok(checkpoint.clone()),
            None => self.want(Want::Checkpoint(id)),
        }
    }

    fn put_checkpoint(&mut self, id: TaskId, checkpoint: &Bytes) -> Result<(), StoreError> {
        self.changes.push("HSET", self.keys.task(id), vec![b"c".into(), checkpoint.to_vec()]);
        Ok(())
    }

    fn drop_checkpoint(&mut self, id: TaskId) -> Result<(), StoreError> {
        self.changes.push("HDEL", self.keys.task(id), vec![b"c".into()]);
        Ok(())
    }

    fn held_by(&self, worker: &WorkerId) -> Result<Vec<TaskId>, StoreError> {
        match self.known.held.get(worker) {
            Some(held) => Ok(held.clone()),
            None => self.want(Want::Held(worker.clone())),
        }
    }

    fn find_worker(&self, id: &WorkerId) -> Result<Option<WorkerRecord>, StoreError> {
        if let Some(changed) = self.changed_workers.get(id) {
            return Ok(Some(changed.clone()));
        }
        match self.known.workers.get(id) {
            Some(read) => Ok(read.record.clone()),
            None => self.want(Want::Worker(id.clone())),
        }
    }

    fn put_worker(&mut self, old: Option<&WorkerRecord>, new: &WorkerRecord) -> Result<(), StoreError> {
        debug_assert_eq!(invariants::of_worker(new), Vec::<String>::new());
        if old == Some(new) {
            return Ok(());
        }
        let id = &new.facts.id;
        if old.is_none() {
            self.changes.push("ZADD", self.keys.workers(), vec![b"0".into(), id.as_str().into()]);
        }
        if old.is_none_or(|old| old.last_seen != new.last_seen) {
            let seen = new.last_seen.0.to_string();
            self.changes.push("ZADD", self.keys.workers_by_age(), vec![seen.into(), id.as_str().into()]);
        }
        self.changed_workers.insert(id.clone(), new.clone());
        Ok(())
    }

    fn add_work(&mut self, id: &WorkerId, device_time_us: u64) -> Result<(), StoreError> {
        let key = self.keys.worker(id.as_str());
        self.changes.push("HINCRBY", key.clone(), vec![b"s".into(), b"1".into()]);
        self.changes.push("HINCRBY", key, vec![b"d".into(), device_time_us.to_string().into()]);
        Ok(())
    }

    fn find_person(&self, id: PersonId) -> Result<Option<PersonRecord>, StoreError> {
        match self.known.people.get(&id) {
            Some(bytes) if bytes.is_empty() => Ok(None),
            Some(bytes) => codec::decode(bytes).map(Some),
            None => self.want(Want::Person(id)),
        }
    }

    fn name_taken(&self, owner: &Owner, name: &str) -> Result<bool, StoreError> {
        let key = (owner_key(owner), name.to_owned());
        match self.known.names.get(&key) {
            Some(id) => Ok(!id.is_empty()),
            None => self.want(Want::Name(key.0, key.1)),
        }
    }

    fn put_person(&mut self, person: &PersonRecord) -> Result<(), StoreError> {
        let (id, owner) = (person.id.to_bytes().to_vec(), owner_key(&person.owner));
        let row = person_row(&person.owner, person.name.as_str());
        self.changes.push("HSET", self.keys.people(), vec![id.clone(), codec::encode(person)?]);
        self.changes.push("HSET", self.keys.names(&owner), vec![person.name.as_str().into(), id]);
        let in_order = self.keys.people_in_order(&person.owner.tenant);
        self.changes.push("ZADD", in_order, vec![b"0".into(), row.into()]);
        Ok(())
    }

    fn request_seen(
        &self,
        kind: &str,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
    ) -> Result<Option<Id>, StoreError> {
        let key = request_key(kind, owner, request);
        match self.known.requests.get(&key) {
            Some(bytes) if bytes.is_empty() => Ok(None),
            Some(bytes) => codec::decode::<RequestRecord>(bytes)?.made_by(request, body).map(Some),
            None => self.want(Want::Request(key)),
        }
    }

    fn remember_request(
        &mut self,
        kind: &str,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
        made: Id,
    ) -> Result<(), StoreError> {
        let key = request_key(kind, owner, request);
        let record = codec::encode(&RequestRecord { body, made })?;
        self.changes.push("HSET", self.keys.requests(), vec![key.clone().into(), record]);
        let age = self.known.now.0.to_string();
        self.changes.push("ZADD", self.keys.requests_by_age(), vec![age.into(), key.into()]);
        Ok(())
    }

    fn unit_cost(&self, lane: &Lane, key: &str) -> Result<Option<UnitCost>, StoreError> {
        match self.known.costs.get(&lane.text()) {
            Some(costs) => costs.get(key).map(|bytes| codec::decode(bytes)).transpose(),
            None => self.want(Want::Costs(lane.text())),
        }
    }

    fn put_unit_cost(&mut self, lane: &Lane, key: &str, cost: UnitCost) -> Result<(), StoreError> {
        let costs = self.keys.costs(&lane.text());
        self.changes.push("HSET", costs, vec![key.into(), codec::encode(&cost)?]);
        Ok(())
    }

    fn policy(&self) -> &FairPolicy {
        self.policy
    }

    fn queued(&self, party: &str) -> Result<u64, StoreError> {
        match self.known.queued.get(party) {
            Some(tasks) => Ok(*tasks),
            None => self.want(Want::Queued(party.to_owned())),
        }
    }

    fn next_number(&mut self) -> Result<u64, StoreError> {
        match self.known.number {
            Some(number) => Ok(number),
            None => self.want(Want::Number),
        }
    }
}
