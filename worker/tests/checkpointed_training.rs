//! Training passes that work activations out twice, beside those that keep them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::Placeholder;
use likeness_worker::inversion::training_pass::{Member, RowOutcome, Want, training_pass};
use likeness_worker::inversion::training_step::TrainingBatch;
use support::{Reference, relative_error};

/// A task's rows, with `vectors` of its own, and a mask in each row where that is wanted.
fn task(
    model: &StableDiffusion,
    rows: usize,
    vectors: usize,
    masked: bool,
) -> (TrainingBatch, Vec<Vec<f32>>) {
    let (width, height) = model.native_size();
    let (width, height) = ((width / model.vae_factor()) as usize, (height / model.vae_factor()) as usize);
    let shape = [rows, model.latent_channels(), height, width];
    let mut rng = TorchRng::new(rows as u64);
    let placeholder = Placeholder { text: "<learned>".to_owned(), vectors };
    let ids = model.tokenizer.encode("a photo of <learned>", &[placeholder]).unwrap().ids;
    let pixels = rows * height * width;
    let batch = TrainingBatch {
        ids: vec![ids; rows],
        timesteps: (0..rows).map(|row| (row * 300 + 20) as u32).collect(),
        latents: rng.randn(shape.iter().product()),
        noise: rng.randn(shape.iter().product()),
        masks: if masked {
            rng.randn(pixels).into_iter().map(|x| x.abs() + 0.1).collect()
        } else {
            Vec::new()
        },
        shape,
    };
    let width = model.text_encoder.width();
    let vectors = (0..vectors).map(|_| rng.randn(width).into_iter().map(|x| x * 0.05).collect()).collect();
    (batch, vectors)
}

fn numbers(rows: &[RowOutcome]) -> Vec<f32> {
    rows.iter().flat_map(|row| row.gradient.iter().flatten().copied()).collect()
}

/// Epsilon and velocity; one and several rows, several tasks in pieces, masks, rows that only fill a pass up.
#[test]
fn losses_are_the_same_bit_by_bit_and_gradients_to_rounding() {
    for (name, pads) in [("tiny-sd15", false), ("tiny-v", false), ("tiny-v", true)] {
        let model = Reference::open(name).model().with_padding(pads);
        let schedule = NoiseSchedule::new(&model.scheduler_config).unwrap();
        let tasks = [task(&model, 1, 2, false), task(&model, 3, 1, true), task(&model, 2, 3, false)];
        let members: Vec<Member<'_>> =
            tasks.iter().map(|(batch, vectors)| Member { batch, vectors }).collect();
        for most_rows in [2, 8] {
            let pass = |want| training_pass(&model, &schedule, &members, want, most_rows).unwrap();
            let (kept, twice) = (pass(Want::Gradients), pass(Want::GradientsCheckpointed));
            for (kept, twice) in kept.iter().zip(&twice) {
                let losses = |rows: &[RowOutcome]| rows.iter().map(|row| row.loss).collect::<Vec<_>>();
                assert_eq!(losses(twice), losses(kept), "{name}");
                let error = relative_error(&numbers(twice), &numbers(kept));
                assert!(error < 1e-5, "{name}, {most_rows} rows at once: {error:e}");
            }
        }
    }
}

/// What is not finite in one row stays there.
#[test]
fn a_row_that_diverges_leaves_its_neighbours_alone() {
    let model = Reference::open("tiny-v").model();
    let schedule = NoiseSchedule::new(&model.scheduler_config).unwrap();
    let (healthy, mut lost) = (task(&model, 1, 2, false), task(&model, 1, 2, false));
    lost.1[0][3] = f32::NAN;
    let members = [&healthy, &lost].map(|(batch, vectors)| Member { batch, vectors });
    let rows = training_pass(&model, &schedule, &members, Want::GradientsCheckpointed, 2).unwrap();
    assert!(rows[1][0].loss.is_nan());
    let alone = training_pass(&model, &schedule, &members[..1], Want::GradientsCheckpointed, 2).unwrap();
    let error = relative_error(&numbers(&rows[0]), &numbers(&alone[0]));
    assert!(error < 1e-6, "{error:e}");
}
