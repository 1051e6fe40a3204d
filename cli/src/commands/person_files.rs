//! Learned-person files as the commands meet them: read by content, written in one of three forms.

use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use likeness_diffusion::person_file::{MAX_FILE_BYTES, PersonFile};

/// The media type of safetensors files.
pub(crate) const MEDIA_TYPE: &str = "application/octet-stream";

/// Whose form of learned-person file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// safetensors, one tensor named as the placeholder.
    Diffusers,
    /// safetensors with `emb_params`.
    Kohya,
    /// `.pt` as the A1111 web interface reads it.
    A1111,
}

impl FileFormat {
    /// The usual ending of such a file.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Diffusers | Self::Kohya => "safetensors",
            Self::A1111 => "pt",
        }
    }
}

/// Reads a file of any of the three forms.
pub(crate) fn read(path: &Path) -> anyhow::Result<PersonFile> {
    let shown = path.display().to_string();
    let size = path.metadata().with_context(|| format!("cannot read {shown}"))?.len();
    anyhow::ensure!(
        size <= MAX_FILE_BYTES as u64,
        "{shown} has {size} bytes: that is no learned-person file"
    );
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    parse(&bytes, &shown)
}

/// Reads the bytes of a file; `shown` names it in errors.
pub(crate) fn parse(bytes: &[u8], shown: &str) -> anyhow::Result<PersonFile> {
    PersonFile::read(bytes).with_context(|| format!("cannot use {shown} as a learned-person file"))
}

/// The file in the form that the fleet stores.
pub(crate) fn to_diffusers(file: &PersonFile) -> anyhow::Result<Vec<u8>> {
    in_format(file, FileFormat::Diffusers)
}

/// The file in the form asked for.
pub(crate) fn in_format(file: &PersonFile, format: FileFormat) -> anyhow::Result<Vec<u8>> {
    Ok(match format {
        FileFormat::Diffusers => file.write_diffusers()?,
        FileFormat::Kohya => file.write_kohya()?,
        FileFormat::A1111 => file.write_a1111()?,
    })
}
