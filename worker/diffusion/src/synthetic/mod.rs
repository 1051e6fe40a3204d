//! Models of published sizes with random weights: what a device takes to run a model, without the model.
//!
//! The configurations are the published ones and go the way of any model folder; weights are made on the device
//! ([`StableDiffusion::synthetic`](crate::StableDiffusion::synthetic)) and the vocabulary here. What is drawn is
//! noise, and takes the time and memory of a picture.

mod tokenizer;

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::model_folder::{ModelError, ModelFolder};

/// The files of a synthetic model that are written down, by their path in its folder.
macro_rules! files {
    ($name:literal) => {
        [
            ("model_index.json", include_str!(concat!($name, "/model_index.json"))),
            (
                "scheduler/scheduler_config.json",
                include_str!(concat!($name, "/scheduler/scheduler_config.json")),
            ),
            ("text_encoder/config.json", include_str!(concat!($name, "/text_encoder/config.json"))),
            (
                "tokenizer/tokenizer_config.json",
                include_str!(concat!($name, "/tokenizer/tokenizer_config.json")),
            ),
            ("unet/config.json", include_str!(concat!($name, "/unet/config.json"))),
            ("vae/config.json", include_str!(concat!($name, "/vae/config.json"))),
        ]
    };
}

type Files = [(&'static str, &'static str); 6];

/// The synthetic models, each by its name.
static MODELS: [(&str, Files); 3] =
    [("sd21-base", files!("sd21-base")), ("sd15", files!("sd15")), ("tiny", files!("tiny"))];

/// A synthetic model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SyntheticError {
    /// No model of this name.
    #[error("there is no synthetic model {name:?}: the names are {}", names().join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// Its folder cannot be written.
    #[error("a folder for the synthetic model cannot be made: {0}")]
    Folder(#[from] io::Error),
    /// Its configuration is not accepted.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A synthetic model laid out as a folder without weights, which goes with this value.
#[derive(Debug)]
pub struct SyntheticModel {
    folder: ModelFolder,
    _scratch: TempDir,
}

/// The names of the synthetic models: Stable Diffusion 2.1-base and 1.5, and one that a CPU runs in no time.
pub fn names() -> Vec<&'static str> {
    MODELS.iter().map(|(name, _)| *name).collect()
}

impl SyntheticModel {
    /// Lays out the model of this name.
    ///
    /// # Errors
    /// When there is none, or its folder cannot be written.
    pub fn named(name: &str) -> Result<Self, SyntheticError> {
        let Some((_, files)) = MODELS.iter().find(|(known, _)| *known == name) else {
            return Err(SyntheticError::Unknown { name: name.to_owned() });
        };
        let scratch = tempfile::Builder::new().prefix("likeness-synthetic-").tempdir()?;
        for (file, text) in files {
            let path = scratch.path().join(file);
            fs::create_dir_all(path.parent().unwrap_or(scratch.path()))?;
            fs::write(&path, text)?;
        }
        let folder = ModelFolder::open(scratch.path())?;
        write_vocabulary(scratch.path(), folder.text_config().vocab_size)?;
        Ok(Self { folder, _scratch: scratch })
    }

    /// Its folder: configurations and tokenizer, no weights.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }
}

fn write_vocabulary(folder: &Path, size: usize) -> io::Result<()> {
    let vocabulary = tokenizer::vocabulary(size);
    fs::write(folder.join("tokenizer/vocab.json"), vocabulary.tokens)?;
    fs::write(folder.join("tokenizer/merges.txt"), vocabulary.merges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::ParameterCounts;
    use crate::tokenizer::PromptTokenizer;

    fn counts(name: &str) -> ParameterCounts {
        ParameterCounts::of(SyntheticModel::named(name).unwrap().folder()).unwrap()
    }

    /// The counts of the published files.
    #[test]
    fn models_of_published_sizes_have_the_published_numbers_of_parameters() {
        let expected = ParameterCounts { text_encoder: 340_387_840, unet: 865_910_724, vae: 83_653_863 };
        assert_eq!(counts("sd21-base"), expected);
        assert_eq!(expected.total(), 1_289_952_427);
        let expected = ParameterCounts { text_encoder: 123_060_480, unet: 859_520_964, vae: 83_653_863 };
        assert_eq!(counts("sd15"), expected);
        assert!(counts("tiny").total() < 1_000_000);
    }

    #[test]
    fn the_vocabulary_has_the_published_size_and_short_words_are_one_token() {
        for name in ["sd21-base", "sd15"] {
            let model = SyntheticModel::named(name).unwrap();
            let tokenizer = PromptTokenizer::open(&model.folder().path().join("tokenizer")).unwrap();
            assert_eq!((tokenizer.vocab_size(), tokenizer.max_length()), (49_408, 77));
            assert_eq!(tokenizer.padding_id(), if name == "sd15" { 49_407 } else { 0 });
            let encoded = tokenizer.encode("A fox in the sun!", &[]).unwrap();
            assert_eq!(encoded.untruncated_len, 2 + 6, "{:?}", encoded.ids);
            assert_eq!((encoded.ids[0], encoded.ids[7]), (49_406, 49_407));
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let refused = SyntheticModel::named("sdxl").unwrap_err().to_string();
        assert!(refused.contains("\"sdxl\"") && refused.contains("sd21-base, sd15, tiny"), "{refused}");
    }
}
