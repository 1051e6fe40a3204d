//! `text_encoder/config.json`: what is supported, and what follows from it.

use std::path::Path;

use serde_json::json;

use crate::config_file::{ConfigError, ConfigFile};
use crate::layers::{EncoderSizes, HiddenAct};
use crate::tokenizer::PromptTokenizer;

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
        Self::of(&file)
    }

    /// The structure that these keys describe.
    pub(crate) fn of(file: &ConfigFile) -> Result<Self, ConfigError> {
        let sizes = EncoderSizes::read(file, true)?;
        Ok(Self {
            vocab_size: file.count("vocab_size")?,
            hidden_size: sizes.width,
            intermediate_size: sizes.inner,
            num_hidden_layers: sizes.layers,
            num_attention_heads: sizes.heads,
            max_position_embeddings: file.count("max_position_embeddings")?,
            hidden_act: sizes.hidden_act,
            layer_norm_eps: sizes.epsilon,
        })
    }

    /// Why `tokenizer` is not this text encoder's, if it is not: another vocabulary, or prompts that are too long.
    pub(crate) fn check_tokenizer(&self, tokenizer: &PromptTokenizer) -> Result<(), String> {
        if tokenizer.vocab_size() as usize != self.vocab_size {
            return Err(format!(
                "the tokenizer has {} tokens and the text encoder {}",
                tokenizer.vocab_size(),
                self.vocab_size
            ));
        }
        if tokenizer.max_length() > self.max_position_embeddings {
            return Err(format!(
                "the tokenizer makes prompts of {} tokens and the text encoder takes {}",
                tokenizer.max_length(),
                self.max_position_embeddings
            ));
        }
        Ok(())
    }

    pub(crate) fn encoder_sizes(&self) -> EncoderSizes {
        EncoderSizes {
            width: self.hidden_size,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            hidden_act: self.hidden_act,
            epsilon: self.layer_norm_eps,
            causal: true,
        }
    }
}
