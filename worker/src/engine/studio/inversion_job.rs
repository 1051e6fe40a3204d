//! An inversion as the engine runs it: photos in (`intake.rs`), their latents (`encode`), starts to choose from where the task
//! says `auto` (`compare`), iterations (`train`), a person file out (`ending.rs`). What goes through the model goes there in a pass
//! that other tasks share: this is what the task brings to it and what it makes of its part of the outcome.

#[cfg(test)]
mod auto_tests;
mod ending;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::bank::Bank;
use likeness_faces::check::PhotoChecker;
use likeness_faces::recognise::Embedding;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{InversionSpec, PhotoReport, Progress};
use sha2::{Digest, Sha256};

use super::auto_start::{self, Beginning, Subject};
use super::intake::{Intake, TakenIn};
use super::preview::Previews;
use super::quality::QualityOptions;
use super::review::{PersonPhotos, Review};
use super::{LoadedModel, named_start, spec};
use crate::engine::machine::{Class, Demand, Side, Stage, Stepped};
use crate::engine::order::{Fault, Preview};
use crate::inversion::comparison::Comparison;
use crate::inversion::face_mask::FaceEllipse;
use crate::inversion::latents::{LatentsError, PhotoLatents, PhotoToEncode};
use crate::inversion::material::Material;
use crate::inversion::training_pass::RowOutcome;
use crate::inversion::training_step::TrainingBatch;
use crate::inversion::{Checkpoint, Inversion, InversionError, InversionOptions, Start, photos_digest};
use crate::score::Evaluate;

/// Photos that a task sends through the VAE at once.
const ENCODED_AT_ONCE: usize = 4;

/// What is under way.
enum Phase<'m> {
    Intake(Intake),
    Encode {
        photos: PersonPhotos,
        faces: Vec<FaceEllipse>,
        latents: Vec<PhotoLatents>,
    },
    Compare {
        comparison: Box<Comparison<'m>>,
        photos: PersonPhotos,
    },
    /// And, after the last iteration, the review of what was learned.
    Train {
        inversion: Box<Inversion<'m>>,
        photos: PersonPhotos,
        review: Option<Box<Review<'m>>>,
    },
}

/// The photos of a task as they came, and who judges them.
pub(super) struct PhotoFiles<'a> {
    pub(super) files: Vec<Bytes>,
    pub(super) checker: Option<&'a PhotoChecker>,
}

/// What earlier attempts at a task left for the next one.
pub(super) struct Resumed {
    /// State to go on from; empty = from the start.
    pub(super) checkpoint: Bytes,
    /// How many of them diverged.
    pub(super) reseed: u32,
}

/// What a task brings to a pass.
pub(super) struct NextStep<'a> {
    pub(super) schedule: &'a NoiseSchedule,
    /// One, but for starts that are compared.
    pub(super) parts: Vec<Part>,
}

/// Rows that share their vectors.
pub(super) struct Part {
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
    /// Photos that are learned from, once all have been taken in.
    photos_used: u32,
    /// What was found of all of them.
    photo_report: Option<Box<PhotoReport>>,
    bank: Option<&'m Bank>,
    /// Who the photos show, once all have been taken in, where they were searched for faces.
    person: Option<Embedding>,
    /// The report that is wanted.
    quality: Option<QualityOptions>,
    evaluator: Option<&'m dyn Evaluate>,
}

impl<'m> InversionJob<'m> {
    pub(super) fn open(
        (number, model): (usize, &'m LoadedModel),
        task: TaskId,
        spec: InversionSpec,
        photos: PhotoFiles<'_>,
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
        let phase = Phase::Intake(Intake::new(photos.files, photos.checker, &spec, width)?);
        let class = Class { model: number, size: (width, height) };
        let (previews, quality) = (Previews::new(spec.preview_every), QualityOptions::of(&spec));
        Ok(Self {
            model,
            class,
            task,
            spec,
            options,
            start,
            checkpoint,
            phase,
            previews,
            photos_used: 0,
            photo_report: None,
            bank: None,
            person: None,
            quality,
            evaluator: None,
        })
    }

    /// The same with a bank of names to start from.
    pub(super) fn with_bank(self, bank: Option<&'m Bank>) -> Self {
        Self { bank, ..self }
    }

    /// The same with networks that can score pictures of the person.
    pub(super) fn with_evaluator(self, evaluator: Option<&'m dyn Evaluate>) -> Self {
        Self { evaluator, ..self }
    }

    /// At its start, where its checkpoint was taken, or with a comparison of starts.
    fn begin(&mut self, photos: &[RgbPicture], latents: Vec<PhotoLatents>) -> Result<Beginning<'m>, Fault> {
        let model = self.model;
        let options = self.options.clone();
        let material =
            Material::new(&model.diffusion, options, latents, photos_digest(photos), &model.digest);
        let material = material.map_err(fault)?;
        let begun = match self.start {
            Start::Auto { names } => {
                let subject = Subject {
                    task: self.task,
                    bank: self.bank,
                    person: self.person.as_ref(),
                    checkpoint: &self.checkpoint,
                };
                auto_start::begin(names, material, model, subject)?
            }
            _ => {
                let start = named_start::resolved(&self.start, model, self.bank, self.person.as_ref())?
                    .vectors(&model.diffusion, &model.folder)
                    .map_err(|error| Fault::lasting("bad_start", error))?;
                Beginning::Training(Inversion::of(material, start).map_err(fault)?)
            }
        };
        match begun {
            Beginning::Training(inversion) if !self.checkpoint.is_empty() => {
                let resumed = inversion.resume(&self.checkpoint).map_err(fault)?;
                let step = resumed.report().step;
                tracing::info!(task = %self.task, step, "inversion resumed from its checkpoint");
                Ok(Beginning::Training(resumed))
            }
            begun => Ok(begun),
        }
    }
}

impl<'m> InversionJob<'m> {
    pub(super) fn demand(&self) -> Demand {
        let (stage, rows) = match &self.phase {
            Phase::Intake(_) => (Stage::Intake, 1),
            Phase::Encode { .. } => {
                let rows_each = if self.options.flip { 2 } else { 1 };
                (Stage::Encode, self.photos_to_encode().len() as u32 * rows_each)
            }
            Phase::Compare { comparison, .. } => (Stage::Watch, comparison.rows()),
            Phase::Train { review: Some(review), .. } => review.stage(),
            Phase::Train { inversion, .. } => match self.previews.under_way() {
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

    /// Takes the next photo in. After the last one those to learn from are cut, or it is told why there are not enough.
    pub(super) fn take_in(&mut self) -> Stepped {
        let Phase::Intake(intake) = &mut self.phase else { return Ok(None) };
        intake.next()?;
        if intake.is_done() {
            let TakenIn { photos, held_out, faces, report, person } = intake.finish()?;
            if let Some(report) = report.as_ref().filter(|report| report.used < report.given) {
                let (used, given) = (report.used, report.given);
                tracing::info!(task = %self.task, used, given, "photos that cannot be learned from are dropped");
            }
            self.photos_used = u32::try_from(photos.len()).unwrap_or(u32::MAX);
            self.photo_report = report;
            self.person = person;
            let photos = PersonPhotos { learned_from: photos, held_out };
            self.phase = Phase::Encode { photos, faces, latents: Vec::new() };
        }
        Ok(None)
    }

    /// The next photos for the VAE.
    pub(super) fn photos_to_encode(&self) -> Vec<PhotoToEncode<'_>> {
        let Phase::Encode { photos, latents, .. } = &self.phase else { return Vec::new() };
        let flip = self.options.flip;
        let photo = |(index, photo)| PhotoToEncode { index, photo, flip };
        photos.learned_from.iter().enumerate().skip(latents.len()).take(ENCODED_AT_ONCE).map(photo).collect()
    }

    /// What the VAE has made of them. After the last one starts are compared, or training begins.
    pub(super) fn encoded(&mut self, encoded: Vec<Result<PhotoLatents, LatentsError>>) -> Stepped {
        let Phase::Encode { photos, faces, latents } = &mut self.phase else { return Ok(None) };
        for photo in encoded {
            let photo = photo.map_err(|error| fault(error.into()))?;
            let face = faces.get(latents.len()).copied().unwrap_or_default();
            latents.push(photo.with_face(face));
        }
        if latents.len() < photos.learned_from.len() {
            return Ok(None);
        }
        let (mut photos, latents) = (std::mem::take(photos), std::mem::take(latents));
        let begun = self.begin(&photos.learned_from, latents)?;
        if self.quality.is_none() {
            photos = PersonPhotos::default();
        }
        match begun {
            Beginning::Training(inversion) => self.train(inversion, photos),
            Beginning::Comparing(comparison) => {
                self.phase = Phase::Compare { comparison: Box::new(comparison), photos };
                Ok(None)
            }
        }
    }

    fn train(&mut self, inversion: Inversion<'m>, photos: PersonPhotos) -> Stepped {
        let finished = inversion.is_finished();
        self.phase = Phase::Train { inversion: Box::new(inversion), photos, review: None };
        if finished { self.finish() } else { Ok(None) }
    }

    /// What the task brings to its next pass: the fixed batch where that is to be measured, for each start that is
    /// compared or for the vectors as they are, else an iteration's rows.
    pub(super) fn next_step(&self) -> Result<NextStep<'_>, Fault> {
        match &self.phase {
            Phase::Compare { comparison, .. } => {
                let part = |(batch, vectors): (TrainingBatch, &[Vec<f32>])| {
                    let vectors = vectors.to_vec();
                    Part { batch, vectors }
                };
                let parts = comparison.next_batches().into_iter().map(part).collect();
                Ok(NextStep { schedule: comparison.schedule(), parts })
            }
            Phase::Train { inversion, .. } => {
                let batch = match inversion.watch_batch() {
                    Some(batch) => batch,
                    None => inversion.next_batch().map_err(fault)?,
                };
                let parts = vec![Part { batch, vectors: inversion.vectors() }];
                Ok(NextStep { schedule: inversion.schedule(), parts })
            }
            _ => Err(Fault::passing("internal", "the task is not in training")),
        }
    }

    /// Ends the iteration with its rows' outcome.
    pub(super) fn trained(&mut self, rows: &[RowOutcome]) -> Stepped {
        let Phase::Train { inversion, .. } = &mut self.phase else { return Ok(None) };
        inversion.absorb(rows).map_err(fault)?;
        self.after_step()
    }

    /// Takes what the fixed batch's rows made, part by part. After the last of the starts that are compared training begins.
    pub(super) fn watched(&mut self, parts: &[Vec<RowOutcome>]) -> Stepped {
        match &mut self.phase {
            Phase::Compare { comparison, .. } => {
                comparison.absorb(parts);
                if comparison.is_finished() {
                    return self.compared();
                }
                Ok(None)
            }
            Phase::Train { inversion, .. } => {
                inversion.absorb_watch(parts.first().map_or(&[], Vec::as_slice));
                self.after_step()
            }
            _ => Ok(None),
        }
    }

    /// Training begins at the best of the starts.
    fn compared(&mut self) -> Stepped {
        let nothing =
            Phase::Encode { photos: PersonPhotos::default(), faces: Vec::new(), latents: Vec::new() };
        let Phase::Compare { comparison, photos } = std::mem::replace(&mut self.phase, nothing) else {
            return Ok(None);
        };
        // How many and no more: whose loss was the lowest would tell the name.
        let starts = comparison.losses().len();
        tracing::info!(task = %self.task, starts, "starts are compared, training begins at the best");
        self.train(comparison.into_inversion().map_err(fault)?, photos)
    }

    /// The end of the training, or a preview, where one is due.
    fn after_step(&mut self) -> Stepped {
        let Phase::Train { inversion, .. } = &self.phase else { return Ok(None) };
        if inversion.is_finished() {
            return self.finish();
        }
        if !inversion.watch_is_due() {
            let (step, vectors) = (inversion.report().step, inversion.vectors());
            self.previews.begin(self.model, step, self.options.seed, vectors);
        }
        Ok(None)
    }

    pub(super) fn take_preview(&mut self) -> Option<Preview> {
        self.previews.take()
    }

    pub(super) fn progress(&self) -> Progress {
        // Before training a resumed task stands where its checkpoint was taken: a task's step never falls.
        let resumed_step = Checkpoint::peek_step(&self.checkpoint).unwrap_or(0);
        let total_steps = self.options.steps;
        let (step, phase) = match &self.phase {
            Phase::Intake(_) => (resumed_step, "intake"),
            Phase::Encode { .. } => (resumed_step, "encode"),
            Phase::Compare { .. } => (resumed_step, "compare"),
            Phase::Train { inversion, review, .. } => {
                let report = inversion.report();
                let (phase_step, phase_steps) = review.as_ref().map_or((0, 0), |review| review.progress());
                return Progress {
                    step: report.step,
                    total_steps,
                    phase: if review.is_some() { "quality" } else { "train" }.to_owned(),
                    loss: report.smoothed,
                    norm_ratio: report.norm_ratio,
                    photos: self.photo_report.clone(),
                    phase_step,
                    phase_steps,
                    ..Progress::default()
                };
            }
        };
        let photos = self.photo_report.clone();
        Progress { step, total_steps, phase: phase.to_owned(), photos, ..Progress::default() }
    }

    pub(super) fn checkpoint(&self) -> Option<Bytes> {
        match &self.phase {
            Phase::Train { inversion, .. } => inversion.checkpoint().ok().map(Bytes::from),
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

/// A checkpoint that does not fit may fit another worker, a loss that is not a number may come of the device, and
/// internal errors are the device's; the rest would come again.
pub(super) fn fault(error: InversionError) -> Fault {
    let code = error.code();
    match code {
        "nan_loss" | "bad_checkpoint" | "internal" => Fault::passing(code, error),
        _ => Fault::lasting(code, error),
    }
}
