//! Beats and what their acknowledgements say: when the session counts as dead, and when a lease as unrenewed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Beats whose acknowledgement is still awaited; more are not remembered.
const AWAITED: usize = 64;

/// The rhythm of one session and the beats under way.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) lease_ttl: Duration,
    pub(super) beat_interval: Duration,
    sequence: u64,
    awaited: VecDeque<(u64, Instant)>,
    heard: Instant,
}

impl Pulse {
    /// The usual rhythm, until a `Welcome` says another.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            lease_ttl: Duration::from_secs(10),
            beat_interval: Duration::from_secs(2),
            sequence: 0,
            awaited: VecDeque::new(),
            heard: now,
        }
    }

    /// A new session: nothing is awaited of the old one.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        lease_ttl: Option<Duration>,
        beat_interval: Option<Duration>,
    ) {
        self.lease_ttl = lease_ttl.unwrap_or(self.lease_ttl);
        self.beat_interval = beat_interval.unwrap_or(self.beat_interval).max(Duration::from_millis(10));
        self.awaited.clear();
        self.heard = now;
    }

    /// The number of the beat that is sent now.
    pub(super) fn beat(&mut self, now: Instant) -> u64 {
        self.sequence += 1;
        if self.awaited.len() >= AWAITED {
            self.awaited.pop_front();
        }
        self.awaited.push_back((self.sequence, now));
        self.sequence
    }

    /// When the acknowledged beat was sent. Older beats are not awaited any more.
    pub(super) fn acknowledged(&mut self, sequence: u64, now: Instant) -> Option<Instant> {
        self.heard = now;
        let place = self.awaited.iter().position(|(awaited, _)| *awaited == sequence)?;
        self.awaited.drain(..=place).next_back().map(|(_, sent)| sent)
    }

    /// No acknowledgement for so long that the other side must be gone: three beats.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > self.beat_interval * 3
    }

    /// How old a lease may get before the worker stops by itself: four fifths of its life.
    pub(super) fn fence_limit(&self) -> Duration {
        self.lease_ttl.mul_f64(0.8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_counted_from_when_its_beat_was_sent() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        let (first, second) = (pulse.beat(at(1)), pulse.beat(at(3)));
        assert_eq!(pulse.acknowledged(second, at(4)), Some(at(3)));
        assert_eq!(pulse.acknowledged(first, at(4)), None, "an older beat says nothing new");
        assert_eq!(pulse.acknowledged(99, at(4)), None);
        assert!(!pulse.is_lost(at(10)));
        assert!(pulse.is_lost(at(11)));
        assert_eq!(pulse.fence_limit(), Duration::from_secs(8));
    }
}
