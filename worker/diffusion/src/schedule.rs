//! The noise schedule: how much of a latent is left at each timestep, and what the network is to predict.
//!
//! Follows the schedulers of the diffusers library 0.35: betas in f32 by torch's `linspace`, their cumulative
//! product in f64 rounded to f32 (torch's `cumprod` on the CPU). [`SchedulerConfig`] reads
//! `scheduler/scheduler_config.json`; the samplers that walk the schedule down are in [`crate::samplers`].

mod config;
mod lenient_json;

pub use config::{
    BetaSchedule, FinalSigmas, PredictionType, SchedulerConfig, SchedulerConfigError, TimestepSpacing,
};

use burn::tensor::{Tensor, TensorData};

/// `alphas_cumprod` of a model and what follows from it in training.
#[derive(Clone, Debug)]
pub struct NoiseSchedule {
    betas: Vec<f32>,
    alphas_cumprod: Vec<f32>,
    prediction_type: PredictionType,
}

impl NoiseSchedule {
    /// The schedule of a configuration.
    ///
    /// # Errors
    /// [`SchedulerConfigError::Invalid`] where a beta is not strictly between 0 and 1.
    pub fn new(config: &SchedulerConfig) -> Result<Self, SchedulerConfigError> {
        let betas = config.betas()?;
        let mut product = 1.0f64;
        let alphas_cumprod = betas
            .iter()
            .map(|beta| {
                product *= f64::from(1.0 - beta);
                product as f32
            })
            .collect();
        Ok(Self { betas, alphas_cumprod, prediction_type: config.prediction_type })
    }

    /// The variance added at each timestep.
    pub fn betas(&self) -> &[f32] {
        &self.betas
    }

    /// The share of the clean latents' variance that is left at each timestep, falling from almost 1.
    pub fn alphas_cumprod(&self) -> &[f32] {
        &self.alphas_cumprod
    }

    /// How many timesteps the model was trained on.
    pub fn len(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// True for a schedule without timesteps, which [`Self::new`] never makes.
    pub fn is_empty(&self) -> bool {
        self.alphas_cumprod.is_empty()
    }

    /// What the network predicts.
    pub fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }

    /// Signal-to-noise ratio `alphas_cumprod / (1 - alphas_cumprod)` of a timestep.
    pub fn snr(&self, timestep: u32) -> f32 {
        let alpha = self.alpha(timestep);
        alpha / (1.0 - alpha)
    }

    /// `sqrt(a_t) latents + sqrt(1 - a_t) noise`, row by row.
    ///
    /// `latents` and `noise` are [B, C, h, w] of one dtype (f32 unless precision does not matter);
    /// `timesteps` has B entries below [`Self::len`], larger ones count as the last.
    pub fn add_noise(&self, latents: Tensor<4>, noise: Tensor<4>, timesteps: &[u32]) -> Tensor<4> {
        let (signal, spread) = self.coefficients(&latents, timesteps);
        latents * signal + noise * spread
    }

    /// `sqrt(a_t) noise - sqrt(1 - a_t) latents`: the velocity of Salimans and Ho (2022). Shapes as in
    /// [`Self::add_noise`].
    pub fn velocity(&self, latents: Tensor<4>, noise: Tensor<4>, timesteps: &[u32]) -> Tensor<4> {
        let (signal, spread) = self.coefficients(&latents, timesteps);
        noise * signal - latents * spread
    }

    /// What the network should answer for these latents and this noise: the noise, or the velocity.
    pub fn target(&self, latents: Tensor<4>, noise: Tensor<4>, timesteps: &[u32]) -> Tensor<4> {
        match self.prediction_type {
            PredictionType::Epsilon => noise,
            PredictionType::Velocity => self.velocity(latents, noise, timesteps),
        }
    }

    fn alpha(&self, timestep: u32) -> f32 {
        debug_assert!((timestep as usize) < self.len(), "timestep {timestep} of {}", self.len());
        let last = self.len().saturating_sub(1);
        self.alphas_cumprod.get((timestep as usize).min(last)).copied().unwrap_or(1.0)
    }

    /// `sqrt(a_t)` and `sqrt(1 - a_t)` as [B, 1, 1, 1] on the device and in the dtype of `like`.
    fn coefficients(&self, like: &Tensor<4>, timesteps: &[u32]) -> (Tensor<4>, Tensor<4>) {
        let column = |part: fn(f32) -> f32| {
            let values: Vec<f32> = timesteps.iter().map(|timestep| part(self.alpha(*timestep))).collect();
            let data = TensorData::new(values, [timesteps.len(), 1, 1, 1]);
            Tensor::<4>::from_data(data, (&like.device(), like.dtype()))
        };
        (column(f32::sqrt), column(|alpha| (1.0 - alpha).sqrt()))
    }
}

#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
mod tests;
