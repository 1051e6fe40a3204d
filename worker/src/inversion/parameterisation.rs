//! What is optimised: the vectors themselves, or their length and direction apart.
//!
//! `log_norm(a)` is the paper's modified inversion: a learned vector is `v = a^n d/|d|` (1) with scalar `n`
//! and vector `d`, so that `dL/dn = <g,u> a^n ln a` (2) and `dL/dd = (a^n/|d|)(g - <g,u>u)` for `g = dL/dv`,
//! `u = d/|d|`. Start: `d = v0`, `n = ln|v0| / ln a`, hence `v = v0`. `d` is never renormalised.
//! `none` learns `v` itself under a penalty on its length, in one of three [`L2Mode`]s.
//!
//! All of it runs on the host: K x D numbers, stored in f32, sums and powers in f64. The device only ever
//! supplies `g`. (Livshits 2023, doi 10.21685/2587-7704-2023-8-2-6, equations 1 and 2.)

use serde::{Deserialize, Serialize};

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
        match *self {
            Self::None { weight, .. } if !(weight.is_finite() && weight >= 0.0) => {
                Err(ParameterisationError::Weight(weight))
            }
            Self::LogNorm { base } if !(base.is_finite() && base > 1.0) => {
                Err(ParameterisationError::Base(base))
            }
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

/// The gradient of the whole loss with respect to what is optimised.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// With respect to `d` (`none`: `v`), K x D.
    pub direction: Vec<Vec<f32>>,
    /// With respect to `n`, K; empty for `none`.
    pub log_norm: Vec<f32>,
}

/// The parameters of one person while they are learned: `[n, d]`, or `v` alone.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedState {
    parameterisation: Parameterisation,
    /// `d` (`none`: `v`), K x D.
    pub direction: Vec<Vec<f32>>,
    /// `n`, K; empty for `none`.
    pub log_norm: Vec<f32>,
    start: Vec<Vec<f32>>,
}

impl LearnedState {
    /// Parameters whose vectors are the start vectors, K x D.
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
        let log_norm = match parameterisation {
            Parameterisation::None { .. } => Vec::new(),
            Parameterisation::LogNorm { base } => {
                start.iter().map(|vector| (norm(vector).ln() / base.ln()) as f32).collect()
            }
        };
        Ok(Self { parameterisation, direction: start.clone(), log_norm, start })
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
            Parameterisation::LogNorm { base } => self
                .direction
                .iter()
                .zip(&self.log_norm)
                .map(|(direction, log_norm)| {
                    let scale = base.powf(f64::from(*log_norm)) / norm(direction);
                    direction.iter().map(|x| (f64::from(*x) * scale) as f32).collect()
                })
                .collect(),
        }
    }

    /// The term that joins the training loss; 0 unless `none` is coupled or anchored.
    pub fn penalty(&self) -> f64 {
        let Parameterisation::None { l2, weight } = self.parameterisation else { return 0.0 };
        let squares = |vector: &[f32], origin: Option<&[f32]>| -> f64 {
            vector
                .iter()
                .enumerate()
                .map(|(i, x)| f64::from(*x) - origin.map_or(0.0, |origin| f64::from(origin[i])))
                .map(|x| x * x)
                .sum()
        };
        match l2 {
            L2Mode::Decoupled => 0.0,
            L2Mode::Coupled => weight * self.direction.iter().map(|v| squares(v, None)).sum::<f64>(),
            L2Mode::Anchor => {
                weight
                    * self.direction.iter().zip(&self.start).map(|(v, v0)| squares(v, Some(v0))).sum::<f64>()
            }
        }
    }

    /// Turns `g = dL/dv` of the plain loss (K x D) into the gradient of the whole loss: equation (2), or
    /// the penalty's term added.
    pub fn gradients(&self, grad_v: &[Vec<f32>]) -> Gradients {
        match self.parameterisation {
            Parameterisation::None { l2, weight } => Gradients {
                direction: self
                    .direction
                    .iter()
                    .zip(&self.start)
                    .zip(grad_v)
                    .map(|((v, v0), g)| penalised(v, v0, g, l2, weight))
                    .collect(),
                log_norm: Vec::new(),
            },
            Parameterisation::LogNorm { base } => {
                let (direction, log_norm) = self
                    .direction
                    .iter()
                    .zip(&self.log_norm)
                    .zip(grad_v)
                    .map(|((d, n), g)| log_norm_gradient(d, f64::from(*n), g, base))
                    .unzip();
                Gradients { direction, log_norm }
            }
        }
    }

    /// Mean of |v| / |v0| over the vectors: 1 at the start.
    pub fn norm_ratio(&self) -> f64 {
        let vectors = self.vectors();
        let sum: f64 = vectors.iter().zip(&self.start).map(|(v, v0)| norm(v) / norm(v0)).sum();
        sum / vectors.len() as f64
    }
}

/// The Euclidean length, summed in f64.
pub fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

fn penalised(v: &[f32], v0: &[f32], g: &[f32], l2: L2Mode, weight: f64) -> Vec<f32> {
    v.iter()
        .zip(v0)
        .zip(g)
        .map(|((v, v0), g)| {
            let pull = match l2 {
                L2Mode::Decoupled => 0.0,
                L2Mode::Coupled => 2.0 * weight * f64::from(*v),
                L2Mode::Anchor => 2.0 * weight * (f64::from(*v) - f64::from(*v0)),
            };
            (f64::from(*g) + pull) as f32
        })
        .collect()
}

/// `(dL/dd, dL/dn)` of one vector.
fn log_norm_gradient(d: &[f32], n: f64, g: &[f32], base: f64) -> (Vec<f32>, f32) {
    let length = norm(d);
    let along: f64 = d.iter().zip(g).map(|(d, g)| f64::from(*d) / length * f64::from(*g)).sum();
    let scale = base.powf(n);
    let across = d
        .iter()
        .zip(g)
        .map(|(d, g)| (scale / length * (f64::from(*g) - along * f64::from(*d) / length)) as f32)
        .collect();
    (across, (along * scale * base.ln()) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [[f32; 4]; 2] = [[0.3, -0.1, 0.2, 0.05], [-0.02, 0.4, 0.1, -0.3]];
    const TARGET: [[f64; 4]; 2] = [[0.1, 0.2, -0.3, 0.4], [0.5, -0.4, 0.3, 0.1]];

    fn start() -> Vec<Vec<f32>> {
        START.iter().map(|v| v.to_vec()).collect()
    }

    /// A curved loss of the vectors, and its gradient, to hold the chain rule against.
    fn loss(vectors: &[Vec<f32>]) -> f64 {
        vectors
            .iter()
            .zip(&TARGET)
            .flat_map(|(v, t)| v.iter().zip(t))
            .map(|(v, t)| (f64::from(*v) - t).powi(4))
            .sum()
    }

    fn loss_gradient(vectors: &[Vec<f32>]) -> Vec<Vec<f32>> {
        vectors
            .iter()
            .zip(&TARGET)
            .map(|(v, t)| v.iter().zip(t).map(|(v, t)| (4.0 * (f64::from(*v) - t).powi(3)) as f32).collect())
            .collect()
    }

    fn every_parameterisation() -> Vec<Parameterisation> {
        let none = |l2| Parameterisation::None { l2, weight: 0.3 };
        vec![
            none(L2Mode::Decoupled),
            none(L2Mode::Coupled),
            none(L2Mode::Anchor),
            Parameterisation::LogNorm { base: 2.71 },
            Parameterisation::LogNorm { base: 2.0 },
        ]
    }

    #[test]
    fn the_vectors_begin_at_the_start() {
        for parameterisation in every_parameterisation() {
            let state = LearnedState::new(parameterisation, start()).unwrap();
            for (vector, origin) in state.vectors().iter().zip(&START) {
                for (x, x0) in vector.iter().zip(origin) {
                    assert!((x - x0).abs() < 1e-6, "{parameterisation:?}: {x} is not {x0}");
                }
            }
            assert!((state.norm_ratio() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for parameterisation in every_parameterisation() {
            let mut state = LearnedState::new(parameterisation, start()).unwrap();
            // Away from the start, where the anchor's pull is not zero and |d| is not a^n.
            state.direction[0][1] += 0.25;
            state.direction[1][2] -= 0.15;
            if let Some(n) = state.log_norm.first_mut() {
                *n += 0.4;
            }
            let gradients = state.gradients(&loss_gradient(&state.vectors()));
            let whole = |state: &LearnedState| loss(&state.vectors()) + state.penalty();
            let step = 1e-3f32;
            for k in 0..2 {
                for i in 0..4 {
                    let (mut up, mut down) = (state.clone(), state.clone());
                    up.direction[k][i] += step;
                    down.direction[k][i] -= step;
                    let numeric =
                        (whole(&up) - whole(&down)) / f64::from(up.direction[k][i] - down.direction[k][i]);
                    let exact = f64::from(gradients.direction[k][i]);
                    assert!(
                        (numeric - exact).abs() < 2e-4,
                        "{parameterisation:?} d[{k}][{i}]: {numeric} {exact}"
                    );
                }
                if let Some(exact) = gradients.log_norm.get(k) {
                    let (mut up, mut down) = (state.clone(), state.clone());
                    up.log_norm[k] += step;
                    down.log_norm[k] -= step;
                    let numeric = (whole(&up) - whole(&down)) / f64::from(up.log_norm[k] - down.log_norm[k]);
                    assert!((numeric - f64::from(*exact)).abs() < 2e-4, "n[{k}]: {numeric} {exact}");
                }
            }
        }
    }

    #[test]
    fn the_directions_gradient_is_orthogonal_to_the_direction() {
        let mut state = LearnedState::new(Parameterisation::LogNorm { base: 2.0 }, start()).unwrap();
        state.direction[0][0] = 1.7;
        let gradients = state.gradients(&loss_gradient(&state.vectors()));
        for (d, g) in state.direction.iter().zip(&gradients.direction) {
            let product: f64 = d.iter().zip(g).map(|(d, g)| f64::from(*d) * f64::from(*g)).sum();
            assert!(product.abs() < 1e-7 * norm(d) * norm(g) + 1e-12, "<d, grad_d> = {product}");
        }
    }

    #[test]
    fn the_norms_gradient_is_ln_a_times_g_dot_v() {
        let state = LearnedState::new(Parameterisation::LogNorm { base: 2.71 }, start()).unwrap();
        let grad_v = loss_gradient(&state.vectors());
        let gradients = state.gradients(&grad_v);
        for (k, vector) in state.vectors().iter().enumerate() {
            let product: f64 = grad_v[k].iter().zip(vector).map(|(g, v)| f64::from(*g) * f64::from(*v)).sum();
            assert!((f64::from(gradients.log_norm[k]) - 2.71f64.ln() * product).abs() < 1e-6);
        }
    }

    #[test]
    fn impossible_starts_and_settings_are_refused() {
        let new = LearnedState::new;
        let log_norm = Parameterisation::default();
        assert_eq!(new(log_norm, vec![]), Err(ParameterisationError::NoVectors));
        assert_eq!(new(log_norm, vec![vec![0.0; 3]]), Err(ParameterisationError::Degenerate(0)));
        assert_eq!(
            new(log_norm, vec![vec![1.0; 3], vec![1.0; 2]]),
            Err(ParameterisationError::Ragged { index: 1, found: 2, expected: 3 })
        );
        for base in [1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert!(new(Parameterisation::LogNorm { base }, start()).is_err());
        }
        for weight in [-0.1, f64::NAN] {
            assert!(new(Parameterisation::None { l2: L2Mode::Coupled, weight }, start()).is_err());
        }
    }
}
