//! The pocket model and its test people, carried inside the binary, so that `up` and `demo` work with no files
//! beside it. The model is unpacked once a data folder, whole or not at all, and verified at every start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use likeness_faces::config::FacesConfig;
use likeness_worker::WorkerConfig;
use sha2::{Digest, Sha256};

use crate::whole_file;

mod files {
    include!(concat!(env!("OUT_DIR"), "/pocket_files.rs"));
}

/// The name under which the fleet knows the model.
pub(crate) const NAME: &str = "pocket";

/// Makes sure that the model lies under `models` and returns its folder, `models/pocket-<digest>`.
///
/// A damaged copy is written anew. Two processes may do this at once: the folder appears by a rename.
pub(crate) fn unpack(models: &Path) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(
        !files::MODEL.is_empty(),
        "this build carries no pocket model; name a model with --model NAME=DIR"
    );
    let folder = models.join(format!("pocket-{}", &digest()[..16]));
    if is_whole(&folder) {
        return Ok(folder);
    }
    std::fs::create_dir_all(models)
        .with_context(|| format!("cannot create the folder {}", models.display()))?;
    let fresh = tempfile::Builder::new()
        .prefix(".pocket-")
        .tempdir_in(models)
        .with_context(|| format!("cannot write into {}", models.display()))?;
    for (name, bytes) in files::MODEL {
        let path = fresh.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        whole_file::write(&path, bytes)?;
    }
    if folder.exists() && !is_whole(&folder) {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove the damaged {}", folder.display()))?;
    }
    match std::fs::rename(fresh.path(), &folder) {
        Ok(()) => Ok(folder),
        // Another process was first.
        Err(_) if is_whole(&folder) => Ok(folder),
        Err(error) => Err(error).with_context(|| format!("cannot create {}", folder.display())),
    }
}

/// The networks for faces and the bank of names in the model's folder, which know the faces that it draws.
pub(crate) fn faces(folder: &Path) -> anyhow::Result<FacesConfig> {
    Ok(WorkerConfig::read(&folder.join("faces/faces.toml"))?.faces)
}

fn is_whole(folder: &Path) -> bool {
    files::MODEL
        .iter()
        .all(|(name, bytes)| std::fs::read(folder.join(name)).is_ok_and(|found| found == *bytes))
}

/// sha256 over names, lengths and bytes of the model's files.
fn digest() -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in files::MODEL {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hex::encode(hasher.finalize())
}

/// The JPEG photos of the test people, by person, in order.
pub(crate) fn people() -> BTreeMap<&'static str, Vec<&'static [u8]>> {
    let mut people: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for (name, bytes) in files::PEOPLE {
        if let Some((person, _)) = name.split_once('/') {
            people.entry(person).or_default().push(bytes);
        }
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_twelve_people_with_eight_photos_each() {
        let people = people();
        assert!(people.len() >= 12, "{:?}", people.keys());
        assert!(
            people
                .values()
                .all(|photos| photos.len() >= 8 && photos.iter().all(|jpeg| jpeg.starts_with(&[0xff, 0xd8])))
        );
    }

    #[test]
    fn its_networks_for_faces_come_with_it() {
        let models = tempfile::tempdir().unwrap();
        let faces = faces(&unpack(models.path()).unwrap()).unwrap();
        faces.validate().unwrap();
        assert!(faces.can_check_photos() && faces.judge.is_some() && faces.bank.is_some());
        assert!(faces.clip.is_some_and(|folder| folder.starts_with(models.path())));
    }

    #[test]
    fn a_damaged_copy_is_replaced() {
        let models = tempfile::tempdir().unwrap();
        let folder = unpack(models.path()).unwrap();
        let config = folder.join("unet/config.json");
        let good = std::fs::read(&config).unwrap();
        std::fs::write(&config, b"{").unwrap();
        assert_eq!(unpack(models.path()).unwrap(), folder);
        assert_eq!(std::fs::read(&config).unwrap(), good);
        assert_eq!(std::fs::read_dir(models.path()).unwrap().count(), 1);
    }
}
