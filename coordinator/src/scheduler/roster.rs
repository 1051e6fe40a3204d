//! The workers with a session here: how much room each has, and the way to its outbox.
//!
//! Room is the worker's newest credit less the leases that it cannot have known of when it sent it: those sent and
//! not yet seen in a beat or settled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use likeness_shared::ids::{Fence, Incarnation, TaskId, WorkerId};
use likeness_shared::proto::CoordinatorMessage;
use likeness_shared::proto::coordinator_message::Message;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::store::Claimant;

/// What a session's stream carries.
pub(crate) type Outbound = Result<CoordinatorMessage, Status>;

/// Tells one session of a worker from its next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionId(u64);

/// A worker as the scheduler sees it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) claimant: Claimant,
    pub(crate) session: SessionId,
}

#[derive(Debug)]
struct Entry {
    member: Member,
    /// Whether the welcome is in the outbox: nothing else may come before it.
    greeted: bool,
    credit: u32,
    /// Leases sent and not yet known to have arrived, with how many beats have come since.
    on_the_way: HashMap<TaskId, (Fence, u32)>,
    outbox: mpsc::Sender<Outbound>,
    cut: CancellationToken,
}

/// Every session, and the bell that wakes the scheduler.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: Mutex<HashMap<WorkerId, Entry>>,
    bell: Notify,
    last_session: AtomicU64,
}

/// Beats without a lease in them, after which it did not arrive.
const BEATS_TO_ARRIVE: u32 = 2;

impl Roster {
    fn entries(&self) -> MutexGuard<'_, HashMap<WorkerId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in; an older session of the same worker is cut.
    pub(crate) fn join(
        &self,
        claimant: Claimant,
        outbox: mpsc::Sender<Outbound>,
        cut: CancellationToken,
    ) -> SessionId {
        let session = SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1);
        let worker = claimant.worker.clone();
        let member = Member { claimant, session };
        let entry = Entry { member, greeted: false, credit: 0, on_the_way: HashMap::new(), outbox, cut };
        if let Some(older) = self.entries().insert(worker, entry) {
            older.cut.cancel();
        }
        session
    }

    /// Posts the welcome; from there on others may post too. False where the session is gone.
    pub(crate) fn greet(&self, worker: &WorkerId, session: SessionId, welcome: Message) -> bool {
        let mut entries = self.entries();
        let entry = entries.get_mut(worker).filter(|entry| entry.member.session == session);
        entry.is_some_and(|entry| {
            entry.greeted = entry.post(welcome);
            entry.greeted
        })
    }

    /// Takes a session out, unless a newer one has taken its place.
    pub(crate) fn leave(&self, worker: &WorkerId, session: SessionId) {
        let mut entries = self.entries();
        if entries.get(worker).is_some_and(|entry| entry.member.session == session) {
            entries.remove(worker);
        }
    }

    /// Whether this very process of the worker has a session here.
    pub(crate) fn has(&self, worker: &WorkerId, incarnation: &Incarnation) -> bool {
        let entries = self.entries();
        entries.get(worker).is_some_and(|entry| entry.member.claimant.incarnation == *incarnation)
    }

    /// The worker's free capacity, as it says.
    pub(crate) fn credit(&self, worker: &WorkerId, session: SessionId, credit: u32) {
        if let Some(entry) = self.entries().get_mut(worker).filter(|entry| entry.member.session == session) {
            entry.credit = credit;
        }
        self.bell.notify_one();
    }

    /// The tasks in the worker's newest beat: those have arrived.
    pub(crate) fn seen(&self, worker: &WorkerId, session: SessionId, tasks: &[TaskId]) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(worker).filter(|entry| entry.member.session == session) else {
            return;
        };
        let before = entry.on_the_way.len();
        entry.on_the_way.retain(|task, (_, beats)| {
            *beats += 1;
            !tasks.contains(task) && *beats <= BEATS_TO_ARRIVE
        });
        if entry.on_the_way.len() < before && entry.credit > 0 {
            self.bell.notify_one();
        }
    }

    /// The worker has ended its attempt at a task.
    pub(crate) fn released(&self, worker: &WorkerId, task: TaskId) {
        if let Some(entry) = self.entries().get_mut(worker) {
            entry.on_the_way.remove(&task);
        }
        self.bell.notify_one();
    }

    /// Who has room, and for how many tasks; those with most room first.
    pub(crate) fn with_room(&self) -> Vec<(Member, usize)> {
        let entries = self.entries();
        let mut free: Vec<(Member, usize)> = entries
            .values()
            .map(|entry| (entry.member.clone(), entry.room()))
            .filter(|(_, room)| *room > 0)
            .collect();
        free.sort_by_key(|(_, room)| std::cmp::Reverse(*room));
        free
    }

    /// Puts a lease into the worker's outbox. False where the session is gone, or full and therefore cut.
    pub(crate) fn deliver(&self, member: &Member, task: TaskId, fence: Fence, message: Message) -> bool {
        let mut entries = self.entries();
        let entry = entries.get_mut(&member.claimant.worker);
        let Some(entry) = entry.filter(|entry| entry.member.session == member.session) else { return false };
        let delivered = entry.post(message);
        if delivered {
            entry.on_the_way.insert(task, (fence, 0));
        }
        delivered
    }

    /// Sends a message to a worker, where it has a session here that has been greeted.
    pub(crate) fn send(&self, worker: &WorkerId, message: Message) {
        if let Some(entry) = self.entries().get(worker).filter(|entry| entry.greeted) {
            entry.post(message);
        }
    }

    /// Sends a message to everyone.
    pub(crate) fn send_all(&self, message: &Message) {
        for entry in self.entries().values().filter(|entry| entry.greeted) {
            entry.post(message.clone());
        }
    }

    /// Wakes the scheduler.
    pub(crate) fn wake(&self) {
        self.bell.notify_one();
    }

    /// Resolves when the scheduler was woken.
    pub(crate) async fn woken(&self) {
        self.bell.notified().await;
    }
}

impl Entry {
    fn room(&self) -> usize {
        let credit = usize::try_from(self.credit).unwrap_or(usize::MAX);
        credit.saturating_sub(self.on_the_way.len())
    }

    /// Posts without waiting; a worker that does not empty its outbox is cut. Nothing is wrong where its session is just ending.
    fn post(&self, message: Message) -> bool {
        let posted = self.outbox.try_send(Ok(CoordinatorMessage { message: Some(message) }));
        if let Err(TrySendError::Full(_)) = &posted {
            tracing::warn!(worker = %self.member.claimant.worker, "worker takes no messages, its session is cut");
        }
        if posted.is_err() {
            self.cut.cancel();
        }
        posted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(
        roster: &Roster,
        name: &str,
        outbox: usize,
    ) -> (Member, mpsc::Receiver<Outbound>, CancellationToken) {
        let (sender, receiver) = mpsc::channel(outbox);
        let cut = CancellationToken::new();
        let claimant = Claimant {
            worker: name.parse().unwrap(),
            incarnation: Incarnation::generate(),
            pools: vec![String::new()],
            device: String::new(),
        };
        let session = roster.join(claimant.clone(), sender, cut.clone());
        (Member { claimant, session }, receiver, cut)
    }

    #[test]
    fn nothing_comes_before_the_welcome() {
        let roster = Roster::default();
        let (member, mut outbox, _) = join(&roster, "a", 8);
        let worker = member.claimant.worker.clone();
        roster.send(&worker, message());
        roster.send_all(&message());
        assert!(outbox.try_recv().is_err());
        let welcome = Message::Welcome(likeness_shared::proto::Welcome::default());
        assert!(roster.greet(&worker, member.session, welcome));
        roster.send(&worker, message());
        let first = outbox.try_recv().unwrap().unwrap().message;
        assert!(matches!(first, Some(Message::Welcome(_))), "{first:?}");
        assert!(outbox.try_recv().is_ok());
    }

    fn message() -> Message {
        Message::Cancel(likeness_shared::proto::Cancel::default())
    }

    #[test]
    fn leases_on_the_way_count_against_an_older_credit() {
        let roster = Roster::default();
        let (member, _outbox, _) = join(&roster, "a", 8);
        let worker = member.claimant.worker.clone();
        roster.credit(&worker, member.session, 2);
        let task = TaskId::generate();
        assert!(roster.deliver(&member, task, Fence(1), message()));
        roster.credit(&worker, member.session, 2);
        assert_eq!(roster.with_room().first().unwrap().1, 1, "the credit was sent before the lease arrived");
        roster.seen(&worker, member.session, &[task]);
        assert_eq!(roster.with_room().first().unwrap().1, 2);
    }

    #[test]
    fn a_full_outbox_cuts_the_session() {
        let roster = Roster::default();
        let (member, _outbox, cut) = join(&roster, "a", 1);
        assert!(roster.deliver(&member, TaskId::generate(), Fence(1), message()));
        assert!(!cut.is_cancelled());
        assert!(!roster.deliver(&member, TaskId::generate(), Fence(2), message()));
        assert!(cut.is_cancelled());
    }

    #[test]
    fn a_newer_session_replaces_an_older_one_and_outlives_its_end() {
        let roster = Roster::default();
        let (older, _outbox, cut) = join(&roster, "a", 1);
        let (newer, _outbox2, _) = join(&roster, "a", 1);
        assert!(cut.is_cancelled());
        roster.leave(&older.claimant.worker, older.session);
        assert!(roster.has(&newer.claimant.worker, &newer.claimant.incarnation));
        assert!(!roster.has(&older.claimant.worker, &older.claimant.incarnation));
        roster.leave(&newer.claimant.worker, newer.session);
        assert!(!roster.has(&newer.claimant.worker, &newer.claimant.incarnation));
    }
}
