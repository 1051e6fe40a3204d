//! Random numbers: torch's CPU generator, bit for bit.

use std::path::PathBuf;

use anyhow::{Context, bail};
use likeness_diffusion::rng::TorchRng;
use serde::Deserialize;

use crate::parity::reference::Reference;
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

/// `torch_rng.json`: what is drawn of which seed, with the first and the last twenty results.
#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    call: String,
    seed: u64,
    shape: Vec<usize>,
    #[serde(default)]
    low: i64,
    #[serde(default)]
    high: i64,
    #[serde(default)]
    sequence: Vec<serde_json::Value>,
    first: Vec<f64>,
    last: Vec<f64>,
}

pub(crate) fn check(reference: &Reference, _subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    first_latents(reference, report)?;
    training_draws(reference, report)?;
    match vectors_file(reference) {
        Some(path) => vectors(&path, report),
        None => {
            report.absent("torch_rng.json", "neither in the folder nor beside it");
            Ok(())
        }
    }
}

fn first_latents(reference: &Reference, report: &mut Report) -> anyhow::Result<()> {
    let manifest = &reference.manifest;
    let learned_seed = manifest.learned_picture().map_or(manifest.generation.seed + 1, |(_, seed)| seed);
    for (name, seed) in [("gen_inputs", manifest.generation.seed), ("ti_generation", learned_seed)] {
        let Some(file) = reference.file(name)? else {
            report.absent(format!("{name} latents0"), "left out of this folder");
            continue;
        };
        let expected: Array<f32> = file.input("latents0")?;
        let drawn = TorchRng::new(seed).randn(expected.values.len());
        report.bits(
            format!("{name} latents0, seed {seed}"),
            &Array::new(expected.shape.clone(), drawn)?,
            file.expected("latents0")?,
        );
    }
    Ok(())
}

/// Time steps, noise and the VAE's noise of a whole training run, from one generator in this order.
fn training_draws(reference: &Reference, report: &mut Report) -> anyhow::Result<()> {
    let Some(file) = reference.file("ti_common")? else {
        report.absent("ti_common", "left out of this folder");
        return Ok(());
    };
    let draws = TrainingDraws::new(reference)?;
    report.integers("ti_common timesteps", &draws.timesteps, file.expected("timesteps")?);
    report.bits("ti_common noise", &draws.noise, file.expected("noise")?);
    report.bits("ti_common sample_eps", &draws.sample_eps, file.expected("sample_eps")?);
    Ok(())
}

/// What chance decides in a training run of the reference.
pub(super) struct TrainingDraws {
    /// (steps, batch).
    pub(super) timesteps: Array<i64>,
    /// (steps, batch, C, h, w).
    pub(super) noise: Array<f32>,
    /// (steps, batch, C, h, w).
    pub(super) sample_eps: Array<f32>,
}

impl TrainingDraws {
    pub(super) fn new(reference: &Reference) -> anyhow::Result<Self> {
        let manifest = &reference.manifest;
        let shape = manifest
            .files
            .get("ti_common.safetensors")
            .and_then(|file| file.tensors.get("noise"))
            .map(|noise| noise.shape.clone())
            .context("manifest.json does not say the shape of ti_common's noise")?;
        let rows = vec![manifest.ti.steps, manifest.ti.batch];
        let mut rng = TorchRng::new(manifest.generation.train_seed);
        let timesteps = Array::new(rows.clone(), rng.randint(0, 1000, rows.iter().product()))?;
        let len = shape.iter().product();
        let noise = Array::new(shape.clone(), rng.randn(len))?;
        let sample_eps = Array::new(shape, rng.randn(len))?;
        Ok(Self { timesteps, noise, sample_eps })
    }
}

fn vectors_file(reference: &Reference) -> Option<PathBuf> {
    let folder = reference.folder().canonicalize().ok()?;
    [folder.join("torch_rng.json"), folder.parent()?.join("torch_rng.json")]
        .into_iter()
        .find(|path| path.is_file())
}

fn vectors(path: &std::path::Path, report: &mut Report) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let vectors: Vectors = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a list of vectors", path.display()))?;
    for vector in &vectors.vectors {
        let count: usize = vector.shape.iter().product();
        let mut rng = TorchRng::new(vector.seed);
        let drawn = match vector.call.as_str() {
            "sequence" => {
                let mut drawn = Vec::new();
                for call in &vector.sequence {
                    drawn.extend(sequence_call(&mut rng, call)?);
                }
                drawn
            }
            "randint" => integers(rng.randint(vector.low, vector.high, count)),
            call => draw(&mut rng, call, count)?,
        };
        let ends = vector.first.len().min(drawn.len());
        let differ =
            unlike(&drawn[..ends], &vector.first) + unlike(&drawn[drawn.len() - ends..], &vector.last);
        report.exact(format!("{} {:?}, seed {}", vector.call, vector.shape, vector.seed), differ);
    }
    Ok(())
}

/// How many numbers differ. Floats are written with nine digits, which give the same f32 back.
fn unlike(drawn: &[f64], written: &[f64]) -> usize {
    let same = |(drawn, written): (&f64, &f64)| drawn == written || *drawn == f64::from(*written as f32);
    drawn.len().abs_diff(written.len()) + drawn.iter().zip(written).filter(|pair| !same(*pair)).count()
}

/// A call within a sequence: `["randn", 3]` or `["randint", 0, 1000, 5]`.
fn sequence_call(rng: &mut TorchRng, call: &serde_json::Value) -> anyhow::Result<Vec<f64>> {
    let name = call.get(0).and_then(serde_json::Value::as_str).unwrap_or_default();
    let argument = |index: usize| call.get(index).and_then(serde_json::Value::as_i64);
    Ok(match (name, argument(1), argument(2), argument(3)) {
        ("randint", Some(low), Some(high), Some(count)) => {
            integers(rng.randint(low, high, usize::try_from(count)?))
        }
        (name, Some(count), None, None) => draw(rng, name, usize::try_from(count)?)?,
        _ => bail!("no such call in a sequence: {call}"),
    })
}

fn draw(rng: &mut TorchRng, call: &str, count: usize) -> anyhow::Result<Vec<f64>> {
    Ok(match call {
        "randn" => rng.randn(count).into_iter().map(f64::from).collect(),
        "rand" => rng.rand(count).into_iter().map(f64::from).collect(),
        "randperm" => rng.randperm(count).into_iter().map(|index| index as f64).collect(),
        _ => bail!("no such call of the generator: {call}"),
    })
}

fn integers(values: Vec<i64>) -> Vec<f64> {
    values.into_iter().map(|value| value as f64).collect()
}
