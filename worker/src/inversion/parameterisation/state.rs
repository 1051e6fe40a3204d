//! The parameters of one person while they are learned, and the chain rule from vectors to parameters.

use super::{L2Mode, Parameterisation, ParameterisationError, free, log_norm, norm, sphere};

/// The gradient of the whole loss with respect to what is optimised.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// With respect to `d` (`none`: `v`), K x D.
    pub direction: Vec<Vec<f32>>,
    /// With respect to `n`, K; empty but for `log_norm`.
    pub log_norm: Vec<f32>,
}

/// The parameters of one person while they are learned: `[n, d]`, or `v` alone, or `d` alone.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedState {
    parameterisation: Parameterisation,
    /// `d` (`none`: `v`; `sphere`: of length 1), K x D.
    pub direction: Vec<Vec<f32>>,
    /// `n`, K; empty but for `log_norm`.
    pub log_norm: Vec<f32>,
    start: Vec<Vec<f32>>,
    /// The length of `sphere`'s vectors.
    radius: f64,
}

impl LearnedState {
    /// Parameters whose vectors are the start vectors, K x D; those of `sphere` have their directions and their mean
    /// length, until [`LearnedState::at_radius`] says another.
    pub fn new(
        parameterisation: Parameterisation,
        start: Vec<Vec<f32>>,
    ) -> Result<Self, ParameterisationError> {
        parameterisation.validate()?;
        let width = start.first().ok_or(ParameterisationError::NoVectors)?.len();
        for (index, vector) in start.iter().enumerate() {
            if vector.len() != width {
                return Err(ParameterisationError::Ragged { index, found: vector.len(), expected: width });
            }
            let length = norm(vector);
            if !(length.is_finite() && length > 0.0) {
                return Err(ParameterisationError::Degenerate(index));
            }
        }
        let (direction, log_norm) = match parameterisation {
            Parameterisation::None { .. } => (start.clone(), Vec::new()),
            Parameterisation::LogNorm { base } => {
                (start.clone(), start.iter().map(|vector| log_norm::log_norm_of(vector, base)).collect())
            }
            Parameterisation::Sphere { .. } => (start.iter().map(|v| sphere::unit(v)).collect(), Vec::new()),
        };
        let radius = start.iter().map(|vector| norm(vector)).sum::<f64>() / start.len() as f64;
        Ok(Self { parameterisation, direction, log_norm, start, radius })
    }

    /// The same with the vectors of `sphere` at this length. The others have lengths of their own.
    pub fn at_radius(mut self, radius: f64) -> Result<Self, ParameterisationError> {
        if !(radius.is_finite() && radius > 0.0) {
            return Err(ParameterisationError::Radius(radius));
        }
        self.radius = radius;
        Ok(self)
    }

    /// What is optimised.
    pub fn parameterisation(&self) -> Parameterisation {
        self.parameterisation
    }

    /// Where the vectors began, K x D.
    pub fn start(&self) -> &[Vec<f32>] {
        &self.start
    }

    /// The vectors as the model sees them, K x D: equation (1).
    pub fn vectors(&self) -> Vec<Vec<f32>> {
        match self.parameterisation {
            Parameterisation::None { .. } => self.direction.clone(),
            Parameterisation::LogNorm { base } => {
                let pairs = self.direction.iter().zip(&self.log_norm);
                pairs.map(|(d, n)| log_norm::vector(d, *n, base)).collect()
            }
            Parameterisation::Sphere { .. } => {
                self.direction.iter().map(|d| sphere::vector(d, self.radius)).collect()
            }
        }
    }

    /// The term that joins the training loss; 0 for `log_norm` and for `none` with [`L2Mode::Decoupled`].
    pub fn penalty(&self) -> f64 {
        let pairs = self.direction.iter().zip(&self.start);
        match self.parameterisation {
            Parameterisation::LogNorm { .. } | Parameterisation::None { l2: L2Mode::Decoupled, .. } => 0.0,
            Parameterisation::None { l2, weight } => {
                weight * pairs.map(|(v, v0)| free::squares(v, v0, l2)).sum::<f64>()
            }
            Parameterisation::Sphere { kappa } => pairs.map(|(d, v0)| sphere::penalty(d, v0, kappa)).sum(),
        }
    }

    /// Turns `g = dL/dv` of the plain loss (K x D) into the gradient of the whole loss: equation (2), or
    /// the penalty's term added.
    pub fn gradients(&self, grad_v: &[Vec<f32>]) -> Gradients {
        let each = self.direction.iter().zip(&self.start).zip(grad_v);
        match self.parameterisation {
            Parameterisation::None { l2, weight } => Gradients {
                direction: each.map(|((v, v0), g)| free::gradient(v, v0, g, l2, weight)).collect(),
                log_norm: Vec::new(),
            },
            Parameterisation::LogNorm { base } => {
                let (direction, log_norm) = each
                    .zip(&self.log_norm)
                    .map(|(((d, _), g), n)| log_norm::gradient(d, f64::from(*n), g, base))
                    .unzip();
                Gradients { direction, log_norm }
            }
            Parameterisation::Sphere { kappa } => Gradients {
                direction: each.map(|((d, v0), g)| sphere::gradient(d, v0, g, self.radius, kappa)).collect(),
                log_norm: Vec::new(),
            },
        }
    }

    /// One step of `sphere` against the gradient of its directions; the others take Adam's.
    pub fn turn(&mut self, direction_gradients: &[Vec<f32>], learning_rate: f64) {
        for (direction, gradient) in self.direction.iter_mut().zip(direction_gradients) {
            sphere::step(direction, gradient, learning_rate);
        }
    }

    /// Mean of |v| / |v0| over the vectors: 1 at the start, but for `sphere`.
    pub fn norm_ratio(&self) -> f64 {
        self.norm_ratio_of(&self.vectors())
    }

    /// The same of other vectors.
    pub fn norm_ratio_of(&self, vectors: &[Vec<f32>]) -> f64 {
        let sum: f64 = vectors.iter().zip(&self.start).map(|(v, v0)| norm(v) / norm(v0)).sum();
        sum / vectors.len() as f64
    }
}
