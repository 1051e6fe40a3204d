//! What a person asks for: cancel, hold, release, try again, hand back. Every request may be repeated.

use super::Refusal;
use crate::store::record::{Attempts, State, StoreTime, TaskRecord};

impl TaskRecord {
    /// Asks to stop: a waiting task is cancelled at once, a leased one by its worker.
    pub fn request_cancel(&mut self, now: StoreTime) {
        if self.state.is_terminal() || self.cancel_requested {
            return;
        }
        self.cancel_requested = true;
        if self.state.tenure().is_none() {
            self.end(State::Cancelled, now);
        } else {
            self.hold_requested = None;
            self.revision += 1;
        }
    }

    /// Keeps a task back: a waiting one at once, a leased one when its worker has handed it back or is lost.
    pub fn hold(&mut self, reason: &str) -> Result<(), Refusal> {
        match &self.state {
            state if state.is_terminal() => return Err(Refusal::Ended),
            State::Held { .. } => return Ok(()),
            _ if self.cancel_requested => return Err(Refusal::Cancelling),
            State::Queued | State::Scheduled => self.state = State::Held { reason: reason.to_owned() },
            _ if self.hold_requested.is_some() => return Ok(()),
            _ => self.hold_requested = Some(reason.to_owned()),
        }
        self.revision += 1;
        Ok(())
    }

    /// Lets a held task go on, at the place that it had. Where its time has not come yet it waits for that first.
    pub fn release(&mut self, now: StoreTime) -> Result<(), Refusal> {
        if self.state.is_terminal() {
            return Err(Refusal::Ended);
        }
        if matches!(self.state, State::Held { .. }) {
            self.requeue(now);
        } else if self.hold_requested.take().is_some() {
            self.revision += 1;
        }
        Ok(())
    }

    /// Tries again what ended without a result: counts begin anew and no start deadline applies, but fences go on,
    /// and what diverged is not drawn from the same random numbers again.
    pub fn retry(&mut self) -> Result<(), Refusal> {
        match self.state {
            State::Queued | State::Scheduled => return Ok(()),
            State::Failed(_) | State::Expired(_) | State::Quarantined(_) => {}
            _ => return Err(Refusal::NotDead),
        }
        self.state = State::Queued;
        self.was_leased = false;
        self.start_deadline = None;
        self.cancel_requested = false;
        self.attempts = Attempts::default();
        self.diverged = 0;
        // its checkpoint went when it ended
        self.resumes_from = 0;
        self.lost_on.clear();
        self.started = None;
        self.ended = None;
        self.revision += 1;
        Ok(())
    }

    /// Asks the task's worker to hand it back.
    pub fn ask_back(&mut self) {
        if let State::Leased(tenure) | State::Running(tenure) = &mut self.state
            && !tenure.hand_back
        {
            tenure.hand_back = true;
            self.revision += 1;
        }
    }
}
