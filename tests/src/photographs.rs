//! Photographs of real people, and the networks that find and know faces. Neither is part of the repository: where they are not
//! here, whoever asks is told loudly what is skipped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{binaries, world};

/// What tests of faces look at, and with.
#[derive(Debug)]
pub struct Material {
    networks: PathBuf,
    photographs: PathBuf,
}

/// Networks and photographs, or nothing after having said so.
///
/// # Panics
/// Where nothing can be said.
#[must_use]
pub fn material(test: &str) -> Option<Material> {
    let beside = world::repository().join("../shared/fixtures/faces");
    let networks = std::env::var_os("LIKENESS_FACE_MODELS").map_or(beside, PathBuf::from);
    let target = binaries::path("likeness").parent()?.join("../test-photographs");
    let photographs = std::env::var_os("LIKENESS_TEST_PHOTOGRAPHS").map_or(target, PathBuf::from);
    for (file, remedy) in [
        (networks.join("yunet_n_dynamic.onnx"), "name its folder in LIKENESS_FACE_MODELS"),
        (networks.join("mobilefacenet.onnx"), "name its folder in LIKENESS_FACE_MODELS"),
        (photographs.join("obama3.jpg"), "tests/photographs fetches it"),
    ] {
        if !file.is_file() {
            // not through `eprintln!`, which the test runner keeps to itself when a test passes
            let mut loud = std::io::stderr();
            writeln!(loud, "\n!!! SKIPPED: {test}: there is no {}; {remedy}\n", file.display())
                .expect("stderr can be written");
            return None;
        }
    }
    Some(Material { networks, photographs })
}

impl Material {
    /// A photograph by its name, such as `obama.jpg`.
    #[must_use]
    pub fn photo(&self, name: &str) -> PathBuf {
        self.photographs.join(name)
    }

    /// A file of `folder` with the section `[faces]` for these networks.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn configuration(&self, folder: &Path) -> PathBuf {
        let config = folder.join("faces.toml");
        let text = format!(
            "[faces]\ndetector = \"{0}/yunet_n_dynamic.onnx\"\n[faces.recogniser]\nfile = \"{0}/mobilefacenet.onnx\"\nmean = 127.5\n\
             scale = 128.0\n",
            self.networks.display()
        );
        fs::write(&config, text).expect("the test's folder can be written");
        config
    }
}
