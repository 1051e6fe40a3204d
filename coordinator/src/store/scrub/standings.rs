//! Who should have a place in the tree of shares: from what waits and what is in flight, held against the caps, from the
//! users up to the models.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::fair::{FairPolicy, Node, NodeKey, Place, Standing};
use crate::store::invariants::Snapshot;
use crate::store::record::StoreTime;

/// Depth of a user's node, and of a tenant's.
const USER: u8 = 4;
const TENANT: u8 = 3;

/// The nodes as they should be. `counts` has what waits and what is in flight as the records say.
pub(super) fn expected_nodes(
    found: &Snapshot,
    counts: &Snapshot,
    policy: &FairPolicy,
    now: StoreTime,
) -> BTreeMap<NodeKey, Node> {
    let mut nodes = found.nodes.clone();
    let mut keys: BTreeSet<NodeKey> = nodes.keys().cloned().collect();
    for (party, lane) in counts.waiting.keys() {
        let Some((tenant, user)) = party.split_once('/') else { continue };
        let place = Place { lane: lane.clone(), tenant: tenant.to_owned(), user: user.to_owned() };
        keys.extend(place.nodes());
    }
    let in_flight = |party: &str| counts.in_flight.get(party).copied().unwrap_or(0);
    let mut with_active_child = BTreeSet::new();
    for depth in (1..=USER).rev() {
        for key in keys.iter().filter(|key| key.depth() == depth) {
            let Some((parent, _)) = key.split() else { continue };
            let (waits, full) = match (depth, key.place(), key.child("").place()) {
                (USER, Some(place), _) => {
                    let full = in_flight(&place.owner()) >= policy.terms(&place).user_in_flight;
                    (counts.waiting.contains_key(&(place.owner(), place.lane)), full)
                }
                (TENANT, _, Some(place)) => {
                    let full = in_flight(&place.tenant) >= policy.terms(&place).tenant_in_flight;
                    (with_active_child.contains(key), full)
                }
                _ => (with_active_child.contains(key), false),
            };
            let standing = Standing::of(waits, full);
            let floor = found.nodes.get(&parent).map_or(0, |parent| parent.floor);
            if standing == Standing::Active {
                with_active_child.insert(parent);
            }
            let known = nodes.get(key).copied();
            if known.is_some() || standing != Standing::Idle {
                let node = known.unwrap_or(Node::idle(now));
                nodes.insert(key.clone(), placed(node, standing, depth, floor, now));
            }
        }
    }
    nodes
}

/// The node with that standing, and no better off than it would have come by it.
fn placed(mut node: Node, standing: Standing, depth: u8, floor: u64, now: StoreTime) -> Node {
    // a model's own time is looked at when it is served, so one that stands in the order may be below the floor
    let keeps_to_floor = depth > 1 || node.standing != Standing::Active;
    if standing == Standing::Active && keeps_to_floor {
        node.virtual_time = node.virtual_time.max(floor);
    } else if standing == Standing::Idle && node.standing != Standing::Idle {
        node.idle_since = now;
    }
    node.standing = standing;
    node
}
