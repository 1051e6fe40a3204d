//! A look into the queue: rows of the tree of shares, level by level, put together as lanes, tenants and users.
//!
//! Each store reads the rows in its own way; no read grows with the number of tasks. Rows are of one moment only in the
//! embedded store.

use std::collections::{BTreeMap, BTreeSet};

use super::fair::{Lane, LaneView, NodeKey, Standing, TenantView, UserView, Waiting};

/// Levels of the tree below the root.
pub(super) const LEVELS: u8 = 4;

/// How much is looked at.
#[derive(Debug, Clone, Default)]
pub struct QueueFilter {
    /// Users are shown of this tenant alone; empty = of all.
    pub tenant: String,
    /// Children of one node, at most.
    pub most: usize,
}

/// Of a task that waits: what of its user's comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ahead {
    /// Tasks of the same user in the same lane.
    pub tasks: u64,
    /// What they are expected to cost, in GPU-microseconds.
    pub cost: u64,
}

/// Rows as they were read.
#[derive(Debug, Default)]
pub(super) struct TreeRows {
    /// Nodes with something that waits, in their parent's order; those kept back after them.
    pub(super) nodes: Vec<(NodeKey, u64, Standing)>,
    pub(super) waiting: BTreeMap<(String, Lane), Waiting>,
    pub(super) in_flight: BTreeMap<String, u64>,
}

/// Whether the children of a node are shown.
pub(super) fn opens(key: &NodeKey, filter: &QueueFilter) -> bool {
    let is_other_tenant = key.depth() == LEVELS - 1
        && !filter.tenant.is_empty()
        && key.split().is_none_or(|(_, name)| name != filter.tenant);
    key.depth() < LEVELS && !is_other_tenant
}

/// The parties whose counts are shown: tenants and users, with their lanes.
pub(super) fn parties(nodes: &[(NodeKey, u64, Standing)]) -> BTreeSet<(String, Lane)> {
    let mut parties = BTreeSet::new();
    for (key, ..) in nodes {
        if let Some(place) = key.place() {
            parties.insert((place.owner(), place.lane.clone()));
            parties.insert((place.tenant, place.lane));
        } else if let Some(place) = key.child("").place() {
            parties.insert((place.tenant, place.lane));
        }
    }
    parties
}

impl TreeRows {
    /// Put together, lane by lane.
    pub(super) fn lanes(self) -> Vec<LaneView> {
        let mut lanes: Vec<LaneView> = Vec::new();
        for (key, virtual_time, standing) in &self.nodes {
            let (depth, virtual_time, standing) = (key.depth(), *virtual_time, *standing);
            let names = match depth {
                2 => key.child("").child("").place(),
                3 => key.child("").place(),
                4 => key.place(),
                _ => None,
            };
            let Some(place) = names else { continue };
            let (owner, lane) = (place.owner(), place.lane.clone());
            let index = lanes.iter().position(|view| view.lane == lane).unwrap_or_else(|| {
                lanes.push(LaneView { lane: lane.clone(), virtual_time: 0, tenants: Vec::new() });
                lanes.len() - 1
            });
            let Some(view) = lanes.get_mut(index) else { continue };
            if depth == 2 {
                view.virtual_time = virtual_time;
                continue;
            }
            let index =
                view.tenants.iter().position(|tenant| tenant.tenant == place.tenant).unwrap_or_else(|| {
                    view.tenants.push(TenantView {
                        tenant: place.tenant.clone(),
                        virtual_time: 0,
                        standing: Standing::Active,
                        waiting: self
                            .waiting
                            .get(&(place.tenant.clone(), lane.clone()))
                            .copied()
                            .unwrap_or_default(),
                        in_flight: self.in_flight.get(&place.tenant).copied().unwrap_or(0),
                        users: Vec::new(),
                    });
                    view.tenants.len() - 1
                });
            let Some(tenant) = view.tenants.get_mut(index) else { continue };
            if depth == 3 {
                (tenant.virtual_time, tenant.standing) = (virtual_time, standing);
                continue;
            }
            tenant.users.push(UserView {
                tenant: place.tenant,
                user: place.user,
                virtual_time,
                standing,
                waiting: self.waiting.get(&(owner.clone(), lane)).copied().unwrap_or_default(),
                in_flight: self.in_flight.get(&owner).copied().unwrap_or(0),
            });
        }
        lanes
    }
}
