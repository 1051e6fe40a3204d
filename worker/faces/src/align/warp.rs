//! A square of new pixels, each sampled from where a similarity says.

use image::imageops;
use image::{GenericImageView, Pixel};

use super::similarity::Similarity;
use crate::face::Point;
use crate::intake::{RgbPixels, RgbView};

/// A square of `side` x `side` pixels whose pixel `p` is the picture's at `to_picture(p)`, bilinear, black outside.
pub(super) fn warp(picture: &RgbView<'_>, to_picture: Similarity, side: u32) -> RgbPixels {
    let shrink = to_picture.factor().floor().max(1.0);
    let region = if shrink > 1.0 { Region::around(picture, to_picture, side) } else { None };
    let Some(region) = region else {
        return sample(side, |point| bilinear(picture, to_picture.apply(point)));
    };
    let small = |length: u32| ((length as f32 / shrink).round() as u32).max(1);
    let (wide, high) = (small(region.width), small(region.height));
    let part = picture.view(region.left, region.top, region.width, region.height);
    let shrunk = imageops::thumbnail(&*part, wide, high);
    let (by_x, by_y) = (wide as f32 / region.width as f32, high as f32 / region.height as f32);
    sample(side, |point| {
        let place = to_picture.apply(point);
        let x = (place.x + 0.5 - region.left as f32) * by_x - 0.5;
        let y = (place.y + 0.5 - region.top as f32) * by_y - 0.5;
        bilinear(&shrunk, Point::new(x, y))
    })
}

/// The part of a picture that a warp looks at.
struct Region {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Region {
    /// `None` where the warp looks at nothing of the picture.
    fn around(picture: &RgbView<'_>, to_picture: Similarity, side: u32) -> Option<Self> {
        let far = side as f32;
        let corners =
            [(0.0, 0.0), (far, 0.0), (0.0, far), (far, far)].map(|(x, y)| to_picture.apply(Point::new(x, y)));
        let margin = to_picture.factor() * 2.0;
        let span = |values: [f32; 4], length: u32| {
            let least = values.iter().copied().fold(f32::INFINITY, f32::min) - margin;
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max) + margin;
            let start = least.max(0.0) as u32;
            let end = (most.max(0.0) as u32).min(length);
            (start, end.saturating_sub(start))
        };
        let (left, width) = span(corners.map(|corner| corner.x), picture.width());
        let (top, height) = span(corners.map(|corner| corner.y), picture.height());
        (width > 0 && height > 0).then_some(Self { left, top, width, height })
    }
}

fn sample(side: u32, at: impl Fn(Point) -> [u8; 3]) -> RgbPixels {
    let row = |y: u32| (0..side).map(move |x| Point::new(x as f32, y as f32));
    let pixels = (0..side).flat_map(row).flat_map(at).collect();
    RgbPixels { width: side, height: side, pixels }
}

fn bilinear(picture: &impl GenericImageView<Pixel = image::Rgb<u8>>, place: Point) -> [u8; 3] {
    let (left, top) = (place.x.floor(), place.y.floor());
    let (right_part, lower_part) = (place.x - left, place.y - top);
    let mut sum = [0.0; 3];
    for (dx, part_x) in [(0.0, 1.0 - right_part), (1.0, right_part)] {
        for (dy, part_y) in [(0.0, 1.0 - lower_part), (1.0, lower_part)] {
            let (x, y) = (left + dx, top + dy);
            if x >= 0.0 && y >= 0.0 && x < picture.width() as f32 && y < picture.height() as f32 {
                let pixel = picture.get_pixel(x as u32, y as u32);
                for (sum, value) in sum.iter_mut().zip(pixel.channels()) {
                    *sum += part_x * part_y * f32::from(*value);
                }
            }
        }
    }
    sum.map(|value| value.round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::{TEMPLATE, aligned};
    use crate::face::FivePoints;

    /// Red is x, green is y.
    fn ramp(side: u32) -> RgbPixels {
        let step = (side / 250).max(1);
        let pixel = |x: u32, y: u32| [(x / step) as u8, (y / step) as u8, 9];
        let pixels = (0..side).flat_map(|y| (0..side).flat_map(move |x| pixel(x, y))).collect();
        RgbPixels { width: side, height: side, pixels }
    }

    #[test]
    fn a_face_that_lies_on_the_template_stays_as_it_is() {
        let points = FivePoints::from_array(TEMPLATE);
        let chip = aligned(&ramp(200), &points).unwrap().unwrap();
        for (x, y) in [(0, 0), (111, 0), (50, 70), (111, 111)] {
            let at = (y * 112 + x) * 3;
            assert_eq!(chip.pixels[at..at + 3], [x as u8, y as u8, 9]);
        }
    }

    #[test]
    fn a_large_face_is_averaged_and_lies_where_it_should() {
        // Every pixel of the chip covers 8 of the picture; each colour of the ramp covers 4.
        let scaled =
            TEMPLATE.map(|point| Point::new((point.x + 0.5) * 8.0 - 0.5, (point.y + 0.5) * 8.0 - 0.5));
        let chip = aligned(&ramp(1000), &FivePoints::from_array(scaled)).unwrap().unwrap();
        for (x, y) in [(1usize, 1usize), (100, 3), (50, 70), (110, 110)] {
            let at = (y * 112 + x) * 3;
            let (red, green) = (f32::from(chip.pixels[at]), f32::from(chip.pixels[at + 1]));
            assert!((red - (x as f32 * 2.0 + 0.5)).abs() <= 1.0, "{x} {red}");
            assert!((green - (y as f32 * 2.0 + 0.5)).abs() <= 1.0, "{y} {green}");
        }
    }

    #[test]
    fn outside_is_black_and_far_outside_is_no_trouble() {
        let moved = TEMPLATE.map(|point| Point::new(point.x - 60.0, point.y));
        let chip = aligned(&ramp(112), &FivePoints::from_array(moved)).unwrap().unwrap();
        assert_eq!(chip.pixels[..3], [0, 0, 0]);
        for distance in [1e6, -1e6] {
            let far = TEMPLATE.map(|point| Point::new(point.x * 9.0 + distance, point.y * 9.0));
            let chip = aligned(&ramp(112), &FivePoints::from_array(far)).unwrap().unwrap();
            assert!(chip.pixels.iter().all(|value| *value == 0));
        }
    }
}
