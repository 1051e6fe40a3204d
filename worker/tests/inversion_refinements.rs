//! Whole inversions with what the paper does not have: the fixed batch, the sphere, weights of rows and pixels.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_worker::inversion::early_stop::EarlyStopOptions;
use likeness_worker::inversion::parameterisation::{Parameterisation, norm};
use likeness_worker::inversion::training_pass::{Member, RowOutcome, Want, training_pass};
use likeness_worker::inversion::training_step::TrainingBatch;
use likeness_worker::inversion::{Inversion, InversionError, InversionOptions, Refinements, Start};
use support::{Reference, photos};

fn options(refinements: Refinements) -> InversionOptions {
    InversionOptions { steps: 7, batch_size: Some(2), seed: 11, refinements, ..InversionOptions::default() }
}

fn keeping_the_best() -> Refinements {
    Refinements { keep_best_every: Some(3), ..Refinements::default() }
}

fn everything() -> Refinements {
    Refinements {
        min_snr_gamma: Some(5.0),
        early_stop: Some(EarlyStopOptions::default()),
        keep_best_every: Some(3),
        background_weight: Some(0.2),
    }
}

fn begin(model: &StableDiffusion, options: InversionOptions) -> Inversion<'_> {
    let start = Start::default().vectors(model, std::path::Path::new("")).unwrap();
    Inversion::new(model, options, &photos(model), start, "the test's model").unwrap()
}

fn finish(mut inversion: Inversion<'_>) -> Inversion<'_> {
    while !inversion.is_finished() {
        inversion.step().unwrap();
    }
    inversion
}

fn bits(inversion: &Inversion<'_>) -> Vec<u32> {
    inversion.vectors().iter().flatten().map(|x| x.to_bits()).collect()
}

/// The rows of a batch, as whoever serves many inversions makes them.
fn pass(
    model: &StableDiffusion,
    inversion: &Inversion<'_>,
    batch: &TrainingBatch,
    want: Want,
) -> Vec<RowOutcome> {
    let vectors = inversion.vectors();
    let member = Member { batch, vectors: &vectors };
    training_pass(model, inversion.schedule(), &[member], want, 8).unwrap().remove(0)
}

#[test]
fn a_run_with_everything_on_that_was_stopped_anywhere_ends_bit_equal() {
    let model = Reference::open("tiny-v").model();
    for parameterisation in [Parameterisation::default(), Parameterisation::Sphere { kappa: 1e-4 }] {
        let same = || InversionOptions { parameterisation, ..options(everything()) };
        let whole = finish(begin(&model, same()));
        // Served by hand, and begun anew from its bytes after every part of every iteration.
        let again = |inversion: &Inversion<'_>| {
            let checkpoint = inversion.checkpoint().unwrap();
            begin(&model, same()).resume(&checkpoint).unwrap()
        };
        let mut moved = begin(&model, same());
        while !moved.is_finished() {
            let batch = moved.next_batch().unwrap();
            let rows = pass(&model, &moved, &batch, Want::Gradients);
            moved.absorb(&rows).unwrap();
            moved = again(&moved);
            let watched = moved.watch_batch().expect("an early stop measures every iteration");
            assert!(matches!(moved.absorb(&rows), Err(InversionError::WatchDue(_))));
            let rows = pass(&model, &moved, &watched, Want::Losses);
            moved.absorb_watch(&rows);
            assert!(moved.watch_batch().is_none(), "once an iteration");
            moved = again(&moved);
        }
        assert_eq!(bits(&whole), bits(&moved), "{parameterisation:?}");
        assert_eq!(whole.report(), moved.report());
        assert_eq!(whole.checkpoint().unwrap(), moved.checkpoint().unwrap());
    }
}

#[test]
fn alone_it_goes_on_between_an_iteration_and_its_measurement() {
    let model = Reference::open("tiny-v").model();
    let whole = finish(begin(&model, options(everything())));
    let mut cut = begin(&model, options(everything()));
    for _ in 0..6 {
        cut.step().unwrap();
    }
    let rows = pass(&model, &cut, &cut.next_batch().unwrap(), Want::Gradients);
    cut.absorb(&rows).unwrap();
    assert!(!cut.is_finished(), "the last iteration is measured too");
    let mut resumed = begin(&model, options(everything())).resume(&cut.checkpoint().unwrap()).unwrap();
    assert_eq!(resumed.step().unwrap(), whole.report());
    assert!(matches!(resumed.step(), Err(InversionError::Finished(7))));
}

#[test]
fn it_ends_with_the_best_candidate_and_trains_as_it_would_without() {
    let model = Reference::open("tiny-v").model();
    let mut plain = begin(&model, options(Refinements::default()));
    let mut keeping = begin(&model, options(keeping_the_best()));
    let mut after = vec![];
    while !plain.is_finished() {
        let report = plain.step().unwrap();
        assert_eq!((report.stopped_early, report.best_step), (false, None));
        let kept = keeping.step().unwrap();
        assert_eq!((kept.loss, kept.smoothed), (report.loss, report.smoothed));
        after.push(plain.vectors());
    }
    assert!(keeping.is_finished());
    let best = keeping.report().best_step.expect("no candidate was kept");
    assert!([3, 6, 7].contains(&best), "{best} is no candidate");
    assert_eq!(keeping.vectors(), after[best as usize - 1]);
}

#[test]
fn it_stops_once_the_fixed_batchs_loss_has_settled() {
    let model = Reference::open("tiny-v").model();
    let stop = Some(EarlyStopOptions { window: 10, threshold: 1.0 });
    let refinements = Refinements { early_stop: stop, ..Refinements::default() };
    let options = InversionOptions { steps: 150, batch_size: Some(1), ..options(refinements) };
    let mut inversion = finish(begin(&model, options));
    let report = inversion.report();
    assert!(report.stopped_early && (100..150).contains(&report.step), "{report:?}");
    assert!(matches!(inversion.next_batch(), Err(InversionError::Finished(step)) if step == report.step));
    assert!(matches!(inversion.step(), Err(InversionError::Finished(_))));
}

#[test]
fn rows_and_pixels_are_weighed_where_it_is_asked_for() {
    let model = Reference::open("tiny-v").model();
    let run = |refinements| bits(&finish(begin(&model, options(refinements))));
    let off = Refinements::default;
    let plain = run(off());
    assert_ne!(plain, run(Refinements { min_snr_gamma: Some(5.0), ..off() }));
    assert_ne!(plain, run(Refinements { background_weight: Some(0.2), ..off() }));
    assert_eq!(plain, run(Refinements { background_weight: Some(1.0), ..off() }), "all pixels count 1");

    let batch = begin(&model, options(Refinements { background_weight: Some(0.2), ..off() })).next_batch();
    let TrainingBatch { masks, shape, .. } = batch.unwrap();
    assert_eq!(masks.len(), shape[0] * shape[2] * shape[3]);
    assert!(masks.contains(&0.2) && masks.contains(&1.0));
}

#[test]
fn on_the_sphere_every_vector_keeps_the_mean_length_of_the_token_table() {
    let model = Reference::open("tiny-v").model();
    let vocabulary: Vec<u32> = (0..model.tokenizer.vocab_size()).collect();
    let table = model.text_encoder.embedding_rows(&vocabulary).unwrap();
    let table = table.into_data().try_to_vec::<f32>().unwrap();
    let lengths: Vec<f64> = table.chunks(model.text_encoder.width()).map(norm).collect();
    let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
    let sphere = Parameterisation::Sphere { kappa: 1e-4 };
    let same =
        InversionOptions { parameterisation: sphere, learning_rate: 0.01, ..options(Refinements::default()) };
    let mut inversion = begin(&model, same);
    let at_first = inversion.vectors();
    for _ in 0..3 {
        inversion.step().unwrap();
        for vector in inversion.vectors() {
            assert!((norm(&vector) / mean - 1.0).abs() < 1e-5, "{} is not {mean}", norm(&vector));
        }
    }
    assert_ne!(at_first, inversion.vectors());
}

#[test]
fn more_vectors_than_a_checkpoint_can_keep_the_best_of_are_refused_at_the_start() {
    let model = Reference::open("tiny-v").model();
    let many = |refinements| {
        let start = vec![vec![0.1; model.text_encoder.width()]; 110];
        Inversion::new(&model, options(refinements), &photos(&model), start, "the test's model").err()
    };
    let refused = many(keeping_the_best()).expect("it was taken");
    assert_eq!(refused.code(), "bad_options");
    assert!(refused.to_string().contains("leave keep_best out"), "{refused}");
    let without = many(Refinements::default()).map(|error| error.code());
    assert_eq!(without, Some("bad_caption"), "110 vectors are too many for a caption alone");
}

#[test]
fn a_checkpoint_of_other_refinements_is_refused() {
    let model = Reference::open("tiny-v").model();
    let mut inversion = begin(&model, options(keeping_the_best()));
    inversion.step().unwrap();
    let checkpoint = inversion.checkpoint().unwrap();
    for other in [Refinements::default(), everything()] {
        let error = begin(&model, options(other)).resume(&checkpoint).err().expect("it was resumed");
        assert_eq!(error.code(), "bad_checkpoint");
    }
}
