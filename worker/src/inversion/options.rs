//! What an inversion is asked to do: the method's settings, with its defaults.

use serde::{Deserialize, Serialize};

use super::parameterisation::{Parameterisation, ParameterisationError};
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
    /// Adam's learning rate; constant, not scaled by the batch.
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
