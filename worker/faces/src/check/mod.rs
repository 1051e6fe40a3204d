//! Which photos of a person can be learned from, and why the others cannot.
//!
//! Each photo by itself: can it be read, is there one person's face, is that large, lit, in focus and turned to the camera
//! ([`CheckedPhoto`])? Then the set: is every photo another picture, is it always one person, are there enough ([`CheckedSet`])? A photo
//! that cannot be learned from has codes, sentences and hints for the person who sent it; a set that could be better has advice.
//! What comes out of a good photo is a portrait, the part that the model sees.

mod advice;
mod light;
mod limits;
mod luma;
mod photo;
mod pose;
mod set;
mod sharpness;
mod thumbprint;
mod turned;
mod words;

use std::sync::Arc;

use crate::detect::Detector;
use crate::error::FaceError;
use crate::intake::{Photo, PhotoLimits, read_photo};
use crate::recognise::Recogniser;

pub use advice::{Advice, AdviceCode};
pub use light::Light;
pub use limits::CheckLimits;
pub use photo::{CheckedPhoto, FaceFacts};
pub use pose::Pose;
pub use set::CheckedSet;

/// Checks photos with a detector and a recogniser. It may be used from several threads at once; clones share the networks.
#[derive(Clone, Debug)]
pub struct PhotoChecker {
    detector: Arc<Detector>,
    recogniser: Arc<Recogniser>,
    intake: PhotoLimits,
    limits: CheckLimits,
}

impl PhotoChecker {
    /// A checker with these limits.
    ///
    /// # Errors
    /// [`FaceError::Option`] where a limit is out of its range.
    pub fn new(
        detector: Detector,
        recogniser: Recogniser,
        intake: PhotoLimits,
        limits: CheckLimits,
    ) -> Result<Self, FaceError> {
        limits.validate()?;
        Ok(Self { detector: Arc::new(detector), recogniser: Arc::new(recogniser), intake, limits })
    }

    /// The same networks with other limits.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_limits(&self, limits: CheckLimits) -> Result<Self, FaceError> {
        limits.validate()?;
        Ok(Self { limits, ..self.clone() })
    }

    /// Reads and checks one photo. What is wrong with the photo is in the result.
    ///
    /// # Errors
    /// [`FaceError::Failed`] where a network fails, which is not the photo's fault.
    pub fn check(&self, file: &[u8]) -> Result<CheckedPhoto, FaceError> {
        match read_photo(file, &self.intake) {
            Ok(photo) => self.check_photo(&photo),
            Err(refusal) => Ok(CheckedPhoto::unread(refusal)),
        }
    }

    /// Checks a photo that was read before.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_photo(&self, photo: &Photo) -> Result<CheckedPhoto, FaceError> {
        let faces = self.detector.detect(photo.picture())?;
        let checked = CheckedPhoto::of(photo, &faces, &self.recogniser, &self.limits)?;
        let score = faces.first().map(|face| face.score);
        match turned::turned_by(&self.detector, photo.picture(), score)? {
            0 => Ok(checked),
            degrees => Ok(checked.refused_as(words::turned(degrees))),
        }
    }

    /// Looks at checked photos as those of one person.
    pub fn check_set(&self, photos: Vec<CheckedPhoto>) -> CheckedSet {
        CheckedSet::of(photos, &self.limits)
    }

    /// The limits.
    pub fn limits(&self) -> &CheckLimits {
        &self.limits
    }
}
