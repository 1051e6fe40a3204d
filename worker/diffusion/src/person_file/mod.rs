//! A learned person as a file: read and written as other programs do.
//!
//! | format | suffix | written by | holds |
//! |---|---|---|---|
//! | diffusers | `.safetensors` | diffusers' textual inversion | one tensor, named by the placeholder |
//! | kohya | `.safetensors` | kohya's scripts, newer web UIs | one tensor `emb_params` |
//! | A1111 | `.pt` | the AUTOMATIC1111 web UI | a zip of a pickle and raw numbers |
//!
//! A pickle is a program; it is never run here. [`pickle`] interprets the few instructions that torch
//! writes, knows a handful of names, builds plain data of bounded size, and refuses everything else by
//! name. Vectors that come out are finite, not zero, and of a size that a prompt can hold.

mod a1111;
mod error;
mod metadata;
mod pickle;
mod safetensors;
#[cfg(test)]
mod tests;

pub use error::PersonFileError;
pub use metadata::keys;

use std::collections::BTreeMap;

/// No person file is near this size; larger ones are refused unread.
pub const MAX_FILE_BYTES: usize = 16 << 20;
/// A prompt holds 75 tokens, so no person has more vectors.
pub const MAX_VECTORS: usize = 75;
/// Wider than any text encoder.
pub const MAX_WIDTH: usize = 8192;

/// A person: K vectors of the text encoder's width, and what is known about them.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonFile {
    /// The word that stands for the person in prompts, where the file names one.
    pub placeholder: Option<String>,
    /// K rows of D numbers, finite and not zero.
    pub vectors: Vec<Vec<f32>>,
    /// What else the file says; [`keys`] has the names that this project writes.
    pub metadata: BTreeMap<String, String>,
}

impl PersonFile {
    /// A person of checked vectors.
    ///
    /// # Errors
    /// [`PersonFileError`] for no or too many vectors, unequal widths, zero vectors, numbers that are not
    /// finite.
    pub fn new(
        placeholder: Option<String>,
        vectors: Vec<Vec<f32>>,
        metadata: BTreeMap<String, String>,
    ) -> Result<Self, PersonFileError> {
        let person = Self { placeholder, vectors, metadata };
        person.check()?;
        Ok(person)
    }

    /// Reads a file of any of the three formats, told apart by its first bytes.
    ///
    /// # Errors
    /// [`PersonFileError`], saying what is wrong and what to do.
    pub fn read(bytes: &[u8]) -> Result<Self, PersonFileError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(PersonFileError::TooLarge { bytes: bytes.len(), limit: MAX_FILE_BYTES });
        }
        let person = match bytes {
            [b'P', b'K', 3, 4, ..] => a1111::read(bytes)?,
            // A pickle of protocol 2 to 5 (torch before 1.6 began its files so) or of protocol 0.
            [0x80, 2..=5, ..] => return Err(PersonFileError::BarePickle),
            _ => safetensors::read(bytes)?,
        };
        person.check()?;
        Ok(person)
    }

    /// The file as diffusers reads it: one tensor [K, D] named by the placeholder (`<person>` where there
    /// is none). Equal persons give equal bytes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn write_diffusers(&self) -> Result<Vec<u8>, PersonFileError> {
        self.check()?;
        Ok(safetensors::write_diffusers(self))
    }

    /// The file as kohya's scripts and web UIs read it: one tensor `emb_params`. Equal persons give equal
    /// bytes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn write_kohya(&self) -> Result<Vec<u8>, PersonFileError> {
        self.check()?;
        Ok(safetensors::write_kohya(self))
    }

    /// The file as the AUTOMATIC1111 web UI reads it, which `torch.load(weights_only=True)` accepts. Equal
    /// persons give equal bytes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn write_a1111(&self) -> Result<Vec<u8>, PersonFileError> {
        self.check()?;
        a1111::write(self)
    }

    /// The width D of the vectors; 0 where there are none.
    pub fn width(&self) -> usize {
        self.vectors.first().map_or(0, Vec::len)
    }

    /// Whether the person fits a model with a text encoder of this width.
    ///
    /// # Errors
    /// [`PersonFileError::Width`] where it does not.
    pub fn check_width(&self, model_width: usize) -> Result<(), PersonFileError> {
        if self.width() == model_width {
            return Ok(());
        }
        Err(PersonFileError::Width { file: self.width(), model: model_width })
    }

    fn check(&self) -> Result<(), PersonFileError> {
        let (count, width) = (self.vectors.len(), self.width());
        if count == 0 || count > MAX_VECTORS || width == 0 || width > MAX_WIDTH {
            return Err(PersonFileError::Shape { shape: vec![count, width] });
        }
        for (index, vector) in self.vectors.iter().enumerate() {
            if vector.len() != width {
                return Err(PersonFileError::Uneven { index, expected: width, found: vector.len() });
            }
            if let Some(position) = vector.iter().position(|number| !number.is_finite()) {
                return Err(PersonFileError::NotFinite { index, position });
            }
            if vector.iter().all(|number| *number == 0.0) {
                return Err(PersonFileError::Zero { index });
            }
        }
        Ok(())
    }
}

/// Rows of a flat [count, width] array.
fn rows(flat: &[f32], width: usize) -> Vec<Vec<f32>> {
    flat.chunks(width.max(1)).map(<[f32]>::to_vec).collect()
}
