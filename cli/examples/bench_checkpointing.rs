//! Memory and time of a training pass with activations kept, and worked out twice.
//!
//! `just bench-checkpointing [DIR] [ROWS] [SIDE]` makes passes of `ROWS` rows of `SIDE` x `SIDE` latents
//! on one thread, each way in a process of its own, and prints what was in memory at most beyond the loaded model, the time
//! of a pass, and how far the gradients are apart.

#![allow(clippy::print_stdout, reason = "the figures are the program's output")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use burn::tensor::{Device, FloatDType};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::Placeholder;
use likeness_worker::device::process_peak_bytes;
use likeness_worker::inversion::Start;
use likeness_worker::inversion::training_pass::{Member, Want, training_pass};
use likeness_worker::inversion::training_step::TrainingBatch;

/// Passes of each way; the fastest counts.
const PASSES: usize = 2;

/// The allocator of the programs, which keeps freed pages: what counts is the most that was ever in use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first().map(PathBuf::from) else {
        anyhow::bail!("give a model folder: bench_checkpointing DIR [ROWS] [SIDE]");
    };
    let number = |place: usize, default: usize| {
        arguments.get(place).map_or(Ok(default), |text| text.parse()).context("give numbers")
    };
    let (rows, side) = (number(1, 8)?, number(2, 32)?);
    if let Some(way) = arguments.get(3) {
        return measure(&folder, rows, side, way == "twice");
    }
    println!("{rows} rows of {side}x{side} latents, one thread");
    let mut gradients = Vec::new();
    for way in ["kept", "twice"] {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg(&folder).args([rows.to_string(), side.to_string(), way.to_owned()]);
        let output = command.env("RAYON_NUM_THREADS", "1").stderr(Stdio::inherit()).output()?;
        anyhow::ensure!(output.status.success(), "the measurement failed");
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.lines();
        println!("activations {way}: {}", lines.next().unwrap_or_default());
        let numbers = lines.flat_map(str::split_whitespace).map(str::parse);
        gradients.push(numbers.collect::<Result<Vec<f64>, _>>()?);
    }
    let [kept, twice] = gradients.as_slice() else { anyhow::bail!("two ways") };
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let apart = length(&mut kept.iter().zip(twice).map(|(a, b)| a - b)) / length(&mut kept.iter().copied());
    println!("gradients apart by {apart:.1e} of their length");
    Ok(())
}

/// One way: a line of figures, then the gradients.
fn measure(folder: &Path, rows: usize, side: usize, checkpointed: bool) -> anyhow::Result<()> {
    let model = StableDiffusion::load(&ModelFolder::open(folder)?, &Device::flex(), FloatDType::F32)?;
    let schedule = NoiseSchedule::new(&model.scheduler_config)?;
    let vectors = Start::default().vectors(&model, folder)?;
    let placeholder = Placeholder { text: "<learned>".to_owned(), vectors: vectors.len() };
    let ids = model.tokenizer.encode("a photo of <learned>", &[placeholder])?.ids;
    let shape = [rows, model.latent_channels(), side, side];
    let mut rng = TorchRng::new(0);
    let batch = TrainingBatch {
        ids: vec![ids; rows],
        timesteps: (0..rows).map(|row| ((2 * row + 1) * 500 / rows) as u32).collect(),
        latents: rng.randn(shape.iter().product()),
        noise: rng.randn(shape.iter().product()),
        masks: Vec::new(),
        shape,
    };
    let member = Member { batch: &batch, vectors: &vectors };
    let want = if checkpointed { Want::GradientsCheckpointed } else { Want::Gradients };
    let loaded = most_resident()?;
    let (mut fastest, mut outcomes) = (f64::INFINITY, Vec::new());
    for _ in 0..PASSES {
        let began = Instant::now();
        outcomes = training_pass(&model, &schedule, &[member], want, rows)?;
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    let megabytes = most_resident()?.saturating_sub(loaded) >> 20;
    println!("{megabytes} MiB beyond the model, {:.0} ms", fastest * 1e3);
    for outcome in outcomes.iter().flatten() {
        let numbers = outcome.gradient.iter().flatten().map(f32::to_string);
        println!("{}", numbers.collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

/// The most bytes that this process has had in memory so far.
fn most_resident() -> anyhow::Result<u64> {
    process_peak_bytes().context("the system does not tell")
}
