//! The part of a photo that the model sees: a centred crop in the shape of a picture, in the picture's size.

use image::RgbImage;
use image::imageops::{self, FilterType};

use super::{Photo, RgbPixels};

impl Photo {
    /// The largest centred square, resampled to `size` x `size` pixels (at least 1), as [`Self::cropped`] does it.
    pub fn square(&self, size: u32) -> RgbPixels {
        self.cropped(size, size)
    }

    /// The largest centred rectangle of the shape `width` to `height` (at least 1 each), to the nearest pixel,
    /// resampled to that size.
    ///
    /// Where an odd pixel is left over, it falls to the right or to the bottom. Shrinking uses Lanczos with
    /// three lobes, widened by the factor so that nothing aliases; enlarging uses Catmull-Rom, which rings
    /// less. Both work on sRGB values as they are, as image editors do. A crop of that size is returned as
    /// it is. The crop never leaves the photo, so there are no black corners.
    pub fn cropped(&self, width: u32, height: u32) -> RgbPixels {
        let (width, height) = (width.max(1), height.max(1));
        let photo = &self.picture;
        let (wide, high) = crop_sides((photo.width, photo.height), (width, height));
        let corner = ((photo.width - wide) / 2, (photo.height - high) / 2);
        photo.part(corner, (wide, high), (width, height))
    }
}

impl RgbPixels {
    /// The part with its top left pixel at `corner` and the sides `(wide, high)`, all within the picture, resampled
    /// to `width` x `height` pixels; by the rules of [`Photo::cropped`].
    pub(crate) fn part(
        &self,
        (left, top): (u32, u32),
        (wide, high): (u32, u32),
        (width, height): (u32, u32),
    ) -> Self {
        let row_bytes = (self.width as usize * 3).max(1);
        let rows = self.pixels.chunks_exact(row_bytes).skip(top as usize).take(high as usize);
        let part = rows
            .flat_map(|row| row.iter().skip(left as usize * 3).take(wide as usize * 3))
            .copied()
            .collect();
        let Some(part) = RgbImage::from_raw(wide, high, part) else {
            return self.clone();
        };
        let resized = if (wide, high) == (width, height) {
            part
        } else if width < wide || height < high {
            imageops::resize(&part, width, height, FilterType::Lanczos3)
        } else {
            imageops::resize(&part, width, height, FilterType::CatmullRom)
        };
        Self { width, height, pixels: resized.into_raw() }
    }
}

/// The sides of the largest rectangle within `photo` that has the shape of `wanted`, to the nearest pixel.
fn crop_sides(photo: (u32, u32), wanted: (u32, u32)) -> (u32, u32) {
    let scaled = |side: u32, by: u32, to: u32| -> u32 {
        let nearest = (u64::from(side) * u64::from(by) + u64::from(to) / 2) / u64::from(to);
        u32::try_from(nearest).unwrap_or(u32::MAX).max(1)
    };
    let wider = u64::from(photo.0) * u64::from(wanted.1) > u64::from(photo.1) * u64::from(wanted.0);
    if wider {
        (scaled(photo.1, wanted.0, wanted.1).min(photo.0), photo.1)
    } else {
        (photo.0, scaled(photo.0, wanted.1, wanted.0).min(photo.1))
    }
}
