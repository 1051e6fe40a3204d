//! `config.json` of a `CLIPModel`: two towers and where they meet.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config_file::{ConfigError, ConfigFile};
use crate::layers::EncoderSizes;
use crate::text_encoder::TextConfig;

/// The structure of a `CLIPModel`.
#[derive(Debug, Clone)]
pub struct ClipConfig {
    /// The tower for words.
    pub text: TextConfig,
    /// The position of a text whose output stands for all of it.
    pub text_pooling: TextPooling,
    /// The tower for pictures.
    pub vision: VisionConfig,
    /// Numbers in the vector of a picture or a text.
    pub projection_dim: usize,
}

/// Which position of a text stands for all of it: where the text ends, by either of two rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPooling {
    /// The first of the highest id. The rule of models whose configuration says `"eos_token_id": 2`, which no id of theirs is.
    HighestId,
    /// The first of this id.
    First(u32),
}

impl TextPooling {
    /// The position in a row of ids; 0 where the id does not occur, as in the reference library.
    pub(super) fn position(self, ids: &[u32]) -> usize {
        let wanted = match self {
            Self::HighestId => ids.iter().copied().max(),
            Self::First(id) => Some(id),
        };
        ids.iter().position(|id| Some(*id) == wanted).unwrap_or(0)
    }
}

/// The structure of a `CLIPVisionModel`.
#[derive(Debug, Clone)]
pub struct VisionConfig {
    /// Pixels along a side of a picture.
    pub image_size: usize,
    /// Pixels along a side of a patch.
    pub patch_size: usize,
    pub(super) encoder: EncoderSizes,
}

impl ClipConfig {
    /// Reads `config.json` at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or asks for a structure that is not supported.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = ConfigFile::open(path)?;
        file.required::<String>("model_type")?;
        file.only("model_type", &[json!("clip")])?;
        file.only("architectures", &[json!(["CLIPModel"])])?;
        let text = tower(&file, "text_config", text_defaults())?;
        let vision = tower(&file, "vision_config", vision_defaults())?;
        let text_pooling = match text.required("eos_token_id")? {
            2 => TextPooling::HighestId,
            id => TextPooling::First(id),
        };
        Ok(Self {
            text: TextConfig::of(&text)?,
            text_pooling,
            vision: VisionConfig::of(&vision)?,
            projection_dim: match file.value("projection_dim") {
                Some(_) => file.count("projection_dim")?,
                None => 512,
            },
        })
    }
}

impl VisionConfig {
    fn of(file: &ConfigFile) -> Result<Self, ConfigError> {
        file.only("num_channels", &[json!(3)])?;
        let (image_size, patch_size) = (file.count("image_size")?, file.count("patch_size")?);
        if image_size % patch_size != 0 {
            return Err(file.invalid("patch_size", format!("a divisor of {image_size}")));
        }
        Ok(Self { image_size, patch_size, encoder: EncoderSizes::read(file, false)? })
    }

    /// Width of an embedding.
    pub fn hidden_size(&self) -> usize {
        self.encoder.width
    }

    /// Patches along a side of a picture.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// The configuration of a tower. Files of old say it a second time, as `text_config_dict`, and that one counts.
fn tower(file: &ConfigFile, key: &str, defaults: Map<String, Value>) -> Result<ConfigFile, ConfigError> {
    let older = format!("{key}_dict");
    file.section(if file.value(&older).is_some() { &older } else { key }, defaults)
}

/// What the reference library takes for a value that its files leave out (transformers `CLIPTextConfig`).
fn text_defaults() -> Map<String, Value> {
    object([
        ("vocab_size", 49408),
        ("hidden_size", 512),
        ("intermediate_size", 2048),
        ("num_hidden_layers", 12),
        ("num_attention_heads", 8),
        ("max_position_embeddings", 77),
        ("eos_token_id", 49407),
    ])
}

/// As [`text_defaults`], of `CLIPVisionConfig`.
fn vision_defaults() -> Map<String, Value> {
    object([
        ("hidden_size", 768),
        ("intermediate_size", 3072),
        ("num_hidden_layers", 12),
        ("num_attention_heads", 12),
        ("num_channels", 3),
        ("image_size", 224),
        ("patch_size", 32),
    ])
}

fn object<const N: usize>(counts: [(&str, u32); N]) -> Map<String, Value> {
    counts.into_iter().map(|(key, count)| (key.to_owned(), Value::from(count))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: Value) -> Result<ClipConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        ClipConfig::read(&path)
    }

    #[test]
    fn what_a_file_leaves_out_is_the_reference_librarys_default() {
        let config = read(json!({"model_type": "clip"})).unwrap();
        assert_eq!((config.text.vocab_size, config.text.num_hidden_layers), (49408, 12));
        assert_eq!(
            (config.vision.image_size, config.vision.patch_size, config.projection_dim),
            (224, 32, 512)
        );
        assert_eq!((config.text_pooling, config.vision.grid()), (TextPooling::First(49407), 7));
    }

    #[test]
    fn the_second_telling_of_old_files_counts() {
        let old = json!({"model_type": "clip", "text_config": {"hidden_size": 64, "eos_token_id": 2},
            "text_config_dict": {"hidden_size": 768, "num_attention_heads": 12}, "vision_config_dict": null});
        let config = read(old).unwrap();
        assert_eq!((config.text.hidden_size, config.text.vocab_size), (768, 49408));
        let plain = json!({"model_type": "clip", "text_config": {"eos_token_id": 2}});
        assert_eq!(read(plain).unwrap().text_pooling, TextPooling::HighestId);
    }

    #[test]
    fn a_text_ends_at_its_first_end() {
        assert_eq!(TextPooling::HighestId.position(&[7, 3, 9, 9, 9]), 2);
        assert_eq!(TextPooling::First(8).position(&[7, 9, 8, 8, 0]), 2);
    }

    #[test]
    fn other_structures_are_refused_by_the_name_of_the_key() {
        for (config, named) in [
            (json!({"model_type": "siglip"}), "\"model_type\" is \"siglip\""),
            (json!({}), "lacks the key \"model_type\""),
            (
                json!({"model_type": "clip", "text_config": {"hidden_act": "gelu_new"}}),
                "text_config.hidden_act",
            ),
            (json!({"model_type": "clip", "vision_config": {"patch_size": 15}}), "vision_config.patch_size"),
            (
                json!({"model_type": "clip", "vision_config": {"num_channels": 1}}),
                "vision_config.num_channels",
            ),
            (json!({"model_type": "clip", "vision_config": {"hidden_size": 770}}), "num_attention_heads"),
            (json!({"model_type": "clip", "projection_dim": 0}), "projection_dim"),
        ] {
            let said = read(config).unwrap_err().to_string();
            assert!(said.contains(named), "{said:?} does not name {named:?}");
        }
    }
}
