//! What the demo leaves behind: the contact sheet and the measure.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::{ImageFormat, RgbImage};
use likeness_faces::intake::{PhotoLimits, read_photo};
use serde::Serialize;

use super::course::Pictures;
use crate::contact_sheet;
use crate::measure::{self, Likeness};
use crate::output::Voice;
use crate::pocket;
use crate::whole_file;

/// What the demo prints.
#[derive(Debug, Serialize)]
struct Report {
    person: String,
    folder: PathBuf,
    contact_sheet: PathBuf,
    person_file: PathBuf,
    distance: Likeness,
}

/// Writes the contact sheet and prints where everything is and how near the pictures come.
pub(super) fn write(
    pictures: &Pictures,
    person: &str,
    jpegs: &[&[u8]],
    out: &Path,
    voice: Voice,
) -> anyhow::Result<()> {
    let photos = decode(jpegs)?;
    let contact_sheet = out.join("contact-sheet.png");
    whole_file::write(&contact_sheet, &sheet(&photos, pictures)?)?;
    let others = pocket::people()
        .iter()
        .filter(|(name, _)| **name != person)
        .map(|(_, jpegs)| decode(jpegs))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let distance = measure::likeness(&photos, &others, &pictures.start, &pictures.learned);
    let report = Report {
        person: person.to_owned(),
        folder: out.to_path_buf(),
        contact_sheet: contact_sheet.clone(),
        person_file: pictures.person_file.clone(),
        distance,
    };
    voice.facts(
        &report,
        &[
            ("pictures", out.display().to_string()),
            ("contact sheet", contact_sheet.display().to_string()),
            ("learned person", pictures.person_file.display().to_string()),
            ("distance to the photos", "in a fixed space of colours and edges (docs/cli.md)".to_owned()),
            ("  somebody else's photos", format!("{:.2}", distance.floor)),
            ("  the start", format!("{:.2}", distance.start)),
            ("  the learned person", format!("{:.2}", distance.learned)),
            ("  other photos of the person", format!("{:.2}", distance.ceiling)),
        ],
    )?;
    voice.say(
        "the contact sheet, row by row: the photos; pictures from where the training began; pictures of the learned\n\
         person from the same seeds; the learned person in other places, clothes and styles",
    );
    Ok(())
}

/// Rows: photos, start, learned, then the other prompts two a row.
fn sheet(photos: &[RgbImage], pictures: &Pictures) -> anyhow::Result<Vec<u8>> {
    let mut rows: Vec<Vec<&[RgbImage]>> = vec![vec![photos], vec![&pictures.start], vec![&pictures.learned]];
    rows.extend(pictures.others.chunks(2).map(|pair| pair.iter().map(Vec::as_slice).collect()));
    let mut png = Cursor::new(Vec::new());
    contact_sheet::draw(&rows)
        .write_to(&mut png, ImageFormat::Png)
        .context("cannot encode the contact sheet")?;
    Ok(png.into_inner())
}

/// The photos as the training sees them: squares of the model's size.
fn decode(jpegs: &[&[u8]]) -> anyhow::Result<Vec<RgbImage>> {
    jpegs
        .iter()
        .map(|jpeg| {
            let photo = read_photo(jpeg, &PhotoLimits::default())?.square(measure::SIDE);
            RgbImage::from_raw(photo.width, photo.height, photo.pixels).context("a photo has the wrong size")
        })
        .collect()
}
