//! Which timesteps and sigmas a number of steps visits, as numpy computes them for the reference library.

use super::{SamplerError, SamplerKind, Setting};
use crate::schedule::{FinalSigmas, TimestepSpacing};

/// The spacing that a sampler uses: the file's, else the default of the sampler's class.
pub(super) fn spacing_of(kind: SamplerKind, setting: &Setting<'_>) -> TimestepSpacing {
    setting.config.timestep_spacing.unwrap_or(match kind {
        SamplerKind::Ddim | SamplerKind::Pndm => TimestepSpacing::Leading,
        SamplerKind::Euler | SamplerKind::DpmPp => TimestepSpacing::Linspace,
    })
}

/// The timesteps of all calls, falling; PNDM visits its second one twice.
///
/// # Errors
/// [`SamplerError::TooManySteps`] where two steps would fall on one timestep, or one outside the schedule
/// (the reference library then divides by zero or indexes out of bounds).
pub(super) fn timesteps(kind: SamplerKind, setting: &Setting<'_>) -> Result<Vec<f64>, SamplerError> {
    let train = setting.config.num_train_timesteps;
    let steps = setting.steps;
    // DPM-Solver++ plans one point more and drops the last, which its final sigma stands for.
    let points = if kind == SamplerKind::DpmPp { steps + 1 } else { steps };
    let mut falling: Vec<f64> = match spacing_of(kind, setting) {
        TimestepSpacing::Linspace => {
            let round = |value: f64| {
                if kind == SamplerKind::Euler { f64::from(value as f32) } else { value.round_ties_even() }
            };
            linspace_from_zero((train - 1) as f64, points).into_iter().rev().map(round).take(steps).collect()
        }
        TimestepSpacing::Leading => {
            let ratio = train / points;
            (0..points)
                .rev()
                .map(|index| (index * ratio + setting.config.steps_offset) as f64)
                .take(steps)
                .collect()
        }
        // For some counts (61 of 1000) numpy's range has one point too many by rounding, on which the
        // reference library then steps to timestep -1; it is left out.
        TimestepSpacing::Trailing => falling_range(train as f64, train as f64 / steps as f64)
            .into_iter()
            .map(|value| value.round_ties_even() - 1.0)
            .take(steps)
            .collect(),
    };
    let strictly_falling = falling.windows(2).all(|pair| pair[0] > pair[1]);
    let inside = falling.iter().all(|timestep| (0.0..train as f64).contains(timestep));
    if !strictly_falling || !inside {
        return Err(SamplerError::TooManySteps { kind, steps, train });
    }
    if kind == SamplerKind::Pndm
        && let Some(second) = falling.get(1).copied()
    {
        falling.insert(1, second);
    }
    Ok(falling)
}

/// The sigmas at these timesteps and the final one.
pub(super) fn sigmas(setting: &Setting<'_>, timesteps: &[f64]) -> Vec<f32> {
    let table: Vec<f32> = setting.alphas_cumprod.iter().map(|alpha| ((1.0 - alpha) / alpha).sqrt()).collect();
    let last = match setting.config.final_sigmas {
        FinalSigmas::Zero => 0.0,
        FinalSigmas::SigmaMin => table.first().copied().unwrap_or(0.0),
    };
    timesteps.iter().map(|timestep| interpolate(&table, *timestep) as f32).chain([last]).collect()
}

/// `numpy.interp(at, arange(len(table)), table)`.
fn interpolate(table: &[f32], at: f64) -> f64 {
    let below = at.floor().max(0.0) as usize;
    let Some(low) = table.get(below) else { return table.last().copied().map_or(0.0, f64::from) };
    let Some(high) = table.get(below + 1) else { return f64::from(*low) };
    let (low, high) = (f64::from(*low), f64::from(*high));
    (high - low) * (at - below as f64) + low
}

/// `numpy.linspace(0, end, n)`.
fn linspace_from_zero(end: f64, n: usize) -> Vec<f64> {
    if n == 1 {
        return vec![0.0];
    }
    let step = end / (n - 1) as f64;
    (0..n).map(|index| if index == n - 1 { end } else { index as f64 * step }).collect()
}

/// `numpy.arange(start, 0, -step)`.
fn falling_range(start: f64, step: f64) -> Vec<f64> {
    let count = (start / step).ceil() as usize;
    let delta = (start - step) - start;
    (0..count).map(|index| start + index as f64 * delta).collect()
}
