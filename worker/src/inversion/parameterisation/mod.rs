//! What is optimised: the vectors themselves, their length and direction apart, or their direction alone.
//!
//! `log_norm(a)` is the paper's modified inversion: a learned vector is `v = a^n d/|d|` (1) with scalar `n`
//! and vector `d`. `none` learns `v` itself under a penalty on its length, in one of three [`L2Mode`]s. `sphere`
//! keeps every vector at one length and moves its direction only. [`LearnedState`] holds the parameters and turns
//! gradients of the vectors into theirs; `free`, `log_norm` and `sphere` are the arithmetic of one vector.
//!
//! All of it runs on the host: K x D numbers, stored in f32, sums and powers in f64. The device only ever
//! supplies `g = dL/dv`. (Livshits 2023, doi 10.21685/2587-7704-2023-8-2-6, equations 1 and 2.)

mod free;
mod log_norm;
mod sphere;
mod state;

use serde::{Deserialize, Serialize};

pub use state::{Gradients, LearnedState};

/// How `none` keeps vectors from growing. `w` is the weight, `lr` the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L2Mode {
    /// AdamW's decay: `v *= 1 - lr w` before each update; no term in the loss.
    Decoupled,
    /// `w * sum(v^2)` over all K x D entries joins the loss, so its gradient `2 w v` passes through Adam.
    Coupled,
    /// `w * sum((v - v0)^2)` joins the loss: a pull towards the start instead of zero.
    Anchor,
}

/// What is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameterisation {
    /// The vectors themselves.
    None {
        /// The form of the penalty.
        l2: L2Mode,
        /// The penalty's weight; the method's value is 0.01.
        weight: f64,
    },
    /// Length and direction apart: `v = a^n d/|d|`.
    LogNorm {
        /// The base `a`, greater than 1; the method's value is 2.71.
        base: f64,
    },
    /// The direction alone, at the mean length of the model's token vectors (directional textual inversion, Kim et
    /// al. 2025, arXiv 2512.13672).
    Sphere {
        /// Concentration of the prior towards the start's direction, at least 0; the paper's value is 1e-4.
        kappa: f64,
    },
}

impl Default for Parameterisation {
    fn default() -> Self {
        Self::LogNorm { base: 2.71 }
    }
}

/// A start or a setting that no vector can be learned from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParameterisationError {
    /// The base is no base of a logarithm that grows.
    #[error("log_norm's base is {0}: give a finite number greater than 1, such as 2.71")]
    Base(f64),
    /// The penalty's weight is negative or not a number.
    #[error("the L2 weight is {0}: give a finite number of at least 0, such as 0.01")]
    Weight(f64),
    /// The prior's concentration is negative or not a number.
    #[error("sphere's kappa is {0}: give a finite number of at least 0, such as 0.0001")]
    Kappa(f64),
    /// The length of the sphere's vectors is no length.
    #[error("the model's token vectors have a mean length of {0}: this model has none to learn on a sphere")]
    Radius(f64),
    /// There is nothing to learn.
    #[error("no start vector was given: at least one is needed")]
    NoVectors,
    /// The start vectors differ in width.
    #[error("start vector {index} has {found} numbers where the first has {expected}")]
    Ragged {
        /// Which vector, from 0.
        index: usize,
        /// Numbers it has.
        found: usize,
        /// Numbers it should have.
        expected: usize,
    },
    /// A start vector has no direction.
    #[error("start vector {0} is zero or not finite: it has no direction to start from")]
    Degenerate(usize),
}

impl Parameterisation {
    /// Checks the numbers of the parameterisation itself.
    pub fn validate(&self) -> Result<(), ParameterisationError> {
        let at_least_zero = |value: f64| value.is_finite() && value >= 0.0;
        match *self {
            Self::None { weight, .. } if !at_least_zero(weight) => Err(ParameterisationError::Weight(weight)),
            Self::LogNorm { base } if !(base.is_finite() && base > 1.0) => {
                Err(ParameterisationError::Base(base))
            }
            Self::Sphere { kappa } if !at_least_zero(kappa) => Err(ParameterisationError::Kappa(kappa)),
            _ => Ok(()),
        }
    }

    /// The decay that Adam applies by itself (`none` with [`L2Mode::Decoupled`] only).
    pub fn decoupled_decay(&self) -> f64 {
        match *self {
            Self::None { l2: L2Mode::Decoupled, weight } => weight,
            _ => 0.0,
        }
    }
}

/// The Euclidean length, summed in f64.
pub fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

/// The inner product, summed in f64.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests;
