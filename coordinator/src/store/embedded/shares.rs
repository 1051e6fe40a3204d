//! The tree of shares in the tables.

use redb::ReadableTable;

use super::faults::fault;
use super::tables::Tables;
use crate::store::StoreError;
use crate::store::fair::{Lane, Ledger, Node, NodeKey, Standing, Waiting};
use crate::store::record::StoreTime;

impl Tables<'_> {
    fn take_out(&mut self, key: &NodeKey) -> Result<(), StoreError> {
        let (Some(old), Some((parent, name))) = (self.node(key)?, key.split()) else { return Ok(()) };
        match old.standing {
            Standing::Active => {
                self.turns.remove((parent.as_str(), old.virtual_time, name)).map_err(fault)?;
            }
            Standing::KeptBack => drop(self.kept_back.remove(key.as_str()).map_err(fault)?),
            Standing::Idle => drop(self.idle.remove((old.idle_since.0, key.as_str())).map_err(fault)?),
        }
        Ok(())
    }
}

impl Ledger for Tables<'_> {
    type Error = StoreError;

    fn now(&self) -> StoreTime {
        self.now
    }

    fn node(&self, key: &NodeKey) -> Result<Option<Node>, StoreError> {
        let found = self.nodes.get(key.as_str()).map_err(fault)?;
        found.map(|guard| node(guard.value())).transpose()
    }

    fn put_node(&mut self, key: &NodeKey, node: &Node) -> Result<(), StoreError> {
        self.take_out(key)?;
        if let Some((parent, name)) = key.split() {
            match node.standing {
                Standing::Active => {
                    self.turns.insert((parent.as_str(), node.virtual_time, name), ()).map_err(fault)?;
                }
                Standing::KeptBack => drop(self.kept_back.insert(key.as_str(), ()).map_err(fault)?),
                Standing::Idle => {
                    self.idle.insert((node.idle_since.0, key.as_str()), ()).map_err(fault)?;
                }
            }
        }
        let row = (node.virtual_time, node.floor, node.standing.digit(), node.idle_since.0);
        self.nodes.insert(key.as_str(), row).map_err(fault)?;
        self.dirty = true;
        Ok(())
    }

    fn drop_node(&mut self, key: &NodeKey) -> Result<(), StoreError> {
        self.take_out(key)?;
        self.nodes.remove(key.as_str()).map_err(fault)?;
        self.dirty = true;
        Ok(())
    }

    fn first_child(&self, parent: &NodeKey) -> Result<Option<NodeKey>, StoreError> {
        let first = self.turns.range((parent.as_str(), 0, "")..).map_err(fault)?.next();
        let Some((key, _)) = first.transpose().map_err(fault)? else { return Ok(None) };
        let (its_parent, _, name) = key.value();
        Ok((its_parent == parent.as_str()).then(|| parent.child(name)))
    }

    fn idle_before(&self, time: StoreTime, most: usize) -> Result<Vec<NodeKey>, StoreError> {
        let idle = self.idle.range(..(time.0, "")).map_err(fault)?.take(most);
        idle.map(|row| row.map(|(key, _)| NodeKey::from_text(key.value().1)).map_err(fault)).collect()
    }

    fn waiting(&self, party: &str, lane: &Lane) -> Result<Waiting, StoreError> {
        let found = self.waiting.get((party, lane.text().as_str())).map_err(fault)?;
        Ok(found.map(|guard| waiting(guard.value())).unwrap_or_default())
    }

    fn put_waiting(&mut self, party: &str, lane: &Lane, waiting: Waiting) -> Result<(), StoreError> {
        let lane = lane.text();
        if waiting.tasks == 0 {
            self.waiting.remove((party, lane.as_str())).map_err(fault)?;
        } else {
            let row = (waiting.tasks, waiting.cost);
            self.waiting.insert((party, lane.as_str()), row).map_err(fault)?;
        }
        self.dirty = true;
        Ok(())
    }

    fn lanes(&self, party: &str) -> Result<Vec<Lane>, StoreError> {
        let mut lanes = Vec::new();
        for row in self.waiting.range((party, "")..).map_err(fault)? {
            let (key, _) = row.map_err(fault)?;
            let (its_party, lane) = key.value();
            if its_party != party {
                break;
            }
            let lane = Lane::read(lane);
            lanes.push(
                lane.ok_or_else(|| StoreError::Damaged { reason: "a lane cannot be read".to_owned() })?,
            );
        }
        Ok(lanes)
    }

    fn in_flight(&self, party: &str) -> Result<u64, StoreError> {
        Ok(self.in_flight.get(party).map_err(fault)?.map_or(0, |guard| guard.value()))
    }

    fn put_in_flight(&mut self, party: &str, count: u64) -> Result<(), StoreError> {
        if count == 0 {
            self.in_flight.remove(party).map_err(fault)?;
        } else {
            self.in_flight.insert(party, count).map_err(fault)?;
        }
        self.dirty = true;
        Ok(())
    }
}

/// A node as its row says.
pub(super) fn node(row: (u64, u64, u8, u64)) -> Result<Node, StoreError> {
    let (virtual_time, floor, standing, idle_since) = row;
    let unknown = || StoreError::Damaged { reason: format!("a node has the standing {standing}") };
    let standing = Standing::read(u64::from(standing)).ok_or_else(unknown)?;
    Ok(Node { virtual_time, floor, standing, idle_since: StoreTime(idle_since) })
}

/// What waits, as its row says.
pub(super) fn waiting((tasks, cost): (u64, u64)) -> Waiting {
    Waiting { tasks, cost }
}
