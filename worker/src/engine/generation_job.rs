//! A generation as the engine runs it: one picture after another, one sampler step (`sample`) or one decoding
//! (`decode`) a piece.

use bytes::Bytes;
use likeness_diffusion::person_file::PersonFile;
use likeness_shared::proto::{GenerationSpec, Progress};

use super::job::Job;
use super::order::{BoundPerson, DrawnPicture, DrawnPictures, Ending, Fault};
use super::spec;
use super::studio::LoadedModel;
use crate::generation::{GenerationError, GenerationOptions, Person, PromptContext, TextToImage};

/// A generation under way.
pub(super) struct GenerationJob<'m> {
    model: &'m LoadedModel,
    options: GenerationOptions,
    wanted: u32,
    calls_each: usize,
    context: Option<PromptContext>,
    current: Option<TextToImage<'m>>,
    finished: Vec<DrawnPicture>,
    warnings: Vec<String>,
}

impl<'m> GenerationJob<'m> {
    pub(super) fn open(
        model: &'m LoadedModel,
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
        let wanted = spec.pictures.unwrap_or(1).max(1);
        let calls_each = options.steps_made() as usize;
        Ok(Self {
            model,
            options,
            wanted,
            calls_each,
            context: None,
            current: None,
            finished: Vec::new(),
            warnings,
        })
    }

    /// The picture that is under way, begun if none is.
    fn picture(&mut self) -> Result<TextToImage<'m>, Fault> {
        if let Some(picture) = self.current.take() {
            return Ok(picture);
        }
        let diffusion = &self.model.diffusion;
        let context = match &self.context {
            Some(context) => context.clone(),
            None => {
                let context = PromptContext::new(diffusion, &self.options).map_err(fault)?;
                self.warnings.extend(context.warnings.iter().cloned());
                self.context.insert(context).clone()
            }
        };
        let seed = self.options.seed.wrapping_add(self.finished.len() as u64);
        let options = GenerationOptions { seed, ..self.options.clone() };
        let picture = TextToImage::with_context(diffusion, options, context).map_err(fault)?;
        self.calls_each = picture.progress().total;
        Ok(picture)
    }

    fn decode(&mut self, picture: TextToImage<'m>) -> Result<(), Fault> {
        let seed = self.options.seed.wrapping_add(self.finished.len() as u64);
        let metadata = picture.metadata(&self.model.digest);
        let drawn = picture.finish().map_err(fault)?;
        let png = drawn.to_png(&metadata).map_err(|error| Fault::passing("internal", error))?;
        self.finished.push(DrawnPicture { png: png.into(), seed, width: drawn.width, height: drawn.height });
        Ok(())
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

impl Job for GenerationJob<'_> {
    fn advance(&mut self) -> Result<Option<Ending>, Fault> {
        let mut picture = self.picture()?;
        if picture.is_drawn() {
            self.decode(picture)?;
        } else {
            picture.step().map_err(fault)?;
            self.current = Some(picture);
        }
        let done = self.finished.len() >= self.wanted as usize;
        Ok(done.then(|| {
            let (pictures, warnings) =
                (std::mem::take(&mut self.finished), std::mem::take(&mut self.warnings));
            Ending::Drawn(DrawnPictures { pictures, warnings })
        }))
    }

    fn progress(&self) -> Progress {
        let calls = self.current.as_ref().map_or(0, |picture| picture.progress().calls);
        let decoding = self.current.as_ref().is_some_and(TextToImage::is_drawn);
        let count = |steps: usize| u32::try_from(steps).unwrap_or(u32::MAX);
        Progress {
            step: count(self.finished.len() * self.calls_each + calls),
            total_steps: count(self.wanted as usize * self.calls_each),
            phase: if decoding { "decode" } else { "sample" }.to_owned(),
            ..Progress::default()
        }
    }

    fn checkpoint(&self) -> Option<Bytes> {
        None
    }
}

fn fault(error: GenerationError) -> Fault {
    let code = error.code();
    if code == "internal" { Fault::passing(code, error) } else { Fault::lasting(code, error) }
}
