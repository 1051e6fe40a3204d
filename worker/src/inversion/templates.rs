//! The captions that stand beside the photos in training: `{}` is the person.
//!
//! `face` is the default: neutral captions of a face. `ti27` is the list of the original textual inversion
//! (Gal et al. 2022, as in the diffusers training script), whose "dirty", "weird" and "rendering" fight the
//! photos of a face; it is here for parity with the original.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A list of captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Templates {
    /// Neutral captions of a face.
    #[default]
    Face,
    /// The original list.
    Ti27,
}

/// No list has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no caption templates are called {0:?}: use \"face\" or \"ti27\"")]
pub struct UnknownTemplates(pub String);

impl FromStr for Templates {
    type Err = UnknownTemplates;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "face" => Ok(Self::Face),
            "ti27" => Ok(Self::Ti27),
            other => Err(UnknownTemplates(other.to_owned())),
        }
    }
}

impl fmt::Display for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Face => "face",
            Self::Ti27 => "ti27",
        })
    }
}

impl Templates {
    /// The captions, each with one `{}`.
    pub fn list(self) -> &'static [&'static str] {
        match self {
            Self::Face => &FACE,
            Self::Ti27 => &TI27,
        }
    }
}

const FACE: [&str; 16] = [
    "a photo of {}",
    "the photo of {}",
    "a good photo of {}",
    "a close-up photo of {}",
    "a bright photo of {}",
    "a cropped photo of {}",
    "a portrait of {}",
    "the portrait of {}",
    "a good portrait of {}",
    "a close-up portrait of {}",
    "a bright portrait of {}",
    "a picture of {}",
    "the picture of {}",
    "a good picture of {}",
    "a close-up picture of {}",
    "a bright picture of {}",
];

const TI27: [&str; 27] = [
    "a photo of a {}",
    "a rendering of a {}",
    "a cropped photo of the {}",
    "the photo of a {}",
    "a photo of a clean {}",
    "a photo of a dirty {}",
    "a dark photo of the {}",
    "a photo of my {}",
    "a photo of the cool {}",
    "a close-up photo of a {}",
    "a bright photo of the {}",
    "a cropped photo of a {}",
    "a photo of the {}",
    "a good photo of the {}",
    "a photo of one {}",
    "a close-up photo of the {}",
    "a rendition of the {}",
    "a photo of the clean {}",
    "a rendition of a {}",
    "a photo of a nice {}",
    "a good photo of a {}",
    "a photo of the nice {}",
    "a photo of the small {}",
    "a photo of the weird {}",
    "a photo of the large {}",
    "a photo of a cool {}",
    "a photo of a small {}",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caption_names_the_person_once_and_no_caption_repeats() {
        for templates in [Templates::Face, Templates::Ti27] {
            let list = templates.list();
            assert!(list.iter().all(|caption| caption.matches("{}").count() == 1));
            let distinct: std::collections::BTreeSet<_> = list.iter().collect();
            assert_eq!(distinct.len(), list.len());
            assert_eq!(templates.to_string().parse(), Ok(templates));
        }
        assert_eq!("style".parse::<Templates>(), Err(UnknownTemplates("style".into())));
    }
}
