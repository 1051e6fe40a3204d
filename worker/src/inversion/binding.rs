//! What the state of an inversion depends on, as digests: a checkpoint is bound to them.

use likeness_diffusion::picture::RgbPicture;
use sha2::{Digest, Sha256};

use super::checkpoint::CheckpointError;
use super::face_mask::FaceEllipse;
use super::options::InversionOptions;

/// A digest of photos as they are learned from: sizes and pixels, in order.
pub fn photos_digest(photos: &[RgbPicture]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for photo in photos {
        digest.update(photo.width.to_le_bytes());
        digest.update(photo.height.to_le_bytes());
        digest.update(&photo.pixels);
    }
    digest.finalize().into()
}

/// Digest of everything that the state of an inversion depends on. `faces` are those of the photos where they matter; where all of
/// them are centred the digest is the one without.
pub(super) fn binding(
    options: &InversionOptions,
    photos_digest: [u8; 32],
    faces: &[FaceEllipse],
    start: &[Vec<f32>],
    model_digest: &str,
) -> Result<[u8; 32], CheckpointError> {
    let mut digest = Sha256::new();
    digest.update(b"likeness inversion 1");
    let options =
        postcard::to_stdvec(options).map_err(|error| CheckpointError::Damaged(error.to_string()))?;
    for part in [&options[..], model_digest.as_bytes(), &photos_digest] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    for vector in start {
        digest.update((vector.len() as u64).to_le_bytes());
        vector.iter().for_each(|x| digest.update(x.to_le_bytes()));
    }
    if faces.iter().any(|face| *face != FaceEllipse::default()) {
        digest.update(b"faces");
        for FaceEllipse { centre, half_axes } in faces {
            for number in [centre.0, centre.1, half_axes.0, half_axes.1] {
                digest.update(number.to_le_bytes());
            }
        }
    }
    Ok(digest.finalize().into())
}
