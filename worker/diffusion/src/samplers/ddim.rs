//! DDIM with eta 0 (Song et al., 2020, formulas 12 and 16), as `DDIMScheduler.step`.

use burn::tensor::Tensor;

use super::{SamplerError, SamplerKind, Setting};
use crate::schedule::PredictionType;

/// `alphas_cumprod` at a call's timestep and at the one it steps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct AlphaStep {
    pub(super) now: f32,
    pub(super) next: f32,
}

impl AlphaStep {
    /// From `timestep` to `next`, which may lie before the first timestep.
    pub(super) fn look_up(
        kind: SamplerKind,
        setting: &Setting<'_>,
        timestep: i64,
        next: i64,
        class_default: bool,
    ) -> Result<Self, SamplerError> {
        let table = setting.alphas_cumprod;
        let at = |timestep: i64| usize::try_from(timestep).ok().and_then(|index| table.get(index)).copied();
        let before_first =
            if setting.config.set_alpha_to_one.unwrap_or(class_default) { Some(1.0) } else { at(0) };
        let next = if next < 0 { before_first } else { at(next) };
        match (at(timestep), next) {
            (Some(now), Some(next)) => Ok(Self { now, next }),
            _ => Err(SamplerError::TooManySteps { kind, steps: setting.steps, train: table.len() }),
        }
    }

    /// What latents and noise are multiplied by to make what this call finds.
    pub(super) fn level(self) -> (f32, f32) {
        (self.now.sqrt(), (1.0 - self.now).sqrt())
    }
}

/// The plan of a DDIM walk.
#[derive(Clone, Debug)]
pub(super) struct Ddim {
    calls: Vec<AlphaStep>,
    prediction_type: PredictionType,
    clip: Option<f32>,
}

impl Ddim {
    pub(super) fn plan(setting: &Setting<'_>, timesteps: &[f64]) -> Result<Self, SamplerError> {
        let ratio = (setting.config.num_train_timesteps / setting.steps) as i64;
        let call = |timestep: &f64| {
            let timestep = *timestep as i64;
            AlphaStep::look_up(SamplerKind::Ddim, setting, timestep, timestep - ratio, true)
        };
        Ok(Self {
            calls: timesteps.iter().map(call).collect::<Result<_, _>>()?,
            prediction_type: setting.config.prediction_type,
            clip: setting
                .config
                .clip_sample
                .unwrap_or(true)
                .then_some(setting.config.clip_sample_range as f32),
        })
    }

    pub(super) fn first_level(&self) -> (f32, f32) {
        self.calls.first().map_or((1.0, 0.0), |step| step.level())
    }

    pub(super) fn step(&self, output: Tensor<4>, call: usize, latents: Tensor<4>) -> Tensor<4> {
        let Some(step) = self.calls.get(call).copied() else { return latents };
        let (signal, spread) = step.level();
        let (clean, noise) = match self.prediction_type {
            PredictionType::Epsilon => {
                ((latents - output.clone().mul_scalar(spread)).div_scalar(signal), output)
            }
            PredictionType::Velocity => (
                latents.clone().mul_scalar(signal) - output.clone().mul_scalar(spread),
                output.mul_scalar(signal) + latents.mul_scalar(spread),
            ),
        };
        let clean = match self.clip {
            Some(range) => clean.clamp(-range, range),
            None => clean,
        };
        clean.mul_scalar(step.next.sqrt()) + noise.mul_scalar((1.0 - step.next).sqrt())
    }
}
