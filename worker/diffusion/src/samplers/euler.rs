//! Euler's method in the variance-exploding form (Karras et al., 2022, algorithm 2 without churn), as
//! `EulerDiscreteScheduler.step`.

use burn::tensor::Tensor;

use super::spacing::spacing_of;
use super::{SamplerKind, Setting};
use crate::schedule::{PredictionType, TimestepSpacing};

/// The plan of an Euler walk: sigma of each call and of its end.
#[derive(Clone, Debug)]
pub(super) struct Euler {
    calls: Vec<(f32, f32)>,
    prediction_type: PredictionType,
}

/// What the first latents are multiplied by: the largest sigma, or with `leading` spacing
/// `sqrt(sigma² + 1)`.
pub(super) fn init_noise_sigma(setting: &Setting<'_>, sigmas: &[f32]) -> f32 {
    let largest = sigmas.iter().copied().fold(0.0, f32::max);
    match spacing_of(SamplerKind::Euler, setting) {
        TimestepSpacing::Linspace | TimestepSpacing::Trailing => largest,
        TimestepSpacing::Leading => (largest * largest + 1.0).sqrt(),
    }
}

impl Euler {
    pub(super) fn plan(setting: &Setting<'_>, sigmas: &[f32]) -> Self {
        let calls = sigmas.iter().copied().zip(sigmas.iter().copied().skip(1)).collect();
        Self { calls, prediction_type: setting.config.prediction_type }
    }

    /// What latents and noise are multiplied by to make what the first call finds.
    pub(super) fn first_level(&self) -> (f32, f32) {
        self.calls.first().map_or((1.0, 0.0), |(sigma, _)| (1.0, *sigma))
    }

    pub(super) fn scale_model_input(&self, latents: Tensor<4>, call: usize) -> Tensor<4> {
        match self.calls.get(call) {
            Some((sigma, _)) => latents.div_scalar((sigma * sigma + 1.0).sqrt()),
            None => latents,
        }
    }

    pub(super) fn step(&self, output: Tensor<4>, call: usize, latents: Tensor<4>) -> Tensor<4> {
        let Some((sigma, next)) = self.calls.get(call).copied() else { return latents };
        let clean = match self.prediction_type {
            PredictionType::Epsilon => latents.clone() - output.mul_scalar(sigma),
            PredictionType::Velocity => {
                let variance = sigma * sigma + 1.0;
                output.mul_scalar(-sigma / variance.sqrt()) + latents.clone().div_scalar(variance)
            }
        };
        let derivative = (latents.clone() - clean).div_scalar(sigma);
        latents + derivative.mul_scalar(next - sigma)
    }
}
