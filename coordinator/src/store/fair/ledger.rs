//! Where nodes are kept: the contract, and a ledger in memory for the simulator and the tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use super::node::{Lane, Node, NodeKey, Standing, Waiting};
use crate::store::record::StoreTime;

/// Keeps nodes, their order under each parent, and counts. A party is a tenant, or a tenant and user ("tenant/user").
pub trait Ledger {
    /// Why something cannot be read or written.
    type Error;
    /// The time of the change.
    fn now(&self) -> StoreTime;
    /// A node, if it is known.
    fn node(&self, key: &NodeKey) -> Result<Option<Node>, Self::Error>;
    /// Replaces a node, and its place among its parent's children, among the idle, or among those kept back. The root is
    /// in none of these.
    fn put_node(&mut self, key: &NodeKey, node: &Node) -> Result<(), Self::Error>;
    /// Forgets a node.
    fn drop_node(&mut self, key: &NodeKey) -> Result<(), Self::Error>;
    /// The active child with the least virtual time; of several the one whose name comes first.
    fn first_child(&self, parent: &NodeKey) -> Result<Option<NodeKey>, Self::Error>;
    /// Nodes that are idle since before `time`, the longest first, at most `most`.
    fn idle_before(&self, time: StoreTime, most: usize) -> Result<Vec<NodeKey>, Self::Error>;
    /// What of a party waits in a lane.
    fn waiting(&self, party: &str, lane: &Lane) -> Result<Waiting, Self::Error>;
    /// Replaces that; nothing waiting = forgotten.
    fn put_waiting(&mut self, party: &str, lane: &Lane, waiting: Waiting) -> Result<(), Self::Error>;
    /// The lanes in which something of a party waits.
    fn lanes(&self, party: &str) -> Result<Vec<Lane>, Self::Error>;
    /// Leases of a party.
    fn in_flight(&self, party: &str) -> Result<u64, Self::Error>;
    /// Replaces that; 0 = forgotten.
    fn put_in_flight(&mut self, party: &str, count: u64) -> Result<(), Self::Error>;
}

/// A ledger in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger {
    /// The time of the changes.
    pub now: StoreTime,
    nodes: HashMap<NodeKey, Node>,
    children: HashMap<NodeKey, BTreeSet<(u64, String)>>,
    idle: BTreeSet<(StoreTime, NodeKey)>,
    kept_back: BTreeSet<NodeKey>,
    waiting: HashMap<String, BTreeMap<Lane, Waiting>>,
    in_flight: HashMap<String, u64>,
}

impl MemoryLedger {
    fn take_out(&mut self, key: &NodeKey) {
        let Some(old) = self.nodes.get(key) else { return };
        let Some((parent, name)) = key.split() else { return };
        match old.standing {
            Standing::Idle => drop(self.idle.remove(&(old.idle_since, key.clone()))),
            Standing::KeptBack => drop(self.kept_back.remove(key)),
            Standing::Active => {
                if let Some(children) = self.children.get_mut(&parent) {
                    children.remove(&(old.virtual_time, name.to_owned()));
                }
            }
        }
    }
}

impl Ledger for MemoryLedger {
    type Error = Infallible;

    fn now(&self) -> StoreTime {
        self.now
    }

    fn node(&self, key: &NodeKey) -> Result<Option<Node>, Infallible> {
        Ok(self.nodes.get(key).copied())
    }

    fn put_node(&mut self, key: &NodeKey, node: &Node) -> Result<(), Infallible> {
        self.take_out(key);
        if let Some((parent, name)) = key.split() {
            match node.standing {
                Standing::Idle => drop(self.idle.insert((node.idle_since, key.clone()))),
                Standing::KeptBack => drop(self.kept_back.insert(key.clone())),
                Standing::Active => {
                    self.children.entry(parent).or_default().insert((node.virtual_time, name.to_owned()));
                }
            }
        }
        self.nodes.insert(key.clone(), *node);
        Ok(())
    }

    fn drop_node(&mut self, key: &NodeKey) -> Result<(), Infallible> {
        self.take_out(key);
        self.nodes.remove(key);
        self.children.remove(key);
        Ok(())
    }

    fn first_child(&self, parent: &NodeKey) -> Result<Option<NodeKey>, Infallible> {
        let first = self.children.get(parent).and_then(BTreeSet::first);
        Ok(first.map(|(_, name)| parent.child(name)))
    }

    fn idle_before(&self, time: StoreTime, most: usize) -> Result<Vec<NodeKey>, Infallible> {
        let idle = self.idle.iter().take_while(|(since, _)| *since < time).take(most);
        Ok(idle.map(|(_, key)| key.clone()).collect())
    }

    fn waiting(&self, party: &str, lane: &Lane) -> Result<Waiting, Infallible> {
        Ok(self.waiting.get(party).and_then(|lanes| lanes.get(lane)).copied().unwrap_or_default())
    }

    fn put_waiting(&mut self, party: &str, lane: &Lane, waiting: Waiting) -> Result<(), Infallible> {
        let lanes = self.waiting.entry(party.to_owned()).or_default();
        if waiting.tasks == 0 {
            lanes.remove(lane);
        } else {
            lanes.insert(lane.clone(), waiting);
        }
        if lanes.is_empty() {
            self.waiting.remove(party);
        }
        Ok(())
    }

    fn lanes(&self, party: &str) -> Result<Vec<Lane>, Infallible> {
        Ok(self.waiting.get(party).map(|lanes| lanes.keys().cloned().collect()).unwrap_or_default())
    }

    fn in_flight(&self, party: &str) -> Result<u64, Infallible> {
        Ok(self.in_flight.get(party).copied().unwrap_or(0))
    }

    fn put_in_flight(&mut self, party: &str, count: u64) -> Result<(), Infallible> {
        if count == 0 {
            self.in_flight.remove(party);
        } else {
            self.in_flight.insert(party.to_owned(), count);
        }
        Ok(())
    }
}
