//! Names of the keys, and how rows are written as members of sorted sets.
//!
//! All keys of a fleet share one hash tag, so that one script may touch them all. Rows that are ordered by more than
//! one number are members of score 0: they sort as bytes, with numbers in hexadecimal digits of fixed width and zero
//! bytes between texts (no name holds one).

use likeness_shared::ids::{PersonId, TaskId, TenantName};

use crate::store::StoreError;
use crate::store::indexes::{ListingRow, Share, WaitingRow};
use crate::store::record::Owner;

/// Ends a text inside a member.
const END: u8 = 0;
/// Hexadecimal digits of the leases in flight within a share.
const IN_FLIGHT_DIGITS: usize = 8;
/// Hexadecimal digits of a share.
const SHARE_DIGITS: usize = 24;
/// Bytes of a place in a user's queue: lane, number, id.
const PLACE_BYTES: usize = 1 + 16 + 16;

/// The keys of one fleet.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn of_fleet(fleet: &str) -> Self {
        Self { prefix: format!("{{likeness:{fleet}}}:") }
    }

    fn key(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// Hash: format, identity, generation, newest time and task number, counter of events, last look for expired
    /// leases, how far the server's clock is put forward, and until when nothing is leased.
    pub(super) fn meta(&self) -> String {
        self.key("meta")
    }

    /// Stream of changes.
    pub(super) fn events(&self) -> String {
        self.key("events")
    }

    /// Sorted set of [`queue_row`]s.
    pub(super) fn queue(&self) -> String {
        self.key("queue")
    }

    /// Sorted set of model, share and owner.
    pub(super) fn turns(&self) -> String {
        self.key("turns")
    }

    /// Hash: owner -> share.
    pub(super) fn shares(&self) -> String {
        self.key("shares")
    }

    /// Number of one coordinator's commits.
    pub(super) fn commits_of(&self, counter: &str) -> String {
        self.key(&format!("commits:{counter}"))
    }

    /// Exists while a commit is remembered.
    pub(super) fn commit(&self, id: &str) -> String {
        self.key(&format!("commit:{id}"))
    }

    /// Hash: record, version and checkpoint of a task.
    pub(super) fn task(&self, id: TaskId) -> String {
        self.key(&format!("task:{id}"))
    }

    /// Hash: model -> number of tasks of one owner that wait for it.
    pub(super) fn waiting(&self, owner: &str) -> String {
        self.key(&format!("waiting:{owner}"))
    }

    /// Sorted set of tasks by the end of their lease.
    pub(super) fn leases(&self) -> String {
        self.key("leases")
    }

    /// Set of the tasks that a worker holds.
    pub(super) fn held(&self, worker: &str) -> String {
        self.key(&format!("held:{worker}"))
    }

    /// Sorted set of ended tasks by their end.
    pub(super) fn ended(&self) -> String {
        self.key("ended")
    }

    /// Sorted set of the tasks of one list by number.
    pub(super) fn listing(&self, row: &ListingRow) -> String {
        self.key(&format!("list:{}/{}/{}/{}", row.tenant, row.user, row.kind, row.state))
    }

    /// Hash: request id -> what it made.
    pub(super) fn requests(&self) -> String {
        self.key("requests")
    }

    /// Sorted set of request ids by age.
    pub(super) fn requests_by_age(&self) -> String {
        self.key("requests_by_age")
    }

    /// Hash: person id -> record.
    pub(super) fn people(&self) -> String {
        self.key("people")
    }

    /// Hash: name of a person -> id, for one owner.
    pub(super) fn names(&self, owner: &str) -> String {
        self.key(&format!("names:{owner}"))
    }

    /// Sorted set of [`person_row`]s of one tenant.
    pub(super) fn people_in_order(&self, tenant: &TenantName) -> String {
        self.key(&format!("people_in_order:{tenant}"))
    }

    /// Pattern of all keys that begin so.
    pub(super) fn pattern(&self, beginning: &str) -> String {
        // the name of a fleet has no character that means something in a pattern
        format!("{}{beginning}*", self.prefix)
    }

    /// What follows `beginning` in a key.
    pub(super) fn rest<'k>(&self, key: &'k str, beginning: &str) -> Option<&'k str> {
        key.strip_prefix(&self.prefix)?.strip_prefix(beginning)
    }
}

/// A waiting task: model, owner, lane, number, id.
pub(super) fn queue_row(row: &WaitingRow, id: TaskId) -> Vec<u8> {
    let mut member = Vec::with_capacity(row.pool.len() + row.owner.len() + 2 + PLACE_BYTES);
    member.extend(row.pool.as_bytes());
    member.push(END);
    member.extend(row.owner.as_bytes());
    member.push(END);
    member.extend(format!("{:01x}{:016x}", row.lane, row.number).as_bytes());
    member.extend(id.to_bytes());
    member
}

/// The reverse of [`queue_row`].
pub(super) fn read_queue_row(member: &[u8]) -> Result<(WaitingRow, TaskId), StoreError> {
    let read = || {
        let (texts, place) = member.split_at_checked(member.len().checked_sub(PLACE_BYTES)?)?;
        let mut texts = std::str::from_utf8(texts).ok()?.split('\0');
        let (pool, owner) = (texts.next()?.to_owned(), texts.next()?.to_owned());
        let (numbers, id) = place.split_at_checked(17)?;
        let (lane, number) = std::str::from_utf8(numbers).ok()?.split_at_checked(1)?;
        let lane = u8::from_str_radix(lane, 16).ok()?;
        let number = u64::from_str_radix(number, 16).ok()?;
        Some((WaitingRow { pool, owner, lane, number }, TaskId::from_bytes(id.try_into().ok()?)))
    };
    read().ok_or_else(|| damaged("queue"))
}

/// A share as the scripts write it.
pub(super) fn read_share(text: &str) -> Result<Share, StoreError> {
    let read = || {
        let (in_flight, served) = text.split_at_checked(IN_FLIGHT_DIGITS)?;
        let in_flight = u64::from_str_radix(in_flight, 16).ok()?;
        Some(Share { in_flight, served: u64::from_str_radix(served, 16).ok()? })
    };
    read().ok_or_else(|| damaged("shares"))
}

/// A turn as the scripts write it: model, share, owner.
pub(super) fn read_turn(member: &str) -> Result<(String, Share, String), StoreError> {
    let (pool, rest) = member.split_once('\0').ok_or_else(|| damaged("turns"))?;
    let (share, owner) = rest.split_at_checked(SHARE_DIGITS).ok_or_else(|| damaged("turns"))?;
    Ok((pool.to_owned(), read_share(share)?, owner.to_owned()))
}

/// A person in the order of user and name.
pub(super) fn person_row(owner: &Owner, name: &str) -> String {
    format!("{}\0{name}", owner.user)
}

/// An id of a task as a member.
pub(super) fn read_task_id(member: &[u8]) -> Result<TaskId, StoreError> {
    member.try_into().map(TaskId::from_bytes).map_err(|_| damaged("of tasks"))
}

/// An id of a person as a value.
pub(super) fn read_person_id(value: &[u8]) -> Result<PersonId, StoreError> {
    value.try_into().map(PersonId::from_bytes).map_err(|_| damaged("of people"))
}

pub(super) fn damaged(index: &str) -> StoreError {
    StoreError::Damaged { reason: format!("a row of index {index} cannot be read") }
}
