//! The transitions of tasks over the tables: read the record, ask the state machine, write record and indexes.
//!
//! An operation that refuses has written nothing; one that meets a fault gives the whole transaction up.

use likeness_shared::ids::{Fence, Incarnation, TaskId, WorkerId};
use likeness_shared::proto::InversionResult;
use redb::ReadableTable;

use super::faults::fault;
use super::tables::{Id, Tables, holds};
use crate::store::record::{Outcome, State, TaskRecord};
use crate::store::transition::{AttemptEnd, BeatVerdict, Refusal, SettleVerdict};
use crate::store::{NewTask, Settlement, StoreError, Submitted, Swept, TaskBeat};

/// Rows that one sweep removes at most, so that it never holds up others.
const SWEEP_BATCH: usize = 500;
/// Leases that one expiry requeues at most.
const EXPIRY_BATCH: usize = 500;

pub(super) fn submit(tables: &mut Tables<'_>, new: NewTask) -> Result<Submitted, StoreError> {
    if let Some(made) = tables.request_seen("task", &new.owner, &new.request, new.body)? {
        return Ok(Submitted { task: tables.task(TaskId::from_bytes(made))?, repeated: true });
    }
    if let crate::store::record::Spec::Inversion(spec) = &new.spec {
        tables.require_name_free(&new.owner, &spec.person_name)?;
    }
    let number = tables.next_number()?;
    let id = TaskId::generate();
    let task = TaskRecord::submitted(id, number, new.owner, new.spec, tables.now);
    tables.put_task(None, &task)?;
    tables.remember_request("task", &task.owner, &new.request, new.body, id.to_bytes())?;
    Ok(Submitted { task, repeated: false })
}

pub(super) fn beat(
    tables: &mut Tables<'_>,
    worker: &WorkerId,
    beats: Vec<TaskBeat>,
) -> Result<Vec<BeatVerdict>, StoreError> {
    beats.into_iter().map(|beat| beat_one(tables, worker, beat)).collect()
}

fn beat_one(tables: &mut Tables<'_>, worker: &WorkerId, beat: TaskBeat) -> Result<BeatVerdict, StoreError> {
    let Some(old) = tables.find_task(beat.task)? else { return Ok(BeatVerdict::Stale) };
    let mut task = old.clone();
    let verdict = task.beat(worker, beat.fence, beat.progress, tables.now, tables.times.lease_ttl);
    if verdict != BeatVerdict::Stale {
        if !beat.checkpoint.is_empty() {
            tables.put_checkpoint(task.id, &beat.checkpoint)?;
        }
        tables.put_task(Some(&old), &task)?;
    }
    Ok(verdict)
}

pub(super) fn settle(tables: &mut Tables<'_>, settlement: Settlement) -> Result<SettleVerdict, StoreError> {
    let Some(old) = tables.find_task(settlement.task)? else { return Ok(SettleVerdict::Stale) };
    let mut task = old.clone();
    let application_failure = matches!(settlement.attempt.end, AttemptEnd::Failed { .. });
    let verdict = task.settle(settlement.attempt, tables.now)?;
    if verdict != SettleVerdict::Accepted {
        return Ok(verdict);
    }
    if let (State::Succeeded(Outcome::Inversion(_)), None) = (&task.state, &settlement.person) {
        return Err(Refusal::OutcomeMismatch.into());
    }
    if let (State::Succeeded(Outcome::Inversion(result)), Some(learned)) =
        (&mut task.state, settlement.person)
    {
        let person = tables.register_learned(&old, learned)?;
        *result = InversionResult { person_id: person.to_string(), ..result.clone() };
    }
    if application_failure {
        // the state that led to the failure may be its cause
        tables.drop_checkpoint(task.id)?;
    } else if !settlement.checkpoint.is_empty() && !task.state.is_terminal() {
        tables.put_checkpoint(task.id, &settlement.checkpoint)?;
    }
    tables.put_task(Some(&old), &task)?;
    Ok(verdict)
}

pub(super) fn worker_lost(
    tables: &mut Tables<'_>,
    worker: &WorkerId,
    incarnation: &Incarnation,
) -> Result<Vec<TaskId>, StoreError> {
    let mut lost = Vec::new();
    for id in tables.held_by(worker.as_str())? {
        let old = tables.task(id)?;
        if old.state.tenure().is_some_and(|tenure| tenure.incarnation == *incarnation) {
            change(tables, &old, |task, now| task.lose("the worker's connection ended", now))?;
            lost.push(id);
        }
    }
    Ok(lost)
}

pub(super) fn undelivered(
    tables: &mut Tables<'_>,
    worker: &WorkerId,
    leases: &[(TaskId, Fence)],
) -> Result<(), StoreError> {
    for (id, fence) in leases {
        let Some(old) = tables.find_task(*id)? else { continue };
        if old.state.tenure().is_some_and(|tenure| tenure.worker == *worker && tenure.fence == *fence) {
            change(tables, &old, TaskRecord::undelivered)?;
        }
    }
    Ok(())
}

pub(super) fn readopt(
    tables: &mut Tables<'_>,
    worker: &WorkerId,
    incarnation: &Incarnation,
    held: &[(TaskId, Fence)],
) -> Result<Vec<bool>, StoreError> {
    for id in tables.held_by(worker.as_str())? {
        let old = tables.task(id)?;
        let Some(tenure) = old.state.tenure() else { continue };
        if holds(held, id, tenure.fence) {
            continue;
        }
        if tenure.incarnation == *incarnation {
            change(tables, &old, TaskRecord::undelivered)?;
        } else {
            change(tables, &old, |task, now| task.lose("the worker's process was replaced", now))?;
        }
    }
    let mut verdicts = Vec::with_capacity(held.len());
    for (id, fence) in held {
        let Some(old) = tables.find_task(*id)? else {
            verdicts.push(false);
            continue;
        };
        let mut task = old.clone();
        let keep = task.readopt(worker, incarnation, *fence, tables.now, tables.times.lease_ttl);
        tables.put_task(Some(&old), &task)?;
        verdicts.push(keep);
    }
    Ok(verdicts)
}

pub(super) fn request_cancel(tables: &mut Tables<'_>, id: TaskId) -> Result<TaskRecord, StoreError> {
    let old = tables.task(id)?;
    let mut task = old.clone();
    task.request_cancel(tables.now);
    tables.put_task(Some(&old), &task)?;
    Ok(task)
}

pub(super) fn expire_leases(tables: &mut Tables<'_>) -> Result<Vec<TaskId>, StoreError> {
    let due = ids(tables.leases.range(..=(tables.now.0, [u8::MAX; 16])).map_err(fault)?, EXPIRY_BATCH)?;
    for id in &due {
        let old = tables.task(*id)?;
        change(tables, &old, |task, now| task.lose("the lease expired", now))?;
    }
    Ok(due)
}

/// After a time in which nobody could renew a lease, every lease lives for a whole TTL from `now`.
pub(super) fn extend_leases(tables: &mut Tables<'_>) -> Result<usize, StoreError> {
    let until = tables.now.plus(tables.times.lease_ttl);
    let due = ids(tables.leases.range(..(until.0, [0; 16])).map_err(fault)?, usize::MAX)?;
    for id in &due {
        let old = tables.task(*id)?;
        let mut task = old.clone();
        task.extend_lease(until);
        tables.put_task(Some(&old), &task)?;
    }
    Ok(due.len())
}

pub(super) fn sweep(tables: &mut Tables<'_>) -> Result<Swept, StoreError> {
    let ended_before = tables.now.minus(tables.times.ended_tasks);
    let due = ids(tables.ended.range(..(ended_before.0, [0; 16])).map_err(fault)?, SWEEP_BATCH)?;
    for id in &due {
        let old = tables.task(*id)?;
        tables.remove_task(&old)?;
    }
    Ok(Swept { tasks: due.len(), requests: tables.forget_requests(SWEEP_BATCH)? })
}

fn ids(range: redb::Range<'_, (u64, Id), ()>, most: usize) -> Result<Vec<TaskId>, StoreError> {
    let ids =
        range.take(most).map(|row| row.map(|(key, _)| TaskId::from_bytes(key.value().1)).map_err(fault));
    ids.collect()
}

fn change(
    tables: &mut Tables<'_>,
    old: &TaskRecord,
    transition: impl FnOnce(&mut TaskRecord, crate::store::record::StoreTime) -> Result<(), Refusal>,
) -> Result<(), StoreError> {
    let mut task = old.clone();
    transition(&mut task, tables.now)?;
    tables.put_task(Some(old), &task)
}
