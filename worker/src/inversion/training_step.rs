//! One training step: noisy latents under captions with the learned vectors in them, the UNet's prediction,
//! its distance to the target, and the gradient with respect to the vectors.
//!
//! The vectors are the only leaf of the autodiff graph. The model lives on the plain device, so its weights
//! are constants: no gradient of them is worked out or kept, and everything before the vectors' first use
//! (the noisy latents, the time embedding, the UNet's first convolution) is outside the graph.

use burn::tensor::{FloatDType, Tensor, TensorData};
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;

/// Everything that a step depends on besides model and vectors. B rows; latents and noise are
/// `[B, C, h, w]` flattened, in f32.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingBatch {
    /// Token ids of each row's caption, B x max_length; ids from the vocabulary's size on are the vectors.
    pub ids: Vec<Vec<u32>>,
    /// Timestep of each row.
    pub timesteps: Vec<u32>,
    /// Scaled latents of the photos.
    pub latents: Vec<f32>,
    /// Noise to be added.
    pub noise: Vec<f32>,
    /// `[B, C, h, w]`.
    pub shape: [usize; 4],
}

/// What a step found out.
#[derive(Clone, Debug)]
pub struct TrainingStep {
    /// Mean over the rows of their mean squared error; without any penalty.
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
    /// None of the captions holds a learned vector.
    #[error("no caption of the batch holds the learned vectors: nothing can be learned from it")]
    NoGradient,
    /// The device gave no numbers back.
    #[error("the result of the step could not be read from the device: {0}")]
    Device(String),
}

impl TrainingBatch {
    fn check(&self) -> Result<(), StepError> {
        let [rows, ..] = self.shape;
        let expected = self.shape.iter().product::<usize>();
        let lengths = [
            ("captions", self.ids.len(), rows),
            ("timesteps", self.timesteps.len(), rows),
            ("numbers of latents", self.latents.len(), expected),
            ("numbers of noise", self.noise.len(), expected),
        ];
        match lengths.iter().find(|(_, found, expected)| found != expected) {
            Some((name, found, expected)) => {
                Err(StepError::Batch(format!("{found} {name} where {expected} are needed")))
            }
            None if rows == 0 => Err(StepError::Batch("it has no rows".to_owned())),
            None => Ok(()),
        }
    }
}

/// Makes one step for `vectors` (K x D) on `batch`. The vectors themselves are not changed.
pub fn training_step(
    model: &StableDiffusion,
    schedule: &NoiseSchedule,
    batch: &TrainingBatch,
    vectors: &[Vec<f32>],
    keep_inside: bool,
) -> Result<TrainingStep, StepError> {
    batch.check()?;
    let device = model.device();
    let width = vectors.first().map_or(0, Vec::len);
    let flat: Vec<f32> = vectors.iter().flatten().copied().collect();
    if width == 0 || flat.len() != width * vectors.len() {
        return Err(StepError::Batch("the vectors are empty or differ in width".to_owned()));
    }

    let to_device =
        |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), batch.shape), device);
    let (latents, noise) = (to_device(&batch.latents), to_device(&batch.noise));
    let x_t = schedule.add_noise(latents.clone(), noise.clone(), &batch.timesteps);
    let target = schedule.target(latents, noise, &batch.timesteps);
    let times: Vec<f32> = batch.timesteps.iter().map(|t| *t as f32).collect();
    let timesteps = Tensor::<1>::from_data(TensorData::new(times, [batch.timesteps.len()]), device);

    let leaf = Tensor::<2>::from_data(TensorData::new(flat, [vectors.len(), width]), device)
        .autodiff()
        .require_grad();
    let embeddings = model
        .text_encoder
        .embed(&batch.ids, Some(leaf.clone()))
        .map_err(|error| StepError::Embed(error.to_string()))?;
    let context = model.text_encoder.forward(embeddings);
    let unet_out = model.unet.forward(x_t.clone(), timesteps, context.clone()).cast(FloatDType::F32);

    let row_losses = (unet_out.clone() - target).square().mean_dims(&[1, 2, 3]).flatten::<1>(0, 3);
    let gradients = row_losses.clone().mean().backward();
    let gradient = leaf.grad(&gradients).ok_or(StepError::NoGradient)?;

    let row_losses = host(row_losses.inner())?;
    let loss = row_losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / row_losses.len() as f64;
    let grad_v = host(gradient)?.chunks(width).map(<[f32]>::to_vec).collect();
    let inside = keep_inside.then(|| StepInside {
        x_t,
        context: context.inner().cast(FloatDType::F32),
        unet_out: unet_out.inner(),
    });
    Ok(TrainingStep { loss, row_losses, grad_v, inside })
}

fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, StepError> {
    let data = tensor.cast(FloatDType::F32).into_data();
    data.try_to_vec::<f32>().map_err(|error| StepError::Device(format!("{error:?}")))
}
