//! Pictures that the experiment kept, small enough for the page.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, ImageReader};

/// The longer side of a picture in the page, in pixels.
const LONGEST: u32 = 160;
/// Of pictures that are made smaller: as PNG they would be six times as large, and the page holds thousands.
const JPEG_QUALITY: u8 = 85;

/// The first photo of a person.
pub(super) fn photo(folder: &Path, person: usize) -> Option<String> {
    let of_person = folder.join("photos").join(format!("p{person}"));
    let number = |name: &str| name.strip_suffix(".png")?.parse::<u32>().ok();
    let (_, path) = files(&of_person, number).into_iter().min()?;
    inline(&path)
}

/// The first kept picture of a prompt.
pub(super) fn picture(folder: &Path, cell: usize, person: usize, prompt: usize) -> Option<String> {
    let of_unit = folder.join("pictures").join(format!("c{cell}-p{person}-s0"));
    let number = |name: &str| {
        let (of, picture) = name.strip_suffix(".png")?.split_once('-')?;
        (of.parse() == Ok(prompt)).then_some(picture.parse::<u32>().ok()?)
    };
    let (_, path) = files(&of_unit, number).into_iter().min()?;
    inline(&path)
}

/// The files of a folder that have a number by their name. A folder that is not there has none.
fn files(folder: &Path, number: impl Fn(&str) -> Option<u32>) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path()))).collect()
}

/// As a data URI; nothing for what is missing or no picture.
fn inline(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Png);
    let (width, height) = reader.into_dimensions().ok()?;
    if width.max(height) <= LONGEST {
        return Some(format!("data:image/png;base64,{}", STANDARD.encode(bytes)));
    }
    let whole = image::load_from_memory_with_format(&bytes, ImageFormat::Png).ok()?;
    let small = DynamicImage::ImageRgb8(whole.thumbnail(LONGEST, LONGEST).to_rgb8());
    let mut encoded = Vec::new();
    small.write_with_encoder(JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY)).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(encoded)))
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn keep(folder: &Path, path: &str, side: u32) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::new(side, side / 2).save(path).unwrap();
    }

    #[test]
    fn the_first_is_shown_whatever_its_number_and_the_missing_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), "photos/p1/10.png", 300);
        keep(folder.path(), "photos/p1/9.png", 20);
        keep(folder.path(), "pictures/c2-p1-s0/11-3.png", 30);
        assert!(photo(folder.path(), 1).unwrap().starts_with("data:image/png;"));
        assert!(picture(folder.path(), 2, 1, 11).is_some());
        assert_eq!(picture(folder.path(), 2, 1, 1), None);
        assert_eq!(photo(folder.path(), 0), None);
        fs::write(folder.path().join("photos/p1/1.png"), "half a picture").unwrap();
        assert_eq!(photo(folder.path(), 1), None);
    }

    #[test]
    fn large_pictures_are_made_smaller() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), "photos/p0/0.png", 512);
        let uri = photo(folder.path(), 0).unwrap();
        let encoded = uri.strip_prefix("data:image/jpeg;base64,").unwrap();
        let small = image::load_from_memory(&STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (160, 80));
    }
}
