//! Files that ship with the repository.

use std::path::PathBuf;

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    folder.canonicalize().unwrap_or(folder)
}

/// The shipped model: a folder in the diffusers layout.
#[must_use]
pub fn pocket_model() -> PathBuf {
    repository().join("models/pocket")
}

/// A reference folder of `tests/fixtures`, such as `tiny-a`.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    repository().join("tests/fixtures").join(name)
}

/// The photos of a shipped person, such as `person-03`, in order.
///
/// # Panics
/// Where there is no such person.
#[must_use]
pub fn photos(person: &str) -> Vec<PathBuf> {
    let folder = pocket_model().join("people").join(person);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut photos: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    photos.sort();
    photos
}

/// Photos of people whom the shipped model knows, by name. None is a picture that the model was trained with.
///
/// # Panics
/// Where they are not there.
#[must_use]
pub fn celebrities() -> Vec<(String, Vec<PathBuf>)> {
    let listed = |folder: &PathBuf| -> Vec<PathBuf> {
        let entries =
            std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        paths
    };
    let people = listed(&pocket_model().join("celebrities"));
    assert!(!people.is_empty(), "there are no celebrities");
    let name = |folder: &PathBuf| folder.file_name().unwrap_or_default().to_string_lossy().replace('_', " ");
    people.iter().map(|folder| (name(folder), listed(folder))).collect()
}

/// The section `[faces]` of a worker that looks at pictures of the pocket world, by networks trained for it. It comes last in a file.
#[must_use]
pub fn faces_section() -> String {
    let folder = pocket_model().join("faces");
    let [detector, recogniser, judge, clip] = ["detector.onnx", "recogniser.onnx", "judge.onnx", "clip"]
        .map(|file| folder.join(file).display().to_string());
    format!(
        "[faces]\ndetector = \"{detector}\"\ndetector_side = 256\ndetector_score = 0.7\nclip = \"{clip}\"\n\
         [faces.limits]\nmin_face = 24.0\nmin_likeness = 0.4\nduplicate_likeness = 0.99\n\
         [faces.recogniser]\nfile = \"{recogniser}\"\nmean = 127.5\nscale = 127.5\nsame_person = 0.5\n\
         [faces.judge]\nfile = \"{judge}\"\nmean = 127.5\nscale = 127.5\n"
    )
}
