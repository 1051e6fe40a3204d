//! A layer of the text encoder (transformers `CLIPEncoderLayer`).

use burn::tensor::Tensor;

use super::{HiddenAct, TextConfig};
use crate::layers::{Attention, LayerNorm, Linear, gelu_erf, quick_gelu};
use crate::weights::{WeightError, Weights};

/// Causal self-attention and a feed-forward, each after a layer normalisation and added to its input.
#[derive(Debug, Clone)]
pub(super) struct EncoderLayer {
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
    pub(super) fn load(weights: &Weights<'_>, config: &TextConfig) -> Result<Self, WeightError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let norm = |name| LayerNorm::load(&weights.at(name), width, config.layer_norm_eps);
        let projection = |name| Linear::load(&weights.at("self_attn").at(name), width, width);
        Ok(Self {
            layer_norm1: norm("layer_norm1")?,
            q_proj: projection("q_proj")?,
            k_proj: projection("k_proj")?,
            v_proj: projection("v_proj")?,
            out_proj: projection("out_proj")?,
            attention: Attention { heads: config.num_attention_heads, causal: true, upcast: false },
            layer_norm2: norm("layer_norm2")?,
            fc1: Linear::load(&weights.at("mlp.fc1"), width, inner)?,
            fc2: Linear::load(&weights.at("mlp.fc2"), inner, width)?,
            hidden_act: config.hidden_act,
        })
    }

    /// `[batch, length, width]`, same shape out.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.layer_norm1.forward(x.clone());
        let (query, key, value) = (
            self.q_proj.forward(normed.clone()),
            self.k_proj.forward(normed.clone()),
            self.v_proj.forward(normed),
        );
        let attended = self.attention.attend(query, key, value);
        let x = x + self.out_proj.forward(attended);

        let inner = self.fc1.forward(self.layer_norm2.forward(x.clone()));
        let inner = match self.hidden_act {
            HiddenAct::Gelu => gelu_erf(inner),
            HiddenAct::QuickGelu => quick_gelu(inner),
        };
        x + self.fc2.forward(inner)
    }
}
