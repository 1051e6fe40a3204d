//! Pseudo linear multi-step sampling (Liu et al., 2022, formula 9), as `PNDMScheduler.step_plms`.
//!
//! The first step is taken twice: the second call evaluates the network where the first one landed and
//! repeats the step from the start with the mean of both outputs. From then on up to four outputs are
//! combined by Adams-Bashforth weights.

use burn::tensor::Tensor;

use super::ddim::AlphaStep;
use super::{History, SamplerError, SamplerKind, Setting};
use crate::schedule::PredictionType;

/// How many earlier outputs the longest formula looks back on.
const LOOK_BACK: usize = 3;

/// The plan of a PNDM walk. Its second call repeats the first step, wherever in the schedule the walk begins.
#[derive(Clone, Debug)]
pub(super) struct Pndm {
    calls: Vec<AlphaStep>,
    prediction_type: PredictionType,
}

/// How many outputs a walk remembers before `next_call`, and whether it holds latents back.
pub(super) fn history_after(next_call: usize) -> (usize, bool) {
    match next_call {
        0 => (0, false),
        1 => (1, true),
        _ => ((next_call - 1).min(LOOK_BACK), false),
    }
}

impl Pndm {
    pub(super) fn plan(setting: &Setting<'_>, timesteps: &[f64]) -> Result<Self, SamplerError> {
        if !setting.config.skip_prk_steps.unwrap_or(false) {
            return Err(SamplerError::Unsupported {
                kind: SamplerKind::Pndm,
                key: "skip_prk_steps",
                value: setting
                    .config
                    .skip_prk_steps
                    .map_or("nothing (false)".to_owned(), |flag| flag.to_string()),
                supported: "true",
            });
        }
        let ratio = (setting.config.num_train_timesteps / setting.steps) as i64;
        let call = |(call, timestep): (usize, &f64)| {
            let timestep = *timestep as i64;
            let (from, to) =
                if call == 1 { (timestep + ratio, timestep) } else { (timestep, timestep - ratio) };
            AlphaStep::look_up(SamplerKind::Pndm, setting, from, to, false)
        };
        Ok(Self {
            calls: timesteps.iter().enumerate().map(call).collect::<Result<_, _>>()?,
            prediction_type: setting.config.prediction_type,
        })
    }

    pub(super) fn first_level(&self) -> (f32, f32) {
        self.calls.first().map_or((1.0, 0.0), |step| step.level())
    }

    pub(super) fn step(
        &self,
        output: Tensor<4>,
        call: usize,
        latents: Tensor<4>,
        history: &mut History,
    ) -> Tensor<4> {
        let Some(alphas) = self.calls.get(call).copied() else { return latents };
        if call == 1 {
            let start = history.held_latents.take().unwrap_or(latents);
            let mean = match history.outputs.last() {
                Some(first) => (output + first.clone()).div_scalar(2.0),
                None => output,
            };
            return self.advance(mean, start, alphas);
        }
        let combined = match history.outputs.as_slice() {
            [] => {
                history.held_latents = Some(latents.clone());
                output.clone()
            }
            [one] => (output.clone().mul_scalar(3.0) - one.clone()).div_scalar(2.0),
            [two, one] => (output.clone().mul_scalar(23.0) - one.clone().mul_scalar(16.0)
                + two.clone().mul_scalar(5.0))
            .div_scalar(12.0),
            [.., three, two, one] => (output.clone().mul_scalar(55.0) - one.clone().mul_scalar(59.0)
                + two.clone().mul_scalar(37.0)
                - three.clone().mul_scalar(9.0))
            .mul_scalar(1.0 / 24.0),
        };
        history.outputs.push(output);
        if history.outputs.len() > LOOK_BACK {
            history.outputs.remove(0);
        }
        self.advance(combined, latents, alphas)
    }

    /// Formula 9 with the combined output.
    fn advance(
        &self,
        output: Tensor<4>,
        latents: Tensor<4>,
        AlphaStep { now, next }: AlphaStep,
    ) -> Tensor<4> {
        let (spread_now, spread_next) = (1.0 - now, 1.0 - next);
        let noise = match self.prediction_type {
            PredictionType::Epsilon => output,
            PredictionType::Velocity => {
                output.mul_scalar(now.sqrt()) + latents.clone().mul_scalar(spread_now.sqrt())
            }
        };
        let divisor = now * spread_next.sqrt() + (now * spread_now * next).sqrt();
        latents.mul_scalar((next / now).sqrt()) - noise.mul_scalar(next - now).div_scalar(divisor)
    }
}
