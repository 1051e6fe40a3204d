//! How long outages last that are longer than a lease.
//!
//! Usually they are short ones on leases of 3 s, so that the suite stays quick. With `LIKENESS_FAULT_FULL` they last as
//! long as their rows say, on the leases of a fleet that is told nothing.

use std::time::{Duration, Instant};

use crate::fleet::{SHORT_TIMES, USUAL_TIMES};

/// An outage and the leases that it meets.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Lines of the coordinators' configuration.
    pub times: &'static str,
    /// What a lease lives.
    pub lease: Duration,
    /// What the outage lasts.
    pub lasts: Duration,
}

impl Outage {
    /// One that its row calls `full`; a lease and a half where rows are scaled down.
    #[must_use]
    pub fn of(full: Duration) -> Self {
        if std::env::var_os("LIKENESS_FAULT_FULL").is_some() {
            Self { times: USUAL_TIMES, lease: Duration::from_secs(10), lasts: full }
        } else {
            let lease = Duration::from_secs(3);
            Self { times: SHORT_TIMES, lease, lasts: lease * 3 / 2 }
        }
    }

    /// Waits until an outage that began at `began` has lasted.
    pub fn wait(&self, began: Instant) {
        std::thread::sleep(self.lasts.saturating_sub(began.elapsed()));
    }

    /// Steps of `step` that take a lease longer than a worker works on unrenewed: what is left when the outage is over
    /// shows that nothing expires in the lease's life after it.
    #[must_use]
    pub fn steps(&self, step: Duration) -> u32 {
        let time = self.lease * 5 / 2;
        u32::try_from(time.as_millis() / step.as_millis()).expect("a number of steps")
    }
}
