//! DPM-Solver++(2M), midpoint (Lu et al., 2022), as `DPMSolverMultistepScheduler.step` with order 2.
//!
//! The first step is of first order; so is the last where sigma ends at zero, where the file asks for it
//! (`euler_at_final`), or in a walk of fewer than 15 steps (`lower_order_final`).

use burn::tensor::Tensor;

use super::{History, Setting};
use crate::schedule::{FinalSigmas, PredictionType};

/// In walks of fewer steps than this, left-out ones included, `lower_order_final` holds.
const FEW_STEPS: usize = 15;

/// The scalars of one call.
#[derive(Clone, Copy, Debug)]
struct Call {
    /// Of the variance-preserving form at the call's sigma.
    signal: f32,
    spread: f32,
    /// `x_next = keep · x + gain · m0 + half_gain · (m0 - m1)`.
    keep: f32,
    gain: f32,
    /// `(1 / r0, gain / 2)`; `None` in a first-order step.
    second_order: Option<(f32, f32)>,
}

/// The plan of a DPM-Solver++ walk.
#[derive(Clone, Debug)]
pub(super) struct DpmPp {
    calls: Vec<Call>,
    prediction_type: PredictionType,
}

/// A noise level in the variance-preserving form, with `lambda = ln(signal) - ln(spread)`.
fn variance_preserving(sigma: f32) -> (f32, f32, f32) {
    let signal = 1.0 / (sigma * sigma + 1.0).sqrt();
    let spread = sigma * signal;
    (signal, spread, signal.ln() - spread.ln())
}

impl DpmPp {
    pub(super) fn plan(setting: &Setting<'_>, sigmas: &[f32]) -> Self {
        let count = sigmas.len().saturating_sub(1);
        let config = setting.config;
        let first_order_end = config.euler_at_final
            || (config.lower_order_final && setting.steps < FEW_STEPS)
            || config.final_sigmas == FinalSigmas::Zero;
        let mut previous_lambda = None;
        let calls = sigmas
            .windows(2)
            .enumerate()
            .map(|(call, pair)| {
                let (signal, spread, lambda) = variance_preserving(pair[0]);
                let (next_signal, next_spread, next_lambda) = variance_preserving(pair[1]);
                let h = next_lambda - lambda;
                let gain = next_signal * ((-h).exp() - 1.0);
                let last = call + 1 == count;
                let second_order = previous_lambda
                    .filter(|_| !(last && first_order_end))
                    .map(|previous: f32| (1.0 / ((lambda - previous) / h), 0.5 * gain));
                previous_lambda = Some(lambda);
                Call { signal, spread, keep: next_spread / spread, gain, second_order }
            })
            .collect();
        Self { calls, prediction_type: config.prediction_type }
    }

    /// What latents and noise are multiplied by to make what the first call finds.
    pub(super) fn first_level(&self) -> (f32, f32) {
        self.calls.first().map_or((1.0, 0.0), |call| (call.signal, call.spread))
    }

    pub(super) fn step(
        &self,
        output: Tensor<4>,
        call: usize,
        latents: Tensor<4>,
        history: &mut History,
    ) -> Tensor<4> {
        let Some(call) = self.calls.get(call).copied() else { return latents };
        let clean = match self.prediction_type {
            PredictionType::Epsilon => {
                (latents.clone() - output.mul_scalar(call.spread)).div_scalar(call.signal)
            }
            PredictionType::Velocity => {
                latents.clone().mul_scalar(call.signal) - output.mul_scalar(call.spread)
            }
        };
        let previous = history.outputs.pop();
        history.outputs.clear();
        history.outputs.push(clean.clone());
        let first_order = latents.mul_scalar(call.keep) - clean.clone().mul_scalar(call.gain);
        match (call.second_order, previous) {
            (Some((inverse_r0, half_gain)), Some(previous)) => {
                first_order - (clean - previous).mul_scalar(inverse_r0).mul_scalar(half_gain)
            }
            _ => first_order,
        }
    }
}
