//! The store's clock: microseconds that never go back, whatever the host's clock does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::store::record::StoreTime;

/// Where the store's time comes from.
#[derive(Debug, Clone)]
pub enum StoreClock {
    /// The host's wall clock is read once, at the start; from there on only elapsed time counts.
    Host {
        /// Time at the start.
        base: StoreTime,
        /// The start.
        start: Instant,
    },
    /// A test sets the time, in microseconds.
    Manual(Arc<AtomicU64>),
}

impl StoreClock {
    /// The host's clock as it is.
    #[must_use]
    pub fn host() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let base = StoreTime(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX));
        Self::Host { base, start: Instant::now() }
    }

    /// The same clock, but never before `last`.
    pub(super) fn starting_at(self, last: StoreTime) -> Self {
        match self {
            Self::Host { base, start } => Self::Host { base: base.max(last), start },
            manual @ Self::Manual(_) => manual,
        }
    }

    /// The time, and in any case later than `last`.
    pub(super) fn after(&self, last: StoreTime) -> StoreTime {
        let now = match self {
            Self::Host { base, start } => base.plus(start.elapsed()),
            Self::Manual(time) => StoreTime(time.load(Ordering::SeqCst)),
        };
        now.max(StoreTime(last.0.saturating_add(1)))
    }
}
