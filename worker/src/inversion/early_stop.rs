//! Whether the loss on a fixed batch has settled: DVAR (Voronov et al. 2023, arXiv 2302.04841).
//!
//! Training losses are too noisy to judge by: photo, noise and timestep differ from row to row. On one batch of fixed
//! latents, noise, timesteps and captions the loss moves with the vectors alone. It has settled when the variance of the
//! last `window` losses is less than `threshold` of the variance of all; both are population variances. Knows losses
//! only: what they are measured on is the caller's.

use std::collections::VecDeque;

use likeness_shared::limits::{DEFAULT_STOP_THRESHOLD, DEFAULT_STOP_WINDOW, STOP_WINDOWS};
use serde::{Deserialize, Serialize};

use super::options::OptionsError;

/// Losses before which nothing is judged, however small the window.
pub const LEAST_LOSSES: u64 = 100;

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopOptions {
    /// How many of the last losses are looked at, within [`STOP_WINDOWS`].
    pub window: u32,
    /// Variance of the last losses over that of all, within (0, 1], below which the loss has settled.
    pub threshold: f64,
}

impl Default for EarlyStopOptions {
    /// 80 losses, which suits 400 iterations, and the threshold of the authors' program.
    fn default() -> Self {
        Self { window: DEFAULT_STOP_WINDOW, threshold: DEFAULT_STOP_THRESHOLD }
    }
}

impl EarlyStopOptions {
    /// Refuses numbers that cannot be used.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if !STOP_WINDOWS.contains(&self.window) {
            return Err(OptionsError::StopWindow(self.window));
        }
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(OptionsError::StopThreshold(self.threshold));
        }
        Ok(())
    }
}

/// The losses so far, as much of them as the judgement needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStop {
    options: EarlyStopOptions,
    seen: u64,
    /// Mean of all losses, and their summed squared distances from it (Welford).
    mean: f64,
    squares: f64,
    /// The last `window` losses, the newest at the back.
    last: VecDeque<f64>,
    settled: bool,
}

impl EarlyStop {
    /// No losses yet.
    pub fn new(options: EarlyStopOptions) -> Self {
        Self { options, seen: 0, mean: 0.0, squares: 0.0, last: VecDeque::new(), settled: false }
    }

    /// Takes the next loss. One that is not finite says nothing about settling and is left out.
    pub fn observe(&mut self, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        self.seen += 1;
        let distance = loss - self.mean;
        self.mean += distance / self.seen as f64;
        self.squares += distance * (loss - self.mean);
        if self.last.len() >= self.options.window as usize {
            self.last.pop_front();
        }
        self.last.push_back(loss);
        self.settled |= self.ratio().is_some_and(|ratio| ratio < self.options.threshold);
    }

    /// Whether the loss has settled; once true, always true.
    pub fn has_settled(&self) -> bool {
        self.settled
    }

    /// Variance of the last losses over that of all; `None` while there are too few, or where all are the same.
    pub fn ratio(&self) -> Option<f64> {
        let few = self.seen < LEAST_LOSSES || self.last.len() < self.options.window as usize;
        let of_all = self.squares / self.seen as f64;
        if few || of_all <= 0.0 {
            return None;
        }
        let count = self.last.len() as f64;
        let mean = self.last.iter().sum::<f64>() / count;
        let of_last = self.last.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count;
        Some(of_last / of_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loss that falls and flattens, with a small ripple.
    fn falling(step: u32) -> f64 {
        0.2 + 0.1 * (-f64::from(step) / 25.0).exp() + 1e-3 * f64::from(step % 3)
    }

    fn stops_at(options: EarlyStopOptions, loss: impl Fn(u32) -> f64, most: u32) -> Option<u32> {
        let mut stop = EarlyStop::new(options);
        (0..most).find(|step| {
            stop.observe(loss(*step));
            stop.has_settled()
        })
    }

    #[test]
    fn the_ratio_is_that_of_the_variances_worked_out_whole() {
        let mut stop = EarlyStop::new(EarlyStopOptions { window: 60, threshold: 1e-9 });
        let losses: Vec<f64> = (0..150).map(falling).collect();
        let variance = |losses: &[f64]| {
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / losses.len() as f64
        };
        for (index, loss) in losses.iter().enumerate() {
            stop.observe(*loss);
            let seen = index + 1;
            match stop.ratio() {
                None => assert!(seen < 100),
                Some(ratio) => {
                    let expected = variance(&losses[seen - 60..seen]) / variance(&losses[..seen]);
                    assert!((ratio - expected).abs() < 1e-9, "after {seen}: {ratio} is not {expected}");
                }
            }
        }
        assert!(!stop.has_settled());
    }

    #[test]
    fn it_stops_when_a_falling_loss_has_flattened_and_never_before_a_hundred() {
        let options = EarlyStopOptions::default();
        let stopped = stops_at(options, falling, 400).expect("it never stopped");
        assert!((100..200).contains(&stopped), "stopped at {stopped}");
        let at_once = EarlyStopOptions { window: 10, threshold: 1.0 };
        assert_eq!(stops_at(at_once, falling, 400), Some(99), "the hundredth loss is the first to be judged");
    }

    #[test]
    fn a_loss_that_goes_on_falling_or_never_moves_does_not_stop_it() {
        let options = EarlyStopOptions { window: 80, threshold: 0.02 };
        assert_eq!(stops_at(options, |step| 1.0 - 1e-3 * f64::from(step), 400), None);
        assert_eq!(stops_at(options, |_| 0.25, 400), None);
        assert_eq!(stops_at(options, |_| f64::NAN, 400), None);
    }

    #[test]
    fn it_goes_on_from_its_bytes_as_if_nothing_had_happened() {
        let mut whole = EarlyStop::new(EarlyStopOptions::default());
        (0..90).for_each(|step| whole.observe(falling(step)));
        let bytes = postcard::to_stdvec(&whole).unwrap();
        let mut resumed: EarlyStop = postcard::from_bytes(&bytes).unwrap();
        for step in 90..300 {
            whole.observe(falling(step));
            resumed.observe(falling(step));
            assert_eq!(whole, resumed);
        }
        assert!(whole.has_settled());
    }
}
