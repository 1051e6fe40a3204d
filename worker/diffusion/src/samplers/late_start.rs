//! Walks that begin at a picture: the first calls are left out, and the picture's latents get the noise of the
//! first call that is left, as `StableDiffusionImg2ImgPipeline` has it.
//!
//! What is left begins without history: DPM-Solver++ takes a step of first order, PNDM takes its first step
//! twice. PNDM's list of timesteps has one entry more than there are steps, the second timestep twice. So it
//! makes one call more than the others after any start, and since only a whole walk meets that entry where it
//! repeats its step, the third call after a later start is given one timestep further than the latents are. The
//! reference library does all of this.

use burn::tensor::Tensor;

use super::{Plan, Sampler, SamplerError, SamplerKind};
use crate::schedule::SchedulerConfig;

impl Sampler {
    /// Plans `steps` steps and leaves the first `skipped` calls out; [`Self::calls`] and all that goes by calls
    /// count those that are left.
    ///
    /// # Errors
    /// As [`Self::new`], and [`SamplerError::NothingLeft`] where no step is left.
    pub fn starting_late(
        kind: SamplerKind,
        config: &SchedulerConfig,
        steps: usize,
        skipped: usize,
    ) -> Result<Self, SamplerError> {
        if skipped > 0 && skipped >= steps {
            return Err(SamplerError::NothingLeft { steps, skipped });
        }
        Self::planned(kind, config, steps, skipped)
    }

    /// The first latents of a walk that begins at a picture: its latents with as much of the noise as the first
    /// call finds (`add_noise` of the scheduler's class at that timestep; Euler's does not shrink the latents).
    ///
    /// Both are [B, C, h, w], the noise of standard normal numbers.
    pub fn add_noise(&self, latents: Tensor<4>, noise: Tensor<4>) -> Tensor<4> {
        let (signal, spread) = match &self.plan {
            Plan::Ddim(plan) => plan.first_level(),
            Plan::Pndm(plan) => plan.first_level(),
            Plan::Euler(plan) => plan.first_level(),
            Plan::DpmPp(plan) => plan.first_level(),
        };
        latents.mul_scalar(signal) + noise.mul_scalar(spread)
    }
}
