//! The coarsest level of the VAE's two halves: residual block, attention, residual block.

use burn::tensor::Tensor;

use super::{EPSILON, VaeConfig};
use crate::layers::{Attention, GroupNorm, Linear, ResnetBlock, ResnetSizes};
use crate::weights::{WeightError, Weights};

#[derive(Debug, Clone)]
pub(super) struct MidBlock {
    first: ResnetBlock,
    attention: Option<PixelAttention>,
    last: ResnetBlock,
}

impl MidBlock {
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VaeConfig,
        channels: usize,
    ) -> Result<Self, WeightError> {
        let sizes = ResnetSizes {
            inputs: channels,
            outputs: channels,
            time_width: None,
            groups: config.norm_num_groups,
            epsilon: EPSILON,
        };
        let attention = match config.mid_block_add_attention {
            true => {
                Some(PixelAttention::load(&weights.at("attentions.0"), channels, config.norm_num_groups)?)
            }
            false => None,
        };
        Ok(Self {
            first: ResnetBlock::load(&weights.at("resnets.0"), sizes)?,
            attention,
            last: ResnetBlock::load(&weights.at("resnets.1"), sizes)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.first.forward(x, None);
        let x = match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        };
        self.last.forward(x, None)
    }
}

/// Single-head attention from every pixel to all pixels, added to its input.
#[derive(Debug, Clone)]
struct PixelAttention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl PixelAttention {
    /// The published files of both families name the projections in the older of two ways, and some store
    /// them as 1x1 convolutions.
    fn load(weights: &Weights<'_>, channels: usize, groups: usize) -> Result<Self, WeightError> {
        let linear = |names: &[&str]| Linear::load_either(&weights.at_first(names), channels, channels);
        Ok(Self {
            group_norm: GroupNorm::load(&weights.at("group_norm"), channels, groups, EPSILON)?,
            to_q: linear(&["to_q", "query"])?,
            to_k: linear(&["to_k", "key"])?,
            to_v: linear(&["to_v", "value"])?,
            to_out: linear(&["to_out.0", "proj_attn"])?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shape @ [batch, height, width, channels] = x.dims();
        let pixels = self.group_norm.forward(x.clone()).reshape([batch, height * width, channels]);
        let (query, key, value) =
            (self.to_q.forward(pixels.clone()), self.to_k.forward(pixels.clone()), self.to_v.forward(pixels));
        let attended = Attention { heads: 1, causal: false, upcast: false }.attend(query, key, value);
        x + self.to_out.forward(attended).reshape(shape)
    }
}
