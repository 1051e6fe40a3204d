//! What a task is expected to cost: units of work by its spec, and the GPU time of a unit as earlier tasks took it.

use likeness_shared::limits::{
    DEFAULT_BATCH_SIZE, DEFAULT_GUIDANCE_SCALE, DEFAULT_INVERSION_STEPS, DEFAULT_QUALITY_PICTURES,
    DEFAULT_QUALITY_STEPS, DEFAULT_SAMPLER_STEPS, DEFAULT_STRENGTH, steps_made,
};
use likeness_shared::proto::QualityRequest;
use serde::{Deserialize, Serialize};

use crate::store::record::Spec;

/// Until a task of a kind has been through: nanoseconds of one photo in one training iteration.
const FIRST_INVERSION_NS: u64 = 20_000_000;
/// Until a task of a kind has been through: nanoseconds of one picture in one sampler step.
const FIRST_GENERATION_NS: u64 = 10_000_000;
/// A photo's training iteration, forward and back, in forward passes of the UNet.
const TRAINING_PASSES: u64 = 3;
/// Tasks over which the mean runs.
const MEMORY: u64 = 16;

/// GPU time of one unit of work, learned from settled attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitCost {
    /// Running mean, in nanoseconds.
    pub mean_ns: u64,
    /// Running mean of the distance from the mean, in nanoseconds.
    pub deviation_ns: u64,
    /// Attempts learned from.
    pub attempts: u64,
}

impl UnitCost {
    /// Before anything is known.
    #[must_use]
    pub fn first(spec: &Spec) -> Self {
        let mean_ns = match spec {
            Spec::Inversion(_) => FIRST_INVERSION_NS,
            Spec::Generation(_) => FIRST_GENERATION_NS,
        };
        Self { mean_ns, deviation_ns: mean_ns / 2, attempts: 0 }
    }

    /// After an attempt that took `time_us` for `units`.
    #[must_use]
    pub fn after(self, units: u64, time_us: u64) -> Self {
        if units == 0 {
            return self;
        }
        let found = time_us.saturating_mul(1000) / units;
        if self.attempts == 0 {
            return Self { mean_ns: found, deviation_ns: found / 4, attempts: 1 };
        }
        let attempts = self.attempts.saturating_add(1);
        let over = attempts.min(MEMORY);
        let distance = found.abs_diff(self.mean_ns);
        Self {
            mean_ns: (self.mean_ns.saturating_mul(over - 1).saturating_add(found)) / over,
            deviation_ns: (self.deviation_ns.saturating_mul(over - 1).saturating_add(distance)) / over,
            attempts,
        }
    }

    /// GPU-microseconds of so many units.
    #[must_use]
    pub fn of(self, units: u64) -> u64 {
        self.mean_ns.saturating_mul(units) / 1000
    }
}

/// Within a lane, tasks whose units cost the same: size of the pictures, and device. Steps and batch count as units.
#[must_use]
pub fn cost_key(spec: &Spec, device: &str) -> String {
    match spec {
        Spec::Inversion(_) => device.to_owned(),
        Spec::Generation(spec) => {
            let (width, height) = (spec.width.unwrap_or(0), spec.height.unwrap_or(0));
            format!("{width}x{height}\0{device}")
        }
    }
}

/// Units of work in a task of which `done` of its steps are done.
#[must_use]
pub fn units_left(spec: &Spec, done: u32) -> u64 {
    let left = |steps: u32| u64::from(steps.saturating_sub(done));
    match spec {
        Spec::Inversion(spec) => {
            let training = left(spec.steps.unwrap_or(DEFAULT_INVERSION_STEPS))
                * u64::from(spec.batch_size.unwrap_or(DEFAULT_BATCH_SIZE));
            training + spec.quality.as_ref().map_or(0, report_units)
        }
        Spec::Generation(spec) => {
            // a generation begins anew after a lost attempt, and its report counts the steps of all its pictures
            let steps = spec.steps.unwrap_or(DEFAULT_SAMPLER_STEPS);
            let strength = spec.init_image.as_ref().map(|image| image.strength.unwrap_or(DEFAULT_STRENGTH));
            let steps = strength.map_or(steps, |strength| steps_made(steps, strength));
            u64::from(steps) * u64::from(spec.pictures.unwrap_or(1))
        }
    }
}

/// Of drawing the pictures of a quality report, in the units of training: a picture's sampler step is one forward pass, or two where it
/// is guided. A report begins anew after a lost attempt.
fn report_units(request: &QualityRequest) -> u64 {
    let pictures =
        request.prompts.len() as u64 * u64::from(request.pictures.unwrap_or(DEFAULT_QUALITY_PICTURES));
    let steps = u64::from(request.sampler_steps.unwrap_or(DEFAULT_QUALITY_STEPS));
    let is_guided = request.guidance_scale.unwrap_or(DEFAULT_GUIDANCE_SCALE) > 1.0;
    let forward = pictures * steps * if is_guided { 2 } else { 1 };
    forward.div_ceil(TRAINING_PASSES)
}
