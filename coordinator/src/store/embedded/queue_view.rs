//! A look into the queue, over one consistent view of the file.

use likeness_shared::ids::TaskId;
use redb::{ReadTransaction, ReadableTable};

use super::faults::fault;
use super::shares;
use super::tables::{IN_FLIGHT, KEPT_BACK, NODES, QUEUE, TURNS, WAITING};
use crate::store::StoreError;
use crate::store::fair::{LaneView, NodeKey, Standing};
use crate::store::indexes::rows;
use crate::store::queue_view::{Ahead, LEVELS, QueueFilter, TreeRows, opens, parties};

pub(super) fn lanes(
    transaction: &ReadTransaction,
    filter: &QueueFilter,
) -> Result<Vec<LaneView>, StoreError> {
    let turns = transaction.open_table(TURNS).map_err(fault)?;
    let mut read = TreeRows::default();
    let mut parents = vec![NodeKey::root()];
    for _ in 0..LEVELS {
        let mut children = Vec::new();
        for parent in parents.iter().filter(|parent| opens(parent, filter)) {
            let range = turns.range((parent.as_str(), 0, "")..).map_err(fault)?;
            for row in range.take(filter.most) {
                let (key, _) = row.map_err(fault)?;
                let (its_parent, virtual_time, name) = key.value();
                if its_parent != parent.as_str() {
                    break;
                }
                let child = parent.child(name);
                read.nodes.push((child.clone(), virtual_time, Standing::Active));
                children.push(child);
            }
        }
        parents = children;
    }
    let nodes = transaction.open_table(NODES).map_err(fault)?;
    let kept_back = transaction.open_table(KEPT_BACK).map_err(fault)?;
    for row in kept_back.iter().map_err(fault)?.take(filter.most) {
        let key = NodeKey::from_text(row.map_err(fault)?.0.value());
        if let Some(node) = nodes.get(key.as_str()).map_err(fault)? {
            read.nodes.push((key, shares::node(node.value())?.virtual_time, Standing::KeptBack));
        }
    }
    let waiting = transaction.open_table(WAITING).map_err(fault)?;
    let in_flight = transaction.open_table(IN_FLIGHT).map_err(fault)?;
    for (party, lane) in parties(&read.nodes) {
        if let Some(leases) = in_flight.get(party.as_str()).map_err(fault)? {
            read.in_flight.insert(party.clone(), leases.value());
        }
        if let Some(row) = waiting.get((party.as_str(), lane.text().as_str())).map_err(fault)? {
            read.waiting.insert((party, lane), shares::waiting(row.value()));
        }
    }
    Ok(read.lanes())
}

/// What of its user's comes before a task; `None` = it does not wait.
pub(super) fn ahead(transaction: &ReadTransaction, id: TaskId) -> Result<Option<Ahead>, StoreError> {
    let Some(row) = rows(&super::read::task(transaction, id)?).waiting else { return Ok(None) };
    let (lane, owner) = (row.lane.text(), row.owner.as_str());
    let queue = transaction.open_table(QUEUE).map_err(fault)?;
    let before = (lane.as_str(), owner, 0, 0)..(lane.as_str(), owner, row.rank, row.number);
    let tasks = u64::try_from(queue.range(before).map_err(fault)?.count()).unwrap_or(u64::MAX);
    let waiting = transaction.open_table(WAITING).map_err(fault)?;
    let all = waiting.get((owner, lane.as_str())).map_err(fault)?;
    let all = all.map(|guard| shares::waiting(guard.value())).unwrap_or_default();
    Ok(Some(Ahead { tasks, cost: all.cost_of(tasks) }))
}
