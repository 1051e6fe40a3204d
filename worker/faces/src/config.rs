//! The networks for faces (`[faces]` in the configuration of workers and coordinators): which files, how they take pixels, what a photo must be like.
//!
//! None for photographs comes with Likeness. Without a detector and a recogniser photos are not searched for faces, and whatever needs one says
//! which files to give.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bank::BankError;
use crate::check::{CheckLimits, PhotoChecker};
use crate::detect::{Detector, DetectorOptions};
use crate::intake::PhotoLimits;
use crate::recognise::{ChannelOrder, Recogniser, RecogniserOptions};
use crate::{FaceError, FaceReader};

/// Networks for faces, as ONNX files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FacesConfig {
    /// A detector of YuNet's form.
    pub detector: Option<PathBuf>,
    /// Larger pictures are scaled down to so many pixels on the longer side before faces are looked for, 64..=4096.
    pub detector_side: u32,
    /// A face found less surely than this is none, more than 0 and less than 1.
    pub detector_score: f32,
    /// Says who is who: photos of strangers, names alike a person.
    pub recogniser: Option<RecogniserConfig>,
    /// A second recogniser of another training, that scores what the first one has chosen; nothing = the first.
    pub judge: Option<RecogniserConfig>,
    /// The folder of a CLIP model in the layout of `transformers`, that scores how pictures fit their prompts; nothing = no such score.
    pub clip: Option<PathBuf>,
    /// The names that the model knows, as `likeness bank build` writes them; nothing = no start `id`.
    pub bank: Option<PathBuf>,
    /// What a photo must be like.
    pub limits: FaceLimits,
}

/// A recogniser: a network of batch x 3 x 112 x 112. A pixel's value v in 0..=255 becomes (v - mean) / scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecogniserConfig {
    /// The ONNX file.
    pub file: PathBuf,
    /// Which colour it takes first: "rgb" or "bgr".
    #[serde(default)]
    pub channels: Channels,
    /// 0..=255.
    #[serde(default)]
    pub mean: f32,
    /// More than 0, 255 at most.
    #[serde(default = "one")]
    pub scale: f32,
    /// The cosine that 95 % of pairs of photos of one person reach, more than 0 and less than 1: what portraits of a name must have
    /// for a bank. It depends on the network; the default is OpenCV's working point of SFace.
    #[serde(default = "same_person")]
    pub same_person: f32,
}

/// The order of the colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// What a photo must be like to be learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceLimits {
    /// Width of the face, in pixels, at least.
    pub min_face: f32,
    /// Sharpness (0..=1), at least.
    pub min_sharpness: f32,
    /// Degrees that a face may be turned aside, at most.
    pub max_yaw: f32,
    /// Degrees that it may look up or down, at most.
    pub max_pitch: f32,
    /// Degrees that it may be tilted, at most.
    pub max_roll: f32,
    /// Cosine to the photo in the middle of the set, at least; it depends on the recogniser.
    pub min_likeness: f32,
    /// Cosine from which on two photos may be one picture; it depends on the recogniser.
    pub duplicate_likeness: f32,
    /// Photos that must be usable, 3..=64; a task may ask for more.
    pub min_photos: u32,
    /// Sides of the square that is learned from, in sides of FFHQ's, 0.5..=4: how much around the head. What the model draws of
    /// "a photo of a person" should look alike.
    pub portrait_scale: f32,
}

/// A person is not learned from fewer.
const LEAST_PHOTOS: u32 = 3;
/// Photos that a task can have.
const MOST_PHOTOS: u32 = 64;

fn one() -> f32 {
    1.0
}

fn same_person() -> f32 {
    0.363
}

impl Default for FacesConfig {
    fn default() -> Self {
        let DetectorOptions { side, score, .. } = DetectorOptions::default();
        Self {
            detector: None,
            detector_side: side,
            detector_score: score,
            recogniser: None,
            judge: None,
            clip: None,
            bank: None,
            limits: FaceLimits::default(),
        }
    }
}

impl Default for FaceLimits {
    fn default() -> Self {
        let limits = CheckLimits::default();
        Self {
            min_face: limits.min_face,
            min_sharpness: limits.min_sharpness,
            max_yaw: limits.max_yaw,
            max_pitch: limits.max_pitch,
            max_roll: limits.max_roll,
            min_likeness: limits.min_likeness,
            duplicate_likeness: limits.duplicate_likeness,
            min_photos: LEAST_PHOTOS,
            portrait_scale: limits.portrait_scale,
        }
    }
}

/// Faces cannot be looked for.
#[derive(Debug, thiserror::Error)]
pub enum FacesError {
    /// A network is not configured.
    #[error(
        "faces.{0} is not configured: give an ONNX file, such as {1} of the OpenCV Zoo \
         (github.com/opencv/opencv_zoo; docs/faces.md)"
    )]
    Missing(&'static str, &'static str),
    /// A recogniser without anything that finds faces for it.
    #[error("faces.{0} is of no use without faces.detector: give both")]
    NoDetector(&'static str),
    /// No such file.
    #[error("faces.{name}: there is no file {}", path.display())]
    NoFile {
        /// Which option.
        name: &'static str,
        /// What was given.
        path: PathBuf,
    },
    /// No CLIP model in the folder.
    #[error(
        "faces.clip: {} has no config.json: give the folder of a CLIP model in the layout of transformers, such as openai/clip-vit-base-patch32",
        path.display()
    )]
    NoClip {
        /// What was given.
        path: PathBuf,
    },
    /// The bank of names.
    #[error("faces.bank: {0}")]
    Bank(#[from] BankError),
    /// A bank without a recogniser to match people with.
    #[error(
        "faces.bank is of no use without faces.detector and faces.recogniser: give those that it was built with"
    )]
    BankAlone,
    /// An option, or a network that cannot be used.
    #[error("faces.{name}: {source}")]
    Network {
        /// Which network.
        name: &'static str,
        /// What is wrong.
        source: FaceError,
    },
}

impl RecogniserConfig {
    /// This file, with the default arithmetic.
    pub fn of(file: impl Into<PathBuf>) -> Self {
        let (channels, scale, same_person) = (Channels::default(), one(), same_person());
        Self { file: file.into(), channels, mean: 0.0, scale, same_person }
    }

    fn validate(&self) -> Result<(), FaceError> {
        self.options().validate()?;
        if self.same_person > 0.0 && self.same_person < 1.0 {
            return Ok(());
        }
        let (value, rule) = (self.same_person.to_string(), "more than 0 and less than 1, such as 0.363");
        Err(FaceError::Option { name: "same_person", value, rule })
    }

    fn options(&self) -> RecogniserOptions {
        let channels = match self.channels {
            Channels::Rgb => ChannelOrder::Rgb,
            Channels::Bgr => ChannelOrder::Bgr,
        };
        RecogniserOptions { channels, mean: self.mean, scale: self.scale }
    }
}

impl FacesConfig {
    /// Refuses what cannot work, naming the option. Files are only looked for, not read.
    pub fn validate(&self) -> Result<(), FacesError> {
        let at = |name: &'static str| move |source: FaceError| FacesError::Network { name, source };
        self.detector_options().validate().map_err(at("detector"))?;
        self.check_limits(CheckLimits::default().portrait_side).validate().map_err(at("limits"))?;
        let min_photos = self.limits.min_photos;
        if !(LEAST_PHOTOS..=MOST_PHOTOS).contains(&min_photos) {
            let value = min_photos.to_string();
            let source = FaceError::Option { name: "min_photos", value, rule: "3 to 64" };
            return Err(FacesError::Network { name: "limits", source });
        }
        let detector = self.detector.as_deref();
        let recognisers = [("recogniser", &self.recogniser), ("judge", &self.judge)];
        let recognisers = recognisers.into_iter().filter_map(|(name, given)| Some((name, given.as_ref()?)));
        for (name, recogniser) in recognisers {
            recogniser.validate().map_err(at(name))?;
            if detector.is_none() {
                return Err(FacesError::NoDetector(name));
            }
            present(name, &recogniser.file)?;
        }
        if let Some(path) = self.clip.as_ref().filter(|path| !path.join("config.json").is_file()) {
            return Err(FacesError::NoClip { path: path.clone() });
        }
        if let Some(path) = &self.bank {
            present("bank", path)?;
            if detector.is_none() || self.recogniser.is_none() {
                return Err(FacesError::BankAlone);
            }
        }
        detector.map_or(Ok(()), |path| present("detector", path))
    }

    /// The same with paths that do not begin at the root taken from `folder`, that of the file that names them.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let files = [&mut self.recogniser, &mut self.judge]
            .into_iter()
            .flatten()
            .map(|recogniser| &mut recogniser.file);
        let others = [&mut self.detector, &mut self.clip, &mut self.bank].into_iter().flatten();
        for path in files.chain(others) {
            *path = folder.join(&*path);
        }
        self
    }

    /// Whether photos are to be checked: there are a detector and a recogniser.
    pub fn can_check_photos(&self) -> bool {
        self.detector.is_some() && self.recogniser.is_some()
    }

    /// Whether pictures can be scored: there are a detector and a network that says how alike faces are.
    pub fn can_score_pictures(&self) -> bool {
        self.detector.is_some() && (self.judge.is_some() || self.recogniser.is_some())
    }

    /// Loads detector and recogniser for checking photos; portraits are cut with `portrait_side` pixels.
    ///
    /// # Errors
    /// [`FacesError::Missing`] where one is not configured; the message names a file that may be given.
    pub fn photo_checker(&self, portrait_side: u32) -> Result<PhotoChecker, FacesError> {
        let detector = self.detector()?;
        let recogniser = self.recogniser.as_ref().ok_or(FacesError::Missing("recogniser", SFACE))?;
        let recogniser = load("recogniser", recogniser)?;
        let limits = self.check_limits(portrait_side);
        PhotoChecker::new(detector, recogniser, PhotoLimits::default(), limits)
            .map_err(|source| FacesError::Network { name: "limits", source })
    }

    /// Loads detector and recogniser for embeddings alone.
    ///
    /// # Errors
    /// As [`Self::photo_checker`].
    pub fn reader(&self) -> Result<FaceReader, FacesError> {
        let detector = self.detector()?;
        let recogniser = self.recogniser.as_ref().ok_or(FacesError::Missing("recogniser", SFACE))?;
        Ok(FaceReader::new(detector, load("recogniser", recogniser)?))
    }

    /// Loads the detector.
    ///
    /// # Errors
    /// [`FacesError::Missing`] where none is configured.
    pub fn detector(&self) -> Result<Detector, FacesError> {
        let path = self.detector.as_deref().ok_or(FacesError::Missing("detector", YUNET))?;
        Detector::load(path, self.detector_options())
            .map_err(|source| FacesError::Network { name: "detector", source })
    }

    /// Loads the network that scores likeness: the judge, or the recogniser where there is none.
    ///
    /// # Errors
    /// [`FacesError::Missing`] where neither is configured.
    pub fn judge(&self) -> Result<Recogniser, FacesError> {
        match (&self.judge, &self.recogniser) {
            (Some(judge), _) => load("judge", judge),
            (None, Some(recogniser)) => load("recogniser", recogniser),
            (None, None) => Err(FacesError::Missing("recogniser", SFACE)),
        }
    }

    fn detector_options(&self) -> DetectorOptions {
        DetectorOptions { side: self.detector_side, score: self.detector_score, ..DetectorOptions::default() }
    }

    fn check_limits(&self, portrait_side: u32) -> CheckLimits {
        let FaceLimits {
            min_face,
            min_sharpness,
            max_yaw,
            max_pitch,
            max_roll,
            min_likeness,
            duplicate_likeness,
            min_photos,
            portrait_scale,
        } = self.limits;
        CheckLimits {
            min_face,
            min_sharpness,
            max_yaw,
            max_pitch,
            max_roll,
            min_likeness,
            duplicate_likeness,
            min_photos: min_photos as usize,
            portrait_side,
            portrait_scale,
            ..CheckLimits::default()
        }
    }
}

const YUNET: &str = "face_detection_yunet_2023mar.onnx";
const SFACE: &str = "face_recognition_sface_2021dec.onnx";

fn load(name: &'static str, recogniser: &RecogniserConfig) -> Result<Recogniser, FacesError> {
    Recogniser::load(&recogniser.file, recogniser.options())
        .map_err(|source| FacesError::Network { name, source })
}

fn present(name: &'static str, path: &Path) -> Result<(), FacesError> {
    if path.is_file() { Ok(()) } else { Err(FacesError::NoFile { name, path: path.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_a_file_that_may_be_given() {
        let none = FacesConfig::default();
        none.validate().unwrap();
        let said = none.photo_checker(512).unwrap_err().to_string();
        assert!(said.starts_with("faces.detector is not configured") && said.contains(YUNET), "{said}");
        let said = none.judge().unwrap_err().to_string();
        assert!(said.contains("faces.recogniser") && said.contains(SFACE), "{said}");
    }

    #[test]
    fn paths_begin_at_the_folder_of_their_file() {
        let config = FacesConfig {
            detector: Some("detector.onnx".into()),
            judge: Some(RecogniserConfig::of("/networks/judge.onnx")),
            ..FacesConfig::default()
        };
        let config = config.relative_to(Path::new("/etc/likeness"));
        assert_eq!(config.detector, Some("/etc/likeness/detector.onnx".into()));
        assert_eq!(config.judge.map(|judge| judge.file), Some("/networks/judge.onnx".into()));
        assert_eq!((config.clip, config.bank), (None, None));
    }

    #[test]
    fn mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("network.onnx");
        std::fs::write(&file, "no network").unwrap();
        let said = |config: &FacesConfig| config.validate().unwrap_err().to_string();
        let mut config =
            FacesConfig { recogniser: Some(RecogniserConfig::of(&file)), ..FacesConfig::default() };
        assert!(said(&config).contains("faces.recogniser is of no use without faces.detector"));
        config.detector = Some(folder.path().join("missing.onnx"));
        assert!(said(&config).starts_with("faces.detector: there is no file"));
        config.detector = Some(file.clone());
        config.validate().unwrap();
        let loaded = config.photo_checker(512).unwrap_err().to_string();
        assert!(loaded.starts_with("faces.detector: ") && loaded.contains("is not an ONNX file"), "{loaded}");
        let alone = FacesConfig { bank: Some(file.clone()), ..FacesConfig::default() };
        assert!(said(&alone).contains("faces.bank is of no use without"), "{}", said(&alone));
        let clip = FacesConfig { clip: Some(folder.path().to_owned()), ..FacesConfig::default() };
        assert!(
            said(&clip).contains("faces.clip") && said(&clip).contains("no config.json"),
            "{}",
            said(&clip)
        );
        let unlike = RecogniserConfig { same_person: 1.0, ..RecogniserConfig::of(&file) };
        assert!(
            said(&FacesConfig { recogniser: Some(unlike), ..config.clone() }).contains("same_person is 1")
        );
        config.judge = Some(RecogniserConfig { scale: 0.0, ..RecogniserConfig::of(&file) });
        assert!(said(&config).starts_with("faces.judge: scale is 0"));
        let limits = FaceLimits { min_likeness: 7.0, ..FaceLimits::default() };
        assert!(said(&FacesConfig { limits, ..FacesConfig::default() }).contains("min_likeness is 7"));
        let limits = FaceLimits { min_photos: 2, ..FaceLimits::default() };
        let few = FacesConfig { limits, ..FacesConfig::default() };
        assert_eq!(said(&few), "faces.limits: min_photos is 2: give 3 to 64");
        assert!(said(&FacesConfig { detector_side: 3, ..FacesConfig::default() }).contains("side is 3"));
    }
}
