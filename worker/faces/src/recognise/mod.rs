//! Who somebody is, as a direction: a network that turns an aligned face into an embedding.
//!
//! Any ONNX network with one input of batch x 3 x 112 x 112 and one output of batch x numbers will do, whatever they are
//! called; how pixels become numbers is told by [`RecogniserOptions`]. It should be trained with a margin (ArcFace, SFace,
//! MobileFaceNet): networks trained otherwise give strangers cosines near those of one person.

mod embedding;
mod options;

use std::path::Path;

use rten::NodeId;

use crate::align::{CHIP_SIDE, aligned};
use crate::error::{FaceError, NetworkRole};
use crate::face::FivePoints;
use crate::intake::RgbPixels;
use crate::network::{Network, Output};

pub use embedding::Embedding;
pub use options::{ChannelOrder, RecogniserOptions};

/// Faces that go through the network at a time, at most: more is no faster and takes more memory.
const BATCH: usize = 16;
const SIDE: usize = CHIP_SIDE as usize;
const CHIP_BYTES: usize = SIDE * SIDE * 3;

/// A loaded recogniser. It may be used from several threads at once.
#[derive(Debug)]
pub struct Recogniser {
    network: Network,
    output: NodeId,
    /// What the file fixes the batch to.
    fixed_batch: Option<usize>,
    options: RecogniserOptions,
}

impl Recogniser {
    /// Reads an ONNX file: one input of batch x 3 x 112 x 112 in f32, one output of batch x numbers.
    ///
    /// # Errors
    /// [`FaceError`] where the file or an option cannot be used; the message says what to give instead.
    pub fn load(path: &Path, options: RecogniserOptions) -> Result<Self, FaceError> {
        options.validate()?;
        let network = Network::load(path, NetworkRole::Recogniser)?;
        let wanted = "an input of batch x 3 x 112 x 112";
        let fits = |side: Option<usize>| side.is_none_or(|side| side == SIDE);
        let fixed_batch = match network.input_sides() {
            [batch, _, height, width] if batch != Some(0) && fits(height) && fits(width) => batch,
            other => return Err(network.wrong_shape(format!("an input of the sides {other:?}"), wanted)),
        };
        let &[output] = network.outputs() else {
            let found = format!("{} outputs", network.outputs().len());
            return Err(network.wrong_shape(found, "one output, the embedding"));
        };
        Ok(Self { network, output, fixed_batch, options })
    }

    /// The embedding of each chip, in order. Chips are [`aligned`] faces of 112 x 112 pixels.
    ///
    /// # Errors
    /// [`FaceError::Picture`] for a chip of another size, [`FaceError::Failed`] where the network fails.
    pub fn embed(&self, chips: &[RgbPixels]) -> Result<Vec<Embedding>, FaceError> {
        let mut embeddings = Vec::with_capacity(chips.len());
        for chips in chips.chunks(self.fixed_batch.unwrap_or(BATCH)) {
            embeddings.extend(self.embed_batch(chips)?);
        }
        Ok(embeddings)
    }

    /// The embedding of the face at these points of a picture. `None` where the points are one.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_face(
        &self,
        picture: &RgbPixels,
        points: &FivePoints,
    ) -> Result<Option<Embedding>, FaceError> {
        let Some(chip) = aligned(picture, points)? else { return Ok(None) };
        Ok(self.embed(&[chip])?.pop())
    }

    /// SHA-256 of the network's file.
    pub fn digest(&self) -> [u8; 32] {
        self.network.digest()
    }

    /// How it takes pixels.
    pub fn options(&self) -> &RecogniserOptions {
        &self.options
    }

    fn embed_batch(&self, chips: &[RgbPixels]) -> Result<Vec<Embedding>, FaceError> {
        // A file that fixes the batch gets its whole batch, black where there are no more faces.
        let batch = self.fixed_batch.unwrap_or(chips.len());
        let mut planes = vec![0.0; batch * CHIP_BYTES];
        for (chip, planes) in chips.iter().zip(planes.chunks_exact_mut(CHIP_BYTES)) {
            if (chip.width, chip.height, chip.pixels.len()) != (CHIP_SIDE, CHIP_SIDE, CHIP_BYTES) {
                let (width, height, bytes) = (chip.width, chip.height, chip.pixels.len());
                return Err(FaceError::Picture { width, height, bytes });
            }
            self.options.fill(planes, &chip.pixels);
        }
        let outputs = self.network.run([batch, 3, SIDE, SIDE], planes, &[self.output])?;
        let [Output { shape, values }] = outputs.as_slice() else {
            return Err(self.network.failed("it gave no output"));
        };
        let width = values.len() / batch;
        if shape.first() != Some(&batch) || width == 0 {
            let found = format!("an output of the shape {shape:?} for {batch} faces");
            return Err(self.network.wrong_shape(found, "an output of batch x numbers"));
        }
        let no_direction = || self.network.failed("it gives no direction for a face (zeros, or no numbers)");
        let embeddings = values.chunks_exact(width).take(chips.len());
        embeddings.map(|values| Embedding::of(values).ok_or_else(no_direction)).collect()
    }
}
