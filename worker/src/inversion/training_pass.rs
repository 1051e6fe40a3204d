//! One pass through the frozen model for the training rows of many tasks: noisy latents under captions with each
//! task's vectors in them, the UNet's prediction, its distance to the target, and each row's own gradient.
//!
//! Every row has its vectors to itself, as a leaf `[K, D]` of one autodiff tensor `[rows, K, D]`, and every layer works
//! row by row, so a row's loss and gradient do not know their neighbours: whose they are, whether they are finite, in
//! how many passes the rows of a step are made. A task's gradient is the mean of its rows', summed on the host in f64 in
//! the order of the rows. What remains is the order of sums inside a kernel, which may depend on the number of rows.
//!
//! The host waits for the device once in a pass, at its end, for losses and gradients together.
//!
//! The vectors are the only leaves. The model lives on the plain device, so its weights are constants: no gradient of
//! them is worked out or kept, and everything before the vectors' first use (the noisy latents, the time
//! embedding, the UNet's first convolution) is outside the graph.

use burn::tensor::{FloatDType, Tensor, TensorData, Transaction};
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::training_step::{StepError, StepInside, TrainingBatch};
use crate::lanes::in_lanes;

/// One task's part of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its rows.
    pub batch: &'a TrainingBatch,
    /// Its vectors, K x D; K may differ from task to task.
    pub vectors: &'a [Vec<f32>],
}

/// What a pass found out about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowOutcome {
    /// Mean squared error of the row, by its mask where it has one.
    pub loss: f32,
    /// Gradient of `loss` with respect to the task's vectors, K x D; empty where none was asked for.
    pub gradient: Vec<Vec<f32>>,
}

/// What is worked out of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Losses and gradients.
    Gradients,
    /// The same, with the UNet's activations worked out anew on the way back: a fraction of the memory, half as much work
    /// again. Losses are the same bit by bit, gradients but for the order of some sums.
    GradientsCheckpointed,
    /// Losses alone: about a third of the work.
    Losses,
}

/// Makes the rows of all members, at most `most_rows` at once (0 counts as 1), and gives them back member by member.
///
/// # Errors
/// [`StepError`] where a member's parts do not fit together, or latents differ in shape from the first member's.
pub fn training_pass(
    model: &StableDiffusion,
    schedule: &NoiseSchedule,
    members: &[Member<'_>],
    want: Want,
    most_rows: usize,
) -> Result<Vec<Vec<RowOutcome>>, StepError> {
    let mut rows = Vec::new();
    for member in members {
        member.batch.check(member.vectors)?;
        rows.extend((0..member.batch.rows()).map(|index| Row::of(member, index)));
    }
    let lanes = model.lanes();
    let each = most_rows.min(lanes.rows);
    let parts = in_lanes(&rows, each, lanes.threads, |rows| pass(model, schedule, rows, want));
    let mut outcomes = Vec::with_capacity(rows.len());
    for part in parts {
        outcomes.extend(part?.outcomes);
    }
    let mut outcomes = outcomes.into_iter();
    Ok(members.iter().map(|member| outcomes.by_ref().take(member.batch.rows()).collect()).collect())
}

/// The rows of one member with the tensors inside the pass, for comparison with a reference.
pub(super) fn observed_pass(
    model: &StableDiffusion,
    schedule: &NoiseSchedule,
    member: &Member<'_>,
) -> Result<(Vec<RowOutcome>, StepInside), StepError> {
    member.batch.check(member.vectors)?;
    let rows: Vec<Row<'_>> = (0..member.batch.rows()).map(|index| Row::of(member, index)).collect();
    let Pass { outcomes, inside } = pass(model, schedule, &rows, Want::Gradients)?;
    let StepInside { x_t, context, unet_out } = inside;
    Ok((outcomes, StepInside { x_t, context: context.cast(FloatDType::F32), unet_out }))
}

/// One row with all that it depends on.
#[derive(Clone, Copy)]
struct Row<'a> {
    ids: &'a [u32],
    timestep: u32,
    latents: &'a [f32],
    noise: &'a [f32],
    mask: Option<&'a [f32]>,
    shape: [usize; 3],
    vectors: &'a [Vec<f32>],
}

impl<'a> Row<'a> {
    /// Row `index` of a member that has been checked.
    fn of(member: &Member<'a>, index: usize) -> Self {
        let batch = member.batch;
        let [_, channels, height, width] = batch.shape;
        let part = |values: &'a [f32], each: usize| values.chunks(each.max(1)).nth(index).unwrap_or_default();
        let each = channels * height * width;
        Self {
            ids: batch.ids.get(index).map_or(&[], Vec::as_slice),
            timestep: batch.timesteps.get(index).copied().unwrap_or(0),
            latents: part(&batch.latents, each),
            noise: part(&batch.noise, each),
            mask: (!batch.masks.is_empty()).then(|| part(&batch.masks, height * width)),
            shape: [channels, height, width],
            vectors: member.vectors,
        }
    }
}

struct Pass {
    outcomes: Vec<RowOutcome>,
    inside: StepInside,
}

fn pass(
    model: &StableDiffusion,
    schedule: &NoiseSchedule,
    rows: &[Row<'_>],
    want: Want,
) -> Result<Pass, StepError> {
    let device = model.device();
    let padding = model.padded_rows(rows.len()).saturating_sub(rows.len());
    let rows: Vec<Row<'_>> =
        rows.iter().chain(rows.last().into_iter().cycle().take(padding)).copied().collect();
    let (rows, wanted) = (rows.as_slice(), rows.len() - padding);
    let count = rows.len();
    let [channels, height, width] = rows.first().map_or([0; 3], |row| row.shape);
    if let Some(other) = rows.iter().find(|row| row.shape != [channels, height, width]) {
        let reason =
            format!("latents of {:?} beside latents of {:?}", other.shape, [channels, height, width]);
        return Err(StepError::Batch(reason));
    }
    let pictures = |part: fn(&Row<'_>) -> Vec<f32>| {
        let values: Vec<f32> = rows.iter().flat_map(part).collect();
        Tensor::<4>::from_data(TensorData::new(values, [count, channels, height, width]), device)
    };
    let (latents, noise) = (pictures(|row| row.latents.to_vec()), pictures(|row| row.noise.to_vec()));
    let timesteps: Vec<u32> = rows.iter().map(|row| row.timestep).collect();
    let x_t = schedule.add_noise(latents.clone(), noise.clone(), &timesteps);
    let target = schedule.target(latents, noise, &timesteps);
    let times: Vec<f32> = timesteps.iter().map(|timestep| *timestep as f32).collect();
    let times = Tensor::<1>::from_data(TensorData::new(times, [count]), device);

    let leaf = leaf(model, rows);
    let leaf = if want == Want::Losses { leaf } else { leaf.autodiff().require_grad() };
    let ids: Vec<&[u32]> = rows.iter().map(|row| row.ids).collect();
    let embeddings = model
        .text_encoder
        .embed_each(&ids, leaf.clone())
        .map_err(|error| StepError::Embed(error.to_string()))?;
    let context = model.text_encoder.forward(embeddings);
    let masks = masks(rows, device);
    let losses_of = |unet_out: Tensor<4>| {
        let squares = (unet_out - target.clone()).square();
        let squares = match &masks {
            Some(masks) => squares * masks.clone(),
            None => squares,
        };
        squares.mean_dims(&[1, 2, 3]).flatten::<1>(0, 3)
    };
    let (losses, gradient, unet_out) = match want {
        Want::Losses => {
            let unet_out = model.unet.forward(x_t.clone(), times, context.clone()).cast(FloatDType::F32);
            (losses_of(unet_out.clone()), None, unet_out)
        }
        Want::Gradients => {
            let unet_out = model.unet.forward(x_t.clone(), times, context.clone()).cast(FloatDType::F32);
            let losses = losses_of(unet_out.clone());
            let gradients = losses.clone().sum().backward();
            (losses, Some(leaf.grad(&gradients).ok_or(StepError::NoGradient)?), unet_out)
        }
        Want::GradientsCheckpointed => {
            let (unet_out, tape) = model.unet.forward_checkpointed(x_t.clone(), times, context.clone());
            let unet_out = unet_out.autodiff().require_grad();
            let losses = losses_of(unet_out.clone().cast(FloatDType::F32));
            let gradients = losses.clone().sum().backward();
            let of_context = tape.context_gradient(unet_out.grad(&gradients).ok_or(StepError::NoGradient)?);
            let gradients = (context.clone().cast(FloatDType::F32) * of_context).sum().backward();
            let gradient = leaf.grad(&gradients).ok_or(StepError::NoGradient)?;
            (losses, Some(gradient), unet_out.cast(FloatDType::F32))
        }
    };
    let (losses, gradient) = read(losses.inner(), gradient)?;
    let gradients = match want {
        Want::Losses => vec![Vec::new(); count],
        Want::Gradients | Want::GradientsCheckpointed => gradients_by_row(rows, &gradient),
    };
    let outcomes = losses.into_iter().zip(gradients).take(wanted);
    let outcomes = outcomes.map(|(loss, gradient)| RowOutcome { loss, gradient }).collect();
    let inside = StepInside { x_t, context: context.inner(), unet_out: unet_out.inner() };
    Ok(Pass { outcomes, inside })
}

/// Every row's vectors, `[rows, K, D]` with the largest K; rows with fewer have zeros that no id names.
fn leaf(model: &StableDiffusion, rows: &[Row<'_>]) -> Tensor<3> {
    let (most, width) = (most_vectors(rows), model.text_encoder.width());
    let mut values = vec![0.0_f32; rows.len() * most * width];
    for (row, place) in rows.iter().zip(values.chunks_mut((most * width).max(1))) {
        place.iter_mut().zip(row.vectors.iter().flatten()).for_each(|(place, value)| *place = *value);
    }
    Tensor::from_data(TensorData::new(values, [rows.len(), most, width]), model.device())
}

fn most_vectors(rows: &[Row<'_>]) -> usize {
    rows.iter().map(|row| row.vectors.len()).max().unwrap_or(0)
}

/// Weights `[rows, 1, h, w]` of mean 1 in each row; `None` where no row has a mask.
fn masks(rows: &[Row<'_>], device: &burn::tensor::Device) -> Option<Tensor<4>> {
    rows.iter().find(|row| row.mask.is_some())?;
    let [_, height, width] = rows.first()?.shape;
    let pixels = height * width;
    let mut values = Vec::with_capacity(rows.len() * pixels);
    for row in rows {
        match row.mask {
            Some(mask) => {
                let mean = mask.iter().map(|weight| f64::from(*weight)).sum::<f64>() / pixels as f64;
                values.extend(mask.iter().map(|weight| (f64::from(*weight) / mean) as f32));
            }
            None => values.extend(std::iter::repeat_n(1.0, pixels)),
        }
    }
    Some(Tensor::from_data(TensorData::new(values, [rows.len(), 1, height, width]), device))
}

/// The leaf's gradient cut into rows, without the zeros that filled them up.
fn gradients_by_row(rows: &[Row<'_>], flat: &[f32]) -> Vec<Vec<Vec<f32>>> {
    let most = most_vectors(rows);
    let each = flat.len() / rows.len().max(1);
    let width = each / most.max(1);
    rows.iter()
        .zip(flat.chunks(each.max(1)))
        .map(|(row, part)| part.chunks(width.max(1)).take(row.vectors.len()).map(<[f32]>::to_vec).collect())
        .collect()
}

/// Losses and gradients in f32, none where there are none, in one reading: the host waits for the device once.
fn read(losses: Tensor<1>, gradient: Option<Tensor<3>>) -> Result<(Vec<f32>, Vec<f32>), StepError> {
    let reading = Transaction::default().register(losses);
    let reading = match gradient {
        Some(gradient) => reading.register(gradient),
        None => reading,
    };
    let mut parts = Vec::with_capacity(2);
    for data in reading.execute() {
        let numbers = data.try_to_vec::<f32>();
        parts.push(numbers.map_err(|error| StepError::Device(format!("{error:?}")))?);
    }
    let mut parts = parts.into_iter();
    Ok((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
}
