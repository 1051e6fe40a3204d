//! Pictures from files, and whose faces they show.

use std::path::Path;

use anyhow::Context;
use likeness_diffusion::picture::RgbPicture;
use likeness_faces::FaceReader;
use likeness_faces::intake::{PhotoLimits, RgbPixels, read_photo};
use likeness_faces::recognise::Embedding;

use crate::output::Voice;

/// Who the photo shows; nothing, after a warning, where it cannot be read or shows nobody.
pub(super) fn photo(reader: &FaceReader, path: &Path, voice: Voice) -> anyhow::Result<Option<Embedding>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read photo {}", path.display()))?;
    let photo = match read_photo(&bytes, &PhotoLimits::default()) {
        Ok(photo) => photo,
        Err(refused) => {
            voice.warn(format_args!("{}: {}; {}", path.display(), refused.sentence, refused.hint));
            return Ok(None);
        }
    };
    let found = reader.embedding(photo.picture())?;
    if found.is_none() {
        voice.warn(format_args!("{}: no face is seen; it is left out", path.display()));
    }
    Ok(found)
}

/// The faces of portraits, in order.
pub(super) fn portraits(
    reader: &FaceReader,
    drawn: Vec<RgbPicture>,
) -> anyhow::Result<Vec<Option<Embedding>>> {
    let face =
        |RgbPicture { width, height, pixels }| Ok(reader.embedding(&RgbPixels { width, height, pixels })?);
    drawn.into_iter().map(face).collect()
}
