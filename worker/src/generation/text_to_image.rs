//! One picture from a prompt: noise of a seed (over an init image or alone), one UNet call a step, the VAE at the
//! end.

use burn::tensor::{FloatDType, Tensor};
use likeness_diffusion::picture::{PictureError, RgbPicture, to_rgb8};
use likeness_diffusion::samplers::Sampler;
use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::beginning::begin;
use super::context::PromptContext;
use super::heard::Place;
use super::metadata::metadata;
use super::options::{GenerationError, GenerationOptions};
use super::sample_pass::{Input, sample_pass};

/// How far a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// UNet calls made.
    pub calls: usize,
    /// UNet calls in all (PNDM makes one more than its steps).
    pub total: usize,
}

/// A picture being drawn. Latents and sampler arithmetic are f32; the UNet and the VAE run in the model's type.
pub struct TextToImage<'m> {
    model: &'m StableDiffusion,
    options: GenerationOptions,
    context: PromptContext,
    sampler: Sampler,
    latents: Tensor<4>,
    calls: usize,
    heard: Option<Place>,
}

impl<'m> TextToImage<'m> {
    /// Checks the options and encodes the prompt.
    pub fn new(model: &'m StableDiffusion, options: GenerationOptions) -> Result<Self, GenerationError> {
        let context = PromptContext::new(model, &options)?;
        Self::with_context(model, options, context)
    }

    /// The same with a context that was made of the same options, but for the seed.
    pub fn with_context(
        model: &'m StableDiffusion,
        options: GenerationOptions,
        context: PromptContext,
    ) -> Result<Self, GenerationError> {
        options.validate(model)?;
        let (sampler, latents) = begin(model, &options, &context)?;
        Ok(Self { model, options, context, sampler, latents, calls: 0, heard: None })
    }

    /// Makes one UNet call and one sampler step, alone.
    pub fn step(&mut self) -> Result<Drawn, GenerationError> {
        let (model, rows) = (self.model, self.rows() as usize);
        sample_pass(model, &mut [&mut *self], rows)?;
        Ok(self.progress())
    }

    /// Rows that a step has in a pass: two where there is guidance.
    pub fn rows(&self) -> u32 {
        if self.is_guided() { 2 } else { 1 }
    }

    fn is_guided(&self) -> bool {
        self.options.guidance_scale > 1.0
    }

    /// What the UNet is asked in the next step.
    pub(super) fn input(&self) -> Result<Input, GenerationError> {
        if self.is_drawn() {
            return Err(self.out_of_order("there is none left"));
        }
        let input = self.sampler.scale_model_input(self.latents.clone(), self.calls);
        let sample = if self.is_guided() { Tensor::cat(vec![input.clone(), input], 0) } else { input };
        let timestep = self.sampler.timestep(self.calls);
        Ok(Input { sample, timestep })
    }

    /// What its rows heard in the last step.
    pub(super) fn heard(&self) -> Option<&Place> {
        self.heard.as_ref()
    }

    /// What its rows hear from the next step on.
    pub(super) fn set_heard(&mut self, place: Place) {
        self.heard = Some(place);
    }

    /// Lets go of what its rows heard, and gives what they are to hear, `[rows, L, D]`.
    pub(super) fn forget_heard(&mut self) -> Tensor<3> {
        self.heard = None;
        self.context.hidden_states.clone()
    }

    /// Makes the sampler's step with the UNet's answer to [`TextToImage::input`], `[rows, C, h, w]` in f32.
    pub(super) fn advance(&mut self, output: Tensor<4>) {
        let output = if self.is_guided() {
            let unconditional = output.clone().narrow(0, 0, 1);
            let conditional = output.narrow(0, 1, 1);
            unconditional.clone() + (conditional - unconditional) * self.options.guidance_scale
        } else {
            output
        };
        self.latents = self.sampler.step(output, self.calls, self.latents.clone());
        self.calls += 1;
        if self.is_drawn() {
            self.heard = None;
        }
    }

    /// UNet calls made and in all.
    pub fn progress(&self) -> Drawn {
        Drawn { calls: self.calls, total: self.sampler.calls() }
    }

    /// Whether every step is made.
    pub fn is_drawn(&self) -> bool {
        self.calls >= self.sampler.calls()
    }

    /// What the caller should know, such as the end of a prompt that was cut off.
    pub fn warnings(&self) -> &[String] {
        &self.context.warnings
    }

    /// The latents as they are, `[1, C, h, w]` in f32.
    pub fn latents(&self) -> Tensor<4> {
        self.latents.clone()
    }

    /// The latents as the VAE decodes them, `[1, C, h, w]` in f32.
    pub(super) fn scaled_latents(&self) -> Result<Tensor<4>, GenerationError> {
        if !self.is_drawn() {
            return Err(self.out_of_order("the picture needs them all"));
        }
        Ok(self.latents.clone() / self.model.vae.scaling_factor())
    }

    /// Decodes the latents: `[1, 3, H, W]`, about [-1, 1], not clamped, in f32.
    pub fn decode(&self) -> Result<Tensor<4>, GenerationError> {
        Ok(self.model.vae.decode(self.scaled_latents()?).cast(FloatDType::F32))
    }

    /// Decodes the picture, alone.
    pub fn finish(self) -> Result<RgbPicture, GenerationError> {
        to_picture(self.decode()?)
    }

    /// The text chunks that go into the picture's file.
    pub fn metadata(&self, model_digest: &str) -> Vec<(String, String)> {
        metadata(&self.options, self.options.size(self.model), model_digest)
    }

    fn out_of_order(&self, wanted: &'static str) -> GenerationError {
        GenerationError::Order { made: self.calls, total: self.sampler.calls(), wanted }
    }
}

/// The picture of a decoded tensor `[1, 3, H, W]`.
pub(super) fn to_picture(decoded: Tensor<4>) -> Result<RgbPicture, GenerationError> {
    to_rgb8(decoded).map_err(|error| match error {
        PictureError::NotFinite => GenerationError::NotFinite,
        other => GenerationError::Picture(other.to_string()),
    })
}
