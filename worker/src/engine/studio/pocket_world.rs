//! The pocket model, and banks of its names, for tests.

use std::path::Path;

use burn::tensor::{Device, FloatDType};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::bank::{Bank, BankName, DetectorUsed, NetworksUsed, Recipe, RecogniserUsed, Rules};
use likeness_faces::recognise::Embedding;

use super::LoadedModel;

/// The model.
pub(super) fn pocket() -> LoadedModel {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/pocket")).to_owned();
    let opened = ModelFolder::open(&folder).unwrap();
    let digest = opened.digest().unwrap();
    let diffusion = StableDiffusion::load(&opened, &Device::flex(), FloatDType::F32).unwrap();
    LoadedModel { name: "pocket".to_owned(), digest, folder, diffusion }
}

/// A face in two numbers.
pub(super) fn face(x: f32, y: f32) -> Embedding {
    Embedding::of(&[x, y]).unwrap()
}

/// A bank of these names, drawn by the model of this digest.
pub(super) fn bank(model_digest: &str, names: &[(&str, Embedding)]) -> Bank {
    let detector = DetectorUsed { digest: String::new(), side: 640, score: 0.7 };
    let recogniser = RecogniserUsed { digest: String::new(), channels: "rgb".into(), mean: 0.0, scale: 1.0 };
    let recipe = Recipe {
        model_digest: model_digest.to_owned(),
        networks: NetworksUsed { detector, recogniser },
        prompt: "a photo of {name}".into(),
        negative_prompt: String::new(),
        portraits: 8,
        seed: 0,
        sampler: "ddim".into(),
        steps: 50,
        guidance_scale: 7.5,
    };
    let name = |(name, centroid): &(&str, Embedding)| BankName {
        name: (*name).to_owned(),
        token_ids: vec![],
        face_rate: 1.0,
        cohesion: 1.0,
        rank: 1,
        margin: 1.0,
        reference: None,
        centroid: centroid.clone(),
    };
    let rules = Rules { face_rate: 0.75, same_person: 0.5 };
    let names = names.iter().map(name).collect();
    Bank { recipe, rules, has_references: false, names, dropped: vec![] }
}
