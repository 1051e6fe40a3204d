//! A difference as Redis has it: what it rests on, how to see at one moment whether it is there, and how to set it right.

use std::collections::BTreeSet;

use likeness_shared::ids::{PersonId, TaskId, WorkerId};

use super::changes::{Changes, Guard};
use super::keys::{Keys, node_text, person_row, queue_row, turn_row, waiting_text};
use super::snapshot::View;
use crate::store::StoreError;
use crate::store::fair::NodeKey;
use crate::store::indexes::owner_key;
use crate::store::record::{Owner, StoreTime};
use crate::store::scrub::{Difference, Is, Row};

/// How often the shares were changed, in the hash of the fleet.
pub(super) const SHARES: &str = "shares";

/// One row as a command reads it.
pub(super) struct Place {
    /// The command that reads it, the one that writes it, the one that removes it.
    commands: [&'static str; 3],
    key: String,
    member: Vec<u8>,
    /// What the reading answers where the row is there.
    answer: Vec<u8>,
}

impl Place {
    fn of_hash(key: String, field: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { commands: ["HGET", "HSET", "HDEL"], key, member: field.into(), answer: value.into() }
    }

    fn of_sorted(key: String, member: impl Into<Vec<u8>>, score: u64) -> Self {
        let answer = score.to_string().into();
        Self { commands: ["ZSCORE", "ZADD", "ZREM"], key, member: member.into(), answer }
    }

    fn of_set(key: String, member: impl Into<Vec<u8>>) -> Self {
        Self { commands: ["SISMEMBER", "SADD", "SREM"], key, member: member.into(), answer: b"1".into() }
    }

    pub(super) fn of(keys: &Keys, row: &Row) -> Result<Self, StoreError> {
        let timed = |key, time: &StoreTime, id: &TaskId| Self::of_sorted(key, id.to_bytes(), time.0);
        Ok(match row {
            Row::Queue(row, id) => Self::of_sorted(keys.queue(), queue_row(row, *id), 0),
            Row::Lease(time, id) => timed(keys.leases(), time, id),
            Row::Ended(time, id) => timed(keys.ended(), time, id),
            Row::Due(time, id) => timed(keys.due(), time, id),
            Row::Held(worker, id) => Self::of_set(keys.held(worker), id.to_bytes()),
            Row::Listing(row, id) => Self::of_sorted(keys.listing(row), id.to_bytes(), row.number),
            Row::Name(owner, name, id) => Self::of_hash(keys.names(owner), name.as_bytes(), id.to_bytes()),
            Row::NameInOrder(owner, name) => {
                let owner = read_owner(owner)?;
                Self::of_sorted(keys.people_in_order(&owner.tenant), person_row(&owner, name), 0)
            }
            Row::WorkerInOrder(id) => Self::of_sorted(keys.workers(), id.as_str(), 0),
            Row::WorkerByAge(time, id) => Self::of_sorted(keys.workers_by_age(), id.as_str(), time.0),
            Row::Waiting(party, lane, waiting) => {
                Self::of_hash(keys.waiting(party), lane.text(), waiting_text(*waiting))
            }
            Row::InFlight(party, count) => {
                Self::of_hash(keys.in_flight(), party.as_bytes(), count.to_string())
            }
            Row::Node(key, node) => Self::of_hash(keys.nodes(), key.as_str(), node_text(node)),
            Row::Turn(parent, time, name) => Self::of_sorted(keys.turns(), turn_row(parent, *time, name), 0),
            Row::Idle(time, key) => Self::of_sorted(keys.idle(), key.as_str(), time.0),
            Row::KeptBack(key) => Self::of_set(keys.kept_back(), key.as_str()),
        })
    }

    pub(super) fn write(&self, changes: &mut Changes) {
        let [_, write, _] = self.commands;
        let arguments = match write {
            "HSET" => vec![self.member.clone(), self.answer.clone()],
            "ZADD" => vec![self.answer.clone(), self.member.clone()],
            _ => vec![self.member.clone()],
        };
        changes.push(write, self.key.clone(), arguments);
    }

    pub(super) fn remove(&self, changes: &mut Changes) {
        let [_, _, remove] = self.commands;
        changes.push(remove, self.key.clone(), vec![self.member.clone()]);
    }
}

/// A row that is to be set right.
pub(super) struct Claim {
    place: Place,
    left_over: bool,
    /// While these hold, the row should be as it is said to be.
    pub(super) guards: Vec<Guard>,
}

/// Something that must hold for a claim to be true.
pub(super) struct Condition<'c> {
    pub(super) command: &'static str,
    pub(super) key: &'c str,
    pub(super) member: &'c [u8],
    pub(super) value: &'c [u8],
    pub(super) is: bool,
}

impl Claim {
    /// What is said of one row, resting on the view in which it was found, in which the shares were changed so often
    /// (`None` = it is not of one moment, and rests on single nodes).
    pub(super) fn of(
        keys: &Keys,
        view: &View,
        shares: Option<&[u8]>,
        difference: &Difference,
    ) -> Result<Self, StoreError> {
        let Difference { row, is } = difference;
        let guards = match shares {
            Some(changed) if row.is_of_shares() => {
                vec![Guard::field(keys.meta(), SHARES, changed.to_vec())]
            }
            _ => rests_on(keys, view, row),
        };
        Ok(Self { place: Place::of(keys, row)?, left_over: *is == Is::LeftOver, guards })
    }

    /// That what it rests on is still so, and that the row is not as it should be.
    pub(super) fn conditions(&self) -> Vec<Condition<'_>> {
        let guards = self.guards.iter().filter_map(|guard| {
            let (key, member, value) = (guard.key.as_deref()?, &guard.field, &guard.value);
            Some(Condition { command: "HGET", key, member, value, is: true })
        });
        let Place { commands: [read, ..], key, member, answer } = &self.place;
        let row = Condition { command: read, key, member, value: answer, is: self.left_over };
        guards.chain([row]).collect()
    }

    /// Sets the row right.
    pub(super) fn set_right(&self, changes: &mut Changes) {
        if self.left_over { self.place.remove(changes) } else { self.place.write(changes) }
    }
}

/// The records, as they were read, that a row follows from.
fn rests_on(keys: &Keys, view: &View, row: &Row) -> Vec<Guard> {
    let of_task = |id: &TaskId| version(keys.task(*id), view.versions.get(id));
    let of_worker = |id: &WorkerId| version(keys.worker(id.as_str()), view.worker_versions.get(id));
    let of_node = |key: &NodeKey| {
        let value = view.snapshot.nodes.get(key).map(|node| node_text(node).into()).unwrap_or_default();
        Guard::field(keys.nodes(), key.as_str(), value)
    };
    match row {
        Row::Queue(_, id)
        | Row::Lease(_, id)
        | Row::Held(_, id)
        | Row::Ended(_, id)
        | Row::Due(_, id)
        | Row::Listing(_, id) => vec![of_task(id)],
        Row::WorkerInOrder(id) | Row::WorkerByAge(_, id) => vec![of_worker(id)],
        Row::Name(owner, name, id) => of_name(keys, view, owner, name, Some(*id)),
        Row::NameInOrder(owner, name) => of_name(keys, view, owner, name, None),
        Row::Turn(parent, _, name) => vec![of_node(&parent.child(name))],
        Row::Idle(_, key) | Row::KeptBack(key) | Row::Node(key, _) => vec![of_node(key)],
        // compared only where the view is of one moment
        Row::Waiting(..) | Row::InFlight(..) => Vec::new(),
    }
}

fn version(key: String, read: Option<&Vec<u8>>) -> Guard {
    Guard::field(key, b"v", read.cloned().unwrap_or_default())
}

/// Who has the name by its row, who has it by his record, and whoever else is spoken of.
fn of_name(keys: &Keys, view: &View, owner: &str, name: &str, person: Option<PersonId>) -> Vec<Guard> {
    let row = view.snapshot.names.iter().find(|(its, named, _)| its == owner && named == name);
    let by_row = row.map(|(_, _, id)| *id);
    let mut people = view.snapshot.people.values();
    let by_record = people.find(|person| person.name.as_str() == name && owner_key(&person.owner) == owner);
    let ids: BTreeSet<PersonId> =
        [by_row, by_record.map(|person| person.id), person].into_iter().flatten().collect();
    let of_person = |id: PersonId| {
        let value = view.people.get(&id).cloned().unwrap_or_default();
        Guard::field(keys.people(), id.to_bytes(), value)
    };
    let value = by_row.map(|id| id.to_bytes().into()).unwrap_or_default();
    let row = Guard::field(keys.names(owner), name, value);
    ids.into_iter().map(of_person).chain([row]).collect()
}

fn read_owner(owner: &str) -> Result<Owner, StoreError> {
    let read = || {
        let (tenant, user) = owner.split_once('/')?;
        Some(Owner { tenant: tenant.parse().ok()?, user: user.parse().ok()? })
    };
    read().ok_or_else(|| super::keys::damaged("people_in_order"))
}
