//! Writes a record with its index rows, and shares out what it costs.

use likeness_shared::ids::TaskId;
use redb::Table;

use super::faults::fault;
use super::tables::{Id, Tables};
use crate::store::indexes::{IndexRows, ListingRow, place, rows, share_change};
use crate::store::record::{StoreTime, TaskRecord};
use crate::store::workspace::Workspace;
use crate::store::{StoreError, codec, fair};

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
        self.share_out(old, Some(new), &before, &after)?;
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
        let (before, after) = (rows(old), IndexRows::default());
        self.replace_rows(old, &before, &after)?;
        self.share_out(Some(old), None, &before, &after)?;
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
        self.replace_waiting(id, before, after)
    }

    fn replace_waiting(&mut self, id: Id, before: &IndexRows, after: &IndexRows) -> Result<(), StoreError> {
        if before.waiting == after.waiting {
            return Ok(());
        }
        if let Some(row) = &before.waiting {
            let lane = row.lane.text();
            self.queue.remove((lane.as_str(), row.owner.as_str(), row.rank, row.number)).map_err(fault)?;
        }
        if let Some(row) = &after.waiting {
            let lane = row.lane.text();
            let key = (lane.as_str(), row.owner.as_str(), row.rank, row.number);
            self.queue.insert(key, id).map_err(fault)?;
        }
        Ok(())
    }

    fn share_out(
        &mut self,
        old: Option<&TaskRecord>,
        new: Option<&TaskRecord>,
        before: &IndexRows,
        after: &IndexRows,
    ) -> Result<(), StoreError> {
        let Some(change) = share_change(old, new, before, after) else { return Ok(()) };
        let Some(record) = new.or(old) else { return Ok(()) };
        let place = place(record);
        let terms = self.policy.terms(&place);
        fair::apply(self, &place, &terms, change)
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
