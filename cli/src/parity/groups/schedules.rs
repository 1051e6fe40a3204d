//! Betas, time steps and noise levels of every sampler, and how noise is added.

use anyhow::Context;
use likeness_diffusion::samplers::{Sampler, SamplerKind};
use likeness_diffusion::schedule::NoiseSchedule;

use crate::parity::limits;
use crate::parity::reference::{RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(file) = reference.file("schedulers")? else {
        report.absent("everything", "left out of this folder");
        return Ok(());
    };
    let schedule = NoiseSchedule::new(&subject.scheduler_config)?;
    for (name, values) in [("betas", schedule.betas()), ("alphas_cumprod", schedule.alphas_cumprod())] {
        let found = Array::new(vec![values.len()], values.to_vec())?;
        report.tensor(name, &found, file.expected(name)?, limits::SCHEDULE);
    }
    for name in file.names() {
        if let Some((kind, steps, part)) = sampler_of(name) {
            plan(&file, subject, name, kind, steps, part, report)?;
        }
    }
    let device = &subject.device;
    let latents = file.input::<f32>("addnoise_x0")?.tensor::<4>(device)?;
    let noise = file.input::<f32>("addnoise_noise")?.tensor::<4>(device)?;
    let times = file.input::<i64>("addnoise_t")?.values;
    let times = times
        .into_iter()
        .map(|time| u32::try_from(time).context("a negative time step"))
        .collect::<Result<Vec<_>, _>>()?;
    let noisy = schedule.add_noise(latents.clone(), noise.clone(), &times);
    report.tensor("addnoise_out", &Array::read(noisy)?, file.expected("addnoise_out")?, limits::SCHEDULE);
    let velocity = schedule.velocity(latents, noise, &times);
    report.tensor("velocity_out", &Array::read(velocity)?, file.expected("velocity_out")?, limits::SCHEDULE);
    Ok(())
}

/// `dpmpp_20_sigmas`: sampler, steps, and which part of its plan.
fn sampler_of(name: &str) -> Option<(SamplerKind, usize, &str)> {
    let (kind, rest) = name.split_once('_')?;
    let (steps, part) = rest.split_once('_')?;
    Some((kind.parse().ok()?, steps.parse().ok()?, part))
}

fn plan(
    file: &RefFile<'_>,
    subject: &Subject,
    name: &str,
    kind: SamplerKind,
    steps: usize,
    part: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    let sampler = Sampler::new(kind, &subject.scheduler_config, steps)?;
    let array = |values: &[f32]| Array::new(vec![values.len()], values.to_vec());
    let expected = file.expected::<f32>(name)?;
    match part {
        "timesteps" => report.bits(name, &array(sampler.timesteps())?, expected),
        "sigmas" => report.tensor(name, &array(sampler.sigmas())?, expected, limits::SCHEDULE),
        "init_noise_sigma" => {
            report.tensor(name, &array(&[sampler.init_noise_sigma()])?, expected, limits::SCHEDULE)
        }
        _ => report.failed(name, "no sampler has this"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_sampler_and_steps() {
        assert_eq!(sampler_of("dpmpp_20_sigmas"), Some((SamplerKind::DpmPp, 20, "sigmas")));
        assert_eq!(
            sampler_of("euler_30_init_noise_sigma"),
            Some((SamplerKind::Euler, 30, "init_noise_sigma"))
        );
        assert!(sampler_of("addnoise_x0").is_none() && sampler_of("betas").is_none());
    }
}
