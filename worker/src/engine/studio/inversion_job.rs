//! An inversion as the engine runs it: photos in (`intake`), their latents (`encode`), iterations (`train`), a
//! person file out. What goes through the model goes there in a pass that other tasks share: this is what
//! the task brings to it and what it makes of its part of the outcome.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use likeness_diffusion::person_file::{PersonFile, keys};
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::intake::{Photo, PhotoLimits, PhotoRefused, PhotoSet, RgbPixels, read_photo};
use likeness_faces::recognise::Embedding;
use likeness_shared::ids::TaskId;
use likeness_shared::limits::DEFAULT_PLACEHOLDER;
use likeness_shared::proto::{InversionSpec, Progress};
use sha2::{Digest, Sha256};

use super::preview::Previews;
use super::{LoadedModel, named_start, spec};
use crate::engine::machine::{Class, Demand, Side, Stage, Stepped};
use crate::engine::order::{Ending, Fault, LearnedPerson};
use crate::inversion::latents::{LatentsError, PhotoLatents, PhotoToEncode};
use crate::inversion::parameterisation::Parameterisation;
use crate::inversion::training_pass::RowOutcome;
use crate::inversion::training_step::TrainingBatch;
use crate::inversion::{Checkpoint, Inversion, InversionError, InversionOptions, Start, photos_digest};
use crate::names::NameFinder;

/// Photos that a task sends through the VAE at once.
const ENCODED_AT_ONCE: usize = 4;

/// What is under way.
enum Phase<'m> {
    Intake { waiting: VecDeque<Bytes>, taken: Vec<Photo>, refused: Vec<PhotoRefused> },
    Encode { photos: Vec<RgbPicture>, latents: Vec<PhotoLatents> },
    Train(Box<Inversion<'m>>),
}

/// What earlier attempts at a task left for the next one.
pub(super) struct Resumed {
    /// State to go on from; empty = from the start.
    pub(super) checkpoint: Bytes,
    /// How many of them diverged.
    pub(super) reseed: u32,
}

/// What an iteration brings to a pass.
pub(super) struct NextStep<'a> {
    pub(super) schedule: &'a NoiseSchedule,
    pub(super) batch: TrainingBatch,
    pub(super) vectors: Vec<Vec<f32>>,
}

/// An inversion under way.
pub struct InversionJob<'m> {
    model: &'m LoadedModel,
    class: Class,
    task: TaskId,
    spec: InversionSpec,
    options: InversionOptions,
    start: Start,
    checkpoint: Bytes,
    phase: Phase<'m>,
    previews: Previews<'m>,
    names: Option<&'m NameFinder>,
    /// Who the photos show, where the start asks for it.
    person: Option<Embedding>,
}

impl<'m> InversionJob<'m> {
    pub(super) fn open(
        (number, model): (usize, &'m LoadedModel),
        task: TaskId,
        spec: InversionSpec,
        photos: Vec<Bytes>,
        start_file: Option<&[u8]>,
        resumed: Resumed,
    ) -> Result<Self, Fault> {
        let Resumed { checkpoint, reseed } = resumed;
        let mut options = spec::inversion_options(&spec)?;
        options.seed = reseeded(options.seed, reseed);
        options.validate().map_err(|error| fault(error.into()))?;
        let start = spec::start(&spec, start_file)?;
        let (width, height) = model.diffusion.native_size();
        if width != height {
            let message =
                format!("model {:?} draws {width}x{height}: only square models can learn people", model.name);
            return Err(Fault::lasting("bad_options", message));
        }
        let phase = Phase::Intake { waiting: photos.into(), taken: Vec::new(), refused: Vec::new() };
        let class = Class { model: number, size: (width, height) };
        let previews = Previews::new(spec.preview_every);
        let (names, person) = (None, None);
        Ok(Self { model, class, task, spec, options, start, checkpoint, phase, previews, names, person })
    }

    /// The same with a bank of names to start from.
    pub(super) fn with_names(self, names: Option<&'m NameFinder>) -> Self {
        Self { names, ..self }
    }

    /// Who these photos show, where the start is to be a name like them.
    fn recognise(&self, photos: &[Photo]) -> Result<Option<Embedding>, Fault> {
        let (Start::Id { .. }, Some(names)) = (&self.start, self.names) else { return Ok(None) };
        names.person(photos.iter().map(Photo::picture)).map_err(|error| Fault::passing("faces_failed", error))
    }

    fn begin(&mut self, photos: &[RgbPicture], latents: Vec<PhotoLatents>) -> Result<Inversion<'m>, Fault> {
        let model = self.model;
        let start = named_start::resolved(
            &self.start,
            model,
            self.names.map(NameFinder::bank),
            self.person.as_ref(),
        )?
        .vectors(&model.diffusion, &model.folder)
        .map_err(|error| Fault::lasting("bad_start", error))?;
        let digest = photos_digest(photos);
        let inversion = Inversion::with_latents(
            &model.diffusion,
            self.options.clone(),
            latents,
            digest,
            start,
            &model.digest,
        )
        .map_err(fault)?;
        if self.checkpoint.is_empty() {
            return Ok(inversion);
        }
        let resumed = inversion.resume(&self.checkpoint).map_err(fault)?;
        tracing::info!(task = %self.task, step = resumed.report().step, "inversion resumed from its checkpoint");
        Ok(resumed)
    }

    fn person(&self, inversion: &Inversion<'m>) -> Result<LearnedPerson, Fault> {
        let vectors = inversion.vectors();
        let report = inversion.report();
        let (count, width) = (vectors.len() as u32, vectors.first().map_or(0, Vec::len) as u32);
        let placeholder = match self.spec.placeholder.as_str() {
            "" => DEFAULT_PLACEHOLDER,
            placeholder => placeholder,
        };
        let file = PersonFile {
            placeholder: Some(placeholder.to_owned()),
            vectors,
            metadata: self.metadata(count, report.step),
        };
        let file = file.write_diffusers().map_err(|error| Fault::passing("internal", error))?;
        Ok(LearnedPerson {
            file: file.into(),
            vectors: count,
            width,
            model_digest: self.model.digest.clone(),
            final_loss: report.smoothed,
            norm_ratio: report.norm_ratio,
            steps: report.step,
            kept_step: report.best_step,
        })
    }

    /// What the person file says about itself: nothing that names anybody.
    fn metadata(&self, vectors: u32, steps: u32) -> BTreeMap<String, String> {
        let (parameterisation, base) = match self.options.parameterisation {
            Parameterisation::LogNorm { base } => ("log_norm", Some((keys::LOG_BASE, base.to_string()))),
            Parameterisation::None { .. } => ("none", None),
            Parameterisation::Sphere { .. } => ("sphere", None),
        };
        [
            (keys::BASE_MODEL, self.model.digest.clone()),
            (keys::VECTORS, vectors.to_string()),
            (keys::PARAMETERISATION, parameterisation.to_owned()),
            (keys::START, self.start.kind().to_owned()),
            (keys::STEPS, steps.to_string()),
            (keys::TASK, self.task.to_string()),
        ]
        .into_iter()
        .chain(base)
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

impl<'m> InversionJob<'m> {
    pub(super) fn demand(&self) -> Demand {
        let (stage, rows) = match &self.phase {
            Phase::Intake { .. } => (Stage::Intake, 1),
            Phase::Encode { .. } => {
                let rows_each = if self.options.flip { 2 } else { 1 };
                (Stage::Encode, self.photos_to_encode().len() as u32 * rows_each)
            }
            Phase::Train(inversion) => match self.previews.under_way() {
                [] if inversion.watch_is_due() => (Stage::Watch, inversion.rows()),
                [] => (Stage::Train, inversion.rows()),
                [picture, ..] if picture.is_drawn() => (Stage::Decode, 1),
                [picture, ..] => (Stage::Sample, picture.rows()),
            },
        };
        Demand { side: Side::Learning, stage, class: self.class, rows: rows.max(1) }
    }

    pub(super) fn diffusion(&self) -> &'m StableDiffusion {
        &self.model.diffusion
    }

    /// Reads the next photo. After the last one every photo is cut, or every refusal told.
    pub(super) fn take_in(&mut self) -> Stepped {
        let Phase::Intake { waiting, taken, refused } = &mut self.phase else { return Ok(None) };
        if let Some(file) = waiting.pop_front() {
            match read_photo(&file, &PhotoLimits::default()) {
                Ok(photo) => taken.push(photo),
                Err(refusal) => refused.push(refusal.at(taken.len() + refused.len())),
            }
        }
        if waiting.is_empty() {
            let (photos, refused) = (std::mem::take(taken), std::mem::take(refused));
            self.person = self.recognise(&photos)?;
            let (side, _) = self.model.diffusion.native_size();
            self.phase = Phase::Encode { photos: squares(photos, refused, side)?, latents: Vec::new() };
        }
        Ok(None)
    }

    /// The next photos for the VAE.
    pub(super) fn photos_to_encode(&self) -> Vec<PhotoToEncode<'_>> {
        let Phase::Encode { photos, latents } = &self.phase else { return Vec::new() };
        let flip = self.options.flip;
        let photo = |(index, photo)| PhotoToEncode { index, photo, flip };
        photos.iter().enumerate().skip(latents.len()).take(ENCODED_AT_ONCE).map(photo).collect()
    }

    /// What the VAE has made of them. After the last one training begins.
    pub(super) fn encoded(&mut self, encoded: Vec<Result<PhotoLatents, LatentsError>>) -> Stepped {
        let Phase::Encode { photos, latents } = &mut self.phase else { return Ok(None) };
        for photo in encoded {
            latents.push(photo.map_err(|error| fault(error.into()))?);
        }
        if latents.len() < photos.len() {
            return Ok(None);
        }
        let (photos, latents) = (std::mem::take(photos), std::mem::take(latents));
        let inversion = self.begin(&photos, latents)?;
        let ending = self.ending(&inversion)?;
        self.phase = Phase::Train(Box::new(inversion));
        Ok(ending)
    }

    /// What the task brings to its next pass: the fixed batch where that is to be measured, else an iteration's rows.
    pub(super) fn next_step(&self) -> Result<NextStep<'_>, Fault> {
        let Phase::Train(inversion) = &self.phase else {
            return Err(Fault::passing("internal", "the task is not in training"));
        };
        let batch = match inversion.watch_batch() {
            Some(batch) => batch,
            None => inversion.next_batch().map_err(fault)?,
        };
        Ok(NextStep { schedule: inversion.schedule(), batch, vectors: inversion.vectors() })
    }

    /// Ends the iteration with its rows' outcome.
    pub(super) fn trained(&mut self, rows: &[RowOutcome]) -> Stepped {
        let Phase::Train(inversion) = &mut self.phase else { return Ok(None) };
        inversion.absorb(rows).map_err(fault)?;
        self.after_step()
    }

    /// Takes what the fixed batch's rows made.
    pub(super) fn watched(&mut self, rows: &[RowOutcome]) -> Stepped {
        let Phase::Train(inversion) = &mut self.phase else { return Ok(None) };
        inversion.absorb_watch(rows);
        self.after_step()
    }

    /// The person, at the end; a preview, where one is due.
    fn after_step(&mut self) -> Stepped {
        let Phase::Train(inversion) = &self.phase else { return Ok(None) };
        if inversion.is_finished() || inversion.watch_is_due() {
            return self.ending(inversion);
        }
        self.previews.begin(self.model, inversion.report().step, self.options.seed, inversion.vectors());
        Ok(None)
    }

    pub(super) fn previews(&self) -> &Previews<'m> {
        &self.previews
    }

    pub(super) fn previews_mut(&mut self) -> &mut Previews<'m> {
        &mut self.previews
    }

    /// The person, once all iterations are made.
    fn ending(&self, inversion: &Inversion<'m>) -> Stepped {
        if !inversion.is_finished() {
            return Ok(None);
        }
        self.person(inversion).map(|person| Some(Ending::Learned(person)))
    }

    pub(super) fn progress(&self) -> Progress {
        // Before training a resumed task stands where its checkpoint was taken: a task's step never falls.
        let resumed_step = Checkpoint::peek_step(&self.checkpoint).unwrap_or(0);
        let total_steps = self.options.steps;
        let (step, phase) = match &self.phase {
            Phase::Intake { .. } => (resumed_step, "intake"),
            Phase::Encode { .. } => (resumed_step, "encode"),
            Phase::Train(inversion) => {
                let report = inversion.report();
                return Progress {
                    step: report.step,
                    total_steps,
                    phase: "train".to_owned(),
                    loss: report.smoothed,
                    norm_ratio: report.norm_ratio,
                    ..Progress::default()
                };
            }
        };
        Progress { step, total_steps, phase: phase.to_owned(), ..Progress::default() }
    }

    pub(super) fn checkpoint(&self) -> Option<Bytes> {
        match &self.phase {
            Phase::Train(inversion) => inversion.checkpoint().ok().map(Bytes::from),
            _ if self.checkpoint.is_empty() => None,
            _ => Some(self.checkpoint.clone()),
        }
    }
}

/// The seed of an attempt: the task's own, unless earlier attempts diverged on the numbers that it gives.
fn reseeded(seed: u64, reseed: u32) -> u64 {
    if reseed == 0 {
        return seed;
    }
    let mut mixed = Sha256::new();
    mixed.update(b"likeness reseed");
    mixed.update(seed.to_le_bytes());
    mixed.update(reseed.to_le_bytes());
    mixed.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The photos as the model learns from them, or every reason why they cannot be.
fn squares(photos: Vec<Photo>, refused: Vec<PhotoRefused>, side: u32) -> Result<Vec<RgbPicture>, Fault> {
    if !refused.is_empty() {
        return Err(refusal(&refused));
    }
    let set = PhotoSet::new(photos, &PhotoLimits::default()).map_err(|refused| refusal(&refused))?;
    let square = |photo: &Photo| {
        let RgbPixels { width, height, pixels } = photo.square(side);
        RgbPicture { width, height, pixels }
    };
    Ok(set.photos().iter().map(square).collect())
}

/// The first refusal's code, and every refusal's sentence and hint.
fn refusal(refused: &[PhotoRefused]) -> Fault {
    let sentence = |refusal: &PhotoRefused| {
        // A refusal of a set names its photos itself.
        let which = match refusal.index {
            Some(index) if !refusal.sentence.starts_with("photo") => format!("photo {}: ", index + 1),
            _ => String::new(),
        };
        format!("{which}{}; {}", refusal.sentence, refusal.hint)
    };
    let code = refused.first().map_or("corrupt", |refusal| refusal.code.as_str());
    Fault::lasting(code, refused.iter().map(sentence).collect::<Vec<_>>().join(". "))
}

/// A checkpoint that does not fit may fit another worker, a loss that is not a number may come of the device, and
/// internal errors are the device's; the rest would come again.
pub(super) fn fault(error: InversionError) -> Fault {
    let code = error.code();
    match code {
        "nan_loss" | "bad_checkpoint" | "internal" => Fault::passing(code, error),
        _ => Fault::lasting(code, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Blame;

    #[test]
    fn only_an_attempt_after_a_divergence_draws_other_numbers() {
        assert_eq!(reseeded(7, 0), 7, "the first attempts are bit-equal, wherever they run");
        let seeds = [7, reseeded(7, 1), reseeded(7, 2), reseeded(8, 1)];
        let distinct: std::collections::BTreeSet<u64> = seeds.into_iter().collect();
        assert_eq!(distinct.len(), seeds.len());
        assert_eq!(reseeded(7, 1), reseeded(7, 1), "and so are the later ones");
    }

    #[test]
    fn a_loss_that_is_no_number_is_worth_another_attempt() {
        let fault = fault(InversionError::NanLoss { iteration: 3, loss: f64::NAN });
        assert_eq!((fault.code.as_str(), fault.blame), ("nan_loss", Blame::Chance));
    }
}
