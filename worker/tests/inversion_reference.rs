//! Training steps in every parameterisation against the reference library's, and the photos' latents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_worker::inversion::adam::{Adam, AdamOptions};
use likeness_worker::inversion::latents::encode_photo;
use likeness_worker::inversion::parameterisation::{L2Mode, LearnedState, Parameterisation};
use likeness_worker::inversion::training_step::{TrainingBatch, training_step};
use support::{Reference, relative_error};

const LIMIT: f64 = 1e-4;
const STEPS: usize = 12;
const ROWS: usize = 2;

/// The noise of all steps: torch's numbers of seed 1000 after the timesteps, as the manifest says. Beside it
/// the numbers that sample the latents.
fn noise(shape: [usize; 4], timesteps: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let mut rng = TorchRng::new(1000);
    let drawn: Vec<u32> = rng.randint(0, 1000, STEPS * ROWS).into_iter().map(|t| t as u32).collect();
    assert_eq!(drawn, timesteps);
    let len = STEPS * shape.iter().product::<usize>();
    (rng.randn(len), rng.randn(len))
}

/// The rows of the steps whose latents the reference holds from the first on.
fn batches(reference: &Reference) -> Vec<TrainingBatch> {
    let common = reference.file("ti_common.safetensors");
    let stored = common.shape("latents");
    let shape = [ROWS, stored[2], stored[3], stored[4]];
    let timesteps = common.u32("timesteps");
    let (noise, _) = noise(shape, &timesteps);
    let latents = common.f32("latents");
    let (ids, one_step) = (common.u32("input_ids"), shape.iter().product::<usize>());
    let length = ids.len() / (STEPS * ROWS);
    // A slimmed reference keeps every fourth step: only the first has all that came before it.
    let steps = if stored[0] == STEPS { STEPS } else { 1 };
    (0..steps)
        .map(|step| TrainingBatch {
            ids: ids.chunks(length).skip(step * ROWS).take(ROWS).map(<[u32]>::to_vec).collect(),
            timesteps: timesteps[step * ROWS..][..ROWS].to_vec(),
            latents: latents[step * one_step..][..one_step].to_vec(),
            noise: noise[step * one_step..][..one_step].to_vec(),
            masks: Vec::new(),
            shape,
        })
        .collect()
}

#[test]
fn a_photos_latents_are_the_references() {
    for name in ["tiny-sd15", "tiny-v"] {
        let reference = Reference::open(name);
        let model = reference.model();
        let photo = reference.picture("images/train_0.png");
        let encoded = encode_photo(&model, 0, &photo, true).unwrap();
        let common = reference.file("ti_common.safetensors");
        let (stored, shape) = (common.f32("latents"), common.shape("latents"));
        let row_len = shape[2..].iter().product::<usize>();
        let (_, sample_eps) = noise([ROWS, shape[2], shape[3], shape[4]], &common.u32("timesteps"));
        let kept = if shape[0] == STEPS { 1 } else { 4 };
        let mut compared = 0;
        for (row, photo) in common.u32("image_index").into_iter().enumerate() {
            let (step, place) = (row / ROWS, row % ROWS);
            if photo != 0 || step % kept != 0 {
                continue;
            }
            let eps = &sample_eps[row * row_len..][..row_len];
            let found = encoded.moments(false).sample(eps, model.vae.scaling_factor());
            let error = relative_error(&found, &stored[(step / kept * ROWS + place) * row_len..][..row_len]);
            assert!(error < LIMIT, "{name} row {row}: {error:e}");
            compared += 1;
        }
        assert!(compared > 0, "{name}: no row of the photo is kept");
        assert_ne!(
            encoded.moments(true),
            encoded.moments(false),
            "{name}: the mirror image is another picture"
        );
    }
}

fn run(name: &str, file: &str, parameterisation: Parameterisation) {
    let reference = Reference::open(name);
    let model = reference.model();
    let schedule = NoiseSchedule::new(&model.scheduler_config).unwrap();
    let common = reference.file("ti_common.safetensors");
    let width = model.text_encoder.width();
    let start: Vec<Vec<f32>> = common.f32("init_embeddings").chunks(width).map(<[f32]>::to_vec).collect();
    let expected = reference.file(file);
    let check = |what: &str, found: &[f32], expected: &[f32]| {
        let error = relative_error(found, expected);
        assert!(error < LIMIT, "{name} {file} {what}: {error:e}");
    };

    let mut state = LearnedState::new(parameterisation, start.clone()).unwrap();
    let mut direction_adam = Adam::new(AdamOptions::default(), start.iter().map(Vec::len).sum());
    let mut norm_adam = Adam::new(AdamOptions::default(), state.log_norm.len());
    let mut trace: [(&str, Vec<f32>); 8] =
        ["loss_mse", "loss", "grad_v_mse", "grad_d", "grad_n", "d", "n", "v"].map(|name| (name, Vec::new()));
    let batches = batches(&reference);
    for (step, batch) in batches.iter().enumerate() {
        let made = training_step(&model, &schedule, batch, &state.vectors(), step == 0).unwrap();
        let mean = made.row_losses.iter().sum::<f32>() / made.row_losses.len() as f32;
        assert!((f64::from(mean) - made.loss).abs() < 1e-6);
        let gradients = state.gradients(&made.grad_v);
        let loss = made.loss + state.penalty();
        direction_adam.update(state.direction.iter_mut().flatten().zip(gradients.direction.iter().flatten()));
        norm_adam.update(state.log_norm.iter_mut().zip(&gradients.log_norm));
        for (name, values) in &mut trace {
            match *name {
                "loss_mse" => values.push(made.loss as f32),
                "loss" => values.push(loss as f32),
                "grad_v_mse" => values.extend(made.grad_v.iter().flatten()),
                "grad_d" => values.extend(gradients.direction.iter().flatten()),
                "grad_n" => values.extend(&gradients.log_norm),
                "d" => values.extend(state.direction.iter().flatten()),
                "n" => values.extend(&state.log_norm),
                _ => values.extend(state.vectors().iter().flatten()),
            }
        }
        if let Some(inside) = made.inside.filter(|_| file == "ti_a271.safetensors") {
            let flat = |tensor: burn::tensor::Tensor<4>| tensor.into_data().try_to_vec::<f32>().unwrap();
            check("step0_x_t", &flat(inside.x_t), &expected.f32("step0_x_t"));
            check("step0_unet_out", &flat(inside.unet_out), &expected.f32("step0_unet_out"));
            let context = inside.context.into_data().try_to_vec::<f32>().unwrap();
            check("step0_context", &context, &expected.f32("step0_context"));
        }
    }
    for (what, found) in trace.iter().filter(|(_, values)| !values.is_empty()) {
        check(what, found, &expected.f32(what)[..found.len()]);
    }
    if batches.len() < STEPS {
        return;
    }
    check("adam_m_d", &direction_adam.first, &expected.f32("adam_m_d"));
    check("adam_v_d", &direction_adam.second, &expected.f32("adam_v_d"));
    if !state.log_norm.is_empty() {
        check("adam_m_n", &norm_adam.first, &expected.f32("adam_m_n"));
        check("adam_v_n", &norm_adam.second, &expected.f32("adam_v_n"));
    }
}

fn run_all(name: &str) {
    let none = Parameterisation::None { l2: L2Mode::Coupled, weight: 0.01 };
    run(name, "ti_none.safetensors", none);
    run(name, "ti_a271.safetensors", Parameterisation::LogNorm { base: 2.71 });
    run(name, "ti_a200.safetensors", Parameterisation::LogNorm { base: 2.0 });
}

#[test]
fn the_first_step_agrees_with_the_reference_on_a_1x_model() {
    run_all("tiny-sd15");
}

#[test]
fn twelve_steps_agree_with_the_reference_on_a_2x_model_that_predicts_v() {
    run_all("tiny-v");
}
