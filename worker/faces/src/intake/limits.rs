//! How large a photo may be, and how many there must be.

/// The limits of intake. The defaults take what phones and cameras make.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoLimits {
    /// Bytes of the file.
    pub max_bytes: usize,
    /// Width times height.
    pub max_pixels: u64,
    /// The longer side over the shorter one.
    pub max_ratio: f64,
    /// What the decoder may allocate, in bytes.
    pub max_alloc: u64,
    /// Photos of one person, at least.
    pub min_photos: usize,
}

impl Default for PhotoLimits {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            max_pixels: 64_000_000,
            max_ratio: 4.0,
            max_alloc: 512 << 20,
            min_photos: 3,
        }
    }
}
