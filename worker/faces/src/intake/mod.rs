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
