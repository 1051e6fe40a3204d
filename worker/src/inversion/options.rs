//! What an inversion is asked to do: the method's settings, with its defaults.

use likeness_shared::limits::STOP_WINDOWS;
use serde::{Deserialize, Serialize};

use super::parameterisation::{Parameterisation, ParameterisationError};
use super::refinements::Refinements;
use super::templates::Templates;

/// How the timesteps of one iteration's rows are drawn from `0..num_train_timesteps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timesteps {
    /// One from each of `batch` equal parts of the range: uniform over all, with less variance.
    #[default]
    Stratified,
    /// Each row by itself.
    Uniform,
}

/// The settings of one inversion. The result depends on them, the photos, the start and the model alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InversionOptions {
    /// What is optimised.
    pub parameterisation: Parameterisation,
    /// Iterations, 1..=10000.
    pub steps: u32,
    /// Rows of one iteration, 1..=64; `None` = min(8, photos).
    pub batch_size: Option<u32>,
    /// Adam's learning rate, or what a step of `sphere` turns by; constant, not scaled by the batch.
    pub learning_rate: f64,
    /// Learning rate of the log-norm alone; `None` = `learning_rate`.
    pub norm_learning_rate: Option<f64>,
    /// Mirror half of the rows.
    pub flip: bool,
    /// Captions.
    pub templates: Templates,
    /// How timesteps are drawn.
    pub timesteps: Timesteps,
    /// Key of the task's random numbers.
    pub seed: u64,
    /// What the paper does not have. Left out of the serialised form where all of it is off, which so is the same as
    /// that of releases without it: a checkpoint's binding is a digest of this form.
    #[serde(default, skip_serializing_if = "Refinements::are_off")]
    pub refinements: Refinements,
}

impl Default for InversionOptions {
    fn default() -> Self {
        Self {
            parameterisation: Parameterisation::default(),
            steps: 400,
            batch_size: None,
            learning_rate: 5e-3,
            norm_learning_rate: None,
            flip: true,
            templates: Templates::default(),
            timesteps: Timesteps::default(),
            seed: 0,
            refinements: Refinements::default(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// Too few or too many iterations.
    #[error("steps is {0}: give 1 to 10000")]
    Steps(u32),
    /// Too few or too many rows.
    #[error("batch_size is {0}: give 1 to 64")]
    BatchSize(u32),
    /// A learning rate is zero, negative or not a number.
    #[error("{name} is {value}: give a finite number greater than 0, such as 0.005")]
    LearningRate {
        /// Which one.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// Min-SNR's gamma is zero, negative or not a number.
    #[error("min_snr_gamma is {0}: give a finite number greater than 0, such as 5, or leave it out")]
    MinSnrGamma(f64),
    /// Too few or too many losses to judge by.
    #[error("early_stop's window is {0}: give {least} to {most}", least = STOP_WINDOWS.start(), most = STOP_WINDOWS.end())]
    StopWindow(u32),
    /// A share of the variance that is none.
    #[error("early_stop's threshold is {0}: give a number above 0 and at most 1, such as 0.15")]
    StopThreshold(f64),
    /// Never is not a number of iterations.
    #[error("keep_best is 0: give the number of iterations between candidates, such as 25, or leave it out")]
    KeepBest,
    /// A weight of the background that makes no loss, or one above the face's.
    #[error("background_weight is {0}: give a number above 0 and at most 1, such as 0.2, or leave it out")]
    BackgroundWeight(f64),
    /// The parameterisation's own numbers.
    #[error(transparent)]
    Parameterisation(#[from] ParameterisationError),
}

impl InversionOptions {
    /// Refuses settings that cannot be used, naming the first.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if !(1..=10_000).contains(&self.steps) {
            return Err(OptionsError::Steps(self.steps));
        }
        if let Some(batch_size) = self.batch_size.filter(|size| !(1..=64).contains(size)) {
            return Err(OptionsError::BatchSize(batch_size));
        }
        let rates =
            [("learning_rate", Some(self.learning_rate)), ("norm_learning_rate", self.norm_learning_rate)];
        for (name, value) in rates {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                return Err(OptionsError::LearningRate { name, value });
            }
        }
        self.refinements.validate()?;
        Ok(self.parameterisation.validate()?)
    }

    /// Rows of one iteration for this many photos.
    pub fn rows(&self, photos: usize) -> u32 {
        self.batch_size.unwrap_or_else(|| u32::try_from(photos).unwrap_or(u32::MAX).clamp(1, 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_batch_shows_every_photo_once_up_to_eight() {
        let options = InversionOptions::default();
        assert_eq!([3, 8, 20].map(|photos| options.rows(photos)), [3, 8, 8]);
        assert_eq!(InversionOptions { batch_size: Some(2), ..options }.rows(8), 2);
    }

    /// A checkpoint is bound to these bytes: one of a release without refinements is resumed by this one.
    #[test]
    fn without_refinements_the_serialised_form_has_no_trace_of_them() {
        let options = InversionOptions { batch_size: Some(3), seed: 9, ..InversionOptions::default() };
        let before = (
            (options.parameterisation, options.steps, options.batch_size),
            (options.learning_rate, options.norm_learning_rate, options.flip),
            (options.templates, options.timesteps, options.seed),
        );
        assert_eq!(postcard::to_stdvec(&options).unwrap(), postcard::to_stdvec(&before).unwrap());
        let refined = |refinements| postcard::to_stdvec(&InversionOptions { refinements, ..options.clone() });
        let weight = Refinements { background_weight: Some(0.5), ..Refinements::default() };
        let gamma = Refinements { min_snr_gamma: Some(0.5), ..Refinements::default() };
        assert_ne!(refined(weight).unwrap(), refined(gamma).unwrap());
    }

    #[test]
    fn each_bad_setting_is_named() {
        let good = InversionOptions::default;
        assert_eq!(good().validate(), Ok(()));
        assert_eq!(InversionOptions { steps: 0, ..good() }.validate(), Err(OptionsError::Steps(0)));
        assert_eq!(
            InversionOptions { batch_size: Some(65), ..good() }.validate(),
            Err(OptionsError::BatchSize(65))
        );
        let refused = InversionOptions { norm_learning_rate: Some(-1.0), ..good() }.validate();
        assert!(refused.unwrap_err().to_string().starts_with("norm_learning_rate is -1"));
    }
}
