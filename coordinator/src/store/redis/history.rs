//! What this coordinator knows to have been in the store: enough to notice that the store went back to older data,
//! whatever others have written there since.
//!
//! Three things are remembered: whose store it is (a random identity), the newest time seen in it, and how many of
//! this coordinator's own commits were answered. The commits are counted in the store too, under a name that nobody
//! else uses, so a store that knows fewer has lost some of them, and nobody's later commits can hide that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ulid::Ulid;

use super::clock::Times;
use crate::store::record::StoreTime;

/// What every step reads of the store as a whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) times: Times,
    /// Empty = it has none.
    pub(super) identity: Vec<u8>,
    pub(super) generation: u64,
    /// Until when nothing is leased.
    pub(super) recovering: StoreTime,
    /// Our own commits in it.
    pub(super) commits: u64,
}

/// What has been seen, as it was at one moment.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The name under which our commits are counted.
    pub(super) counter: Arc<str>,
    identity: Arc<[u8]>,
    pub(super) newest: StoreTime,
    answered: u64,
}

impl Seen {
    fn of(identity: &[u8], newest: StoreTime) -> Self {
        Self { counter: Ulid::generate().to_string().into(), identity: identity.into(), newest, answered: 0 }
    }

    /// What is missing of what had been there before these facts were asked for.
    pub(super) fn missing_in(&self, facts: &Facts) -> Option<&'static str> {
        if !self.identity.is_empty() && *self.identity != *facts.identity {
            return Some("it is another store, or an empty one");
        }
        if facts.commits < self.answered {
            return Some("commits of this coordinator are gone");
        }
        (facts.times.newest < self.newest).then_some("its newest time is older than it was")
    }
}

/// What has been seen so far.
#[derive(Debug)]
pub(super) struct History {
    seen: Mutex<Seen>,
}

impl History {
    pub(super) fn new() -> Self {
        Self { seen: Mutex::new(Seen::of(&[], StoreTime(0))) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be taken before the store is asked: its answer must know all of this.
    pub(super) fn so_far(&self) -> Seen {
        self.seen().clone()
    }

    /// What a store says that lacks nothing.
    pub(super) fn note(&self, facts: &Facts) {
        let mut seen = self.seen();
        if seen.identity.is_empty() {
            seen.identity = facts.identity.as_slice().into();
        }
        seen.newest = seen.newest.max(facts.times.newest);
    }

    /// A commit that was counted under this name was answered.
    pub(super) fn answered(&self, counter: &str, at: StoreTime) {
        let mut seen = self.seen();
        if *seen.counter == *counter {
            seen.answered += 1;
        }
        seen.newest = seen.newest.max(at);
    }

    /// Begins anew with a store that lacks what was seen `before`. False where that has been done.
    pub(super) fn begins_anew(&self, before: &Seen) -> bool {
        let mut seen = self.seen();
        if seen.counter != before.counter {
            return false;
        }
        *seen = Seen::of(&[], seen.newest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(identity: &[u8], newest: u64, commits: u64) -> Facts {
        let times = Times { newest: StoreTime(newest), ..Times::default() };
        Facts { times, identity: identity.to_vec(), commits, ..Facts::default() }
    }

    #[test]
    fn a_store_that_lacks_what_was_seen_is_found_out() {
        let history = History::new();
        assert_eq!(history.so_far().missing_in(&facts(b"", 0, 0)), None, "nothing is known of a first store");
        history.note(&facts(b"one", 5, 0));
        let before = history.so_far();
        history.answered(&before.counter, StoreTime(7));
        assert_eq!(before.missing_in(&facts(b"one", 5, 0)), None, "that commit was not yet answered");
        let after = history.so_far();
        assert_eq!(after.missing_in(&facts(b"one", 7, 1)), None);
        assert!(after.missing_in(&facts(b"one", 6, 1)).is_some());
        assert!(after.missing_in(&facts(b"one", 99, 0)).is_some(), "others' later commits hide nothing");
        assert!(after.missing_in(&facts(b"two", 7, 1)).is_some());
        assert!(after.missing_in(&facts(b"", 7, 1)).is_some());
    }

    #[test]
    fn it_is_begun_anew_once_and_time_is_not_forgotten() {
        let history = History::new();
        let before = history.so_far();
        history.answered(&before.counter, StoreTime(7));
        assert!(history.begins_anew(&before));
        assert!(!history.begins_anew(&before));
        history.answered(&before.counter, StoreTime(8));
        assert_eq!(history.so_far().missing_in(&facts(b"", 8, 0)), None, "an old commit counts no more");
        assert!(history.so_far().missing_in(&facts(b"", 7, 0)).is_some());
    }
}
