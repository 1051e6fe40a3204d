//! A picture as the detector takes it: scaled down, padded, blue before green before red.

use image::imageops;

use crate::error::FaceError;
use crate::face::{Bounds, Point};
use crate::intake::RgbPixels;
use crate::network::Network;

/// The coarsest stride: sides are multiples of it.
const MULTIPLE: usize = 32;

/// The height and the width that the file fixes; `None` = any multiple of 32.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenSides {
    fixed: Option<(usize, usize)>,
}

impl TakenSides {
    pub(super) fn of(network: &Network) -> Result<Self, FaceError> {
        let wanted = "any batch or 1, and sides that are free or both fixed to a multiple of 32";
        match network.input_sides() {
            [None | Some(1), _, None, None] => Ok(Self { fixed: None }),
            [None | Some(1), _, Some(height), Some(width)]
                if height > 0 && width > 0 && height % MULTIPLE == 0 && width % MULTIPLE == 0 =>
            {
                Ok(Self { fixed: Some((height, width)) })
            }
            other => Err(network.wrong_shape(format!("an input of the sides {other:?}"), wanted)),
        }
    }
}

/// How a picture was shrunk, each way by its own factor because both sides are whole numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    x: f32,
    y: f32,
}

impl Scale {
    pub(super) fn to_picture(self, point: Point) -> Point {
        Point::new(point.x * self.x, point.y * self.y)
    }

    pub(super) fn bounds_to_picture(self, bounds: Bounds) -> Bounds {
        Bounds {
            left: bounds.left * self.x,
            top: bounds.top * self.y,
            width: bounds.width * self.x,
            height: bounds.height * self.y,
        }
    }
}

/// A picture in the network's form.
pub(super) struct Fitted {
    /// Blue, green, red: `height * width` values each, 0..=255.
    pub(super) planes: Vec<f32>,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) scale: Scale,
}

impl Fitted {
    pub(super) fn new(picture: &RgbPixels, side: u32, sides: TakenSides) -> Result<Self, FaceError> {
        let view = picture.view()?;
        let (most_high, most_wide) =
            sides.fixed.map_or((side, side), |(high, wide)| (side.min(high as u32), side.min(wide as u32)));
        let (wide, high) = shrunk((picture.width, picture.height), (most_wide, most_high));
        let smaller =
            ((wide, high) != (picture.width, picture.height)).then(|| imageops::thumbnail(&view, wide, high));
        let pixels = smaller.as_ref().map_or(picture.pixels.as_slice(), |smaller| smaller.as_raw());
        let (height, width) = sides.fixed.unwrap_or((padded(high), padded(wide)));
        let scale = Scale { x: ratio(picture.width, wide), y: ratio(picture.height, high) };
        Ok(Self { planes: planes(pixels, wide as usize, (height, width)), height, width, scale })
    }
}

fn ratio(from: u32, to: u32) -> f32 {
    from as f32 / to as f32
}

fn padded(side: u32) -> usize {
    (side as usize).next_multiple_of(MULTIPLE)
}

/// The sides within `most`, in the picture's shape, at least 1 each.
fn shrunk((width, height): (u32, u32), (most_wide, most_high): (u32, u32)) -> (u32, u32) {
    let factor = ratio(most_wide, width).min(ratio(most_high, height)).min(1.0);
    let scaled = |side: u32, most: u32| ((side as f32 * factor).round() as u32).clamp(1, most);
    (scaled(width, most_wide), scaled(height, most_high))
}

fn planes(rgb: &[u8], wide: usize, (height, width): (usize, usize)) -> Vec<f32> {
    let mut planes = vec![0.0; 3 * height * width];
    for (channel, plane) in planes.chunks_exact_mut(height * width).enumerate() {
        for (row, line) in rgb.chunks_exact(wide * 3).zip(plane.chunks_exact_mut(width)) {
            for (pixel, value) in row.as_chunks::<3>().0.iter().zip(line) {
                let [red, green, blue] = *pixel;
                *value = f32::from([blue, green, red][channel]);
            }
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: TakenSides = TakenSides { fixed: None };

    fn picture(width: u32, height: u32) -> RgbPixels {
        RgbPixels { width, height, pixels: [1, 2, 3].repeat((width * height) as usize) }
    }

    #[test]
    fn a_small_picture_is_padded_and_its_colours_turned_round() {
        let fitted = Fitted::new(&picture(2, 1), 640, FREE).unwrap();
        assert_eq!((fitted.width, fitted.height, fitted.planes.len()), (32, 32, 3 * 32 * 32));
        for (plane, value) in fitted.planes.chunks(32 * 32).zip([3.0, 2.0, 1.0]) {
            assert_eq!(plane[..3], [value, value, 0.0]);
            assert!(plane[3..].iter().all(|rest| *rest == 0.0));
        }
    }

    #[test]
    fn a_long_picture_is_scaled_down_and_places_are_scaled_back() {
        let fitted = Fitted::new(&picture(1280, 100), 640, FREE).unwrap();
        assert_eq!((fitted.width, fitted.height), (640, 64));
        assert_eq!(fitted.scale.to_picture(Point::new(320.0, 25.0)), Point::new(640.0, 50.0));
        let thin = Fitted::new(&picture(3000, 1), 640, FREE).unwrap();
        assert_eq!((thin.width, thin.height), (640, 32));
        let fixed = TakenSides { fixed: Some((320, 320)) };
        let fitted = Fitted::new(&picture(100, 640), 640, fixed).unwrap();
        assert_eq!((fitted.width, fitted.height), (320, 320));
        assert_eq!(fitted.scale.to_picture(Point::new(1.0, 1.0)), Point::new(2.0, 2.0));
    }

    #[test]
    fn pixels_that_are_none_are_refused() {
        let torn = RgbPixels { width: 4, height: 4, pixels: vec![0; 47] };
        assert!(matches!(Fitted::new(&torn, 640, FREE), Err(FaceError::Picture { bytes: 47, .. })));
        let none = RgbPixels { width: 0, height: 0, pixels: vec![] };
        assert!(Fitted::new(&none, 640, FREE).is_err());
    }
}
