//! Bicubic resampling as Pillow does it (`Image.resize(..., BICUBIC)` of eight-bit pictures, `libImaging/Resample.c`).
//!
//! Columns first, then rows, each in fixed point and rounded to eight bits, so that every byte is the same as Pillow's. CLIP's scores
//! depend on it: a filter that does not widen when it shrinks, or another constant, moves a cosine by hundredths. Only a window of the
//! result is worked out: what a crop drops costs nothing.

use std::ops::Range;

use crate::picture::{PictureError, RgbPicture};

/// Fractional bits of a weight.
const PRECISION: u32 = 22;
/// How far the filter reaches, in pixels of the larger of the two rasters.
const SUPPORT: f64 = 2.0;
/// Bytes of a pixel.
const CHANNELS: usize = 3;

/// The columns and rows `window` of `picture` scaled to `width` and `height` pixels.
///
/// # Errors
/// Where the window is empty or too large for a picture. It lies within the scaled picture.
pub(super) fn scaled_window(
    picture: &RgbPicture,
    [width, height]: [usize; 2],
    [columns, rows]: [Range<usize>; 2],
) -> Result<RgbPicture, PictureError> {
    let [old_width, old_height] = [picture.width as usize, picture.height as usize];
    let across: Vec<Taps> = columns.map(|column| Taps::of(column, old_width, width)).collect();
    let down: Vec<Taps> = rows.map(|row| Taps::of(row, old_height, height)).collect();

    let lines = picture.pixels.chunks_exact(old_width * CHANNELS);
    let narrowed: Vec<u8> = lines
        .flat_map(|line| across.iter().flat_map(|taps| taps.pixel(|at| &line[at * CHANNELS..])))
        .collect();
    let wide = across.len();
    let pixel_of = |taps: &Taps, column: usize| taps.pixel(|at| &narrowed[(at * wide + column) * CHANNELS..]);
    let row_of = |taps| (0..wide).flat_map(|column| pixel_of(taps, column)).collect::<Vec<u8>>();
    let pixels = down.iter().flat_map(row_of).collect();
    let side = |taps: &[Taps]| u32::try_from(taps.len()).unwrap_or(u32::MAX);
    RgbPicture::new(side(&across), side(&down), pixels)
}

/// The pixels that one pixel of the result is made of, along one axis.
struct Taps {
    first: usize,
    /// In units of 2^-[`PRECISION`].
    weights: Vec<i32>,
}

impl Taps {
    /// Of pixel `at` of `new` where there were `old`.
    fn of(at: usize, old: usize, new: usize) -> Self {
        let scale = old as f64 / new as f64;
        let widened = scale.max(1.0);
        let reach = SUPPORT * widened;
        let centre = (at as f64 + 0.5) * scale;
        // Conversions to whole numbers cut off, and below zero give zero.
        let first = (centre - reach + 0.5) as usize;
        let end = ((centre + reach + 0.5) as usize).min(old);
        let narrowing = 1.0 / widened;
        let weights: Vec<f64> =
            (first..end).map(|pixel| cubic((pixel as f64 - centre + 0.5) * narrowing)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1 << PRECISION)).round() as i32;
        Self { first, weights: weights.into_iter().map(fixed).collect() }
    }

    /// The weighted sum of what `source` has at each pixel.
    fn pixel<'p>(&self, source: impl Fn(usize) -> &'p [u8]) -> [u8; CHANNELS] {
        let mut sums = [1_i32 << (PRECISION - 1); CHANNELS];
        for (at, weight) in (self.first..).zip(&self.weights) {
            for (sum, byte) in sums.iter_mut().zip(source(at)) {
                *sum += i32::from(*byte) * weight;
            }
        }
        sums.map(|sum| (sum >> PRECISION).clamp(0, 255) as u8)
    }
}

/// Keys' cubic convolution with a = -1/2.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, values: &[u8]) -> RgbPicture {
        RgbPicture::new(width, height, values.iter().flat_map(|value| [*value; 3]).collect()).unwrap()
    }

    fn scaled(picture: &RgbPicture, width: usize, height: usize) -> Vec<u8> {
        let scaled = scaled_window(picture, [width, height], [0..width, 0..height]).unwrap();
        scaled.pixels.iter().step_by(3).copied().collect()
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = grey(3, 2, &[0, 255, 17, 200, 3, 99]);
        assert_eq!(scaled_window(&picture, [3, 2], [0..3, 0..2]).unwrap(), picture);
    }

    /// Values of Pillow 13.0.0.
    #[test]
    fn bytes_are_pillows() {
        let ramp = grey(8, 1, &[0, 255, 10, 60, 200, 0, 90, 30]);
        assert_eq!(scaled(&ramp, 3, 1), [103, 94, 56]);
        assert_eq!(scaled(&ramp, 11, 2)[..11], [0, 166, 204, 6, 37, 146, 172, 3, 62, 71, 27]);
    }

    #[test]
    fn a_window_is_a_part_of_the_whole() {
        let picture = grey(5, 4, &(0..20).map(|value| value * 12).collect::<Vec<u8>>());
        let whole = scaled(&picture, 7, 9);
        let window = scaled_window(&picture, [7, 9], [2..5, 3..7]).unwrap();
        let expected: Vec<u8> =
            (3..7).flat_map(|row| whole[row * 7 + 2..row * 7 + 5].to_vec()).flat_map(|v| [v; 3]).collect();
        assert_eq!((window.width, window.height, window.pixels), (3, 4, expected));
    }
}
