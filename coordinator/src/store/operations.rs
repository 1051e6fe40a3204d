//! The operations on tasks, the same for every store: read the record, ask the state machine, write record and
//! indexes.
//!
//! An operation that refuses has written nothing; one that meets a fault gives its whole step up.

use std::time::Duration;

use likeness_shared::ids::{Fence, Incarnation, TaskId, WorkerId};
use likeness_shared::proto::InversionResult;

use super::fair::{UnitCost, cost_key, units_left};
use super::indexes::place_of;
use super::people::{register_learned, require_name_free, resolve_people};
use super::record::{Outcome, Spec, State, StoreTime, TaskRecord};
use super::transition::{Asked, AttemptEnd, BeatVerdict, Blame, FallenDue, Price, Refusal, SettleVerdict};
use super::workspace::Workspace;
use super::{Claimant, Claimed, NewTask, Settlement, StoreError, Submitted, TaskBeat, workers};

/// The device in the keys of costs that hold for all of them.
const ANY_DEVICE: &str = "";
/// Request ids of submits.
pub(super) const SUBMITS: &str = "task";

pub(super) fn submit(step: &mut impl Workspace, new: &NewTask) -> Result<Submitted, StoreError> {
    if let Some(made) = step.request_seen(SUBMITS, &new.owner, &new.request, new.body)? {
        return Ok(Submitted { task: step.task(TaskId::from_bytes(made))?, repeated: true });
    }
    if let Spec::Inversion(spec) = &new.spec {
        require_name_free(step, &new.owner, &spec.person_name)?;
    }
    require_room(step, new)?;
    let unit = unit_cost(step, &new.spec, ANY_DEVICE)?;
    let number = step.next_number()?;
    let id = TaskId::generate();
    let (owner, spec) = (new.owner.clone(), new.spec.clone());
    let task = TaskRecord::submitted(id, number, owner, spec, unit, new.times, step.now());
    step.put_task(None, &task)?;
    step.remember_request(SUBMITS, &task.owner, &new.request, new.body, id.to_bytes())?;
    Ok(Submitted { task, repeated: false })
}

/// Refuses where the owner, or his tenant, has as many tasks waiting as he may. Submits at the same moment may pass
/// together.
fn require_room(step: &impl Workspace, new: &NewTask) -> Result<(), StoreError> {
    let place = place_of(&new.owner, &new.spec);
    let terms = step.policy().terms(&place);
    for (party, limit, quota) in [
        (place.owner(), terms.user_queued, "user_queued"),
        (place.tenant.clone(), terms.tenant_queued, "tenant_queued"),
    ] {
        if step.queued(&party)? >= limit {
            return Err(StoreError::QuotaUsedUp { quota, party, limit });
        }
    }
    Ok(())
}

/// Leases a queued task. One that must not start ends here instead: its deadline has passed, or its person is gone.
/// Then `None`.
pub(super) fn lease(
    step: &mut impl Workspace,
    claimant: &Claimant,
    id: TaskId,
) -> Result<Option<Claimed>, StoreError> {
    let old = step.task(id)?;
    let mut task = old.clone();
    if task.fall_due(step.now()).is_some() {
        step.put_task(Some(&old), &task)?;
        return Ok(None);
    }
    let people = match resolve_people(step, &task)? {
        Ok(people) => people,
        Err(message) => {
            task.fail_unstarted("person_gone", message, step.now())?;
            step.put_task(Some(&old), &task)?;
            return Ok(None);
        }
    };
    let unit = unit_cost(step, &task.spec, &claimant.device)?;
    let price = Price { unit, device: claimant.device.clone() };
    let fence = task.lease(&claimant.worker, &claimant.incarnation, price, step.now(), step.lease_ttl())?;
    step.put_task(Some(&old), &task)?;
    let checkpoint = step.checkpoint(id)?;
    Ok(Some(Claimed { task, fence, checkpoint, people }))
}

pub(super) fn beat(
    step: &mut impl Workspace,
    worker: &WorkerId,
    beats: &[TaskBeat],
) -> Result<Vec<BeatVerdict>, StoreError> {
    let gives_back = workers::gives_back(step, worker)?;
    beats.iter().map(|beat| beat_one(step, worker, gives_back, beat)).collect()
}

fn beat_one(
    step: &mut impl Workspace,
    worker: &WorkerId,
    gives_back: bool,
    beat: &TaskBeat,
) -> Result<BeatVerdict, StoreError> {
    let Some(old) = step.find_task(beat.task)? else { return Ok(BeatVerdict::Stale) };
    let mut task = old.clone();
    let (progress, time) = (beat.progress.clone(), beat.device_time_us);
    let verdict = task.beat(worker, beat.fence, progress, time, step.now(), step.lease_ttl());
    if verdict != BeatVerdict::Stale {
        if !beat.checkpoint.is_empty() {
            step.put_checkpoint(task.id, &beat.checkpoint)?;
        }
        step.put_task(Some(&old), &task)?;
    }
    if gives_back && verdict == (BeatVerdict::Renewed { asked: None }) {
        return Ok(BeatVerdict::Renewed { asked: Some(Asked::HandBack) });
    }
    Ok(verdict)
}

pub(super) fn settle(
    step: &mut impl Workspace,
    settlement: &Settlement,
) -> Result<SettleVerdict, StoreError> {
    let Some(old) = step.find_task(settlement.task)? else { return Ok(SettleVerdict::Stale) };
    let mut task = old.clone();
    let attempt = &settlement.attempt;
    let verdict = task.settle(attempt.clone(), Blame::AsSettled, step.now())?;
    if verdict != SettleVerdict::Accepted {
        return Ok(verdict);
    }
    if let State::Succeeded(_) = &task.state {
        learn_cost(step, &old, task.device_time_us.saturating_sub(old.device_time_us))?;
    }
    if let State::Succeeded(Outcome::Inversion(result)) = &mut task.state {
        let learned = settlement.person.clone().ok_or(Refusal::OutcomeMismatch)?;
        let person = register_learned(step, &old, learned)?;
        *result = InversionResult { person_id: person.to_string(), ..result.clone() };
    }
    let (blame, worker_at_fault) = workers::judge(step, &old, attempt)?;
    if blame != Blame::AsSettled {
        task = old.clone();
        task.settle(attempt.clone(), blame, step.now())?;
    }
    if matches!(attempt.end, AttemptEnd::Failed { .. }) {
        // the state that led to the failure may be its cause
        step.drop_checkpoint(task.id)?;
    } else if !settlement.checkpoint.is_empty() && !task.state.is_terminal() {
        step.put_checkpoint(task.id, &settlement.checkpoint)?;
    }
    step.put_task(Some(&old), &task)?;
    workers::uncharge(step, &attempt.worker, &worker_at_fault)?;
    Ok(verdict)
}

/// What a unit of the task's work costs on a device; as long as that is not known, on any.
fn unit_cost(step: &impl Workspace, spec: &Spec, device: &str) -> Result<UnitCost, StoreError> {
    let lane = spec.lane();
    if let Some(known) = step.unit_cost(&lane, &cost_key(spec, device))? {
        return Ok(known);
    }
    Ok(step.unit_cost(&lane, &cost_key(spec, ANY_DEVICE))?.unwrap_or(UnitCost::first(spec)))
}

/// Learns from an attempt that ended the task. `leased` is the task as it was before.
fn learn_cost(step: &mut impl Workspace, leased: &TaskRecord, time_us: u64) -> Result<(), StoreError> {
    let units = units_left(&leased.spec, leased.resumes_from);
    if time_us == 0 || units == 0 {
        return Ok(());
    }
    let mut keys = vec![cost_key(&leased.spec, ANY_DEVICE)];
    if !leased.device.is_empty() {
        keys.push(cost_key(&leased.spec, &leased.device));
    }
    let lane = leased.spec.lane();
    for key in keys {
        let known = step.unit_cost(&lane, &key)?.unwrap_or(UnitCost::first(&leased.spec));
        step.put_unit_cost(&lane, &key, known.after(units, time_us))?;
    }
    Ok(())
}

pub(super) fn worker_lost(
    step: &mut impl Workspace,
    worker: &WorkerId,
    incarnation: &Incarnation,
    silent_for: Duration,
) -> Result<Vec<TaskId>, StoreError> {
    workers::left(step, worker, incarnation, silent_for)?;
    let mut lost = Vec::new();
    // a later renewal means that the worker lives, and speaks to another coordinator
    let renewed_after = step.now().plus(step.lease_ttl()).minus(silent_for);
    for id in step.held_by(worker)? {
        let old = step.task(id)?;
        let gone = |tenure: &super::record::Tenure| {
            tenure.incarnation == *incarnation && tenure.expires <= renewed_after
        };
        if old.state.tenure().is_some_and(gone) {
            change(step, &old, |task, now| task.lose("the worker's connection ended", now))?;
            lost.push(id);
        }
    }
    Ok(lost)
}

pub(super) fn undelivered(
    step: &mut impl Workspace,
    worker: &WorkerId,
    leases: &[(TaskId, Fence)],
) -> Result<(), StoreError> {
    for (id, fence) in leases {
        let Some(old) = step.find_task(*id)? else { continue };
        if old.state.tenure().is_some_and(|tenure| tenure.worker == *worker && tenure.fence == *fence) {
            change(step, &old, TaskRecord::undelivered)?;
        }
    }
    Ok(())
}

pub(super) fn readopt(
    step: &mut impl Workspace,
    worker: &WorkerId,
    incarnation: &Incarnation,
    held: &[(TaskId, Fence)],
) -> Result<Vec<bool>, StoreError> {
    for id in step.held_by(worker)? {
        let old = step.task(id)?;
        let Some(tenure) = old.state.tenure() else { continue };
        if held.contains(&(id, tenure.fence)) {
            continue;
        }
        if tenure.incarnation == *incarnation {
            change(step, &old, TaskRecord::undelivered)?;
        } else {
            change(step, &old, |task, now| task.lose("the worker's process was replaced", now))?;
        }
    }
    let mut verdicts = Vec::with_capacity(held.len());
    for (id, fence) in held {
        let Some(old) = step.find_task(*id)? else {
            verdicts.push(false);
            continue;
        };
        let mut task = old.clone();
        let keep = task.readopt(worker, incarnation, *fence, step.now(), step.lease_ttl());
        step.put_task(Some(&old), &task)?;
        verdicts.push(keep);
    }
    Ok(verdicts)
}

pub(super) fn request_cancel(step: &mut impl Workspace, id: TaskId) -> Result<TaskRecord, StoreError> {
    change_one(step, id, |task, now| {
        task.request_cancel(now);
        Ok(())
    })
}

pub(super) fn hold(step: &mut impl Workspace, id: TaskId, reason: &str) -> Result<TaskRecord, StoreError> {
    change_one(step, id, |task, _| task.hold(reason))
}

pub(super) fn release(step: &mut impl Workspace, id: TaskId) -> Result<TaskRecord, StoreError> {
    change_one(step, id, TaskRecord::release)
}

pub(super) fn retry(step: &mut impl Workspace, id: TaskId) -> Result<TaskRecord, StoreError> {
    change_one(step, id, |task, _| task.retry())
}

/// Does to a task what its time asks for, if that has come.
pub(super) fn fall_due(step: &mut impl Workspace, id: TaskId) -> Result<Option<FallenDue>, StoreError> {
    let Some(old) = step.find_task(id)? else { return Ok(None) };
    let mut task = old.clone();
    let fallen = task.fall_due(step.now());
    step.put_task(Some(&old), &task)?;
    Ok(fallen)
}

/// Requeues a task whose lease has run out. False where its lease has not.
pub(super) fn expire(step: &mut impl Workspace, id: TaskId) -> Result<bool, StoreError> {
    let Some(old) = step.find_task(id)? else { return Ok(false) };
    let now = step.now();
    if old.state.tenure().is_none_or(|tenure| tenure.expires > now) {
        return Ok(false);
    }
    change(step, &old, |task, now| task.lose("the lease expired", now))?;
    Ok(true)
}

/// Gives a lease a whole TTL from now, after a time in which nobody could renew it.
pub(super) fn extend_lease(step: &mut impl Workspace, id: TaskId) -> Result<(), StoreError> {
    let Some(old) = step.find_task(id)? else { return Ok(()) };
    let mut task = old.clone();
    task.extend_lease(step.now().plus(step.lease_ttl()));
    step.put_task(Some(&old), &task)
}

/// Changes a task that must be there, and gives it as it is then.
pub(super) fn change_one(
    step: &mut impl Workspace,
    id: TaskId,
    transition: impl FnOnce(&mut TaskRecord, StoreTime) -> Result<(), Refusal>,
) -> Result<TaskRecord, StoreError> {
    let old = step.task(id)?;
    let mut task = old.clone();
    transition(&mut task, step.now())?;
    step.put_task(Some(&old), &task)?;
    Ok(task)
}

fn change(
    step: &mut impl Workspace,
    old: &TaskRecord,
    transition: impl FnOnce(&mut TaskRecord, StoreTime) -> Result<(), Refusal>,
) -> Result<(), StoreError> {
    let mut task = old.clone();
    transition(&mut task, step.now())?;
    step.put_task(Some(old), &task)
}
