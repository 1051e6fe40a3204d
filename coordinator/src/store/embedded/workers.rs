//! Workers over the tables.

use likeness_shared::ids::WorkerId;
use redb::{ReadTransaction, ReadableTable};

use super::faults::fault;
use super::tables::{HELD, Tables, WORKER_TOTALS, WORKERS};
use crate::store::worker_record::{WorkerRecord, WorkerStanding, WorkerTotals};
use crate::store::workers::AWAY_KEPT;
use crate::store::{Page, StoreError, codec};

impl Tables<'_> {
    pub(super) fn worker(&self, id: &WorkerId) -> Result<Option<WorkerRecord>, StoreError> {
        let found = self.workers.get(id.as_str()).map_err(fault)?;
        found.map(|guard| codec::decode(guard.value())).transpose()
    }

    pub(super) fn replace_worker(
        &mut self,
        old: Option<&WorkerRecord>,
        new: &WorkerRecord,
    ) -> Result<(), StoreError> {
        debug_assert_eq!(crate::store::invariants::of_worker(new), Vec::<String>::new());
        if old == Some(new) {
            return Ok(());
        }
        self.dirty = true;
        let id = new.facts.id.as_str();
        if let Some(old) = old {
            self.workers_by_age.remove((old.last_seen.0, id)).map_err(fault)?;
        }
        self.workers_by_age.insert((new.last_seen.0, id), ()).map_err(fault)?;
        self.workers.insert(id, codec::encode(new)?.as_slice()).map_err(fault)?;
        Ok(())
    }

    pub(super) fn count_work(&mut self, id: &WorkerId, device_time_us: u64) -> Result<(), StoreError> {
        let id = id.as_str();
        let known = self.worker_totals.get(id).map_err(fault)?.map(|guard| guard.value());
        let (settled, device_time) = known.unwrap_or_default();
        let totals = (settled.saturating_add(1), device_time.saturating_add(device_time_us));
        self.worker_totals.insert(id, totals).map_err(fault)?;
        self.dirty = true;
        Ok(())
    }

    /// Forgets workers that have been away for long.
    pub(super) fn forget_workers(&mut self, most: usize) -> Result<usize, StoreError> {
        let before = self.now.minus(AWAY_KEPT);
        let mut due = Vec::new();
        for row in self.workers_by_age.range(..(before.0, "")).map_err(fault)?.take(most) {
            let (key, _) = row.map_err(fault)?;
            let (seen, id) = key.value();
            due.push((seen, id.to_owned()));
        }
        for (seen, id) in &due {
            self.workers_by_age.remove((*seen, id.as_str())).map_err(fault)?;
            self.workers.remove(id.as_str()).map_err(fault)?;
            self.worker_totals.remove(id.as_str()).map_err(fault)?;
            self.dirty = true;
        }
        Ok(due.len())
    }
}

pub(super) fn find(transaction: &ReadTransaction, id: &WorkerId) -> Result<WorkerStanding, StoreError> {
    let workers = transaction.open_table(WORKERS).map_err(fault)?;
    let found = workers.get(id.as_str()).map_err(fault)?;
    let found = found.ok_or_else(|| StoreError::NotFound { kind: "worker", id: id.to_string() })?;
    standing(transaction, codec::decode(found.value())?)
}

/// By name.
pub(super) fn list(
    transaction: &ReadTransaction,
    after: Option<&WorkerId>,
    page_size: usize,
) -> Result<Page<WorkerStanding>, StoreError> {
    let workers = transaction.open_table(WORKERS).map_err(fault)?;
    let after = after.map_or("", WorkerId::as_str);
    let mut items = Vec::new();
    for row in workers.range(after..).map_err(fault)? {
        let (id, record) = row.map_err(fault)?;
        if id.value() == after {
            continue;
        }
        if items.len() >= page_size {
            return Ok(Page { items, more: true });
        }
        items.push(standing(transaction, codec::decode(record.value())?)?);
    }
    Ok(Page { items, more: false })
}

fn standing(transaction: &ReadTransaction, record: WorkerRecord) -> Result<WorkerStanding, StoreError> {
    let id = record.facts.id.as_str();
    let totals = transaction.open_table(WORKER_TOTALS).map_err(fault)?;
    let totals = totals.get(id).map_err(fault)?.map(|guard| guard.value()).unwrap_or_default();
    let held = transaction.open_table(HELD).map_err(fault)?;
    let tasks = held.range((id, [0; 16])..=(id, [u8::MAX; 16])).map_err(fault)?.count();
    let totals = WorkerTotals { settled: totals.0, device_time_us: totals.1 };
    Ok(WorkerStanding { record, totals, tasks })
}
