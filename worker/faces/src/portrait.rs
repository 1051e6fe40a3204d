//! The part of a photo that the model learns from: a square around one head.
//!
//! Place and size are those of FFHQ (Karras et al. 2019, `dataset_tool`): its centre a little below the eyes, its side four
//! times the distance of the eyes or 3.6 times that from eyes to mouth, whichever is more, so that hair and chin are
//! in it. Unlike there the square is never turned, and never leaves the photo: near an edge it is moved, and where the
//! photo is smaller than the square, the square shrinks. So no corner is ever invented.

use crate::error::FaceError;
use crate::face::{FivePoints, Point};
use crate::intake::RgbPixels;

/// The square that a head would have if its picture had no edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// Its centre.
    pub centre: Point,
    /// Its sides, in pixels.
    pub side: f32,
}

impl Head {
    /// Of the head with these five points.
    pub fn of(points: &FivePoints) -> Self {
        let eyes = points.left_eye.middle(points.right_eye);
        let mouth = points.left_mouth.middle(points.right_mouth);
        let (between_eyes, to_mouth) = (points.right_eye.minus(points.left_eye), mouth.minus(eyes));
        let side = (between_eyes.length() * 4.0).max(to_mouth.length() * 3.6);
        Self { centre: Point::new(eyes.x + to_mouth.x * 0.1, eyes.y + to_mouth.y * 0.1), side }
    }
}

/// A square of whole pixels within a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Square {
    /// Pixels to the left of it.
    pub left: u32,
    /// Pixels above it.
    pub top: u32,
    /// Its sides.
    pub side: u32,
}

impl Square {
    /// The square around the head with these five points, in a picture of `width` x `height` pixels (at least 1 each); `scale` times
    /// the side of FFHQ's.
    pub fn around(points: &FivePoints, (width, height): (u32, u32), scale: f32) -> Self {
        let Head { centre, side: wanted } = Head::of(points);
        let side = ((wanted * scale).round() as u32).clamp(1, width.min(height).max(1));
        let start = |centre: f32, length: u32| {
            ((centre - side as f32 / 2.0).round().max(0.0) as u32).min(length.saturating_sub(side))
        };
        Self { left: start(centre.x, width), top: start(centre.y, height), side }
    }
}

/// A head in a square of pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Portrait {
    /// The pixels, sRGB.
    pub pixels: RgbPixels,
    /// Where in the photo they come from.
    pub square: Square,
    /// The five points, in pixels of the portrait.
    pub points: FivePoints,
}

impl Portrait {
    /// Cuts the head with these five points, `scale` times FFHQ's square, out of a picture, into `side` x `side` pixels (at least 1). Shrinks by Lanczos, enlarges by
    /// Catmull-Rom; both on sRGB values.
    ///
    /// # Errors
    /// [`FaceError::Picture`] where the pixels are not those of a picture.
    pub fn cut(picture: &RgbPixels, points: &FivePoints, side: u32, scale: f32) -> Result<Self, FaceError> {
        picture.view()?;
        let side = side.max(1);
        let square = Square::around(points, (picture.width, picture.height), scale);
        let pixels = picture.part((square.left, square.top), (square.side, square.side), (side, side));
        let factor = side as f32 / square.side as f32;
        let points = points.map(|point| {
            Point::new(
                (point.x + 0.5 - square.left as f32) * factor - 0.5,
                (point.y + 0.5 - square.top as f32) * factor - 0.5,
            )
        });
        Ok(Self { pixels, square, points })
    }

    /// The head, in pixels of the portrait; larger than it, or not in its middle, where the photo ends too early.
    pub fn head(&self) -> Head {
        Head::of(&self.points)
    }

    /// Whether pixels had to be invented because the head has fewer than the portrait.
    pub fn is_enlarged(&self) -> bool {
        self.square.side < self.pixels.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::TEMPLATE;
    use proptest::prelude::*;

    fn points(x: f32, y: f32, factor: f32) -> FivePoints {
        FivePoints::from_array(TEMPLATE.map(|point| Point::new(x + point.x * factor, y + point.y * factor)))
    }

    #[test]
    fn the_square_is_that_of_ffhq() {
        // Eyes 35.24 pixels apart, mouth 40.69 below them: 3.6 x 40.69 is more than 4 x 35.24.
        let square = Square::around(&points(200.0, 300.0, 1.0), (1000, 1000), 1.0);
        assert_eq!(square, Square { left: 183, top: 283, side: 146 });
    }

    #[test]
    fn more_may_be_wanted_around_the_head() {
        let square = Square::around(&points(200.0, 300.0, 1.0), (1000, 1000), 2.0);
        assert_eq!(square, Square { left: 109, top: 209, side: 293 });
        assert_eq!(
            Square::around(&points(0.0, 0.0, 1.0), (120, 128), 2.0),
            Square { left: 0, top: 0, side: 120 }
        );
    }

    #[test]
    fn it_is_moved_and_shrunk_into_the_picture() {
        assert_eq!(
            Square::around(&points(0.0, 0.0, 1.0), (400, 300), 1.0),
            Square { left: 0, top: 0, side: 146 }
        );
        let corner = Square::around(&points(300.0, 200.0, 1.0), (400, 300), 1.0);
        assert_eq!(corner, Square { left: 254, top: 154, side: 146 });
        assert_eq!(Square::around(&points(0.0, 0.0, 3.0), (400, 300), 1.0).side, 300);
    }

    #[test]
    fn the_points_go_with_the_pixels() {
        let picture = RgbPixels { width: 400, height: 300, pixels: [7, 8, 9].repeat(400 * 300) };
        let portrait = Portrait::cut(&picture, &points(100.0, 90.0, 1.0), 292, 1.0).unwrap();
        assert_eq!((portrait.pixels.width, portrait.pixels.height), (292, 292));
        assert!(portrait.is_enlarged() && portrait.pixels.pixels.iter().all(|value| (7..=9).contains(value)));
        let eye = portrait.points.left_eye;
        let expected = (100.0 + 38.2946 + 0.5 - portrait.square.left as f32) * 2.0 - 0.5;
        assert!((eye.x - expected).abs() < 1e-3, "{eye:?}");
    }

    proptest! {
        #[test]
        fn no_square_leaves_its_picture(
            width in 1..5000u32,
            height in 1..5000u32,
            x in -9000.0..9000.0f32,
            y in -9000.0..9000.0f32,
            factor in 0.0..200.0f32,
        ) {
            let square = Square::around(&points(x, y, factor), (width, height), 1.0);
            prop_assert!(square.side >= 1);
            prop_assert!(square.left + square.side <= width && square.top + square.side <= height, "{square:?}");
        }
    }
}
