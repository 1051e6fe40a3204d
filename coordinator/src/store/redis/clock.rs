//! The store's clock: the server's, which every coordinator reads, kept from going back by the newest time written.

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

impl RedisClock {
    /// The time of a step, given the server's time and the newest time written: later than that, unless the step
    /// goes on with what was written at `since`.
    pub(super) fn at(&self, server: StoreTime, newest: StoreTime, since: Option<StoreTime>) -> StoreTime {
        if let Some(since) = since.filter(|since| newest <= *since) {
            return since;
        }
        let now = match self {
            Self::Server => server,
            Self::Manual(time) => StoreTime(time.load(Ordering::SeqCst)),
        };
        now.max(StoreTime(newest.0.saturating_add(1)))
    }
}
