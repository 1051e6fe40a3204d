//! What is done with the loss on the fixed batch after an iteration: stop early, keep the best vectors.
//!
//! Says when that loss is due; who measures it, and on what, is the inversion's and the draws'. Carried in the checkpoint,
//! so that a resumed run judges as one that was never stopped.

use serde::{Deserialize, Serialize};

use super::early_stop::EarlyStop;
use super::keep_best::{Best, KeepBest};
use super::refinements::Refinements;

/// The judgement on the fixed batch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// The iteration after which the batch was measured last.
    measured: u32,
    early_stop: Option<EarlyStop>,
    keep_best: Option<KeepBest>,
}

impl Watch {
    /// Nothing measured yet; `None` where nothing would be done with it.
    pub fn new(refinements: &Refinements) -> Option<Self> {
        let early_stop = refinements.early_stop.map(EarlyStop::new);
        let keep_best = refinements.keep_best_every.map(KeepBest::new);
        let wanted = early_stop.is_some() || keep_best.is_some();
        wanted.then_some(Self { measured: 0, early_stop, keep_best })
    }

    /// Bytes that a checkpoint has at most for `numbers` of vectors, `moments` of Adam's among them; a little over.
    pub fn most_bytes(refinements: &Refinements, numbers: usize, moments: usize) -> usize {
        const REST: usize = 1024;
        let window = refinements.early_stop.map_or(0, |stop| stop.window as usize);
        let best = if refinements.keep_best_every.is_some() { numbers } else { 0 };
        (numbers + 2 * moments + best) * size_of::<f32>() + window * size_of::<f64>() + REST
    }

    /// Whether the batch is to be measured after iteration `step` of `total` and has not been.
    pub fn is_due(&self, step: u32, total: u32) -> bool {
        let keep_best = || self.keep_best.as_ref().is_some_and(|keep| keep.wants(step, total));
        step > self.measured && (self.early_stop.is_some() || keep_best())
    }

    /// Takes the loss after iteration `step` of `total`, measured with `vectors`.
    pub fn observe(&mut self, step: u32, total: u32, loss: f64, vectors: impl FnOnce() -> Vec<Vec<f32>>) {
        self.measured = step;
        if let Some(early_stop) = &mut self.early_stop {
            early_stop.observe(loss);
        }
        let ends = self.has_stopped();
        if let Some(keep_best) = &mut self.keep_best {
            keep_best.observe(step, total, ends, loss, vectors);
        }
    }

    /// Whether no further iteration is to be made.
    pub fn has_stopped(&self) -> bool {
        self.early_stop.as_ref().is_some_and(EarlyStop::has_settled)
    }

    /// The best vectors so far, where they are kept.
    pub fn best(&self) -> Option<&Best> {
        self.keep_best.as_ref().and_then(KeepBest::best)
    }
}

#[cfg(test)]
mod tests {
    use super::super::early_stop::EarlyStopOptions;
    use super::*;

    #[test]
    fn nothing_is_measured_unless_it_is_asked_for() {
        assert_eq!(Watch::new(&Refinements::default()), None);
        let masked =
            Refinements { background_weight: Some(0.3), min_snr_gamma: Some(5.0), ..Refinements::default() };
        assert_eq!(Watch::new(&masked), None);
    }

    #[test]
    fn the_best_of_two_wide_vectors_fit_into_a_checkpoint_and_those_of_four_do_not() {
        let refinements = Refinements {
            early_stop: Some(EarlyStopOptions { window: 500, ..EarlyStopOptions::default() }),
            keep_best_every: Some(25),
            ..Refinements::default()
        };
        let bytes = |vectors: usize| Watch::most_bytes(&refinements, vectors * 1024, vectors * 1024);
        assert!(bytes(2) < 40 * 1024 && bytes(3) < 64 * 1024, "{} and {}", bytes(2), bytes(3));
        assert!(bytes(4) > 64 * 1024);
    }

    #[test]
    fn a_measurement_is_due_once_an_iteration() {
        let stop = Some(EarlyStopOptions::default());
        let mut watch = Watch::new(&Refinements { early_stop: stop, ..Refinements::default() }).unwrap();
        assert!(!watch.is_due(0, 400), "the start is not judged");
        assert!(watch.is_due(1, 400));
        watch.observe(1, 400, 0.5, Vec::new);
        assert!(!watch.is_due(1, 400) && watch.is_due(2, 400));
        assert!(!watch.has_stopped() && watch.best().is_none());
    }

    #[test]
    fn an_early_end_is_a_candidate_of_the_best() {
        let refinements = Refinements {
            early_stop: Some(EarlyStopOptions { window: 10, threshold: 0.5 }),
            keep_best_every: Some(1000),
            ..Refinements::default()
        };
        let mut watch = Watch::new(&refinements).unwrap();
        let mut step = 0;
        while !watch.has_stopped() {
            step += 1;
            watch.observe(step, 1000, (-f64::from(step) / 20.0).exp(), || vec![vec![step as f32]]);
        }
        assert_eq!((step, watch.best().map(|best| best.step)), (100, Some(100)));
    }
}
