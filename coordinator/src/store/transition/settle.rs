//! The end of an attempt: settled by its worker, or lost with it. Who is charged for it is decided here.

use likeness_shared::ids::WorkerId;
use likeness_shared::proto::{PhotoReport, Progress, TaskKind};
use serde::{Deserialize, Serialize};

use super::timing::retry_pause;
use super::{
    AttemptEnd, AttemptSettlement, DIVERGED, MAX_RESEEDS, MAX_RETRIES, POISON_LOSSES, POISON_WORKERS,
    REMEMBERED, Refusal, SettleVerdict, remember,
};
use crate::store::record::{Failure, Outcome, Settled, State, StoreTime, TaskRecord};

/// Who answers for an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// What the settlement says.
    AsSettled,
    /// The worker, whatever it says: it fails one task after the other. The attempt counts as handed back.
    Worker,
}

/// Under which of a task's counts a failed attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptCause {
    /// The task itself failed.
    Application,
    /// Its worker failed.
    Infrastructure,
}

impl TaskRecord {
    /// Ends an attempt as its worker says. Repeatable.
    pub fn settle(
        &mut self,
        settlement: AttemptSettlement,
        blame: Blame,
        now: StoreTime,
    ) -> Result<SettleVerdict, Refusal> {
        let AttemptSettlement { worker, fence, digest, end, photos, device_time_us } = settlement;
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
        self.close_attempt(self.attempt_time_us.max(device_time_us));
        remember(&mut self.settled, Settled { fence, outcome: digest });
        if let Some(photos) = photos {
            self.note_photos(photos);
        }
        match end {
            AttemptEnd::Succeeded(outcome) => {
                // The last steps fell between the last beat and this; an inversion may have stopped before all are made.
                let made = match &outcome {
                    Outcome::Inversion(result) if result.steps > 0 => Some(result.steps),
                    _ => None,
                };
                if let Some(progress) = &mut self.progress {
                    progress.step = progress.step.max(made.unwrap_or(progress.total_steps));
                }
                self.end(State::Succeeded(outcome), now);
            }
            AttemptEnd::Failed { code, message, .. } | AttemptEnd::Infrastructure { code, message }
                if blame == Blame::Worker =>
            {
                remember(&mut self.last_errors, format!("{worker}: {code}: {message}"));
                self.reseed += u32::from(code == DIVERGED);
                self.attempts.hand_backs += 1;
                self.requeue(now);
            }
            AttemptEnd::Failed { code, message, retryable } => {
                remember(&mut self.last_errors, format!("{worker}: {code}: {message}"));
                self.fail(Failure { code, message, worker: worker.to_string() }, retryable, now);
            }
            AttemptEnd::Cancelled => {
                if !self.cancel_requested {
                    self.attempts.hand_backs += 1;
                }
                self.requeue(now);
            }
            AttemptEnd::Infrastructure { code, message } => {
                self.lose_closed(&worker, &format!("{code}: {message}"), now);
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

    /// What was found of the photos stays with the progress, also where the attempt ended before its first beat.
    fn note_photos(&mut self, photos: Box<PhotoReport>) {
        let begun = || Progress { phase: "intake".to_owned(), ..Progress::default() };
        self.progress.get_or_insert_with(begun).photos = Some(photos);
    }

    /// The task itself failed: another attempt after a pause, or the end.
    fn fail(&mut self, failure: Failure, retryable: bool, now: StoreTime) {
        self.attempts.application_failures += 1;
        let diverged = failure.code == DIVERGED;
        if diverged {
            self.diverged += 1;
            self.reseed += 1;
        }
        let again = if diverged {
            self.diverged <= MAX_RESEEDS
        } else {
            retryable && self.attempts.application_failures.saturating_sub(self.diverged) <= MAX_RETRIES
        };
        if again && !self.cancel_requested {
            let pause = retry_pause(self.number, self.attempts.application_failures);
            self.not_before = Some(now.plus(pause));
            self.requeue(now);
            // its checkpoint is dropped
            self.resumes_from = 0;
        } else {
            self.end(State::Failed(failure), now);
        }
    }

    /// The worker is gone: back to the front of the queue, or into quarantine if this task has lost too many.
    pub fn lose(&mut self, cause: &str, now: StoreTime) -> Result<(), Refusal> {
        let worker = self.state.tenure().ok_or(Refusal::NotLeased)?.worker.clone();
        self.close_attempt(self.attempt_time_us);
        self.lose_closed(&worker, cause, now);
        Ok(())
    }

    fn lose_closed(&mut self, worker: &WorkerId, cause: &str, now: StoreTime) {
        self.attempts.infrastructure_failures += 1;
        remember(&mut self.last_errors, format!("{worker}: {cause}"));
        if !self.lost_on.contains(worker) && self.lost_on.len() < REMEMBERED {
            self.lost_on.push(worker.clone());
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
            let failure = Failure { code: "quarantined".to_owned(), message, worker: worker.to_string() };
            self.end(State::Quarantined(failure), now);
        } else {
            self.requeue(now);
        }
    }

    /// Takes a failed attempt off the task's account, for its worker turned out to be at fault: it counts as handed
    /// back, and the task need not wait out a pause. A task that has ended stays as it is.
    pub fn uncharge(&mut self, cause: AttemptCause, worker: &WorkerId, now: StoreTime) {
        let count = match cause {
            AttemptCause::Application => &mut self.attempts.application_failures,
            AttemptCause::Infrastructure => &mut self.attempts.infrastructure_failures,
        };
        // an operator may have let the task begin anew since
        if *count == 0 || self.state.is_terminal() {
            return;
        }
        *count -= 1;
        self.attempts.hand_backs += 1;
        if cause == AttemptCause::Infrastructure {
            self.lost_on.retain(|lost_on| lost_on != worker);
        }
        if self.state == State::Scheduled {
            self.not_before = None;
            self.requeue(now);
        } else {
            self.revision += 1;
        }
    }
}

fn outcome_kind(outcome: &Outcome) -> TaskKind {
    match outcome {
        Outcome::Inversion(_) => TaskKind::Inversion,
        Outcome::Generation(_) => TaskKind::Generation,
    }
}
