//! A generation as the engine runs it: its prompt (`prompt`), then its pictures, several at once: sampler steps (`sample`)
//! and decoding (`decode`), both in passes that other tasks share.

use likeness_diffusion::person_file::PersonFile;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_shared::proto::{GenerationSpec, Progress};

use super::{LoadedModel, spec};
use crate::engine::machine::{Class, Demand, Side, Stage, Stepped};
use crate::engine::order::{BoundPerson, DrawnPicture, DrawnPictures, Ending, Fault};
use crate::generation::{GenerationError, GenerationOptions, Person, PromptContext, TextToImage};

/// Pictures of a task that are under way at once: as many as a pass is well filled with.
const AT_ONCE: usize = 8;

/// A generation under way.
pub struct GenerationJob<'m> {
    model: &'m LoadedModel,
    class: Class,
    options: GenerationOptions,
    wanted: usize,
    calls_each: usize,
    context: Option<PromptContext>,
    /// Pictures under way, all at the same step, in seed order after the finished ones.
    under_way: Vec<TextToImage<'m>>,
    finished: Vec<DrawnPicture>,
    warnings: Vec<String>,
}

impl<'m> GenerationJob<'m> {
    pub(super) fn open(
        (number, model): (usize, &'m LoadedModel),
        spec: &GenerationSpec,
        people: Vec<BoundPerson>,
        init_image: Option<&[u8]>,
    ) -> Result<Self, Fault> {
        let mut warnings = Vec::new();
        let mut persons = Vec::with_capacity(people.len());
        for bound in people {
            persons.push(read_person(model, bound, &mut warnings)?);
        }
        let options = spec::generation_options(spec, persons, init_image)?;
        options.validate(&model.diffusion).map_err(fault)?;
        Ok(Self {
            model,
            class: Class { model: number, size: options.size(&model.diffusion) },
            wanted: spec.pictures.unwrap_or(1).max(1) as usize,
            calls_each: options.steps_made() as usize,
            options,
            context: None,
            under_way: Vec::new(),
            finished: Vec::new(),
            warnings,
        })
    }

    pub(super) fn demand(&self) -> Demand {
        let stage = match self.under_way.first() {
            None => Stage::Prompt,
            Some(picture) if picture.is_drawn() => Stage::Decode,
            Some(_) => Stage::Sample,
        };
        let rows = match stage {
            Stage::Sample => self.under_way.iter().map(TextToImage::rows).sum(),
            Stage::Decode => self.under_way.len() as u32,
            _ => 1,
        };
        Demand { side: Side::Drawing, stage, class: self.class, rows: rows.max(1) }
    }

    pub(super) fn diffusion(&self) -> &'m StableDiffusion {
        &self.model.diffusion
    }

    pub(super) fn under_way(&self) -> &[TextToImage<'m>] {
        &self.under_way
    }

    pub(super) fn under_way_mut(&mut self) -> &mut [TextToImage<'m>] {
        &mut self.under_way
    }

    /// Encodes the prompt, once for all pictures, and begins the first of them.
    pub(super) fn read_prompt(&mut self) -> Stepped {
        let context = PromptContext::new(&self.model.diffusion, &self.options).map_err(fault)?;
        self.warnings.extend(context.warnings.iter().cloned());
        self.context = Some(context);
        self.begin_pictures().map(|()| None)
    }

    /// Begins as many of the pictures that are left as are under way at once.
    fn begin_pictures(&mut self) -> Result<(), Fault> {
        let Some(context) = &self.context else { return Ok(()) };
        let left = self.wanted.saturating_sub(self.finished.len());
        for index in 0..left.min(AT_ONCE) {
            let options = GenerationOptions { seed: self.seed(index), ..self.options.clone() };
            let picture = TextToImage::with_context(&self.model.diffusion, options, context.clone());
            let picture = picture.map_err(fault)?;
            self.calls_each = picture.progress().total;
            self.under_way.push(picture);
        }
        Ok(())
    }

    /// The seed of the picture that is so many places after the finished ones.
    fn seed(&self, index: usize) -> u64 {
        self.options.seed.wrapping_add((self.finished.len() + index) as u64)
    }

    /// The pictures under way have been decoded. The task ends with the last of them.
    pub(super) fn decoded(&mut self, decoded: Vec<Result<RgbPicture, GenerationError>>) -> Stepped {
        for (picture, decoded) in std::mem::take(&mut self.under_way).into_iter().zip(decoded) {
            let drawn = decoded.map_err(fault)?;
            let png = drawn.to_png(&picture.metadata(&self.model.digest));
            let png = png.map_err(|error| Fault::passing("internal", error))?;
            let (seed, width, height) = (self.seed(0), drawn.width, drawn.height);
            self.finished.push(DrawnPicture { png: png.into(), seed, width, height });
        }
        if self.finished.len() < self.wanted {
            return self.begin_pictures().map(|()| None);
        }
        let (pictures, warnings) = (std::mem::take(&mut self.finished), std::mem::take(&mut self.warnings));
        Ok(Some(Ending::Drawn(DrawnPictures { pictures, warnings })))
    }

    pub(super) fn progress(&self) -> Progress {
        let calls: usize = self.under_way.iter().map(|picture| picture.progress().calls).sum();
        let count = |steps: usize| u32::try_from(steps).unwrap_or(u32::MAX);
        let phase = match self.demand().stage {
            Stage::Prompt => "prompt",
            Stage::Decode => "decode",
            _ => "sample",
        };
        Progress {
            step: count(self.finished.len() * self.calls_each + calls),
            total_steps: count(self.wanted * self.calls_each),
            phase: phase.to_owned(),
            ..Progress::default()
        }
    }
}

fn read_person(model: &LoadedModel, bound: BoundPerson, warnings: &mut Vec<String>) -> Result<Person, Fault> {
    let BoundPerson { placeholder, id, file, model_digest } = bound;
    let refuse = |reason: &dyn std::fmt::Display| {
        Fault::lasting("bad_person", format!("the person behind {placeholder:?} cannot be used: {reason}"))
    };
    let person = PersonFile::read(&file).map_err(|error| refuse(&error))?;
    person.check_width(model.diffusion.text_encoder.width()).map_err(|error| refuse(&error))?;
    if !model_digest.is_empty() && model_digest != model.digest {
        warnings.push(format!(
            "the person behind {placeholder:?} was learned on another model than {:?}: the likeness may be lost",
            model.name
        ));
    }
    Ok(Person { placeholder, id, vectors: person.vectors })
}

pub(super) fn fault(error: GenerationError) -> Fault {
    let code = error.code();
    if code == "internal" { Fault::passing(code, error) } else { Fault::lasting(code, error) }
}
