//! A face turned and scaled so that eyes, nose and mouth lie where recognisers expect them.
//!
//! The template is ArcFace's, for 112 x 112 pixels (Deng et al. 2019; insightface's `face_align.py`, OpenCV's
//! `FaceRecognizerSF::alignCrop`). The transform is the least-squares similarity of Umeyama 1991; pixels are sampled
//! bilinearly, black outside the picture. Where a face is more than twice as large as the chip, the photo is shrunk by
//! area averaging first: sampling alone would skip pixels.

mod similarity;
mod warp;

use crate::error::FaceError;
use crate::face::{FivePoints, Point};
use crate::intake::RgbPixels;

use similarity::Similarity;

/// The sides of a chip as recognisers take it.
pub const CHIP_SIDE: u32 = 112;

/// Left eye, right eye, nose, left and right corner of the mouth in a chip of 112 x 112 pixels.
pub const TEMPLATE: [Point; 5] = [
    Point::new(38.2946, 51.6963),
    Point::new(73.5318, 51.5014),
    Point::new(56.0252, 71.7366),
    Point::new(41.5493, 92.3655),
    Point::new(70.7299, 92.2041),
];

/// The face in 112 x 112 pixels, as recognisers take it. `None` where the five points are one.
///
/// # Errors
/// [`FaceError::Picture`] where the pixels are not those of a picture.
pub fn aligned(picture: &RgbPixels, points: &FivePoints) -> Result<Option<RgbPixels>, FaceError> {
    aligned_at(picture, points, CHIP_SIDE)
}

/// The same in `side` x `side` pixels, the template scaled with it.
pub(crate) fn aligned_at(
    picture: &RgbPixels,
    points: &FivePoints,
    side: u32,
) -> Result<Option<RgbPixels>, FaceError> {
    let view = picture.view()?;
    let factor = side as f32 / CHIP_SIDE as f32;
    // Places are those of pixels' centres: the corner of the first pixel stays where it is.
    let template =
        TEMPLATE.map(|point| Point::new((point.x + 0.5) * factor - 0.5, (point.y + 0.5) * factor - 0.5));
    // Fitted in the template, as the networks were trained, and turned round: the other way the sizes differ.
    let to_chip = Similarity::fitting(&points.to_array(), &template);
    let to_photo = to_chip.and_then(Similarity::inverse);
    Ok(to_photo.map(|to_photo| warp::warp(&view, to_photo, side)))
}

/// Pixels of the picture that one pixel of a 112 x 112 chip covers, along a side.
pub(crate) fn pixels_per_chip_pixel(points: &FivePoints) -> f32 {
    let to_chip = Similarity::fitting(&points.to_array(), &TEMPLATE);
    to_chip.and_then(Similarity::inverse).map_or(0.0, Similarity::factor)
}
