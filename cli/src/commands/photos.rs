//! Photos from the command line: read, checked as far as a client can, and uploaded; `likeness photos` looks at faces too.

mod by_server;
mod check;
pub(crate) mod dropped;
mod report;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use likeness_shared::client::Client;
use likeness_shared::limits::MAX_ARTIFACT_BYTES;

use crate::arguments::Global;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::progress::{Meter, Standing};

/// Subcommands of `photos`.
#[derive(Debug, Subcommand)]
pub(crate) enum PhotosCommand {
    /// Say which photos of a person can be learned from, and why others cannot.
    Check(check::CheckArguments),
}

/// Runs `photos`.
pub(crate) async fn run(command: &PhotosCommand, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    match command {
        PhotosCommand::Check(options) => check::run(options, global, voice).await,
    }
}

/// A photo to upload.
pub(crate) struct PhotoFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: &'static str,
}

/// Reads the files; all complaints come at once.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<PhotoFile>> {
    let mut photos = Vec::new();
    let mut complaints = Vec::new();
    for path in paths {
        match read_one(path) {
            Ok(photo) => photos.push(photo),
            Err(complaint) => complaints.push(complaint),
        }
    }
    if complaints.is_empty() {
        return Ok(photos);
    }
    Err(CliError::new(Exit::Failed, complaints.join("\n       ")).into())
}

fn read_one(path: &Path) -> Result<PhotoFile, String> {
    let shown = path.display();
    let facts = path.metadata().map_err(|error| format!("cannot read photo {shown}: {error}"))?;
    if facts.is_dir() {
        return Err(format!("photo {shown} is a folder; name the files in it"));
    }
    if facts.len() > MAX_ARTIFACT_BYTES {
        let megabytes = facts.len() >> 20;
        return Err(format!(
            "photo {shown} has {megabytes} MiB; at most {} MiB are taken",
            MAX_ARTIFACT_BYTES >> 20
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read photo {shown}: {error}"))?;
    if bytes.is_empty() {
        return Err(format!("photo {shown} is empty"));
    }
    let media_type = media_type(&bytes)
        .ok_or_else(|| format!("photo {shown} is not a JPEG, PNG or WebP file; convert it first"))?;
    Ok(PhotoFile { bytes, media_type })
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        Some("image/jpeg")
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// Uploads the photos and returns their digests, in order.
pub(crate) async fn upload(
    client: &Client,
    photos: &[PhotoFile],
    voice: Voice,
) -> anyhow::Result<Vec<String>> {
    if photos.is_empty() {
        return Ok(Vec::new());
    }
    let mut meter = Meter::new(voice, "photos");
    let mut digests = Vec::new();
    for (index, photo) in photos.iter().enumerate() {
        meter.show(Standing {
            phase: "upload".into(),
            step: index as u64,
            total: photos.len() as u64,
            ..Standing::default()
        });
        let digest = client
            .artifacts()
            .upload(photo.bytes.clone(), photo.media_type)
            .await
            .with_context(|| format!("uploading photo {} of {}", index + 1, photos.len()))?;
        digests.push(digest.to_string());
    }
    meter.finish(format_args!("{} uploaded", photos.len()));
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.jpg");
        let text = folder.path().join("text.jpg");
        std::fs::write(&empty, b"").unwrap();
        std::fs::write(&text, b"hello").unwrap();
        let missing = folder.path().join("missing.jpg");
        let paths = [empty, text, missing, folder.path().to_path_buf()];
        let said = read(&paths).err().unwrap().to_string();
        for word in ["empty.jpg is empty", "text.jpg is not a JPEG", "missing.jpg", "is a folder"] {
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn kinds_are_told_by_content() {
        assert_eq!(media_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(media_type(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(media_type(b"GIF89a"), None);
    }
}
