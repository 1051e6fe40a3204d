//! Stable Diffusion 1.x and 2.x in `burn`, read from a folder in the layout of the diffusers library.
//!
//! The way from words to a picture: [`tokenizer`] makes ids of a prompt, [`text_encoder`] makes a context
//! of ids, [`unet`] predicts noise under that context, [`samplers`] walk the noise down, [`vae`] turns
//! latents into pixels and [`picture`] turns pixels into a PNG. [`clip`] measures how well picture and words fit. [`model_folder`] and [`weights`] say what
//! a folder holds and read it, strictly; [`StableDiffusion`] holds the loaded parts together. [`synthetic`] has
//! models of published sizes without their weights, and [`parameters`] counts.
//!
//! Weights are constants: they live on the plain device and never join an autodiff graph. This crate
//! knows neither network nor queue.

pub mod clip;
pub mod model_folder;
pub mod parameters;
pub mod person_file;
pub mod picture;
pub mod rng;
pub mod samplers;
pub mod schedule;
pub mod stable_diffusion;
pub mod synthetic;
pub mod text_encoder;
pub mod tokenizer;
pub mod unet;
pub mod vae;
pub mod weights;

mod config_file;
mod kernels;
mod layers;

pub use clip::{Clip, ClipError};
pub use config_file::ConfigError;
pub use model_folder::{ModelError, ModelFolder};
pub use parameters::ParameterCounts;
pub use schedule::{NoiseSchedule, SchedulerConfig};
pub use stable_diffusion::StableDiffusion;
pub use text_encoder::{TextEncoder, TextError};
pub use tokenizer::{EncodedPrompt, Placeholder, PromptTokenizer, TokenizerError};
pub use unet::UNet2DCondition;
pub use vae::{AutoencoderKl, LatentDistribution};
