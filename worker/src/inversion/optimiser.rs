//! Applies a gradient to what is optimised: Adam over directions and log-norms, or a turn on the sphere.

use super::adam::{Adam, AdamOptions};
use super::options::InversionOptions;
use super::parameterisation::{Gradients, LearnedState, Parameterisation};

/// The moments of one inversion.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Optimiser {
    learning_rate: f64,
    /// Over the directions, in order; over nothing for `sphere`, which has no moments.
    pub(super) direction_adam: Adam,
    /// Over the log-norms.
    pub(super) norm_adam: Adam,
}

impl Optimiser {
    /// No moments yet.
    pub(super) fn new(options: &InversionOptions, state: &LearnedState) -> Self {
        let directions = AdamOptions {
            learning_rate: options.learning_rate,
            weight_decay: options.parameterisation.decoupled_decay(),
            ..AdamOptions::default()
        };
        let norms = AdamOptions {
            learning_rate: options.norm_learning_rate.unwrap_or(options.learning_rate),
            ..AdamOptions::default()
        };
        let numbers = match options.parameterisation {
            Parameterisation::Sphere { .. } => 0,
            _ => state.direction.iter().map(Vec::len).sum(),
        };
        Self {
            learning_rate: options.learning_rate,
            direction_adam: Adam::new(directions, numbers),
            norm_adam: Adam::new(norms, state.log_norm.len()),
        }
    }

    /// One update of `state`.
    pub(super) fn apply(&mut self, state: &mut LearnedState, gradients: &Gradients) {
        let Gradients { direction, log_norm } = gradients;
        if let Parameterisation::Sphere { .. } = state.parameterisation() {
            return state.turn(direction, self.learning_rate);
        }
        self.direction_adam.update(state.direction.iter_mut().flatten().zip(direction.iter().flatten()));
        if !log_norm.is_empty() {
            self.norm_adam.update(state.log_norm.iter_mut().zip(log_norm));
        }
    }
}
