//! The operations on workers, the same for every store.

use std::time::Duration;

use likeness_shared::ids::{Incarnation, WorkerId};

use super::record::TaskRecord;
use super::transition::{AttemptEnd, AttemptSettlement, Blame};
use super::worker_record::{Drain, Suspicion, WorkerFacts, WorkerRecord, suspicion};
use super::workspace::Workspace;
use super::{StoreError, operations};

/// How long the record of a worker without a session is kept.
pub(super) const AWAY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Longest device time of one attempt that is counted, in microseconds: sums of it stay far from what a store can count.
const MOST_DEVICE_TIME_US: u64 = 30 * 24 * 3600 * 1_000_000;

pub(super) fn joined(step: &mut impl Workspace, facts: &WorkerFacts) -> Result<WorkerRecord, StoreError> {
    let old = step.find_worker(&facts.id)?;
    let new = WorkerRecord::joined(old.clone(), facts.clone(), step.now());
    step.put_worker(old.as_ref(), &new)?;
    Ok(new)
}

pub(super) fn seen(
    step: &mut impl Workspace,
    worker: &WorkerId,
    incarnation: &Incarnation,
) -> Result<(), StoreError> {
    let now = step.now();
    change_known(step, worker, |record| record.seen(incarnation, now)).map(drop)
}

pub(super) fn left(
    step: &mut impl Workspace,
    worker: &WorkerId,
    incarnation: &Incarnation,
    silent_for: Duration,
) -> Result<(), StoreError> {
    let now = step.now();
    change_known(step, worker, |record| record.left(incarnation, silent_for, now)).map(drop)
}

/// Whether a worker may be given leases. One that never said anything of itself may.
pub(super) fn takes_work(step: &impl Workspace, worker: &WorkerId) -> Result<bool, StoreError> {
    Ok(step.find_worker(worker)?.is_none_or(|record| record.takes_work()))
}

/// Whether a worker is to give back what it holds.
pub(super) fn gives_back(step: &impl Workspace, worker: &WorkerId) -> Result<bool, StoreError> {
    Ok(step.find_worker(worker)?.is_some_and(|record| record.gives_back()))
}

/// No new work; what it holds is asked back, unless it may finish that. A lease that is given at this very moment is
/// asked back with its first beat.
pub(super) fn drain(step: &mut impl Workspace, worker: &WorkerId, drain: &Drain) -> Result<(), StoreError> {
    require(change_known(step, worker, |record| record.drain(drain.clone()))?, worker)?;
    if drain.finish_running {
        return Ok(());
    }
    for id in step.held_by(worker)? {
        operations::change_one(step, id, |task, _| {
            task.ask_back();
            Ok(())
        })?;
    }
    Ok(())
}

pub(super) fn undrain(step: &mut impl Workspace, worker: &WorkerId) -> Result<(), StoreError> {
    require(change_known(step, worker, WorkerRecord::undrain)?, worker)
}

/// Judges a worker by the end of an attempt that is about to be accepted: who is to blame for it, and which earlier attempts turn
/// out to have been the worker's fault too.
pub(super) fn judge(
    step: &mut impl Workspace,
    task: &TaskRecord,
    settlement: &AttemptSettlement,
) -> Result<(Blame, Vec<Suspicion>), StoreError> {
    let mine = (Blame::AsSettled, Vec::new());
    let Some(old) = step.find_worker(&settlement.worker)? else { return Ok(mine) };
    let Some(tenure) = task.state.tenure() else { return Ok(mine) };
    let mut record = old.clone();
    let was_sick = record.quarantined.is_some();
    let mut earlier = Vec::new();
    match suspicion(task.id, tenure, &settlement.end, step.now()) {
        Some(suspicion) => {
            let mut before = record.suspicions.clone();
            if record.failed(suspicion) {
                // the newest of those kept is this one
                before.drain(..(before.len() + 1).saturating_sub(record.suspicions.len()));
                earlier = before;
            }
        }
        None if matches!(settlement.end, AttemptEnd::Succeeded(_)) && !was_sick => record.succeeded(),
        None => {}
    }
    step.put_worker(Some(&old), &record)?;
    step.add_work(&settlement.worker, settlement.device_time_us.min(MOST_DEVICE_TIME_US))?;
    let failed = matches!(
        settlement.end,
        AttemptEnd::Infrastructure { .. } | AttemptEnd::Failed { retryable: true, .. }
    );
    let blame = if failed && record.quarantined.is_some() { Blame::Worker } else { Blame::AsSettled };
    Ok((blame, earlier))
}

/// Takes attempts off their tasks' accounts.
pub(super) fn uncharge(
    step: &mut impl Workspace,
    worker: &WorkerId,
    attempts: &[Suspicion],
) -> Result<(), StoreError> {
    for Suspicion { task, cause } in attempts {
        let Some(old) = step.find_task(*task)? else { continue };
        let mut task = old.clone();
        task.uncharge(*cause, worker, step.now());
        step.put_task(Some(&old), &task)?;
    }
    Ok(())
}

fn change_known(
    step: &mut impl Workspace,
    worker: &WorkerId,
    change: impl FnOnce(&mut WorkerRecord),
) -> Result<bool, StoreError> {
    let Some(old) = step.find_worker(worker)? else { return Ok(false) };
    let mut record = old.clone();
    change(&mut record);
    step.put_worker(Some(&old), &record)?;
    Ok(true)
}

fn require(known: bool, worker: &WorkerId) -> Result<(), StoreError> {
    if known { Ok(()) } else { Err(StoreError::NotFound { kind: "worker", id: worker.to_string() }) }
}
