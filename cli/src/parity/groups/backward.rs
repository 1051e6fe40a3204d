//! The gradient through the UNet with respect to its context, with the weights frozen.

use burn::tensor::{FloatDType, Tensor};

use super::unet::{column, floats};
use crate::parity::reference::Reference;
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(model) = super::model(subject, report) else { return Ok(()) };
    let Some(file) = reference.file("unet_backward")? else {
        report.absent("grad_context", "left out of this folder");
        return Ok(());
    };
    let device = &subject.device;
    let sample: Tensor<4> = file.input::<f32>("sample")?.tensor(device)?;
    let cotangent: Tensor<4> = file.input::<f32>("cotangent")?.tensor(device)?;
    let times = column(floats(&file.input::<i64>("timestep")?.values), device);
    let context = file.input::<f32>("context")?.tensor::<3>(device)?.autodiff().require_grad();
    let out = model.unet.forward(sample, times, context.clone());
    let gradients = (out.cast(FloatDType::F32) * cotangent).sum().backward();
    match context.grad(&gradients) {
        Some(gradient) => {
            report.tensor(
                "grad_context",
                &Array::read(gradient)?,
                file.expected("grad_context")?,
                report.limits().gradient,
            );
        }
        None => report.failed("grad_context", "no gradient reached the context"),
    }
    Ok(())
}
