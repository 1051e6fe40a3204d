//! The vectors whose loss on a fixed batch was the best, looked at every so many iterations.
//!
//! Candidates are the vectors after every `every`-th iteration and after the last. A candidate's score is the mean loss of
//! the last [`SMOOTHED_OVER`] iterations up to it, so that one lucky step does not win. Lower is better; of two equal
//! ones the earlier stays. The score is a loss: whether the pictures look like the person more is not measured.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Losses in one score.
pub const SMOOTHED_OVER: u32 = 5;

/// The best so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// After how many iterations they were this.
    pub step: u32,
    /// Their score.
    pub score: f64,
    /// The vectors, K x D.
    pub vectors: Vec<Vec<f32>>,
}

/// The best vectors so far and the losses of the next score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeepBest {
    every: u32,
    last: VecDeque<f64>,
    best: Option<Best>,
}

impl KeepBest {
    /// None so far; candidates every `every` iterations (0 counts as 1).
    pub fn new(every: u32) -> Self {
        Self { every: every.max(1), last: VecDeque::new(), best: None }
    }

    /// The best candidate so far.
    pub fn best(&self) -> Option<&Best> {
        self.best.as_ref()
    }

    /// Whether the loss after iteration `step` of `total` is part of a candidate's score.
    pub fn wants(&self, step: u32, total: u32) -> bool {
        let until_next = (self.every - step % self.every) % self.every;
        until_next.min(total.saturating_sub(step)) < SMOOTHED_OVER
    }

    /// Takes the loss after iteration `step` of `total`, which is the last one where `ends` says so. Where it is a
    /// candidate, `vectors` are those it was measured with.
    pub fn observe(
        &mut self,
        step: u32,
        total: u32,
        ends: bool,
        loss: f64,
        vectors: impl FnOnce() -> Vec<Vec<f32>>,
    ) {
        if self.last.len() >= SMOOTHED_OVER as usize {
            self.last.pop_front();
        }
        self.last.push_back(loss);
        if !(ends || step >= total || step.is_multiple_of(self.every)) {
            return;
        }
        let score = self.last.iter().sum::<f64>() / self.last.len() as f64;
        let better = self.best.as_ref().is_none_or(|best| score < best.score);
        if score.is_finite() && better {
            self.best = Some(Best { step, score, vectors: vectors() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(every: u32, losses: &[f64]) -> KeepBest {
        let (mut keep, total) = (KeepBest::new(every), losses.len() as u32);
        for (step, loss) in (1..).zip(losses) {
            if keep.wants(step, total) {
                keep.observe(step, total, false, *loss, || vec![vec![step as f32]]);
            }
        }
        keep
    }

    #[test]
    fn the_candidate_with_the_lowest_mean_over_its_last_iterations_stays() {
        // Of 10, 20 and 25 the second is best, though iteration 25 has the lowest single loss.
        let mut losses = vec![1.0; 25];
        losses[15..20].fill(0.5);
        losses[24] = 0.0;
        let best = run(10, &losses).best().cloned().unwrap();
        assert_eq!((best.step, best.score, best.vectors), (20, 0.5, vec![vec![20.0]]));
    }

    #[test]
    fn only_iterations_before_a_candidate_are_measured_and_the_last_one_is_one() {
        let keep = KeepBest::new(10);
        let wanted: Vec<u32> = (1..=23).filter(|step| keep.wants(*step, 23)).collect();
        assert_eq!(wanted, [6, 7, 8, 9, 10, 16, 17, 18, 19, 20, 21, 22, 23]);
        assert!((1..=9).all(|step| KeepBest::new(1).wants(step, 9)));
        assert_eq!(run(100, &[3.0, 2.0, 1.0]).best().unwrap().step, 3);
    }

    #[test]
    fn losses_that_are_no_numbers_never_win_and_equal_ones_do_not_replace() {
        assert_eq!(run(1, &[f64::NAN, f64::INFINITY]).best(), None);
        assert_eq!(run(5, &[0.5; 20]).best().unwrap().step, 5);
    }

    #[test]
    fn where_the_iterations_end_early_the_end_is_a_candidate() {
        let mut keep = KeepBest::new(50);
        (1..=6).for_each(|step| keep.observe(step, 400, false, 1.0, Vec::new));
        assert_eq!(keep.best(), None);
        keep.observe(7, 400, true, 1.0, || vec![vec![7.0]]);
        assert_eq!(keep.best().unwrap().step, 7);
    }
}
