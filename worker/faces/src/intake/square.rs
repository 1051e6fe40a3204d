//! The square that the model learns from.

use image::RgbImage;
use image::imageops::{self, FilterType};

use super::{Photo, RgbPixels};

impl Photo {
    /// The largest centred square, resampled to `size` x `size` pixels (at least 1).
    ///
    /// Where an odd pixel is left over, it falls to the right or to the bottom. Shrinking uses Lanczos with
    /// three lobes, widened by the factor so that nothing aliases; enlarging uses Catmull-Rom, which rings
    /// less. Both work on sRGB values as they are, as image editors do. A square of that size is returned as
    /// it is. The crop never leaves the photo, so there are no black corners.
    pub fn square(&self, size: u32) -> RgbPixels {
        let size = size.max(1);
        let RgbPixels { width, height, pixels } = &self.picture;
        let side = (*width).min(*height);
        let (left, top) = ((*width - side) / 2, (*height - side) / 2);
        let rows = pixels.chunks_exact((*width as usize * 3).max(1)).skip(top as usize).take(side as usize);
        let cropped = rows
            .flat_map(|row| row.iter().skip(left as usize * 3).take(side as usize * 3))
            .copied()
            .collect();
        let Some(crop) = RgbImage::from_raw(side, side, cropped) else {
            return self.picture.clone();
        };
        let resized = match size.cmp(&side) {
            std::cmp::Ordering::Equal => crop,
            std::cmp::Ordering::Less => imageops::resize(&crop, size, size, FilterType::Lanczos3),
            std::cmp::Ordering::Greater => imageops::resize(&crop, size, size, FilterType::CatmullRom),
        };
        RgbPixels { width: size, height: size, pixels: resized.into_raw() }
    }
}
