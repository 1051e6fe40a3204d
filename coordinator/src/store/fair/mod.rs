//! Fair shares of GPU time: start-time fair queueing over a tree of models, classes, tenants and users.
//!
//! Every node has a virtual time: the GPU time charged below it, divided by its weight. Under each node the child with
//! the least virtual time is next, and the node's floor is the virtual time of the newest child served. A child that
//! begins to wait is lifted to the floor: idling earns no credit. So two users of a class who both always have something
//! waiting differ by at most two charges in what they were served for their weight, whatever others do
//! (Goyal, Vin and Cheng, "Start-time fair queueing", SIGCOMM 1996; Sheng et al., "Fairness in serving large language
//! models", OSDI 2024). No class can starve another: a weight bounds the wait, so nothing needs to age.
//!
//! The arithmetic is here, apart from how nodes are kept ([`Ledger`]): the embedded store, the simulator and the tests
//! run this code, and `redis/commit.lua` holds the same steps for the server that several coordinators share.
//!
//! Not decided here: which of a user's tasks comes first (the order of submission, requeued ones in front).

mod cost;
mod ledger;
mod node;
mod policy;
#[cfg(test)]
mod tests;
mod view;

use std::time::Duration;

use super::record::StoreTime;

pub use cost::{UnitCost, cost_key, units_left};
pub use ledger::{Ledger, MemoryLedger};
pub use node::{Lane, Node, NodeKey, Place, Standing, Waiting, class_byte};
pub use policy::{FairPolicy, TenantPolicy, Terms};
pub use view::{LaneView, TenantView, UserView, work_before};

/// A user (or a whole class) of which nothing has waited for so long owes nothing any more.
pub const DEBTS_KEPT: Duration = Duration::from_secs(3600);

/// What changes for one user: tasks that begin or cease to wait or to be in flight, and GPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// A task ceases to wait, with its estimated cost in GPU-microseconds.
    pub gone: Option<u64>,
    /// A task begins to wait, with its estimated cost in GPU-microseconds.
    pub come: Option<u64>,
    /// Leases more or fewer: -1, 0 or 1.
    pub in_flight: i64,
    /// GPU time charged (or given back), in microseconds.
    pub charge: i64,
    /// The user was next and is served: the floors move.
    pub served: bool,
}

/// Makes a change and keeps every order in step with it.
pub fn apply<L: Ledger>(
    ledger: &mut L,
    place: &Place,
    terms: &Terms,
    change: Change,
) -> Result<(), L::Error> {
    let (owner, tenant) = (place.owner(), place.tenant.clone());
    for party in [&owner, &tenant] {
        let mut waiting = ledger.waiting(party, &place.lane)?;
        if let Some(cost) = change.gone {
            waiting.tasks = waiting.tasks.saturating_sub(1);
            waiting.cost = waiting.cost.saturating_sub(cost);
        }
        if let Some(cost) = change.come {
            waiting.tasks += 1;
            waiting.cost += cost;
        }
        ledger.put_waiting(party, &place.lane, waiting)?;
    }
    count_in_flight(ledger, &owner, change.in_flight, terms.user_in_flight)?;
    let tenant_crosses = count_in_flight(ledger, &tenant, change.in_flight, terms.tenant_in_flight)?;
    pass(ledger, place, terms, Some(change))?;
    // whoever may take more, or no more, may do so for every model and class
    if change.in_flight != 0 {
        let lanes = ledger.lanes(if tenant_crosses { &tenant } else { &owner })?;
        for lane in lanes.into_iter().filter(|lane| *lane != place.lane) {
            pass(ledger, &Place { lane, ..place.clone() }, terms, None)?;
        }
    }
    Ok(())
}

/// Counts leases. True where the party comes to a cap, or leaves it.
fn count_in_flight<L: Ledger>(ledger: &mut L, party: &str, by: i64, cap: u64) -> Result<bool, L::Error> {
    if by == 0 {
        return Ok(false);
    }
    let before = ledger.in_flight(party)?;
    let after = before.saturating_add_signed(by);
    ledger.put_in_flight(party, after)?;
    Ok((before < cap) != (after < cap))
}

/// From the user's node up to the model's: charges, and enters each node among its parent's children or takes it out.
fn pass<L: Ledger>(
    ledger: &mut L,
    place: &Place,
    terms: &Terms,
    change: Option<Change>,
) -> Result<(), L::Error> {
    let keys = place.nodes();
    let (owner, now) = (place.owner(), ledger.now());
    let mut stored = ledger.node(&keys[0])?;
    let mut node = stored.unwrap_or(Node::idle(now));
    for (level, (key, parent_key)) in keys.iter().zip(&keys[1..]).enumerate() {
        let parent_stored = ledger.node(parent_key)?;
        let mut parent = parent_stored.unwrap_or(Node::idle(now));
        if let Some(change) = change {
            let start = node.virtual_time.max(parent.floor);
            node.virtual_time = charged(node.virtual_time, parent.floor, change, terms.weights[level]);
            if change.served {
                parent.floor = start;
            }
        }
        let waits = match level {
            0 => ledger.waiting(&owner, &place.lane)?.tasks > 0,
            _ => ledger.first_child(key)?.is_some(),
        };
        let full = match level {
            0 => ledger.in_flight(&owner)? >= terms.user_in_flight,
            1 => ledger.in_flight(&place.tenant)? >= terms.tenant_in_flight,
            _ => false,
        };
        let standing = Standing::of(waits, full);
        if standing == Standing::Active && node.standing != Standing::Active {
            node.virtual_time = node.virtual_time.max(parent.floor);
        } else if standing == Standing::Idle && node.standing != Standing::Idle {
            node.idle_since = now;
        }
        node.standing = standing;
        keep(ledger, key, stored, node)?;
        (stored, node) = (parent_stored, parent);
    }
    keep(ledger, &keys[4], stored, node)
}

/// Writes what has changed. A node of which there is nothing to tell is not kept.
fn keep<L: Ledger>(ledger: &mut L, key: &NodeKey, stored: Option<Node>, node: Node) -> Result<(), L::Error> {
    if stored == Some(node) || (stored.is_none() && node == Node::idle(ledger.now())) {
        return Ok(());
    }
    ledger.put_node(key, &node)
}

/// The virtual time after a charge: never below the floor. Who is served pays a charge of nothing or more.
fn charged(before: u64, floor: u64, change: Change, weight: u32) -> u64 {
    if change.charge == 0 && !change.served {
        return before;
    }
    let by = change.charge.unsigned_abs().saturating_mul(u64::from(Terms::USUAL_WEIGHT))
        / u64::from(weight.max(1));
    if change.served {
        before.max(floor).saturating_add(by)
    } else if change.charge >= 0 {
        before.saturating_add(by).max(floor)
    } else {
        before.saturating_sub(by).max(floor)
    }
}

/// Who is next for a worker with these models.
pub fn next<L: Ledger>(ledger: &L, models: &[String]) -> Result<Option<Place>, L::Error> {
    let mut first: Option<(u64, NodeKey)> = None;
    for model in models {
        let key = NodeKey::model(model);
        let Some(node) = ledger.node(&key)?.filter(|node| node.standing == Standing::Active) else {
            continue;
        };
        let candidate = (node.virtual_time, key);
        if first.as_ref().is_none_or(|first| candidate < *first) {
            first = Some(candidate);
        }
    }
    let Some((_, mut key)) = first else { return Ok(None) };
    for _ in 0..3 {
        let Some(child) = ledger.first_child(&key)? else { return Ok(None) };
        key = child;
    }
    Ok(key.place())
}

/// Forgets nodes that have been idle since before `time` and have no child that waits; at most `most` of them.
///
/// What such a user still owed is forgiven.
pub fn forget_idle<L: Ledger>(ledger: &mut L, time: StoreTime, most: usize) -> Result<usize, L::Error> {
    let idle = ledger.idle_before(time, most)?;
    let mut forgotten = 0;
    for key in idle {
        if ledger.first_child(&key)?.is_none() {
            ledger.drop_node(&key)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}
