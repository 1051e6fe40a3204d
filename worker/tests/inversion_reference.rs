//! Twelve training steps in every parameterisation against the reference library's, and the photos' latents.

mod support;

use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
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

/// The rows of all steps, from the reference's ids and timesteps.
fn batches(reference: &Reference, model: &StableDiffusion) -> Vec<TrainingBatch> {
    let common = reference.file("ti_common.safetensors");
    let stored = common.shape("noise");
    let shape = [ROWS, stored[2], stored[3], stored[4]];
    let timesteps = common.u32("timesteps");
    let (noise, sample_eps) = noise(shape, &timesteps);
    let latents = latents(reference, model, &sample_eps);
    let (ids, one_step) = (common.u32("input_ids"), shape.iter().product::<usize>());
    let length = ids.len() / (STEPS * ROWS);
    (0..STEPS)
        .map(|step| TrainingBatch {
            ids: ids.chunks(length).skip(step * ROWS).take(ROWS).map(<[u32]>::to_vec).collect(),
            timesteps: timesteps[step * ROWS..][..ROWS].to_vec(),
            latents: latents[step * one_step..][..one_step].to_vec(),
            noise: noise[step * one_step..][..one_step].to_vec(),
            shape,
        })
        .collect()
}

/// All latents: the reference's own where they are complete, else encoded here from its photos. The reference
/// keeps each fourth step where it was slimmed.
fn latents(reference: &Reference, model: &StableDiffusion, sample_eps: &[f32]) -> Vec<f32> {
    let common = reference.file("ti_common.safetensors");
    let (stored, shape) = (common.f32("latents"), common.shape("latents"));
    if shape[0] == STEPS {
        return stored;
    }
    let images = ["train_0.png", "train_1.png", "train_2.png", "train_3.png"];
    let moments: Vec<_> = images
        .iter()
        .enumerate()
        .map(|(index, image)| {
            encode_photo(model, index, &reference.picture(&format!("images/{image}")), false).unwrap()
        })
        .collect();
    let photo_of_row = common.u32("image_index");
    let row_len = sample_eps.len() / photo_of_row.len();
    let sampled: Vec<f32> = photo_of_row
        .iter()
        .zip(sample_eps.chunks(row_len))
        .flat_map(|(photo, eps)| {
            moments[*photo as usize].moments(false).sample(eps, model.vae.scaling_factor())
        })
        .collect();
    let kept: Vec<f32> = sampled.chunks(ROWS * row_len).step_by(4).flatten().copied().collect();
    let error = relative_error(&kept, &stored);
    assert!(error < LIMIT, "latents of the photos: {error:e}");
    sampled
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
    for (step, batch) in batches(&reference, &model).iter().enumerate() {
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
        check(what, found, &expected.f32(what));
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
fn twelve_steps_agree_with_the_reference_on_a_1x_model() {
    run_all("tiny-sd15");
}

#[test]
fn twelve_steps_agree_with_the_reference_on_a_2x_model_that_predicts_v() {
    run_all("tiny-v");
}
