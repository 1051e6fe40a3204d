//! Pictures: from the VAE's numbers to bytes and back, and to PNG files that say how they were made.
//!
//! The rounding is the reference library's (`image / 2 + 0.5`, clamped, times 255, half to even), so equal
//! numbers give equal pixels. Equal pictures and texts give equal PNG bytes under one release.

mod png;
mod round;
#[cfg(test)]
mod tests;

pub use round::{from_rgb8, to_rgb8, to_rgb8_all};

/// A picture of eight bits a channel, row by row from the top, three bytes (red, green, blue) a pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbPicture {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

impl std::fmt::Debug for RgbPicture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RgbPicture({} x {})", self.width, self.height)
    }
}

impl RgbPicture {
    /// A picture of these bytes.
    ///
    /// # Errors
    /// [`PictureError::Size`] where the bytes are not `width * height * 3`, or none.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, PictureError> {
        let picture = Self { width, height, pixels };
        picture.check()?;
        Ok(picture)
    }

    /// As [`RgbPicture::new`], of a picture whose fields were filled one by one.
    ///
    /// # Errors
    /// As [`RgbPicture::new`].
    pub fn check(&self) -> Result<(), PictureError> {
        let Self { width, height, ref pixels } = *self;
        let expected = u64::from(width) * u64::from(height) * 3;
        match expected == 0 || expected != pixels.len() as u64 {
            true => Err(PictureError::Size { width, height, bytes: pixels.len() }),
            false => Ok(()),
        }
    }
}

/// Why a picture could not be made, written or read.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The tensor is not [B, 3, H, W].
    #[error("a picture is made of a tensor [1, 3, height, width], not of {0:?}")]
    Shape([usize; 4]),
    /// The decoder made NaN or infinity.
    #[error(
        "the decoded picture has a number that is not finite; the latents or the weights are broken, or the \
         precision is too low for this model"
    )]
    NotFinite,
    /// The device failed while the tensor was read.
    #[error("cannot read the picture from the device: {0}")]
    Device(String),
    /// Sides and bytes do not fit together.
    #[error("{bytes} bytes are not a picture of {width} x {height} pixels with three bytes each")]
    Size {
        /// The width.
        width: u32,
        /// The height.
        height: u32,
        /// The bytes given.
        bytes: usize,
    },
    /// A text chunk's name that PNG does not allow.
    #[error(
        "{0:?} cannot name a text in a PNG file: 1 to 79 letters of Latin-1 without line breaks are allowed"
    )]
    Keyword(String),
    /// The PNG could not be written.
    #[error("cannot write the PNG file: {0}")]
    Encode(String),
    /// The PNG could not be read.
    #[error("cannot read the PNG file: {0}")]
    Decode(String),
}
