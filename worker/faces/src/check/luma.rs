//! Brightness of pixels, as the measures of a photo see it.

use crate::intake::RgbPixels;

/// Rec. 601 luma of every pixel, 0..=255.
pub(super) fn luma(picture: &RgbPixels) -> Vec<f32> {
    let luma = |[red, green, blue]: &[u8; 3]| {
        0.299 * f32::from(*red) + 0.587 * f32::from(*green) + 0.114 * f32::from(*blue)
    };
    picture.pixels.as_chunks::<3>().0.iter().map(luma).collect()
}
