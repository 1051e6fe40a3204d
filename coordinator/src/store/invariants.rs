//! What must hold in every store, at every moment, written once: property tests check whole snapshots, debug builds
//! check each record as it is written.
//!
//! The numbers are those of the design's list ("Life of a task"). That nothing personal lies in clear (11) is not a
//! property of single records.

use std::collections::{BTreeMap, BTreeSet};

use likeness_shared::ids::{PersonId, TaskId, WorkerId};

use super::fair::{Lane, Node, NodeKey, Place, Standing, Waiting};
use super::indexes::{ListingRow, WaitingRow, owner_key, rows};
use super::record::{Attempts, PersonRecord, State, StoreTime, TaskRecord};
use super::worker_record::{SICK_FAILURES, WorkerRecord, WorkerTotals};

/// The whole content of a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Every task.
    pub tasks: BTreeMap<TaskId, TaskRecord>,
    /// The tasks with a checkpoint.
    pub checkpoints: BTreeSet<TaskId>,
    /// Every person.
    pub people: BTreeMap<PersonId, PersonRecord>,
    /// Every worker, with what it has done.
    pub workers: BTreeMap<WorkerId, (WorkerRecord, WorkerTotals)>,
    pub(super) queue: BTreeSet<(WaitingRow, TaskId)>,
    pub(super) leases: BTreeSet<(StoreTime, TaskId)>,
    pub(super) held: BTreeSet<(String, TaskId)>,
    pub(super) ended: BTreeSet<(StoreTime, TaskId)>,
    pub(super) due: BTreeSet<(StoreTime, TaskId)>,
    pub(super) listings: BTreeSet<(ListingRow, TaskId)>,
    pub(super) nodes: BTreeMap<NodeKey, Node>,
    pub(super) turns: BTreeSet<(NodeKey, u64, String)>,
    pub(super) idle: BTreeSet<(StoreTime, NodeKey)>,
    pub(super) kept_back: BTreeSet<NodeKey>,
    pub(super) waiting: BTreeMap<(String, Lane), Waiting>,
    pub(super) in_flight: BTreeMap<String, u64>,
    pub(super) names: BTreeSet<(String, String, PersonId)>,
    /// The order of people by owner and name, where a store keeps it apart from their names.
    pub(super) names_in_order: BTreeSet<(String, String)>,
    /// The order of workers by name, where a store keeps it apart from their records.
    pub(super) workers_in_order: BTreeSet<WorkerId>,
    pub(super) workers_by_age: BTreeSet<(StoreTime, WorkerId)>,
}

/// Everything that is wrong with a snapshot; empty = nothing.
#[must_use]
pub fn of_snapshot(snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = of_records(snapshot);
    let mut expected = rows_of_records(snapshot);
    place_nodes(&mut expected, &snapshot.nodes);
    let mut compare = |name: &str, same: bool, found: String, expected: String| {
        if !same {
            wrong.push(format!("index {name} is {found} and should be {expected}"));
        }
    };
    macro_rules! same_index {
        ($($field:ident),*) => {$(
            compare(
                stringify!($field),
                snapshot.$field == expected.$field,
                format!("{:?}", snapshot.$field),
                format!("{:?}", expected.$field),
            );
        )*};
    }
    // 1, 2, 5, 8: a task stands exactly where its record says, and users' counts are those of the leases
    same_index!(
        queue,
        leases,
        held,
        ended,
        due,
        listings,
        waiting,
        in_flight,
        turns,
        idle,
        kept_back,
        names,
        names_in_order,
        workers_in_order,
        workers_by_age
    );
    wrong.extend(of_shares(snapshot));
    wrong
}

/// Everything that is wrong with the records of a snapshot, whatever the indexes are.
#[must_use]
pub fn of_records(snapshot: &Snapshot) -> Vec<String> {
    let mut wrong: Vec<String> = snapshot.tasks.values().flat_map(of_record).collect();
    wrong.extend(snapshot.workers.values().flat_map(|(worker, _)| of_worker(worker)));
    for id in &snapshot.checkpoints {
        if snapshot.tasks.get(id).is_none_or(|task| task.state.is_terminal()) {
            wrong.push(format!("the ended task {id} has a checkpoint"));
        }
    }
    wrong
}

/// The rows that follow from the records of tasks, workers and people.
pub(super) fn rows_of_records(snapshot: &Snapshot) -> Snapshot {
    let mut expected = Snapshot::default();
    for task in snapshot.tasks.values() {
        let owner = owner_key(&task.owner);
        let of_task = rows(task);
        let parties = [owner, task.owner.tenant.to_string()];
        if let Some(row) = of_task.waiting {
            for party in &parties {
                let waiting = expected.waiting.entry((party.clone(), row.lane.clone())).or_default();
                waiting.tasks += 1;
                waiting.cost += of_task.cost;
            }
            expected.queue.insert((row, task.id));
        }
        if of_task.held.is_some() {
            for party in parties {
                *expected.in_flight.entry(party).or_default() += 1;
            }
        }
        expected.leases.extend(of_task.lease);
        expected.held.extend(of_task.held);
        expected.ended.extend(of_task.ended);
        expected.due.extend(of_task.due);
        expected.listings.extend(of_task.listings.into_iter().map(|row| (row, task.id)));
    }
    for (id, (worker, _)) in &snapshot.workers {
        expected.workers_by_age.insert((worker.last_seen, id.clone()));
        expected.workers_in_order.insert(id.clone());
    }
    for person in snapshot.people.values() {
        let (owner, name) = (owner_key(&person.owner), person.name.to_string());
        expected.names_in_order.insert((owner.clone(), name.clone()));
        expected.names.insert((owner, name, person.id));
    }
    expected
}

/// Adds the rows that follow from what the nodes of the tree of shares say of themselves.
pub(super) fn place_nodes(expected: &mut Snapshot, nodes: &BTreeMap<NodeKey, Node>) {
    for (key, node) in nodes {
        let Some((parent, name)) = key.split() else { continue };
        match node.standing {
            Standing::Active => drop(expected.turns.insert((parent, node.virtual_time, name.to_owned()))),
            Standing::KeptBack => drop(expected.kept_back.insert(key.clone())),
            Standing::Idle => drop(expected.idle.insert((node.idle_since, key.clone()))),
        }
    }
}

/// 6, and that whoever waits has a place in the order unless a cap keeps him back.
fn of_shares(snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, node) in &snapshot.nodes {
        let Some((parent, _)) = key.split() else { continue };
        let floor = snapshot.nodes.get(&parent).map_or(0, |parent| parent.floor);
        // models may be served by different workers, so theirs is looked at when one is served
        let active = node.standing == Standing::Active;
        if active && key.depth() > 1 && node.virtual_time < floor {
            wrong.push(format!("{key:?} is active at {} and the floor is {floor}", node.virtual_time));
        }
        let Some(place) = key.place() else { continue };
        let waits = snapshot.waiting.contains_key(&(place.owner(), place.lane));
        if waits == (node.standing == Standing::Idle) {
            wrong.push(format!("{key:?} is {:?} and waits: {waits}", node.standing));
        }
    }
    for (party, lane) in snapshot.waiting.keys() {
        let Some((tenant, user)) = party.split_once('/') else { continue };
        let place = Place { lane: lane.clone(), tenant: tenant.to_owned(), user: user.to_owned() };
        let standing = snapshot.nodes.get(&place.nodes()[0]).map(|node| node.standing);
        let kept_back = standing == Some(Standing::KeptBack) && snapshot.in_flight.contains_key(party);
        if standing != Some(Standing::Active) && !kept_back {
            wrong.push(format!("{party} waits, is kept back by no cap, and has no place in the order"));
        }
    }
    wrong
}

/// Everything that is wrong with the record of a worker.
#[must_use]
pub fn of_worker(worker: &WorkerRecord) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut require = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("worker {}: {what}", worker.facts.id));
        }
    };
    let suspicions = u32::try_from(worker.suspicions.len()).unwrap_or(u32::MAX);
    require(suspicions == worker.failures_in_a_row.min(SICK_FAILURES), "its failures are not those counted");
    require(
        worker.quarantined.is_none() || worker.failures_in_a_row >= SICK_FAILURES,
        "it is quarantined and has not failed often enough",
    );
    require(worker.joined <= worker.last_seen, "it was last seen before it joined");
    require(worker.left.is_none_or(|left| left >= worker.last_seen), "it left before it was last seen");
    wrong
}

/// Everything that is wrong with one record.
#[must_use]
pub fn of_record(task: &TaskRecord) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut require = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("task {} ({:?}): {what}", task.id, task.state.wire()));
        }
    };
    let tenure = task.state.tenure();
    require(tenure.is_none_or(|tenure| tenure.fence == task.last_fence), "its lease has another fence");
    require(task.state.is_terminal() == task.ended.is_some(), "its end time does not agree with its state");
    require(task.progress_fence <= task.last_fence, "its progress is of a later fence");
    require(task.was_leased == (task.attempts.started > 0), "its attempts do not agree with its history");
    require(task.started.is_some() == task.was_leased, "its start time does not agree with its history");
    require(task.revision > 0, "it has no revision");
    // 12
    let charged = task.device_time_us.saturating_add(task.attempt_charge_us);
    require(task.charged_us == charged, "what was charged is not the sum over its attempts");
    require(tenure.is_some() || task.attempt_charge_us == 0, "no attempt is open and one is charged");
    require(task.hold_requested.is_none() || tenure.is_some(), "it is to be held and nobody has it");
    require(task.diverged <= task.attempts.application_failures, "more attempts diverged than failed");
    let ended_attempts = task
        .attempts
        .application_failures
        .saturating_add(task.attempts.infrastructure_failures)
        .saturating_add(task.attempts.hand_backs);
    let open = task.attempts.started.checked_sub(ended_attempts);
    match &task.state {
        State::Queued => {
            require(open == Some(0), "an attempt is open though it is queued");
            require(task.not_before.is_none(), "it is queued and waits for its time");
        }
        State::Scheduled => {
            require(open == Some(0), "an attempt is open though it is scheduled");
            require(task.not_before.is_some(), "it is scheduled for no time");
        }
        State::Held { .. } => require(open == Some(0), "an attempt is open though it is held"),
        State::Expired(_) => {
            require(!task.was_leased, "it expired after it had been started");
            require(task.start_deadline.is_some(), "it expired without a deadline");
        }
        State::Leased(_) | State::Running(_) => require(open == Some(1), "not exactly one attempt is open"),
        State::Succeeded(_) => require(open == Some(1), "not exactly one attempt has succeeded"),
        State::Failed(_) | State::Cancelled | State::Quarantined(_) => {
            require(open.is_some_and(|open| open <= 1), "more attempts ended than began");
        }
    }
    wrong
}

/// Everything that is wrong with a change from `old` to `new`.
#[must_use]
pub fn of_change(old: Option<&TaskRecord>, new: &TaskRecord) -> Vec<String> {
    let Some(old) = old else { return Vec::new() };
    let mut wrong = Vec::new();
    let mut require = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("task {} ({:?} to {:?}): {what}", new.id, old.state.wire(), new.state.wire()));
        }
    };
    // 4: the first terminal state is the last, unless an operator has a dead letter tried again
    require(!old.state.is_terminal() || old == new || tried_again(old, new), "it changed after its end");
    // 3
    require(new.last_fence >= old.last_fence, "its fence went back");
    let lease_began = old.state.tenure().is_none() && new.state.tenure().is_some();
    require(!lease_began || new.last_fence > old.last_fence, "a lease began under an old fence");
    // 7
    let steps = |task: &TaskRecord| task.progress.as_ref().map_or(0, |progress| progress.step);
    let same_fence = new.progress_fence == old.progress_fence;
    require(!same_fence || steps(new) >= steps(old), "its step went back under one fence");
    // 9: at most one event a change, and one where anyone can see a difference
    require(new.revision == old.revision || new.revision == old.revision + 1, "its revision jumped");
    let visible = old.state.wire() != new.state.wire()
        || old.progress != new.progress
        || old.cancel_requested != new.cancel_requested
        || old.attempts != new.attempts
        || old.asked() != new.asked();
    require(!visible || new.revision == old.revision + 1, "a visible change has no revision");
    wrong
}

/// Whether the change is the one that ended tasks allow: what has no result waits again, with nothing counted.
fn tried_again(old: &TaskRecord, new: &TaskRecord) -> bool {
    matches!(old.state, State::Failed(_) | State::Expired(_) | State::Quarantined(_))
        && new.state == State::Queued
        && new.attempts == Attempts::default()
        && new.last_fence == old.last_fence
        && new.number == old.number
        && new.device_time_us == old.device_time_us
}
