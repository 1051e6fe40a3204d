//! Milliseconds of processor time (which other programs do not change) of one UNet forward and of one training step of a model folder, on one thread.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release --example bench_model -- DIR [REPEATS] [BATCH]` prints one line a
//! figure; `bench_model.py` beside this file sets PyTorch's next to them. The last ones show that the frozen
//! weights cost no gradient work: a backward pass for the data alone costs about one forward, with the weights'
//! gradients it would be two, so the step is about 2 forwards and not 3.

#![allow(clippy::print_stdout, reason = "the figures are the program's output")]

use std::path::PathBuf;
use std::time::Duration;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::Placeholder;
use likeness_worker::inversion::Start;
use likeness_worker::inversion::training_step::{TrainingBatch, training_step};
use nix::time::{ClockId, clock_gettime};

const WARM_UP: usize = 3;

/// Tensors of megabytes come and go with every layer. The system's allocator gives each back to the kernel, which
/// clears the pages anew for the next one; this one keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        anyhow::bail!("give a model folder: bench_model DIR [REPEATS] [BATCH]");
    };
    let repeats: usize = arguments.next().map_or(Ok(15), |text| text.parse())?;
    let batch: usize = arguments.next().map_or(Ok(8), |text| text.parse())?;
    let model = StableDiffusion::load(&ModelFolder::open(&folder)?, &Device::flex(), FloatDType::F32)?;
    let schedule = NoiseSchedule::new(&model.scheduler_config)?;
    let (width, height) = model.native_size();
    let factor = model.vae_factor();
    let shape = [batch, model.latent_channels(), (height / factor) as usize, (width / factor) as usize];
    println!("burn-flex, 1 thread, latents {shape:?}, median of {repeats}");

    let len = shape.iter().product();
    let mut rng = TorchRng::new(0);
    let (latents, noise) = (rng.randn(len), rng.randn(len));
    let vectors = Start::default().vectors(&model, &folder)?;
    let placeholder = Placeholder { text: "<learned>".to_owned(), vectors: vectors.len() };
    let ids = model.tokenizer.encode("a photo of <learned>", &[placeholder])?.ids;
    let timesteps: Vec<u32> = (0..batch).map(|row| ((2 * row + 1) * 500 / batch) as u32).collect();

    let context = {
        let learned = Tensor::<1>::from_floats(vectors.concat().as_slice(), model.device());
        let learned = learned.reshape([vectors.len(), model.text_encoder.width()]);
        let embeddings = model.text_encoder.embed(&vec![ids.clone(); batch], Some(learned))?;
        model.text_encoder.forward(embeddings)
    };
    let sample = Tensor::<4>::from_data(TensorData::new(latents.clone(), shape), model.device());
    let times: Vec<f32> = timesteps.iter().map(|t| *t as f32).collect();
    let times = Tensor::<1>::from_data(TensorData::new(times, [batch]), model.device());
    for rows in [1, 2, batch] {
        let (sample, times) = (sample.clone().narrow(0, 0, rows), times.clone().narrow(0, 0, rows));
        let context = context.clone().narrow(0, 0, rows);
        let milliseconds = median(repeats, || {
            model.unet.forward(sample.clone(), times.clone(), context.clone()).into_data();
        });
        println!("unet_forward_batch_{rows} {milliseconds:.1} ms");
    }

    let training =
        TrainingBatch { ids: vec![ids; batch], timesteps, latents, noise, masks: Vec::new(), shape };
    let mut failed = None;
    let step = median(repeats, || {
        if let Err(error) = training_step(&model, &schedule, &training, &vectors, false) {
            failed = Some(error);
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    println!("training_step_batch_{batch} {step:.1} ms");
    // The same passes without a gradient.
    let learned = Tensor::<1>::from_floats(vectors.concat().as_slice(), model.device());
    let learned = learned.reshape([vectors.len(), model.text_encoder.width()]);
    let forward = median(repeats, || {
        let embeddings = model.text_encoder.embed(&training.ids, Some(learned.clone()));
        let context = embeddings.map(|embeddings| model.text_encoder.forward(embeddings));
        drop(context.map(|context| model.unet.forward(sample.clone(), times.clone(), context).into_data()));
    });
    println!("forward_without_gradient_batch_{batch} {forward:.1} ms");
    println!("training_step_over_forward {:.2}", step / forward);
    Ok(())
}

/// The median of `repeats` timings, in milliseconds of all threads, after a warm-up.
fn median(repeats: usize, mut run: impl FnMut()) -> f64 {
    let spent = || clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    for _ in 0..WARM_UP {
        run();
    }
    let mut timings: Vec<f64> = (0..repeats.max(1))
        .map(|_| {
            let before = spent();
            run();
            (spent() - before).as_secs_f64() * 1e3
        })
        .collect();
    timings.sort_by(f64::total_cmp);
    timings[timings.len() / 2]
}
