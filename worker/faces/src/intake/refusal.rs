//! Why a photo is not taken, for the person who sent it.

use std::fmt;

/// The kind of a refusal, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// Not JPEG, PNG or WebP.
    UnsupportedFormat,
    /// Too many bytes or pixels, or far too long for its width.
    TooLarge,
    /// Broken, cut off or empty.
    Corrupt,
    /// Fewer photos than a person needs.
    TooFew,
    /// The same picture as another one.
    Duplicate,
    /// Nobody's face.
    NoFace,
    /// Several faces of about one size.
    MultipleFaces,
    /// A face of too few pixels.
    FaceTooSmall,
    /// A face out of focus, or moved.
    Blurry,
    /// A face in the dark.
    TooDark,
    /// A face that is white all over.
    TooBright,
    /// A face turned away, up or down, or a photo that is not upright.
    ExtremePose,
    /// Somebody else than in most of the other photos.
    DifferentPerson,
}

impl RefusalCode {
    /// The code as it is sent and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedFormat => "unsupported_format",
            Self::TooLarge => "too_large",
            Self::Corrupt => "corrupt",
            Self::TooFew => "too_few",
            Self::Duplicate => "duplicate",
            Self::NoFace => "no_face",
            Self::MultipleFaces => "multiple_faces",
            Self::FaceTooSmall => "face_too_small",
            Self::Blurry => "blurry",
            Self::TooDark => "too_dark",
            Self::TooBright => "too_bright",
            Self::ExtremePose => "extreme_pose",
            Self::DifferentPerson => "different_person",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A photo, or a set of photos, that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence} ({code}); {hint}")]
pub struct PhotoRefused {
    /// The kind.
    pub code: RefusalCode,
    /// What is wrong.
    pub sentence: String,
    /// What to do.
    pub hint: String,
    /// Which photo of a set, counted from 0; `None` where one photo was read alone or the set is meant.
    pub index: Option<usize>,
}

impl PhotoRefused {
    pub(crate) fn new(code: RefusalCode, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), hint: hint.into(), index: None }
    }

    /// A set with fewer usable photos than it needs.
    pub(crate) fn too_few(usable: usize, least: usize) -> Self {
        let sentence = format!("{usable} usable photos are too few; at least {least} are needed");
        let hint = "send more photos of the same person: 6 to 12 with different light and angles work best";
        Self::new(RefusalCode::TooFew, sentence, hint)
    }

    /// The same refusal, of a photo of a set.
    pub fn at(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }
}
