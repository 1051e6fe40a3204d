//! Where a picture begins: its sampler, and the latents before the first call. They are noise of the seed, or an
//! init image under noise of the seed.

use burn::tensor::{Tensor, TensorData};
use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::samplers::Sampler;
use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::context::PromptContext;
use super::options::{GenerationError, GenerationOptions};

/// The walk that the options ask for and its first latents, `[1, C, h, w]` in f32.
pub(super) fn begin(
    model: &StableDiffusion,
    options: &GenerationOptions,
    context: &PromptContext,
) -> Result<(Sampler, Tensor<4>), GenerationError> {
    let mut rng = TorchRng::new(options.seed);
    let skipped = context.init_image.as_ref().map_or(0, |image| image.skipped_calls(options.steps));
    let (config, steps) = (&model.scheduler_config, options.steps as usize);
    let sampler = Sampler::starting_late(options.sampler, config, steps, skipped)
        .map_err(|error| GenerationError::Sampler(error.to_string()))?;
    let latents = match &context.init_image {
        Some(image) => image.first_latents(model, &sampler, &mut rng),
        None => noise(model, options, &mut rng) * sampler.init_noise_sigma(),
    };
    Ok((sampler, latents))
}

/// Standard normals of the seed, as torch's CPU generator gives them: `[1, C, h, w]` in f32.
fn noise(model: &StableDiffusion, options: &GenerationOptions, rng: &mut TorchRng) -> Tensor<4> {
    let (width, height) = options.size(model);
    let factor = model.vae_factor().max(1);
    let shape = [1, model.latent_channels(), (height / factor) as usize, (width / factor) as usize];
    Tensor::from_data(TensorData::new(rng.randn(shape.iter().product()), shape), model.device())
}
