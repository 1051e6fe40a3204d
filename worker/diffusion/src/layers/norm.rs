//! Group and layer normalisation, with the variance in two passes.
//!
//! The variance is the biased one, computed from the centred values: `E[x^2] - E[x]^2` would lose digits on
//! the small-variance activations of these models.

use burn::tensor::{Tensor, module};

use super::silu;
use crate::kernels::{self, Grouping};
use crate::weights::{WeightError, Weights};

/// Normalisation over groups of channels and all pixels, on channels-last data.
#[derive(Debug, Clone)]
pub(crate) struct GroupNorm {
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    pub(crate) fn load(
        weights: &Weights<'_>,
        channels: usize,
        groups: usize,
        epsilon: f64,
    ) -> Result<Self, WeightError> {
        let gamma = weights.tensor("weight", [channels])?;
        Ok(Self { gamma, beta: weights.tensor("bias", [channels])?, groups, epsilon })
    }

    /// `[batch, height, width, channels]`, same shape out.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if kernels::serve(&x) { self.fused(x, false) } else { self.composed(x) }
    }

    /// SiLU of [`GroupNorm::forward`].
    pub(crate) fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        if kernels::serve(&x) { self.fused(x, true) } else { silu(self.composed(x)) }
    }

    fn fused(&self, x: Tensor<4>, activate: bool) -> Tensor<4> {
        let grouping = Grouping { groups: self.groups, epsilon: self.epsilon, activate };
        kernels::group_norm(x, self.gamma.clone(), self.beta.clone(), grouping)
    }

    fn composed(&self, x: Tensor<4>) -> Tensor<4> {
        let shape @ [batch, height, width, channels] = x.dims();
        let group = channels / self.groups;
        let x = x.reshape([batch, height * width, self.groups, group]);
        let mean = x.clone().mean_dim(3).mean_dim(1);
        let centred = x - mean;
        let variance = centred.clone().square().mean_dim(3).mean_dim(1);
        let scale = (variance + self.epsilon).sqrt().recip();
        let normed = (centred * scale).reshape(shape);
        normed * self.gamma.clone().unsqueeze() + self.beta.clone().unsqueeze()
    }
}

/// Normalisation over the last dimension.
#[derive(Debug, Clone)]
pub(crate) struct LayerNorm {
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn load(weights: &Weights<'_>, width: usize, epsilon: f64) -> Result<Self, WeightError> {
        let gamma = weights.tensor("weight", [width])?;
        Ok(Self { gamma, beta: weights.tensor("bias", [width])?, epsilon })
    }

    /// `[..., width]`, same shape out.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.clone(), self.beta.clone());
        if kernels::serve(&x) {
            kernels::layer_norm(x, gamma, beta, self.epsilon)
        } else {
            module::layer_norm(x, gamma, Some(beta), self.epsilon)
        }
    }
}
