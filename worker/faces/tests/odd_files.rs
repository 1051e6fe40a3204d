//! Files as people have them and as attackers make them: each is read, or refused with words that say what to do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Instant;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use likeness_faces::intake::{PhotoLimits, PhotoRefused, PhotoSet, RefusalCode, read_photo};

fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

fn refusal(file: &[u8]) -> PhotoRefused {
    read_photo(file, &PhotoLimits::default()).unwrap_err()
}

/// Red rises to the right, green downwards.
fn gradient(width: u32, height: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| [(x * 255 / width) as u8, (y * 255 / height) as u8, 40];
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()
}

#[test]
fn a_jpeg_for_print_is_read_in_its_colours() {
    let photo = read_photo(&data("cmyk.jpg"), &PhotoLimits::default()).unwrap();
    let picture = photo.picture();
    assert_eq!((picture.width, picture.height), (64, 48));
    let expected: Vec<u8> =
        (0..48u32).flat_map(|y| (0..64u32).flat_map(move |x| [x * 4, y * 5, 40])).map(|v| v as u8).collect();
    let worst = picture.pixels.iter().zip(&expected).map(|(found, expected)| found.abs_diff(*expected)).max();
    assert!(worst < Some(30), "{worst:?}");
}

#[test]
fn an_animation_gives_its_first_frame() {
    let photo = read_photo(&data("animated.webp"), &PhotoLimits::default()).unwrap();
    let picture = photo.picture();
    assert_eq!((picture.width, picture.height), (64, 48));
    assert!(picture.pixels.chunks(3).all(|pixel| pixel == [200, 30, 30]));
}

#[test]
fn sixteen_bits_become_eight() {
    for (colour, channels) in [
        (ExtendedColorType::L16, 1),
        (ExtendedColorType::La16, 2),
        (ExtendedColorType::Rgb16, 3),
        (ExtendedColorType::Rgba16, 4),
    ] {
        let mut file = Vec::new();
        let values: Vec<u8> =
            std::iter::repeat_n(0xc000u16.to_ne_bytes(), 30 * 20 * channels).flatten().collect();
        PngEncoder::new(&mut file).write_image(&values, 30, 20, colour).unwrap();
        let photo = read_photo(&file, &PhotoLimits::default()).unwrap();
        assert_eq!(photo.picture().pixels.len(), 30 * 20 * 3);
        // Three quarters of white, over middle grey where a quarter shows through.
        let expected = if channels % 2 == 0 { 175 } else { 191 };
        assert!(photo.picture().pixels.iter().all(|value| value.abs_diff(expected) <= 2), "{colour:?}");
    }
}

#[test]
fn what_phones_send_instead_is_named() {
    for (name, kind) in [("photo.heic", "HEIC"), ("photo.avif", "AVIF")] {
        let refused = refusal(&data(name));
        assert_eq!(refused.code, RefusalCode::UnsupportedFormat);
        assert!(refused.sentence.contains(kind) && refused.hint.contains("JPEG"), "{refused}");
    }
    let refused = refusal(b"Dear Sir or Madam,\nplease find my photo attached.\n");
    assert_eq!(refused.code, RefusalCode::UnsupportedFormat);
    assert!(refused.sentence.contains("not a JPEG, PNG or WebP"), "{refused}");
}

#[test]
fn a_jpeg_that_was_cut_off_is_told() {
    let mut file = Vec::new();
    JpegEncoder::new(&mut file).write_image(&gradient(300, 200), 300, 200, ExtendedColorType::Rgb8).unwrap();
    for part in [10, 3, 2] {
        let refused = refusal(&file[..file.len() - file.len() / part]);
        assert_eq!(refused.code, RefusalCode::Corrupt, "{refused}");
    }
}

#[test]
fn a_thread_of_pixels_is_no_photo() {
    for (width, height) in [(1, 60_000), (60_000, 1)] {
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(&vec![90; 180_000], width, height, ExtendedColorType::Rgb8)
            .unwrap();
        let refused = refusal(&file);
        assert_eq!(refused.code, RefusalCode::TooLarge);
        assert!(refused.sentence.contains("times the other") && refused.hint.contains("square"), "{refused}");
    }
}

/// 400 million pixels in some fifty kilobytes: refused by what its header says, before a pixel is made.
#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 20_000, 20_000);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header().unwrap().write_image_data(&vec![0; 20_000 / 8 * 20_000]).unwrap();
    assert!(file.len() < 200_000, "{} bytes", file.len());
    let start = Instant::now();
    let refused = refusal(&file);
    assert_eq!(refused.code, RefusalCode::TooLarge);
    assert!(refused.sentence.contains("20000 x 20000"), "{refused}");
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
}

#[test]
fn two_hundred_files_are_each_told_about() {
    let files: Vec<Vec<u8>> = (0..200u32)
        .map(|index| {
            if index % 10 == 7 {
                return b"no photo".to_vec();
            }
            let mut file = Vec::new();
            let (width, height) = (40 + index, 60);
            PngEncoder::new(&mut file)
                .write_image(&gradient(width, height), width, height, ExtendedColorType::Rgb8)
                .unwrap();
            file
        })
        .collect();
    let refused = PhotoSet::read(&files, &PhotoLimits::default()).unwrap_err();
    let places: Vec<_> = refused.iter().filter_map(|refusal| refusal.index).collect();
    assert_eq!(places, (7..200).step_by(10).collect::<Vec<_>>());
}
