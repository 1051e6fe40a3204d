//! Small pictures that are kept for the report: a person's photos, and of the first seed a picture of each prompt.

use std::path::{Path, PathBuf};

use anyhow::Context;
use image::RgbImage;
use image::imageops::{FilterType, resize};
use likeness_diffusion::picture::RgbPicture;
use likeness_faces::intake::{PhotoLimits, RgbPixels, read_photo};

use super::people::Person;
use super::plan::UnitKey;
use crate::whole_file;

/// Longer sides than this are scaled down.
const SIDE: u32 = 256;
/// Photos of each person.
const PHOTOS: usize = 3;

/// The folder of a unit's pictures.
pub(super) fn folder_of(out: &Path, key: UnitKey) -> PathBuf {
    out.join("pictures").join(key.to_string())
}

/// Keeps some photos of everybody.
pub(super) fn keep_photos(out: &Path, people: &[Person]) -> anyhow::Result<()> {
    for (number, person) in people.iter().enumerate() {
        let folder = out.join("photos").join(format!("p{number}"));
        for (index, file) in person.photos.iter().take(PHOTOS).enumerate() {
            let Ok(photo) = read_photo(&file.bytes, &PhotoLimits::default()) else { continue };
            let RgbPixels { width, height, pixels } = photo.picture().clone();
            write(&folder, &format!("{index}.png"), width, height, pixels)?;
        }
    }
    Ok(())
}

/// Keeps the first picture of each prompt, where the unit is of the first seed.
pub(super) fn keep_pictures(
    out: &Path,
    key: UnitKey,
    pictures: &[(usize, RgbPicture)],
) -> anyhow::Result<()> {
    if key.seed != 0 {
        return Ok(());
    }
    let folder = folder_of(out, key);
    let mut last = None;
    for (prompt, picture) in pictures {
        if last.replace(*prompt) != Some(*prompt) {
            let RgbPicture { width, height, pixels } = picture.clone();
            write(&folder, &format!("{prompt}-0.png"), width, height, pixels)?;
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, width: u32, height: u32, pixels: Vec<u8>) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let picture = RgbImage::from_raw(width, height, pixels).context("a picture's bytes do not fill it")?;
    let longer = width.max(height);
    let picture = if longer > SIDE {
        let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(longer)).max(1) as u32;
        resize(&picture, scaled(width), scaled(height), FilterType::CatmullRom)
    } else {
        picture
    };
    let (width, height) = picture.dimensions();
    let png = RgbPicture { width, height, pixels: picture.into_raw() }.to_png(&[])?;
    Ok(whole_file::write(&folder.join(name), &png)?)
}
