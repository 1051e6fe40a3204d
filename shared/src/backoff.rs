//! Growing pauses between attempts, with jitter, so that a fleet of clients does not come back all at once.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Pauses that double from `first` to `most`, each shortened by up to a half.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
    key: u64,
}

impl Backoff {
    /// Starts at `first`, never over `most`. `key` decides the jitter: give every client its own.
    #[must_use]
    pub fn new(first: Duration, most: Duration, key: &str) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        let key = digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        Self { first, most, attempts: 0, key }
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.attempts.min(20)).min(self.most);
        self.attempts = self.attempts.saturating_add(1);
        self.key = self.key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = f64::from((self.key >> 33) as u32) / f64::from(1u32 << 31);
        doubled.mul_f64(0.5 + 0.5 * unit)
    }

    /// After a success: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_most_and_keep_within_half() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2), "a");
        for attempt in 0..12u32 {
            let full = Duration::from_millis(100).saturating_mul(1 << attempt).min(Duration::from_secs(2));
            let pause = backoff.next_pause();
            assert!(pause <= full && pause >= full / 2, "attempt {attempt}: {pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next_pause() <= Duration::from_millis(100));
    }
}
