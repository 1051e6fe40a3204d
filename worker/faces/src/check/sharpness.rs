//! Whether a face is in focus.
//!
//! The measure of Crété, Dolmiere, Ladret and Nicolas 2007 ("The blur effect"): a picture is blurred along each axis, and what that
//! takes of the differences between neighbours is compared with what there was. A sharp picture loses most of them, a
//! blurred one hardly any. It asks neither for a sharp picture to compare with, nor for a certain contrast.

use image::imageops;

use super::luma::luma;
use crate::error::FaceError;
use crate::intake::RgbPixels;

/// Width of the blur, in pixels.
const TAPS: usize = 9;

/// 0 = every edge is washed out, 1 = as sharp as pixels can be. A plain picture, which has no edges at all, is 0.
///
/// The least of three sizes: what is blurred over many pixels has none but the steps of rounding left between neighbours, and those
/// are sharp. In half and a quarter of the size its true slopes are seen.
pub(super) fn sharpness(picture: &RgbPixels) -> Result<f32, FaceError> {
    let mut least = sharpness_at_size(picture);
    for shrink in [2, 4] {
        let (width, height) = ((picture.width / shrink).max(1), (picture.height / shrink).max(1));
        let pixels = imageops::thumbnail(&picture.view()?, width, height).into_raw();
        least = least.min(sharpness_at_size(&RgbPixels { width, height, pixels }));
    }
    Ok(least)
}

fn sharpness_at_size(picture: &RgbPixels) -> f32 {
    let luma = luma(picture);
    let width = (picture.width as usize).max(1);
    let rows: Vec<Vec<f32>> = luma.chunks_exact(width).map(<[f32]>::to_vec).collect();
    let columns: Vec<Vec<f32>> =
        (0..width).map(|x| luma.iter().skip(x).step_by(width).copied().collect()).collect();
    lost(&rows).min(lost(&columns))
}

/// The part of the differences along the lines that a blur along them takes.
fn lost(lines: &[Vec<f32>]) -> f32 {
    let (mut there, mut taken) = (0.0, 0.0);
    for line in lines {
        let blurred = blurred(line);
        for (sharp, soft) in line.windows(2).zip(blurred.windows(2)) {
            let difference = |pair: &[f32]| pair.iter().copied().reduce(|a, b| b - a).unwrap_or(0.0).abs();
            there += difference(sharp);
            taken += (difference(sharp) - difference(soft)).max(0.0);
        }
    }
    if there > 0.0 { taken / there } else { 0.0 }
}

/// The mean of [`TAPS`] neighbours; edges repeat.
fn blurred(line: &[f32]) -> Vec<f32> {
    let reach = (TAPS / 2) as isize;
    let last = line.len() as isize - 1;
    let at = |index: isize| line.get(index.clamp(0, last.max(0)) as usize).copied().unwrap_or_default();
    let mut sum: f32 = (-reach..=reach).map(at).sum();
    let mut blurred = Vec::with_capacity(line.len());
    for index in 0..line.len() as isize {
        blurred.push(sum / TAPS as f32);
        sum += at(index + reach + 1) - at(index - reach);
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(value: impl Fn(usize, usize) -> u8) -> RgbPixels {
        let pixels = (0..64 * 64).flat_map(|index| [value(index % 64, index / 64); 3]).collect();
        RgbPixels { width: 64, height: 64, pixels }
    }

    #[test]
    fn edges_are_sharp_and_slopes_are_not() {
        let checks = sharpness(&picture(|x, y| if (x / 8 + y / 8) % 2 == 0 { 200 } else { 50 })).unwrap();
        let wave = |place: usize| (place as f32 / 9.0).sin();
        let slopes = sharpness(&picture(|x, y| (128.0 + 60.0 * wave(x) * wave(y)) as u8)).unwrap();
        assert!(checks > 0.6, "{checks}");
        assert!(slopes < 0.3, "{slopes}");
        assert_eq!(sharpness(&picture(|_, _| 77)).unwrap(), 0.0);
        // One axis is enough to be blurred: a hand that shook.
        let moved = sharpness(&picture(|x, y| if y % 16 < 8 { 40 } else { 40 + x as u8 * 3 })).unwrap();
        assert!(moved < 0.3, "{moved}");
    }
}
