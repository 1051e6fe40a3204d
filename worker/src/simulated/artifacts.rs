//! Results of a simulated device: as small as real files can be, and functions of what they are made of alone.

use std::collections::BTreeMap;

use likeness_diffusion::person_file::{PersonFile, keys};
use likeness_diffusion::picture::RgbPicture;
use sha2::{Digest, Sha256};

use crate::engine::{DrawnPicture, Fault, LearnedPerson};

/// Pixels of a side.
const SIDE: u32 = 8;
/// Vectors of a person.
const VECTORS: u32 = 2;
/// Numbers in a vector.
const WIDTH: u32 = 8;

/// A picture of one colour that depends on prompt and seed.
pub(super) fn picture(prompt: &str, seed: u64) -> Result<DrawnPicture, Fault> {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(prompt);
    let colour: Vec<u8> = digest.finalize().iter().take(3).copied().collect();
    let pixels = colour.repeat((SIDE * SIDE) as usize);
    let text = [("device".to_owned(), "simulated".to_owned()), ("seed".to_owned(), seed.to_string())];
    let png = RgbPicture::new(SIDE, SIDE, pixels).and_then(|picture| picture.to_png(&text));
    let png = png.map_err(|error| Fault::passing("internal", error))?;
    Ok(DrawnPicture { png: png.into(), seed, width: SIDE, height: SIDE })
}

/// A person whose vectors are made of the digest of the training's steps.
pub(super) fn person(placeholder: &str, steps: u32, digest: [u8; 32]) -> Result<LearnedPerson, Fault> {
    let numbers = |row: u32| -> Vec<f32> {
        let bytes = digest.iter().cycle().skip((row * WIDTH) as usize).take(WIDTH as usize);
        bytes.map(|byte| f32::from(*byte) / 255.0 + 0.001).collect()
    };
    let metadata = BTreeMap::from([
        (keys::START.to_owned(), "simulated".to_owned()),
        (keys::STEPS.to_owned(), steps.to_string()),
    ]);
    let vectors = (0..VECTORS).map(numbers).collect();
    let file = PersonFile::new(Some(placeholder.to_owned()), vectors, metadata)
        .and_then(|person| person.write_diffusers())
        .map_err(|error| Fault::passing("internal", error))?;
    Ok(LearnedPerson {
        file: file.into(),
        vectors: VECTORS,
        width: WIDTH,
        model_digest: super::MODEL_DIGEST.to_owned(),
        final_loss: super::job::loss_after(steps),
        norm_ratio: 1.0,
        steps,
        kept_step: None,
        photos_used: 0,
        photos: None,
        quality: None,
    })
}
