//! The operations that go through many tasks, over the tables: what is past its time.

use likeness_shared::ids::TaskId;
use redb::ReadableTable;

use super::faults::fault;
use super::tables::{Id, Tables};
use crate::store::workspace::Workspace;
use crate::store::{FallenDueCounts, StoreError, Swept, fair, operations};

/// Rows that one sweep removes at most, so that it never holds up others.
const SWEEP_BATCH: usize = 500;
/// Tasks whose time has come, of one kind, that are seen to at once.
const EXPIRY_BATCH: usize = 500;

pub(super) fn expire_leases(tables: &mut Tables<'_>) -> Result<Vec<TaskId>, StoreError> {
    let due = ids(tables.leases.range(..=(tables.now.0, [u8::MAX; 16])).map_err(fault)?, EXPIRY_BATCH)?;
    for id in &due {
        operations::expire(tables, *id)?;
    }
    Ok(due)
}

/// Queues what was scheduled until now, and ends what was not started in time.
pub(super) fn fall_due(tables: &mut Tables<'_>) -> Result<FallenDueCounts, StoreError> {
    let due = ids(tables.due.range(..=(tables.now.0, [u8::MAX; 16])).map_err(fault)?, EXPIRY_BATCH)?;
    let mut counts = FallenDueCounts::default();
    for id in due {
        counts.count(operations::fall_due(tables, id)?);
    }
    Ok(counts)
}

/// After a time in which nobody could renew a lease, every lease lives for a whole TTL from `now`.
pub(super) fn extend_leases(tables: &mut Tables<'_>) -> Result<usize, StoreError> {
    let until = tables.now.plus(tables.times.lease_ttl);
    let due = ids(tables.leases.range(..(until.0, [0; 16])).map_err(fault)?, usize::MAX)?;
    for id in &due {
        operations::extend_lease(tables, *id)?;
    }
    Ok(due.len())
}

pub(super) fn sweep(tables: &mut Tables<'_>) -> Result<Swept, StoreError> {
    let ended_before = tables.now.minus(tables.times.ended_tasks);
    let due = ids(tables.ended.range(..(ended_before.0, [0; 16])).map_err(fault)?, SWEEP_BATCH)?;
    for id in &due {
        let old = tables.task(*id)?;
        tables.remove_task(&old)?;
    }
    let idle_before = tables.now.minus(fair::DEBTS_KEPT);
    fair::forget_idle(tables, idle_before, SWEEP_BATCH)?;
    Ok(Swept {
        tasks: due.len(),
        requests: tables.forget_requests(SWEEP_BATCH)?,
        workers: tables.forget_workers(SWEEP_BATCH)?,
    })
}

fn ids(range: redb::Range<'_, (u64, Id), ()>, most: usize) -> Result<Vec<TaskId>, StoreError> {
    let ids =
        range.take(most).map(|row| row.map(|(key, _)| TaskId::from_bytes(key.value().1)).map_err(fault));
    ids.collect()
}
