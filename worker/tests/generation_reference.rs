//! Pictures against the reference library's own, byte by byte within its README's rule.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use likeness_diffusion::person_file::PersonFile;
use likeness_diffusion::samplers::SamplerKind;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_worker::generation::{GenerationError, GenerationOptions, Person, TextToImage};
use support::{Reference, assert_same_picture, relative_error};

fn options(reference: &Reference) -> GenerationOptions {
    let text = |path: &str| reference.setting(path).as_str().unwrap().to_owned();
    GenerationOptions {
        prompt: text("/generation/prompt"),
        negative_prompt: text("/generation/negative"),
        seed: reference.setting("/generation/seed").as_u64().unwrap(),
        ..sized(reference)
    }
}

/// The reference's pictures need not have the model's native size.
fn sized(reference: &Reference) -> GenerationOptions {
    let [height, width] = reference.file("gen_inputs.safetensors").shape("latents0")[2..] else { panic!() };
    let factor = reference.model().vae_factor();
    let side = |latent: usize| Some(latent as u32 * factor);
    GenerationOptions { width: side(width), height: side(height), ..GenerationOptions::default() }
}

fn draw(model: &StableDiffusion, options: GenerationOptions) -> (TextToImage<'_>, Vec<f32>) {
    let mut picture = TextToImage::new(model, options).unwrap();
    let first = picture.latents().into_data().try_to_vec::<f32>().unwrap();
    while !picture.is_drawn() {
        picture.step().unwrap();
    }
    (picture, first)
}

#[test]
fn ddim_draws_the_references_picture() {
    for name in ["tiny-sd15", "tiny-v"] {
        let reference = Reference::open(name);
        let model = reference.model();
        let (picture, first) = draw(&model, options(&reference));
        assert_eq!(
            first,
            reference.file("gen_inputs.safetensors").f32("latents0"),
            "{name}: the seed's noise"
        );
        assert_same_picture(&picture.finish().unwrap(), &reference.picture("ddim.png"), name);
    }
}

#[test]
fn the_other_samplers_draw_the_references_pictures() {
    let reference = Reference::open("tiny-v");
    let model = reference.model();
    for (sampler, steps, file, has_picture) in [
        (SamplerKind::Pndm, 50, "pndm", false),
        (SamplerKind::Euler, 30, "euler", true),
        (SamplerKind::DpmPp, 20, "dpmpp", true),
    ] {
        let (picture, _) = draw(&model, GenerationOptions { sampler, steps, ..options(&reference) });
        let trajectory = reference.file(&format!("{file}.safetensors")).f32("latents");
        let latents = picture.latents().into_data().try_to_vec::<f32>().unwrap();
        let error = relative_error(&latents, &trajectory[trajectory.len() - latents.len()..]);
        assert!(error < 2e-4, "{file}: {error:e}");
        if has_picture {
            assert_same_picture(&picture.finish().unwrap(), &reference.picture(&format!("{file}.png")), file);
        }
    }
}

#[test]
fn a_learned_person_of_any_file_format_draws_the_references_picture() {
    let reference = Reference::open("tiny-v");
    let model = reference.model();
    let expected = reference.file("ti_generation.safetensors").f32("latents_final");
    for file in ["learned_embeds.safetensors", "face_a1111.safetensors", "face_a1111.pt"] {
        let bytes = std::fs::read(reference.folder.join("ref/embeddings").join(file)).unwrap();
        let vectors = PersonFile::read(&bytes).unwrap().vectors;
        let person = Person { placeholder: "<face>".into(), id: file.into(), vectors };
        let prompt = reference.setting("/generation/ti_prompt").as_str().unwrap().to_owned();
        let base = options(&reference);
        let (picture, _) =
            draw(&model, GenerationOptions { prompt, seed: base.seed + 1, persons: vec![person], ..base });
        assert_eq!(picture.warnings(), [] as [String; 0]);
        let latents = picture.latents().into_data().try_to_vec::<f32>().unwrap();
        let error = relative_error(&latents, &expected);
        assert!(error < 2e-4, "{file}: {error:e}");
        assert_same_picture(&picture.finish().unwrap(), &reference.picture("ti_ddim.png"), file);
    }
}

#[test]
fn a_long_prompt_and_an_absent_person_are_warned_of() {
    let reference = Reference::open("tiny-v");
    let model = reference.model();
    let vectors = vec![vec![0.1; model.text_encoder.width()]];
    let person = Person { placeholder: "sks".into(), id: String::new(), vectors };
    let prompt = format!("{} and the very last words", "face ".repeat(100));
    let base = options(&reference);
    let picture =
        TextToImage::new(&model, GenerationOptions { prompt, persons: vec![person], ..base }).unwrap();
    let [cut, absent] = picture.warnings() else { panic!("{:?}", picture.warnings()) };
    assert!(cut.starts_with("the prompt has") && cut.contains("the very last words"), "{cut}");
    assert!(absent.contains("does not mention \"sks\""), "{absent}");
}

#[test]
fn guidance_of_one_takes_a_single_pass_and_ignores_the_negative_prompt() {
    let reference = Reference::open("tiny-v");
    let model = reference.model();
    let unguided = |negative: &str| {
        let options = GenerationOptions {
            guidance_scale: 1.0,
            steps: 2,
            negative_prompt: negative.to_owned(),
            ..options(&reference)
        };
        draw(&model, options).0.latents().into_data().try_to_vec::<f32>().unwrap()
    };
    assert_eq!(unguided("blurry"), unguided(""));
}

#[test]
fn pictures_that_cannot_be_drawn_are_refused_with_a_reason() {
    let reference = Reference::open("tiny-v");
    let model = reference.model();
    let refusal = |options| TextToImage::new(&model, options).err().expect("it was taken").to_string();
    let base = || options(&reference);
    assert!(refusal(GenerationOptions { width: Some(100), ..base() }).contains("width is 100 pixels"));
    assert!(refusal(GenerationOptions { steps: 0, ..base() }).contains("steps is 0"));
    assert!(
        refusal(GenerationOptions { guidance_scale: f64::NAN, ..base() }).contains("guidance_scale is NaN")
    );
    let unfinished = TextToImage::new(&model, base()).unwrap();
    assert!(matches!(unfinished.finish(), Err(GenerationError::Order { .. })));
}
