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
    /// Exactly the same picture as another one.
    Duplicate,
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
    pub(super) fn new(code: RefusalCode, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), hint: hint.into(), index: None }
    }

    /// The same refusal, of a photo of a set.
    pub fn at(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }
}
