//! The life of a task as a pure state machine: every change that a store may make to a record, and no other.
//!
//! A store implementation reads the record, calls one of these, and writes record and indexes in one atomic step.
//! The functions know neither disk nor clock nor neighbours, so every implementation can be held against them.
//! A refused transition leaves the record as it was.

use std::time::Duration;

use likeness_shared::ids::{Digest, Fence, Incarnation, TaskId, WorkerId};
use likeness_shared::proto::{Progress, TaskKind};

use super::record::{Attempts, Failure, Outcome, Owner, Settled, Spec, State, StoreTime, TaskRecord, Tenure};

/// Retryable application failures that are tried again.
pub const MAX_RETRIES: u32 = 2;
/// Lost attempts after which a task is suspected.
pub const POISON_LOSSES: u32 = 3;
/// Workers on which they must have been lost.
pub const POISON_WORKERS: usize = 2;
/// Errors and settlements remembered.
const REMEMBERED: usize = 8;

/// Why a transition is not possible from where the task is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only a queued task can be leased or ended unstarted.
    #[error("the task is not queued")]
    NotQueued,
    /// Only a task under a lease can be lost.
    #[error("the task is under no lease")]
    NotLeased,
    /// The result does not belong to this kind of task.
    #[error("the outcome does not belong to this kind of task")]
    OutcomeMismatch,
}

/// What a beat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeatVerdict {
    /// The lease is renewed; `cancel` asks to stop.
    Renewed {
        /// Somebody asked to stop.
        cancel: bool,
    },
    /// The lease is somebody else's or over.
    Stale,
}

/// What a settlement is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleVerdict {
    /// Done.
    Accepted,
    /// Done before, by the same settlement.
    Repeated,
    /// The lease is somebody else's or over; nothing changed.
    Stale,
}

/// How an attempt ended, as the worker says.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// The task has its result.
    Succeeded(Outcome),
    /// The task itself failed.
    Failed {
        /// Stable code.
        code: String,
        /// What happened.
        message: String,
        /// Worth another attempt.
        retryable: bool,
    },
    /// Stopped on request.
    Cancelled,
    /// The worker failed, not the task.
    Infrastructure {
        /// Stable code.
        code: String,
        /// What happened.
        message: String,
    },
    /// The worker stops; somebody else shall go on.
    HandBack {
        /// Newest report, where it differs from the last beat's.
        progress: Option<Progress>,
    },
}

/// A settlement: who ends which attempt, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptSettlement {
    /// The settling worker.
    pub worker: WorkerId,
    /// The attempt.
    pub fence: Fence,
    /// Of the outcome's bytes: tells a repetition from a contradiction.
    pub digest: Digest,
    /// How it ended.
    pub end: AttemptEnd,
    /// Device time that it took, in microseconds.
    pub device_time_us: u64,
}

impl TaskRecord {
    /// A task as it is just after its submit.
    #[must_use]
    pub fn submitted(id: TaskId, number: u64, owner: Owner, spec: Spec, now: StoreTime) -> Self {
        Self {
            id,
            number,
            owner,
            spec,
            state: State::Queued,
            was_leased: false,
            revision: 1,
            last_fence: Fence(0),
            last_worker: String::new(),
            progress: None,
            progress_fence: Fence(0),
            cancel_requested: false,
            attempts: Attempts::default(),
            lost_on: Vec::new(),
            last_errors: Vec::new(),
            settled: Vec::new(),
            device_time_us: 0,
            created: now,
            started: None,
            ended: None,
        }
    }

    /// QUEUED -> LEASED, under a fence greater than any before it.
    pub fn lease(
        &mut self,
        worker: &WorkerId,
        incarnation: &Incarnation,
        now: StoreTime,
        ttl: Duration,
    ) -> Result<Fence, Refusal> {
        if self.state != State::Queued {
            return Err(Refusal::NotQueued);
        }
        let fence = Fence(now.0.max(self.last_fence.0.saturating_add(1)));
        self.enter_lease(worker, incarnation, fence, now, ttl);
        Ok(fence)
    }

    /// QUEUED -> FAILED for a task that can never start.
    pub fn fail_unstarted(&mut self, code: &str, message: String, now: StoreTime) -> Result<(), Refusal> {
        if self.state != State::Queued {
            return Err(Refusal::NotQueued);
        }
        let failure = Failure { code: code.to_owned(), message, worker: String::new() };
        self.end(State::Failed(failure), now);
        Ok(())
    }

    /// Whether a worker that says that it holds `fence` may go on; renews or re-adopts the lease if so.
    ///
    /// An older fence than the worker's means that the store lost the lease in a failover: the worker is the better
    /// witness. Whoever had the older lease lost it before.
    pub fn readopt(
        &mut self,
        worker: &WorkerId,
        incarnation: &Incarnation,
        fence: Fence,
        now: StoreTime,
        ttl: Duration,
    ) -> bool {
        match &mut self.state {
            State::Leased(tenure) | State::Running(tenure)
                if tenure.fence == fence && tenure.worker == *worker =>
            {
                tenure.incarnation = incarnation.clone();
                tenure.expires = tenure.expires.max(now.plus(ttl));
                true
            }
            State::Queued if fence > self.last_fence => {
                self.enter_lease(worker, incarnation, fence, now, ttl);
                true
            }
            State::Leased(_) | State::Running(_) if fence > self.last_fence => {
                self.attempts.hand_backs += 1;
                self.enter_lease(worker, incarnation, fence, now, ttl);
                true
            }
            _ => false,
        }
    }

    /// Renews the lease and takes the report over. LEASED -> RUNNING with the first report.
    pub fn beat(
        &mut self,
        worker: &WorkerId,
        fence: Fence,
        progress: Option<Progress>,
        now: StoreTime,
        ttl: Duration,
    ) -> BeatVerdict {
        let Some(tenure) = self.held_by(worker, fence) else { return BeatVerdict::Stale };
        let renewed = Tenure { expires: tenure.expires.max(now.plus(ttl)), ..tenure.clone() };
        let was_running = matches!(self.state, State::Running(_));
        let changed = progress.is_some_and(|progress| self.report(fence, progress));
        let runs = was_running || changed;
        self.state = if runs { State::Running(renewed) } else { State::Leased(renewed) };
        if changed {
            self.revision += 1;
        }
        BeatVerdict::Renewed { cancel: self.cancel_requested }
    }

    /// Ends an attempt as its worker says. Repeatable.
    pub fn settle(
        &mut self,
        settlement: AttemptSettlement,
        now: StoreTime,
    ) -> Result<SettleVerdict, Refusal> {
        let AttemptSettlement { worker, fence, digest, end, device_time_us } = settlement;
        if self.settled.iter().any(|settled| settled.fence == fence && settled.outcome == digest) {
            return Ok(SettleVerdict::Repeated);
        }
        if self.held_by(&worker, fence).is_none() {
            return Ok(SettleVerdict::Stale);
        }
        if let AttemptEnd::Succeeded(outcome) = &end
            && outcome_kind(outcome) != self.spec.kind()
        {
            return Err(Refusal::OutcomeMismatch);
        }
        self.device_time_us = self.device_time_us.saturating_add(device_time_us);
        remember(&mut self.settled, Settled { fence, outcome: digest });
        match end {
            AttemptEnd::Succeeded(outcome) => {
                // The last steps fell between the last beat and this.
                if let Some(progress) = &mut self.progress {
                    progress.step = progress.step.max(progress.total_steps);
                }
                self.end(State::Succeeded(outcome), now);
            }
            AttemptEnd::Failed { code, message, retryable } => {
                self.attempts.application_failures += 1;
                remember(&mut self.last_errors, format!("{worker}: {code}: {message}"));
                if retryable && !self.cancel_requested && self.attempts.application_failures <= MAX_RETRIES {
                    self.requeue(now);
                } else {
                    let failure = Failure { code, message, worker: worker.to_string() };
                    self.end(State::Failed(failure), now);
                }
            }
            AttemptEnd::Cancelled => {
                if !self.cancel_requested {
                    self.attempts.hand_backs += 1;
                }
                self.requeue(now);
            }
            AttemptEnd::Infrastructure { code, message } => {
                self.lose(&format!("{code}: {message}"), now)?;
            }
            AttemptEnd::HandBack { progress } => {
                if let Some(progress) = progress {
                    self.report(fence, progress);
                }
                self.attempts.hand_backs += 1;
                self.requeue(now);
            }
        }
        Ok(SettleVerdict::Accepted)
    }

    /// The worker is gone: back to the front of the queue, or into quarantine if this task has lost too many.
    pub fn lose(&mut self, cause: &str, now: StoreTime) -> Result<(), Refusal> {
        let tenure = self.state.tenure().ok_or(Refusal::NotLeased)?.clone();
        self.attempts.infrastructure_failures += 1;
        remember(&mut self.last_errors, format!("{}: {cause}", tenure.worker));
        if !self.lost_on.contains(&tenure.worker) && self.lost_on.len() < REMEMBERED {
            self.lost_on.push(tenure.worker.clone());
        }
        let poisonous = self.attempts.infrastructure_failures >= POISON_LOSSES
            && self.lost_on.len() >= POISON_WORKERS
            && !self.cancel_requested;
        if poisonous {
            let message = format!(
                "{} attempts on {} workers were lost; an operator must look. Last errors: {}",
                self.attempts.infrastructure_failures,
                self.lost_on.len(),
                self.last_errors.join("; ")
            );
            let failure =
                Failure { code: "quarantined".to_owned(), message, worker: tenure.worker.to_string() };
            self.end(State::Quarantined(failure), now);
        } else {
            self.requeue(now);
        }
        Ok(())
    }

    /// The lease never reached its worker: back to the front of the queue, and nobody is charged.
    pub fn undelivered(&mut self, now: StoreTime) -> Result<(), Refusal> {
        self.state.tenure().ok_or(Refusal::NotLeased)?;
        self.attempts.hand_backs += 1;
        self.requeue(now);
        Ok(())
    }

    /// Asks to stop: a queued task is cancelled at once, a leased one by its worker. Repeatable.
    pub fn request_cancel(&mut self, now: StoreTime) {
        if self.state.is_terminal() || self.cancel_requested {
            return;
        }
        self.cancel_requested = true;
        if self.state == State::Queued {
            self.end(State::Cancelled, now);
        } else {
            self.revision += 1;
        }
    }

    /// Gives a lease at least until `until`, after a time in which no worker could renew it.
    pub fn extend_lease(&mut self, until: StoreTime) {
        if let State::Leased(tenure) | State::Running(tenure) = &mut self.state {
            tenure.expires = tenure.expires.max(until);
        }
    }

    fn held_by(&self, worker: &WorkerId, fence: Fence) -> Option<&Tenure> {
        self.state.tenure().filter(|tenure| tenure.fence == fence && tenure.worker == *worker)
    }

    fn enter_lease(
        &mut self,
        worker: &WorkerId,
        incarnation: &Incarnation,
        fence: Fence,
        now: StoreTime,
        ttl: Duration,
    ) {
        self.state = State::Leased(Tenure {
            worker: worker.clone(),
            incarnation: incarnation.clone(),
            fence,
            expires: now.plus(ttl),
        });
        self.last_fence = fence;
        self.last_worker = worker.to_string();
        self.was_leased = true;
        self.attempts.started += 1;
        self.started.get_or_insert(now);
        self.revision += 1;
    }

    /// Takes a report over unless it goes back under its own fence. True where anything changed.
    fn report(&mut self, fence: Fence, progress: Progress) -> bool {
        let newest = self.progress.as_ref().filter(|_| self.progress_fence == fence);
        if newest.is_some_and(|newest| progress.step < newest.step || *newest == progress) {
            return false;
        }
        self.progress = Some(progress);
        self.progress_fence = fence;
        true
    }

    /// Back to the queue; a task that was to be cancelled is, for nobody works on it any more.
    fn requeue(&mut self, now: StoreTime) {
        if self.cancel_requested {
            self.end(State::Cancelled, now);
        } else {
            self.state = State::Queued;
            self.revision += 1;
        }
    }

    fn end(&mut self, state: State, now: StoreTime) {
        self.state = state;
        self.ended = Some(now);
        self.revision += 1;
    }
}

fn outcome_kind(outcome: &Outcome) -> TaskKind {
    match outcome {
        Outcome::Inversion(_) => TaskKind::Inversion,
        Outcome::Generation(_) => TaskKind::Generation,
    }
}

fn remember<T>(list: &mut Vec<T>, item: T) {
    if list.len() == REMEMBERED {
        list.remove(0);
    }
    list.push(item);
}
