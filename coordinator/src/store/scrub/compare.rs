//! The rows of a whole store against those that follow from its records.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Difference, Is, Row};
use super::standings::expected_nodes;
use crate::store::fair::FairPolicy;
use crate::store::invariants::{Snapshot, place_nodes, rows_of_records};
use crate::store::record::StoreTime;

/// What is to be held against what of the shares.
pub(in crate::store) enum Shares<'p> {
    /// Counts and standings against the records, by this policy; what becomes idle is idle since `now`.
    Compared { policy: &'p FairPolicy, now: StoreTime },
    /// Counts and standings are taken as they are; only the rows of each node are held against the node.
    Taken,
}

/// Every row that is not as it should be; those left over come first, so that what is written after them stays.
pub(in crate::store) fn differences(found: &Snapshot, shares: &Shares<'_>) -> Vec<Difference> {
    let mut expected = rows_of_records(found);
    match shares {
        Shares::Compared { policy, now } => {
            let nodes = expected_nodes(found, &expected, policy, *now);
            place_nodes(&mut expected, &nodes);
            expected.nodes = nodes;
        }
        Shares::Taken => {
            place_nodes(&mut expected, &found.nodes);
            expected.nodes = found.nodes.clone();
            expected.waiting = found.waiting.clone();
            expected.in_flight = found.in_flight.clone();
        }
    }
    let mut all = Differences(Vec::new());
    all.of_sets(&found.queue, &expected.queue, |(row, id)| Row::Queue(row, id));
    all.of_sets(&found.leases, &expected.leases, |(time, id)| Row::Lease(time, id));
    all.of_sets(&found.held, &expected.held, |(worker, id)| Row::Held(worker, id));
    all.of_sets(&found.ended, &expected.ended, |(time, id)| Row::Ended(time, id));
    all.of_sets(&found.due, &expected.due, |(time, id)| Row::Due(time, id));
    all.of_sets(&found.listings, &expected.listings, |(row, id)| Row::Listing(row, id));
    all.of_maps(&by_name(found), &by_name(&expected), |(owner, name), id| Row::Name(owner, name, id));
    all.of_sets(&found.names_in_order, &expected.names_in_order, |(owner, name)| {
        Row::NameInOrder(owner, name)
    });
    all.of_sets(&found.workers_in_order, &expected.workers_in_order, Row::WorkerInOrder);
    all.of_sets(&found.workers_by_age, &expected.workers_by_age, |(time, id)| Row::WorkerByAge(time, id));
    all.of_maps(&found.waiting, &expected.waiting, |(party, lane), waiting| {
        Row::Waiting(party, lane, waiting)
    });
    all.of_maps(&found.in_flight, &expected.in_flight, Row::InFlight);
    all.of_maps(&found.nodes, &expected.nodes, Row::Node);
    all.of_sets(&found.turns, &expected.turns, |(parent, time, name)| Row::Turn(parent, time, name));
    all.of_sets(&found.idle, &expected.idle, |(time, key)| Row::Idle(time, key));
    all.of_sets(&found.kept_back, &expected.kept_back, Row::KeptBack);
    all.0.sort_by_key(|difference| difference.is != Is::LeftOver);
    all.0
}

fn by_name(snapshot: &Snapshot) -> BTreeMap<(String, String), likeness_shared::ids::PersonId> {
    let names = snapshot.names.iter();
    names.map(|(owner, name, person)| ((owner.clone(), name.clone()), *person)).collect()
}

struct Differences(Vec<Difference>);

impl Differences {
    /// Of an index whose rows have no value.
    fn of_sets<T: Ord + Clone>(
        &mut self,
        found: &BTreeSet<T>,
        expected: &BTreeSet<T>,
        row: impl Fn(T) -> Row,
    ) {
        let left_over = found.difference(expected).cloned();
        self.0.extend(left_over.map(|key| Difference { row: row(key), is: Is::LeftOver }));
        let missing = expected.difference(found).cloned();
        self.0.extend(missing.map(|key| Difference { row: row(key), is: Is::Missing }));
    }

    /// Of an index whose rows have values.
    fn of_maps<K: Ord + Clone, V: PartialEq + Clone>(
        &mut self,
        found: &BTreeMap<K, V>,
        expected: &BTreeMap<K, V>,
        row: impl Fn(K, V) -> Row,
    ) {
        for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(key)) {
            self.0.push(Difference { row: row(key.clone(), value.clone()), is: Is::LeftOver });
        }
        for (key, value) in expected {
            let is = match found.get(key) {
                Some(same) if same == value => continue,
                Some(other) => Is::Different(row(key.clone(), other.clone())),
                None => Is::Missing,
            };
            self.0.push(Difference { row: row(key.clone(), value.clone()), is });
        }
    }
}
