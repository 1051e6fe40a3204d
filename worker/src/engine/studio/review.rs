//! After the last iteration of an inversion that is asked for a quality report: pictures of the person are drawn in the passes of
//! everybody's sampler steps, on the inversion's own time, and networks look at them and at the photos, one picture a step.
//!
//! Nothing of what has been learned changes, and whatever goes wrong here costs the report alone.

use std::collections::VecDeque;

use bytes::Bytes;
use likeness_diffusion::picture::RgbPicture;
use likeness_shared::proto::QualityAbsence;

use super::LoadedModel;
use super::guard;
use super::quality::{self, QualityOptions, absent};
use crate::engine::machine::Stage;
use crate::engine::order::DrawnReport;
use crate::generation::{GenerationError, PromptContext, TextToImage};
use crate::score::{Against, Drawn, Evaluate, Evaluation, Seen};

/// Pictures that are under way at once: as many as a pass is well filled with.
const AT_ONCE: usize = 8;

/// Photos of a person as the model sees them.
#[derive(Debug, Default)]
pub(super) struct PersonPhotos {
    /// Those that the person is learned from.
    pub(super) learned_from: Vec<RgbPicture>,
    /// Those that are kept from the training.
    pub(super) held_out: Vec<RgbPicture>,
}

/// What is looked at.
#[derive(Clone, Copy)]
enum Subject {
    Photo,
    HeldOut,
    /// A picture of this prompt.
    Drawn(usize),
}

/// A report under way.
pub(super) struct Review<'m> {
    model: &'m LoadedModel,
    evaluator: &'m dyn Evaluate,
    options: QualityOptions,
    vectors: Vec<Vec<f32>>,
    /// All at the same step, in order after the drawn ones.
    under_way: Vec<TextToImage<'m>>,
    /// UNet calls that a picture takes.
    calls_each: usize,
    files: Vec<Bytes>,
    unseen: VecDeque<(Subject, RgbPicture)>,
    photos: Vec<Seen>,
    held_out: Vec<Seen>,
    drawn: Vec<Drawn>,
    /// Pictures and photos to look at, in all.
    looks: usize,
}

impl<'m> Review<'m> {
    /// Of the person of these vectors.
    pub(super) fn new(
        model: &'m LoadedModel,
        evaluator: &'m dyn Evaluate,
        options: QualityOptions,
        vectors: Vec<Vec<f32>>,
        photos: PersonPhotos,
    ) -> Self {
        let PersonPhotos { learned_from, held_out } = photos;
        let unseen: VecDeque<_> = learned_from
            .into_iter()
            .map(|photo| (Subject::Photo, photo))
            .chain(held_out.into_iter().map(|photo| (Subject::HeldOut, photo)))
            .collect();
        Self {
            model,
            evaluator,
            vectors,
            under_way: Vec::new(),
            calls_each: options.picture(0, &[]).steps as usize,
            files: Vec::new(),
            looks: unseen.len() + options.total(),
            unseen,
            photos: Vec::new(),
            held_out: Vec::new(),
            drawn: Vec::new(),
            options,
        }
    }

    /// What the next step is, and its rows.
    pub(super) fn stage(&self) -> (Stage, u32) {
        match self.under_way.first() {
            Some(picture) if picture.is_drawn() => (Stage::Decode, self.under_way.len() as u32),
            Some(_) => (Stage::Sample, self.under_way.iter().map(TextToImage::rows).sum()),
            None if self.files.len() < self.options.total() => (Stage::Prompt, 1),
            None => (Stage::Look, 1),
        }
    }

    pub(super) fn under_way(&self) -> &[TextToImage<'m>] {
        &self.under_way
    }

    pub(super) fn under_way_mut(&mut self) -> &mut [TextToImage<'m>] {
        &mut self.under_way
    }

    /// Encodes the prompts of the next pictures, and begins these.
    pub(super) fn read_prompts(&mut self) -> Result<(), QualityAbsence> {
        let mut encoded: Option<(usize, PromptContext)> = None;
        for index in (self.files.len()..self.options.total()).take(AT_ONCE) {
            let options = self.options.picture(index, &self.vectors);
            let (prompt, _) = self.options.place(index);
            let context = match &encoded {
                Some((of, context)) if *of == prompt => context.clone(),
                _ => PromptContext::new(&self.model.diffusion, &options).map_err(|error| undrawn(&error))?,
            };
            let picture = TextToImage::with_context(&self.model.diffusion, options, context.clone());
            let picture = picture.map_err(|error| undrawn(&error))?;
            self.calls_each = picture.progress().total;
            self.under_way.push(picture);
            encoded = Some((prompt, context));
        }
        Ok(())
    }

    /// The pictures under way have been decoded.
    pub(super) fn decoded(
        &mut self,
        decoded: Vec<Result<RgbPicture, GenerationError>>,
    ) -> Result<(), QualityAbsence> {
        for (picture, decoded) in std::mem::take(&mut self.under_way).into_iter().zip(decoded) {
            let drawn = decoded.map_err(|error| undrawn(&error))?;
            let png = drawn.to_png(&picture.metadata(&self.model.digest));
            let png = png.map_err(|error| absent("drawing_failed", error))?;
            let (prompt, _) = self.options.place(self.files.len());
            self.files.push(png.into());
            self.unseen.push_back((Subject::Drawn(prompt), drawn));
        }
        Ok(())
    }

    /// Looks at the next picture. After the last one there is the report.
    pub(super) fn look(&mut self) -> Result<Option<DrawnReport>, QualityAbsence> {
        if let Some((subject, picture)) = self.unseen.pop_front() {
            let seen = guard::networks(|| self.evaluator.look(&picture)).map_err(unseen)?;
            match subject {
                Subject::Photo => self.photos.push(seen),
                Subject::HeldOut => self.held_out.push(seen),
                Subject::Drawn(prompt) => self.drawn.push(Drawn { prompt, seen }),
            }
        }
        if self.unseen.is_empty() { self.report().map(Some) } else { Ok(None) }
    }

    fn report(&mut self) -> Result<DrawnReport, QualityAbsence> {
        let read = self.options.as_read();
        let prompts = guard::networks(|| self.evaluator.prompts(&read)).map_err(unseen)?.unwrap_or_default();
        let against =
            Against { photos: &self.photos, held_out: &self.held_out, others: &[], prompts: &prompts };
        let evaluation = Evaluation::of(&self.drawn, against).ok_or_else(quality::no_face)?;
        let looked_at = (self.photos.len(), self.held_out.len());
        let report = quality::report(&evaluation, &self.options, looked_at, self.evaluator.networks());
        Ok(DrawnReport { report, pictures: std::mem::take(&mut self.files) })
    }

    /// Steps made, and of how many: UNet calls and looks.
    pub(super) fn progress(&self) -> (u32, u32) {
        let begun: usize = self.under_way.iter().map(|picture| picture.progress().calls).sum();
        let calls = self.files.len() * self.calls_each + begun;
        let seen = self.photos.len() + self.held_out.len() + self.drawn.len();
        let count = |steps: usize| u32::try_from(steps).unwrap_or(u32::MAX);
        (count(calls + seen), count(self.options.total() * self.calls_each + self.looks))
    }
}

fn undrawn(error: &GenerationError) -> QualityAbsence {
    absent("drawing_failed", format_args!("a picture of the report could not be drawn: {error}"))
}

fn unseen(error: String) -> QualityAbsence {
    absent(
        "networks_failed",
        format_args!(
            "the networks that score pictures failed ({error}): look at the worker's section [faces]"
        ),
    )
}
