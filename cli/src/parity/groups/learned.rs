//! The files of learned vectors, and a picture drawn with them.

use anyhow::Context;
use likeness_diffusion::person_file::PersonFile;
use likeness_diffusion::samplers::SamplerKind;
use likeness_diffusion::tokenizer::Placeholder;
use likeness_worker::generation::{GenerationOptions, Person, PromptContext, TextToImage};

use super::trajectories;
use crate::parity::limits;
use crate::parity::reference::Reference;
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

/// The file that names its placeholder, and those that leave the name to the user.
const NAMED: &str = "learned_embeds.safetensors";
const FILES: [&str; 3] = [NAMED, "face_a1111.safetensors", "face_a1111.pt"];

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(file) = reference.file("ti_generation")? else {
        report.absent("everything", "left out of this folder");
        return Ok(());
    };
    let expected: Array<f32> = file.input("embedding")?;
    for name in FILES {
        let person = read(reference, name)?;
        report.bits(name, &Array::stack(&person.vectors)?, file.expected("embedding")?);
        rewritten(name, &person, report)?;
    }
    learned_by_training(reference, &expected, report)?;

    let placeholder = placeholder(reference)?;
    let generation = &reference.manifest.generation;
    let stands = Placeholder { text: placeholder.clone(), vectors: expected.rows() };
    let ids = subject.tokenizer()?.encode(&generation.ti_prompt, &[stands])?.ids;
    let row = Array::new(vec![1, ids.len()], ids.iter().map(|id| i64::from(*id)).collect())?;
    report.integers("cond_ids", &row, file.expected("cond_ids")?);
    let Some(model) = super::model(subject, report) else { return Ok(()) };

    let (steps, seed) = reference.manifest.learned_picture()?;
    let options = GenerationOptions {
        prompt: generation.ti_prompt.clone(),
        negative_prompt: generation.negative.clone(),
        persons: vec![Person { placeholder, id: String::new(), vectors: expected.vectors() }],
        seed,
        sampler: SamplerKind::Ddim,
        steps: u32::try_from(steps)?,
        guidance_scale: generation.guidance_scale,
        width: Some(generation.width),
        height: Some(generation.height),
        init_image: None,
    };
    let context = PromptContext::new(model, &options)?;
    let rows = context.hidden_states.dims()[0];
    let cond = context.hidden_states.clone().narrow(0, rows - 1, 1);
    report.tensor("cond", &Array::read(cond)?, file.expected("cond")?, report.limits().text);
    let mut drawing = TextToImage::with_context(model, options, context)?;
    while !drawing.is_drawn() {
        drawing.step()?;
    }
    let latents = Array::read(drawing.latents())?;
    report.tensor("latents_final", &latents, file.expected("latents_final")?, report.limits().trajectory);
    trajectories::finished(reference, &file, drawing, "ti_ddim", report)
}

fn read(reference: &Reference, name: &str) -> anyhow::Result<PersonFile> {
    let path = reference.path("embeddings").join(name);
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    PersonFile::read(&bytes).with_context(|| format!("cannot use {}", path.display()))
}

/// What our own writers make of the vectors must read back as the same vectors.
fn rewritten(name: &str, person: &PersonFile, report: &mut Report) -> anyhow::Result<()> {
    let written = if name == NAMED {
        person.write_diffusers()?
    } else if name.ends_with(".pt") {
        person.write_a1111()?
    } else {
        person.write_kohya()?
    };
    let again =
        PersonFile::read(&written).with_context(|| format!("our own copy of {name} cannot be read"))?;
    let same = again.vectors == person.vectors;
    report.exact(format!("{name} written again"), usize::from(!same));
    Ok(())
}

/// The files hold what the first log-norm run ended with.
fn learned_by_training(
    reference: &Reference,
    expected: &Array<f32>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut nearest = None;
    for (name, _) in reference.manifest.bases() {
        let Some(file) = reference.file(name.trim_end_matches(".safetensors"))? else { continue };
        let run: Array<f32> = file.input("v")?;
        let last = run.row(run.rows().saturating_sub(1))?;
        let error = crate::parity::values::relative_l2(last, &expected.values);
        nearest = Some(nearest.map_or(error, |least: f64| least.min(error)));
    }
    match nearest {
        Some(error) => report.measured("embedding is the end of a training run", error, limits::COPY),
        None => report.absent("embedding is the end of a training run", "left out of this folder"),
    }
    Ok(())
}

/// The placeholder that the folder's prompts use: the name in the file of learned vectors.
pub(super) fn placeholder(reference: &Reference) -> anyhow::Result<String> {
    read(reference, NAMED)?
        .placeholder
        .with_context(|| format!("ref/embeddings/{NAMED} names no placeholder"))
}
