//! Gives waiting tasks to a worker: which user's turn it is, then that user's first task.

use likeness_shared::ids::TaskId;
use redb::ReadableTable;

use super::faults::fault;
use super::tables::Tables;
use crate::store::indexes::Share;
use crate::store::{Claimant, Claimed, StoreError, operations, workers};

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
fn next_in_order(tables: &Tables<'_>, pools: &[String]) -> Result<Option<TaskId>, StoreError> {
    let mut first: Option<(Share, String)> = None;
    for pool in pools {
        let turn = tables.turns.range((pool.as_str(), 0, 0, "")..).map_err(fault)?.next();
        let Some((key, ())) = turn.transpose().map_err(fault)?.map(|(key, value)| (key, value.value()))
        else {
            continue;
        };
        let (turn_pool, in_flight, served, owner) = key.value();
        let candidate = (Share { in_flight, served }, owner.to_owned());
        if turn_pool == pool && first.as_ref().is_none_or(|first| candidate < *first) {
            first = Some(candidate);
        }
    }
    let Some((_, owner)) = first else { return Ok(None) };
    let mut place: Option<(u8, u64, TaskId)> = None;
    for pool in pools {
        let head = tables.queue.range((pool.as_str(), owner.as_str(), 0, 0)..).map_err(fault)?.next();
        let Some((key, id)) = head.transpose().map_err(fault)? else { continue };
        let (head_pool, head_owner, lane, number) = key.value();
        let candidate = (lane, number, TaskId::from_bytes(id.value()));
        if head_pool == pool && head_owner == owner && place.is_none_or(|place| candidate < place) {
            place = Some(candidate);
        }
    }
    Ok(place.map(|(_, _, id)| id))
}
