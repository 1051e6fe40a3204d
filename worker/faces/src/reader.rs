//! A picture to the embedding of its face: found, aligned and recognised in one step.

use crate::detect::Detector;
use crate::error::FaceError;
use crate::intake::RgbPixels;
use crate::recognise::{Embedding, Recogniser};

/// Reads faces. It may be used from several threads at once.
#[derive(Debug)]
pub struct FaceReader {
    detector: Detector,
    recogniser: Recogniser,
}

impl FaceReader {
    /// With these networks.
    pub fn new(detector: Detector, recogniser: Recogniser) -> Self {
        Self { detector, recogniser }
    }

    /// Who the largest face of the picture is; `None` where there is no face. Whether the picture is a good one of that
    /// face is not asked: [`check`](crate::check) does.
    ///
    /// # Errors
    /// [`FaceError::Failed`] where a network fails, [`FaceError::Picture`] where the pixels are not those of a picture.
    pub fn embedding(&self, picture: &RgbPixels) -> Result<Option<Embedding>, FaceError> {
        let faces = self.detector.detect(picture)?;
        let Some(face) = faces.first() else { return Ok(None) };
        self.recogniser.embed_face(picture, &face.points)
    }

    /// What finds the faces.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// What knows them.
    pub fn recogniser(&self) -> &Recogniser {
        &self.recogniser
    }
}
