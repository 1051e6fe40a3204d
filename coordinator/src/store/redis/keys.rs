//! Names of the keys, and how rows are written as members of sorted sets.
//!
//! All keys of a fleet share one hash tag, so that one script may touch them all. Rows that are ordered by more than
//! one number are members of score 0: they sort as bytes, with numbers in hexadecimal digits of fixed width and zero
//! bytes between texts (no name holds one).

use likeness_shared::ids::{PersonId, TaskId, TenantName};

use crate::store::StoreError;
use crate::store::fair::{Lane, Node, NodeKey, Standing, Waiting};
use crate::store::indexes::{ListingRow, WaitingRow};
use crate::store::record::{Owner, StoreTime};

/// Ends a text inside a member.
const END: u8 = 0;
/// Hexadecimal digits of a virtual time.
const TIME_DIGITS: usize = 16;
/// Bytes of a place in a user's queue: rank, number, id.
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
    /// leases, how far the server's clock is put forward, until when nothing is leased, and how often the shares were
    /// changed and indexes repaired.
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

    /// Hash: node -> virtual time, floor, standing, since when it is idle.
    pub(super) fn nodes(&self) -> String {
        self.key("nodes")
    }

    /// Sorted set of parent, virtual time and name of every active node.
    pub(super) fn turns(&self) -> String {
        self.key("turns")
    }

    /// Set of the nodes that a cap keeps back.
    pub(super) fn kept_back(&self) -> String {
        self.key("kept_back")
    }

    /// Sorted set of idle nodes, by the time since when.
    pub(super) fn idle(&self) -> String {
        self.key("idle")
    }

    /// Hash: tenant or owner -> leases.
    pub(super) fn in_flight(&self) -> String {
        self.key("in_flight")
    }

    /// Hash: kind of work in a lane -> what a unit of it costs.
    pub(super) fn costs(&self, lane: &str) -> String {
        self.key(&format!("costs:{lane}"))
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

    /// Hash: lane -> tasks of one tenant or owner that wait in it, and what they are expected to cost.
    pub(super) fn waiting(&self, party: &str) -> String {
        self.key(&format!("waiting:{party}"))
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

    /// Sorted set of tasks by when time alone next changes them.
    pub(super) fn due(&self) -> String {
        self.key("due")
    }

    /// Sorted set of the tasks of one list by number.
    pub(super) fn listing(&self, row: &ListingRow) -> String {
        self.key(&format!("list:{}/{}/{}/{}", row.tenant, row.user, row.kind, row.state))
    }

    /// Hash: record and version of a worker, and what it has done.
    pub(super) fn worker(&self, id: &str) -> String {
        self.key(&format!("worker:{id}"))
    }

    /// Sorted set of workers by name.
    pub(super) fn workers(&self) -> String {
        self.key("workers")
    }

    /// Sorted set of workers by when they were last seen.
    pub(super) fn workers_by_age(&self) -> String {
        self.key("workers_by_age")
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

    /// Pattern of all keys of the fleet.
    pub(super) fn pattern(&self) -> String {
        // the name of a fleet has no character that means something in a pattern
        format!("{}*", self.prefix)
    }

    /// What follows `beginning` in a key.
    pub(super) fn rest<'k>(&self, key: &'k str, beginning: &str) -> Option<&'k str> {
        key.strip_prefix(&self.prefix)?.strip_prefix(beginning)
    }
}

/// A waiting task: model, class, owner, rank, number, id.
pub(super) fn queue_row(row: &WaitingRow, id: TaskId) -> Vec<u8> {
    let lane = row.lane.text();
    let mut member = Vec::with_capacity(lane.len() + row.owner.len() + 2 + PLACE_BYTES);
    member.extend(lane.as_bytes());
    member.push(END);
    member.extend(row.owner.as_bytes());
    member.push(END);
    member.extend(format!("{:01x}{:016x}", row.rank, row.number).as_bytes());
    member.extend(id.to_bytes());
    member
}

/// A node as the scripts write it: virtual time, floor, standing, since when it is idle.
pub(super) fn node_text(node: &Node) -> String {
    let Node { virtual_time, floor, standing, idle_since } = node;
    format!("{virtual_time} {floor} {} {}", standing.digit(), idle_since.0)
}

/// A turn as the scripts write it: parent, virtual time, name.
pub(super) fn turn_row(parent: &NodeKey, virtual_time: u64, name: &str) -> String {
    format!("{}\0{virtual_time:016x}{name}", parent.as_str())
}

/// What waits, as the scripts write it: tasks and cost.
pub(super) fn waiting_text(waiting: Waiting) -> String {
    format!("{} {}", waiting.tasks, waiting.cost)
}

/// The reverse of [`queue_row`].
pub(super) fn read_queue_row(member: &[u8]) -> Result<(WaitingRow, TaskId), StoreError> {
    let read = || {
        let (texts, place) = member.split_at_checked(member.len().checked_sub(PLACE_BYTES)?)?;
        let mut texts = std::str::from_utf8(texts).ok()?.split('\0');
        let lane = Lane { model: texts.next()?.to_owned(), class: texts.next()?.parse().ok()? };
        let owner = texts.next()?.to_owned();
        let (numbers, id) = place.split_at_checked(17)?;
        let (rank, number) = std::str::from_utf8(numbers).ok()?.split_at_checked(1)?;
        let rank = u8::from_str_radix(rank, 16).ok()?;
        let number = u64::from_str_radix(number, 16).ok()?;
        Some((WaitingRow { lane, owner, rank, number }, TaskId::from_bytes(id.try_into().ok()?)))
    };
    read().ok_or_else(|| damaged("queue"))
}

/// The reverse of [`node_text`].
pub(super) fn read_node(text: &str) -> Result<Node, StoreError> {
    let read = || {
        let mut parts = text.split(' ');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (virtual_time, floor, standing) = (number()?, number()?, Standing::read(number()?)?);
        Some(Node { virtual_time, floor, standing, idle_since: StoreTime(number()?) })
    };
    read().ok_or_else(|| damaged("nodes"))
}

/// The reverse of [`turn_row`].
pub(super) fn read_turn(member: &str) -> Result<(NodeKey, u64, String), StoreError> {
    let read = || {
        // a parent of depth n has n - 1 separators in it
        let depth = usize::from(NodeKey::from_text(member).depth());
        let (end, _) = member.match_indices('\0').nth(depth.saturating_sub(1))?;
        let (parent, rest) = member.split_at_checked(end)?;
        let (time, name) = rest.get(1..)?.split_at_checked(TIME_DIGITS)?;
        Some((NodeKey::from_text(parent), u64::from_str_radix(time, 16).ok()?, name.to_owned()))
    };
    read().ok_or_else(|| damaged("turns"))
}

/// The reverse of [`waiting_text`].
pub(super) fn read_waiting(text: &str) -> Result<Waiting, StoreError> {
    let read = || {
        let (tasks, cost) = text.split_once(' ')?;
        Some(Waiting { tasks: tasks.parse().ok()?, cost: cost.parse().ok()? })
    };
    read().ok_or_else(|| damaged("waiting"))
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
