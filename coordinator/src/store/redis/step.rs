//! One step over what has been read of the store: the operations run on it, and its changes are committed if nothing
//! that was read has changed.
//!
//! An operation that asks for something that was not read yet is stopped and noted as wanting it; it is run anew once
//! that has been read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use likeness_shared::ids::{Digest, PersonId, RequestId, TaskId, WorkerId};

use super::changes::{Changes, Guard};
use super::keys::{Keys, person_row};
use crate::store::fair::{FairPolicy, Lane, Place, UnitCost};
use crate::store::indexes::{IndexRows, owner_key, place, rows, share_change};
use crate::store::record::{Owner, PersonRecord, StoreTime, TaskRecord};
use crate::store::requests::{RequestRecord, request_key};
use crate::store::workspace::{Id, Workspace};
use crate::store::{StoreError, StoreTimes, codec, invariants};

/// By how much the server's clock is put forward, in the hash of the fleet.
pub(super) const AHEAD: &str = "ahead";

/// Something to be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    Task(TaskId),
    Checkpoint(TaskId),
    /// The tasks that a worker holds, and they themselves.
    Held(WorkerId),
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

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) now: StoreTime,
    /// Where the clock was set back: how far it was put forward before, and is to be from here on.
    pub(super) put_forward: Option<(u64, u64)>,
    pub(super) tasks: BTreeMap<TaskId, ReadTask>,
    pub(super) checkpoints: BTreeMap<TaskId, Bytes>,
    pub(super) held: BTreeMap<WorkerId, Vec<TaskId>>,
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
    /// Who must be next, for a worker with which models, when the changes are made.
    pub(super) in_turn: Option<(Place, Vec<String>)>,
    /// Tasks as the changes leave them; `None` = removed.
    changed: BTreeMap<TaskId, Option<TaskRecord>>,
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
            in_turn: None,
            changed: BTreeMap::new(),
            changes: Changes::default(),
        }
    }

    /// What the operation asked for in vain. Forgets its changes, so that it can run anew.
    pub(super) fn take_wanted(&mut self) -> BTreeSet<Want> {
        let wanted = std::mem::take(self.wanted.get_mut());
        if !wanted.is_empty() {
            self.changed.clear();
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
            let version = std::str::from_utf8(read).ok().and_then(|text| text.parse().ok()).unwrap_or(0u64);
            let arguments =
                vec![b"r".into(), codec::encode(task)?, b"v".into(), (version + 1).to_string().into()];
            self.changes.push("HSET", key, arguments);
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
            guards.push(Guard { key: Some(key), field: field.to_vec(), value: value.to_vec() });
        };
        if let Some((before, _)) = self.known.put_forward {
            let before = if before == 0 { String::new() } else { before.to_string() };
            guard(keys.meta(), AHEAD.as_bytes(), before.as_bytes());
        }
        for (id, read) in &self.known.tasks {
            guard(keys.task(*id), b"v", &read.version);
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
