//! The folder of people: a folder of photos each.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use likeness_shared::ids::Digest;

use super::plan::PersonPlan;
use crate::commands::photos::{self, PhotoFile};

/// Photos to learn from that a person needs.
const LEAST_PHOTOS: usize = 3;
/// The folder within a person's for photos that are kept from the training.
const HELD_OUT: &str = "held_out";

/// A person as the folder has them.
pub(super) struct Person {
    pub(super) name: String,
    /// Those to learn from.
    pub(super) photos: Vec<PhotoFile>,
    /// Those kept from the training.
    pub(super) held_out: Vec<PhotoFile>,
}

impl Person {
    /// What the plan says of them.
    pub(super) fn plan(&self) -> PersonPlan {
        let digests =
            |files: &[PhotoFile]| files.iter().map(|file| Digest::of(&file.bytes).to_string()).collect();
        PersonPlan {
            name: self.name.clone(),
            photos: digests(&self.photos),
            held_out: digests(&self.held_out),
        }
    }
}

/// Everybody in `folder`, in the order of their names; of each the last `held_out` photos, and those in a folder `held_out` of theirs,
/// are kept from the training.
pub(super) fn read(folder: &Path, held_out: usize) -> anyhow::Result<Vec<Person>> {
    let mut people = Vec::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        people.push(person(&path, held_out)?);
    }
    let shown = folder.display();
    ensure!(
        !people.is_empty(),
        "{shown} has no folders in it: give a folder with a folder of photos for each person"
    );
    Ok(people)
}

fn person(folder: &Path, held_out: usize) -> anyhow::Result<Person> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = files_in(folder)?;
    if files.len() < held_out + LEAST_PHOTOS {
        bail!(
            "{} has {} photos; {LEAST_PHOTOS} are needed to learn from, and {held_out} to keep from the training (--held-out)",
            folder.display(),
            files.len()
        );
    }
    let (learned, kept) = files.split_at(files.len() - held_out);
    let mut kept = kept.to_vec();
    let apart = folder.join(HELD_OUT);
    if apart.is_dir() {
        kept.extend(files_in(&apart)?);
    }
    Ok(Person { name, photos: photos::read(learned)?, held_out: photos::read(&kept)? })
}

fn files_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_photo = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        path.is_file() && !hidden
    };
    Ok(entries(folder)?.into_iter().filter(is_photo).collect())
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed =
        std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in listed {
        paths.push(entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_photos_and_those_apart_are_held_out() {
        let folder = tempfile::tempdir().unwrap();
        let ann = folder.path().join("ann");
        std::fs::create_dir_all(ann.join("held_out")).unwrap();
        let write = |name: &str| {
            let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
            png.extend(name.trim_start_matches("held_out/").as_bytes());
            std::fs::write(ann.join(name), png).unwrap();
        };
        for name in ["1.png", "2.png", "3.png", "4.png", "held_out/5.png"] {
            write(name);
        }
        std::fs::write(ann.join(".DS_Store"), "x").unwrap();
        let people = read(folder.path(), 1).unwrap();
        let [person] = people.as_slice() else { panic!("{}", people.len()) };
        let last = |file: Option<&PhotoFile>| *file.unwrap().bytes.get(8).unwrap() as char;
        assert_eq!((person.name.as_str(), person.photos.len(), person.held_out.len()), ("ann", 3, 2));
        assert_eq!((last(person.held_out.first()), last(person.held_out.last())), ('4', '5'));
        assert_eq!(person.plan().photos.len(), 3);
        let few = read(folder.path(), 2).err().unwrap().to_string();
        assert!(few.contains("has 4 photos") && few.contains("--held-out"), "{few}");
        assert!(read(&ann, 0).is_err(), "held_out is no person with three photos");
    }
}
