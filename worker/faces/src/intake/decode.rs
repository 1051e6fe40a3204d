//! From a file's bytes to upright sRGB pixels.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use sha2::{Digest, Sha256};

use super::colour::to_srgb;
use super::cut_off::is_cut_off;
use super::{Photo, PhotoLimits, PhotoRefused, RefusalCode, RgbPixels};

/// Reads one photo.
///
/// # Errors
/// [`PhotoRefused`] with `unsupported_format`, `too_large` or `corrupt`.
pub fn read_photo(bytes: &[u8], limits: &PhotoLimits) -> Result<Photo, PhotoRefused> {
    if bytes.is_empty() {
        return Err(PhotoRefused::new(
            RefusalCode::Corrupt,
            "the photo is empty",
            "choose the file again and upload it anew",
        ));
    }
    if bytes.len() > limits.max_bytes {
        let (have, limit) = (megabytes(bytes.len()), megabytes(limits.max_bytes));
        return Err(PhotoRefused::new(
            RefusalCode::TooLarge,
            format!("the photo has {have:.1} MB and at most {limit:.1} MB are taken"),
            "send a smaller copy: about 2000 pixels on the longer side are plenty",
        ));
    }
    let format = known_format(bytes)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allocation = Limits::no_limits();
    allocation.max_alloc = Some(limits.max_alloc);
    reader.limits(allocation.clone());
    let mut decoder = reader.into_decoder().map_err(|error| refusal(&error))?;
    let (width, height) = decoder.dimensions();
    check_sides(width, height, limits)?;
    let left = limits.max_alloc.checked_sub(decoder.total_bytes()).ok_or_else(too_much_memory)?;
    allocation.max_alloc = Some(left);
    decoder.set_limits(allocation).map_err(|error| refusal(&error))?;
    // Both are read before the pixels, because decoding consumes the decoder. A broken profile or
    // orientation is no reason to refuse the photo.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    if format == ImageFormat::Jpeg && is_cut_off(bytes) {
        return Err(corrupt("the photo is cut off: the file ends before its picture does"));
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| refusal(&error))?;
    image.apply_orientation(orientation);
    let picture = to_srgb(image, profile.as_deref());
    let digest = digest(&picture);
    Ok(Photo { picture, digest })
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn digest(picture: &RgbPixels) -> [u8; 32] {
    Sha256::new()
        .chain_update(picture.width.to_le_bytes())
        .chain_update(picture.height.to_le_bytes())
        .chain_update(&picture.pixels)
        .finalize()
        .into()
}

fn check_sides(width: u32, height: u32, limits: &PhotoLimits) -> Result<(), PhotoRefused> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(corrupt("the photo says that it has no pixels"));
    }
    if pixels > limits.max_pixels {
        return Err(PhotoRefused::new(
            RefusalCode::TooLarge,
            format!(
                "the photo has {width} x {height} pixels and at most {} in all are taken",
                limits.max_pixels
            ),
            "send a smaller copy: about 2000 pixels on the longer side are plenty",
        ));
    }
    let ratio = f64::from(width.max(height)) / f64::from(width.min(height));
    if ratio > limits.max_ratio {
        return Err(PhotoRefused::new(
            RefusalCode::TooLarge,
            format!(
                "the photo has {width} x {height} pixels: one side is more than {} times the other",
                limits.max_ratio
            ),
            "cut it to the person, best to a square around head and shoulders",
        ));
    }
    Ok(())
}

fn known_format(bytes: &[u8]) -> Result<ImageFormat, PhotoRefused> {
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) => Ok(format),
        _ => {
            let kind = foreign_name(bytes);
            Err(PhotoRefused::new(
                RefusalCode::UnsupportedFormat,
                format!("the file is {kind}, not a JPEG, PNG or WebP picture"),
                "save the photo as JPEG and send that",
            ))
        }
    }
}

/// What people send instead.
fn foreign_name(bytes: &[u8]) -> &'static str {
    let brand = bytes.get(4..12).unwrap_or_default();
    match bytes {
        [b'G', b'I', b'F', b'8', ..] => "a GIF",
        [b'B', b'M', ..] => "a BMP",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "a TIFF or raw photo",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [b'P', b'K', 3, 4, ..] => "a zip",
        _ => match brand {
            b"ftypmif1" | b"ftypmsf1" | [b'f', b't', b'y', b'p', b'h', b'e', ..] => {
                "a HEIC photo, as iPhones make them"
            }
            b"ftypavif" | b"ftypavis" => "an AVIF",
            [b'f', b't', b'y', b'p', ..] => "a video",
            _ => "of an unknown kind",
        },
    }
}

fn corrupt(sentence: impl Into<String>) -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::Corrupt,
        sentence,
        "open it in a photo program, save it as JPEG and send that",
    )
}

fn too_much_memory() -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::TooLarge,
        "the photo takes more memory than is allowed",
        "send a smaller copy: about 2000 pixels on the longer side are plenty",
    )
}

fn refusal(error: &ImageError) -> PhotoRefused {
    match error {
        ImageError::Limits(_) => too_much_memory(),
        ImageError::Unsupported(_) => PhotoRefused::new(
            RefusalCode::UnsupportedFormat,
            format!("the photo is of a rare kind that cannot be read ({error})"),
            "save the photo as an ordinary JPEG and send that",
        ),
        _ => corrupt(format!("the photo is damaged or cut off ({error})")),
    }
}
