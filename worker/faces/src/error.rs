//! What can be wrong with a network, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// What a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkRole {
    /// Finds faces in a picture.
    Detector,
    /// Says how alike two faces are.
    Recogniser,
}

impl NetworkRole {
    /// A file that may be given.
    fn example(self) -> &'static str {
        match self {
            Self::Detector => "face_detection_yunet_2023mar.onnx of the OpenCV Zoo",
            Self::Recogniser => "face_recognition_sface_2021dec.onnx of the OpenCV Zoo",
        }
    }
}

impl fmt::Display for NetworkRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Detector => "face detector",
            Self::Recogniser => "face recogniser",
        })
    }
}

/// A network that cannot be used, or failed.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// No such file, or no right to read it.
    #[error("the {role} {} cannot be read: {source}; name an ONNX file, such as {}", path.display(), role.example())]
    Unreadable {
        /// What it is for.
        role: NetworkRole,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is something else, damaged, or has an operator that the runtime does not know.
    #[error("the {role} {} is not an ONNX file that can be run: {reason}; give {}", path.display(), role.example())]
    NotOnnx {
        /// What it is for.
        role: NetworkRole,
        /// The file.
        path: PathBuf,
        /// What the runtime says.
        reason: String,
    },
    /// The network takes or gives something else than its role asks for.
    #[error("the {role} {} has {found}, but {wanted} is needed; give {}", path.display(), role.example())]
    WrongShape {
        /// What it is for.
        role: NetworkRole,
        /// The file.
        path: PathBuf,
        /// What the network has.
        found: String,
        /// What it should have.
        wanted: &'static str,
    },
    /// It loaded, and failed on a picture.
    #[error("the {role} {} failed: {reason}; check that file and options belong together", path.display())]
    Failed {
        /// What it is for.
        role: NetworkRole,
        /// The file.
        path: PathBuf,
        /// What the runtime says.
        reason: String,
    },
    /// The caller's pixels are not `width * height * 3` bytes.
    #[error("a picture of {width} x {height} pixels comes with {bytes} bytes instead of 3 a pixel")]
    Picture {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// What came.
        bytes: usize,
    },
    /// An option out of its range.
    #[error("{name} is {value}: give {rule}")]
    Option {
        /// Which option.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        rule: &'static str,
    },
}
