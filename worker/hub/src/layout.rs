//! The files of a model that the worker reads, by their names in a repository.

use serde::{Deserialize, Serialize};

/// Configurations, without which there is no model. The first one says that it is one.
pub(crate) const CONFIGURATIONS: [&str; 5] = [
    INDEX,
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "unet/config.json",
    "vae/config.json",
];
/// What a model in the diffusers layout begins with.
pub(crate) const INDEX: &str = "model_index.json";

/// The tokenizer's files: a model has the first two or the third, and some of the others.
pub(crate) const TOKENIZER: [&str; 5] =
    [VOCABULARY[0], VOCABULARY[1], WHOLE_TOKENIZER, TOKENIZER_CONFIG, "tokenizer/special_tokens_map.json"];
/// The vocabulary in its usual form.
pub(crate) const VOCABULARY: [&str; 2] = ["tokenizer/vocab.json", "tokenizer/merges.txt"];
/// The vocabulary in one file.
pub(crate) const WHOLE_TOKENIZER: &str = "tokenizer/tokenizer.json";
/// Says which token fills up a prompt; published models have it.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer/tokenizer_config.json";

/// Which weights to fetch where a repository has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// As they were trained, usually 32-bit floats.
    #[default]
    Full,
    /// Rounded to 16-bit floats: half to fetch, and nothing lost where the worker computes in bf16.
    Fp16,
}

/// The weights of one part, as names in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    pub(crate) full: String,
    pub(crate) fp16: String,
}

/// The weights of the three parts.
pub(crate) fn weights() -> [Weights; 3] {
    [("text_encoder", "model"), ("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model")].map(
        |(part, stem)| Weights {
            full: format!("{part}/{stem}.safetensors"),
            fp16: format!("{part}/{stem}.fp16.safetensors"),
        },
    )
}

impl Weights {
    /// The one to look for first, and the one that will do.
    pub(crate) fn in_order(&self, variant: Variant) -> [&str; 2] {
        match variant {
            Variant::Full => [&self.full, &self.fp16],
            Variant::Fp16 => [&self.fp16, &self.full],
        }
    }
}
