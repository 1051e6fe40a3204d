//! A quality report as files: the pictures, the figures, a page to look at, a contact sheet.

use std::io::Cursor;
use std::path::Path;

use anyhow::Context;
use image::{ImageFormat, RgbImage};
use likeness_faces::intake::{PhotoLimits, read_photo};
use likeness_shared::client::Client;
use likeness_shared::proto::QualityReport;

use super::page;
use crate::commands::generate;
use crate::commands::photos::PhotoFile;
use crate::contact_sheet;
use crate::views::QualityView;
use crate::whole_file;

/// The page of a report's folder.
pub(super) const PAGE: &str = "report.html";
const FIGURES: &str = "report.json";
/// Pictures in a row of the contact sheet.
const ROW: usize = 8;
/// Pixels that a photo has on the contact sheet.
const PHOTO_SIDE: u32 = 128;

/// A picture's file under the name that it has in the folder.
pub(super) struct PictureFile {
    pub(super) name: String,
    pub(super) png: Vec<u8>,
}

/// The pictures of each prompt.
pub(super) async fn download(
    client: &Client,
    report: &QualityReport,
) -> anyhow::Result<Vec<Vec<PictureFile>>> {
    let mut prompts = Vec::with_capacity(report.prompts.len());
    for (prompt, number) in report.prompts.iter().zip(1u32..) {
        let mut pictures = Vec::with_capacity(prompt.pictures.len());
        for picture in &prompt.pictures {
            let name = format!("prompt-{number}-seed-{}.png", picture.seed);
            pictures
                .push(PictureFile { name, png: generate::download(client, &picture.artifact_digest).await? });
        }
        prompts.push(pictures);
    }
    Ok(prompts)
}

/// Writes pictures, figures and page into the folder.
pub(super) fn keep(
    report: &QualityReport,
    pictures: &[Vec<PictureFile>],
    folder: &Path,
) -> anyhow::Result<()> {
    for picture in pictures.iter().flatten() {
        whole_file::write(&folder.join(&picture.name), &picture.png)?;
    }
    let figures = serde_json::to_vec_pretty(&QualityView::from(report))?;
    whole_file::write(&folder.join(FIGURES), &figures)?;
    whole_file::write(&folder.join(PAGE), page::of(report, pictures).as_bytes())?;
    Ok(())
}

/// Draws the photos, then a row of pictures for each prompt.
pub(super) fn write_sheet(
    photos: &[PhotoFile],
    pictures: &[Vec<PictureFile>],
    path: &Path,
) -> anyhow::Result<()> {
    let photos: Vec<RgbImage> = photos.iter().filter_map(square).collect();
    let pictures = pictures
        .iter()
        .map(|prompt| prompt.iter().map(decode).collect::<anyhow::Result<Vec<_>>>())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let rows: Vec<Vec<&[RgbImage]>> = photos
        .chunks(ROW)
        .map(|row| vec![row])
        .chain(pictures.iter().map(|row| vec![row.as_slice()]))
        .collect();
    let mut bytes = Cursor::new(Vec::new());
    contact_sheet::draw(&rows).write_to(&mut bytes, ImageFormat::Png)?;
    whole_file::write(path, bytes.get_ref())?;
    Ok(())
}

fn decode(picture: &PictureFile) -> anyhow::Result<RgbImage> {
    Ok(image::load_from_memory(&picture.png).context("cannot read a picture of the report")?.to_rgb8())
}

/// A photo that cannot be read was dropped by the worker, too.
fn square(photo: &PhotoFile) -> Option<RgbImage> {
    let square = read_photo(&photo.bytes, &PhotoLimits::default()).ok()?.square(PHOTO_SIDE);
    RgbImage::from_raw(square.width, square.height, square.pixels)
}
