//! How long the parts of a model take on this machine's processor.
//!
//!     RAYON_NUM_THREADS=1 cargo run -p likeness-diffusion --example step_time -- models/pocket 8 20
//!
//! Arguments: a model folder, the batch, the number of repetitions. Prints in milliseconds the fastest and
//! the middle of them, and the least processor time (all threads; Linux): the figure to compare on a machine
//! that does other work as well.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use likeness_diffusion::{ModelFolder, StableDiffusion};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("give a model folder")?;
    let batch: usize = arguments.get(1).map_or(Ok(8), |batch| batch.parse())?;
    let repetitions: usize = arguments.get(2).map_or(Ok(20), |count| count.parse())?;

    let device = Device::flex();
    let started = Instant::now();
    let folder = ModelFolder::open(Path::new(folder))?;
    let model = StableDiffusion::load(&folder, &device, FloatDType::F32)?;
    println!("{:<28} {:8.1} ms", "load", started.elapsed().as_secs_f64() * 1e3);

    let [height, width] = folder.unet_config().sample_size;
    let shape = [batch, model.latent_channels(), height, width];
    let normal = || Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let (latents, noise) = (normal(), normal());
    let timesteps = Tensor::<1>::full([batch], 500.0, &device);
    let mut ids = model.tokenizer.encode("a photo of a face", &[])?.ids;
    if let Some(id) = ids.get_mut(3) {
        *id = model.tokenizer.vocab_size();
    }
    let ids = vec![ids; batch];
    let rows = model.text_encoder.embedding_rows(&[1])?;
    let encode = |rows: Tensor<2>| -> Result<Tensor<3>, Box<dyn std::error::Error>> {
        Ok(model.text_encoder.forward(model.text_encoder.embed(&ids, Some(rows))?))
    };
    let context = encode(rows.clone())?;
    let predict = |context| model.unet.forward(latents.clone(), timesteps.clone(), context);
    let picture = model.vae.decode(latents.clone());

    time("text encoder, forward", repetitions, || encode(rows.clone()).map(|y| drop(y.into_data())))?;
    time("UNet, forward", repetitions, || {
        predict(context.clone()).into_data();
        Ok(())
    })?;
    time("UNet, frozen step", repetitions, || {
        let context = context.clone().autodiff().require_grad();
        let gradients = (predict(context.clone()) - noise.clone()).square().mean().backward();
        context.grad(&gradients).ok_or("no gradient")?.into_data();
        Ok(())
    })?;
    time("inversion step", repetitions, || {
        let rows = rows.clone().autodiff().require_grad();
        let gradients = (predict(encode(rows.clone())?) - noise.clone()).square().mean().backward();
        rows.grad(&gradients).ok_or("no gradient")?.into_data();
        Ok(())
    })?;
    time("VAE, decode", repetitions, || {
        model.vae.decode(latents.clone()).into_data();
        Ok(())
    })?;
    time("VAE, encode", repetitions, || {
        model.vae.encode(picture.clone()).mean.into_data();
        Ok(())
    })
}

fn time(what: &str, repetitions: usize, mut run: impl FnMut() -> Outcome) -> Outcome {
    run()?;
    let (mut times, mut processor_times) = (Vec::new(), Vec::new());
    for _ in 0..repetitions.max(1) {
        let (started, processor) = (Instant::now(), processor_time());
        run()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        processor_times.push(processor_time() - processor);
    }
    times.sort_by(f64::total_cmp);
    let least = processor_times.into_iter().fold(f64::INFINITY, f64::min);
    println!("{what:<28} {:8.1} ms {:8.1} ms {least:8.1} ms", times[0], times[times.len() / 2]);
    Ok(())
}

/// Milliseconds that all threads of this process have run so far; 0 where the system does not tell.
fn processor_time() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanoseconds = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() * 1e-6
}
