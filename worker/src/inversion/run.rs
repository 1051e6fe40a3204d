//! An inversion from the first iteration to the last, one iteration a call.

use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::Placeholder;
use sha2::{Digest, Sha256};

use super::adam::{Adam, AdamOptions};
use super::checkpoint::{Checkpoint, CheckpointError};
use super::draws::{DrawBounds, Draws};
use super::latents::{LatentsError, PhotoLatents, encode_photo};
use super::options::{InversionOptions, OptionsError};
use super::parameterisation::{Gradients, LearnedState, ParameterisationError, norm};
use super::training_pass::{Member, RowOutcome, Want, training_pass};
use super::training_step::{StepError, TrainingBatch, TrainingStep};

/// Stands for the person in captions; what the user calls him in prompts has no part in training.
const PLACEHOLDER: &str = "<learned>";
/// Weight of the newest loss in the smoothed one.
const SMOOTHING: f64 = 0.05;

/// Why an inversion cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum InversionError {
    /// A setting.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The start vectors.
    #[error(transparent)]
    Start(#[from] ParameterisationError),
    /// The start vectors' width.
    #[error(
        "the start vectors are {found} wide, the model's token vectors {expected}: use a start of this model's family"
    )]
    Width {
        /// Width of the start.
        found: usize,
        /// Width of the model.
        expected: usize,
    },
    /// No photos.
    #[error("there are no photos to learn from")]
    NoPhotos,
    /// The photos differ in size.
    #[error("photo {0} differs in size from photo 0: bring all photos to one size")]
    UnequalPhotos(usize),
    /// A photo.
    #[error(transparent)]
    Latents(#[from] LatentsError),
    /// The scheduler configuration of the model.
    #[error("the model's noise schedule cannot be used: {0}")]
    Schedule(String),
    /// A caption template.
    #[error("the caption {caption:?} cannot be tokenized: {reason}")]
    Caption {
        /// The caption.
        caption: String,
        /// What the tokenizer said.
        reason: String,
    },
    /// A caption lost the learned vectors to truncation.
    #[error("the caption {0:?} is too long for the model's text length: the learned vectors do not fit")]
    CaptionTooLong(String),
    /// The checkpoint to resume from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A training step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The loss or gradient is not a number any more.
    #[error(
        "the loss became {loss} in iteration {iteration}: try another seed, a smaller learning rate or other photos"
    )]
    NanLoss {
        /// Which iteration, from 1.
        iteration: u32,
        /// What the loss was.
        loss: f64,
    },
    /// All iterations are made.
    #[error("all {0} iterations are made")]
    Finished(u32),
}

impl InversionError {
    /// A stable word for the kind of error, as tasks report it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options(_) | Self::Schedule(_) => "bad_options",
            Self::Start(_) | Self::Width { .. } => "bad_start",
            Self::NoPhotos => "too_few",
            Self::Latents(_) | Self::UnequalPhotos(_) => "bad_photo",
            Self::Caption { .. } | Self::CaptionTooLong(_) => "bad_caption",
            Self::Checkpoint(_) => "bad_checkpoint",
            Self::Step(_) | Self::Finished(_) => "internal",
            Self::NanLoss { .. } => "nan_loss",
        }
    }
}

/// What one iteration reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Iterations made.
    pub step: u32,
    /// Iterations in all.
    pub total: u32,
    /// This iteration's training loss, with the penalty where there is one.
    pub loss: f64,
    /// The loss smoothed over about 20 iterations.
    pub smoothed: f64,
    /// Mean |v| / |v0|.
    pub norm_ratio: f64,
}

/// An inversion under way. Made from the same inputs it makes the same vectors, however often it was
/// stopped and resumed.
pub struct Inversion<'m> {
    model: &'m StableDiffusion,
    options: InversionOptions,
    schedule: NoiseSchedule,
    photos: Vec<PhotoLatents>,
    captions: Vec<Vec<u32>>,
    draws: Draws,
    binding: [u8; 32],
    latent_shape: [usize; 3],
    state: LearnedState,
    direction_adam: Adam,
    norm_adam: Adam,
    step: u32,
    smoothed_loss: f64,
    last_loss: f64,
}

impl<'m> Inversion<'m> {
    /// An inversion of photos of one size, best the model's native one. Encodes them all: seconds on a CPU; where that is
    /// too long for one call, encode with [`encode_photo`] and use [`Inversion::with_latents`].
    pub fn new(
        model: &'m StableDiffusion,
        options: InversionOptions,
        photos: &[RgbPicture],
        start: Vec<Vec<f32>>,
        model_digest: &str,
    ) -> Result<Self, InversionError> {
        options.validate()?;
        let latents = photos
            .iter()
            .enumerate()
            .map(|(index, photo)| encode_photo(model, index, photo, options.flip))
            .collect::<Result<Vec<_>, _>>()?;
        Self::with_latents(model, options, latents, photos_digest(photos), start, model_digest)
    }

    /// The same from encoded photos and their [`photos_digest`].
    pub fn with_latents(
        model: &'m StableDiffusion,
        options: InversionOptions,
        photos: Vec<PhotoLatents>,
        photos_digest: [u8; 32],
        start: Vec<Vec<f32>>,
        model_digest: &str,
    ) -> Result<Self, InversionError> {
        options.validate()?;
        let latent_shape = photos.first().ok_or(InversionError::NoPhotos)?.shape();
        if let Some(index) = photos.iter().position(|photo| photo.shape() != latent_shape) {
            return Err(InversionError::UnequalPhotos(index));
        }
        let expected = model.text_encoder.width();
        if let Some(found) = start.iter().map(Vec::len).find(|width| *width != expected) {
            return Err(InversionError::Width { found, expected });
        }
        let binding = binding(&options, photos_digest, &start, model_digest)?;
        let state = LearnedState::new(options.parameterisation, start)?;
        let schedule = NoiseSchedule::new(&model.scheduler_config)
            .map_err(|error| InversionError::Schedule(error.to_string()))?;
        let captions = encode_captions(model, options.templates.list(), state.direction.len())?;
        let bounds = DrawBounds {
            photos: u32::try_from(photos.len()).unwrap_or(u32::MAX),
            rows: options.rows(photos.len()),
            templates: u32::try_from(captions.len()).unwrap_or(u32::MAX),
            train_timesteps: u32::try_from(schedule.alphas_cumprod().len()).unwrap_or(u32::MAX),
            latent_len: latent_shape.iter().product(),
        };
        let draws = Draws::new(options.seed, bounds, options.flip, options.timesteps);
        let (direction_adam, norm_adam) = optimisers(&options, &state);
        Ok(Self {
            model,
            options,
            schedule,
            photos,
            captions,
            draws,
            binding,
            latent_shape,
            state,
            direction_adam,
            norm_adam,
            step: 0,
            smoothed_loss: 0.0,
            last_loss: 0.0,
        })
    }

    /// Goes on where [`Inversion::checkpoint`] was taken; refuses a checkpoint of other inputs.
    pub fn resume(mut self, checkpoint: &[u8]) -> Result<Self, InversionError> {
        let checkpoint = Checkpoint::from_bytes(checkpoint, &self.binding)?;
        let sizes_agree = checkpoint.direction.len() == self.state.direction.len()
            && checkpoint.direction.iter().zip(&self.state.direction).all(|(a, b)| a.len() == b.len())
            && checkpoint.log_norm.len() == self.state.log_norm.len()
            && checkpoint.direction_adam.len() == self.direction_adam.len()
            && checkpoint.norm_adam.len() == self.norm_adam.len()
            && checkpoint.step <= self.options.steps;
        if !sizes_agree {
            return Err(CheckpointError::Foreign.into());
        }
        self.step = checkpoint.step;
        self.smoothed_loss = checkpoint.smoothed_loss;
        self.last_loss = checkpoint.last_loss;
        self.state.direction = checkpoint.direction;
        self.state.log_norm = checkpoint.log_norm;
        self.direction_adam = checkpoint.direction_adam;
        self.norm_adam = checkpoint.norm_adam;
        Ok(self)
    }

    /// Makes one iteration, alone. After an error the state is that before it.
    pub fn step(&mut self) -> Result<StepReport, InversionError> {
        let batch = self.next_batch()?;
        let vectors = self.state.vectors();
        let member = Member { batch: &batch, vectors: &vectors };
        let rows = training_pass(self.model, &self.schedule, &[member], Want::Gradients, batch.rows())?;
        self.absorb(rows.first().map_or(&[], Vec::as_slice))
    }

    /// The rows of the next iteration, for a pass that other tasks' rows may share.
    pub fn next_batch(&self) -> Result<TrainingBatch, InversionError> {
        if self.is_finished() {
            return Err(InversionError::Finished(self.options.steps));
        }
        Ok(self.batch(u64::from(self.step)))
    }

    /// How many rows an iteration has.
    pub fn rows(&self) -> u32 {
        self.draws.rows
    }

    /// Ends the iteration whose rows these are. After an error the state is that before it.
    pub fn absorb(&mut self, rows: &[RowOutcome]) -> Result<StepReport, InversionError> {
        if self.is_finished() {
            return Err(InversionError::Finished(self.options.steps));
        }
        let made = TrainingStep::of(rows, &[]);
        let loss = made.loss + self.state.penalty();
        let finite = loss.is_finite() && made.grad_v.iter().flatten().all(|g| g.is_finite());
        if !finite {
            return Err(InversionError::NanLoss { iteration: self.step + 1, loss });
        }
        let Gradients { direction, log_norm } = self.state.gradients(&made.grad_v);
        self.direction_adam.update(self.state.direction.iter_mut().flatten().zip(direction.iter().flatten()));
        if !log_norm.is_empty() {
            self.norm_adam.update(self.state.log_norm.iter_mut().zip(&log_norm));
        }
        self.smoothed_loss = match self.step {
            0 => loss,
            _ => self.smoothed_loss + SMOOTHING * (loss - self.smoothed_loss),
        };
        self.last_loss = loss;
        self.step += 1;
        Ok(self.report())
    }

    /// The last iteration's report; zeros before the first.
    pub fn report(&self) -> StepReport {
        StepReport {
            step: self.step,
            total: self.options.steps,
            loss: self.last_loss,
            smoothed: self.smoothed_loss,
            norm_ratio: self.state.norm_ratio(),
        }
    }

    /// Whether all iterations are made.
    pub fn is_finished(&self) -> bool {
        self.step >= self.options.steps
    }

    /// The learned vectors as they are now, K x D.
    pub fn vectors(&self) -> Vec<Vec<f32>> {
        self.state.vectors()
    }

    /// The noise schedule of its model.
    pub fn schedule(&self) -> &NoiseSchedule {
        &self.schedule
    }

    /// `[C, h, w]` of its latents.
    pub fn latent_shape(&self) -> [usize; 3] {
        self.latent_shape
    }

    /// The settings.
    pub fn options(&self) -> &InversionOptions {
        &self.options
    }

    /// The state as bytes, to resume from: about 25 KiB for 2 x 1024.
    pub fn checkpoint(&self) -> Result<Vec<u8>, InversionError> {
        let checkpoint = Checkpoint {
            step: self.step,
            smoothed_loss: self.smoothed_loss,
            last_loss: self.last_loss,
            direction: self.state.direction.clone(),
            log_norm: self.state.log_norm.clone(),
            direction_adam: self.direction_adam.clone(),
            norm_adam: self.norm_adam.clone(),
            start_norms: self.state.start().iter().map(|v| norm(v)).collect(),
        };
        Ok(checkpoint.to_bytes(&self.binding)?)
    }

    fn batch(&self, iteration: u64) -> TrainingBatch {
        let rows = self.draws.iteration(iteration);
        let scaling_factor = self.model.vae.scaling_factor();
        let [channels, height, width] = self.latent_shape;
        let mut batch = TrainingBatch {
            ids: Vec::with_capacity(rows.len()),
            timesteps: rows.iter().map(|row| row.timestep).collect(),
            latents: Vec::new(),
            noise: Vec::new(),
            masks: Vec::new(),
            shape: [rows.len(), channels, height, width],
        };
        for row in &rows {
            batch.ids.push(self.captions[row.template].clone());
            let moments = self.photos[row.photo].moments(row.mirrored);
            batch.latents.extend(moments.sample(&row.sample_eps, scaling_factor));
            batch.noise.extend_from_slice(&row.noise);
        }
        batch
    }
}

/// A digest of photos as they are learned from: sizes and pixels, in order.
pub fn photos_digest(photos: &[RgbPicture]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for photo in photos {
        digest.update(photo.width.to_le_bytes());
        digest.update(photo.height.to_le_bytes());
        digest.update(&photo.pixels);
    }
    digest.finalize().into()
}

/// Digest of everything that the state of an inversion depends on.
fn binding(
    options: &InversionOptions,
    photos_digest: [u8; 32],
    start: &[Vec<f32>],
    model_digest: &str,
) -> Result<[u8; 32], CheckpointError> {
    let mut digest = Sha256::new();
    digest.update(b"likeness inversion 1");
    let options =
        postcard::to_stdvec(options).map_err(|error| CheckpointError::Damaged(error.to_string()))?;
    for part in [&options[..], model_digest.as_bytes(), &photos_digest] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    for vector in start {
        digest.update((vector.len() as u64).to_le_bytes());
        vector.iter().for_each(|x| digest.update(x.to_le_bytes()));
    }
    Ok(digest.finalize().into())
}

fn optimisers(options: &InversionOptions, state: &LearnedState) -> (Adam, Adam) {
    let directions = AdamOptions {
        learning_rate: options.learning_rate,
        weight_decay: options.parameterisation.decoupled_decay(),
        ..AdamOptions::default()
    };
    let norms = AdamOptions {
        learning_rate: options.norm_learning_rate.unwrap_or(options.learning_rate),
        ..AdamOptions::default()
    };
    let numbers = state.direction.iter().map(Vec::len).sum();
    (Adam::new(directions, numbers), Adam::new(norms, state.log_norm.len()))
}

/// The ids of every caption with the K vectors in it.
fn encode_captions(
    model: &StableDiffusion,
    templates: &[&str],
    vectors: usize,
) -> Result<Vec<Vec<u32>>, InversionError> {
    let placeholders = [Placeholder { text: PLACEHOLDER.to_owned(), vectors }];
    let vocab_size = model.tokenizer.vocab_size();
    let mut captions = Vec::with_capacity(templates.len());
    for template in templates {
        let caption = template.replace("{}", PLACEHOLDER);
        let ids = match model.tokenizer.encode(&caption, &placeholders) {
            Ok(encoded) => encoded.ids,
            Err(error) => return Err(InversionError::Caption { caption, reason: error.to_string() }),
        };
        if ids.iter().filter(|id| **id >= vocab_size).count() != vectors {
            return Err(InversionError::CaptionTooLong(template.replace("{}", "the person")));
        }
        captions.push(ids);
    }
    Ok(captions)
}
