//! What can be wrong with a CLIP model, or with what it is to measure.

use std::path::PathBuf;

use crate::config_file::ConfigError;
use crate::picture::PictureError;
use crate::text_encoder::TextError;
use crate::tokenizer::TokenizerError;
use crate::weights::WeightError;

/// A CLIP model that cannot be used, or something that it cannot measure.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// A file is not there.
    #[error(
        "{} has no {file}; name a CLIP model's folder in the transformers layout: config.json, model.safetensors, \
         preprocessor_config.json, and vocab.json with merges.txt or tokenizer.json",
        folder.display()
    )]
    NoFile {
        /// The folder.
        folder: PathBuf,
        /// The file that was looked for.
        file: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A configuration file is wrong, or asks for something unsupported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tokenizer cannot be used, or a text not be encoded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The weight file does not hold the model.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The files of the folder are not of one model.
    #[error("the files of the CLIP model in {} do not fit each other: {reason}; copy all of them from one model", folder.display())]
    Mismatch {
        /// The folder.
        folder: PathBuf,
        /// Which numbers differ.
        reason: String,
    },
    /// Nothing to measure.
    #[error("there is nothing to measure: give at least one picture or text")]
    Empty,
    /// A picture that is none.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A text that the tower for words does not take.
    #[error(transparent)]
    Text(#[from] TextError),
}
