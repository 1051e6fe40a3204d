//! Training steps where a gradient is rounded coarsely: each at the reference's own vectors.
//!
//! Adam divides a gradient by its size, so that the rounding of a small one moves the vectors as far as a large gradient
//! does: after some steps two runs in the same coarse arithmetic are two runs. What is compared is what the device computes,
//! loss and gradient of every step; the optimiser is f32 on the host anywhere.

use anyhow::Context;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_worker::inversion::training_step::{TrainingBatch, training_step};

use crate::parity::reference::RefFile;
use crate::parity::report::Report;
use crate::parity::values::Array;

pub(super) fn compare(
    run: &str,
    file: &RefFile<'_>,
    model: &StableDiffusion,
    schedule: &NoiseSchedule,
    batches: &[TrainingBatch],
    start: &Array<f32>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let after: Array<f32> = file.input("v")?;
    let (mut losses, mut gradients, mut compared) = (Vec::new(), Vec::new(), Vec::new());
    for (step, batch) in batches.iter().enumerate() {
        let vectors = match step.checked_sub(1) {
            None => start.vectors(),
            Some(before) => Array::new(start.shape.clone(), after.row(before)?.to_vec())?.vectors(),
        };
        let made = training_step(model, schedule, batch, &vectors, step == 0)?;
        if let Some(inside) = made.inside {
            compared.push(("step0_x_t", Array::read(inside.x_t)?));
            compared.push(("step0_context", Array::read(inside.context)?));
            compared.push(("step0_unet_out", Array::read(inside.unet_out)?));
        }
        losses.push(made.loss as f32);
        gradients.extend(made.grad_v.concat());
    }
    compared.push(("loss_mse", Array::new(vec![losses.len()], losses)?));
    let shape = [vec![batches.len()], start.shape.clone()].concat();
    compared.push(("grad_v_mse", Array::new(shape, gradients).context("the gradients of the steps")?));
    for (name, found) in compared {
        report.tensor(format!("{run} {name}"), &found, file.expected(name)?, report.limits().training);
    }
    report.absent(format!("{run}, the optimiser"), "computed on the host: compare it in f32 on the CPU");
    Ok(())
}
