//! A sampler alone: fed with the reference's network outputs, where the folder has those of every call.
//!
//! A sampler works element by element, so a trajectory of which only some pixels are kept serves as well.

use likeness_diffusion::samplers::{Sampler, SamplerKind};

use crate::parity::limits::Limits;
use crate::parity::reference::{Expected, Found, RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::{Array, relative_l2};

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    for kind in SamplerKind::ALL {
        let name = kind.to_string();
        let Some(file) = reference.file(&name)? else {
            report.absent(name, "left out of this folder");
            continue;
        };
        let steps = reference.manifest.steps(&name)?;
        let sampler = Sampler::new(kind, &subject.scheduler_config, steps)?;
        match every_call(&file, sampler.calls())? {
            Some((latents, guided)) => walk(sampler, &latents, &guided, subject, report)?,
            None => report.absent(name, "the folder keeps only some of its calls"),
        }
    }
    Ok(())
}

/// Latents before every call and after the last, and the output of every call.
fn every_call(file: &RefFile<'_>, calls: usize) -> anyhow::Result<Option<(Array<f32>, Array<f32>)>> {
    let complete = |name: &str, count: usize| {
        anyhow::Ok(file.input::<i64>(name)?.values == (0..count as i64).collect::<Vec<_>>())
    };
    if !complete("latents_index", calls + 1)? || !complete("guided_index", calls)? {
        return Ok(None);
    }
    let (Found::Here(latents), Found::Here(guided)) =
        (file.expected::<f32>("latents")?, file.expected::<f32>("guided")?)
    else {
        return Ok(None);
    };
    let all_rows = |expected: &Expected<f32>| expected.every.first() == Some(&1);
    Ok((all_rows(&latents) && all_rows(&guided)).then_some((latents.array, guided.array)))
}

fn walk(
    mut sampler: Sampler,
    latents: &Array<f32>,
    guided: &Array<f32>,
    subject: &Subject,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut x = latents.slice(0, 1)?.tensor::<4>(&subject.device)?;
    let mut furthest: f64 = 0.0;
    for call in 0..sampler.calls() {
        let output = guided.slice(call, 1)?.tensor::<4>(&subject.device)?;
        x = sampler.step(output, call, x);
        let error = relative_l2(&Array::read(x.clone())?.values, latents.row(call + 1)?);
        furthest = if error.is_nan() { error } else { furthest.max(error) };
        if error.is_nan() {
            break;
        }
    }
    report.measured(
        format!("{}, the furthest of {} calls", sampler.kind(), sampler.calls()),
        furthest,
        Limits::F32.trajectory,
    );
    Ok(())
}
