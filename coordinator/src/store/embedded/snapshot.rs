//! Everything in the file, for the invariants and the scrubber: out of a read transaction, which holds nobody up, or out
//! of the write transaction that is to repair it.

use likeness_shared::ids::{PersonId, TaskId, WorkerId};
use redb::{ReadTransaction, ReadableTable};

use super::faults::fault;
use super::read::dangling;
use super::shares;
use super::tables::{
    CHECKPOINTS, DUE, ENDED, HELD, IDLE, IN_FLIGHT, KEPT_BACK, LEASES, LISTINGS, NODES, PEOPLE,
    PEOPLE_BY_NAME, QUEUE, TASKS, TURNS, Tables, WAITING, WORKER_TOTALS, WORKERS, WORKERS_BY_AGE,
};
use crate::store::fair::{Lane, NodeKey};
use crate::store::indexes::{ListingRow, WaitingRow, owner_key};
use crate::store::invariants::Snapshot;
use crate::store::record::{PersonRecord, StoreTime};
use crate::store::worker_record::{WorkerRecord, WorkerTotals};
use crate::store::{StoreError, codec};

macro_rules! each_row {
    ($table:expr, |$key:ident, $value:ident| $body:expr) => {
        for row in $table.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            let ($key, $value) = (key.value(), value.value());
            $body;
        }
    };
}

/// Reads every table into a snapshot. `$table!` gives the table of a definition and a field of [`Tables`].
macro_rules! read_tables {
    ($snapshot:ident, $table:ident) => {{
        each_row!($table!(TASKS, tasks), |id, bytes| $snapshot
            .tasks
            .insert(TaskId::from_bytes(id), codec::decode(bytes)?));
        each_row!($table!(CHECKPOINTS, checkpoints), |id, _bytes| $snapshot
            .checkpoints
            .insert(TaskId::from_bytes(id)));
        each_row!($table!(PEOPLE, people), |id, bytes| $snapshot
            .people
            .insert(PersonId::from_bytes(id), codec::decode(bytes)?));
        each_row!($table!(QUEUE, queue), |key, id| {
            let (lane, owner, rank, number) = key;
            let lane = Lane::read(lane).ok_or_else(|| dangling("queue"))?;
            let row = WaitingRow { lane, owner: owner.to_owned(), rank, number };
            $snapshot.queue.insert((row, TaskId::from_bytes(id)))
        });
        each_row!($table!(LEASES, leases), |key, _unit| $snapshot
            .leases
            .insert((StoreTime(key.0), TaskId::from_bytes(key.1))));
        each_row!($table!(HELD, held), |key, _unit| $snapshot
            .held
            .insert((key.0.to_owned(), TaskId::from_bytes(key.1))));
        each_row!($table!(ENDED, ended), |key, _unit| $snapshot
            .ended
            .insert((StoreTime(key.0), TaskId::from_bytes(key.1))));
        each_row!($table!(DUE, due), |key, _unit| $snapshot
            .due
            .insert((StoreTime(key.0), TaskId::from_bytes(key.1))));
        each_row!($table!(LISTINGS, listings), |key, id| {
            let (tenant, user, kind, state, number) = key;
            let row = ListingRow { tenant: tenant.to_owned(), user: user.to_owned(), kind, state, number };
            $snapshot.listings.insert((row, TaskId::from_bytes(id)))
        });
        each_row!($table!(NODES, nodes), |key, row| $snapshot
            .nodes
            .insert(NodeKey::from_text(key), shares::node(row)?));
        each_row!($table!(KEPT_BACK, kept_back), |key, _unit| $snapshot
            .kept_back
            .insert(NodeKey::from_text(key)));
        each_row!($table!(IDLE, idle), |key, _unit| $snapshot
            .idle
            .insert((StoreTime(key.0), NodeKey::from_text(key.1))));
        each_row!($table!(WAITING, waiting), |key, row| {
            let lane = Lane::read(key.1).ok_or_else(|| dangling("waiting"))?;
            $snapshot.waiting.insert((key.0.to_owned(), lane), shares::waiting(row))
        });
        each_row!($table!(IN_FLIGHT, in_flight), |party, count| $snapshot
            .in_flight
            .insert(party.to_owned(), count));
        each_row!($table!(TURNS, turns), |key, _unit| {
            let (parent, virtual_time, name) = key;
            $snapshot.turns.insert((NodeKey::from_text(parent), virtual_time, name.to_owned()))
        });
        each_row!($table!(WORKERS, workers), |_id, bytes| {
            let worker: WorkerRecord = codec::decode(bytes)?;
            $snapshot.workers.insert(worker.facts.id.clone(), (worker, WorkerTotals::default()))
        });
        each_row!($table!(WORKER_TOTALS, worker_totals), |id, totals| {
            let known = id.parse().ok().and_then(|id: WorkerId| $snapshot.workers.get_mut(&id));
            let (_, known) = known.ok_or_else(|| dangling("worker_totals"))?;
            *known = WorkerTotals { settled: totals.0, device_time_us: totals.1 };
        });
        each_row!($table!(WORKERS_BY_AGE, workers_by_age), |key, _unit| {
            let id = key.1.parse().map_err(|_| dangling("workers_by_age"))?;
            $snapshot.workers_by_age.insert((StoreTime(key.0), id))
        });
        each_row!($table!(PEOPLE_BY_NAME, people_by_name), |key, id| {
            let (tenant, user, name) = key;
            $snapshot.names.insert((format!("{tenant}/{user}"), name.to_owned(), PersonId::from_bytes(id)))
        });
        // the tables of people and workers are in order themselves
        for person in $snapshot.people.values() {
            let person: &PersonRecord = person;
            $snapshot.names_in_order.insert((owner_key(&person.owner), person.name.to_string()));
        }
        $snapshot.workers_in_order.extend($snapshot.workers.keys().cloned());
    }};
}

/// As the newest commit has left it.
pub(super) fn committed(transaction: &ReadTransaction) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot::default();
    macro_rules! table {
        ($definition:expr, $field:ident) => {
            transaction.open_table($definition).map_err(fault)?
        };
    }
    read_tables!(snapshot, table);
    Ok(snapshot)
}

/// As the operations of a transaction have left it so far.
pub(super) fn within(tables: &Tables<'_>) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot::default();
    macro_rules! table {
        ($definition:expr, $field:ident) => {
            &tables.$field
        };
    }
    read_tables!(snapshot, table);
    Ok(snapshot)
}
