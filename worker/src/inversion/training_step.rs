//! One task's training step: its rows, what a pass makes of them, and the step's loss and gradient.

use burn::tensor::Tensor;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::training_pass::{Member, RowOutcome, Want, observed_pass, training_pass};

/// Everything that a step depends on besides model and vectors. B rows; latents and noise are
/// `[B, C, h, w]` flattened, in f32.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingBatch {
    /// Token ids of each row's caption, B x max_length; ids from the vocabulary's size on are the vectors.
    pub ids: Vec<Vec<u32>>,
    /// Timestep of each row.
    pub timesteps: Vec<u32>,
    /// Scaled latents of the photos.
    pub latents: Vec<f32>,
    /// Noise to be added.
    pub noise: Vec<f32>,
    /// What each latent pixel counts in the loss, `[B, h, w]` flattened, positive somewhere in each row; empty = all the same.
    pub masks: Vec<f32>,
    /// `[B, C, h, w]`.
    pub shape: [usize; 4],
}

/// What a step found out.
#[derive(Clone, Debug)]
pub struct TrainingStep {
    /// Weighted mean over the rows of their mean squared error; without any penalty.
    pub loss: f64,
    /// Mean squared error of each row.
    pub row_losses: Vec<f32>,
    /// Gradient of `loss` with respect to the vectors, K x D.
    pub grad_v: Vec<Vec<f32>>,
    /// The step's inside, where it was asked for.
    pub inside: Option<StepInside>,
}

/// Tensors within a step, in f32, for comparison with a reference.
#[derive(Clone, Debug)]
pub struct StepInside {
    /// Noisy latents, `[B, C, h, w]`.
    pub x_t: Tensor<4>,
    /// Output of the text encoder, `[B, L, D]`.
    pub context: Tensor<3>,
    /// Prediction of the UNet, `[B, C, h, w]`.
    pub unet_out: Tensor<4>,
}

/// A step that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The parts of the batch do not fit together.
    #[error("the training batch does not fit together: {0}")]
    Batch(String),
    /// The captions or vectors do not fit the model.
    #[error("the captions cannot be embedded: {0}")]
    Embed(String),
    /// No gradient came back.
    #[error("the device gave no gradient of the learned vectors")]
    NoGradient,
    /// The device gave no numbers back.
    #[error("the result of the step could not be read from the device: {0}")]
    Device(String),
}

impl TrainingBatch {
    /// B.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// That all parts are there for `vectors` (K x D).
    pub(super) fn check(&self, vectors: &[Vec<f32>]) -> Result<(), StepError> {
        let [rows, channels, height, width] = self.shape;
        let (pixels, expected) = (rows * height * width, rows * channels * height * width);
        let lengths = [
            ("captions", self.ids.len(), rows),
            ("timesteps", self.timesteps.len(), rows),
            ("numbers of latents", self.latents.len(), expected),
            ("numbers of noise", self.noise.len(), expected),
            ("weights of pixels", self.masks.len(), if self.masks.is_empty() { 0 } else { pixels }),
        ];
        if let Some((name, found, expected)) = lengths.iter().find(|(_, found, expected)| found != expected) {
            return Err(StepError::Batch(format!("{found} {name} where {expected} are needed")));
        }
        if rows == 0 {
            return Err(StepError::Batch("it has no rows".to_owned()));
        }
        let vector_width = vectors.first().map_or(0, Vec::len);
        if vector_width == 0 || vectors.iter().any(|vector| vector.len() != vector_width) {
            return Err(StepError::Batch("the vectors are empty or differ in width".to_owned()));
        }
        Ok(())
    }
}

impl TrainingStep {
    /// The step that `rows` make, each counting `weights` (one a row, 1 where there are fewer) in the mean.
    ///
    /// Sums are made in f64 in the order of the rows, however the rows were spread over passes.
    #[must_use]
    pub fn of(rows: &[RowOutcome], weights: &[f64]) -> Self {
        let count = rows.len().max(1) as f64;
        let mut loss = 0.0;
        let mut sums: Vec<Vec<f64>> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let weight = weights.get(index).copied().unwrap_or(1.0) / count;
            loss += weight * f64::from(row.loss);
            if sums.is_empty() {
                sums = row.gradient.iter().map(|vector| vec![0.0; vector.len()]).collect();
            }
            for (sum, part) in sums.iter_mut().flatten().zip(row.gradient.iter().flatten()) {
                *sum += weight * f64::from(*part);
            }
        }
        let grad_v =
            sums.into_iter().map(|vector| vector.into_iter().map(|sum| sum as f32).collect()).collect();
        Self { loss, row_losses: rows.iter().map(|row| row.loss).collect(), grad_v, inside: None }
    }
}

/// Makes one step for `vectors` (K x D) on `batch`, alone. The vectors themselves are not changed.
pub fn training_step(
    model: &StableDiffusion,
    schedule: &NoiseSchedule,
    batch: &TrainingBatch,
    vectors: &[Vec<f32>],
    keep_inside: bool,
) -> Result<TrainingStep, StepError> {
    let member = Member { batch, vectors };
    if keep_inside {
        let (rows, inside) = observed_pass(model, schedule, &member)?;
        return Ok(TrainingStep { inside: Some(inside), ..TrainingStep::of(&rows, &[]) });
    }
    let rows = training_pass(model, schedule, &[member], Want::Gradients, batch.rows())?;
    Ok(TrainingStep::of(rows.first().map_or(&[], Vec::as_slice), &[]))
}
