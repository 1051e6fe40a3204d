//! Reference photos: a folder with a folder of photos for each name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use likeness_faces::FaceReader;
use likeness_faces::recognise::Embedding;

use super::reading;
use crate::output::Voice;
use crate::progress::{Meter, Standing};

/// The middle of each name's photos. A folder is a name's where it is called so; case and underscores for spaces do not matter.
/// Names without photos that show a face have none.
pub(super) fn read(
    folder: &Path,
    names: &[String],
    reader: &FaceReader,
    voice: Voice,
) -> anyhow::Result<BTreeMap<String, Embedding>> {
    let mut folders = BTreeMap::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        folders.insert(key(&path.file_name().unwrap_or_default().to_string_lossy()), path);
    }
    let mut meter = Meter::new(voice, "references");
    let mut middles = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let (step, total) = (index as u64, names.len() as u64);
        meter.show(Standing { phase: "read".into(), step, total, ..Standing::default() });
        let Some(photos) = folders.get(&key(name)) else { continue };
        let mut faces = Vec::new();
        for photo in entries(photos)?.into_iter().filter(|path| path.is_file()) {
            faces.extend(reading::photo(reader, &photo, voice)?);
        }
        if let Some(middle) = Embedding::mean(&faces) {
            middles.insert(name.clone(), middle);
        }
    }
    meter.finish(format_args!("{} of {} names have photos", middles.len(), names.len()));
    Ok(middles)
}

fn key(name: &str) -> String {
    name.replace('_', " ").to_lowercase()
}

/// What lies in a folder, in the order of names.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || {
        format!("cannot read the folder {}; give one with a folder of photos for each name", folder.display())
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        paths.push(entry.with_context(cannot)?.path());
    }
    paths.sort();
    Ok(paths)
}
