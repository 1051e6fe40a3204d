//! The index rows that a record stands in: computed from the record alone, so that every index can be rebuilt and
//! every difference is a fault.

use likeness_shared::ids::TaskId;
use likeness_shared::proto::TaskState;

use super::record::{Owner, State, StoreTime, TaskRecord};

/// Stands for "every" in a listing row.
pub(super) const ANY: u8 = 0;

/// Place of a waiting task in its user's queue: requeued tasks first, then by submission.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WaitingRow {
    pub(super) pool: String,
    pub(super) owner: String,
    pub(super) lane: u8,
    pub(super) number: u64,
}

/// Place of a task in one of the lists that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListingRow {
    pub(super) tenant: String,
    /// Empty = every user of the tenant.
    pub(super) user: String,
    pub(super) kind: u8,
    pub(super) state: u8,
    pub(super) number: u64,
}

/// All rows of one record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct IndexRows {
    pub(super) waiting: Option<WaitingRow>,
    pub(super) lease: Option<(StoreTime, TaskId)>,
    pub(super) held: Option<(String, TaskId)>,
    pub(super) ended: Option<(StoreTime, TaskId)>,
    /// When time alone next changes the task.
    pub(super) due: Option<(StoreTime, TaskId)>,
    pub(super) listings: Vec<ListingRow>,
}

/// The owner as one key: names hold no slash.
pub(super) fn owner_key(owner: &Owner) -> String {
    format!("{}/{}", owner.tenant, owner.user)
}

/// The state as a key byte.
pub(super) fn state_byte(state: TaskState) -> u8 {
    u8::try_from(state as i32).unwrap_or(u8::MAX)
}

/// The rows in which `record` must stand, and no others.
pub(super) fn rows(record: &TaskRecord) -> IndexRows {
    let tenure = record.state.tenure();
    let waiting = (record.state == State::Queued).then(|| WaitingRow {
        pool: record.spec.model().to_owned(),
        owner: owner_key(&record.owner),
        lane: u8::from(!record.was_leased),
        number: record.number,
    });
    let mut listings = Vec::with_capacity(8);
    for user in ["", record.owner.user.as_str()] {
        for kind in [ANY, u8::try_from(record.spec.kind() as i32).unwrap_or(u8::MAX)] {
            for state in [ANY, state_byte(record.state.wire())] {
                listings.push(ListingRow {
                    tenant: record.owner.tenant.to_string(),
                    user: user.to_owned(),
                    kind,
                    state,
                    number: record.number,
                });
            }
        }
    }
    IndexRows {
        waiting,
        lease: tenure.map(|tenure| (tenure.expires, record.id)),
        held: tenure.map(|tenure| (tenure.worker.to_string(), record.id)),
        ended: record.ended.map(|ended| (ended, record.id)),
        due: record.due().map(|due| (due, record.id)),
        listings,
    }
}

/// Rank of a user among those who wait: the fewest leases in flight first, then who was served (or began to wait)
/// longest ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Share {
    pub(super) in_flight: u64,
    pub(super) served: u64,
}
