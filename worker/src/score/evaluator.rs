//! The networks that score pictures, looking at one picture after another.

use burn::tensor::{Device, FloatDType};
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::{Clip, ClipError};
use likeness_faces::config::{FacesConfig, FacesError};
use likeness_faces::intake::RgbPixels;
use likeness_faces::recognise::Embedding;
use likeness_faces::{FaceError, FaceReader};

use super::vectors::{VectorError, rows};

/// What networks see in a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Who the largest face is; nothing = no face.
    pub face: Option<Embedding>,
    /// The whole picture as CLIP sees it; nothing = there is no CLIP model.
    pub whole: Option<Embedding>,
}

/// Scores cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum EvaluatorError {
    /// The networks for faces.
    #[error(transparent)]
    Faces(#[from] FacesError),
    /// A network for faces failed.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// The CLIP model.
    #[error("faces.clip: {0}")]
    Clip(#[from] ClipError),
    /// CLIP's vectors.
    #[error("faces.clip: {0}")]
    Vectors(#[from] VectorError),
}

/// Detector, judge and, where there is one, CLIP. The judge is another network than the one that chooses names and photos wherever
/// the operator has given two ([`FacesConfig::judge`]).
#[derive(Debug)]
pub struct Evaluator {
    reader: FaceReader,
    clip: Option<Clip>,
}

impl Evaluator {
    /// Loads what the configuration names; CLIP goes onto `device`, in f32.
    ///
    /// # Errors
    /// [`EvaluatorError`] where the detector or every recogniser is missing, or a file cannot be used.
    pub fn open(faces: &FacesConfig, device: &Device) -> Result<Self, EvaluatorError> {
        let reader = FaceReader::new(faces.detector()?, faces.judge()?);
        let clip =
            faces.clip.as_deref().map(|folder| Clip::load(folder, device, FloatDType::F32)).transpose()?;
        Ok(Self { reader, clip })
    }

    /// Looks at one picture.
    ///
    /// # Errors
    /// [`EvaluatorError`] where a network fails.
    pub fn look(&self, picture: &RgbPicture) -> Result<Seen, EvaluatorError> {
        let RgbPicture { width, height, pixels } = picture.clone();
        let face = self.reader.embedding(&RgbPixels { width, height, pixels })?;
        let whole = match &self.clip {
            None => None,
            Some(clip) => rows(clip.images(std::slice::from_ref(picture))?)?.pop(),
        };
        Ok(Seen { face, whole })
    }

    /// Directions of prompts as CLIP reads them, the learned words already replaced ([`read_as_person`](super::read_as_person)); `None`
    /// where there is no CLIP model.
    ///
    /// # Errors
    /// [`EvaluatorError`] where a prompt cannot be encoded.
    pub fn prompts(&self, prompts: &[String]) -> Result<Option<Vec<Embedding>>, EvaluatorError> {
        let Some(clip) = &self.clip else { return Ok(None) };
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        if texts.is_empty() {
            return Ok(Some(Vec::new()));
        }
        Ok(Some(rows(clip.texts(&texts)?)?))
    }

    /// What reads the faces.
    pub fn reader(&self) -> &FaceReader {
        &self.reader
    }
}
