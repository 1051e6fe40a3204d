//! The store's clock: the server's, which every coordinator reads, kept from going back by the newest time written.
//! Where it is set back, it is put forward by as much, and goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::record::StoreTime;

/// Where the store's time comes from.
#[derive(Debug, Clone)]
pub enum RedisClock {
    /// The server's `TIME`.
    Server,
    /// A test sets the time, in microseconds.
    Manual(Arc<AtomicU64>),
}

/// A server's time that lies so far behind the newest time written was set back; less is the order of concurrent
/// commits.
const SET_BACK_US: u64 = 1_000_000;

/// What the server says of the time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    /// Its clock.
    pub(super) server: StoreTime,
    /// The newest time written.
    pub(super) newest: StoreTime,
    /// By how much its clock is put forward, in microseconds, because it was set back.
    pub(super) ahead_us: u64,
}

impl RedisClock {
    /// The time of a step: later than the newest time written, unless the step goes on with what was written at
    /// `since`. With it, by how much the clock is to be put forward from here on, where it was set back.
    pub(super) fn at(&self, times: Times, since: Option<StoreTime>) -> (StoreTime, Option<u64>) {
        let Times { server, newest, ahead_us } = times;
        if let Some(since) = since.filter(|since| newest <= *since) {
            return (since, None);
        }
        let clock = match self {
            Self::Server => server,
            Self::Manual(time) => StoreTime(time.load(Ordering::SeqCst)),
        };
        let next = StoreTime(newest.0.saturating_add(1));
        let now = StoreTime(clock.0.saturating_add(ahead_us));
        if now.0.saturating_add(SET_BACK_US) < newest.0 {
            return (next, Some(next.0.saturating_sub(clock.0)));
        }
        (now.max(next), None)
    }
}
