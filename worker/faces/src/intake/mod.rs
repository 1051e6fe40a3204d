//! Photo intake: JPEG, PNG and WebP from anyone, without trust.
//!
//! The order: size in bytes, format by the first bytes, width, height and ratio from the header, and only
//! then the decoder, under an allocation limit. Then the EXIF orientation is applied, colours are brought
//! to sRGB by the file's ICC profile, transparency is laid over grey, and everything but pixels is dropped.
//! Animated files give their first frame.
//!
//! What is refused has a [`RefusalCode`], a sentence and a hint.

mod colour;
mod crop;
mod cut_off;
mod decode;
mod limits;
mod refusal;
mod set;
#[cfg(test)]
mod tests;

use image::{ImageBuffer, Rgb};

use crate::error::FaceError;

pub use decode::read_photo;
pub use limits::PhotoLimits;
pub use refusal::{PhotoRefused, RefusalCode};
pub use set::PhotoSet;

/// Eight bits a channel, row by row from the top, three bytes (red, green, blue) a pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbPixels {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

/// The pixels of a picture as the `image` crate takes them, borrowed.
pub(crate) type RgbView<'a> = ImageBuffer<Rgb<u8>, &'a [u8]>;

impl RgbPixels {
    /// The pixels for the `image` crate.
    pub(crate) fn view(&self) -> Result<RgbView<'_>, FaceError> {
        let (width, height, bytes) = (self.width, self.height, self.pixels.len());
        let whole = u64::from(width) * u64::from(height) * 3 == bytes as u64 && bytes > 0;
        let view = ImageBuffer::from_raw(width, height, self.pixels.as_slice());
        view.filter(|_| whole).ok_or(FaceError::Picture { width, height, bytes })
    }
}

impl std::fmt::Debug for RgbPixels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RgbPixels({} x {})", self.width, self.height)
    }
}

/// A photo as the model may see it: upright, sRGB, without transparency, without metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    picture: RgbPixels,
    digest: [u8; 32],
}

impl Photo {
    /// The pixels.
    pub fn picture(&self) -> &RgbPixels {
        &self.picture
    }

    /// SHA-256 of sides and pixels: equal for two files that show exactly the same, whatever their metadata.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}
