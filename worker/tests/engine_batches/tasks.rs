//! Tasks of many kinds on a small model, and what they end with.

use std::sync::Arc;

use bytes::Bytes;
use likeness_diffusion::person_file::PersonFile;
use likeness_diffusion::picture::RgbPicture;
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::{
    FreeParameterisation, GenerationSpec, InversionSpec, L2Mode, Parameterisation, PhraseStart, Sampler,
    Start, parameterisation, start,
};
use likeness_worker::engine::{
    ActivationCheckpointing, Attempt, BoundPerson, Ending, LoadedModel, Order, Studio, Work,
};

use crate::support::Reference;

/// A model of two million parameters that predicts v.
pub fn studio() -> Arc<Studio> {
    studio_that_pads(false)
}

/// As on a device of little memory.
pub fn studio_that_checkpoints() -> Arc<Studio> {
    Arc::new(Studio::new(vec![model(false)]).with_checkpointing(ActivationCheckpointing::Always))
}

/// As on a device that tunes its kernels for each number of rows.
pub fn studio_that_pads(pads_rows: bool) -> Arc<Studio> {
    Arc::new(Studio::new(vec![model(pads_rows)]))
}

pub fn model(pads_rows: bool) -> LoadedModel {
    let reference = Reference::open("tiny-v");
    LoadedModel {
        name: "tiny".to_owned(),
        digest: "the test's model".to_owned(),
        folder: reference.folder.join("model"),
        diffusion: reference.model().with_padding(pads_rows),
    }
}

/// `count` photos, others for each `subject`.
fn photos(subject: u32, count: u32) -> Vec<Bytes> {
    let side = 96;
    let photo = |index: u32| {
        let shade = |i: u32| ((i * (subject * 7 + index * 3 + 3) / 7 + i / side * (index + 1)) % 256) as u8;
        let pixels = (0..side * side * 3).map(shade).collect();
        RgbPicture { width: side, height: side, pixels }.to_png(&[]).unwrap().into()
    };
    (0..count).map(photo).collect()
}

fn order(work: Work) -> Order {
    let attempt = Attempt { task: TaskId::generate(), fence: Fence(1) };
    Order { attempt, number: 1, reseed: 0, work, checkpoint: Bytes::new() }
}

/// An inversion of its own photos, rows, captions, start, parameterisation and seed.
pub fn inversion(kind: u32) -> Order {
    let phrase = ["human face", "face", "portrait of human face"][kind as usize % 3];
    let free = FreeParameterisation { l2_mode: L2Mode::Decoupled.into(), l2_weight: None };
    let free = Parameterisation { kind: Some(parameterisation::Kind::None(free)) };
    let spec = InversionSpec {
        steps: Some(4 + kind % 4),
        batch_size: Some(1 + kind % 5),
        seed: u64::from(kind),
        flip: Some(!kind.is_multiple_of(3)),
        templates: if kind.is_multiple_of(2) { "face" } else { "ti27" }.to_owned(),
        start: Some(Start { kind: Some(start::Kind::Face(PhraseStart { phrase: phrase.to_owned() })) }),
        parameterisation: (kind % 4 == 3).then_some(free),
        min_snr_gamma: (kind % 3 == 1).then_some(5.0),
        background_weight: (kind % 4 == 1).then_some(0.3),
        keep_best: (kind % 3 == 2).then_some(2),
        ..InversionSpec::default()
    };
    order(Work::Inversion { spec: Box::new(spec), photos: photos(kind, 3 + kind % 3), start_file: None })
}

/// The same, with a learning rate at which it leaves all numbers behind.
pub fn diverging(kind: u32) -> Order {
    let mut order = inversion(kind);
    if let Work::Inversion { spec, .. } = &mut order.work {
        spec.learning_rate = Some(1e38);
        spec.steps = Some(50);
        let free = FreeParameterisation { l2_mode: L2Mode::Decoupled.into(), l2_weight: Some(0.0) };
        spec.parameterisation = Some(Parameterisation { kind: Some(parameterisation::Kind::None(free)) });
    }
    order
}

/// A generation of its own sampler, guidance, people and number of pictures.
pub fn generation(kind: u32) -> Order {
    let samplers = [Sampler::Ddim, Sampler::Pndm, Sampler::Euler, Sampler::Dpmpp];
    let spec = GenerationSpec {
        prompt: format!("a photo of sks number {kind}"),
        negative_prompt: if kind.is_multiple_of(2) { "blurry" } else { "" }.to_owned(),
        seed: u64::from(kind) * 100,
        pictures: Some(1 + kind % 3),
        sampler: samplers[kind as usize % 4].into(),
        steps: Some(5 + kind % 4),
        guidance_scale: Some(if kind % 3 == 1 { 1.0 } else { 7.5 }),
        ..GenerationSpec::default()
    };
    let width = 40;
    let vectors = vec![(0..width).map(|i| ((i * (kind + 2)) as f32).sin() * 0.05).collect::<Vec<f32>>(); 2];
    let file = PersonFile { placeholder: Some("sks".to_owned()), vectors, metadata: Default::default() };
    let person = BoundPerson {
        placeholder: "sks".to_owned(),
        id: format!("person {kind}"),
        file: file.write_diffusers().unwrap().into(),
        model_digest: String::new(),
    };
    order(Work::Generation { spec: Box::new(spec), people: vec![person], init_image: None })
}

/// What a task has made.
#[derive(Debug)]
pub enum Product {
    Vectors(Vec<f32>),
    Pictures(Vec<RgbPicture>),
}

impl Product {
    pub fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Learned(person) => {
                Self::Vectors(PersonFile::read(&person.file).unwrap().vectors.concat())
            }
            Ending::Drawn(drawn) => Self::Pictures(
                drawn.pictures.iter().map(|picture| RgbPicture::from_png(&picture.png).unwrap().0).collect(),
            ),
            other => panic!("nothing was made: {other:?}"),
        }
    }

    /// The largest difference: of vectors relative to their length, of pictures in shades of 256.
    pub fn difference(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Vectors(ours), Self::Vectors(theirs)) => crate::support::relative_error(ours, theirs),
            (Self::Pictures(ours), Self::Pictures(theirs)) => {
                assert_eq!(ours.len(), theirs.len());
                let pixels = |pictures: &[RgbPicture]| -> Vec<u8> {
                    pictures.iter().flat_map(|picture| picture.pixels.clone()).collect()
                };
                let pairs = pixels(ours).into_iter().zip(pixels(theirs));
                pairs.map(|(a, b)| f64::from(a.abs_diff(b))).fold(0.0, f64::max)
            }
            _ => panic!("a person and pictures"),
        }
    }

    /// Vectors may differ by so much of their length, pictures by so many shades.
    pub fn tolerance(&self) -> f64 {
        match self {
            Self::Vectors(_) => 1e-5,
            Self::Pictures(_) => 1.0,
        }
    }
}
