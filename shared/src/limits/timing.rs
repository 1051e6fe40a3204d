//! When a task may start, as a submit asks for it.

use std::time::Duration;

use super::{Checks, MAX_DELAY};
use crate::proto::Timing;

/// When a task may start, counted from its submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StartTimes {
    /// Not before so long.
    pub delay: Duration,
    /// Expires unless it has started within so long.
    pub start_within: Option<Duration>,
}

/// Checks a submit's timing. A missing one starts as soon as a worker is free, however long that takes.
pub fn fill_timing(timing: Option<Timing>, checks: &mut Checks) -> StartTimes {
    let Timing { delay, start_within } = timing.unwrap_or_default();
    let days = MAX_DELAY.as_secs() / (24 * 3600);
    let delay = delay.map_or(Some(Duration::ZERO), |delay| Duration::try_from(delay).ok());
    checks.require(delay.is_some_and(|delay| delay <= MAX_DELAY), "timing.delay", || {
        format!("must be 0 to {days} days")
    });
    let delay = delay.unwrap_or_default();
    let start_within = start_within.map(|within| Duration::try_from(within).unwrap_or_default());
    if let Some(within) = start_within {
        checks.require(within > delay, "timing.start_within", || {
            format!(
                "must be longer than the delay ({} s), for it counts from the submit too",
                delay.as_secs_f64()
            )
        });
        checks.require(within <= MAX_DELAY.saturating_mul(2), "timing.start_within", || {
            format!("must be at most {} days", days * 2)
        });
    }
    StartTimes { delay, start_within }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    fn refused(
        delay: Option<prost_types::Duration>,
        start_within: Option<prost_types::Duration>,
    ) -> Vec<String> {
        let mut checks = Checks::new();
        fill_timing(Some(Timing { delay, start_within }), &mut checks);
        checks.into_violations().into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn what_can_never_start_is_refused() {
        assert!(refused(None, None).is_empty());
        assert!(refused(seconds(30 * 24 * 3600), seconds(31 * 24 * 3600)).is_empty());
        assert_eq!(refused(seconds(30 * 24 * 3600 + 1), None), ["timing.delay"]);
        assert_eq!(refused(seconds(-1), None), ["timing.delay"]);
        assert_eq!(refused(seconds(10), seconds(10)), ["timing.start_within"]);
        assert_eq!(refused(None, seconds(0)), ["timing.start_within"]);
        assert_eq!(refused(None, seconds(-5)), ["timing.start_within"]);
    }

    #[test]
    fn no_timing_starts_at_once_and_never_expires() {
        let mut checks = Checks::new();
        assert_eq!(fill_timing(None, &mut checks), StartTimes::default());
        assert!(checks.finish().is_ok());
    }
}
