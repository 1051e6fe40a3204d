//! What the paper does not have: options that are off unless asked for, for an inversion with a frozen model.
//!
//! Min-SNR weights are Hang et al. 2023 (arXiv 2303.09556), the early stop is DVAR (Voronov et al. 2023, arXiv
//! 2302.04841). With all of them off an inversion is what it is without this module, bit for bit, and its binding and
//! checkpoint are too.

use likeness_diffusion::schedule::{NoiseSchedule, PredictionType};
use serde::{Deserialize, Serialize};

use super::early_stop::EarlyStopOptions;
use super::options::OptionsError;

/// Options beyond the paper; all off by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Refinements {
    /// Min-SNR's gamma, greater than 0, typically 5: rows of little noise count less.
    pub min_snr_gamma: Option<f64>,
    /// Ends the iterations when the loss on a fixed batch has settled.
    pub early_stop: Option<EarlyStopOptions>,
    /// Every so many iterations (at least 1) the vectors are remembered if their loss on a fixed batch is the best.
    pub keep_best_every: Option<u32>,
    /// What latent pixels outside the face count in the loss, within (0, 1], where those inside count 1.
    pub background_weight: Option<f64>,
}

impl Refinements {
    /// Whether none of them is asked for.
    pub fn are_off(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses numbers that cannot be used, naming the first.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if let Some(gamma) = self.min_snr_gamma.filter(|gamma| !(gamma.is_finite() && *gamma > 0.0)) {
            return Err(OptionsError::MinSnrGamma(gamma));
        }
        if let Some(stop) = &self.early_stop {
            stop.validate()?;
        }
        if self.keep_best_every == Some(0) {
            return Err(OptionsError::KeepBest);
        }
        match self.background_weight.filter(|weight| !(*weight > 0.0 && *weight <= 1.0)) {
            Some(weight) => Err(OptionsError::BackgroundWeight(weight)),
            None => Ok(()),
        }
    }

    /// What each row counts in the mean of the loss; empty where all count 1.
    pub fn row_weights(&self, schedule: &NoiseSchedule, timesteps: &[u32]) -> Vec<f64> {
        let Some(gamma) = self.min_snr_gamma else { return Vec::new() };
        let weight = |timestep: &u32| {
            min_snr_weight(f64::from(schedule.snr(*timestep)), gamma, schedule.prediction_type())
        };
        timesteps.iter().map(weight).collect()
    }
}

/// `min(snr, gamma)` in the currency of the network's prediction, as diffusers has it: over `snr` for epsilon, over
/// `snr + 1` for velocity. Not normalised: rows of little noise lower the loss as a whole.
fn min_snr_weight(snr: f64, gamma: f64, prediction: PredictionType) -> f64 {
    match prediction {
        // The limit where nothing is left of the signal, at which diffusers divides 0 by 0.
        PredictionType::Epsilon if snr <= gamma => 1.0,
        PredictionType::Epsilon => gamma / snr,
        PredictionType::Velocity => snr.min(gamma) / (snr + 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_snr_weighs_rows_by_what_the_network_predicts() {
        let weight = |snr, prediction| min_snr_weight(snr, 5.0, prediction);
        for (snr, epsilon, velocity) in
            [(0.0, 1.0, 0.0), (0.25, 1.0, 0.2), (5.0, 1.0, 5.0 / 6.0), (20.0, 0.25, 5.0 / 21.0)]
        {
            assert!((weight(snr, PredictionType::Epsilon) - epsilon).abs() < 1e-12, "epsilon at {snr}");
            assert!((weight(snr, PredictionType::Velocity) - velocity).abs() < 1e-12, "velocity at {snr}");
        }
    }

    #[test]
    fn each_number_that_cannot_be_used_is_named() {
        let off = Refinements::default;
        assert!(off().are_off());
        assert_eq!(off().validate(), Ok(()));
        let stop = EarlyStopOptions { window: 1, ..EarlyStopOptions::default() };
        for (refused, word) in [
            (Refinements { min_snr_gamma: Some(0.0), ..off() }, "min_snr_gamma is 0"),
            (Refinements { min_snr_gamma: Some(f64::INFINITY), ..off() }, "min_snr_gamma is inf"),
            (Refinements { early_stop: Some(stop), ..off() }, "early_stop's window is 1"),
            (Refinements { keep_best_every: Some(0), ..off() }, "keep_best is 0"),
            (Refinements { background_weight: Some(1.5), ..off() }, "background_weight is 1.5"),
            (Refinements { background_weight: Some(f64::NAN), ..off() }, "background_weight is NaN"),
        ] {
            assert!(!refused.are_off());
            let said = refused.validate().unwrap_err().to_string();
            assert!(said.starts_with(word), "{said}");
        }
    }
}
