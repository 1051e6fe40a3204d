//! Image to image: a picture that others are drawn over, as the reference library's
//! `StableDiffusionImg2ImgPipeline` does it.
//!
//! The picture's latents are sampled from what the VAE says of it, noised to the level of the first step that is
//! made, and walked from there. The seed's generator gives the numbers of the sampling first, then the noise. So
//! latents and steps are the reference's wherever the image has the size of the picture to draw. Of any other
//! image the centre is taken, in the picture's shape, and resampled here; the reference squeezes the whole image
//! to the nearest multiples of 8 of its own size, with other arithmetic.

use std::sync::Arc;

use burn::tensor::{FloatDType, Tensor, TensorData};
use likeness_diffusion::picture::{RgbPicture, from_rgb8};
use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::samplers::Sampler;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::intake::{Photo, PhotoLimits, PhotoRefused, RgbPixels, read_photo};
use likeness_shared::ids::Digest;
use likeness_shared::limits;

use super::options::GenerationError;

/// A picture to begin at, decoded. Cloning copies a handle.
#[derive(Clone, Debug, PartialEq)]
pub struct InitImage {
    photo: Arc<Photo>,
    digest: Digest,
    strength: f64,
}

impl InitImage {
    /// Decodes a file under the limits of photo intake; `strength`, in (0, 1], says how much of it is given up.
    ///
    /// # Errors
    /// [`PhotoRefused`] where the file is none that intake takes.
    pub fn read(file: &[u8], strength: f64) -> Result<Self, PhotoRefused> {
        let photo = Arc::new(read_photo(file, &PhotoLimits::default())?);
        Ok(Self { photo, digest: Digest::of(file), strength })
    }

    /// The file's sha256.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How much of the picture is given up, in (0, 1].
    pub fn strength(&self) -> f64 {
        self.strength
    }

    /// Refuses a strength that means nothing, or leaves no whole step of `steps`.
    pub(super) fn check(&self, steps: u32) -> Result<(), GenerationError> {
        let strength = self.strength;
        let in_range = strength > 0.0 && strength <= 1.0;
        if in_range && limits::steps_made(steps, strength) > 0 {
            return Ok(());
        }
        Err(GenerationError::Strength { strength, steps })
    }
}

/// What the VAE says of an init image: a normal distribution over latents, `[1, C, h, w]` in f32, not yet scaled.
#[derive(Clone, Debug)]
pub struct EncodedImage {
    mean: Tensor<4>,
    deviation: Tensor<4>,
    strength: f64,
}

impl EncodedImage {
    /// Crops the image to a picture of `size` (width and height, multiples of the VAE's factor) and encodes it.
    pub(super) fn new(model: &StableDiffusion, image: &InitImage, size: (u32, u32)) -> Self {
        let RgbPixels { width, height, pixels } = image.photo.cropped(size.0, size.1);
        let picture = from_rgb8(&RgbPicture { width, height, pixels }, model.device());
        let distribution = model.vae.encode(picture);
        let deviation = (distribution.logvar.cast(FloatDType::F32) * 0.5).exp();
        Self { mean: distribution.mean.cast(FloatDType::F32), deviation, strength: image.strength }
    }

    /// Calls of a sampler of `steps` steps that are left out.
    pub(super) fn skipped_calls(&self, steps: u32) -> usize {
        (steps - limits::steps_made(steps, self.strength)) as usize
    }

    /// The latents before the sampler's first call.
    pub(super) fn first_latents(
        &self,
        model: &StableDiffusion,
        sampler: &Sampler,
        rng: &mut TorchRng,
    ) -> Tensor<4> {
        let shape = self.mean.dims();
        let mut normals = || {
            let numbers = rng.randn(shape.iter().product());
            Tensor::<4>::from_data(TensorData::new(numbers, shape), model.device())
        };
        let sample = self.mean.clone() + self.deviation.clone() * normals();
        sampler.add_noise(sample * model.vae.scaling_factor(), normals())
    }
}
