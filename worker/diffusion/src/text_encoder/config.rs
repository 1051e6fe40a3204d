//! `text_encoder/config.json`: what is supported, and what follows from it.

use std::path::Path;

use serde_json::json;

use crate::config_file::{ConfigError, ConfigFile};

/// The activation in a text encoder's feed-forward layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenAct {
    /// The exact GELU, by the error function (Stable Diffusion 2.x).
    Gelu,
    /// `x * sigmoid(1.702 x)` (Stable Diffusion 1.x).
    QuickGelu,
}

/// The structure of a `CLIPTextModel`.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Rows of the token table.
    pub vocab_size: usize,
    /// Width of an embedding.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of every attention.
    pub num_attention_heads: usize,
    /// The longest sequence.
    pub max_position_embeddings: usize,
    /// The activation.
    pub hidden_act: HiddenAct,
    /// Epsilon of every layer normalisation.
    pub layer_norm_eps: f64,
}

impl TextConfig {
    /// Reads `config.json` at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a key, or asks for a structure that is not supported.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = ConfigFile::open(path)?;
        file.only("model_type", &[json!("clip_text_model")])?;
        file.only("architectures", &[json!(["CLIPTextModel"])])?;
        file.only("hidden_act", &[json!("gelu"), json!("quick_gelu")])?;
        let hidden_act = match file.or("hidden_act", "quick_gelu".to_owned())?.as_str() {
            "gelu" => HiddenAct::Gelu,
            _ => HiddenAct::QuickGelu,
        };
        let hidden_size = file.count("hidden_size")?;
        let num_attention_heads = file.count("num_attention_heads")?;
        if hidden_size % num_attention_heads != 0 {
            return Err(file.invalid("num_attention_heads", format!("a divisor of {hidden_size}")));
        }
        Ok(Self {
            vocab_size: file.count("vocab_size")?,
            hidden_size,
            intermediate_size: file.count("intermediate_size")?,
            num_hidden_layers: file.count("num_hidden_layers")?,
            num_attention_heads,
            max_position_embeddings: file.count("max_position_embeddings")?,
            hidden_act,
            layer_norm_eps: file.or("layer_norm_eps", 1e-5)?,
        })
    }
}
