//! One pass through the UNet for pictures of many tasks: each at its own step of its own sampler, under its own prompt
//! and guidance.
//!
//! A guided picture is two rows, `[uncond, cond]`; an unguided one is one. Rows do not know their neighbours. Guidance and
//! the sampler's arithmetic are worked out per picture, in f32. The host never waits for the device here.

use burn::tensor::{FloatDType, Tensor, TensorData};
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::unet::PreparedContext;

use super::heard::Heard;
use super::on_device::wait_for;
use super::options::GenerationError;
use super::text_to_image::TextToImage;
use crate::lanes::in_lanes;

/// Makes the next UNet call and sampler step of each picture, with at most `most_rows` rows at once (0 counts as 1).
///
/// # Errors
/// [`GenerationError::Order`] where a picture has no step left, [`GenerationError::Picture`] where the latents differ in
/// size. Then no picture has made a step.
pub fn sample_pass(
    model: &StableDiffusion,
    pictures: &mut [&mut TextToImage<'_>],
    most_rows: usize,
) -> Result<(), GenerationError> {
    let mut inputs = Vec::with_capacity(pictures.len());
    for picture in pictures.iter() {
        inputs.push(picture.input()?);
    }
    let same_size = |input: &Input| input.sample.dims()[2..] == inputs[0].sample.dims()[2..];
    if !inputs.iter().all(same_size) {
        return Err(GenerationError::Picture("pictures of different sizes cannot share a pass".to_owned()));
    }
    let rows: Vec<usize> = inputs.iter().map(|input| input.sample.dims()[0]).collect();
    let heard = Heard::by(model, pictures, &rows, most_rows);
    let output = predict(model, inputs, &heard);
    let mut first = 0;
    for (picture, rows) in pictures.iter_mut().zip(rows) {
        picture.advance(output.clone().narrow(0, first, rows));
        first += rows;
    }
    Ok(())
}

/// What the UNet is asked for one picture.
pub(super) struct Input {
    /// `[rows, C, h, w]`.
    pub(super) sample: Tensor<4>,
    /// The timestep of each row.
    pub(super) timestep: f32,
}

/// The UNet's output of all rows, `[rows, C, h, w]` in f32.
fn predict(model: &StableDiffusion, inputs: Vec<Input>, heard: &Heard) -> Tensor<4> {
    let times: Vec<f32> =
        inputs.iter().flat_map(|input| std::iter::repeat_n(input.timestep, input.sample.dims()[0])).collect();
    let samples = Tensor::cat(inputs.into_iter().map(|input| input.sample).collect(), 0);
    let parts: Vec<Part<'_>> = heard
        .parts(&times)
        .map(|(first, times, context)| Part {
            sample: samples.clone().narrow(0, first, times.len()),
            times,
            context,
        })
        .collect();
    let outputs = in_lanes(&parts, 1, model.lanes().threads, |parts| {
        parts.iter().map(|part| part.predict(model)).collect::<Vec<_>>()
    });
    Tensor::cat(outputs.into_iter().flatten().collect(), 0)
}

/// Rows that go through the UNet at once.
struct Part<'a> {
    sample: Tensor<4>,
    times: &'a [f32],
    context: &'a PreparedContext,
}

impl Part<'_> {
    fn predict(&self, model: &StableDiffusion) -> Tensor<4> {
        let count = self.times.len();
        let padding = model.padded_rows(count).saturating_sub(count);
        let last = self.times.last().copied().into_iter();
        let times: Vec<f32> = self.times.iter().copied().chain(last.cycle().take(padding)).collect();
        let times = Tensor::<1>::from_data(TensorData::new(times, [count + padding]), model.device());
        let sample = padded(self.sample.clone(), padding);
        let output = model.unet.forward_prepared(sample, times, self.context).cast(FloatDType::F32);
        // no picture has changed yet
        wait_for(model, &output);
        output.narrow(0, 0, count)
    }
}

/// The rows with the last one repeated so many times.
pub(super) fn padded<const D: usize>(rows: Tensor<D>, times: usize) -> Tensor<D> {
    if times == 0 {
        return rows;
    }
    let last = rows.clone().narrow(0, rows.dims()[0] - 1, 1);
    Tensor::cat(std::iter::once(rows).chain(std::iter::repeat_n(last, times)).collect(), 0)
}
