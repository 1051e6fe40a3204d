//! Scrubs the store from time to time, and counts what was found: the count must stay 0, for a difference is a fault of
//! ours or a hand that reached into the store.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::api::Shared;
use crate::store::{Scrubbed, StoreError, TaskStore};

/// Sentences of one scrub that go into the log.
const LOGGED: usize = 20;

/// What the scrubs of this coordinator found.
#[derive(Debug, Default)]
pub(crate) struct Scrubber {
    /// Each scrub has the whole store in memory.
    alone: Mutex<()>,
    scrubs: AtomicU64,
    differences: AtomicU64,
}

impl Scrubber {
    /// Scrubs once no other scrub is under way here.
    pub(crate) async fn scrub(&self, store: &dyn TaskStore, dry_run: bool) -> Result<Scrubbed, StoreError> {
        let _alone = self.alone.lock().await;
        let scrubbed = store.scrub(dry_run).await?;
        let scrubs = self.scrubs.fetch_add(1, Ordering::Relaxed) + 1;
        let differences = self.differences.fetch_add(scrubbed.found, Ordering::Relaxed) + scrubbed.found;
        for difference in scrubbed.differences.iter().take(LOGGED) {
            tracing::error!(difference, "the task store differs from its records");
        }
        let Scrubbed { found, repaired, tasks, shares_compared, .. } = scrubbed;
        if found > 0 {
            tracing::error!(
                found,
                repaired,
                tasks,
                shares_compared,
                scrubs,
                differences,
                "the task store's indexes were not as its records say"
            );
        } else {
            tracing::info!(tasks, shares_compared, scrubs, differences, "the task store was scrubbed");
        }
        Ok(scrubbed)
    }

    /// Scrubs made, and differences found by them.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.scrubs.load(Ordering::Relaxed), self.differences.load(Ordering::Relaxed))
    }
}

/// Scrubs every `retention.scrub_interval`, until the coordinator stops.
pub(crate) async fn scrub_now_and_then(shared: Shared) {
    let retention = &shared.config.retention;
    if retention.scrub_interval.is_zero() {
        return shared.stop.cancelled().await;
    }
    let mut ticks = interval_at(Instant::now() + retention.scrub_interval, retention.scrub_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let scrub = shared.scrubber.scrub(&*shared.store, !retention.scrub_repairs);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            scrubbed = scrub => {
                if let Err(error) = scrubbed {
                    tracing::error!(%error, "cannot scrub the task store");
                }
            }
        }
    }
}
