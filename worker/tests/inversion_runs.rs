//! Whole inversions on a small model: resuming is bit-equal, foreign checkpoints are refused, batches and seeds
//! matter where they should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_worker::inversion::parameterisation::{L2Mode, Parameterisation};
use likeness_worker::inversion::{Inversion, InversionError, InversionOptions, Start};
use support::{Reference, photos};

const MODEL_DIGEST: &str = "the test's model";

fn options(parameterisation: Parameterisation) -> InversionOptions {
    InversionOptions {
        parameterisation,
        steps: 6,
        batch_size: Some(2),
        seed: 11,
        ..InversionOptions::default()
    }
}

fn begin(model: &StableDiffusion, options: InversionOptions) -> Inversion<'_> {
    let start = Start::default().vectors(model, std::path::Path::new("")).unwrap();
    Inversion::new(model, options, &photos(model), start, MODEL_DIGEST).unwrap()
}

fn bits(inversion: &Inversion<'_>) -> Vec<u32> {
    inversion.vectors().iter().flatten().map(|x| x.to_bits()).collect()
}

#[test]
fn a_run_that_was_stopped_in_the_middle_ends_bit_equal() {
    let model = Reference::open("tiny-v").model();
    for parameterisation in
        [Parameterisation::default(), Parameterisation::None { l2: L2Mode::Decoupled, weight: 0.01 }]
    {
        let mut whole = begin(&model, options(parameterisation));
        let mut checkpoint = Vec::new();
        while !whole.is_finished() {
            let report = whole.step().unwrap();
            assert!(report.loss.is_finite() && report.norm_ratio > 0.5);
            if report.step == 3 {
                checkpoint = whole.checkpoint().unwrap();
            }
        }
        let mut resumed = begin(&model, options(parameterisation)).resume(&checkpoint).unwrap();
        assert_eq!(resumed.report().step, 3);
        while !resumed.is_finished() {
            resumed.step().unwrap();
        }
        assert_eq!(bits(&whole), bits(&resumed), "{parameterisation:?}");
        assert_eq!(whole.report(), resumed.report());
        assert_eq!(whole.checkpoint().unwrap(), resumed.checkpoint().unwrap());
        assert!(matches!(whole.step(), Err(InversionError::Finished(6))));
    }
}

#[test]
fn a_checkpoint_of_other_options_photos_or_model_is_refused() {
    let model = Reference::open("tiny-v").model();
    let mut inversion = begin(&model, options(Parameterisation::default()));
    inversion.step().unwrap();
    let checkpoint = inversion.checkpoint().unwrap();
    let start = || Start::default().vectors(&model, std::path::Path::new("")).unwrap();
    let refused = |inversion: Inversion<'_>| {
        let error = inversion.resume(&checkpoint).err().expect("it was resumed");
        assert_eq!(error.code(), "bad_checkpoint");
        assert!(error.to_string().contains("belongs to other options, photos, start or model"), "{error}");
    };
    let same = || options(Parameterisation::default());
    refused(begin(&model, InversionOptions { seed: 12, ..same() }));
    refused(Inversion::new(&model, same(), &photos(&model), start(), "another model").unwrap());
    refused(Inversion::new(&model, same(), &photos(&model)[..2], start(), MODEL_DIGEST).unwrap());
    let mut elsewhere = start();
    elsewhere[0][0] += 1.0;
    refused(Inversion::new(&model, same(), &photos(&model), elsewhere, MODEL_DIGEST).unwrap());
}

#[test]
fn an_inversion_refuses_what_it_cannot_learn_from() {
    let model = Reference::open("tiny-v").model();
    let start = Start::default().vectors(&model, std::path::Path::new("")).unwrap();
    let new = |photos: &[RgbPicture], start: Vec<Vec<f32>>| {
        Inversion::new(&model, options(Parameterisation::default()), photos, start, MODEL_DIGEST)
            .err()
            .unwrap()
    };
    assert_eq!(new(&[], start.clone()).code(), "too_few");
    let odd = RgbPicture { width: 9, height: 8, pixels: vec![0; 216] };
    assert!(new(&[odd], start.clone()).to_string().contains("photo 0 is 9x8 pixels"));
    let mut unequal = photos(&model);
    unequal[1] = RgbPicture { width: 16, height: 16, pixels: vec![0; 768] };
    assert!(new(&unequal, start).to_string().contains("photo 1 differs in size"));
    assert!(new(&photos(&model), vec![vec![0.1; 3]]).to_string().contains("3 wide"));
    let nowhere = Start::Rand2 { seed: 0 }.vectors(&model, std::path::Path::new("/nowhere")).unwrap_err();
    assert!(nowhere.to_string().contains("names.txt"), "{nowhere}");
    let empty = Start::Face { phrase: " ".into() }.vectors(&model, std::path::Path::new("")).unwrap_err();
    assert!(empty.to_string().contains("has no tokens"), "{empty}");
}
