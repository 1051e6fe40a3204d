//! Writes a record with its index rows, and keeps the users' shares and turns.

use std::collections::BTreeSet;

use likeness_shared::ids::TaskId;
use redb::{ReadableTable, Table};

use super::faults::fault;
use super::tables::{Id, Tables};
use crate::store::indexes::{IndexRows, ListingRow, Share, owner_key, rows};
use crate::store::record::{StoreTime, TaskRecord};
use crate::store::workspace::Workspace;
use crate::store::{StoreError, codec};

impl Tables<'_> {
    /// Replaces `old` (`None` = a new task) by `new`, in the table and in every index; tells the change if its
    /// revision grew. A task that is terminal keeps no checkpoint.
    pub(super) fn replace_task(
        &mut self,
        old: Option<&TaskRecord>,
        new: &TaskRecord,
    ) -> Result<(), StoreError> {
        debug_assert_eq!(crate::store::invariants::of_record(new), Vec::<String>::new());
        debug_assert_eq!(crate::store::invariants::of_change(old, new), Vec::<String>::new());
        if old == Some(new) {
            return Ok(());
        }
        self.dirty = true;
        let encoded = codec::encode(new)?;
        self.tasks.insert(new.id.to_bytes(), encoded.as_slice()).map_err(fault)?;
        let (before, after) = (old.map(rows).unwrap_or_default(), rows(new));
        self.replace_rows(new, &before, &after)?;
        if new.state.is_terminal() {
            self.drop_checkpoint(new.id)?;
        }
        if old.is_none_or(|old| old.revision != new.revision) {
            self.tell(new);
        }
        Ok(())
    }

    /// Removes a task and every row of it.
    pub(super) fn remove_task(&mut self, old: &TaskRecord) -> Result<(), StoreError> {
        self.dirty = true;
        self.replace_rows(old, &rows(old), &IndexRows::default())?;
        self.drop_checkpoint(old.id)?;
        self.tasks.remove(old.id.to_bytes()).map_err(fault)?;
        Ok(())
    }

    fn replace_rows(
        &mut self,
        record: &TaskRecord,
        before: &IndexRows,
        after: &IndexRows,
    ) -> Result<(), StoreError> {
        let id = record.id.to_bytes();
        replace_timed(&mut self.leases, before.lease, after.lease)?;
        replace_timed(&mut self.ended, before.ended, after.ended)?;
        replace_timed(&mut self.due, before.due, after.due)?;
        if before.held != after.held {
            if let Some((worker, _)) = &before.held {
                self.held.remove((worker.as_str(), id)).map_err(fault)?;
            }
            if let Some((worker, _)) = &after.held {
                self.held.insert((worker.as_str(), id), ()).map_err(fault)?;
            }
        }
        for row in before.listings.iter().filter(|row| !after.listings.contains(row)) {
            self.listings.remove(listing_key(row)).map_err(fault)?;
        }
        for row in after.listings.iter().filter(|row| !before.listings.contains(row)) {
            self.listings.insert(listing_key(row), id).map_err(fault)?;
        }
        if before.waiting != after.waiting || before.held.is_some() != after.held.is_some() {
            self.move_in_queue(record, before, after)?;
        }
        Ok(())
    }

    fn move_in_queue(
        &mut self,
        record: &TaskRecord,
        before: &IndexRows,
        after: &IndexRows,
    ) -> Result<(), StoreError> {
        let owner = owner_key(&record.owner);
        let known = self.share(&owner)?;
        let mut share = known.unwrap_or(Share { in_flight: 0, served: self.now.0 });
        let pools_before = self.pools_waiting(&owner)?;
        for pool in &pools_before {
            self.turns
                .remove((pool.as_str(), share.in_flight, share.served, owner.as_str()))
                .map_err(fault)?;
        }
        if let Some(row) = &before.waiting {
            self.queue.remove((row.pool.as_str(), owner.as_str(), row.lane, row.number)).map_err(fault)?;
            self.count_waiting(&owner, &row.pool, false)?;
        }
        if let Some(row) = &after.waiting {
            let key = (row.pool.as_str(), owner.as_str(), row.lane, row.number);
            self.queue.insert(key, record.id.to_bytes()).map_err(fault)?;
            self.count_waiting(&owner, &row.pool, true)?;
        }
        match (before.held.is_some(), after.held.is_some()) {
            (false, true) => share = Share { in_flight: share.in_flight + 1, served: self.now.0 },
            (true, false) => share.in_flight = share.in_flight.saturating_sub(1),
            _ => {}
        }
        let pools_after = self.pools_waiting(&owner)?;
        if share.in_flight == 0 && pools_after.is_empty() {
            self.shares.remove(owner.as_str()).map_err(fault)?;
            return Ok(());
        }
        self.shares.insert(owner.as_str(), (share.in_flight, share.served)).map_err(fault)?;
        for pool in &pools_after {
            let key = (pool.as_str(), share.in_flight, share.served, owner.as_str());
            self.turns.insert(key, ()).map_err(fault)?;
        }
        Ok(())
    }

    fn share(&self, owner: &str) -> Result<Option<Share>, StoreError> {
        let found = self.shares.get(owner).map_err(fault)?;
        Ok(found.map(|guard| {
            let (in_flight, served) = guard.value();
            Share { in_flight, served }
        }))
    }

    /// The models for which an owner has tasks waiting.
    fn pools_waiting(&self, owner: &str) -> Result<BTreeSet<String>, StoreError> {
        let mut pools = BTreeSet::new();
        for row in self.waiting.range((owner, "")..).map_err(fault)? {
            let (key, _) = row.map_err(fault)?;
            let (row_owner, pool) = key.value();
            if row_owner != owner {
                break;
            }
            pools.insert(pool.to_owned());
        }
        Ok(pools)
    }

    fn count_waiting(&mut self, owner: &str, pool: &str, more: bool) -> Result<(), StoreError> {
        let count = self.waiting.get((owner, pool)).map_err(fault)?.map_or(0, |guard| guard.value());
        let count = if more { count + 1 } else { count.saturating_sub(1) };
        if count == 0 {
            self.waiting.remove((owner, pool)).map_err(fault)?;
        } else {
            self.waiting.insert((owner, pool), count).map_err(fault)?;
        }
        Ok(())
    }
}

/// Moves a task within an index by time.
fn replace_timed(
    table: &mut Table<'_, (u64, Id), ()>,
    before: Option<(StoreTime, TaskId)>,
    after: Option<(StoreTime, TaskId)>,
) -> Result<(), StoreError> {
    if before == after {
        return Ok(());
    }
    if let Some((time, id)) = before {
        table.remove((time.0, id.to_bytes())).map_err(fault)?;
    }
    if let Some((time, id)) = after {
        table.insert((time.0, id.to_bytes()), ()).map_err(fault)?;
    }
    Ok(())
}

fn listing_key(row: &ListingRow) -> (&str, &str, u8, u8, u64) {
    (&row.tenant, &row.user, row.kind, row.state, row.number)
}
