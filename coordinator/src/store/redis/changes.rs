//! A set of changes on its way to the commit script: what must still be as it was read, and what is to be written.

use std::collections::HashMap;

use likeness_shared::ids::TaskId;

use super::events::Told;
use super::keys::{Keys, queue_row};
use crate::store::fair::{Change, Place, Terms};
use crate::store::indexes::IndexRows;
use crate::store::record::TaskRecord;
use crate::store::{StoreError, TaskEvent, codec};

/// Keys that the script knows by their place: this commit, meta, events, queue, turns, nodes, idle,
/// in_flight, kept_back.
const FIXED_KEYS: usize = 9;

/// Changes in the order in which they are made.
#[derive(Debug, Default)]
pub(super) struct Changes {
    keys: Vec<String>,
    numbers: HashMap<String, usize>,
    arguments: Vec<Vec<u8>>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    /// The number by which the script's arguments name a key.
    fn number(&mut self, key: String) -> usize {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        self.keys.push(key.clone());
        let number = FIXED_KEYS + self.keys.len();
        self.numbers.insert(key, number);
        number
    }

    /// A command on one key.
    pub(super) fn push(&mut self, command: &str, key: String, arguments: Vec<Vec<u8>>) {
        let number = self.number(key);
        self.arguments.push(command.into());
        self.arguments.push(number.to_string().into());
        self.arguments.push(arguments.len().to_string().into());
        self.arguments.extend(arguments);
    }

    /// Tells a change of a task.
    pub(super) fn tell(&mut self, keys: &Keys, task: &TaskRecord) -> Result<(), StoreError> {
        let told = codec::encode(&Told::from(TaskEvent::of(task)))?;
        self.push("TELL", keys.events(), vec![told]);
        Ok(())
    }

    /// Moves a task from the rows of its old state to those of its new one.
    pub(super) fn replace_rows(
        &mut self,
        keys: &Keys,
        task: &TaskRecord,
        before: &IndexRows,
        after: &IndexRows,
    ) {
        let id = task.id.to_bytes().to_vec();
        self.replace_timed(keys.leases(), before.lease, after.lease);
        self.replace_timed(keys.ended(), before.ended, after.ended);
        self.replace_timed(keys.due(), before.due, after.due);
        if before.held != after.held {
            if let Some((worker, _)) = &before.held {
                self.push("SREM", keys.held(worker), vec![id.clone()]);
            }
            if let Some((worker, _)) = &after.held {
                self.push("SADD", keys.held(worker), vec![id.clone()]);
            }
        }
        for row in before.listings.iter().filter(|row| !after.listings.contains(row)) {
            self.push("ZREM", keys.listing(row), vec![id.clone()]);
        }
        for row in after.listings.iter().filter(|row| !before.listings.contains(row)) {
            self.push("ZADD", keys.listing(row), vec![row.number.to_string().into(), id.clone()]);
        }
        if before.waiting != after.waiting {
            if let Some(row) = &before.waiting {
                self.push("ZREM", keys.queue(), vec![queue_row(row, task.id)]);
            }
            if let Some(row) = &after.waiting {
                self.push("ZADD", keys.queue(), vec![b"0".into(), queue_row(row, task.id)]);
            }
        }
    }

    fn replace_timed(
        &mut self,
        key: String,
        before: Option<(crate::store::record::StoreTime, TaskId)>,
        after: Option<(crate::store::record::StoreTime, TaskId)>,
    ) {
        if before == after {
            return;
        }
        match (before, after) {
            (_, Some((time, id))) => {
                self.push("ZADD", key, vec![time.0.to_string().into(), id.to_bytes().to_vec()]);
            }
            (Some((_, id)), None) => self.push("ZREM", key, vec![id.to_bytes().to_vec()]),
            (None, None) => {}
        }
    }

    /// The script keeps the tree of shares: it counts every task of a user, not this one alone.
    pub(super) fn share_out(&mut self, keys: &Keys, place: &Place, terms: &Terms, change: Change) {
        let tenant_waiting = self.number(keys.waiting(&place.tenant));
        let cost = |cost: Option<u64>| cost.map(|cost| cost.to_string()).unwrap_or_default();
        let mut arguments: Vec<Vec<u8>> = vec![
            tenant_waiting.to_string().into(),
            place.lane.model.clone().into(),
            place.lane.class.to_string().into(),
            place.tenant.clone().into(),
            place.user.clone().into(),
            terms.user_in_flight.to_string().into(),
            terms.tenant_in_flight.to_string().into(),
            cost(change.gone).into(),
            cost(change.come).into(),
            change.in_flight.to_string().into(),
            u8::from(change.served).to_string().into(),
            change.charge.to_string().into(),
        ];
        arguments.extend(terms.weights.iter().map(|weight| weight.to_string().into()));
        self.push("SHARE", keys.waiting(&place.owner()), arguments);
    }
}

/// What must still hold when the changes are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guard {
    /// `None` = no key, but the order of the queue: [`Guard::in_turn`].
    pub(super) key: Option<String>,
    pub(super) field: Vec<u8>,
    /// Empty = no such field.
    pub(super) value: Vec<u8>,
}

impl Guard {
    /// A field of a hash holds this value; empty = there is no such field.
    pub(super) fn field(key: String, field: impl AsRef<[u8]>, value: Vec<u8>) -> Self {
        Self { key: Some(key), field: field.as_ref().to_vec(), value }
    }

    /// The user is next for a worker with these models.
    pub(super) fn in_turn(place: &Place, models: &[String]) -> Self {
        let Place { lane, tenant, user } = place;
        let path = format!("{}\0{tenant}\0{user}", lane.text());
        let models: String = models.iter().map(|model| format!("{model}\x01")).collect();
        Self { key: None, field: models.into(), value: path.into() }
    }
}

/// Keys after the fixed ones, and arguments: guards, then changes.
pub(super) fn script_arguments(mut changes: Changes, guards: Vec<Guard>) -> (Vec<String>, Vec<Vec<u8>>) {
    let made = std::mem::take(&mut changes.arguments);
    let mut arguments: Vec<Vec<u8>> = vec![guards.len().to_string().into()];
    for guard in guards {
        arguments.push(guard.key.map_or(0, |key| changes.number(key)).to_string().into());
        arguments.push(guard.field);
        arguments.push(guard.value);
    }
    arguments.extend(made);
    (changes.keys, arguments)
}
