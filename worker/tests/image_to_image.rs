//! Pictures drawn over others: latents against the reference library's (`data/make_image_to_image.py`), and what
//! the strength does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use burn::tensor::{Device, FloatDType, Tensor};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::samplers::SamplerKind;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::intake::{PhotoLimits, read_photo};
use likeness_worker::generation::{GenerationOptions, InitImage, PromptContext, TextToImage};
use support::{Reference, TensorFile, relative_error};

fn here(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn host(latents: Tensor<4>) -> Vec<f32> {
    latents.into_data().try_to_vec().unwrap()
}

#[test]
fn every_sampler_begins_and_ends_as_the_references() {
    let reference = Reference::open("tiny-v");
    let model = reference.model();
    let expected = TensorFile::read(here("tests/data/image_to_image.safetensors"));
    let file = std::fs::read(reference.folder.join("ref/ddim.png")).unwrap();
    let image = InitImage::read(&file, 0.6).unwrap();
    let text = |path: &str| reference.setting(path).as_str().unwrap().to_owned();
    for sampler in SamplerKind::ALL {
        let options = GenerationOptions {
            prompt: text("/generation/prompt"),
            negative_prompt: text("/generation/negative"),
            seed: reference.setting("/generation/seed").as_u64().unwrap(),
            steps: 10,
            sampler,
            width: Some(128),
            height: Some(96),
            init_image: Some(image.clone()),
            ..GenerationOptions::default()
        };
        let mut picture = TextToImage::new(&model, options).unwrap();
        let error = relative_error(&host(picture.latents()), &expected.f32(&format!("{sampler}_first")));
        assert!(error < 1e-4, "{sampler}, before the first call: {error:e}");
        assert_eq!(picture.progress().total, if sampler == SamplerKind::Pndm { 7 } else { 6 }, "{sampler}");
        while !picture.is_drawn() {
            picture.step().unwrap();
        }
        let error = relative_error(&host(picture.latents()), &expected.f32(&format!("{sampler}_last")));
        assert!(error < 2e-4, "{sampler}, after the last call: {error:e}");
    }
}

#[test]
fn the_less_strength_the_nearer_a_picture_stays_to_what_it_is_drawn_over() {
    let folder = ModelFolder::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/pocket")).unwrap();
    let model = StableDiffusion::load(&folder, &Device::flex(), FloatDType::F32).unwrap();
    let file = here("../models/pocket/people/person-05/01.jpg");
    let (width, height) = model.native_size();
    let seen = read_photo(&file, &PhotoLimits::default()).unwrap().cropped(width, height);
    let apart = |strength: f64| {
        let options = GenerationOptions {
            prompt: "a photo of human face".to_owned(),
            steps: 6,
            sampler: SamplerKind::DpmPp,
            init_image: Some(InitImage::read(&file, strength).unwrap()),
            ..GenerationOptions::default()
        };
        mean_difference(&draw(&model, options), &seen.pixels)
    };
    let [little, half, whole] = [0.17, 0.5, 1.0].map(apart);
    assert!(little < half && half < whole, "{little} {half} {whole}");
    assert!(little < 0.5 * whole, "{little} is not near to the picture drawn over: {whole} at full strength");
}

#[test]
fn a_strength_that_leaves_no_step_is_refused_with_its_reason() {
    let reference = Reference::open("tiny-v");
    let model = reference.model();
    let file = RgbPicture::new(64, 48, vec![90; 64 * 48 * 3]).unwrap().to_png(&[]).unwrap();
    for (strength, steps) in [(0.0, 10), (1.1, 10), (f64::NAN, 10), (0.09, 10)] {
        let init_image = Some(InitImage::read(&file, strength).unwrap());
        let options = GenerationOptions { steps, init_image, ..GenerationOptions::default() };
        let refused = PromptContext::new(&model, &options).unwrap_err();
        assert_eq!(refused.code(), "bad_options");
        assert!(
            refused.to_string().contains(&format!("strength is {strength} of {steps} steps")),
            "{refused}"
        );
    }
}

fn draw(model: &StableDiffusion, options: GenerationOptions) -> Vec<u8> {
    let mut picture = TextToImage::new(model, options).unwrap();
    while !picture.is_drawn() {
        picture.step().unwrap();
    }
    picture.finish().unwrap().pixels
}

fn mean_difference(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let sum: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / one.len() as f64
}
