//! How light falls on a face.

use super::luma::luma;
use crate::intake::RgbPixels;

/// Brightness of a face, 0..=255 (sRGB luma).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Light {
    /// Half of the face is darker than this.
    pub middle: f32,
    /// A tenth of the face is brighter than this.
    pub highlight: f32,
    /// From where it comes: brightness of the right half over that of both, less a half; 0 = from the front, positive = from the right
    /// of the picture.
    pub from_right: f32,
}

impl Light {
    /// Of an aligned face: the inner part of the chip, without hair and background.
    pub(super) fn of_chip(chip: &RgbPixels) -> Self {
        Self::of(chip, 0.22)
    }

    /// Of a whole picture.
    pub(super) fn of_picture(picture: &RgbPixels) -> Self {
        Self::of(picture, 0.0)
    }

    /// Without a margin, a part of each side.
    fn of(picture: &RgbPixels, margin: f32) -> Self {
        let luma = luma(picture);
        let (width, height) = (picture.width as usize, picture.height as usize);
        let (left, top) = ((width as f32 * margin) as usize, (height as f32 * margin) as usize);
        let inner: Vec<&[f32]> = luma
            .chunks_exact(width.max(1))
            .skip(top)
            .take(height - 2 * top)
            .filter_map(|row| row.get(left..width - left))
            .collect();
        let mut values: Vec<f32> = inner.iter().flat_map(|row| row.iter().copied()).collect();
        values.sort_by(f32::total_cmp);
        let sum = |rows: &mut dyn Iterator<Item = &[f32]>| rows.flatten().sum::<f32>();
        let right = sum(&mut inner.iter().filter_map(|row| row.get(row.len().div_ceil(2)..)));
        let left = sum(&mut inner.iter().filter_map(|row| row.get(..row.len() / 2)));
        let both = (left + right).max(1.0);
        Self {
            middle: quantile(&values, 0.5),
            highlight: quantile(&values, 0.9),
            from_right: right / both - 0.5,
        }
    }
}

fn quantile(sorted: &[f32], part: f32) -> f32 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f32 * part).round() as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_the_side_are_told() {
        let pixels = (0..100).flat_map(|index| [if index % 10 < 5 { 50 } else { 150 }; 3]).collect();
        let light = Light::of_picture(&RgbPixels { width: 10, height: 10, pixels });
        assert_eq!((light.middle, light.highlight), (150.0, 150.0));
        assert!((light.from_right - 0.25).abs() < 1e-4, "{light:?}");
        let one = Light::of_picture(&RgbPixels { width: 1, height: 1, pixels: vec![9; 3] });
        assert!((one.middle - 9.0).abs() < 1e-3);
    }
}
