//! The bank of names that this worker starts people from (`faces.bank`), with the networks that it was built with.
//!
//! Names and what they look like stay in here: nothing of them is logged, shown or written.

use std::sync::Arc;

use likeness_faces::bank::{Bank, NetworksUsed};
use likeness_faces::intake::RgbPixels;
use likeness_faces::recognise::Embedding;
use likeness_faces::{FaceError, FaceReader};

use crate::faces::{FacesConfig, FacesError};

/// A bank of names, and what says who a person is.
#[derive(Debug)]
pub struct NameFinder {
    bank: Bank,
    reader: FaceReader,
}

impl NameFinder {
    /// Reads the bank and loads the networks; `None` where no bank is configured.
    ///
    /// # Errors
    /// [`FacesError`] where a file cannot be used, or the bank was built with other networks.
    pub fn open(faces: &FacesConfig) -> Result<Option<Arc<Self>>, FacesError> {
        let Some(path) = &faces.bank else { return Ok(None) };
        let bank = Bank::read(path)?;
        let reader = faces.reader()?;
        bank.check_networks(&NetworksUsed::of(&reader))?;
        Ok(Some(Arc::new(Self { bank, reader })))
    }

    /// Who the person in these pictures is: the middle of the largest face of each. `None` where no picture has a face.
    ///
    /// # Errors
    /// [`FaceError`] where a network fails.
    pub fn person<'a>(
        &self,
        pictures: impl IntoIterator<Item = &'a RgbPixels>,
    ) -> Result<Option<Embedding>, FaceError> {
        let mut faces = Vec::new();
        for picture in pictures {
            faces.extend(self.reader.embedding(picture)?);
        }
        Ok(Embedding::mean(&faces))
    }

    /// The bank.
    pub fn bank(&self) -> &Bank {
        &self.bank
    }
}
