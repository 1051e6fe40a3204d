//! Whole generations by every sampler, along the way that `likeness generate` takes.

use anyhow::Context;
use burn::tensor::{FloatDType, Tensor};
use likeness_diffusion::samplers::{Sampler, SamplerKind};
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_worker::generation::{GenerationOptions, PromptContext, TextToImage};

use super::unet::column;
use crate::parity::limits::PictureLimit;
use crate::parity::reference::{Found, RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::{Array, unequal};

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(model) = super::model(subject, report) else { return Ok(()) };
    for kind in SamplerKind::ALL {
        let name = kind.to_string();
        match reference.file(&name)? {
            Some(file) => trajectory(reference, &file, model, subject, kind, report)
                .with_context(|| format!("comparing the trajectory of {name}"))?,
            None => report.absent(name, "left out of this folder"),
        }
    }
    Ok(())
}

fn trajectory(
    reference: &Reference,
    file: &RefFile<'_>,
    model: &StableDiffusion,
    subject: &Subject,
    kind: SamplerKind,
    report: &mut Report,
) -> anyhow::Result<()> {
    let generation = &reference.manifest.generation;
    let steps = reference.manifest.steps(&kind.to_string())?;
    let options = GenerationOptions {
        prompt: generation.prompt.clone(),
        negative_prompt: generation.negative.clone(),
        persons: Vec::new(),
        seed: generation.seed,
        sampler: kind,
        steps: u32::try_from(steps)?,
        guidance_scale: generation.guidance_scale,
        width: Some(generation.width),
        height: Some(generation.height),
        init_image: None,
    };
    let context = PromptContext::new(model, &options)?;
    let network = Network { model, subject, context: &context, guidance: generation.guidance_scale };
    let plan = Sampler::new(kind, &subject.scheduler_config, steps)?;
    let latents_index = file.input::<i64>("latents_index")?.values;
    let guided_index = file.input::<i64>("guided_index")?.values;

    let mut drawing = TextToImage::with_context(model, options, context.clone())?;
    let (mut latents, mut guided): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
    let shape = drawing.latents().dims();
    for call in 0..=plan.calls() {
        let x = drawing.latents();
        if latents_index.contains(&(call as i64)) {
            latents.extend(Array::read(x.clone())?.values);
        }
        if call == plan.calls() {
            break;
        }
        if guided_index.contains(&(call as i64)) {
            guided.extend(network.guided(plan.scale_model_input(x, call), plan.timestep(call))?.values);
        }
        drawing.step()?;
    }
    let rows = |count: usize| [&[count], &shape[1..]].concat();
    let latents = Array::new(rows(latents_index.len()), latents)?;
    let usual = report.limits().trajectory;
    report.tensor(format!("{kind} latents"), &latents, file.expected("latents")?, usual);
    let guided = Array::new(rows(guided_index.len()), guided)?;
    report.tensor(format!("{kind} guided"), &guided, file.expected("guided")?, usual);
    finished(reference, file, drawing, &kind.to_string(), report)
}

/// The decoded image and the PNG's pixels.
pub(super) fn finished(
    reference: &Reference,
    file: &RefFile<'_>,
    drawing: TextToImage<'_>,
    name: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    let image = Array::read(drawing.decode()?)?;
    if file.names().any(|tensor| tensor == "image") {
        report.tensor(format!("{name} image"), &image, file.expected("image")?, report.limits().trajectory);
    }
    let picture = drawing.finish()?;
    let shape = vec![picture.height as usize, picture.width as usize, 3];
    let bytes = Array::new(shape, picture.pixels.iter().map(|byte| i64::from(*byte)).collect())?;
    let file_name = format!("{name}.png");
    pixels(name, &format!("ref/{file_name}"), &bytes, reference.picture(&file_name)?, report);
    pixels(name, &format!("{name} png"), &bytes, file.expected("png")?, report);
    Ok(())
}

/// The bytes of a picture of this `drawing`, under the `name` of where the reference has it.
fn pixels(drawing: &str, name: &str, found: &Array<i64>, expected: Found<i64>, report: &mut Report) {
    let expected = match expected {
        Found::Here(expected)
            if expected.full_shape == found.shape && expected.array.shape == found.shape =>
        {
            expected.array
        }
        Found::Here(expected) => {
            return report.failed(
                name,
                format!("{:?} pixels, the reference has {:?}", found.shape, expected.full_shape),
            );
        }
        Found::LeftOut(why) => return report.absent(name, why),
    };
    let (count, pairs) = (found.values.len().max(1) as f64, found.values.iter().zip(&expected.values));
    let differences: Vec<i64> = pairs.map(|(byte, reference)| (byte - reference).abs()).collect();
    match report.limits().picture {
        PictureLimit::Bytes { difference, share } => {
            let largest = differences.iter().max().copied().unwrap_or(0);
            report.measured(format!("{name}, largest difference"), largest as f64, difference);
            let limit = report.limit(&format!("{drawing}.png share"), share);
            let differ = unequal(&found.values, &expected.values) as f64 / count;
            report.measured(format!("{name}, share of bytes that differ"), differ, limit);
        }
        PictureLimit::Mean(usual) => {
            let limit = report.limit(&format!("{drawing}.png mean"), usual);
            let mean = differences.iter().sum::<i64>() as f64 / count;
            report.measured(format!("{name}, mean difference"), mean, limit);
        }
    }
}

/// The network under guidance, as the reference writes it down.
struct Network<'a> {
    model: &'a StableDiffusion,
    subject: &'a Subject,
    context: &'a PromptContext,
    guidance: f64,
}

impl Network<'_> {
    /// `uncond + guidance * (cond - uncond)` of the raw output.
    fn guided(&self, input: Tensor<4>, timestep: f32) -> anyhow::Result<Array<f32>> {
        let pair = Tensor::cat(vec![input.clone(), input], 0);
        let times = column(vec![timestep; 2], &self.subject.device);
        let out =
            self.model.unet.forward(pair, times, self.context.hidden_states.clone()).cast(FloatDType::F32);
        let (low, high) = (out.clone().narrow(0, 0, 1), out.narrow(0, 1, 1));
        Array::read(low.clone() + (high - low) * self.guidance)
    }
}
