//! Photos as people send them, and files as attackers send them.

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder};
use moxcms::ColorProfile;
use proptest::prelude::*;

use super::*;

fn limits() -> PhotoLimits {
    PhotoLimits::default()
}

/// A picture without symmetry: red rises to the right, green downwards.
fn gradient(width: u32, height: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| [(x * 255 / width.max(1)) as u8, (y * 255 / height.max(1)) as u8, 40];
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()
}

fn png(
    width: u32,
    height: u32,
    pixels: &[u8],
    colour: ExtendedColorType,
    profile: Option<Vec<u8>>,
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = PngEncoder::new(&mut file);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).unwrap();
    }
    encoder.write_image(pixels, width, height, colour).unwrap();
    file
}

fn rgb_png(width: u32, height: u32) -> Vec<u8> {
    png(width, height, &gradient(width, height), ExtendedColorType::Rgb8, None)
}

fn jpeg(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 95)
        .write_image(pixels, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    file
}

/// Puts an EXIF block with an orientation behind the start of a JPEG.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.push(orientation);
    exif.extend([0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

fn code(result: Result<Photo, PhotoRefused>) -> RefusalCode {
    let refused = result.unwrap_err();
    assert!(!refused.sentence.is_empty() && !refused.hint.is_empty());
    refused.code
}

#[test]
fn the_three_formats_are_read() {
    let pixels = gradient(40, 30);
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp).write_image(&pixels, 40, 30, ExtendedColorType::Rgb8).unwrap();
    for file in [rgb_png(40, 30), webp] {
        let photo = read_photo(&file, &limits()).unwrap();
        assert_eq!(photo.picture(), &RgbPixels { width: 40, height: 30, pixels: pixels.clone() });
    }
    let photo = read_photo(&jpeg(40, 30, &pixels), &limits()).unwrap();
    let differs = photo.picture().pixels.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(differs < Some(16), "{differs:?}");
}

#[test]
fn the_orientation_is_applied_and_nothing_else_of_exif_remains() {
    let pixels = gradient(40, 20);
    let file = jpeg(40, 20, &pixels);
    let upright = read_photo(&with_orientation(&file, 1), &limits()).unwrap();
    assert_eq!(upright, read_photo(&file, &limits()).unwrap());
    // 6: the camera was turned; the stored top is the right side.
    let turned = read_photo(&with_orientation(&file, 6), &limits()).unwrap();
    let picture = turned.picture();
    assert_eq!((picture.width, picture.height), (20, 40));
    let stored = upright.picture();
    for (x, y) in [(0, 0), (19, 0), (0, 39), (19, 39), (7, 23)] {
        let there = (y * 20 + x) * 3;
        // Turned by a quarter clockwise: (x, y) comes from (y, 19 - x).
        let here = ((19 - x) * 40 + y) * 3;
        assert_eq!(picture.pixels[there..there + 3], stored.pixels[here..here + 3], "{x} {y}");
    }
    // Nonsense counts as upright.
    assert_eq!(read_photo(&with_orientation(&file, 77), &limits()).unwrap(), upright);
}

/// Display P3 to sRGB by the published matrices, through linear light.
fn p3_to_srgb(pixel: [u8; 3]) -> [u8; 3] {
    let linear = pixel.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let rows = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]];
    rows.map(|row| {
        let value = row.iter().zip(linear).map(|(factor, value)| factor * value).sum::<f64>().clamp(0.0, 1.0);
        let encoded =
            if value <= 0.003_130_8 { 12.92 * value } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    })
}

#[test]
fn a_wide_gamut_profile_is_brought_to_srgb() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    for colour in [[200, 100, 50], [60, 180, 90], [128, 128, 128], [30, 60, 200]] {
        let pixels = colour.repeat(16);
        let file = png(4, 4, &pixels, ExtendedColorType::Rgb8, Some(profile.clone()));
        let photo = read_photo(&file, &limits()).unwrap();
        let expected = p3_to_srgb(colour);
        for (found, expected) in photo.picture().pixels[..3].iter().zip(expected) {
            assert!(
                found.abs_diff(expected) <= 2,
                "{colour:?} {:?} {expected:?}",
                &photo.picture().pixels[..3]
            );
        }
    }
    let srgb = png(4, 4, &[200, 100, 50].repeat(16), ExtendedColorType::Rgb8, None);
    assert_eq!(read_photo(&srgb, &limits()).unwrap().picture().pixels[..3], [200, 100, 50]);
    let broken = png(4, 4, &[200, 100, 50].repeat(16), ExtendedColorType::Rgb8, Some(vec![1; 200]));
    assert_eq!(read_photo(&broken, &limits()).unwrap().picture().pixels[..3], [200, 100, 50]);
}

#[test]
fn transparency_shows_grey_and_grey_photos_become_rgb() {
    let pixels = [[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128], [255, 255, 255, 128]].concat();
    let photo = read_photo(&png(4, 1, &pixels, ExtendedColorType::Rgba8, None), &limits()).unwrap();
    assert_eq!(photo.picture().pixels, [255, 0, 0, 128, 128, 128, 64, 64, 64, 192, 192, 192]);
    let photo = read_photo(&png(2, 1, &[10, 250], ExtendedColorType::L8, None), &limits()).unwrap();
    assert_eq!(photo.picture().pixels, [10, 10, 10, 250, 250, 250]);
    let deep: Vec<u8> = [0u16, 32_896, 65_535].iter().flat_map(|value| value.to_ne_bytes()).collect();
    let photo = read_photo(&png(1, 1, &deep, ExtendedColorType::Rgb16, None), &limits()).unwrap();
    assert_eq!(photo.picture().pixels, [0, 128, 255]);
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    for (bytes, kind) in [
        (&b"GIF89a......"[..], "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"%PDF-1.7", "PDF"),
        (b"hello, world", "unknown"),
        (b"x", "unknown"),
    ] {
        let refused = read_photo(bytes, &limits()).unwrap_err();
        assert_eq!(refused.code, RefusalCode::UnsupportedFormat);
        assert!(refused.sentence.contains(kind), "{}", refused.sentence);
    }
    let empty = read_photo(&[], &limits()).unwrap_err();
    assert_eq!(empty.code, RefusalCode::Corrupt);
    assert!(empty.sentence.contains("empty"));
}

#[test]
fn limits_are_checked_before_pixels_are_made() {
    let strict = PhotoLimits { max_bytes: 100, ..limits() };
    assert_eq!(code(read_photo(&[0; 101], &strict)), RefusalCode::TooLarge);
    let strict = PhotoLimits { max_pixels: 99, ..limits() };
    assert_eq!(code(read_photo(&rgb_png(10, 10), &strict)), RefusalCode::TooLarge);
    assert!(read_photo(&rgb_png(9, 11), &strict).is_ok());
    assert_eq!(code(read_photo(&rgb_png(50, 10), &limits())), RefusalCode::TooLarge);
    assert!(read_photo(&rgb_png(40, 10), &limits()).is_ok());
    let strict = PhotoLimits { max_alloc: 1000, ..limits() };
    assert_eq!(code(read_photo(&rgb_png(40, 40), &strict)), RefusalCode::TooLarge);
}

/// Headers that promise billions of pixels over a few bytes of data.
#[test]
fn giant_headers_are_refused_at_once() {
    let mut giant_png = rgb_png(8, 8);
    giant_png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    giant_png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc32(&giant_png[12..29]).to_be_bytes();
    giant_png[29..33].copy_from_slice(&crc);
    assert_eq!(code(read_photo(&giant_png, &limits())), RefusalCode::TooLarge);
    giant_png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let crc = crc32(&giant_png[12..29]).to_be_bytes();
    giant_png[29..33].copy_from_slice(&crc);
    assert!(read_photo(&giant_png, &limits()).is_err());

    let mut giant_jpeg = jpeg(8, 8, &gradient(8, 8));
    let frame = giant_jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    giant_jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(code(read_photo(&giant_jpeg, &limits())), RefusalCode::TooLarge);

    let mut giant_webp = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    giant_webp.extend([0xff, 0x3f, 0, 0xff, 0x3f, 0]);
    giant_webp.extend(b"VP8L\x04\0\0\0\0\0\0\0");
    assert!(read_photo(&giant_webp, &limits()).is_err());
}

/// CRC-32 of PNG, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn a_file_that_is_cut_off_is_corrupt() {
    let (png, plain) = (rgb_png(64, 64), jpeg(64, 64, &gradient(64, 64)));
    assert_eq!(code(read_photo(&png[..png.len() / 20], &limits())), RefusalCode::Corrupt);
    assert_eq!(code(read_photo(&png[..png.len() / 2], &limits())), RefusalCode::Corrupt);
    // The whole preview in the header of the second does not make up for what is missing behind it.
    let preview = [&[0xff, 0xe1], &(plain.len() as u16 + 2).to_be_bytes()[..], &plain].concat();
    for file in [plain.clone(), [&plain[..2], &preview, &plain[2..]].concat()] {
        for length in (20..file.len()).step_by(7).chain([file.len() - 2, file.len() - 1]) {
            let cut = read_photo(&file[..length], &limits());
            assert_eq!(code(cut), RefusalCode::Corrupt, "{length} of {} bytes", file.len());
        }
        assert!(read_photo(&file, &limits()).is_ok());
        assert!(read_photo(&[&file[..], b"a short film"].concat(), &limits()).is_ok());
    }
}

#[test]
fn a_square_is_the_centre_of_the_photo() {
    let photo = read_photo(&rgb_png(60, 40), &limits()).unwrap();
    let square = photo.square(40);
    assert_eq!((square.width, square.height), (40, 40));
    let whole = &photo.picture().pixels;
    for y in 0..40usize {
        let (here, there) = (y * 40 * 3, (y * 60 + 10) * 3);
        assert_eq!(square.pixels[here..here + 120], whole[there..there + 120], "row {y}");
    }
    for size in [1, 7, 20, 64, 100] {
        let square = photo.square(size);
        assert_eq!(square.pixels.len(), (size * size * 3) as usize);
        // No black corners: the blue of the gradient is 40 everywhere.
        assert!(square.pixels.chunks(3).all(|pixel| pixel[2].abs_diff(40) <= 1), "{size}");
    }
    assert_eq!(photo.square(0).pixels.len(), 3);
}

#[test]
fn a_crop_is_the_centre_in_the_shape_asked_for() {
    let photo = read_photo(&rgb_png(60, 40), &limits()).unwrap();
    let whole = &photo.picture().pixels;
    assert_eq!(&photo.cropped(60, 40).pixels, whole, "a photo of the size asked for is taken as it is");
    let upright = photo.cropped(20, 40);
    assert_eq!((upright.width, upright.height), (20, 40));
    for y in 0..40usize {
        let (here, there) = (y * 20 * 3, (y * 60 + 20) * 3);
        assert_eq!(upright.pixels[here..here + 60], whole[there..there + 60], "row {y}");
    }
    let lying = photo.cropped(60, 10);
    assert_eq!(lying.pixels, whole[15 * 180..25 * 180]);
    for (width, height) in [(1, 1), (120, 80), (7, 3), (30, 200), (0, 5)] {
        let crop = photo.cropped(width, height);
        assert_eq!((crop.width, crop.height), (width.max(1), height.max(1)));
        assert_eq!(crop.pixels.len(), (crop.width * crop.height * 3) as usize);
        assert!(crop.pixels.chunks(3).all(|pixel| pixel[2].abs_diff(40) <= 1), "{width}x{height}");
    }
}

#[test]
fn shrinking_does_not_alias() {
    let stripes: Vec<u8> = (0..64 * 64).flat_map(|index| [if index % 2 == 0 { 0 } else { 255 }; 3]).collect();
    let photo = read_photo(&png(64, 64, &stripes, ExtendedColorType::Rgb8, None), &limits()).unwrap();
    let inner = photo.square(16);
    let middle = &inner.pixels[(8 * 16 + 8) * 3..][..3];
    assert!(middle.iter().all(|value| value.abs_diff(128) <= 3), "{middle:?}");
}

#[test]
fn a_set_needs_enough_photos_and_no_two_the_same() {
    let files: Vec<Vec<u8>> = (10..14).map(|size| rgb_png(size, 10)).collect();
    assert_eq!(PhotoSet::read(&files, &limits()).unwrap().photos().len(), 4);
    let few = PhotoSet::read(&files[..2], &limits()).unwrap_err();
    assert_eq!((few[0].code, few[0].index), (RefusalCode::TooFew, None));
    assert!(few[0].sentence.starts_with("2 "), "{}", few[0].sentence);

    // The same pixels in another file: a duplicate, though the bytes differ.
    let again = png(11, 10, &gradient(11, 10), ExtendedColorType::Rgb8, Some(vec![0; 140]));
    let mut files = files;
    files.push(again);
    files.push(b"hello".to_vec());
    let refused = PhotoSet::read(&files, &limits()).unwrap_err();
    let found: Vec<_> = refused.iter().map(|refusal| (refusal.code.as_str(), refusal.index)).collect();
    assert_eq!(found, [("duplicate", Some(4)), ("unsupported_format", Some(5))]);
    assert!(refused[0].sentence.contains("photo 5") && refused[0].sentence.contains("photo 2"));

    let photos = vec![read_photo(&files[0], &limits()).unwrap(); 3];
    let refused = PhotoSet::new(photos, &limits()).unwrap_err();
    assert_eq!(refused.iter().filter(|refusal| refusal.code == RefusalCode::Duplicate).count(), 2);
    assert_eq!(refused.last().unwrap().code, RefusalCode::TooFew);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        start in prop::sample::select(vec![
            &b""[..], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP", b"RIFF\x40\0\0\0WEBPVP8 ", b"RIFF\x40\0\0\0WEBPVP8L",
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = read_photo(&[start, &rest].concat(), &limits());
    }

    #[test]
    fn damage_anywhere_never_panics(
        which in 0..3usize,
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = match which {
            0 => rgb_png(9, 7),
            1 => with_orientation(&jpeg(9, 7, &gradient(9, 7)), 3),
            _ => {
                let mut webp = Vec::new();
                WebPEncoder::new_lossless(&mut webp)
                    .write_image(&gradient(9, 7), 9, 7, ExtendedColorType::Rgb8)
                    .unwrap();
                webp
            }
        };
        for (place, value) in places {
            let place = place.index(file.len());
            file[place] = value;
        }
        let strict = PhotoLimits { max_pixels: 1_000_000, ..limits() };
        let _ = read_photo(&file, &strict);
        let _ = read_photo(&file[..cut.index(file.len())], &strict);
    }
}
