//! The attempts that this worker holds, from lease to verdict, and what of them the coordinator is told.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::limits::MAX_CHECKPOINT_BYTES;
use likeness_shared::proto::{HeldLease, Preview, Progress, TaskBeat};
use tokio_util::sync::CancellationToken;

use crate::engine::Attempt;

/// Ended attempts that are remembered so that a lease delivered twice is not run twice.
const REMEMBERED: usize = 256;

/// How far an attempt is on this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its photos or people are being downloaded.
    Fetching,
    /// It is on the device.
    Running,
    /// It is on the device, but gets none of its time: the lease has not been renewed in time.
    Fenced,
    /// Its outcome is known and on the way to the coordinator.
    Settling,
}

/// One held attempt.
pub(super) struct Held {
    pub(super) fence: Fence,
    pub(super) stage: Stage,
    /// Stops the download or the settling.
    pub(super) errand: CancellationToken,
    pub(super) taken: Instant,
    /// When the lease was last known to be ours; counted from the sending of what was acknowledged.
    pub(super) renewed: Instant,
    pub(super) progress: Progress,
    /// Newest state to resume from; begins as the lease's own.
    pub(super) checkpoint: Bytes,
    /// What the device has worked for it so far.
    pub(super) device_time: Duration,
    unsent: bool,
}

impl Held {
    /// There is a preview to be had, unless a newer one was there first.
    pub(super) fn show(&mut self, preview: Preview) {
        if self.progress.preview.as_ref().is_none_or(|shown| shown.step < preview.step) {
            self.progress.preview = Some(preview);
        }
    }
}

/// All held attempts.
#[derive(Default)]
pub(super) struct Ledger {
    held: HashMap<TaskId, Held>,
    ended: VecDeque<Attempt>,
}

/// What to do with a lease that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is new.
    Take,
    /// It is new, and an older attempt at the same task is still here: that one is over.
    Replace(Attempt),
    /// This attempt or a newer one has been here already.
    Refuse,
}

impl Ledger {
    /// Judges a lease by its fence alone.
    pub(super) fn admit(&self, attempt: Attempt) -> Admission {
        let newest_ended =
            self.ended.iter().filter(|old| old.task == attempt.task).map(|old| old.fence).max();
        if newest_ended.is_some_and(|fence| attempt.fence <= fence) {
            return Admission::Refuse;
        }
        match self.held.get(&attempt.task) {
            None => Admission::Take,
            Some(held) if attempt.fence <= held.fence => Admission::Refuse,
            Some(held) => Admission::Replace(Attempt { task: attempt.task, fence: held.fence }),
        }
    }

    /// Adds an attempt whose lease has just arrived.
    pub(super) fn insert(&mut self, attempt: Attempt, checkpoint: Bytes, now: Instant) -> &mut Held {
        let held = Held {
            fence: attempt.fence,
            stage: Stage::Fetching,
            errand: CancellationToken::new(),
            taken: now,
            renewed: now,
            progress: Progress { phase: "intake".to_owned(), ..Progress::default() },
            checkpoint,
            device_time: Duration::ZERO,
            unsent: false,
        };
        self.held.entry(attempt.task).insert_entry(held).into_mut()
    }

    /// The attempt, if it is held.
    pub(super) fn get_mut(&mut self, attempt: Attempt) -> Option<&mut Held> {
        self.held.get_mut(&attempt.task).filter(|held| held.fence == attempt.fence)
    }

    /// Forgets an attempt, stops its errand, and remembers that it has been here.
    pub(super) fn remove(&mut self, attempt: Attempt) -> Option<Held> {
        self.get_mut(attempt)?.errand.cancel();
        if self.ended.len() >= REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(attempt);
        self.held.remove(&attempt.task)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.held.iter().map(|(task, held)| Attempt { task: *task, fence: held.fence }).collect()
    }

    /// How many more tasks the worker can take. A task whose outcome is on the way has left its slot, but only
    /// as many outcomes may wait as there are slots.
    pub(super) fn free_slots(&self, slots: u32) -> u32 {
        let waiting = self.held.values().filter(|held| held.stage == Stage::Settling).count();
        let busy = u32::try_from(self.held.len() - waiting).unwrap_or(u32::MAX);
        let all = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        slots.saturating_sub(busy).min(slots.saturating_mul(2).saturating_sub(all))
    }

    /// The newest report of a running attempt.
    pub(super) fn report(
        &mut self,
        attempt: Attempt,
        progress: Progress,
        checkpoint: Option<Bytes>,
        device_time: Duration,
    ) {
        let Some(held) = self.get_mut(attempt) else { return };
        let preview = held.progress.preview.take();
        held.progress = Progress { preview, ..progress };
        held.device_time = device_time;
        if let Some(checkpoint) = checkpoint {
            if checkpoint.len() > MAX_CHECKPOINT_BYTES {
                let bytes = checkpoint.len();
                tracing::warn!(%attempt, bytes, "checkpoint is too large for a beat and stays here");
                return;
            }
            held.unsent |= held.checkpoint != checkpoint;
            held.checkpoint = checkpoint;
        }
    }

    /// What the next beat says: every attempt, with its checkpoint where that is newer than the last one sent.
    pub(super) fn beats(&mut self) -> Vec<TaskBeat> {
        let beat = |(task, held): (&TaskId, &mut Held)| TaskBeat {
            task_id: task.to_string(),
            fence: held.fence.0,
            progress: Some(held.progress.clone()),
            checkpoint: if std::mem::take(&mut held.unsent) { held.checkpoint.to_vec() } else { Vec::new() },
            device_time: prost_types::Duration::try_from(held.device_time).ok(),
        };
        self.held.iter_mut().map(beat).collect()
    }

    /// After a broken connection nobody knows what of the last beats arrived.
    pub(super) fn resend_checkpoints(&mut self) {
        self.held.values_mut().for_each(|held| held.unsent = !held.checkpoint.is_empty());
    }

    /// The inventory for `Hello`.
    pub(super) fn inventory(&self) -> Vec<HeldLease> {
        let lease =
            |(task, held): (&TaskId, &Held)| HeldLease { task_id: task.to_string(), fence: held.fence.0 };
        self.held.iter().map(lease).collect()
    }

    /// A message that was sent at `sent` and named every attempt taken by then has been acknowledged.
    pub(super) fn renew(&mut self, sent: Instant) {
        for held in self.held.values_mut().filter(|held| held.taken <= sent) {
            held.renewed = held.renewed.max(sent);
        }
    }

    /// Moves running attempts whose lease is older than `limit` behind the fence, and those that have been
    /// renewed out again. Gives the attempts to pause and the attempts to resume.
    pub(super) fn fence(&mut self, now: Instant, limit: Duration) -> (Vec<Attempt>, Vec<Attempt>) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (task, held) in &mut self.held {
            let attempt = Attempt { task: *task, fence: held.fence };
            let stale = now.saturating_duration_since(held.renewed) >= limit;
            match held.stage {
                Stage::Running if stale => {
                    held.stage = Stage::Fenced;
                    pause.push(attempt);
                }
                Stage::Fenced if !stale => {
                    held.stage = Stage::Running;
                    resume.push(attempt);
                }
                _ => {}
            }
        }
        (pause, resume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(task: TaskId, fence: u64) -> Attempt {
        Attempt { task, fence: Fence(fence) }
    }

    #[test]
    fn a_lease_is_taken_once_and_only_under_a_growing_fence() {
        let (mut ledger, task) = (Ledger::default(), TaskId::generate());
        assert_eq!(ledger.admit(attempt(task, 5)), Admission::Take);
        ledger.insert(attempt(task, 5), Bytes::new(), Instant::now());
        assert_eq!(ledger.admit(attempt(task, 5)), Admission::Refuse);
        assert_eq!(ledger.admit(attempt(task, 4)), Admission::Refuse);
        assert_eq!(ledger.admit(attempt(task, 6)), Admission::Replace(attempt(task, 5)));
        ledger.remove(attempt(task, 5));
        assert_eq!(ledger.admit(attempt(task, 5)), Admission::Refuse, "it has been here");
        assert_eq!(ledger.admit(attempt(task, 6)), Admission::Take);
        assert!(ledger.get_mut(attempt(task, 5)).is_none());
    }

    #[test]
    fn free_slots_count_what_runs_and_bound_what_waits() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let attempts: Vec<_> = (0..4).map(|_| attempt(TaskId::generate(), 1)).collect();
        assert_eq!(ledger.free_slots(2), 2);
        for (taken, free) in [(0, 1), (1, 0)] {
            ledger.insert(attempts[taken], Bytes::new(), now);
            assert_eq!(ledger.free_slots(2), free);
        }
        for settling in &attempts[..2] {
            ledger.get_mut(*settling).unwrap().stage = Stage::Settling;
        }
        assert_eq!(ledger.free_slots(2), 2);
        for taken in &attempts[2..] {
            ledger.insert(*taken, Bytes::new(), now).stage = Stage::Settling;
        }
        assert_eq!(ledger.free_slots(2), 0, "too many outcomes wait");
    }

    #[test]
    fn a_checkpoint_travels_once_unless_the_connection_broke() {
        let (mut ledger, attempt) = (Ledger::default(), attempt(TaskId::generate(), 1));
        ledger.insert(attempt, Bytes::from_static(b"old"), Instant::now());
        let sent = |ledger: &mut Ledger| String::from_utf8(ledger.beats()[0].checkpoint.clone()).unwrap();
        assert_eq!(sent(&mut ledger), "", "the lease's own is known to the coordinator");
        ledger.report(attempt, Progress::default(), Some(Bytes::from_static(b"new")), Duration::from_secs(1));
        assert_eq!(sent(&mut ledger), "new");
        assert_eq!(sent(&mut ledger), "");
        assert_eq!(ledger.beats()[0].device_time, Some(prost_types::Duration { seconds: 1, nanos: 0 }));
        ledger.resend_checkpoints();
        assert_eq!(sent(&mut ledger), "new");
        let too_large = Bytes::from(vec![0; MAX_CHECKPOINT_BYTES + 1]);
        ledger.report(attempt, Progress::default(), Some(too_large), Duration::from_secs(2));
        assert_eq!(sent(&mut ledger), "");
    }

    #[test]
    fn a_lease_that_is_not_renewed_in_time_is_fenced_until_it_is() {
        let (mut ledger, attempt, start) =
            (Ledger::default(), attempt(TaskId::generate(), 1), Instant::now());
        ledger.insert(attempt, Bytes::new(), start).stage = Stage::Running;
        let limit = Duration::from_secs(8);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(ledger.fence(at(7), limit), (vec![], vec![]));
        assert_eq!(ledger.fence(at(8), limit), (vec![attempt], vec![]));
        assert_eq!(ledger.fence(at(9), limit), (vec![], vec![]));
        ledger.renew(at(10));
        assert_eq!(ledger.fence(at(11), limit), (vec![], vec![attempt]));
    }

    #[test]
    fn an_acknowledgement_renews_only_what_its_beat_named() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        let later = start + Duration::from_secs(5);
        let (old, new) = (attempt(TaskId::generate(), 1), attempt(TaskId::generate(), 1));
        ledger.insert(old, Bytes::new(), start);
        ledger.insert(new, Bytes::new(), later + Duration::from_secs(1)).renewed = start;
        ledger.renew(later);
        assert_eq!(ledger.get_mut(old).unwrap().renewed, later);
        assert_eq!(ledger.get_mut(new).unwrap().renewed, start);
    }
}
