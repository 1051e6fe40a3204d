//! The transformer of CLIP's two towers (transformers `CLIPEncoder`), of which a Stable Diffusion text encoder is one.

use burn::tensor::Tensor;
use serde_json::json;

use super::{Attention, HiddenAct, LayerNorm, Linear};
use crate::config_file::{ConfigError, ConfigFile};
use crate::weights::{WeightError, Weights};

/// The sizes of a transformer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncoderSizes {
    /// Width of an embedding.
    pub(crate) width: usize,
    /// Width inside the feed-forward layers.
    pub(crate) inner: usize,
    pub(crate) layers: usize,
    /// Heads of every attention; they divide the width.
    pub(crate) heads: usize,
    pub(crate) hidden_act: HiddenAct,
    /// Epsilon of every layer normalisation.
    pub(crate) epsilon: f64,
    /// A position sees no later one: so words, but not patches of a picture.
    pub(crate) causal: bool,
}

impl EncoderSizes {
    /// What a tower's configuration says of its transformer.
    pub(crate) fn read(file: &ConfigFile, causal: bool) -> Result<Self, ConfigError> {
        file.only("hidden_act", &[json!("gelu"), json!("quick_gelu")])?;
        let hidden_act = match file.or("hidden_act", "quick_gelu".to_owned())?.as_str() {
            "gelu" => HiddenAct::Gelu,
            _ => HiddenAct::QuickGelu,
        };
        let (width, heads) = (file.count("hidden_size")?, file.count("num_attention_heads")?);
        if width % heads != 0 {
            return Err(file.invalid("num_attention_heads", format!("a divisor of {width}")));
        }
        Ok(Self {
            width,
            inner: file.count("intermediate_size")?,
            layers: file.count("num_hidden_layers")?,
            heads,
            hidden_act,
            epsilon: file.or("layer_norm_eps", 1e-5)?,
            causal,
        })
    }
}

/// Layers of self-attention and feed-forward, without embeddings before and normalisation after.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    layers: Vec<EncoderLayer>,
}

impl Encoder {
    /// Reads the transformer that lies at `weights`, as `layers.0` and so on.
    pub(crate) fn load(weights: &Weights<'_>, sizes: &EncoderSizes) -> Result<Self, WeightError> {
        let layers = (0..sizes.layers)
            .map(|layer| EncoderLayer::load(&weights.at(format_args!("layers.{layer}")), sizes))
            .collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// `[batch, length, width]`, same shape out.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.layers.iter().fold(x, |x, layer| layer.forward(x))
    }

    /// `x`, then the output of each layer.
    pub(crate) fn hidden_states(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        let mut states = vec![x.clone()];
        self.layers.iter().fold(x, |x, layer| {
            let x = layer.forward(x);
            states.push(x.clone());
            x
        });
        states
    }
}

/// Self-attention and a feed-forward, each after a layer normalisation and added to its input (transformers
/// `CLIPEncoderLayer`).
#[derive(Debug, Clone)]
struct EncoderLayer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    attention: Attention,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    hidden_act: HiddenAct,
}

impl EncoderLayer {
    fn load(weights: &Weights<'_>, sizes: &EncoderSizes) -> Result<Self, WeightError> {
        let EncoderSizes { width, inner, .. } = *sizes;
        let norm = |name| LayerNorm::load(&weights.at(name), width, sizes.epsilon);
        let projection = |name| Linear::load(&weights.at("self_attn").at(name), width, width);
        Ok(Self {
            layer_norm1: norm("layer_norm1")?,
            q_proj: projection("q_proj")?,
            k_proj: projection("k_proj")?,
            v_proj: projection("v_proj")?,
            out_proj: projection("out_proj")?,
            attention: Attention { heads: sizes.heads, causal: sizes.causal, upcast: false },
            layer_norm2: norm("layer_norm2")?,
            fc1: Linear::load(&weights.at("mlp.fc1"), width, inner)?,
            fc2: Linear::load(&weights.at("mlp.fc2"), inner, width)?,
            hidden_act: sizes.hidden_act,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.layer_norm1.forward(x.clone());
        let (query, key, value) = (
            self.q_proj.forward(normed.clone()),
            self.k_proj.forward(normed.clone()),
            self.v_proj.forward(normed),
        );
        let attended = self.attention.attend(query, key, value);
        let x = x + self.out_proj.forward(attended);

        let inner = self.fc1.forward(self.layer_norm2.forward(x.clone()));
        x + self.fc2.forward(self.hidden_act.apply(inner))
    }
}
