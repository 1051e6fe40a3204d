//! Samplers: from noise to latents in a number of network calls.
//!
//! DDIM (eta 0), PNDM (PLMS, without the Runge-Kutta start), Euler and DPM-Solver++(2M), each giving what
//! the diffusers library 0.35 gives when the scheduler is made `from_config` of the model's own file. All
//! are deterministic: the seed decides the first latents and nothing after them.
//!
//! A *call* is one evaluation of the network (on a guidance pair); PNDM takes one call more than steps. A
//! sampler is a plan made once (timesteps and coefficients, on the host) and the few earlier outputs that
//! its formula looks back on, which [`SamplerState`] carries from one worker to another between calls.

mod ddim;
mod dpmpp;
mod euler;
mod kind;
mod late_start;
mod pndm;
mod spacing;
mod state;
#[cfg(test)]
mod tests;

pub use kind::{SamplerError, SamplerKind};
pub use state::{SamplerState, StoredTensor};

use burn::tensor::{Device, Tensor};

use crate::schedule::{NoiseSchedule, SchedulerConfig};

/// What every sampler's plan is made of.
struct Setting<'a> {
    config: &'a SchedulerConfig,
    alphas_cumprod: &'a [f32],
    steps: usize,
}

#[derive(Clone, Debug)]
enum Plan {
    Ddim(ddim::Ddim),
    Pndm(pndm::Pndm),
    Euler(euler::Euler),
    DpmPp(dpmpp::DpmPp),
}

/// Earlier tensors that a multi-step formula looks back on, oldest first.
#[derive(Clone, Debug, Default)]
struct History {
    outputs: Vec<Tensor<4>>,
    held_latents: Option<Tensor<4>>,
}

/// One walk from noise, or from a picture's noised latents, to latents. Cloning copies tensor handles, not tensors.
#[derive(Clone, Debug)]
pub struct Sampler {
    kind: SamplerKind,
    skipped: usize,
    plan: Plan,
    timesteps: Vec<f32>,
    sigmas: Vec<f32>,
    init_noise_sigma: f32,
    history: History,
    next_call: usize,
}

impl Sampler {
    /// Plans `steps` steps.
    ///
    /// # Errors
    /// [`SamplerError`] where `steps` is 0 or more than the schedule carries, or where the model's file has
    /// a setting that this sampler does not implement.
    pub fn new(kind: SamplerKind, config: &SchedulerConfig, steps: usize) -> Result<Self, SamplerError> {
        Self::planned(kind, config, steps, 0)
    }

    fn planned(
        kind: SamplerKind,
        config: &SchedulerConfig,
        steps: usize,
        skipped: usize,
    ) -> Result<Self, SamplerError> {
        if steps == 0 {
            return Err(SamplerError::NoSteps);
        }
        if steps > config.num_train_timesteps {
            return Err(SamplerError::TooManySteps { kind, steps, train: config.num_train_timesteps });
        }
        if let Some((_, key, value, supported)) = config.refused.iter().find(|refused| refused.0 == kind) {
            return Err(SamplerError::Unsupported { kind, key, value: value.clone(), supported });
        }
        let schedule = NoiseSchedule::new(config)?;
        let setting = Setting { config, alphas_cumprod: schedule.alphas_cumprod(), steps };
        let all_timesteps = spacing::timesteps(kind, &setting)?;
        let timesteps = all_timesteps.get(skipped..).unwrap_or_default();
        let mut sigmas = Vec::new();
        let mut init_noise_sigma = 1.0;
        let plan = match kind {
            SamplerKind::Ddim => Plan::Ddim(ddim::Ddim::plan(&setting, timesteps)?),
            SamplerKind::Pndm => Plan::Pndm(pndm::Pndm::plan(&setting, timesteps)?),
            SamplerKind::Euler => {
                init_noise_sigma =
                    euler::init_noise_sigma(&setting, &spacing::sigmas(&setting, &all_timesteps));
                sigmas = spacing::sigmas(&setting, timesteps);
                Plan::Euler(euler::Euler::plan(&setting, &sigmas))
            }
            SamplerKind::DpmPp => {
                sigmas = spacing::sigmas(&setting, timesteps);
                Plan::DpmPp(dpmpp::DpmPp::plan(&setting, &sigmas))
            }
        };
        let timesteps = timesteps.iter().map(|timestep| *timestep as f32).collect();
        Ok(Self {
            kind,
            skipped,
            plan,
            timesteps,
            sigmas,
            init_noise_sigma,
            history: History::default(),
            next_call: 0,
        })
    }

    /// Goes on from a state that [`Self::state`] took, on any device.
    ///
    /// # Errors
    /// As [`Self::starting_late`], and [`SamplerError::State`] where the state does not belong to such a walk.
    pub fn resume(
        kind: SamplerKind,
        config: &SchedulerConfig,
        steps: usize,
        state: &SamplerState,
        device: &Device,
    ) -> Result<Self, SamplerError> {
        let mut sampler = Self::starting_late(kind, config, steps, state.skipped)?;
        sampler.next_call = state.next_call;
        let expected = match kind {
            SamplerKind::Ddim | SamplerKind::Euler => (0, false),
            SamplerKind::Pndm => pndm::history_after(state.next_call),
            SamplerKind::DpmPp => (state.next_call.min(1), false),
        };
        let held = (state.outputs.len(), state.held_latents.is_some());
        if held != expected || state.next_call > sampler.calls() {
            return Err(SamplerError::State { kind, next_call: state.next_call });
        }
        let load = |stored: &StoredTensor| {
            stored.load(device).ok_or(SamplerError::State { kind, next_call: state.next_call })
        };
        sampler.history.outputs = state.outputs.iter().map(load).collect::<Result<_, _>>()?;
        sampler.history.held_latents = state.held_latents.as_ref().map(load).transpose()?;
        Ok(sampler)
    }

    /// What [`Self::resume`] needs: at most four tensors of the latents' shape, read back from the device.
    ///
    /// # Errors
    /// [`SamplerError::Device`] where the device cannot be read.
    pub fn state(&self) -> Result<SamplerState, SamplerError> {
        let outputs = self.history.outputs.iter().map(StoredTensor::read).collect::<Result<_, _>>()?;
        let held_latents = self.history.held_latents.as_ref().map(StoredTensor::read).transpose()?;
        Ok(SamplerState { skipped: self.skipped, next_call: self.next_call, outputs, held_latents })
    }

    /// Which sampler this is.
    pub fn kind(&self) -> SamplerKind {
        self.kind
    }

    /// How many times the network is called, without the calls left out at the start.
    pub fn calls(&self) -> usize {
        self.timesteps.len()
    }

    /// The call that [`Self::step`] expects next; equal to [`Self::calls`] at the end.
    pub fn next_call(&self) -> usize {
        self.next_call
    }

    /// What the network gets as its timestep in a call; fractional for Euler. Calls beyond the last count as
    /// the last.
    pub fn timestep(&self, call: usize) -> f32 {
        let last = self.timesteps.len().saturating_sub(1);
        self.timesteps.get(call.min(last)).copied().unwrap_or(0.0)
    }

    /// The timesteps of all calls.
    pub fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    /// The noise levels of all calls and the final one, for Euler and DPM-Solver++; empty for the others.
    pub fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }

    /// What standard normal numbers are multiplied by to make the first latents of a walk from noise.
    pub fn init_noise_sigma(&self) -> f32 {
        self.init_noise_sigma
    }

    /// The latents [B, C, h, w] as the network wants them in this call.
    pub fn scale_model_input(&self, latents: Tensor<4>, call: usize) -> Tensor<4> {
        match &self.plan {
            Plan::Euler(euler) => euler.scale_model_input(latents, call),
            Plan::Ddim(_) | Plan::Pndm(_) | Plan::DpmPp(_) => latents,
        }
    }

    /// One step: the latents after the network (guidance applied) answered `model_output` in this call.
    ///
    /// Both tensors are [B, C, h, w]; the result has the latents' dtype, which should be f32. Calls come in
    /// order: `call` equals [`Self::next_call`].
    pub fn step(&mut self, model_output: Tensor<4>, call: usize, latents: Tensor<4>) -> Tensor<4> {
        debug_assert_eq!(call, self.next_call, "sampler calls come in order");
        debug_assert!(call < self.calls(), "call {call} of {}", self.calls());
        let call = call.min(self.calls().saturating_sub(1));
        self.next_call = call + 1;
        let model_output = model_output.cast(latents.dtype());
        match &self.plan {
            Plan::Ddim(plan) => plan.step(model_output, call, latents),
            Plan::Euler(plan) => plan.step(model_output, call, latents),
            Plan::Pndm(plan) => plan.step(model_output, call, latents, &mut self.history),
            Plan::DpmPp(plan) => plan.step(model_output, call, latents, &mut self.history),
        }
    }
}
