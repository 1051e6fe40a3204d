//! Gives waiting tasks to a worker: whose turn it is, then that user's first task.

use likeness_shared::ids::TaskId;
use redb::ReadableTable;

use super::faults::fault;
use super::tables::Tables;
use crate::store::{Claimant, Claimed, StoreError, fair, operations, workers};

/// Leases up to `most` tasks.
pub(super) fn claim(
    tables: &mut Tables<'_>,
    claimant: &Claimant,
    most: usize,
) -> Result<Vec<Claimed>, StoreError> {
    if !workers::takes_work(tables, &claimant.worker)? {
        return Ok(Vec::new());
    }
    let mut claimed = Vec::new();
    while claimed.len() < most {
        let Some(id) = next_in_order(tables, &claimant.pools)? else { break };
        claimed.extend(operations::lease(tables, claimant, id)?);
    }
    Ok(claimed)
}

/// The task that is next for a worker with these models.
fn next_in_order(tables: &Tables<'_>, models: &[String]) -> Result<Option<TaskId>, StoreError> {
    let Some(place) = fair::next(tables, models)? else { return Ok(None) };
    let (lane, owner) = (place.lane.text(), place.owner());
    let head = tables.queue.range((lane.as_str(), owner.as_str(), 0, 0)..).map_err(fault)?.next();
    let Some((key, id)) = head.transpose().map_err(fault)? else { return Ok(None) };
    let (head_lane, head_owner, ..) = key.value();
    Ok((head_lane == lane && head_owner == owner).then(|| TaskId::from_bytes(id.value())))
}
