//! The tables as the operations see them.

use std::time::Duration;

use bytes::Bytes;
use likeness_shared::ids::{Digest, PersonId, RequestId, TaskId, WorkerId};
use redb::ReadableTable;

use super::faults::fault;
use super::read::request_seen;
use super::tables::{NUMBER_KEY, Tables};
use crate::store::StoreError;
use crate::store::codec;
use crate::store::fair::{FairPolicy, Lane, UnitCost};
use crate::store::record::{Owner, PersonRecord, StoreTime, TaskRecord};
use crate::store::requests::{RequestRecord, request_key};
use crate::store::worker_record::WorkerRecord;
use crate::store::workspace::{Id, Workspace};

impl Workspace for Tables<'_> {
    fn now(&self) -> StoreTime {
        self.now
    }

    fn lease_ttl(&self) -> Duration {
        self.times.lease_ttl
    }

    fn find_task(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let found = self.tasks.get(id.to_bytes()).map_err(fault)?;
        found.map(|guard| codec::decode(guard.value())).transpose()
    }

    fn put_task(&mut self, old: Option<&TaskRecord>, new: &TaskRecord) -> Result<(), StoreError> {
        self.replace_task(old, new)
    }

    fn checkpoint(&self, id: TaskId) -> Result<Bytes, StoreError> {
        let checkpoint = self.checkpoints.get(id.to_bytes()).map_err(fault)?;
        Ok(checkpoint.map(|guard| Bytes::copy_from_slice(guard.value())).unwrap_or_default())
    }

    fn put_checkpoint(&mut self, id: TaskId, checkpoint: &Bytes) -> Result<(), StoreError> {
        self.checkpoints.insert(id.to_bytes(), checkpoint.as_ref()).map_err(fault)?;
        self.dirty = true;
        Ok(())
    }

    fn drop_checkpoint(&mut self, id: TaskId) -> Result<(), StoreError> {
        self.dirty |= self.checkpoints.remove(id.to_bytes()).map_err(fault)?.is_some();
        Ok(())
    }

    fn held_by(&self, worker: &WorkerId) -> Result<Vec<TaskId>, StoreError> {
        let worker = worker.as_str();
        let range = self.held.range((worker, [0; 16])..=(worker, [u8::MAX; 16])).map_err(fault)?;
        let ids = range.map(|row| row.map(|(key, _)| TaskId::from_bytes(key.value().1)).map_err(fault));
        ids.collect()
    }

    fn find_worker(&self, id: &WorkerId) -> Result<Option<WorkerRecord>, StoreError> {
        self.worker(id)
    }

    fn put_worker(&mut self, old: Option<&WorkerRecord>, new: &WorkerRecord) -> Result<(), StoreError> {
        self.replace_worker(old, new)
    }

    fn add_work(&mut self, id: &WorkerId, device_time_us: u64) -> Result<(), StoreError> {
        self.count_work(id, device_time_us)
    }

    fn find_person(&self, id: PersonId) -> Result<Option<PersonRecord>, StoreError> {
        let found = self.people.get(id.to_bytes()).map_err(fault)?;
        found.map(|guard| codec::decode(guard.value())).transpose()
    }

    fn name_taken(&self, owner: &Owner, name: &str) -> Result<bool, StoreError> {
        let key = (owner.tenant.as_str(), owner.user.as_str(), name);
        Ok(self.people_by_name.get(key).map_err(fault)?.is_some())
    }

    fn put_person(&mut self, person: &PersonRecord) -> Result<(), StoreError> {
        self.dirty = true;
        let encoded = codec::encode(person)?;
        self.people.insert(person.id.to_bytes(), encoded.as_slice()).map_err(fault)?;
        let key = (person.owner.tenant.as_str(), person.owner.user.as_str(), person.name.as_str());
        self.people_by_name.insert(key, person.id.to_bytes()).map_err(fault)?;
        Ok(())
    }

    fn request_seen(
        &self,
        kind: &str,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
    ) -> Result<Option<Id>, StoreError> {
        request_seen(&self.requests, kind, owner, request, body)
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
        let encoded = codec::encode(&RequestRecord { body, made })?;
        self.requests.insert(key.as_str(), encoded.as_slice()).map_err(fault)?;
        self.requests_by_age.insert((self.now.0, key.as_str()), ()).map_err(fault)?;
        self.dirty = true;
        Ok(())
    }

    fn unit_cost(&self, lane: &Lane, key: &str) -> Result<Option<UnitCost>, StoreError> {
        let found = self.costs.get((lane.text().as_str(), key)).map_err(fault)?;
        found.map(|guard| codec::decode(guard.value())).transpose()
    }

    fn put_unit_cost(&mut self, lane: &Lane, key: &str, cost: UnitCost) -> Result<(), StoreError> {
        let lane = lane.text();
        self.costs.insert((lane.as_str(), key), codec::encode(&cost)?.as_slice()).map_err(fault)?;
        self.dirty = true;
        Ok(())
    }

    fn policy(&self) -> &FairPolicy {
        self.policy
    }

    fn queued(&self, party: &str) -> Result<u64, StoreError> {
        let mut tasks = 0;
        for row in self.waiting.range((party, "")..).map_err(fault)? {
            let (key, waiting) = row.map_err(fault)?;
            if key.value().0 != party {
                break;
            }
            tasks += waiting.value().0;
        }
        Ok(tasks)
    }

    fn next_number(&mut self) -> Result<u64, StoreError> {
        let last = self.meta.get(NUMBER_KEY).map_err(fault)?.map_or(0, |guard| guard.value());
        self.meta.insert(NUMBER_KEY, last + 1).map_err(fault)?;
        self.dirty = true;
        Ok(last + 1)
    }
}
