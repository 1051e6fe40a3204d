//! Rows of indexes as data, and what can be wrong with one.

use std::fmt::{Display, Formatter, Result};

use likeness_shared::ids::{PersonId, TaskId, WorkerId};

use crate::store::fair::{Lane, Node, NodeKey, Waiting};
use crate::store::indexes::{ListingRow, WaitingRow};
use crate::store::record::StoreTime;

/// A row of an index, with its value where the index has values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Row {
    Queue(WaitingRow, TaskId),
    Lease(StoreTime, TaskId),
    Held(String, TaskId),
    Ended(StoreTime, TaskId),
    Due(StoreTime, TaskId),
    Listing(ListingRow, TaskId),
    /// Owner, name, person.
    Name(String, String, PersonId),
    /// Owner, name.
    NameInOrder(String, String),
    WorkerInOrder(WorkerId),
    WorkerByAge(StoreTime, WorkerId),
    /// Tenant or owner, lane.
    Waiting(String, Lane, Waiting),
    /// Tenant or owner, leases.
    InFlight(String, u64),
    Node(NodeKey, Node),
    /// Parent, virtual time, name.
    Turn(NodeKey, u64, String),
    Idle(StoreTime, NodeKey),
    KeptBack(NodeKey),
}

impl Row {
    /// Whether it belongs to the shares, which rest on more than one record.
    pub(in crate::store) fn is_of_shares(&self) -> bool {
        match self {
            Self::Waiting(..)
            | Self::InFlight(..)
            | Self::Node(..)
            | Self::Turn(..)
            | Self::Idle(..)
            | Self::KeptBack(..) => true,
            Self::Queue(..)
            | Self::Lease(..)
            | Self::Held(..)
            | Self::Ended(..)
            | Self::Due(..)
            | Self::Listing(..)
            | Self::Name(..)
            | Self::NameInOrder(..)
            | Self::WorkerInOrder(..)
            | Self::WorkerByAge(..) => false,
        }
    }

    /// The index's name.
    pub(in crate::store) fn index(&self) -> &'static str {
        match self {
            Self::Queue(..) => "queue",
            Self::Lease(..) => "leases",
            Self::Held(..) => "held",
            Self::Ended(..) => "ended",
            Self::Due(..) => "due",
            Self::Listing(..) => "listings",
            Self::Name(..) => "names",
            Self::NameInOrder(..) => "names_in_order",
            Self::WorkerInOrder(..) => "workers_in_order",
            Self::WorkerByAge(..) => "workers_by_age",
            Self::Waiting(..) => "waiting",
            Self::InFlight(..) => "in_flight",
            Self::Node(..) => "nodes",
            Self::Turn(..) => "turns",
            Self::Idle(..) => "idle",
            Self::KeptBack(..) => "kept_back",
        }
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Queue(row, id) => {
                write!(f, "task {id} of {} at {}.{}", row.owner, row.rank, row.number)
            }
            Self::Lease(time, id) | Self::Ended(time, id) | Self::Due(time, id) => {
                write!(f, "task {id} at {}", time.0)
            }
            Self::Held(worker, id) => write!(f, "task {id} under worker {worker}"),
            Self::Listing(row, id) => {
                let ListingRow { tenant, user, kind, state, number } = row;
                write!(f, "task {id} as number {number} of {tenant}/{user}, kind {kind}, state {state}")
            }
            // the name itself is personal, and sentences go into logs
            Self::Name(owner, _, person) => write!(f, "the name of person {person} of {owner}"),
            Self::NameInOrder(owner, _) => write!(f, "a person's name of {owner}"),
            Self::WorkerInOrder(worker) => write!(f, "worker {worker}"),
            Self::WorkerByAge(time, worker) => write!(f, "worker {worker} at {}", time.0),
            Self::Waiting(party, lane, waiting) => {
                let Waiting { tasks, cost } = waiting;
                write!(f, "{party} in {:?}: {tasks} tasks of {cost} us", readable(&lane.text()))
            }
            Self::InFlight(party, count) => write!(f, "{party}: {count} leases"),
            Self::Node(key, node) => {
                let Node { virtual_time, floor, standing, .. } = node;
                write!(f, "{}: {standing:?} at {virtual_time}, floor {floor}", label(key))
            }
            Self::Turn(parent, time, name) => write!(f, "{} at {time}", label(&parent.child(name))),
            Self::Idle(time, key) => write!(f, "{} since {}", label(key), time.0),
            Self::KeptBack(key) => write!(f, "{}", label(key)),
        }
    }
}

fn label(key: &NodeKey) -> String {
    format!("node {:?}", readable(key.as_str()))
}

fn readable(text: &str) -> String {
    text.replace('\0', "/")
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Is {
    /// It is not there and should be.
    Missing,
    /// It is there and should not be.
    LeftOver,
    /// This one is there in its place.
    Different(Row),
}

/// A row that is not as the records say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Difference {
    /// As it should be; where it is left over, as it is.
    pub(in crate::store) row: Row,
    pub(in crate::store) is: Is,
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let index = self.row.index();
        match &self.is {
            Is::Missing => write!(f, "index {index} lacks {}", self.row),
            Is::LeftOver => write!(f, "index {index} has {}, which does not belong there", self.row),
            Is::Different(found) => write!(f, "index {index} has {found} and should have {}", self.row),
        }
    }
}
