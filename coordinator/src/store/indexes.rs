//! The index rows that a record stands in: computed from the record alone, so that every index can be rebuilt and
//! every difference is a fault.

use likeness_shared::ids::TaskId;
use likeness_shared::proto::TaskState;

use super::fair::{Change, Lane, Place};
use super::record::{Owner, Spec, State, StoreTime, TaskRecord};

/// Stands for "every" in a listing row.
pub(super) const ANY: u8 = 0;

/// Place of a waiting task in its user's queue: requeued tasks first, then by submission.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WaitingRow {
    pub(super) lane: Lane,
    pub(super) owner: String,
    /// 0 = was leased before, 1 = not yet.
    pub(super) rank: u8,
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
    /// What the task is expected to cost, in GPU-microseconds, while it waits.
    pub(super) cost: u64,
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
        lane: record.spec.lane(),
        owner: owner_key(&record.owner),
        rank: u8::from(!record.was_leased),
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
        cost: if waiting.is_some() { record.expected_us() } else { 0 },
        waiting,
        lease: tenure.map(|tenure| (tenure.expires, record.id)),
        held: tenure.map(|tenure| (tenure.worker.to_string(), record.id)),
        ended: record.ended.map(|ended| (ended, record.id)),
        due: record.due().map(|due| (due, record.id)),
        listings,
    }
}

/// Where the task's user stands in the tree of shares.
pub(super) fn place(record: &TaskRecord) -> Place {
    place_of(&record.owner, &record.spec)
}

/// Where an owner's tasks like this one stand in the tree of shares.
pub(super) fn place_of(owner: &Owner, spec: &Spec) -> Place {
    Place { lane: spec.lane(), tenant: owner.tenant.to_string(), user: owner.user.to_string() }
}

/// What the change from `old` to `new` means for the shares; `None` = nothing.
pub(super) fn share_change(
    old: Option<&TaskRecord>,
    new: Option<&TaskRecord>,
    before: &IndexRows,
    after: &IndexRows,
) -> Option<Change> {
    let moved = before.waiting != after.waiting || before.cost != after.cost;
    let charged =
        |task: Option<&TaskRecord>| i64::try_from(task.map_or(0, |task| task.charged_us)).unwrap_or(i64::MAX);
    // a task that is swept away takes nothing back
    let charge = if new.is_some() { charged(new) - charged(old) } else { 0 };
    let change = Change {
        gone: before.waiting.as_ref().filter(|_| moved).map(|_| before.cost),
        come: after.waiting.as_ref().filter(|_| moved).map(|_| after.cost),
        in_flight: i64::from(after.held.is_some()) - i64::from(before.held.is_some()),
        charge,
        served: before.held.is_none() && after.held.is_some(),
    };
    (change != Change::default()).then_some(change)
}
