//! One pass through the VAE's decoder for pictures of many tasks.

use burn::tensor::{FloatDType, Tensor};
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::on_device::wait_for;
use super::options::GenerationError;
use super::text_to_image::{TextToImage, to_picture};
use crate::lanes::in_lanes;

/// Decodes pictures of one size that are drawn, at most `most_rows` at once (0 counts as 1). Each has an outcome of its
/// own: one whose numbers are not finite fails alone.
///
/// # Errors
/// [`GenerationError::Order`] where a picture still has steps to make.
pub fn decode_pass(
    model: &StableDiffusion,
    pictures: &[&TextToImage<'_>],
    most_rows: usize,
) -> Result<Vec<Result<RgbPicture, GenerationError>>, GenerationError> {
    let latents = pictures.iter().map(|picture| picture.scaled_latents()).collect::<Result<Vec<_>, _>>()?;
    let lanes = model.lanes();
    let decoded = in_lanes(&latents, most_rows.min(lanes.rows), lanes.threads, |latents| {
        let pixels = model.vae.decode(Tensor::cat(latents.to_vec(), 0)).cast(FloatDType::F32);
        wait_for(model, &pixels);
        (0..latents.len()).map(|row| to_picture(pixels.clone().narrow(0, row, 1))).collect::<Vec<_>>()
    });
    Ok(decoded.into_iter().flatten().collect())
}
