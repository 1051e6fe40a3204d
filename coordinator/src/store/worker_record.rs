//! What the store keeps of a worker, and what may change it: what its process says, what it fails at, what an operator
//! decides. Pure, like the transitions of tasks.
//!
//! A worker that fails several tasks in a row, each soon after its lease, is quarantined: it gets no leases until an
//! operator ends that, and the attempts that led to it are not charged to their tasks. Counted are the failures that the
//! worker itself takes on (`infrastructure`) and those that it calls worth another attempt. A failure that it says would
//! come again anywhere, such as an unreadable photo, and a loss that diverged are the task's: otherwise a few bad
//! requests could close a fleet.

use std::collections::BTreeSet;
use std::time::Duration;

use likeness_shared::ids::{Incarnation, TaskId, WorkerId};
use serde::{Deserialize, Serialize};

use super::record::{StoreTime, Tenure};
use super::transition::{AttemptCause, AttemptEnd, DIVERGED};

/// Failures in a row that quarantine a worker.
pub const SICK_FAILURES: u32 = 3;
/// Tasks that they must have been of: one alone may be at fault itself.
pub const SICK_TASKS: usize = 2;
/// After the lease; what fails later was at least begun.
pub const SICK_WITHIN: Duration = Duration::from_secs(60);

/// A model that a worker has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerModel {
    /// Its name.
    pub name: String,
    /// sha256 over its files; empty = unknown.
    pub digest: String,
    /// Tasks that name no model get this one.
    pub is_default: bool,
}

/// What a worker's process says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerFacts {
    /// The worker.
    pub id: WorkerId,
    /// Its process.
    pub incarnation: Incarnation,
    /// Such as "cuda:0 NVIDIA H100".
    pub device: String,
    /// Memory of the device.
    pub device_memory_bytes: u64,
    /// The models that it has.
    pub models: Vec<WorkerModel>,
    /// Its build.
    pub build: String,
    /// The protocol that was agreed on.
    pub protocol: u32,
    /// Tasks that may be live at once.
    pub slots: u32,
}

impl WorkerFacts {
    /// Whether tasks that ask for this model can run there; empty = the fleet's default model.
    #[must_use]
    pub fn has_model(&self, model: &str) -> bool {
        self.models.iter().any(|known| if model.is_empty() { known.is_default } else { known.name == model })
    }
}

/// An operator's wish that a worker gets no new work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// For the log and for others.
    pub reason: String,
    /// What it holds is finished there instead of being handed back.
    pub finish_running: bool,
}

/// A failed attempt that speaks against its worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspicion {
    /// Of which task.
    pub task: TaskId,
    /// Under which of the task's counts it stands.
    pub cause: AttemptCause,
}

/// A worker as the store keeps it. What it has settled is counted beside it, for that changes far more often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// What its process says.
    pub facts: WorkerFacts,
    /// First seen under this incarnation.
    pub joined: StoreTime,
    /// Refreshed from time to time while it has a session.
    pub last_seen: StoreTime,
    /// When its session ended and none followed.
    pub left: Option<StoreTime>,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// The newest few of them.
    pub suspicions: Vec<Suspicion>,
    /// An operator has it drained.
    pub drain: Option<Drain>,
    /// Why it was quarantined, if it was.
    pub quarantined: Option<String>,
}

/// What a worker has done since it was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerTotals {
    /// Settlements accepted.
    pub settled: u64,
    /// Device time of those, in microseconds.
    pub device_time_us: u64,
}

/// A worker with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStanding {
    /// Its record.
    pub record: WorkerRecord,
    /// What it has done.
    pub totals: WorkerTotals,
    /// Leases that it holds.
    pub tasks: usize,
}

/// The failure of an attempt as far as it speaks against the worker; `None` = it does not.
#[must_use]
pub fn suspicion(task: TaskId, tenure: &Tenure, end: &AttemptEnd, now: StoreTime) -> Option<Suspicion> {
    let cause = match end {
        AttemptEnd::Infrastructure { .. } => AttemptCause::Infrastructure,
        AttemptEnd::Failed { code, retryable: true, .. } if code != DIVERGED => AttemptCause::Application,
        _ => return None,
    };
    (now <= tenure.since.plus(SICK_WITHIN)).then_some(Suspicion { task, cause })
}

impl WorkerRecord {
    /// A process of the worker has a session. Drain and quarantine outlive its predecessor.
    #[must_use]
    pub fn joined(known: Option<Self>, facts: WorkerFacts, now: StoreTime) -> Self {
        let known = known.unwrap_or_else(|| Self {
            facts: facts.clone(),
            joined: now,
            last_seen: now,
            left: None,
            failures_in_a_row: 0,
            suspicions: Vec::new(),
            drain: None,
            quarantined: None,
        });
        let same_process = known.facts.incarnation == facts.incarnation;
        let joined = if same_process { known.joined } else { now };
        Self { facts, joined, last_seen: now, left: None, ..known }
    }

    /// The process still has a session.
    pub fn seen(&mut self, incarnation: &Incarnation, now: StoreTime) {
        if self.facts.incarnation == *incarnation {
            self.last_seen = now;
            self.left = None;
        }
    }

    /// The process has had no session for `silent_for`, unless it was seen elsewhere since.
    pub fn left(&mut self, incarnation: &Incarnation, silent_for: Duration, now: StoreTime) {
        let seen_since = self.last_seen > now.minus(silent_for);
        if self.facts.incarnation == *incarnation && !seen_since && self.left.is_none() {
            self.left = Some(now);
        }
    }

    /// Whether it may be given leases.
    #[must_use]
    pub fn takes_work(&self) -> bool {
        self.drain.is_none() && self.quarantined.is_none()
    }

    /// Whether it is to give back what it holds.
    #[must_use]
    pub fn gives_back(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| !drain.finish_running)
    }

    /// It has succeeded at something.
    pub fn succeeded(&mut self) {
        self.failures_in_a_row = 0;
        self.suspicions.clear();
    }

    /// It has failed at something. True where that has just put it into quarantine.
    pub fn failed(&mut self, suspicion: Suspicion) -> bool {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let kept = usize::try_from(SICK_FAILURES).unwrap_or(usize::MAX);
        if self.suspicions.len() >= kept {
            self.suspicions.remove(0);
        }
        self.suspicions.push(suspicion);
        let tasks: BTreeSet<TaskId> = self.suspicions.iter().map(|suspicion| suspicion.task).collect();
        let sick = self.failures_in_a_row >= SICK_FAILURES && tasks.len() >= SICK_TASKS;
        if !sick || self.quarantined.is_some() {
            return false;
        }
        self.quarantined = Some(format!(
            "{} attempts at {} tasks failed in a row, each within {} s of its start: see the tasks' last errors, and \
             undrain the worker when it is well again",
            self.failures_in_a_row,
            tasks.len(),
            SICK_WITHIN.as_secs()
        ));
        true
    }

    /// An operator wants it to get no new work.
    pub fn drain(&mut self, drain: Drain) {
        self.drain = Some(drain);
    }

    /// An operator wants it to work again, whatever stood against that.
    pub fn undrain(&mut self) {
        self.drain = None;
        self.quarantined = None;
        self.succeeded();
    }
}

#[cfg(test)]
mod tests {
    use likeness_shared::ids::Fence;

    use super::*;

    fn worker() -> WorkerRecord {
        let facts = WorkerFacts {
            id: "w1".parse().unwrap(),
            incarnation: "first".parse().unwrap(),
            device: "cpu".to_owned(),
            device_memory_bytes: 0,
            models: Vec::new(),
            build: String::new(),
            protocol: 1,
            slots: 1,
        };
        WorkerRecord::joined(None, facts, StoreTime(1))
    }

    fn of(task: TaskId) -> Suspicion {
        Suspicion { task, cause: AttemptCause::Application }
    }

    #[test]
    fn three_failures_in_a_row_of_two_tasks_make_a_worker_sick() {
        let (one, other) = (TaskId::generate(), TaskId::generate());
        let mut sick = worker();
        assert!(!sick.failed(of(one)) && !sick.failed(of(other)) && sick.takes_work());
        assert!(sick.failed(of(other)) && !sick.takes_work());
        assert!(sick.quarantined.as_ref().unwrap().contains("3 attempts at 2 tasks"), "{sick:?}");
        assert!(!sick.failed(of(one)), "only once");
        sick.undrain();
        assert!(sick.takes_work() && sick.suspicions.is_empty());
        let mut unlucky = worker();
        for _ in 0..5 {
            assert!(!unlucky.failed(of(one)), "one task may be at fault itself");
        }
        assert!(unlucky.failed(of(other)));
        let mut mixed = worker();
        for task in [one, other, one, other] {
            mixed.failed(of(task));
            mixed.failed(of(task));
            mixed.succeeded();
        }
        assert!(mixed.takes_work());
    }

    #[test]
    fn only_what_may_be_the_workers_doing_speaks_against_it() {
        let tenure = Tenure {
            worker: "w1".parse().unwrap(),
            incarnation: "first".parse().unwrap(),
            fence: Fence(1),
            since: StoreTime(0),
            expires: StoreTime(1),
            hand_back: false,
        };
        let failed = |code: &str, retryable| AttemptEnd::Failed {
            code: code.to_owned(),
            message: String::new(),
            retryable,
        };
        let lost = AttemptEnd::Infrastructure { code: "device_lost".to_owned(), message: String::new() };
        let (soon, late) = (StoreTime(60_000_000), StoreTime(60_000_001));
        let speaks = |end: &AttemptEnd, now| suspicion(TaskId::generate(), &tenure, end, now).is_some();
        assert!(speaks(&failed("internal", true), soon) && speaks(&lost, soon));
        assert!(!speaks(&failed("internal", true), late) && !speaks(&lost, late));
        assert!(!speaks(&failed("corrupt", false), soon), "unreadable photos are nobody else's fault");
        assert!(!speaks(&failed(DIVERGED, true), soon), "a learning rate may be mad");
        assert!(!speaks(&AttemptEnd::Cancelled, soon));
    }

    #[test]
    fn a_worker_that_was_seen_elsewhere_has_not_left() {
        let grace = Duration::from_secs(1);
        let (first, second) = ("first".parse().unwrap(), "second".parse().unwrap());
        let mut record = worker();
        record.left(&first, grace, StoreTime(500_000));
        assert_eq!(record.left, None);
        record.left(&second, grace, StoreTime(5_000_000));
        assert_eq!(record.left, None, "that was another process");
        record.left(&first, grace, StoreTime(5_000_000));
        assert_eq!(record.left, Some(StoreTime(5_000_000)));
        record.seen(&first, StoreTime(6_000_000));
        assert_eq!((record.left, record.last_seen), (None, StoreTime(6_000_000)));
        record.drain(Drain { reason: "upgrade".to_owned(), finish_running: false });
        let facts = WorkerFacts { incarnation: second, ..record.facts.clone() };
        let next = WorkerRecord::joined(Some(record), facts, StoreTime(7_000_000));
        assert!(next.gives_back() && !next.takes_work(), "a new process does not end a drain");
        assert_eq!(next.joined, StoreTime(7_000_000));
    }
}
