//! Looks at a person while he is learned: every so many iterations a small picture with the vectors as they are, drawn in
//! the passes of everybody's sampler steps, on the inversion's own time.
//!
//! A preview changes nothing of what is learned. One that cannot be drawn is left out.

use likeness_diffusion::picture::RgbPicture;

use super::LoadedModel;
use crate::engine::order::Preview;
use crate::generation::{GenerationError, GenerationOptions, Person, PromptContext, TextToImage};

/// What a preview shows. No user's placeholder is in it, so it is the same for all.
const PROMPT: &str = "a photo of <person>";
const PLACEHOLDER: &str = "<person>";
/// Sampler steps: enough to see who it is.
const STEPS: u32 = 10;

/// The previews of one inversion.
#[derive(Default)]
pub(super) struct Previews<'m> {
    /// Iterations from one to the next; `None` = none are wanted.
    every: Option<u32>,
    /// The iteration of the last one that was begun.
    begun_at: u32,
    /// The one that is being drawn; none or one.
    under_way: Vec<TextToImage<'m>>,
    finished: Option<Preview>,
}

impl<'m> Previews<'m> {
    pub(super) fn new(every: Option<u32>) -> Self {
        Self { every: every.filter(|every| *every > 0), ..Self::default() }
    }

    /// Begins one, where `step` iterations are made and one is due.
    pub(super) fn begin(&mut self, model: &'m LoadedModel, step: u32, seed: u64, vectors: Vec<Vec<f32>>) {
        let due = self.every.is_some_and(|every| step > self.begun_at && step.is_multiple_of(every));
        if !due {
            return;
        }
        self.begun_at = step;
        let person = Person { placeholder: PLACEHOLDER.to_owned(), id: String::new(), vectors };
        let (prompt, persons) = (PROMPT.to_owned(), vec![person]);
        let options =
            GenerationOptions { prompt, persons, seed, steps: STEPS, ..GenerationOptions::default() };
        let picture = PromptContext::new(&model.diffusion, &options)
            .and_then(|context| TextToImage::with_context(&model.diffusion, options, context));
        match picture {
            Ok(picture) => self.under_way.push(picture),
            Err(error) => tracing::warn!(%error, "preview cannot be begun"),
        }
    }

    pub(super) fn under_way(&self) -> &[TextToImage<'m>] {
        &self.under_way
    }

    pub(super) fn under_way_mut(&mut self) -> &mut [TextToImage<'m>] {
        &mut self.under_way
    }

    /// The picture under way has been decoded.
    pub(super) fn decoded(&mut self, decoded: Vec<Result<RgbPicture, GenerationError>>) {
        let step = self.begun_at;
        self.under_way.clear();
        for picture in decoded {
            let png = picture.and_then(|picture| {
                picture.to_png(&[]).map_err(|error| GenerationError::Picture(error.to_string()))
            });
            match png {
                Ok(png) => self.finished = Some(Preview { step, png: png.into() }),
                Err(error) => tracing::warn!(%error, step, "preview cannot be shown"),
            }
        }
    }

    /// The finished one, once.
    pub(super) fn take(&mut self) -> Option<Preview> {
        self.finished.take()
    }
}
