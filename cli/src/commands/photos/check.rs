//! `likeness photos check`: which photos of a person can be learned from, before anything is sent.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use image::RgbImage;
use likeness_faces::check::{CheckedSet, PhotoChecker};
use likeness_faces::intake::{PhotoLimits, RgbPixels};
use likeness_photo_report::photo_report;
use likeness_shared::proto::PhotoReport;

use super::by_server;
use super::report::Report;
use crate::arguments::Global;
use crate::commands::face_networks::NetworkArguments;
use crate::contact_sheet;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::progress::{Meter, Standing};
use crate::whole_file;

const HELP: &str = "\
Two networks look at the photos. None for photographs comes with Likeness; these two of the OpenCV Zoo (github.com/opencv/opencv_zoo) are free to use:
  --detector    face_detection_yunet_2023mar.onnx (MIT)
  --recogniser  face_recognition_sface_2021dec.onnx (Apache-2.0)
Most recognisers of ArcFace's kind want --mean 127.5 --scale 127.5.

Exit codes: 0 every photo can be learned from; 1 some photo, or all of them together, cannot.

Examples:
  likeness photos check ann/*.jpg --detector yunet.onnx --recogniser sface.onnx --contact-sheet ann.png
  likeness photos check ann/*.jpg --config worker.toml -o json
  likeness photos check ann/*.jpg --by-server";

/// Portraits in a row of the contact sheet.
const ROW: usize = 8;

/// Options of `photos check`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CheckArguments {
    /// Photos of one person.
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    #[command(flatten)]
    networks: NetworkArguments,
    /// Sides of the portraits that are cut: what the model draws.
    #[arg(long, default_value_t = 512, value_name = "PIXELS", value_parser = side)]
    size: u32,
    /// Draw the portraits into one PNG: those that can be learned from, then the others.
    #[arg(long, value_name = "FILE")]
    contact_sheet: Option<PathBuf>,
    /// Upload the photos and let the server judge them, with the networks that are configured there.
    #[arg(long, conflicts_with_all = ["config", "contact_sheet"])]
    by_server: bool,
}

fn side(text: &str) -> Result<u32, String> {
    crate::arguments::whole_number(text, 8, 2048)
}

pub(crate) async fn run(options: &CheckArguments, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    let report = match options.by_server {
        true => by_server::check(&options.photos, options.size, global, voice).await?,
        false => check_here(options, voice)?,
    };
    let is_good = report.refused.is_none() && report.used == report.given;
    Report::new(&options.photos, report).tell(voice)?;
    Ok(if is_good { Exit::Ok } else { Exit::Failed })
}

fn check_here(options: &CheckArguments, voice: Voice) -> anyhow::Result<PhotoReport> {
    if let Some(path) = &options.contact_sheet {
        whole_file::check_target(path)?;
    }
    let faces = options.networks.faces()?;
    faces.validate()?;
    let checker = faces.photo_checker(options.size)?;
    look_for(&options.photos)?;
    let set = check(&checker, &options.photos, voice)?;
    if let Some(path) = &options.contact_sheet {
        draw(&set, path, voice)?;
    }
    Ok(photo_report(&set, &[]))
}

/// Files that are not there or are no files; all complaints come at once.
fn look_for(paths: &[PathBuf]) -> anyhow::Result<()> {
    let complaints: Vec<String> = paths
        .iter()
        .filter_map(|path| match path.metadata() {
            Ok(facts) if facts.is_dir() => {
                Some(format!("photo {} is a folder; name the files in it", path.display()))
            }
            Ok(_) => None,
            Err(error) => Some(format!("cannot read photo {}: {error}", path.display())),
        })
        .collect();
    if complaints.is_empty() {
        return Ok(());
    }
    Err(CliError::new(Exit::Failed, complaints.join("\n       ")).into())
}

fn check(checker: &PhotoChecker, files: &[PathBuf], voice: Voice) -> anyhow::Result<CheckedSet> {
    let mut meter = Meter::new(voice, "photos");
    let mut checked = Vec::new();
    for (index, path) in files.iter().enumerate() {
        meter.show(Standing {
            phase: "check".into(),
            step: index as u64,
            total: files.len() as u64,
            ..Standing::default()
        });
        checked.push(checker.check(&read(path)?)?);
    }
    meter.finish(format_args!("{} checked", files.len()));
    Ok(checker.check_set(checked))
}

/// Of a file that is too large only so much is read that the check says so.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let enough = PhotoLimits::default().max_bytes as u64 + 1;
    let mut bytes = Vec::new();
    let reading = File::open(path).and_then(|file| file.take(enough).read_to_end(&mut bytes));
    reading.with_context(|| format!("cannot read photo {}", path.display()))?;
    Ok(bytes)
}

fn draw(set: &CheckedSet, path: &Path, voice: Voice) -> anyhow::Result<()> {
    let of = |usable: bool| -> Vec<RgbImage> {
        let photos = set.photos.iter().filter(|photo| photo.is_usable() == usable);
        photos.filter_map(|photo| to_image(&photo.portrait.as_ref()?.pixels)).collect()
    };
    let (good, others) = (of(true), of(false));
    let rows: Vec<Vec<&[RgbImage]>> =
        good.chunks(ROW).chain(others.chunks(ROW)).map(|row| vec![row]).collect();
    if rows.is_empty() {
        voice.warn("no face was found in any photo: there is no contact sheet");
        return Ok(());
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    contact_sheet::draw(&rows).write_to(&mut bytes, image::ImageFormat::Png)?;
    whole_file::write(path, bytes.get_ref())?;
    voice.say(format_args!(
        "{}: {} portraits to learn from, {} others",
        path.display(),
        good.len(),
        others.len()
    ));
    Ok(())
}

fn to_image(picture: &RgbPixels) -> Option<RgbImage> {
    RgbImage::from_raw(picture.width, picture.height, picture.pixels.clone())
}
