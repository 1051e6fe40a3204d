//! The life of a task as a pure state machine: every change that a store may make to a record, and no other.
//!
//! A store implementation reads the record, calls one of these, and writes record and indexes in one atomic step.
//! The functions know neither disk nor clock nor neighbours, so every implementation can be held against them.
//! A refused transition leaves the record as it was.
//!
//! `lease.rs` is an attempt under way, `charge.rs` what it costs, `settle.rs` its end, `timing.rs` what time alone does, `operator.rs` what a
//! person asks for.

mod charge;
mod lease;
mod operator;
mod settle;
#[cfg(test)]
mod tests;
mod timing;

use likeness_shared::ids::{Digest, Fence, TaskId, WorkerId};
use likeness_shared::limits::StartTimes;
use likeness_shared::proto::{CancelMode, PhotoReport, Progress};
use serde::{Deserialize, Serialize};

pub use charge::Price;
pub use settle::{AttemptCause, Blame};
pub use timing::FallenDue;

use super::fair::UnitCost;
use super::record::{Attempts, Outcome, Owner, Spec, State, StoreTime, TaskRecord};

/// Retryable application failures that are tried again.
pub const MAX_RETRIES: u32 = 2;
/// Diverged attempts that are tried again, with other random numbers.
pub const MAX_RESEEDS: u32 = 1;
/// The code of an attempt that diverged.
pub const DIVERGED: &str = "nan_loss";
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
    /// Nothing can be done to a task that has ended.
    #[error("the task has ended: only one that failed, expired or was quarantined can be tried again")]
    Ended,
    /// The task is to be cancelled.
    #[error("the task is being cancelled")]
    Cancelling,
    /// Only what ended without a result can be tried again.
    #[error("the task did not fail, expire or get quarantined: there is nothing to try again")]
    NotDead,
}

/// What the holder of a task is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// The task is to end.
    Stop,
    /// The task is to go on elsewhere, or to be kept back.
    HandBack,
}

impl From<Asked> for CancelMode {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Stop => Self::Stop,
            Asked::HandBack => Self::HandBack,
        }
    }
}

/// What a beat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeatVerdict {
    /// The lease is renewed.
    Renewed {
        /// What else the worker is to do.
        asked: Option<Asked>,
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
    /// What was found of the photos of an inversion, where that is known.
    pub photos: Option<Box<PhotoReport>>,
    /// Device time that it took, in microseconds.
    pub device_time_us: u64,
}

impl TaskRecord {
    /// A task as it is just after its submit.
    #[must_use]
    pub fn submitted(
        id: TaskId,
        number: u64,
        owner: Owner,
        spec: Spec,
        unit: UnitCost,
        times: StartTimes,
        now: StoreTime,
    ) -> Self {
        let not_before = (!times.delay.is_zero()).then(|| now.plus(times.delay));
        Self {
            id,
            number,
            owner,
            spec,
            state: if not_before.is_some() { State::Scheduled } else { State::Queued },
            not_before,
            start_deadline: times.start_within.map(|within| now.plus(within)),
            was_leased: false,
            revision: 1,
            last_fence: Fence(0),
            last_worker: String::new(),
            progress: None,
            progress_fence: Fence(0),
            cancel_requested: false,
            hold_requested: None,
            attempts: Attempts::default(),
            diverged: 0,
            reseed: 0,
            lost_on: Vec::new(),
            last_errors: Vec::new(),
            settled: Vec::new(),
            device_time_us: 0,
            charged_us: 0,
            attempt_charge_us: 0,
            attempt_time_us: 0,
            resumes_from: 0,
            unit_ns: unit.mean_ns,
            unit_deviation_ns: unit.deviation_ns,
            device: String::new(),
            created: now,
            started: None,
            ended: None,
        }
    }

    /// What the holder of the task is asked to do, if it has one.
    #[must_use]
    pub fn asked(&self) -> Option<Asked> {
        let tenure = self.state.tenure()?;
        if self.cancel_requested {
            return Some(Asked::Stop);
        }
        (self.hold_requested.is_some() || tenure.hand_back).then_some(Asked::HandBack)
    }

    /// Nobody works on it any more: it ends where it was to be cancelled, is kept back where it was to be held, waits
    /// for its time where that has not come, and otherwise for a worker.
    fn requeue(&mut self, now: StoreTime) {
        if self.cancel_requested {
            self.end(State::Cancelled, now);
            return;
        }
        self.state = if let Some(reason) = self.hold_requested.take() {
            State::Held { reason }
        } else if self.not_before.is_some_and(|time| time > now) {
            State::Scheduled
        } else {
            self.not_before = None;
            State::Queued
        };
        self.keep_steps();
        self.revision += 1;
    }

    fn end(&mut self, state: State, now: StoreTime) {
        self.state = state;
        self.hold_requested = None;
        self.not_before = None;
        self.ended = Some(now);
        self.revision += 1;
    }
}

fn remember<T>(list: &mut Vec<T>, item: T) {
    if list.len() == REMEMBERED {
        list.remove(0);
    }
    list.push(item);
}
