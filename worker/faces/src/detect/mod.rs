//! Finding faces: a network of YuNet's form.
//!
//! The picture is scaled down so that its longer side is at most [`DetectorOptions::side`], never up, and padded
//! with black on the right and below to sides that the network takes: multiples of 32, or the sides that the file
//! fixes. The network sees blue, green, red in 0..=255. What its heads say is read by `heads`; overlapping finds
//! of one face are reduced to the surest by `suppression`. YuNet knows faces of about 10 to 300 pixels, so a picture
//! without any find is looked at once more at half the size: there a face that fills it is small enough.
//!
//! Source: Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023; the arithmetic of
//! libfacedetection.train and OpenCV's `FaceDetectorYN`.

mod heads;
mod input;
mod options;
mod suppression;

use std::path::Path;

use self::heads::Heads;
use self::input::{Fitted, TakenSides};
use crate::error::{FaceError, NetworkRole};
use crate::face::Face;
use crate::intake::RgbPixels;
use crate::network::Network;

pub use options::DetectorOptions;

/// A loaded detector. Cheap to share: it may be used from several threads at once.
#[derive(Debug)]
pub struct Detector {
    network: Network,
    heads: Heads,
    sides: TakenSides,
    options: DetectorOptions,
}

impl Detector {
    /// Reads an ONNX file: one input of batch x 3 x height x width in f32; twelve outputs named `cls_8`, `obj_8`, `bbox_8`, `kps_8`
    /// and so on for the strides 8, 16 and 32.
    ///
    /// # Errors
    /// [`FaceError`] where the file or an option cannot be used; the message says what to give instead.
    pub fn load(path: &Path, options: DetectorOptions) -> Result<Self, FaceError> {
        options.validate()?;
        let network = Network::load(path, NetworkRole::Detector)?;
        let heads = Heads::of(&network)?;
        let sides = TakenSides::of(&network)?;
        Ok(Self { network, heads, sides, options })
    }

    /// All faces of a picture, the largest first; in pixels of that picture. An empty list where there are none.
    ///
    /// # Errors
    /// [`FaceError::Failed`] where the network fails, [`FaceError::Picture`] where the pixels are not those of a picture.
    pub fn detect(&self, picture: &RgbPixels) -> Result<Vec<Face>, FaceError> {
        let faces = self.detect_at(picture, self.options.side)?;
        if !faces.is_empty() {
            return Ok(faces);
        }
        let seen = picture.width.max(picture.height).min(self.options.side);
        self.detect_at(picture, (seen / 2).max(1))
    }

    /// SHA-256 of the network's file.
    pub fn digest(&self) -> [u8; 32] {
        self.network.digest()
    }

    /// How it looks for faces.
    pub fn options(&self) -> &DetectorOptions {
        &self.options
    }

    fn detect_at(&self, picture: &RgbPixels, side: u32) -> Result<Vec<Face>, FaceError> {
        let fitted = Fitted::new(picture, side, self.sides)?;
        let (height, width) = (fitted.height, fitted.width);
        let outputs = self.network.run([1, 3, height, width], fitted.planes, self.heads.outputs())?;
        let found = self.heads.read(&self.network, &outputs, (width, height), self.options.score)?;
        let mut faces = suppression::surest(found, self.options.overlap);
        for face in &mut faces {
            face.points = face.points.map(|point| fitted.scale.to_picture(point));
            face.bounds = fitted.scale.bounds_to_picture(face.bounds);
        }
        faces.sort_by(|a, b| b.bounds.area().total_cmp(&a.bounds.area()));
        Ok(faces)
    }
}
