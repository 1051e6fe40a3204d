//! What these tests look at and with: networks and photographs from outside the repository.

use std::io::Write;
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder, RgbImage};
use likeness_faces::detect::{Detector, DetectorOptions};
use likeness_faces::intake::{PhotoLimits, RgbPixels, read_photo};
use likeness_faces::recognise::{Recogniser, RecogniserOptions};

/// The networks, or `None` after having said what is skipped.
pub(crate) fn networks(test: &str) -> Option<(Detector, Recogniser)> {
    Some((detector(test, "yunet_n_dynamic.onnx")?, recogniser(test)?))
}

pub(crate) fn detector(test: &str, file: &str) -> Option<Detector> {
    let path = network_file(test, file)?;
    Some(Detector::load(&path, DetectorOptions::default()).unwrap())
}

pub(crate) fn recogniser(test: &str) -> Option<Recogniser> {
    let path = network_file(test, "mobilefacenet.onnx")?;
    // What this network was trained on.
    let options = RecogniserOptions { mean: 127.5, scale: 128.0, ..Default::default() };
    Some(Recogniser::load(&path, options).unwrap())
}

pub(crate) fn network_file(test: &str, name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/faces");
    let folder = std::env::var_os("LIKENESS_FACE_MODELS").map_or(beside, PathBuf::from);
    present(test, folder.join(name), "name a folder with it in LIKENESS_FACE_MODELS")
}

/// The bytes of a photograph that `tests/photographs` has fetched, or `None` after having said what is skipped.
pub(crate) fn photograph(test: &str, name: &str) -> Option<Vec<u8>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-photographs");
    let folder = std::env::var_os("LIKENESS_TEST_PHOTOGRAPHS").map_or(target, PathBuf::from);
    let path = present(test, folder.join(name), "tests/photographs fetches it")?;
    Some(std::fs::read(path).unwrap())
}

pub(crate) fn picture(test: &str, name: &str) -> Option<RgbPixels> {
    Some(upright(&photograph(test, name)?))
}

/// The pixels of a file, as intake gives them.
pub(crate) fn upright(file: &[u8]) -> RgbPixels {
    read_photo(file, &PhotoLimits::default()).unwrap().picture().clone()
}

fn present(test: &str, path: PathBuf, remedy: &str) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path);
    }
    // Not through `eprintln!`, which the test runner keeps to itself when a test passes.
    let mut loud = std::io::stderr();
    writeln!(loud, "\n!!! SKIPPED: {test}: there is no {}; {remedy}\n", path.display()).unwrap();
    None
}

pub(crate) fn to_image(picture: &RgbPixels) -> RgbImage {
    RgbImage::from_raw(picture.width, picture.height, picture.pixels.clone()).unwrap()
}

pub(crate) fn to_pixels(image: RgbImage) -> RgbPixels {
    RgbPixels { width: image.width(), height: image.height(), pixels: image.into_raw() }
}

pub(crate) fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95)
        .write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)
        .unwrap();
    file
}
