//! Textual inversion: every Adam step of every parameterisation, on the reference's own batches.

use anyhow::{Context, ensure};
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_worker::inversion::adam::{Adam, AdamOptions};
use likeness_worker::inversion::parameterisation::{L2Mode, LearnedState, Parameterisation, norm};
use likeness_worker::inversion::training_step::{TrainingBatch, TrainingStep, training_step};

use super::coarse_training;
use super::random::TrainingDraws;
use crate::parity::arithmetic::Arithmetic;
use crate::parity::limits;
use crate::parity::reference::{RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(model) = super::model(subject, report) else { return Ok(()) };
    let Some(common) = reference.file("ti_common")? else {
        report.absent("everything", "left out of this folder");
        return Ok(());
    };
    let batches = batches(reference, &common, model, report)?;
    let start = start(&common, model, report)?;
    let schedule = NoiseSchedule::new(&subject.scheduler_config)?;
    let none = Parameterisation::None { l2: L2Mode::Coupled, weight: reference.manifest.l2_weight()? };
    let mut runs = vec![("ti_none.safetensors".to_owned(), none)];
    runs.extend(
        reference.manifest.bases().into_iter().map(|(name, base)| (name, Parameterisation::LogNorm { base })),
    );
    for (name, parameterisation) in runs {
        let name = name.trim_end_matches(".safetensors");
        let Some(file) = reference.file(name)? else {
            report.absent(name, "left out of this folder");
            continue;
        };
        if report.arithmetic != Arithmetic::F32 {
            coarse_training::compare(name, &file, model, &schedule, &batches, &start, report)
                .with_context(|| format!("steps of {name}"))?;
            continue;
        }
        let run = Run::make(reference, model, &schedule, &batches, parameterisation, start.vectors())
            .with_context(|| format!("training {name}"))?;
        run.compare(name, &file, report)?;
    }
    Ok(())
}

/// The batch of every step. Noise that the folder keeps only in part is drawn from the training seed.
fn batches(
    reference: &Reference,
    common: &RefFile<'_>,
    model: &StableDiffusion,
    report: &mut Report,
) -> anyhow::Result<Vec<TrainingBatch>> {
    let manifest = &reference.manifest;
    let (steps, rows) = (manifest.ti.steps, manifest.ti.batch);
    let draws = TrainingDraws::new(reference)?;
    let ids: Array<i64> = common.input("input_ids")?;
    let timesteps: Array<i64> = common.input("timesteps")?;
    let noise = common.optional_input("noise")?.unwrap_or(draws.noise);
    let eps = common.optional_input("sample_eps")?.unwrap_or(draws.sample_eps);
    let rebuilt = latents_of(reference, common, &eps, model)?;
    report.tensor("latents of the batches", &rebuilt, common.expected("latents")?, limits::COPY);
    let latents = common.optional_input("latents")?.unwrap_or(rebuilt);
    let [_, _, channels, height, width] = noise.shape[..] else {
        anyhow::bail!("the noise has the shape {:?}", noise.shape);
    };
    ensure!(
        ids.rows() == steps && noise.rows() == steps,
        "the manifest says {steps} steps, the tensors have {}",
        ids.rows()
    );
    (0..steps)
        .map(|step| {
            let flat = ids.row(step)?;
            let length = flat.len() / rows.max(1);
            Ok(TrainingBatch {
                ids: flat
                    .chunks(length.max(1))
                    .map(|row| row.iter().map(|id| *id as u32).collect())
                    .collect(),
                timesteps: timesteps.row(step)?.iter().map(|time| *time as u32).collect(),
                latents: latents.row(step)?.to_vec(),
                noise: noise.row(step)?.to_vec(),
                masks: Vec::new(),
                shape: [rows, channels, height, width],
            })
        })
        .collect()
}

/// `(mean[image] + exp(logvar / 2) eps) * scaling_factor` of the reference's moments.
fn latents_of(
    reference: &Reference,
    common: &RefFile<'_>,
    eps: &Array<f32>,
    model: &StableDiffusion,
) -> anyhow::Result<Array<f32>> {
    let vae = reference.file("vae")?.context("the training latents need vae.safetensors")?;
    let (mean, logvar): (Array<f32>, Array<f32>) = (vae.input("mean")?, vae.input("logvar")?);
    let scale = model.vae.scaling_factor() as f32;
    let index: Array<i64> = common.input("image_index")?;
    let mut values = Vec::with_capacity(eps.values.len());
    let len = eps.values.len() / index.values.len().max(1);
    for (image, eps) in index.values.iter().zip(eps.values.chunks(len.max(1))) {
        let image = usize::try_from(*image)?;
        let moments = mean.row(image)?.iter().zip(logvar.row(image)?);
        values.extend(
            moments.zip(eps).map(|((mean, logvar), eps)| (mean + (0.5 * logvar).exp() * eps) * scale),
        );
    }
    Array::new(eps.shape.clone(), values)
}

/// How far a first moment is from the reference, measured by what it would be if all gradients had one sign.
///
/// Gradients of changing sign cancel in it, so that its own norm can be a hundredth of theirs: what is left is
/// then mostly their rounding, whoever computes it.
fn first_moment_error(moment: &Array<f32>, variable: &str, file: &RefFile<'_>) -> anyhow::Result<f64> {
    let expected: Array<f32> = file.input(&format!("adam_m_{variable}"))?;
    ensure!(
        moment.shape == expected.shape,
        "{:?} moments, the reference has {:?}",
        moment.shape,
        expected.shape
    );
    let gradients: Array<f32> = file.input(&format!("grad_{variable}"))?;
    let beta1 = file.manifest().ti.adam.beta1;
    let mut size = vec![0.0; expected.values.len()];
    for step in 0..gradients.rows() {
        for (size, gradient) in size.iter_mut().zip(gradients.row(step)?) {
            *size = beta1 * *size + (1.0 - beta1) * f64::from(gradient.abs());
        }
    }
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let pairs = moment.values.iter().zip(&expected.values);
    let distance = length(&mut pairs.map(|(found, expected)| f64::from(*found) - f64::from(*expected)));
    Ok(distance / length(&mut size.into_iter()))
}

/// The start vectors: rows of the token table.
fn start(common: &RefFile<'_>, model: &StableDiffusion, report: &mut Report) -> anyhow::Result<Array<f32>> {
    let ids: Array<i64> = common.input("init_token_ids")?;
    let ids = ids.values.iter().map(|id| Ok(u32::try_from(*id)?)).collect::<anyhow::Result<Vec<_>>>()?;
    let rows = Array::read(model.text_encoder.embedding_rows(&ids)?)?;
    let expected = common.expected("init_embeddings")?;
    match report.arithmetic {
        Arithmetic::Bf16 => report.tensor("init_embeddings", &rows, expected, limits::BF16_COPY),
        Arithmetic::F32 | Arithmetic::Tf32 => report.bits("init_embeddings", &rows, expected),
    }
    let first = i64::from(model.tokenizer.vocab_size());
    let learned: Vec<i64> = (first..first + ids.len() as i64).collect();
    report.integers(
        "placeholder_ids",
        &Array::new(vec![ids.len()], learned)?,
        common.expected("placeholder_ids")?,
    );
    common.input("init_embeddings")
}

/// A quantity's name, its rows, one a step, and the shape of a row.
type Series = (&'static str, Vec<Vec<f32>>, Vec<usize>);

/// One training run with all that the reference keeps of it, row s for step s.
#[derive(Default)]
struct Run {
    series: Vec<Series>,
    single: Vec<(&'static str, Array<f32>)>,
}

impl Run {
    fn make(
        reference: &Reference,
        model: &StableDiffusion,
        schedule: &NoiseSchedule,
        batches: &[TrainingBatch],
        parameterisation: Parameterisation,
        start: Vec<Vec<f32>>,
    ) -> anyhow::Result<Self> {
        let settings = &reference.manifest.ti;
        let (count, width) = (start.len(), start.first().map_or(0, Vec::len));
        let options = AdamOptions {
            learning_rate: settings.lr,
            beta1: settings.adam.beta1,
            beta2: settings.adam.beta2,
            epsilon: settings.adam.eps,
            weight_decay: settings.adam.weight_decay,
        };
        let mut state = LearnedState::new(parameterisation, start)?;
        let mut direction = Adam::new(options, count * width);
        let mut log_norm = Adam::new(options, state.log_norm.len());
        let mut run = Self::default();
        run.keep("init_d", Array::stack(&state.direction)?);
        run.keep_unless_empty("init_n", &state.log_norm)?;
        for (step, batch) in batches.iter().enumerate() {
            let made = training_step(model, schedule, batch, &state.vectors(), step == 0)?;
            run.inside(&made)?;
            let penalty = state.penalty();
            run.add("loss_mse", vec![made.loss as f32], vec![]);
            run.add("loss_reg", vec![penalty as f32], vec![]);
            run.add("loss", vec![(made.loss + penalty) as f32], vec![]);
            let gradients = state.gradients(&made.grad_v);
            run.add("grad_v_mse", made.grad_v.concat(), vec![count, width]);
            run.add("grad_d", gradients.direction.concat(), vec![count, width]);
            direction.update(state.direction.iter_mut().flatten().zip(gradients.direction.iter().flatten()));
            if !state.log_norm.is_empty() {
                run.add("grad_n", gradients.log_norm.clone(), vec![count]);
                log_norm.update(state.log_norm.iter_mut().zip(&gradients.log_norm));
                run.add("n", state.log_norm.clone(), vec![count]);
            }
            let vectors = state.vectors();
            run.add("d", state.direction.concat(), vec![count, width]);
            run.add("v", vectors.concat(), vec![count, width]);
            run.add("v_norm", vectors.iter().map(|v| norm(v) as f32).collect(), vec![count]);
        }
        run.keep("adam_m_d", Array::new(vec![count, width], direction.first)?);
        run.keep("adam_v_d", Array::new(vec![count, width], direction.second)?);
        run.keep_unless_empty("adam_m_n", &log_norm.first)?;
        run.keep_unless_empty("adam_v_n", &log_norm.second)?;
        Ok(run)
    }

    fn inside(&mut self, made: &TrainingStep) -> anyhow::Result<()> {
        if let Some(inside) = &made.inside {
            self.keep("step0_x_t", Array::read(inside.x_t.clone())?);
            self.keep("step0_context", Array::read(inside.context.clone())?);
            self.keep("step0_unet_out", Array::read(inside.unet_out.clone())?);
        }
        Ok(())
    }

    fn add(&mut self, name: &'static str, row: Vec<f32>, shape: Vec<usize>) {
        match self.series.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, rows, _)) => rows.push(row),
            None => self.series.push((name, vec![row], shape)),
        }
    }

    fn keep(&mut self, name: &'static str, array: Array<f32>) {
        self.single.push((name, array));
    }

    fn keep_unless_empty(&mut self, name: &'static str, values: &[f32]) -> anyhow::Result<()> {
        if !values.is_empty() {
            self.keep(name, Array::new(vec![values.len()], values.to_vec())?);
        }
        Ok(())
    }

    /// Compares every tensor of the file; one that this run does not know is a failure.
    fn compare(self, run: &str, file: &RefFile<'_>, report: &mut Report) -> anyhow::Result<()> {
        let mut arrays = self.single;
        for (name, rows, shape) in self.series {
            let shape = [vec![rows.len()], shape].concat();
            arrays.push((name, Array::new(shape, rows.concat())?));
        }
        for name in file.names() {
            let compared = format!("{run} {name}");
            let usual = report.limits().training;
            match arrays.iter().find(|(known, _)| *known == name) {
                Some((_, array)) => match name.strip_prefix("adam_m_") {
                    Some(variable) => {
                        let limit = report.limit(&format!("{run}.{name}"), usual);
                        report.measured(compared, first_moment_error(array, variable, file)?, limit);
                    }
                    None => report.tensor(compared, array, file.expected(name)?, usual),
                },
                None => report.failed(compared, "a training run has no such tensor"),
            }
        }
        Ok(())
    }
}
