//! Whether two faces are one picture: copies that were saved, scaled, cut or brightened again.

use image::imageops;

use super::luma::luma;
use crate::error::FaceError;
use crate::intake::RgbPixels;

const SIDE: u32 = 28;

/// The brightness of 28 x 28 parts of an aligned face, freed of mean and contrast.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thumbprint(Vec<f32>);

impl Thumbprint {
    pub(super) fn of(chip: &RgbPixels) -> Result<Self, FaceError> {
        let small = imageops::thumbnail(&chip.view()?, SIDE, SIDE).into_raw();
        let mut values = luma(&RgbPixels { width: SIDE, height: SIDE, pixels: small });
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        values.iter_mut().for_each(|value| *value -= mean);
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-3);
        values.iter_mut().for_each(|value| *value /= length);
        Ok(Self(values))
    }

    /// The correlation, -1..=1.
    pub(super) fn likeness(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_and_size_make_no_other_picture() {
        let picture = |side: u32, from: u32, by: u32| {
            let value = |x: u32, y: u32| (from + (x * 28 / side * (y * 28 / side) % 97) * by / 2) as u8;
            let pixels = (0..side).flat_map(|y| (0..side).flat_map(move |x| [value(x, y); 3])).collect();
            Thumbprint::of(&RgbPixels { width: side, height: side, pixels }).unwrap()
        };
        let (one, other) = (picture(56, 10, 2), picture(224, 60, 3));
        assert!(one.likeness(&other) > 0.99, "{}", one.likeness(&other));
        let plain =
            Thumbprint::of(&RgbPixels { width: 64, height: 64, pixels: vec![80; 64 * 64 * 3] }).unwrap();
        assert!(one.likeness(&plain).abs() < 0.1);
    }
}
