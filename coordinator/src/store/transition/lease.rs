//! An attempt under way: leases, their renewal, and what a worker that comes back may keep.

use std::time::Duration;

use likeness_shared::ids::{Fence, Incarnation, WorkerId};
use likeness_shared::proto::Progress;

use super::{BeatVerdict, Price, Refusal};
use crate::store::record::{Failure, State, StoreTime, TaskRecord, Tenure};

impl TaskRecord {
    /// QUEUED -> LEASED, under a fence greater than any before it.
    pub fn lease(
        &mut self,
        worker: &WorkerId,
        incarnation: &Incarnation,
        price: Price,
        now: StoreTime,
        ttl: Duration,
    ) -> Result<Fence, Refusal> {
        if self.state != State::Queued {
            return Err(Refusal::NotQueued);
        }
        self.take_price(price);
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
            State::Queued | State::Scheduled if fence > self.last_fence => {
                self.enter_lease(worker, incarnation, fence, now, ttl);
                true
            }
            State::Leased(_) | State::Running(_) if fence > self.last_fence => {
                self.close_attempt(self.attempt_time_us);
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
        device_time_us: u64,
        now: StoreTime,
        ttl: Duration,
    ) -> BeatVerdict {
        let Some(tenure) = self.held_by(worker, fence) else { return BeatVerdict::Stale };
        let renewed = Tenure { expires: tenure.expires.max(now.plus(ttl)), ..tenure.clone() };
        let was_running = matches!(self.state, State::Running(_));
        let changed = progress.is_some_and(|progress| self.report(fence, progress));
        let runs = was_running || changed;
        self.state = if runs { State::Running(renewed) } else { State::Leased(renewed) };
        self.report_device_time(device_time_us);
        if changed {
            self.revision += 1;
        }
        BeatVerdict::Renewed { asked: self.asked() }
    }

    /// The lease never reached its worker: back to the front of the queue, and nobody is charged.
    pub fn undelivered(&mut self, now: StoreTime) -> Result<(), Refusal> {
        self.state.tenure().ok_or(Refusal::NotLeased)?;
        self.close_attempt(0);
        self.attempts.hand_backs += 1;
        self.requeue(now);
        Ok(())
    }

    /// Gives a lease at least until `until`, after a time in which no worker could renew it.
    pub fn extend_lease(&mut self, until: StoreTime) {
        if let State::Leased(tenure) | State::Running(tenure) = &mut self.state {
            tenure.expires = tenure.expires.max(until);
        }
    }

    pub(super) fn held_by(&self, worker: &WorkerId, fence: Fence) -> Option<&Tenure> {
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
            since: now,
            expires: now.plus(ttl),
            hand_back: false,
        });
        self.not_before = None;
        self.last_fence = fence;
        self.last_worker = worker.to_string();
        self.was_leased = true;
        self.attempts.started += 1;
        self.open_attempt();
        self.started.get_or_insert(now);
        self.revision += 1;
    }

    /// Takes a report over unless it goes back under its own fence. True where anything changed.
    pub(super) fn report(&mut self, fence: Fence, progress: Progress) -> bool {
        let newest = self.progress.as_ref().filter(|_| self.progress_fence == fence);
        if newest.is_some_and(|newest| progress.step < newest.step || *newest == progress) {
            return false;
        }
        self.progress = Some(progress);
        self.progress_fence = fence;
        true
    }
}
