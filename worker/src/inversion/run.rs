//! An inversion from the first iteration to the last, one iteration a call.

use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_shared::limits::MAX_CHECKPOINT_BYTES;

use super::binding::{binding, photos_digest};
use super::captions::encode_captions;
use super::checkpoint::{Checkpoint, CheckpointError};
use super::draws::{DrawBounds, Draws, RowDraw};
use super::error::InversionError;
use super::latents::{PhotoLatents, encode_photo};
use super::optimiser::Optimiser;
use super::options::InversionOptions;
use super::parameterisation::{LearnedState, Parameterisation, norm};
use super::training_pass::{Member, RowOutcome, Want, training_pass};
use super::training_step::{TrainingBatch, TrainingStep};
use super::watch::Watch;

/// Weight of the newest loss in the smoothed one.
const SMOOTHING: f64 = 0.05;

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
    /// Whether it ended before all iterations, because the loss on the fixed batch has settled.
    pub stopped_early: bool,
    /// After which iteration the best vectors so far were this; `None` where none are kept.
    pub best_step: Option<u32>,
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
    optimiser: Optimiser,
    watch: Option<Watch>,
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
        // they make a difference to the loss alone, and there only where the background is weighed
        let faces: Vec<_> = match options.refinements.background_weight {
            Some(_) => photos.iter().map(|photo| photo.face(false)).collect(),
            None => Vec::new(),
        };
        let binding = binding(&options, photos_digest, &faces, &start, model_digest)?;
        let state = begin(model, options.parameterisation, start)?;
        let optimiser = Optimiser::new(&options, &state);
        let numbers = state.direction.iter().map(Vec::len).sum();
        let bytes = Watch::most_bytes(&options.refinements, numbers, optimiser.direction_adam.len());
        if options.refinements.keep_best_every.is_some() && bytes > MAX_CHECKPOINT_BYTES {
            return Err(InversionError::Checkpointed { vectors: state.direction.len(), bytes });
        }
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
        Ok(Self {
            model,
            optimiser,
            watch: Watch::new(&options.refinements),
            options,
            schedule,
            photos,
            captions,
            draws,
            binding,
            latent_shape,
            state,
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
            && checkpoint.direction_adam.len() == self.optimiser.direction_adam.len()
            && checkpoint.norm_adam.len() == self.optimiser.norm_adam.len()
            && checkpoint.watch.is_some() == self.watch.is_some()
            && checkpoint.step <= self.options.steps;
        if !sizes_agree {
            return Err(CheckpointError::Foreign.into());
        }
        self.step = checkpoint.step;
        self.smoothed_loss = checkpoint.smoothed_loss;
        self.last_loss = checkpoint.last_loss;
        self.state.direction = checkpoint.direction;
        self.state.log_norm = checkpoint.log_norm;
        self.optimiser.direction_adam = checkpoint.direction_adam;
        self.optimiser.norm_adam = checkpoint.norm_adam;
        self.watch = checkpoint.watch;
        Ok(self)
    }

    /// Makes one iteration, alone, and measures the fixed batch where that is due. After an error the state is that
    /// before what failed.
    pub fn step(&mut self) -> Result<StepReport, InversionError> {
        // One that was resumed between the two.
        if self.watch_is_due() {
            self.measure_watch()?;
            if self.is_finished() {
                return Ok(self.report());
            }
        }
        let batch = self.next_batch()?;
        let rows = self.pass(&batch, Want::Gradients)?;
        self.absorb(&rows)?;
        self.measure_watch()?;
        Ok(self.report())
    }

    fn measure_watch(&mut self) -> Result<(), InversionError> {
        if let Some(batch) = self.watch_batch() {
            let rows = self.pass(&batch, Want::Losses)?;
            self.absorb_watch(&rows);
        }
        Ok(())
    }

    /// The rows of one batch with the vectors as they are.
    fn pass(&self, batch: &TrainingBatch, want: Want) -> Result<Vec<RowOutcome>, InversionError> {
        let vectors = self.vectors();
        let member = Member { batch, vectors: &vectors };
        let rows = training_pass(self.model, &self.schedule, &[member], want, batch.rows())?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    /// The rows of the next iteration, for a pass that other tasks' rows may share. It ends with [`Inversion::absorb`],
    /// before which a [`Inversion::watch_batch`] that is due is measured: that may turn out to be the end.
    pub fn next_batch(&self) -> Result<TrainingBatch, InversionError> {
        if self.has_trained() {
            return Err(InversionError::Finished(self.step));
        }
        Ok(self.batch(&self.draws.iteration(u64::from(self.step))))
    }

    /// The rows of the fixed batch, to be measured without gradients before the next iteration ends; `None` where nothing
    /// is due. It is due after an iteration, with the vectors that it led to: [`Inversion::vectors`].
    pub fn watch_batch(&self) -> Option<TrainingBatch> {
        self.watch_is_due().then(|| self.batch(&self.draws.watch()))
    }

    /// Takes what [`Inversion::watch_batch`]'s rows made: the loss by which an inversion stops early and keeps the best
    /// vectors. It weighs rows and pixels as training does. Without anything due nothing happens.
    pub fn absorb_watch(&mut self, rows: &[RowOutcome]) {
        if !self.watch_is_due() {
            return;
        }
        let timesteps = self.draws.watch_timesteps();
        let weights = self.options.refinements.row_weights(&self.schedule, &timesteps);
        let loss = match rows {
            [] => f64::NAN,
            rows => TrainingStep::of(rows, &weights).loss,
        };
        if let Some(watch) = &mut self.watch {
            watch.observe(self.step, self.options.steps, loss, || self.state.vectors());
        }
    }

    /// Whether the fixed batch is to be measured next.
    pub fn watch_is_due(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.is_due(self.step, self.options.steps))
    }

    /// How many rows an iteration has.
    pub fn rows(&self) -> u32 {
        self.draws.rows
    }

    /// Ends the iteration whose rows these are. After an error the state is that before it.
    pub fn absorb(&mut self, rows: &[RowOutcome]) -> Result<StepReport, InversionError> {
        if self.watch_is_due() {
            return Err(InversionError::WatchDue(self.step));
        }
        if self.has_trained() {
            return Err(InversionError::Finished(self.step));
        }
        let timesteps = self.draws.timesteps(u64::from(self.step));
        let weights = self.options.refinements.row_weights(&self.schedule, &timesteps);
        let made = TrainingStep::of(rows, &weights);
        let loss = made.loss + self.state.penalty();
        let finite = loss.is_finite() && made.grad_v.iter().flatten().all(|g| g.is_finite());
        if !finite {
            return Err(InversionError::NanLoss { iteration: self.step + 1, loss });
        }
        let gradients = self.state.gradients(&made.grad_v);
        self.optimiser.apply(&mut self.state, &gradients);
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
            norm_ratio: self.state.norm_ratio_of(&self.vectors()),
            stopped_early: self.has_stopped() && self.step < self.options.steps,
            best_step: self.watch.as_ref().and_then(Watch::best).map(|best| best.step),
        }
    }

    /// Whether nothing is left to do: all iterations are made, or it stopped early, and no measurement is due.
    pub fn is_finished(&self) -> bool {
        self.has_trained() && !self.watch_is_due()
    }

    /// Whether no iteration is to be made any more.
    fn has_trained(&self) -> bool {
        self.step >= self.options.steps || self.has_stopped()
    }

    fn has_stopped(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::has_stopped)
    }

    /// The learned vectors as they are now, K x D; once it is finished, the best ones where they are kept.
    pub fn vectors(&self) -> Vec<Vec<f32>> {
        match self.watch.as_ref().and_then(Watch::best) {
            Some(best) if self.is_finished() => best.vectors.clone(),
            _ => self.state.vectors(),
        }
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

    /// The state as bytes, to resume from: about 25 KiB for 2 x 1024, up to 37 KiB with a fixed batch.
    pub fn checkpoint(&self) -> Result<Vec<u8>, InversionError> {
        let checkpoint = Checkpoint {
            step: self.step,
            smoothed_loss: self.smoothed_loss,
            last_loss: self.last_loss,
            direction: self.state.direction.clone(),
            log_norm: self.state.log_norm.clone(),
            direction_adam: self.optimiser.direction_adam.clone(),
            norm_adam: self.optimiser.norm_adam.clone(),
            start_norms: self.state.start().iter().map(|v| norm(v)).collect(),
            watch: self.watch.clone(),
        };
        Ok(checkpoint.to_bytes(&self.binding)?)
    }

    fn batch(&self, rows: &[RowDraw]) -> TrainingBatch {
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
        for row in rows {
            batch.ids.push(self.captions[row.template].clone());
            let photo = &self.photos[row.photo];
            let moments = photo.moments(row.mirrored);
            batch.latents.extend(moments.sample(&row.sample_eps, scaling_factor));
            batch.noise.extend_from_slice(&row.noise);
            if let Some(background) = self.options.refinements.background_weight {
                batch.masks.extend(photo.face(row.mirrored).weights(height, width, background));
            }
        }
        batch
    }
}

/// The parameters of the start; on a sphere, as long as the model's token vectors are on average.
fn begin(
    model: &StableDiffusion,
    parameterisation: Parameterisation,
    start: Vec<Vec<f32>>,
) -> Result<LearnedState, InversionError> {
    let state = LearnedState::new(parameterisation, start)?;
    if !matches!(parameterisation, Parameterisation::Sphere { .. }) {
        return Ok(state);
    }
    let radius = model
        .text_encoder
        .mean_embedding_norm()
        .map_err(|error| InversionError::TokenTable(error.to_string()))?;
    Ok(state.at_radius(radius)?)
}
