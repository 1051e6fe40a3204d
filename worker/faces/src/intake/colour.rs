//! Colours to sRGB, transparency over grey.
//!
//! The ICC profile is applied with `moxcms` (the colour management that the `image` crate itself uses),
//! relative colorimetric, on eight bits. A profile that cannot be read, or that is not for RGB or grey
//! (CMYK files are turned into RGB by the decoder, without their profile), counts as sRGB.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::RgbPixels;

/// What shows through transparent pixels: middle grey favours neither light nor dark hair.
const GREY: u8 = 128;

pub(super) fn to_srgb(image: DynamicImage, profile: Option<&[u8]>) -> RgbPixels {
    let (width, height) = (image.width(), image.height());
    let profile = profile.and_then(|bytes| ColorProfile::new_from_slice(bytes).ok());
    let profile = profile.as_ref();
    let pixels = if image.color().has_alpha() {
        // Also grey with transparency: its profile, a rarity, would be one for grey and is left out.
        let rgba = image.into_rgba8().into_raw();
        let rgba =
            transformed(&rgba, profile, DataColorSpace::Rgb, Layout::Rgba, Layout::Rgba).unwrap_or(rgba);
        rgba.as_chunks::<4>().0.iter().flat_map(over_grey).collect()
    } else if image.color().has_color() {
        let rgb = image.into_rgb8().into_raw();
        transformed(&rgb, profile, DataColorSpace::Rgb, Layout::Rgb, Layout::Rgb).unwrap_or(rgb)
    } else {
        let grey = image.into_luma8().into_raw();
        transformed(&grey, profile, DataColorSpace::Gray, Layout::Gray, Layout::Rgb)
            .unwrap_or_else(|| grey.iter().flat_map(|value| [*value; 3]).collect())
    };
    RgbPixels { width, height, pixels }
}

/// The pixels in sRGB; `None` where there is no profile, or one that does not fit these pixels.
fn transformed(
    pixels: &[u8],
    profile: Option<&ColorProfile>,
    space: DataColorSpace,
    from: Layout,
    to: Layout,
) -> Option<Vec<u8>> {
    let profile = profile.filter(|profile| profile.color_space == space)?;
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(from, &srgb, to, TransformOptions::default()).ok()?;
    let mut converted = vec![0; pixels.len() / from.channels() * to.channels()];
    transform.transform(pixels, &mut converted).ok()?;
    Some(converted)
}

fn over_grey(&[red, green, blue, alpha]: &[u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    [red, green, blue].map(|value| {
        let sum = u32::from(value) * alpha + u32::from(GREY) * (255 - alpha);
        ((sum + 127) / 255) as u8
    })
}
