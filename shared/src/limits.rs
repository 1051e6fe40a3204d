//! What a submit may ask for, in one place: the limits, the documented defaults, and the checks that name every
//! offending field at once.
//!
//! Checks here need the request alone. Whether photos and people exist is the coordinator's to look up; whether a
//! size suits the model is the worker's.

mod checks;
mod generation;
mod inversion;
mod quality;
mod timing;

use std::time::Duration;

pub use checks::{Checks, Violations};
pub use generation::{fill_generation, steps_made};
pub use inversion::fill_inversion;
pub use quality::default_quality_prompts;
pub use timing::{StartTimes, fill_timing};

/// Longest delay of a submit.
pub const MAX_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Largest artifact, in bytes.
pub const MAX_ARTIFACT_BYTES: u64 = 32 * 1024 * 1024;
/// Largest piece of an upload or download message, in bytes.
pub const MAX_CHUNK_BYTES: usize = 1024 * 1024;
/// Size of the pieces that we send, in bytes.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Largest gRPC message either way, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Largest checkpoint that travels in a beat, in bytes.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// Longest `media_type`, in bytes.
pub const MAX_MEDIA_TYPE_BYTES: usize = 128;

/// Photos of one inversion: at least.
pub const MIN_PHOTOS: usize = 3;
/// Photos of one inversion: at most.
pub const MAX_PHOTOS: usize = 64;
/// Training iterations, at most.
pub const MAX_INVERSION_STEPS: u32 = 10_000;
/// Training iterations where the request does not say.
pub const DEFAULT_INVERSION_STEPS: u32 = 400;
/// Photos in one iteration, at most.
pub const MAX_BATCH_SIZE: u32 = 64;
/// Photos in one iteration where the request does not say (or all photos, where there are fewer).
pub const DEFAULT_BATCH_SIZE: u32 = 8;
/// Adam's learning rate where the request does not say.
pub const DEFAULT_LEARNING_RATE: f64 = 5e-3;
/// Weight of the L2 penalty where the request does not say.
pub const DEFAULT_L2_WEIGHT: f64 = 0.01;
/// What a step on the sphere turns a vector by where the request does not say.
pub const DEFAULT_SPHERE_LEARNING_RATE: f64 = 0.01;
/// Concentration of the sphere's prior where the request does not say.
pub const DEFAULT_KAPPA: f64 = 1e-4;
/// Losses that an early stop looks at where the request does not say.
pub const DEFAULT_STOP_WINDOW: u32 = 80;
/// Losses that an early stop can look at: they travel in every checkpoint.
pub const STOP_WINDOWS: std::ops::RangeInclusive<u32> = 10..=500;
/// Share of the variance below which an early stop takes a loss for settled where the request does not say.
pub const DEFAULT_STOP_THRESHOLD: f64 = 0.15;
/// Base of the log-norm parameterisation where the request does not say.
pub const DEFAULT_LOG_NORM_BASE: f64 = 2.71;
/// The text that stands for a person where the request does not say.
pub const DEFAULT_PLACEHOLDER: &str = "sks";
/// The phrase whose vectors an inversion starts from where the request does not say.
pub const DEFAULT_START_PHRASE: &str = "human face";

/// Prompts of a quality report, at most.
pub const MAX_QUALITY_PROMPTS: usize = 16;
/// Longest prompt of a quality report, in bytes: reports stay in the task and with the person.
pub const MAX_QUALITY_PROMPT_BYTES: usize = 512;
/// Pictures of each prompt of a quality report, at most.
pub const MAX_QUALITY_PICTURES: u32 = 8;
/// Pictures of each prompt of a quality report where the request does not say.
pub const DEFAULT_QUALITY_PICTURES: u32 = 2;
/// Sampler steps of a quality report's pictures where the request does not say.
pub const DEFAULT_QUALITY_STEPS: u32 = 20;
/// Largest quality report that is kept, in bytes.
pub const MAX_QUALITY_BYTES: usize = 64 * 1024;

/// Pictures of one generation, at most.
pub const MAX_PICTURES: u32 = 64;
/// Sampler steps, at most.
pub const MAX_SAMPLER_STEPS: u32 = 1000;
/// Sampler steps where the request does not say.
pub const DEFAULT_SAMPLER_STEPS: u32 = 50;
/// Classifier-free guidance where the request does not say.
pub const DEFAULT_GUIDANCE_SCALE: f64 = 7.5;
/// Classifier-free guidance, at most.
pub const MAX_GUIDANCE_SCALE: f64 = 100.0;
/// How much of an init image is given up where the request does not say.
pub const DEFAULT_STRENGTH: f64 = 0.8;
/// Width and height of a picture in pixels: at least.
pub const MIN_PICTURE_SIDE: u32 = 8;
/// Width and height of a picture in pixels: at most.
pub const MAX_PICTURE_SIDE: u32 = 2048;
/// Longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 8 * 1024;
/// People bound in one generation, at most.
pub const MAX_BOUND_PEOPLE: usize = 8;

#[cfg(test)]
mod tests;
