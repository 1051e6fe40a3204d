//! An inversion from the first iteration to the last, one iteration a call.

use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::binding::photos_digest;
use super::checkpoint::{Checkpoint, CheckpointError};
use super::draws::RowDraw;
use super::error::InversionError;
use super::latents::{PhotoLatents, encode_photo};
use super::material::Material;
use super::optimiser::Optimiser;
use super::options::InversionOptions;
use super::parameterisation::{LearnedState, norm};
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
    material: Material<'m>,
    captions: Vec<Vec<u32>>,
    binding: [u8; 32],
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
        Self::of(Material::new(model, options, photos, photos_digest, model_digest)?, start)
    }

    /// The same from what it learns from and where its vectors begin, K x D.
    pub fn of(material: Material<'m>, start: Vec<Vec<f32>>) -> Result<Self, InversionError> {
        let binding = material.binding(&start)?;
        let state = material.begin(start)?;
        material.check_room(state.direction.len())?;
        let captions = material.captions(state.direction.len())?;
        Ok(Self {
            optimiser: Optimiser::new(&material.options, &state),
            watch: Watch::new(&material.options.refinements),
            material,
            captions,
            binding,
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
            && checkpoint.step <= self.material.options.steps;
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
        let rows =
            training_pass(self.material.model, &self.material.schedule, &[member], want, batch.rows())?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    /// The rows of the next iteration, for a pass that other tasks' rows may share. It ends with [`Inversion::absorb`],
    /// before which a [`Inversion::watch_batch`] that is due is measured: that may turn out to be the end.
    pub fn next_batch(&self) -> Result<TrainingBatch, InversionError> {
        if self.has_trained() {
            return Err(InversionError::Finished(self.step));
        }
        Ok(self.batch(&self.material.draws.iteration(u64::from(self.step))))
    }

    /// The rows of the fixed batch, to be measured without gradients before the next iteration ends; `None` where nothing
    /// is due. It is due after an iteration, with the vectors that it led to: [`Inversion::vectors`].
    pub fn watch_batch(&self) -> Option<TrainingBatch> {
        self.watch_is_due().then(|| self.batch(&self.material.draws.watch()))
    }

    /// Takes what [`Inversion::watch_batch`]'s rows made: the loss by which an inversion stops early and keeps the best
    /// vectors. It weighs rows and pixels as training does. Without anything due nothing happens.
    pub fn absorb_watch(&mut self, rows: &[RowOutcome]) {
        if !self.watch_is_due() {
            return;
        }
        let loss = self.material.watch_loss(rows);
        if let Some(watch) = &mut self.watch {
            watch.observe(self.step, self.material.options.steps, loss, || self.state.vectors());
        }
    }

    /// Whether the fixed batch is to be measured next.
    pub fn watch_is_due(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.is_due(self.step, self.material.options.steps))
    }

    /// How many rows an iteration has.
    pub fn rows(&self) -> u32 {
        self.material.draws.rows
    }

    /// Ends the iteration whose rows these are. After an error the state is that before it.
    pub fn absorb(&mut self, rows: &[RowOutcome]) -> Result<StepReport, InversionError> {
        if self.watch_is_due() {
            return Err(InversionError::WatchDue(self.step));
        }
        if self.has_trained() {
            return Err(InversionError::Finished(self.step));
        }
        let timesteps = self.material.draws.timesteps(u64::from(self.step));
        let weights = self.material.options.refinements.row_weights(&self.material.schedule, &timesteps);
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
            total: self.material.options.steps,
            loss: self.last_loss,
            smoothed: self.smoothed_loss,
            norm_ratio: self.state.norm_ratio_of(&self.vectors()),
            stopped_early: self.has_stopped() && self.step < self.material.options.steps,
            best_step: self.watch.as_ref().and_then(Watch::best).map(|best| best.step),
        }
    }

    /// Whether nothing is left to do: all iterations are made, or it stopped early, and no measurement is due.
    pub fn is_finished(&self) -> bool {
        self.has_trained() && !self.watch_is_due()
    }

    /// Whether no iteration is to be made any more.
    fn has_trained(&self) -> bool {
        self.step >= self.material.options.steps || self.has_stopped()
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
        &self.material.schedule
    }

    /// `[C, h, w]` of its latents.
    pub fn latent_shape(&self) -> [usize; 3] {
        self.material.latent_shape
    }

    /// The settings.
    pub fn options(&self) -> &InversionOptions {
        &self.material.options
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
        self.material.batch(&self.captions, rows)
    }
}
