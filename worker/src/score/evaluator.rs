//! The networks that score pictures, looking at one picture after another.

use std::fs;
use std::path::Path;

use burn::tensor::{Device, FloatDType};
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::{Clip, ClipError};
use likeness_faces::config::{FacesConfig, FacesError};
use likeness_faces::intake::RgbPixels;
use likeness_faces::recognise::Embedding;
use likeness_faces::{FaceError, FaceReader};
use sha2::{Digest, Sha256};

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

/// What looks at pictures: the networks, or a stand-in for them.
pub trait Evaluate: Send + Sync {
    /// Looks at one picture.
    ///
    /// # Errors
    /// [`EvaluatorError`] where a network fails.
    fn look(&self, picture: &RgbPicture) -> Result<Seen, EvaluatorError>;

    /// Directions of prompts as CLIP reads them, the learned words already replaced ([`read_as_person`](super::read_as_person)); `None`
    /// where there is no CLIP model.
    ///
    /// # Errors
    /// [`EvaluatorError`] where a prompt cannot be encoded.
    fn prompts(&self, prompts: &[String]) -> Result<Option<Vec<Embedding>>, EvaluatorError>;

    /// Whose figures these are.
    fn networks(&self) -> &EvaluatorNetworks;
}

/// The networks of an evaluator: figures of different ones cannot be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvaluatorNetworks {
    /// SHA-256 of the detector's file, in hexadecimal.
    pub detector: String,
    /// SHA-256 of the file of the network that says how alike faces are, in hexadecimal.
    pub judge: String,
    /// SHA-256 over the CLIP model's files, in hexadecimal; `None` = there is none.
    pub clip: Option<String>,
    /// The judge is the network that chooses photos and names.
    pub judged_by_chooser: bool,
}

/// Detector, judge and, where there is one, CLIP. The judge is another network than the one that chooses names and photos wherever
/// the operator has given two ([`FacesConfig::judge`]).
#[derive(Debug)]
pub struct Evaluator {
    reader: FaceReader,
    clip: Option<Clip>,
    networks: EvaluatorNetworks,
}

impl Evaluator {
    /// Loads what the configuration names; CLIP goes onto `device`, in f32.
    ///
    /// # Errors
    /// [`EvaluatorError`] where the detector or every recogniser is missing, or a file cannot be used.
    pub fn open(faces: &FacesConfig, device: &Device) -> Result<Self, EvaluatorError> {
        let reader = FaceReader::new(faces.detector()?, faces.judge()?);
        let folder = faces.clip.as_deref();
        let clip = folder.map(|folder| Clip::load(folder, device, FloatDType::F32)).transpose()?;
        let judge = hex::encode(reader.recogniser().digest());
        let networks = EvaluatorNetworks {
            detector: hex::encode(reader.detector().digest()),
            clip: folder.map(Clip::digest).transpose()?,
            judged_by_chooser: faces
                .recogniser
                .as_ref()
                .is_some_and(|chooser| is_file(&chooser.file, &judge)),
            judge,
        };
        Ok(Self { reader, clip, networks })
    }

    /// What reads the faces.
    pub fn reader(&self) -> &FaceReader {
        &self.reader
    }
}

impl Evaluate for Evaluator {
    fn look(&self, picture: &RgbPicture) -> Result<Seen, EvaluatorError> {
        let RgbPicture { width, height, pixels } = picture.clone();
        let face = self.reader.embedding(&RgbPixels { width, height, pixels })?;
        let whole = match &self.clip {
            None => None,
            Some(clip) => rows(clip.images(std::slice::from_ref(picture))?)?.pop(),
        };
        Ok(Seen { face, whole })
    }

    fn prompts(&self, prompts: &[String]) -> Result<Option<Vec<Embedding>>, EvaluatorError> {
        let Some(clip) = &self.clip else { return Ok(None) };
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        if texts.is_empty() {
            return Ok(Some(Vec::new()));
        }
        Ok(Some(rows(clip.texts(&texts)?)?))
    }

    fn networks(&self) -> &EvaluatorNetworks {
        &self.networks
    }
}

/// Whether the file has this SHA-256. One that cannot be read is none: whoever needs it has said so before.
fn is_file(path: &Path, digest: &str) -> bool {
    fs::read(path).is_ok_and(|bytes| hex::encode(Sha256::digest(bytes)) == digest)
}
