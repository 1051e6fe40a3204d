//! What time alone does to a task: its moment comes, or its start deadline passes.

use std::time::Duration;

use likeness_shared::ids::Digest;

use crate::store::record::{Failure, State, StoreTime, TaskRecord};

/// The pause before the first retry.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a retry.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Pauses differ by up to this part of themselves, either way.
const JITTER: f64 = 0.25;

/// What became of a task whose time had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallenDue {
    /// It waits for a worker.
    Queued,
    /// It was not started in time.
    Expired,
}

impl TaskRecord {
    /// When time alone next changes the task; `None` = never.
    #[must_use]
    pub fn due(&self) -> Option<StoreTime> {
        let deadline = self.start_deadline.filter(|_| self.started.is_none());
        match self.state {
            State::Queued => deadline,
            State::Scheduled => self.not_before.into_iter().chain(deadline).min(),
            _ => None,
        }
    }

    /// SCHEDULED -> QUEUED when its time has come; either -> EXPIRED when its start deadline has passed. Repeatable.
    pub fn fall_due(&mut self, now: StoreTime) -> Option<FallenDue> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        if self.started.is_none() && self.start_deadline.is_some_and(|deadline| deadline <= now) {
            let message =
                "the task was not started before its deadline: try it again, or submit it with a later \
                           one"
                .to_owned();
            let failure = Failure { code: "start_deadline".to_owned(), message, worker: String::new() };
            self.end(State::Expired(failure), now);
            return Some(FallenDue::Expired);
        }
        self.requeue(now);
        Some(FallenDue::Queued)
    }
}

/// The pause before a retry: doubled from one to the next. The jitter follows from the task and the count alone, so
/// that every store waits equally long.
pub(super) fn retry_pause(number: u64, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let digest = Digest::of(format!("{number}/{failures}").as_bytes());
    let [first, second, ..] = *digest.as_bytes();
    let unit = f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX);
    pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * unit)
}
