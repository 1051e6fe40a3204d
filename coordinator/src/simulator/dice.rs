//! Chance, from one seed: the same seed gives the same life.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A stream of random numbers and the distributions that the simulator draws from.
#[derive(Debug)]
pub(super) struct Dice {
    numbers: StdRng,
}

impl Dice {
    /// One of several independent streams of a seed, so that more draws for one purpose do not change another's.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self { numbers: StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream) }
    }

    /// At least 0 and less than 1.
    pub(super) fn share(&mut self) -> f64 {
        self.numbers.random::<f64>()
    }

    /// True in this share of the cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// Between events that come at random, as many as `rate` in a unit of time.
    pub(super) fn exponential(&mut self, rate: f64) -> f64 {
        -(1.0 - self.share()).ln() / rate
    }

    /// Log-normal with mean 1.
    pub(super) fn log_normal(&mut self, sigma: f64) -> f64 {
        if sigma == 0.0 {
            return 1.0;
        }
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.share()).cos();
        (sigma * normal - sigma * sigma / 2.0).exp()
    }
}

/// Draws an index in proportion to weights.
#[derive(Debug)]
pub(super) struct Lottery {
    cumulative: Vec<f64>,
}

impl Lottery {
    pub(super) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let add = |weight| {
            sum += weight;
            sum
        };
        Self { cumulative: weights.into_iter().map(add).collect() }
    }

    pub(super) fn draw(&self, dice: &mut Dice) -> usize {
        let at = dice.share() * self.cumulative.last().copied().unwrap_or(0.0);
        self.cumulative.partition_point(|sum| *sum <= at).min(self.cumulative.len().saturating_sub(1))
    }
}
