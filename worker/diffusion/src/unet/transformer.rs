//! The attention block of the UNet (diffusers `Transformer2DModel` and `BasicTransformerBlock`).

use burn::tensor::Tensor;

use super::context::KeysValues;
use super::{Taps, UNetConfig};
use crate::layers::{Attention, GroupNorm, LayerNorm, Linear, gated_gelu};
use crate::weights::{WeightError, Weights};

/// The epsilon of the group normalisation at the block's head; the residual blocks have another.
const GROUP_NORM_EPSILON: f64 = 1e-6;
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Attention from every pixel to all pixels and to the context.
#[derive(Debug, Clone)]
pub(crate) struct SpatialTransformer {
    name: String,
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<TransformerBlock>,
    proj_out: Linear,
}

impl SpatialTransformer {
    pub(crate) fn load(
        weights: &Weights<'_>,
        config: &UNetConfig,
        channels: usize,
        heads: usize,
        layers: usize,
    ) -> Result<Self, WeightError> {
        let projection = match config.use_linear_projection {
            true => Linear::load,
            false => Linear::load_conv1x1,
        };
        let transformer_blocks = (0..layers)
            .map(|layer| {
                let weights = weights.at(format_args!("transformer_blocks.{layer}"));
                TransformerBlock::load(&weights, config, channels, heads)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: weights.name().to_owned(),
            norm: GroupNorm::load(&weights.at("norm"), channels, config.norm_num_groups, GROUP_NORM_EPSILON)?,
            proj_in: projection(&weights.at("proj_in"), channels, channels)?,
            transformer_blocks,
            proj_out: projection(&weights.at("proj_out"), channels, channels)?,
        })
    }

    /// How many layers attend to the context, one after the other.
    pub(crate) fn depth(&self) -> usize {
        self.transformer_blocks.len()
    }

    /// What each layer makes of a context `[batch, length, cross_attention_dim]`.
    pub(crate) fn prepare(&self, context: &Tensor<3>) -> impl Iterator<Item = KeysValues> {
        self.transformer_blocks.iter().map(|block| block.attn2.keys_values(context.clone()))
    }

    /// `x` `[batch, height, width, channels]`; `layers` are what [`SpatialTransformer::prepare`] makes of the context.
    pub(crate) fn forward(&self, x: Tensor<4>, layers: &[KeysValues], taps: &mut Taps) -> Tensor<4> {
        debug_assert_eq!(layers.len(), self.depth(), "{}: the context is another network's", self.name);
        let shape @ [batch, height, width, channels] = x.dims();
        let pixels = self.norm.forward(x.clone()).reshape([batch, height * width, channels]);
        let mut hidden = self.proj_in.forward(pixels);
        for (block, heard) in self.transformer_blocks.iter().zip(layers) {
            hidden = block.forward(hidden, heard.clone(), taps);
        }
        let y = self.proj_out.forward(hidden).reshape(shape) + x;
        taps.see_picture(&self.name, &y);
        y
    }
}

/// Self-attention, cross-attention and a gated feed-forward, each after a layer normalisation and each
/// added to its input.
#[derive(Debug, Clone)]
struct TransformerBlock {
    name: String,
    norm1: LayerNorm,
    attn1: AttentionLayer,
    norm2: LayerNorm,
    attn2: AttentionLayer,
    norm3: LayerNorm,
    ff: GatedFeedForward,
}

impl TransformerBlock {
    fn load(
        weights: &Weights<'_>,
        config: &UNetConfig,
        channels: usize,
        heads: usize,
    ) -> Result<Self, WeightError> {
        let norm = |name| LayerNorm::load(&weights.at(name), channels, LAYER_NORM_EPSILON);
        let attention = Attention { heads, causal: false, upcast: config.upcast_attention };
        let context = config.cross_attention_dim;
        Ok(Self {
            name: weights.name().to_owned(),
            norm1: norm("norm1")?,
            attn1: AttentionLayer::load(&weights.at("attn1"), channels, channels, attention)?,
            norm2: norm("norm2")?,
            attn2: AttentionLayer::load(&weights.at("attn2"), channels, context, attention)?,
            norm3: norm("norm3")?,
            ff: GatedFeedForward::load(&weights.at("ff.net"), channels)?,
        })
    }

    fn forward(&self, x: Tensor<3>, heard: KeysValues, taps: &mut Taps) -> Tensor<3> {
        let mut see = |part: &str, y: &Tensor<3>| taps.see(&format!("{}.{part}", self.name), y);
        let normed = self.norm1.forward(x.clone());
        let y = self.attn1.forward(normed.clone(), self.attn1.keys_values(normed));
        see("attn1", &y);
        let x = y + x;
        let y = self.attn2.forward(self.norm2.forward(x.clone()), heard);
        see("attn2", &y);
        let x = y + x;
        let y = self.ff.forward(self.norm3.forward(x.clone()));
        see("ff", &y);
        y + x
    }
}

/// Projections to queries, keys and values, attention, and the projection of its result.
#[derive(Debug, Clone)]
struct AttentionLayer {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    attention: Attention,
}

impl AttentionLayer {
    fn load(
        weights: &Weights<'_>,
        channels: usize,
        context_width: usize,
        attention: Attention,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            to_q: Linear::load_without_bias(&weights.at("to_q"), channels, channels)?,
            to_k: Linear::load_without_bias(&weights.at("to_k"), context_width, channels)?,
            to_v: Linear::load_without_bias(&weights.at("to_v"), context_width, channels)?,
            to_out: Linear::load(&weights.at("to_out.0"), channels, channels)?,
            attention,
        })
    }

    /// What is attended to, of `x` itself or of a context.
    fn keys_values(&self, context: Tensor<3>) -> KeysValues {
        KeysValues { key: self.to_k.forward(context.clone()), value: self.to_v.forward(context) }
    }

    fn forward(&self, x: Tensor<3>, heard: KeysValues) -> Tensor<3> {
        let query = self.to_q.forward(x);
        let KeysValues { key, value } = heard;
        self.to_out.forward(self.attention.attend(query, key, value))
    }
}

/// `proj(value * gelu(gate))` with four times the width in between (GEGLU).
#[derive(Debug, Clone)]
struct GatedFeedForward {
    proj_in: Linear,
    proj_out: Linear,
}

impl GatedFeedForward {
    fn load(weights: &Weights<'_>, channels: usize) -> Result<Self, WeightError> {
        let inner = channels * 4;
        Ok(Self {
            proj_in: Linear::load(&weights.at("0.proj"), channels, inner * 2)?,
            proj_out: Linear::load(&weights.at("2"), inner, channels)?,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.proj_out.forward(gated_gelu(self.proj_in.forward(x)))
    }
}
